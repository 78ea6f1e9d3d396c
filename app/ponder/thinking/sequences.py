"""The engine's hands, as far as the scheduler needs them: the seam seen from this side.

`ponder.engines.base.Engine` has all of it and more. Named here so that thinking knows no engine.
"""

from __future__ import annotations

from typing import Protocol

from ponder.types import Sampling, Seq


class Abilities(Protocol):
    """What an engine can tell or do; a rule that needs more steps aside."""

    @property
    def margin(self) -> bool:
        """Whether it tells the gaps to watched tokens."""

    @property
    def fork(self) -> bool:
        """Whether it can fork."""

    @property
    def signals(self) -> bool:
        """Whether it tells log-probabilities and entropies."""


class Sequences(Protocol):
    """The engine's hands, as far as the scheduler needs them. None of them decodes."""

    @property
    def n_ctx(self) -> int:
        """The most tokens that one sequence may hold."""

    @property
    def capacity(self) -> int:
        """The most tokens that all sequences together may hold."""

    @property
    def capabilities(self) -> Abilities:
        """What it can tell or do beyond sampling."""

    @property
    def n_seqs(self) -> int:
        """How many sequences may be open at once."""

    def open(
        self,
        tokens: tuple[int, ...],
        sampling: Sampling,
        watch: tuple[int, ...] = (),
        stop: tuple[int, ...] = (),
        signals: bool = False,
    ) -> Seq:
        """Begin a sequence."""

    def fork(self, seq: Seq, sampling: Sampling | None = None, signals: bool | None = None) -> Seq:
        """Begin a second sequence with the same tokens."""

    def feed(self, seq: Seq, tokens: tuple[int, ...], replace_pending: bool = False) -> None:
        """Force tokens."""

    def rewind(self, seq: Seq, n: int) -> None:
        """Go back to the first n tokens."""

    def close(self, seq: Seq) -> None:
        """End a sequence."""
