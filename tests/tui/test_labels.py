"""The line above a trace: true at every moment, and never wider than its room."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from ponder.tui.labels import Phase, Standing, bar, heading
from ponder.types import Finish

STANDINGS = st.builds(
    Standing,
    phase=st.sampled_from(Phase),
    think=st.integers(0, 200_000),
    budget=st.none() | st.integers(0, 200_000),
    waits=st.integers(0, 9),
    finish=st.none() | st.sampled_from(Finish),
    read=st.integers(0, 9000),
    prompt=st.integers(0, 9000),
    seconds=st.floats(0, 1e5),
    rate=st.floats(0, 5000),
    unfinished=st.booleans(),
)


@given(STANDINGS, st.integers(34, 200))
def test_it_fits_and_says_something(standing: Standing, width: int) -> None:
    line = heading(standing, width)
    assert line
    assert cell_len(line) <= width


def test_while_it_thinks_it_tells_the_account() -> None:
    standing = Standing(Phase.THINKING, think=257, budget=512, seconds=3.21, rate=80.6, waits=1)
    assert heading(standing, 100) == "thinking  257/512  3.2 s  81 tok/s  Wait ×1"


def test_where_it_is_narrow_speed_goes_first_and_the_count_stays() -> None:
    standing = Standing(Phase.THINKING, think=257, budget=512, seconds=3.21, rate=80.6)
    assert heading(standing, 40) == "thinking  257/512  3.2 s  81 tok/s"
    assert heading(standing, 20) == "thinking  257/512"


@pytest.mark.parametrize("finish", [f for f in Finish if f not in (Finish.NONE, Finish.OFF)])
def test_when_it_is_over_it_says_why_in_one_word(finish: Finish) -> None:
    standing = Standing(Phase.OVER, think=20, budget=20, seconds=1, finish=finish)
    assert heading(standing, 80) == f"thought  20/20 tokens  in 1.0 s  {finish.value}"
    assert heading(standing, 18).endswith(finish.value)


def test_a_thought_that_broke_off_says_so() -> None:
    assert heading(Standing(unfinished=True), 80) == "thinking  unfinished"
    assert heading(Standing(unfinished=True, think=3), 80) == "thinking  3 tokens  unfinished"


@pytest.mark.parametrize(("part", "full"), [(0, 0), (0.5, 6), (1, 12), (7, 12), (-1, 0)])
def test_the_bar_is_never_more_than_full(part: float, full: int) -> None:
    assert bar(part) == "━" * full + "╌" * (12 - full)
