"""What the screens are made of; the folder mirrors the chat screen from top to bottom."""
