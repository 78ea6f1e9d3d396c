"""A sampled token, and what the row of logits that it comes from tells of it. Sums only."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Drawn(NamedTuple):
    """A sampled token with its signals, empty where nobody asked for them."""

    token: int
    gaps: tuple[float, ...] = ()
    logprobs: tuple[float, ...] = ()
    entropies: tuple[float, ...] = ()


def drawn_from(
    logits: NDArray[np.float32], token: int, watch: tuple[int, ...], signals: bool
) -> Drawn:
    """What is told of a token.

    Args:
        logits: one for each token of the vocabulary.
        token: what was sampled from them.
        watch: ids whose gap to the best is wanted.
        signals: whether log-probability and entropy are.
    """
    best = float(logits.max())
    gaps = tuple(best - float(logits[watched]) for watched in watch)
    if not signals:
        return Drawn(token, gaps)
    below = logits - best
    weights = np.exp(below, dtype=np.float64)
    total = float(weights.sum())
    log_total = math.log(total)
    # A token that is impossible weighs nothing, however far below the best it is.
    below[weights == 0] = 0
    entropy = log_total - float(weights @ below) / total
    return Drawn(token, gaps, (float(logits[token]) - best - log_total,), (entropy,))
