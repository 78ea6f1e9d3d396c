"""What an evaluation comes to: accuracy against thinking tokens, votes, intervals.

Knows counts, shares and token numbers. Refuses to know questions, answers and models: who was
right comes in as numbers, and which answers are the same as the numbers of groups. Pure; what
is drawn at random is seeded.

Accuracies are shares from 0 to 1. Control, Scaling and Performance are those of s1 (Muennighoff
et al., arXiv:2501.19393, section 3.2, equations 1 to 3), in the units that are told with each.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np

RESAMPLES = 10_000
"""Draws of a bootstrap; s1 takes as many."""
_SEED = 20_250_131
_Z = 1.959963984540054
"""Standard deviations on either side that hold 95 % of a normal distribution."""
_SUBSETS = 5_000
"""Subsets of samples that are looked at one by one; of more, so many are drawn."""


class Point(NamedTuple):
    """One evaluation run: what it cost and what it reached."""

    tokens: float
    """Thinking tokens of a question, mean."""
    accuracy: float
    """Share of questions that were answered rightly."""


class Interval(NamedTuple):
    """Bounds that hold a value with 95 % confidence."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Difference:
    """One condition less another, on the same questions."""

    value: float
    """Of the accuracies."""
    interval: Interval
    """By a paired bootstrap over questions."""
    fixed: int
    """Samples that are right here and wrong there."""
    broken: int
    """Samples that are wrong here and right there."""


def control(tokens: Sequence[float], most: Sequence[float], least: float = 0) -> float:
    """s1's Control (equation 1): the share of runs whose thinking stayed within its bounds.

    Args:
        tokens: what each run thought. s1 takes the mean of an evaluation run; given single
            traces, the same share is a stricter one.
        most: the upper bound of each.
        least: the lower bound of all.

    Returns:
        0 to 1; s1 prints percent. 1 where nothing was bounded.
    """
    held = [least <= a <= bound for a, bound in zip(tokens, most, strict=True)]
    return sum(held) / len(held) if held else 1.0


def scaling(points: Sequence[Point]) -> float | None:
    """s1's Scaling (equation 2): the mean slope of the lines between every two runs.

    Returns:
        Percentage points of accuracy per 1,000 thinking tokens, which s1 does not say but which
        its figures come to; None where no two runs differ in tokens. Runs of the same length
        have no slope between them and are left out.
    """
    slopes = [
        100_000 * (b.accuracy - a.accuracy) / (b.tokens - a.tokens)
        for a, b in combinations(sorted(points), 2)
        if b.tokens > a.tokens
    ]
    return sum(slopes) / len(slopes) if slopes else None


def performance(points: Sequence[Point]) -> float | None:
    """s1's Performance (equation 3): the best accuracy of any run, 0 to 1; None without runs."""
    return max((point.accuracy for point in points), default=None)


def pass_at(k: int, right: Sequence[bool]) -> float:
    """The chance that one of k samples is right, without bias (Chen et al., arXiv:2107.03374).

    Args:
        k: at most as many as there are samples. With 1 it is the share of right ones.
        right: whether each sample of one question is right.

    Raises:
        ValueError: there are fewer samples.
    """
    if not 1 <= k <= len(right):
        raise ValueError(f"{k} of {len(right)} samples cannot be drawn")
    wrong = len(right) - sum(right)
    return 1 - math.comb(wrong, k) / math.comb(len(right), k)


def cons_at(k: int, groups: Sequence[int | None], right: Collection[int]) -> float:
    """The chance that the most frequent answer of k samples is right.

    The mean over the subsets of k samples, so that no sample is favoured for having come first;
    over some of them, drawn by a seed, where they are many. Where several answers are equally
    frequent, each is taken as often.

    Args:
        k: at most as many as there are samples.
        groups: which answer each sample of one question gave; None: none.
        right: the answers that are right.

    Raises:
        ValueError: there are fewer samples.
    """
    if not 1 <= k <= len(groups):
        raise ValueError(f"{k} of {len(groups)} samples cannot be drawn")
    if math.comb(len(groups), k) <= _SUBSETS:
        subsets: Iterable[Sequence[int]] = combinations(range(len(groups)), k)
    else:
        chance = np.random.default_rng(_SEED)
        subsets = [chance.permutation(len(groups))[:k].tolist() for _ in range(_SUBSETS)]
    votes = [_vote([groups[at] for at in subset], right) for subset in subsets]
    return sum(votes) / len(votes)


def _vote(groups: Sequence[int | None], right: Collection[int]) -> float:
    said = Counter(group for group in groups if group is not None)
    if not said:
        return 0.0
    most = max(said.values())
    leaders = [group for group, count in said.items() if count == most]
    return sum(group in right for group in leaders) / len(leaders)


def wilson(right: int, count: int) -> Interval:
    """95 % bounds of a share of independent questions (Wilson, 1927): 0 to 1, never beyond."""
    if not count:
        return Interval(0.0, 1.0)
    share, square = right / count, _Z * _Z
    middle = (share + square / (2 * count)) / (1 + square / count)
    half = _Z / (1 + square / count)
    half *= math.sqrt(share * (1 - share) / count + square / (4 * count * count))
    return Interval(max(0.0, middle - half), min(1.0, middle + half))


def bootstrap(values: Sequence[float], resamples: int = RESAMPLES) -> Interval:
    """95 % bounds of a mean, by drawing as many values with replacement again and again.

    Args:
        values: one a question; samples of one question are not independent, so their mean is
            one value.
        resamples: how often.
    """
    if not values:
        return Interval(math.nan, math.nan)
    # The mean of a draw depends on how often each value is in it, and on nothing else.
    kinds, counts = np.unique(np.asarray(values, dtype=np.float64), return_counts=True)
    drawn = np.random.default_rng(_SEED).multinomial(len(values), counts / len(values), resamples)
    low, high = np.quantile(drawn @ kinds / len(values), (0.025, 0.975))
    return Interval(float(low), float(high))


def difference(
    base: Sequence[Sequence[bool]], other: Sequence[Sequence[bool]], resamples: int = RESAMPLES
) -> Difference | None:
    """How much better `other` is than `base` on the same questions; None without any.

    Args:
        base: for each question, whether each sample is right.
        other: the same questions, in the same order.
        resamples: of the paired bootstrap.
    """
    if not base:
        return None
    each = [share(b) - share(a) for a, b in zip(base, other, strict=True)]
    pairs = [pair for a, b in zip(base, other, strict=True) for pair in zip(a, b, strict=False)]
    return Difference(
        sum(each) / len(each),
        bootstrap(each, resamples),
        sum(b and not a for a, b in pairs),
        sum(a and not b for a, b in pairs),
    )


def share(flags: Iterable[bool]) -> float:
    """How many of them hold, 0 to 1; 0 of none."""
    held = list(flags)
    return sum(held) / len(held) if held else 0.0


def mean(values: Iterable[float]) -> float:
    """The mean; 0 of none."""
    held = list(values)
    return sum(held) / len(held) if held else 0.0
