"""Engines run token sequences of one model. They know tokens and nothing else."""
