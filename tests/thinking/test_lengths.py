"""Lengths: quantiles of what models need, also where they were cut short."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ponder.thinking.effort import EFFORTS, QUANTILES, Wish, efforts
from ponder.thinking.learned import Learned
from ponder.thinking.lengths import BINS, ENOUGH, LengthModel, answer_of, thinking_of
from ponder.types import (
    AnswerEnd,
    Budget,
    BudgetChange,
    BudgetEvent,
    Finish,
    Sampling,
    Trace,
    Usage,
)

TRACE = Trace(
    spans=(),
    tokens=(),
    forced=(),
    finish=Finish.CLOSED,
    answer_end=AnswerEnd.STOP,
    last_resort=False,
    budget=1000,
    usage=Usage(think=300, answer=20),
    sampling=Sampling(),
)


def of(lengths: list[int], cap: int | None = None) -> LengthModel:
    """What is learned of traces that need so much, under a cap."""
    model = LengthModel()
    for length in lengths:
        model.observe(length if cap is None else min(length, cap), cap is None or length < cap)
    return model


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 100_000), min_size=100, max_size=400), st.floats(0.1, 0.9))
def test_a_quantile_is_right_within_a_bin_and_the_prior(lengths: list[int], share: float) -> None:
    found = of(lengths).quantile(share)
    ordered = sorted(lengths)

    def true(share: float) -> int:
        return ordered[min(len(ordered) - 1, max(0, int(share * len(ordered))))]

    assert true(share - 0.03) / 1.15 - 8 <= found <= true(share + 0.03) * 1.15 + 8


def test_traces_that_were_cut_do_not_shorten_what_is_learned() -> None:
    rolls = random.Random(1)
    lengths = [int(rolls.lognormvariate(6, 0.6)) for _ in range(2000)]
    ordered = sorted(lengths)
    half = lengths[::2]
    model = of(half)
    for length in lengths[1::2]:
        cap = rolls.choice((150, 300, 600))
        model.observe(min(length, cap), length < cap)
    for share in QUANTILES.values():
        true = ordered[int(share * len(ordered))]
        assert model.quantile(share) == pytest.approx(true, rel=0.15)
    naive = sorted(min(length, 300) for length in lengths)
    assert model.quantile(0.95) > 1.5 * naive[int(0.95 * len(naive))]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10**7), st.booleans()), max_size=60))
def test_survival_falls_from_one_and_quantiles_rise(seen: list[tuple[int, bool]]) -> None:
    model = LengthModel()
    for length, ended in seen:
        model.observe(length, ended)
    shares = model.survival()
    assert len(shares) == BINS
    assert all(1 >= a >= b >= 0 for a, b in pairwise(shares))
    quantiles = [model.quantile(share / 20) for share in range(1, 20)]
    assert quantiles == sorted(quantiles)
    assert quantiles[0] >= 1


def test_the_latest_traces_weigh_more_after_many() -> None:
    model = of([100] * 5000)
    for _ in range(2500):
        model.observe(2000, ended=True)
    assert model.traces <= 2048
    assert model.quantile(0.5) > 1000


def test_what_another_saw_is_added_and_taken_away() -> None:
    one, other = of([10, 500, 500]), of([40, 900], cap=600)
    both = of([10, 500, 500])
    both.add(other)
    assert both.traces == 5
    both.add(other, -1)
    assert both == one


@pytest.mark.parametrize("wrong", [[0.0], [-1.0] * BINS, [float("inf")] * BINS])
def test_what_no_measurement_leaves_is_refused(wrong: list[float]) -> None:
    with pytest.raises(ValueError, match="measurement"):
        LengthModel(ended=wrong)


# -- efforts --------------------------------------------------------------------------------


def test_efforts_are_fixed_until_enough_was_seen() -> None:
    few = of([200] * (ENOUGH - 1))
    few.observe(100, ended=False)
    assert efforts(few) == efforts(None) == EFFORTS
    assert Wish("low").budget(Budget(), 100_000, few).cap == EFFORTS["low"]


def test_efforts_are_then_the_models_own() -> None:
    lengths = of(list(range(100, 300)))
    meant = efforts(lengths)
    assert list(meant) == list(EFFORTS)
    assert (meant["off"], meant["max"]) == (0, None)
    for name, share in QUANTILES.items():
        assert Wish(name).budget(Budget(), 100_000, lengths).cap == meant[name]
        assert meant[name] == pytest.approx(100 + 200 * share, rel=0.1)
    assert Wish("high").budget(Budget(), 150, lengths).cap == 150
    assert Wish(tokens=77).budget(Budget(), 100_000, lengths).cap == 77


# -- what a trace teaches -------------------------------------------------------------------


@pytest.mark.parametrize("finish", list(Finish))
def test_only_an_end_of_its_own_is_one(finish: Finish) -> None:
    trace = replace(TRACE, finish=finish)
    assert thinking_of(trace) == (300, finish is Finish.CLOSED)


def test_an_end_that_was_withdrawn_is_where_it_would_have_ended() -> None:
    events = (BudgetEvent(BudgetChange.WAIT, 50), BudgetEvent(BudgetChange.WITHDRAWN, 120))
    assert thinking_of(replace(TRACE, finish=Finish.CAP, budget_events=events)) == (120, True)


def test_a_trace_that_did_not_think_teaches_nothing() -> None:
    learned = Learned()
    learned.learn(replace(TRACE, budget=None, finish=Finish.OFF))
    assert learned == Learned()


@pytest.mark.parametrize("end", list(AnswerEnd))
def test_an_answer_that_was_cut_would_have_been_longer(end: AnswerEnd) -> None:
    assert answer_of(replace(TRACE, answer_end=end)) == (20, end is AnswerEnd.STOP)


def test_an_answer_that_was_led_to_is_none_of_the_models() -> None:
    assert answer_of(replace(TRACE, last_resort=True)) == (20, False)


def test_the_time_of_answers_is_believed_once_there_are_enough() -> None:
    learned = Learned()
    for _ in range(ENOUGH):
        assert learned.answer_tokens(512) == 512
        learned.learn(replace(TRACE, usage=Usage(think=9, answer=130)))
    assert 130 <= learned.answer_tokens(512) <= 150
    assert learned.answer_tokens(100) == 100
