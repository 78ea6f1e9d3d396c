"""Which policies are replayed: cuts, rules with their thresholds, votes. Data, and their names.

The thresholds lie around those that the rules' authors give, wide enough that the best is not at
an edge. Which of them are ponder's defaults is `ponder.thinking.stopping`'s and
`ponder.thinking.votes`' business.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from itertools import product

import numpy as np

from ponder.evaluation.traces.form import Bank
from ponder.thinking.stopping import RULES, Confident, Converged, Entropy, Margin, Rule
from ponder.thinking.votes import Rules

_CUTS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Quantiles of the natural lengths."""
_EVERY = (1, 16, 32, 64)

FAMILIES: dict[str, Sequence[Rule]] = {
    "margin": [
        Margin(margin, every=every)
        for margin, every in product((0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 10.0, 12.0), (1, 16))
    ],
    "entropy": [
        Entropy(variance, timescale, every)
        for variance, timescale, every in product(
            (1e-5, 1e-4, 1e-3, 1e-2, 1e-1), (2.0, 3.0, 5.0), _EVERY
        )
    ],
    "converged": [Converged(times, every) for times, every in product((2, 3, 4, 5, 8), _EVERY)],
    "confident": [
        Confident(confidence, every)
        for confidence, every in product((0.8, 0.9, 0.95, 0.97, 0.99, 0.995, 0.999), _EVERY)
    ],
}
"""Settings of each rule."""

DEFAULTS: dict[str, Rule] = {name: kind() for name, kind in RULES.items()}
"""Each rule as it is without a word about it."""

VOTES = (2, 4, 8, 16)


def named(rule: Rule) -> str:
    """A rule as somebody would type it."""
    kind = next(kind for kind in RULES.values() if isinstance(rule, kind))
    values = (f"{field.name}={getattr(rule, field.name):g}" for field in fields(kind))
    return f"{kind.name}:{','.join(values)}"


def caps(bank: Bank) -> list[int]:
    """Caps that cut some of the traces, at places where every longer one was looked at."""
    every = bank.header.every
    lengths = np.quantile([trace.think for trace in bank.traces], _CUTS)
    return sorted({max(1, round(float(length) / every)) * every for length in lengths})


def votes(k: int) -> dict[str, tuple[Rules, bool]]:
    """Votes of k traces by name: when they are decided, and whether ballots are weighed."""
    half = (k + 1) // 2
    return {
        f"vote of {k}": (Rules(lossless=False, beta=None), False),
        f"vote of {k}, lossless": (Rules(beta=None), False),
        f"vote of {k}, Beta 0.95": (Rules(), False),
        f"vote of {k}, Beta, weighed": (Rules(), True),
        f"vote of {k}, first {half}": (Rules(beta=None, short=half), False),
    }
