"""Sequences of tokens into rows of one length.

Knows lengths. Refuses to know what tokens mean. Sequences stand in a row one after the other,
whole; what is left over at its end is filled with a token that is not learned.
"""

from __future__ import annotations

import random
from bisect import bisect_right, insort
from collections.abc import Iterable

import numpy as np

from builtin_model.encoding import Marked

_RANDOM_ABOVE = 500
"""While more room than this is left, any sequence that fits is taken; below, the longest: rows
are full to 98 % or so, and what stands together in them is chance all the same."""


class Packer:
    """A pool of sequences, from which rows are made while it is large enough to choose from."""

    def __init__(self, length: int, fill: int, dice: random.Random, reserve: int = 128) -> None:
        """`length` in tokens; `fill` is the id behind the last sequence of a row."""
        self.length = length
        self._fill = fill
        self._dice = dice
        self._reserve = reserve
        self._pool: list[Marked] = []

    def add(self, sequences: Iterable[Marked]) -> None:
        """Take sequences into the pool; each must fit a row.

        Raises:
            ValueError: one is longer than a row.

        """
        for sequence in sequences:
            if len(sequence) > self.length:
                raise ValueError(f"{len(sequence)} tokens do not fit a row of {self.length}")
            insort(self._pool, sequence, key=len)

    def rows(self) -> list[Marked]:
        """Return the rows that can be made with more than `reserve` sequences left to choose."""
        made = []
        while len(self._pool) > self._reserve:
            made.append(self._row())
        return made

    def _row(self) -> Marked:
        taken = [self._pool.pop(self._dice.randrange(len(self._pool)))]
        left = self.length - len(taken[0])
        while fitting := bisect_right(self._pool, left, key=len):
            at = self._dice.randrange(fitting) if left > _RANDOM_ABOVE else fitting - 1
            taken.append(self._pool.pop(at))
            left -= len(taken[-1])
        self._dice.shuffle(taken)
        row = np.full(self.length, self._fill, taken[0].dtype)
        row[: self.length - left] = np.concatenate(taken)
        return row
