"""ponder: reasoning models on your own machine, with a budget for how long they may think."""

__version__ = "0.1.0"
