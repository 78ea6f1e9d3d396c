"""Does a trace say the same again and again? Told while it runs, in constant time a token.

A loop is a run of tokens each of which equals the one a period before it. The period is
guessed from where the last few tokens stood before, and every guess is then checked token by
token, so that chance never makes a loop. Knows token ids, and nothing of what they say.

What counts is conservative on purpose: a check that is made twice or three times is none, nor
is a row of digits. `ponder.evaluation.comparison.reasoning.loops` judges whole traces in hindsight
and calls shorter ones loops too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

LONGEST_PERIOD = 256
"""Tokens of what is repeated: a paragraph or so."""
TIMES = 4
"""So often the same must have been said."""
LEAST = 192
"""Tokens that a loop covers at least."""
_GRAM = 6
"""Tokens by which a place is recognised."""


@dataclass(frozen=True, slots=True)
class Loop:
    """A repetition that was seen."""

    period: int
    """Tokens of what is repeated."""
    tokens: int
    """Tokens that the repetitions cover."""

    @property
    def times(self) -> int:
        """How often it was said, whole repetitions alone."""
        return self.tokens // self.period


class LoopWatch:
    """Watches one trace."""

    def __init__(self) -> None:
        self._tokens: list[int] = []
        self._places: dict[tuple[int, ...], int] = {}
        """Where each run of `_GRAM` tokens ended last."""
        self._period = 0
        self._run = 0
        """Latest tokens that equal those a period before."""
        self.found: Loop | None = None
        """The first loop that was seen."""

    def __len__(self) -> int:
        """Tokens that were read."""
        return len(self._tokens)

    def read(self, tokens: Iterable[int]) -> Loop | None:
        """Read more of the trace; gives the first loop that was seen in all of it."""
        for token in tokens:
            if self.found is None:
                self._read(token)
        return self.found

    def _read(self, token: int) -> None:
        held, at = self._tokens, len(self._tokens)
        held.append(token)
        if self._period and held[at - self._period] == token:
            self._run += 1
        else:
            self._period = self._run = 0
        gram = tuple(held[-_GRAM:])
        if not self._period and at - self._places.get(gram, -LONGEST_PERIOD) < LONGEST_PERIOD:
            # The tokens of the gram itself are the first that repeat.
            self._period, self._run = at - self._places[gram], len(gram)
        self._places[gram] = at
        covered = self._run + self._period
        if self._period and covered >= max(TIMES * self._period, LEAST):
            self.found = Loop(self._period, covered)
