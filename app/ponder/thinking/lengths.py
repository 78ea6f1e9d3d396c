"""How long a model thinks, or answers, if it is let: survival over log-spaced bins.

The estimator of Kaplan and Meier: a trace that was cut says only that it would have been
longer. A weak prior stands in where nothing was seen. Knows counts alone: no file, no text.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from ponder.types import AnswerEnd, BudgetChange, Finish, Trace

_FIRST = 8
"""Tokens that the first bin ends at."""
_PER_DOUBLING = 8
"""Bins to a doubling: a quantile is right within 9 %."""
BINS = 1 + 18 * _PER_DOUBLING
"""The last of them ends at two million tokens."""
ENOUGH = 20
"""Natural ends from which on what was measured is believed."""
_MOST = 2048
"""Traces after which all counts are halved, so that the latest ones weigh more."""
_PRIOR = 1.0
"""How many traces the prior is worth."""
_PRIOR_HALVING = math.log(2) / (3 * _PER_DOUBLING)
"""Hazard of the prior in each bin: every three doublings of length, half of the traces end. So
the prior leans to no length, and a tail that nobody saw still ends."""


@dataclass(slots=True)
class LengthModel:
    """Lengths in tokens. What is measured has plain fields, so that it can be kept.

    Raises:
        ValueError: the fields are none that a measurement could have left.
    """

    ended: list[float] = field(default_factory=lambda: [0.0] * BINS)
    """Traces that ended by themselves, by bin."""
    cut: list[float] = field(default_factory=lambda: [0.0] * BINS)
    """Traces that were ended there and would have gone on, by bin."""

    def __post_init__(self) -> None:
        counts = self.ended + self.cut
        if (len(self.ended), len(self.cut)) != (BINS, BINS) or not all(
            math.isfinite(count) and count >= 0 for count in counts
        ):
            raise ValueError("no measurement of lengths")

    @property
    def traces(self) -> float:
        """How many were observed, halvings apart."""
        return sum(self.ended) + sum(self.cut)

    @property
    def enough(self) -> bool:
        """Whether it is to be believed."""
        return sum(self.ended) >= ENOUGH

    def observe(self, tokens: int, ended: bool) -> None:
        """Learn from one trace of so many tokens; `ended` by itself, or cut."""
        (self.ended if ended else self.cut)[_bin(tokens)] += 1
        if self.traces > _MOST:
            self.ended = [count / 2 for count in self.ended]
            self.cut = [count / 2 for count in self.cut]

    def survival(self) -> list[float]:
        """The share of traces that is longer than each bin's upper edge."""
        at_risk, alive, shares = self.traces, 1.0, []
        for ended, cut in zip(self.ended, self.cut, strict=True):
            # Traces that were cut within the bin were at risk for half of it.
            risk = max(at_risk - cut / 2, ended)
            hazard = (ended + _PRIOR * _PRIOR_HALVING) / (risk + _PRIOR)
            alive *= 1 - min(1.0, hazard)
            at_risk = max(0.0, at_risk - ended - cut)
            shares.append(alive)
        return shares

    def quantile(self, share: float) -> int:
        """Tokens that this share of traces needs at most; the last bin's edge if none do."""
        before = 1.0
        for at, alive in enumerate(self.survival()):
            if alive <= 1 - share:
                within = (before - (1 - share)) / (before - alive)
                return round(edge(at - 1) * math.pow(edge(at) / edge(at - 1), within))
            before = alive
        return round(edge(BINS - 1))

    def remaining(self, tokens: int) -> int:
        """Tokens that half of the traces that thought so long still need."""
        at = _bin(tokens)
        alive = self.survival()[at - 1] if at else 1.0
        return max(0, self.quantile(1 - alive / 2) - tokens)

    def add(self, other: LengthModel, weight: float = 1.0) -> None:
        """Add what another saw, or with -1 take it away; no count falls below zero."""
        for mine, theirs in ((self.ended, other.ended), (self.cut, other.cut)):
            mine[:] = [max(0.0, a + weight * b) for a, b in zip(mine, theirs, strict=True)]


def _bin(tokens: int) -> int:
    if tokens <= _FIRST:
        return 0
    return min(BINS - 1, math.ceil(round(_PER_DOUBLING * math.log2(tokens / _FIRST), 9)))


def edge(at: int) -> float:
    """The longest length of a bin, in tokens; that of the bin before the first is 1."""
    return _FIRST * 2 ** (at / _PER_DOUBLING) if at >= 0 else 1.0


def thinking_of(trace: Trace) -> tuple[int, bool] | None:
    """Tokens that a trace thought before the model first wanted to end, and whether it did.

    None where it did not think at all, or a person wrote a part of it.
    """
    if trace.budget is None or trace.user or trace.usage.kept:
        return None
    for event in trace.budget_events:
        if event.change is BudgetChange.WITHDRAWN:
            return event.at, True
    return trace.usage.think, trace.finish is Finish.CLOSED


def answer_of(trace: Trace) -> tuple[int, bool] | None:
    """Tokens of the answer after a thought, and whether it ended by itself; None if none began."""
    if trace.budget is None or not trace.usage.answer:
        return None
    return trace.usage.answer, trace.answer_end is AnswerEnd.STOP and not trace.last_resort
