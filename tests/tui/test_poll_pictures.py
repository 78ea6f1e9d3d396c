"""Pictures of votes. A change of looks is seen here, and accepted with --snapshot-update."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator

import pytest
from textual.pilot import Pilot
from textual.widgets import TextArea

from ponder.settings import BudgetSettings, TuiSettings
from ponder.tui.widgets.poll_turn import PollTurn
from tui.play import Play
from tui.stage import staged
from tui.voters import Voters, eight, three

SIZES = pytest.mark.parametrize("size", [(80, 24), (200, 50)], ids=lambda size: f"{size[0]}")
THEMES = pytest.mark.parametrize("theme", ["ponder-dark", "ponder-light"])
Compare = Callable[..., bool]
Shows = Callable[..., bool]


@pytest.fixture(autouse=True)
def no_cursor(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(TextArea, "_toggle_cursor_blink_visible", lambda _: None)
    yield


@pytest.fixture
def shows(snap_compare: Compare) -> Shows:
    """Plays a scene of so many traces, and compares what is on the screen at its end."""

    def compare(
        opener: Voters,
        traces: int,
        scene: Callable[[Play], Awaitable[None]],
        size: tuple[int, int],
        theme: str,
    ) -> bool:
        budget = BudgetSettings(traces=traces)
        app = staged(opener, tui=TuiSettings(theme=theme), budget=budget)

        async def play(pilot: Pilot[int]) -> None:
            playing = Play(app, pilot, opener)
            await playing.loaded()
            await scene(playing)

        try:
            return snap_compare(app, terminal_size=size, run_before=play)
        finally:
            app.close()

    return compare


@THEMES
@SIZES
def test_three_traces_think(shows: Shows, size: tuple[int, int], theme: str) -> None:
    async def scene(play: Play) -> None:
        await play.ask_and_hold("What is 17 * 23 + 4?")

    assert shows(three(hold_at=24), 3, scene, size, theme)


@THEMES
@SIZES
def test_eight_traces_have_voted(shows: Shows, size: tuple[int, int], theme: str) -> None:
    async def scene(play: Play) -> None:
        await play.ask_and_hold("What is 17 * 23 + 4?")
        play.engine.let_go()
        await play.idle()

    assert shows(eight(hold_at=24), 8, scene, size, theme)


@THEMES
@SIZES
def test_what_the_minority_said(shows: Shows, size: tuple[int, int], theme: str) -> None:
    async def scene(play: Play) -> None:
        await play.ask_and_hold("What is 17 * 23 + 4?")
        play.engine.let_go()
        await play.idle()
        await play.press("alt+k")
        turn = play.turn
        assert isinstance(turn, PollTurn)
        await play.until(lambda: turn.query_one(".own").display)
        await play.pilot.pause(0.1)

    assert shows(three(hold_at=24), 3, scene, size, theme)
