"""How sure is a difference? Bootstraps over questions, paired: all policies on the same draws.

Knows one number a question. The seeds of a question are not independent, so what they come to is
one number. Pure, and the same figures every time: what is drawn at random is seeded.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
"""One a question."""

RESAMPLES = 10_000
_SEED = 20_260_101


class Estimate(NamedTuple):
    """A value, and bounds that hold it with 95 % confidence."""

    value: float
    low: float
    high: float


class Resampling:
    """Draws of so many questions with replacement.

    Args:
        questions: at least one.
        resamples: how often they are drawn.
    """

    def __init__(self, questions: int, resamples: int = RESAMPLES) -> None:
        shares = np.full(questions, 1 / questions)
        drawn = np.random.default_rng(_SEED).multinomial(questions, shares, resamples)
        self._weights = drawn.astype(np.float32) / questions

    def mean(self, values: Numbers) -> Estimate:
        """The mean of one number a question; of differences, a paired comparison."""
        return _estimate(float(values.mean()), self._weights @ values)

    def saving(self, spent: Numbers, base: Numbers) -> Estimate:
        """Which share of what a base spends is not spent: 0 to 1, below 0 where it is more."""
        drawn = 1 - (self._weights @ spent) / (self._weights @ base)
        return _estimate(1 - float(spent.sum() / base.sum()), drawn)


def _estimate(value: float, drawn: Numbers) -> Estimate:
    low, high = np.quantile(drawn, (0.025, 0.975))
    return Estimate(value, float(low), float(high))
