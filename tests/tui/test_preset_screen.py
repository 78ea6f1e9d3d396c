"""Presets in the chat: taken, kept, removed, and shown while they hold."""

from __future__ import annotations

from pathlib import Path

from textual.widgets import Input, OptionList

from ponder.settings import presets
from ponder.thinking.effort import Wish
from ponder.tui.screens.confirm import ConfirmScreen
from ponder.tui.screens.presets import PresetScreen
from tui.play import Play, playing, shown
from tui.stage import Opener, staged, typed


def kept(home: Path, name: str, text: str) -> None:
    folder = home / "presets"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.toml").write_text(text)


async def listed(play: Play) -> PresetScreen:
    await play.press("alt+p")
    dialog = play.dialog(PresetScreen)
    await play.until(lambda: shown(dialog.query_one("#about")).startswith("now: "))
    await play.until(lambda: all(w.is_finished for w in play.app.workers if w.group == "presets"))
    return dialog


async def take(play: Play, name: str) -> None:
    await listed(play)
    await typed(play.pilot, name)
    await play.press("enter")
    await play.until(lambda: play.chatting and not play.app.loading_model)


async def test_one_is_taken_and_shown_for_as_long_as_it_holds(home: Path) -> None:
    kept(home, "quick", "system = 'Be brief.'\n[budget]\ncap = 64\n[sampling]\ntemperature = 0.5\n")
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        await take(play, "quick")
        assert play.chat.wish == Wish(tokens=64)
        assert "preset quick ·" in play.status
        assert opener.opened == ["r1-7b"]  # it says nothing of the model
        await play.ask()
        (turn,) = play.written()
        assert (turn.budget.cap, turn.sampling.temperature) == (64, 0.5)
        assert "<system>Be brief.<user>" in play.prompts[-1]
        await play.press("ctrl+up")
        assert "preset quick, changed" in play.status


async def test_one_preset_leaves_nothing_of_another(home: Path) -> None:
    kept(home, "one", "[budget]\ncap = 64\nfloor = 8\n")
    kept(home, "two", "[sampling]\ntemperature = 1.5\n")
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        await take(play, "one")
        await take(play, "two")
        assert play.app.settings.budget.floor == 0
        assert play.chat.wish == Wish("max")
        assert "preset two ·" in play.status


async def test_one_with_another_model_loads_it(home: Path) -> None:
    kept(home, "tiny", "model = 'ponder-tiny'\n")
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        await take(play, "tiny")
        assert opener.opened == ["r1-7b", "ponder-tiny"]
        assert "preset tiny · ponder-tiny" in play.status


async def test_a_model_that_is_not_here_is_told_and_nothing_changes(home: Path) -> None:
    kept(home, "big", "model = 'r1-14b'\n[budget]\ncap = 1\n")
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        await take(play, "big")
        await play.until(lambda: any("ponder pull r1-14b" in note for note in play.notices))
        assert play.chat.wish == Wish(tokens=512)
        assert "preset" not in play.status
        assert opener.opened == ["r1-7b"]


async def test_what_holds_is_kept_replaced_and_removed(home: Path) -> None:
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        await take(play, "mine")
        folder = home / "presets"
        assert presets.find(folder, "mine").values == {"model": "r1-7b", "budget.cap": 512}
        await play.until(lambda: "preset mine ·" in play.status)
        play.chat.wish = Wish("low")
        await listed(play)
        await typed(play.pilot, "mine")
        await play.press("f6")
        await play.until(lambda: isinstance(play.app.screen, ConfirmScreen))
        await play.press("down", "enter")
        await play.until(lambda: play.chatting)
        assert presets.find(folder, "mine").values["budget.cap"] == "low"
        await listed(play)
        await play.press("f8")
        await play.until(lambda: isinstance(play.app.screen, ConfirmScreen))
        await play.press("down", "enter")
        await play.until(lambda: not list(folder.iterdir()))


async def test_a_wrong_file_is_told_by_line_and_the_rest_is_listed(home: Path) -> None:
    kept(home, "bad", "[budget]\ncap = 'lots'\n")
    kept(home, "good", "[budget]\ncap = 3\n")
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        dialog = await listed(play)
        assert "bad.toml, line 2" in shown(dialog.query_one("#problem"))
        assert [o.id for o in dialog.query_one(OptionList).options] == ["good"]


async def test_a_bad_name_is_told_and_stays(home: Path) -> None:
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        dialog = await listed(play)
        await typed(play.pilot, "a/b")
        await play.press("f6")
        await play.until(lambda: "no name" in shown(dialog.query_one("#problem")))
        assert dialog.query_one(Input).value == "a/b"
