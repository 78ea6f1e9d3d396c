"""Pictures of a trace that is gone through: steps folded, the outline, a search; three widths."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, TextArea

from ponder.settings import TuiSettings
from ponder.tui.widgets.search import SearchBar
from ponder.tui.widgets.trace_text import TraceText
from tui.play import Play, playing
from tui.stage import Opener, staged, typed
from tui.test_reading import STEPS

Scene = Callable[[Play], Awaitable[None]]
LOOKS = pytest.mark.parametrize(
    ("size", "theme"),
    [
        ((40, 24), "ponder-dark"),
        ((80, 24), "ponder-dark"),
        ((200, 50), "ponder-dark"),
        ((80, 24), "ponder-light"),
    ],
    ids=lambda value: value.removeprefix("ponder-") if isinstance(value, str) else f"{value[0]}",
)


@pytest.fixture(autouse=True)
def no_cursor_blinks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The same picture at any moment."""
    monkeypatch.setattr(TextArea, "_toggle_cursor_blink_visible", lambda _: None)
    monkeypatch.setattr(Input, "_toggle_cursor", lambda _: None)
    yield
    monkeypatch.undo()


async def steps(play: Play) -> None:
    await play.press("alt+up", "down", "enter", "down", "down", "enter", "down")


async def outline(play: Play) -> None:
    await play.press("f6")


async def search(play: Play) -> None:
    await play.press("ctrl+f")
    await play.until(lambda: bool(play.chat.query(SearchBar)))
    await typed(play.pilot, "it")


@LOOKS
@pytest.mark.parametrize("scene", [steps, outline, search], ids=lambda scene: scene.__name__)
def test_a_trace(
    snap_compare: Callable[..., bool], scene: Scene, size: tuple[int, int], theme: str
) -> None:
    opener = Opener(thought=STEPS, hold_at=36)
    app = staged(opener, tui=TuiSettings(theme=theme))

    async def play(pilot: Pilot[int]) -> None:
        playing = Play(app, pilot, opener)
        await playing.loaded()
        await playing.ask_and_hold()
        await playing.press("f2")
        playing.engine.let_go()
        await playing.idle()
        await scene(playing)

    try:
        assert snap_compare(app, terminal_size=size, run_before=play)
    finally:
        app.close()


async def test_without_colour_a_hit_is_reversed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    opener = Opener(thought=STEPS)
    async with playing(staged(opener), opener, (80, 40)) as play:
        await play.ask()
        await search(play)
        text = play.turn.query_one(TraceText)
        found = [
            segment.text
            for y in range(text.size.height)
            for segment in text.render_line(y)
            if segment.style is not None and segment.style.reverse
        ]
        assert found == ["it"] * len(play.turn.trace_view.hits)
