"""Hugging Face checkpoint, or GGUF -> GGUF of any quant, in one streaming pass.

Usable alone: of ponder it imports the shared types, errors, locks and what a GGUF header says. No
PyTorch, no transformers, no network: whoever downloads hands shards over as they arrive.
"""
