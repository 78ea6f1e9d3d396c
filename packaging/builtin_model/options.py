"""Options that every model's commands have: how a run goes, and what is measured after it."""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

_WRITING = 15.0
"""Seconds that are kept for writing what was learned before the deadline."""


def add_run(parser: argparse.ArgumentParser, *, seconds: float, log_every: int, uses: int) -> None:
    """Add how long a run takes and what feeds it; the numbers are defaults."""
    parser.add_argument("--seconds", type=float, default=seconds, help="of training (%(default)s)")
    parser.add_argument("--steps", type=int, help="end after as many, if seconds are left")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--log-every", type=int, default=log_every, metavar="STEPS")
    parser.add_argument("--no-compile", dest="compile", action="store_false")
    workers = max(1, (os.cpu_count() or 2) - 2)
    parser.add_argument("--workers", type=int, default=workers, help="processes (%(default)s)")
    parser.add_argument("--uses", type=int, default=uses, help="of a row at most (%(default)s)")
    parser.add_argument("--shards", type=Path, help="where rows are kept until read (/dev/shm)")
    parser.add_argument("--smoke", action="store_true", help="a few small steps, on any machine")


def add_measuring(parser: argparse.ArgumentParser, *, fresh: int) -> None:
    """Add what is asked and until when; `fresh` is a default."""
    parser.add_argument("--fresh", type=int, default=fresh, help="questions made up (%(default)s)")
    parser.add_argument("--questions", type=Path, help="more, one JSON object a line")
    parser.add_argument("--question-seed", type=int, default=990017)
    parser.add_argument("--deadline", type=float, help="seconds after the start; then it ends")
    parser.add_argument("--report", type=Path, help="where figures go; default: the model's folder")


def training_seconds(options: argparse.Namespace, started: float) -> float:
    """Return how long there is to train: measuring gets what the deadline leaves, if anything."""
    seconds: float = options.seconds
    if options.deadline:
        seconds = min(seconds, started + options.deadline - time.monotonic() - _WRITING)
    return max(1.0, seconds)
