"""How ponder's built-in models are made: examples, training, conversion, evaluation.

Not part of the app: it needs torch, and a GPU to be quick. The questions are the app's own.
"""
