"""Policies over a whole bank: what each costs, how right it is, and how sure that is.

Knows outcomes and estimates. Refuses to know how they are told. All policies see the same
questions and seeds, so that every comparison is paired.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ponder.evaluation.traces.balloting import elect, parties
from ponder.evaluation.traces.estimating import Estimate, Numbers, Resampling
from ponder.evaluation.traces.judging import Judged, Questions
from ponder.evaluation.traces.replaying import Policy
from ponder.thinking.votes import Rules

MARGIN = 0.01
"""Of accuracy: who is less than that below is no worse."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What a policy came to, question by question: means over its seeds."""

    name: str
    right: Numbers
    """Shares."""
    think: Numbers
    """Thinking tokens."""
    total: Numbers
    """All tokens."""

    def part(self, places: Sequence[int]) -> Measured:
        """Some of the questions alone."""
        at = list(places)
        return Measured(self.name, self.right[at], self.think[at], self.total[at])


@dataclass(frozen=True, slots=True)
class Row:
    """A policy beside the natural trace; shares are 0 to 1, tokens are means."""

    name: str
    think: float
    total: float
    right: Estimate
    against: Estimate
    """Accuracy less that of the natural traces."""
    saving: Estimate
    """Of all tokens."""
    think_saving: float
    """Of thinking tokens."""
    beside: Estimate | None = None
    """Accuracy less that of cuts that cost as much; None where no cut does."""

    @property
    def no_worse(self) -> bool:
        """Whether it is not below the natural traces, by more than the margin, with confidence."""
        return self.against.low > -MARGIN


def over(name: str, questions: Questions, policy: Policy) -> Measured:
    """A policy on every trace."""

    def figures(judged: Judged) -> tuple[float, float, float]:
        outcome = policy(judged)
        return float(outcome.right), float(outcome.think), float(outcome.total)

    return _measured(name, [[figures(judged) for judged in traces] for traces in questions])


def voted(
    name: str, questions: Questions, k: int, rules: Rules, weigh: bool = False
) -> Measured | None:
    """A vote of k traces on every question; None if there are not so many of one."""
    if any(len(traces) < k for traces in questions):
        return None
    found = []
    for traces in questions:
        votes = [elect(party, rules, weigh) for party in parties(traces, k)]
        found.append([(float(vote.right), float(vote.think), float(vote.total)) for vote in votes])
    return _measured(name, found)


def _measured(name: str, found: Sequence[Sequence[tuple[float, float, float]]]) -> Measured:
    means = np.array([np.mean(np.array(seeds), axis=0) for seeds in found])
    return Measured(name, means[:, 0], means[:, 1], means[:, 2])


def row(
    measured: Measured,
    natural: Measured,
    draws: Resampling,
    cuts: Sequence[Measured] = (),
) -> Row:
    """A policy beside the natural traces, and beside cuts at the same total."""
    right = _mixed(cuts, float(measured.total.mean()))
    return Row(
        measured.name,
        float(measured.think.mean()),
        float(measured.total.mean()),
        draws.mean(measured.right),
        draws.mean(measured.right - natural.right),
        draws.saving(measured.total, natural.total),
        1 - float(measured.think.sum() / natural.think.sum()),
        None if right is None else draws.mean(measured.right - right),
    )


def _mixed(cuts: Sequence[Measured], total: float) -> Numbers | None:
    """What cuts reach that cost so much on average: the two nearest, each for some of the time."""
    known = sorted(cuts, key=lambda one: float(one.total.mean()))
    for less, more in pairwise(known):
        low, high = float(less.total.mean()), float(more.total.mean())
        if low <= total <= high and high > low:
            share = (total - low) / (high - low)
            mixed: Numbers = (1 - share) * less.right + share * more.right
            return mixed
    return None


def choose(
    settings: Sequence[Measured],
    natural: Measured,
    draws: Resampling,
) -> tuple[Measured, bool]:
    """The setting that saves most among those that are no worse than the natural traces.

    Args:
        settings: of one rule, on the questions to choose on.
        natural: the natural traces on the same.
        draws: of those questions.

    Returns:
        It, and whether any was no worse; if none was, the one that loses least.
    """
    rows = [(row(setting, natural, draws), setting) for setting in settings]
    fine = [(told.saving.value, at) for at, (told, _) in enumerate(rows) if told.no_worse]
    if fine:
        return rows[max(fine)[1]][1], True
    return max(rows, key=lambda pair: pair[0].against.value)[1], False
