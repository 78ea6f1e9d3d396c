"""Figures against those that were worked out by hand, and those that s1 printed."""

from __future__ import annotations

import math
from itertools import combinations
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ponder.evaluation.metrics import (
    Point,
    bootstrap,
    cons_at,
    control,
    difference,
    pass_at,
    performance,
    scaling,
    wilson,
)

S1_AIME = [
    Point(tokens, accuracy / 100)
    for tokens, accuracy in (
        (500, 0.0), (1000, 13.3), (2000, 30.0), (3933, 43.3), (5300, 50.0), (6657, 53.3),
        (7319, 56.7),
    )
]  # fmt: skip
"""s1's figure 1, decoded from its vectors: AIME 2024."""

flags = st.lists(st.booleans(), min_size=1, max_size=12)


def test_scaling_of_s1_s_own_points() -> None:
    # Two points: (f(b) - f(a)) / (b - a), in percentage points for a thousand tokens.
    assert scaling(S1_AIME[:2]) == pytest.approx(13.3 / 0.5)
    slopes = (13.3 / 0.5, 30.0 / 1.5, 16.7 / 1.0)
    assert scaling(S1_AIME[:3]) == pytest.approx(sum(slopes) / 3)
    assert scaling(S1_AIME[:5]) == pytest.approx(12.3, abs=0.05)
    assert scaling(S1_AIME) == pytest.approx(8.7, abs=0.05)
    assert scaling(S1_AIME[::-1]) == scaling(S1_AIME)
    assert performance(S1_AIME) == pytest.approx(0.567)


def test_scaling_falls_where_more_thinking_hurts() -> None:
    # s1's figure 6, rejection sampling. Its table 3 prints -35, and not over which points; the sign
    # is what the figure is about.
    points = [(2974, 40.0), (3703, 36.7), (4344, 33.3), (4734, 30.0), (5193, 26.7), (5293, 23.3)]
    found = scaling([Point(tokens, accuracy / 100) for tokens, accuracy in points])
    assert found == pytest.approx(-9.1, abs=0.1)


def test_runs_of_the_same_length_have_no_slope() -> None:
    assert scaling([]) is None
    assert scaling([Point(5, 0.1)]) is None
    assert scaling([Point(5, 0.1), Point(5, 0.9)]) is None
    assert scaling([Point(5, 0.1), Point(5, 0.9), Point(1005, 0.5)]) == pytest.approx(0)
    assert performance([]) is None


def test_control_is_the_share_within_bounds() -> None:
    assert control([10, 20, 30, 41], [10, 25, 40, 40]) == 0.75
    assert control([10, 20, 30, 41], [10, 25, 40, 40], least=15) == 0.5
    assert control([], []) == 1
    with pytest.raises(ValueError, match="shorter"):
        control([1, 2], [1])


def test_wilson_s_bounds() -> None:
    # The textbook's: 8 of 10.
    low, high = wilson(8, 10)
    assert [low, high] == pytest.approx([0.4902, 0.9433], abs=1e-4)
    assert list(wilson(0, 10)) == pytest.approx([0.0, 0.2775], abs=1e-4)
    assert wilson(0, 0) == (0, 1)


@given(st.integers(0, 500), st.integers(0, 500))
def test_wilson_holds_the_share(right: int, wrong: int) -> None:
    count = right + wrong
    low, high = wilson(right, count)
    assert 0 <= low <= high <= 1
    if count:
        assert low - 1e-12 <= right / count <= high + 1e-12
        mirrored = wilson(wrong, count)
        assert mirrored.low == pytest.approx(1 - high)


@given(flags)
def test_pass_at_is_the_share_of_subsets_with_a_right_one(right: list[bool]) -> None:
    for k in range(1, len(right) + 1):
        subsets = list(combinations(right, k))
        assert pass_at(k, right) == pytest.approx(sum(map(any, subsets)) / len(subsets))
    assert pass_at(1, right) == pytest.approx(sum(right) / len(right))


def test_more_samples_than_there_are() -> None:
    for k in (0, 3):
        with pytest.raises(ValueError, match="cannot be drawn"):
            pass_at(k, [True, False])
        with pytest.raises(ValueError, match="cannot be drawn"):
            cons_at(k, [0, 1], {0})


def test_cons_at_by_hand() -> None:
    groups = [0, 0, 1, 2]
    # All four: 0 leads.
    assert cons_at(4, groups, {0}) == 1
    assert cons_at(4, groups, {1}) == 0
    # Three of four: {0,0,1} {0,0,2} -> 0; {0,1,2} twice -> each a third.
    assert cons_at(3, groups, {0}) == pytest.approx((1 + 1 + 1 / 3 + 1 / 3) / 4)
    # A pair that disagrees is right half the time.
    assert cons_at(2, [0, 1], {0}) == 0.5
    # No answer is no vote, and nobody's vote is wrong.
    assert cons_at(3, [None, None, 0], {0}) == 1
    assert cons_at(2, [None, None], {0}) == 0


groups_of = st.lists(st.none() | st.integers(0, 3), min_size=1, max_size=9)


@given(groups_of, st.sets(st.integers(0, 3)), st.randoms(use_true_random=False))
def test_cons_at_knows_no_order_and_no_names(
    groups: list[int | None], right: set[int], chance: Random
) -> None:
    shuffled = groups[:]
    chance.shuffle(shuffled)
    renamed = [None if group is None else group + 10 for group in groups]
    for k in range(1, len(groups) + 1):
        value = cons_at(k, groups, right)
        assert 0 <= value <= 1
        assert cons_at(k, shuffled, right) == pytest.approx(value)
        assert cons_at(k, renamed, {group + 10 for group in right}) == pytest.approx(value)
        assert cons_at(k, groups, {0, 1, 2, 3}) >= value - 1e-12
    single = sum(group in right for group in groups) / len(groups)
    assert cons_at(1, groups, right) == pytest.approx(single)


def test_many_subsets_are_drawn_without_favour() -> None:
    # 32 samples, 20 right: too many subsets of 8 to count; the same every time.
    groups = [0] * 20 + [1] * 12
    ways = sum(math.comb(20, a) * math.comb(12, 8 - a) * (1 if a > 4 else 0.5) for a in range(4, 9))
    exact = ways / math.comb(32, 8)
    found = cons_at(8, groups, {0})
    assert found == pytest.approx(exact, abs=0.02)
    assert cons_at(8, groups[::-1], {0}) == pytest.approx(found, abs=0.02)
    assert cons_at(8, groups, {0}) == found


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=30))
def test_a_bootstrap_stays_among_its_values(values: list[float]) -> None:
    low, high = bootstrap(values, resamples=200)
    assert min(values) - 1e-9 <= low <= high <= max(values) + 1e-9
    assert bootstrap(values, resamples=200) == (low, high)
    # Order means nothing.
    assert bootstrap(values[::-1], resamples=200) == (low, high)


def test_a_bootstrap_s_width_is_the_standard_error_s() -> None:
    values = [1.0] * 300 + [0.0] * 100
    low, high = bootstrap(values)
    error = math.sqrt(0.75 * 0.25 / 400)
    assert [low, high] == pytest.approx([0.75 - 1.96 * error, 0.75 + 1.96 * error], abs=0.004)


def test_a_difference_is_paired() -> None:
    base = [[True], [True], [False], [False]] * 25
    better = [[True], [True], [True], [False]] * 25
    found = difference(base, better)
    assert found is not None
    assert found.value == 0.25
    assert (found.fixed, found.broken) == (25, 0)
    assert 0.15 < found.interval.low < 0.25 < found.interval.high < 0.35
    # The same answers are the same, whatever their spread: unpaired bounds would say +-14 points.
    same = difference(base, base)
    assert same is not None
    assert (same.value, same.interval, same.fixed, same.broken) == (0, (0, 0), 0, 0)
    assert difference([], []) is None


@given(st.lists(st.tuples(flags, flags), min_size=1, max_size=20))
def test_a_difference_turned_round(pairs: list[tuple[list[bool], list[bool]]]) -> None:
    base, other = [a for a, _ in pairs], [b for _, b in pairs]
    one, two = difference(base, other, 500), difference(other, base, 500)
    assert one is not None and two is not None
    assert one.value == pytest.approx(-two.value)
    assert (one.fixed, one.broken) == (two.broken, two.fixed)
    assert one.interval.low - 1e-9 <= one.interval.high
