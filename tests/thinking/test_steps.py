"""The step model finds the machine's figures again, and is not thrown by what happens there."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ponder.thinking.steps import WINDOW, Meter, StepModel


@settings(max_examples=100, deadline=None)
@given(
    st.floats(0.0005, 0.5),
    st.floats(0.00001, 0.05),
    st.floats(0, 0.05),
    st.lists(
        st.tuples(st.integers(1, 64), st.integers(0, 100_000)),
        min_size=40,
        max_size=80,
        unique_by=(lambda pair: pair[0], lambda pair: pair[1]),
    ),
)
def test_a_machine_is_found_again(
    a: float, b: float, c: float, seen: list[tuple[int, int]]
) -> None:
    def truth(busy: int, held: int) -> float:
        return a + b * busy + c * held / 1000

    model = StepModel()
    for busy, held in seen * 3:
        model.observe(truth(busy, held), busy, held)
    for busy, held in ((1, 100), (8, 4000), (32, 60_000)):
        assert model.expected(busy, held) == pytest.approx(truth(busy, held), rel=0.05)


def test_one_sequence_alone_is_enough_to_know_its_own_pace() -> None:
    model = StepModel()
    for _ in range(5000):
        model.observe(0.02, 1, 500)
    assert model.expected(1, 500) == pytest.approx(0.02, rel=0.01)
    assert model.margin == pytest.approx(1.0, abs=0.01)
    assert model.seconds(10, 1, 500) == pytest.approx(0.2, rel=0.05)


def test_a_machine_that_becomes_slower_is_followed() -> None:
    model = StepModel()
    for _ in range(500):
        model.observe(0.01, 1, 100)
    for _ in range(20):
        model.observe(0.03, 1, 100)
    assert model.seconds(1, 1, 100) > 0.025  # the margin is there before the mean
    for _ in range(1500):
        model.observe(0.03, 1, 100)
    assert model.expected(1, 100) == pytest.approx(0.03, rel=0.05)


def test_a_machine_that_becomes_faster_is_followed_within_its_latest_windows() -> None:
    model = StepModel()
    for _ in range(500):
        model.observe(0.01, 1, 100)
    for _ in range(64):
        model.observe(0.001, 1, 100)
    assert model.seconds(1, 1, 100) < 0.002


def test_one_long_sleep_is_not_believed() -> None:
    model = StepModel()
    for _ in range(200):
        model.observe(0.01, 1, 100)
    model.observe(3600.0, 1, 100)
    assert model.expected(1, 100) < 0.012
    assert model.margin < 1.3


def test_nothing_known_is_no_time_at_all() -> None:
    model = StepModel()
    assert not model.known
    assert model.seconds(100, 1, 0) == model.reading(100) == 0


def test_prompts_have_a_rate_of_their_own_and_short_ones_none() -> None:
    model = StepModel()
    model.read(5.0, 3)
    assert model.reading(1000) == 0
    model.read(0.5, 1000)
    model.read(0.5, 500)
    assert model.reading(1500) == pytest.approx(1.0)


def test_a_meter_averages_what_is_alike_and_leaves_out_what_is_not() -> None:
    model, now = StepModel(), 0.0
    meter = Meter(model, lambda: 100)

    def step(seconds: float, sequences: int = 1, read: int = 0, forcings: int = 0) -> None:
        nonlocal now
        meter.begin(now, forcings)
        meter.brought(sequences, read)
        now += seconds
        meter.end(now)

    for _ in range(40):
        step(0.01)
    assert model.expected(1, 100) == pytest.approx(0.01, rel=0.01)
    assert model.seen == 20  # two to a window
    assert WINDOW < 0.02
    step(9.0, forcings=1)  # the closing words, read in one go
    step(2.01, sequences=2, read=200)
    assert model.expected(1, 100) == pytest.approx(0.01, rel=0.01)
    assert model.reading(200) == pytest.approx(2.0, rel=0.01)
    meter.end(now + 100)  # nothing ran meanwhile
    meter.begin(now, 1)
    meter.end(now + 100)  # an engine that was interrupted brought nothing
    assert model.expected(1, 100) == pytest.approx(0.01, rel=0.01)


@pytest.mark.parametrize(
    "wrong",
    [
        {"weights": [1.0]},
        {"spread": [1.0] * 8},
        {"ratios": [-1.0]},
        {"weights": [float("nan"), 0.0, 0.0]},
        {"read_tokens": -1.0},
        {"seen": -1},
    ],
)
def test_what_no_measurement_leaves_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="measurement"):
        StepModel(**wrong)  # type: ignore[arg-type]
