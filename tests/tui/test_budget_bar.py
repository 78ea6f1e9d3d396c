"""The line below a thought that goes on: every width, caps, floors, deadlines, and none of them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from ponder.settings import BudgetSettings
from ponder.thinking.effort import Wish
from ponder.tui.labels import Phase, Standing
from ponder.tui.widgets.budget_bar import BudgetBar, line
from tui.play import playing, shown
from tui.stage import Clock, Opener, staged


def bar(
    think: int,
    budget: int,
    rate: float = 0.0,
    floor: int = 0,
    left: float | None = None,
    by_context: bool = False,
) -> BudgetBar:
    made = BudgetBar()
    standing = Standing(phase=Phase.THINKING, think=think, budget=budget, rate=rate)
    made.show(standing, by_context, floor, left)
    return made


def test_it_tells_all_there_is_where_there_is_room() -> None:
    told = line(bar(257, 512, 85.0, floor=300, left=12.0), 120)
    assert told.endswith("257/512  85 tok/s  3.0 s to the cap  12 s left  at least 300")
    assert told.startswith("━" * 20)
    # Half is spent; the floor is a notch behind that.
    assert told.index("╌") < told.index("╂")


def test_without_a_cap_it_is_the_context_that_is_used_up() -> None:
    told = line(bar(1000, 4000, 100.0, by_context=True), 100)
    assert "1,000/4,000  no cap" in told
    assert "30 s to the context's end" in told


@pytest.mark.parametrize(
    ("width", "seen"),
    [
        (40, "━╌╌╌╌╌╌╌  257/2,000  85 tok/s  12 s left"),
        (24, "━━" + "╌" * 11 + "  257/2,000"),
        (18, "257/2,000"),
        (9, "257/2,000"),
    ],
)
def test_what_matters_least_gives_way(width: int, seen: str) -> None:
    assert line(bar(257, 2000, 85.0, left=12.0), width) == seen


def test_a_deadline_that_has_passed_is_told_as_such() -> None:
    assert "2.5 s late" in line(bar(1, 100, left=-2.5), 80)


@given(
    st.integers(0, 10**6),
    st.integers(1, 10**6),
    st.floats(0, 1e5),
    st.integers(0, 10**6),
    st.none() | st.floats(-1e5, 1e5),
    st.integers(20, 300),
    st.booleans(),
)
def test_it_fits_and_never_says_what_is_not(
    think: int, cap: int, rate: float, floor: int, left: float | None, width: int, context: bool
) -> None:
    told = line(bar(think, cap, rate, floor, left, context), width)
    assert cell_len(told) <= width
    assert f"{think:,}/{cap:,}" in told
    assert ("to the cap" in told) <= (think < cap and rate > 0 and not context)


async def test_it_is_there_while_it_thinks_and_gone_when_it_is_over() -> None:
    opener, clock = Opener(hold_at=20), Clock()
    app = staged(opener, Wish(tokens=40), clock=clock, budget=BudgetSettings(floor=30))
    async with playing(app, opener) as play:
        await play.ask_and_hold()
        below = play.turn.query_one(BudgetBar)
        assert below.display
        assert re.search(r"\d/40 ", shown(below))
        clock.seconds = 4.0
        play.turn.tick()
        assert "tok/s" in shown(below)
        assert "to the cap" in shown(below)
        assert "at least 30" in shown(below)
        # One bar is enough.
        assert "━" not in play.heading
        play.engine.let_go()
        await play.idle()
        assert not below.display


async def test_a_thought_of_the_past_has_none() -> None:
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        await play.ask()
        number = play.app.dialogue.conversation
    again = Opener()
    async with playing(staged(again, conversation=number), again) as play:
        await play.until(lambda: len(play.turns) == 1)
        assert not play.turn.query_one(BudgetBar).display
