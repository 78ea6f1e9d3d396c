"""One pool of thinking tokens, or of time, over many questions: who is dealt how much of it.

Sums over numbers: what was dealt and what was used, how much a thought is worth going on with.
Refuses to know traces, sequences and what is said in them; `sharing.py` deals by these sums.

Source of the index: Gittins, Bandit Processes and Dynamic Allocation Indices (J. R. Stat. Soc. B,
1979), as it serves jobs of unknown length: the chance of an end over the tokens that it takes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite

from ponder.errors import BudgetError
from ponder.thinking.lengths import BINS, LengthModel, edge

_UNMEASURED = 32
"""Tokens that are dealt at a time where no lengths are known."""
_LEAST, _MOST = 16, 256
"""Tokens that are dealt at a time at least and at most."""
_TURNS = 4
"""A thought of median length is dealt its tokens in so many turns."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What questions share.

    Raises:
        BudgetError: the numbers mean nothing.
    """

    tokens: int | None = None
    """Thinking tokens for all of them together; None: as many as they like. 0: none thinks."""
    within: float | None = None
    """Seconds from now until the last of them is answered; None: no deadline."""
    width: int = 1
    """How many of them are decoded in one batch; others may be open meanwhile, and wait."""
    even: bool = False
    """Whether each of them first has an even share of the tokens, and the index deals out only
    what others leave of theirs. So none thinks less than if they were split evenly."""

    def __post_init__(self) -> None:
        if self.tokens is not None and self.tokens < 0:
            raise BudgetError(
                f"A pool of {self.tokens:,} tokens means nothing.",
                "Give a number of tokens from 0 up; leave it out for no limit.",
            )
        if self.within is not None and not (isfinite(self.within) and self.within > 0):
            raise BudgetError(
                f"A deadline of {self.within:g} seconds means nothing.",
                "Give a time above 0, such as 30s or 2m; leave it out for no deadline.",
            )
        if self.width < 1:
            raise BudgetError(
                f"{self.width} questions at once are none.", "Give a number from 1 up."
            )

    @property
    def scarce(self) -> bool:
        """Whether there is anything to share out."""
        return self.tokens is not None or self.within is not None


class Pool:
    """Accounts of tokens that thoughts, and looks at them, take: never more is dealt than there is.

    Args:
        tokens: how many there are; None: without end.
        even: whether an even share is kept for everybody who has joined and is not over.
    """

    def __init__(self, tokens: int | None, even: bool = False) -> None:
        self._tokens = inf if tokens is None else float(tokens)
        self._even = even and tokens is not None
        self._dealt: dict[int, int] = {}
        self._waiting: set[int] = set()
        """Who has joined and was dealt nothing yet."""
        self._joined = 0
        self._used = 0

    @property
    def left(self) -> float:
        """Tokens that nobody was dealt; infinite where there is no limit."""
        return self._tokens - self._used - sum(self._dealt.values())

    @property
    def share(self) -> int:
        """What an even split gives everybody; 0 where nothing is kept for anybody."""
        return int(self._tokens) // self._joined if self._even and self._joined else 0

    def left_for(self, owner: int) -> float:
        """The same, less what is kept for others."""
        share = self.share
        if not share:
            return self.left
        kept = sum(max(0, share - dealt) for one, dealt in self._dealt.items() if one != owner)
        return max(0.0, self.left - kept - share * len(self._waiting - {owner}))

    def holds(self, owner: int) -> int:
        """Tokens that nobody else can have: dealt, or kept for it."""
        dealt = self._dealt.get(owner, 0)
        there = owner in self._dealt or owner in self._waiting
        return max(dealt, self.share) if there else 0

    def join(self, owner: int) -> None:
        """A question that will think comes in."""
        self._waiting.add(owner)
        self._joined += 1

    def deal(self, owner: int, tokens: int) -> int:
        """Deal as much of `tokens` as there is for it; gives how much that was."""
        granted = int(max(0, min(tokens, self.left_for(owner))))
        self._dealt[owner] = self._dealt.get(owner, 0) + granted
        self._waiting.discard(owner)
        return granted

    def settle(self, owner: int, used: int) -> None:
        """A question is over, or will not think: what it did not use goes back.

        Raises:
            ValueError: it used more than it was dealt.
        """
        self._waiting.discard(owner)
        dealt = self._dealt.pop(owner, 0)
        if not 0 <= used <= dealt:
            raise ValueError(f"{used} tokens were used, and {dealt} dealt")
        self._used += used


class Prospects:
    """What thoughts of any length promise, by the lengths that were measured.

    Args:
        lengths: of one model; as they are now.
    """

    def __init__(self, lengths: LengthModel) -> None:
        self._edges = [0.0, *(edge(at) for at in range(BINS))]
        self._alive = [1.0, *lengths.survival()]
        self.quantum = _UNMEASURED
        """Tokens to be dealt at a time."""
        if lengths.enough:
            self.quantum = max(_LEAST, min(_MOST, lengths.quantile(0.5) // _TURNS))

    def index(self, think: int, weight: float = 1.0) -> float:
        """The Gittins index of a thought that is still open after so many tokens.

        Ends to be expected for a token, times the weight of its question:

        G = max over d of weight * P(it ends within d more) / E[tokens that this takes].
        Past the last length that is known it promises nothing.
        """
        edges, alive = self._edges, self._alive
        at = bisect_right(edges, think)
        if at >= len(edges):
            return 0.0
        share = (think - edges[at - 1]) / (edges[at] - edges[at - 1])
        here = before = alive[at - 1] + (alive[at] - alive[at - 1]) * share
        if here <= 0:
            return 0.0
        best, position, expected = 0.0, float(think), 0.0
        for upper, surviving in zip(edges[at:], alive[at:], strict=True):
            # Straight lines between the edges: the trapezoid is their integral.
            expected += (upper - position) * (before + surviving) / 2 / here
            best = max(best, (1 - surviving / here) / expected)
            position, before = upper, surviving
        return weight * best

    def remaining(self, think: int, most: int) -> float:
        """Tokens that a thought may be expected to go on for, up to so many in all."""
        edges, alive = self._edges, self._alive
        total, here, before, position = 0.0, 0.0, 1.0, 0.0
        for upper, surviving in zip(edges, alive, strict=True):
            if upper > think:
                if not here:
                    position, here = float(think), before
                if here <= 0 or position >= most:
                    break
                end = min(upper, float(most))
                total += (end - position) * (before + surviving) / 2 / here
                position = end
            before = surviving
        return total


def seconds_for(answers: int, width: int, one: float, reading: float) -> float:
    """Seconds that so many answers take, `width` of them side by side.

    Args:
        answers: how many are still to come.
        width: how many are decoded in one batch.
        one: seconds that one batch of answers takes.
        reading: seconds for prompts that nobody has read yet, all together.
    """
    return -(-answers // width) * one + reading


def ranked(keys: Sequence[tuple[float, float]]) -> list[int]:
    """Whose turn it is, in order: the earliest deadline goes first, then the highest index.

    Args:
        keys: for each, its own deadline (infinite: none) and its index. Ties keep their order.
    """
    return sorted(range(len(keys)), key=lambda at: (keys[at][0], -keys[at][1]))
