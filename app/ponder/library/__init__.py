"""Weights on this disk. Knows files and names; loads nothing."""
