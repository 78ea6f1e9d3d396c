"""Chance, from one seed, the same for ever.

Knows how to draw. Refuses to know what is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from random import Random
from typing import TypeVar

T = TypeVar("T")


class Dice:
    """Draws that depend on the seed alone, not on the version of Python.

    Of `random.Random`, Python promises to keep only what `random()` gives for a seed; how
    `choice`, `sample` and `randint` use it may change. So these are built on `random()`.
    """

    def __init__(self, seed: int) -> None:
        self._random = Random(seed).random

    def chance(self, probability: float) -> bool:
        """Return True with this probability."""
        return self._random() < probability

    def between(self, low: int, high: int) -> int:
        """Return a whole number from `low` to `high`, both included."""
        return low + int(self._random() * (high - low + 1))

    def pick(self, things: Sequence[T]) -> T:
        """Return one of `things`, all equally likely."""
        return things[int(self._random() * len(things))]

    def weighted(self, things: Sequence[T], weights: Sequence[int]) -> T:
        """Return one of `things`, each as likely as its weight says."""
        ticket = self._random() * sum(weights)
        for thing, bound in zip(things, accumulate(weights), strict=True):
            if ticket < bound:
                return thing
        return things[-1]  # only if rounding made the ticket as large as the sum

    def sample(self, things: Sequence[T], count: int) -> list[T]:
        """Return `count` different ones of `things`, in random order."""
        rest = list(things)
        return [rest.pop(int(self._random() * len(rest))) for _ in range(count)]
