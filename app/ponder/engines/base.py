"""The seam: what every engine gives, local, remote or scripted.

An engine knows token sequences of one model. It knows nothing of chat, thinking or budgets;
who decides those needs nothing beyond this page. A grant of n tokens may bring fewer, never
more: locally a step is one decode over all live sequences, remotely what a stream brought.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from ponder.types import Chunk, Sampling, Seq
from ponder.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine can tell or do beyond sampling; a policy that lacks it steps aside."""

    margin: bool = False
    """Logit gaps to watched tokens."""
    fork: bool = False
    """Sequences that share a prefix without decoding it again."""
    exact_seed: bool = False
    """Same seed, same batch: same tokens."""
    signals: bool = False
    """Log-probabilities and entropies of what is sampled."""


class Engine(Protocol):
    """Runs token sequences of one model. Knows nothing of chat, thinking or budgets."""

    @property
    def vocab(self) -> Vocabulary:
        """The tokens it speaks."""

    @property
    def n_ctx(self) -> int:
        """The most tokens that one sequence may hold."""

    @property
    def capacity(self) -> int:
        """The most tokens that all sequences together may hold."""

    @property
    def n_seqs(self) -> int:
        """How many sequences may be open at once, forks aside: there can be as many of those."""

    @property
    def capabilities(self) -> Capabilities:
        """What it can tell or do beyond sampling."""

    def open(
        self,
        tokens: tuple[int, ...],
        sampling: Sampling,
        watch: tuple[int, ...] = (),
        stop: tuple[int, ...] = (),
        signals: bool = False,
    ) -> Seq:
        """Begin a sequence; only enqueues, every cached prefix is reused.

        Args:
            tokens: the prompt, at least one token.
            sampling: how its tokens are drawn.
            watch: ids whose logit gap to the best is told with each sampled token.
            stop: ids after which no more is sampled within one grant.
            signals: whether log-probability and entropy are told with each sampled token.

        Raises:
            ContextFull: the prompt is longer than the context, or too many are open.
        """

    def fork(self, seq: Seq, sampling: Sampling | None = None, signals: bool | None = None) -> Seq:
        """A second sequence with the same tokens and sampler state, sharing the prefix.

        Whatever it does until it is closed, its parent goes on from the same logits and random
        numbers as without it: bit by bit, if the parent was not stepped meanwhile.

        Args:
            seq: its parent.
            sampling: how its tokens are drawn, from a sampler of its own; None: as its parent's.
            signals: whether its log-probabilities and entropies are told; None: as its parent's.

        Raises:
            ContextFull: too many sequences are open.
        """

    def feed(self, seq: Seq, tokens: tuple[int, ...], replace_pending: bool = False) -> None:
        """Force tokens: never sampled, still attended to.

        Args:
            seq: the sequence.
            tokens: what to append, after the pending token or in its place.
            replace_pending: whether the pending token is withdrawn first.
        """

    def rewind(self, seq: Seq, n: int) -> None:
        """Back to the first n tokens, prompt and pending token counted."""

    def step(self, grants: Mapping[Seq, int]) -> list[Chunk]:
        """One batched decode; at most so many sampled tokens for each sequence."""

    def interrupt(self) -> None:
        """Make a running or coming `step` return soon; from any thread."""

    def close(self, seq: Seq) -> None:
        """End a sequence; what it leaves in the KV cache may serve a later one, unless it is a
        fork: that leaves nothing.
        """

    def shutdown(self) -> None:
        """Give back memory and devices; the engine is of no use afterwards."""
