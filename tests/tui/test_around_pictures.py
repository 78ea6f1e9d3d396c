"""Pictures of settings, presets, and what goes with a question; accepted with --snapshot-update."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, TextArea

from ponder.settings import BudgetSettings, TuiSettings, presets
from ponder.thinking.effort import Wish
from ponder.tui.screens.attach import AttachScreen
from ponder.tui.screens.presets import PresetScreen
from ponder.tui.screens.settings import SettingsScreen
from tui.play import Play, shown
from tui.stage import Opener, staged

SIZES = pytest.mark.parametrize("size", [(80, 24), (200, 50)], ids=lambda size: f"{size[0]}")
THEMES = pytest.mark.parametrize("theme", ["ponder-dark", "ponder-light"])
Compare = Callable[..., bool]


@pytest.fixture(autouse=True)
def no_cursor(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(TextArea, "_toggle_cursor_blink_visible", lambda _: None)
    monkeypatch.setattr(Input, "_toggle_cursor", lambda _: None)
    yield


@pytest.fixture
def work(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files, presets and settings."""
    place = tmp_path / "work"
    (place / "src").mkdir(parents=True)
    (place / "src" / "one.py").write_text("one = 1\n")
    (place / "src" / "two.py").write_text("two = 2\n")
    (place / "src" / "logo.png").write_bytes(b"\x89PNG\x00")
    monkeypatch.chdir(place)
    home.mkdir()
    (home / "config.toml").write_text("[budget]\nfloor = 12\n")
    careful = {"model": "r1-7b", "system": "Check each step.", "budget.cap": "high"}
    presets.save(home / "presets", "careful", careful)
    presets.save(home / "presets", "quick", {"budget.cap": 64, "sampling.temperature": 0.3})
    return place


@pytest.fixture
def shows(snap_compare: Compare, work: Path) -> Callable[..., bool]:
    """Plays a scene, and compares what is on the screen at its end."""

    def compare(
        scene: Callable[[Play], Awaitable[None]],
        size: tuple[int, int],
        theme: str,
        opener: Opener | None = None,
    ) -> bool:
        opener = opener or Opener()
        budget = BudgetSettings(floor=12, answer_reserve=64)
        wish = Wish(tokens=40)
        app = staged(opener, wish, tui=TuiSettings(theme=theme), budget=budget)

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
def test_settings(shows: Callable[..., bool], size: tuple[int, int], theme: str) -> None:
    async def scene(play: Play) -> None:
        await play.press("ctrl+s")
        dialog = play.dialog(SettingsScreen)
        await play.until(lambda: "budget.floor" in dialog._given)
        await play.press(*["down"] * 5)

    assert shows(scene, size, theme)


@SIZES
def test_a_setting_is_refused(shows: Callable[..., bool], size: tuple[int, int]) -> None:
    async def scene(play: Play) -> None:
        await play.press("ctrl+s")
        dialog = play.dialog(SettingsScreen)
        await play.until(lambda: "budget.floor" in dialog._given)
        dialog.query_one("#search", Input).value = "top_p"
        await play.until(lambda: dialog._marked == "sampling.top_p")
        await play.press("enter")
        await play.until(lambda: dialog.query_one("#value").has_focus)
        await play.press("2", "enter")
        await play.until(lambda: dialog.query_one("#problem").display)

    assert shows(scene, size, "ponder-dark")


@THEMES
@SIZES
def test_presets(shows: Callable[..., bool], size: tuple[int, int], theme: str) -> None:
    async def scene(play: Play) -> None:
        await play.press("alt+p")
        dialog = play.dialog(PresetScreen)
        await play.until(lambda: len(dialog._kept) == 2)

    assert shows(scene, size, theme)


async def asked(play: Play, text: str) -> None:
    await play.send(text)
    await play.until(lambda: bool(play.turns) and not play.turn.running)
    await play.idle()


async def attach(play: Play) -> AttachScreen:
    await play.press("alt+a")
    dialog = play.dialog(AttachScreen)
    dialog.query_one(Input).value = "src"
    await play.press("enter")
    await play.until(lambda: "tokens" in shown(dialog.query_one("#about")))
    return dialog


@THEMES
@SIZES
def test_attaching(shows: Callable[..., bool], size: tuple[int, int], theme: str) -> None:
    async def scene(play: Play) -> None:
        await attach(play)

    assert shows(scene, size, theme)


@THEMES
@SIZES
def test_attached_and_too_long(
    shows: Callable[..., bool], size: tuple[int, int], theme: str
) -> None:
    async def scene(play: Play) -> None:
        await asked(play, "How often does r occur?")
        await attach(play)
        await play.press("escape")
        play.composer.text = "And what of these? " + "x" * 320
        await play.until(lambda: "left out" in play.subtitle)

    assert shows(scene, size, theme, Opener(n_ctx=640))


@SIZES
def test_context(shows: Callable[..., bool], size: tuple[int, int]) -> None:
    async def scene(play: Play) -> None:
        await asked(play, "How often does r occur?")
        await attach(play)
        await play.press("escape")
        play.composer.text = "And what of these? " + "x" * 320
        await play.until(lambda: "left out" in play.subtitle)
        await play.press("alt+g")
        await play.until(lambda: not play.chatting)

    assert shows(scene, size, "ponder-dark", Opener(n_ctx=640))


@SIZES
def test_asked_with_files(shows: Callable[..., bool], size: tuple[int, int]) -> None:
    async def scene(play: Play) -> None:
        await attach(play)
        await play.press("escape")
        await play.until(lambda: play.chat.forecast is not None)
        await asked(play, "Add them.")

    assert shows(scene, size, "ponder-dark")
