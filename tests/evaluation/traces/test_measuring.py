"""Comparisons over a bank: paired, repeatable, and chosen on other questions than reported on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.traces.banks import trace, verdicts
from ponder.evaluation.traces.estimating import Resampling
from ponder.evaluation.traces.measuring import Measured, choose, over, row
from ponder.evaluation.traces.replaying import cut, natural


def measured(name: str, right: float, total: float, count: int = 400) -> Measured:
    each = np.linspace(0, 1, count)
    return Measured(
        name, (each < right).astype(float), np.full(count, total / 2), np.full(count, total)
    )


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=30))
def test_bounds_hold_the_value_and_are_the_same_every_time(values: list[float]) -> None:
    numbers = np.array(values)
    draws = Resampling(len(numbers), 400)
    found = draws.mean(numbers)
    assert found.value == pytest.approx(numbers.mean())
    assert min(values) - 1e-4 <= found.low <= found.high <= max(values) + 1e-4
    assert found == Resampling(len(numbers), 400).mean(numbers)
    assert draws.mean(numbers * 0) == (0, 0, 0)
    base = np.abs(numbers) + 1
    assert draws.saving(base / 4, base) == pytest.approx((0.75, 0.75, 0.75), abs=1e-5)


def test_the_bootstrap_is_as_wide_as_the_standard_error() -> None:
    values = np.random.default_rng(1).normal(0, 1, 900)
    found = Resampling(900).mean(values)
    assert found.high - found.low == pytest.approx(2 * 1.96 * values.std() / 30, rel=0.05)


def test_a_setting_is_chosen_for_what_it_saves_among_those_that_are_no_worse() -> None:
    base = measured("natural", 0.8, 100)
    draws = Resampling(len(base.right))
    bold, good, timid = (
        measured("bold", 0.6, 20), measured("good", 0.8, 60), measured("timid", 0.8, 90),
    )  # fmt: skip
    assert choose([bold, timid, good], base, draws) == (good, True)
    worse = measured("worse", 0.7, 10)
    assert choose([bold, worse], base, draws) == (worse, False)
    assert row(good, base, draws).no_worse and not row(bold, base, draws).no_worse


def test_a_policy_is_held_against_cuts_that_cost_as_much() -> None:
    base = measured("natural", 0.8, 100)
    cuts = [measured("20", 0.2, 20), measured("60", 0.6, 60)]
    draws = Resampling(len(base.right))
    beside = row(measured("rule", 0.5, 40), base, draws, cuts).beside
    assert beside is not None and beside.value == pytest.approx(0.1, abs=0.01)
    assert row(measured("rule", 0.5, 80), base, draws, cuts).beside is None
    found = row(measured("rule", 0.5, 40), base, draws, cuts)
    assert found.saving.value == pytest.approx(0.6) and found.think_saving == pytest.approx(0.6)


def test_the_seeds_of_a_question_count_as_one_number() -> None:
    questions = verdicts(
        trace(["7", "7"], "7", 0, 0), trace(["8", "7"], "8", 0, 1), trace(["8", "8"], "7", 1, 0)
    )
    assert over("natural", questions, natural).right.tolist() == [0.5, 1.0]
    assert over("cut", questions, cut(8)).right.tolist() == [0.5, 0.0]
