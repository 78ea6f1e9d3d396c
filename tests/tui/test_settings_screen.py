"""The settings screen: everything that can be set is there, is changed, kept, and taken back."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Input, OptionList

from ponder import settings as settings_file
from ponder.settings import BudgetSettings, SamplingSettings, Settings, known, manual, read
from ponder.thinking.effort import Wish
from ponder.tui.app import PonderApp
from ponder.tui.screens.settings import SettingsScreen
from ponder.tui.tuning import WHEN, when
from tui.play import Play, playing, shown
from tui.stage import Opener, staged, typed

FILE = "# mine\n[budget]\nfloor = 12  # enough\n"


@pytest.fixture
def file(home: Path) -> Path:
    home.mkdir()
    path = home / "config.toml"
    path.write_text(FILE)
    return path


def on_stage(opener: Opener) -> PonderApp:
    """With what the file sets."""
    return staged(opener, budget=BudgetSettings(floor=12))


def rows(play: Play) -> dict[str, str]:
    """What is listed, by key."""
    listed = play.dialog(SettingsScreen).query_one("#settings", OptionList)
    return {option.id: str(option.prompt) for option in listed.options if option.id}


async def marked(play: Play, key: str) -> SettingsScreen:
    """Open the settings, and search for one."""
    await play.press("ctrl+s")
    dialog = play.dialog(SettingsScreen)
    await play.until(lambda: bool(rows(play)))
    dialog.query_one("#search", Input).value = key
    await play.until(lambda: dialog._marked == key)
    return dialog


async def put(play: Play, key: str, text: str) -> SettingsScreen:
    """Type a value for a setting."""
    dialog = await marked(play, key)
    await play.press("enter")
    field = dialog.query_one("#value", Input)
    await play.until(lambda: field.has_focus)
    field.value = text
    await play.press("enter")
    return dialog


async def test_everything_that_can_be_set_is_there_with_its_manual(file: Path) -> None:
    opener = Opener()
    async with playing(on_stage(opener), opener) as play:
        await play.press("ctrl+s")
        await play.until(lambda: len(rows(play)) == len(known()))
        assert list(rows(play)) == list(known())
        assert "12" in rows(play)["budget.floor"]
        assert rows(play)["budget.floor"].endswith("config.toml")
        assert rows(play)["budget.loops"].endswith("default")
        # The stage begins with 512 tokens, which config.toml says nothing of.
        assert "512" in rows(play)["budget.cap"]
        assert rows(play)["budget.cap"].endswith("this session")
        dialog = play.dialog(SettingsScreen)
        about = dialog.query_one("#about")
        await play.press("down")
        for key in known()[:6]:
            assert dialog._marked == key
            assert shown(about).startswith(manual()[key])
            assert when(key) in shown(about)
            await play.press("down")


def test_when_a_change_holds_is_known_of_all() -> None:
    parts = {*known(), *settings_file.by_section()}
    assert set(WHEN) <= parts


async def test_a_search_looks_into_manuals_too(file: Path) -> None:
    opener = Opener()
    async with playing(on_stage(opener), opener) as play:
        await play.press("ctrl+s")
        await play.until(lambda: bool(rows(play)))
        await typed(play.pilot, "kv cache")
        assert list(rows(play)) == ["engine.kv_type_k", "engine.kv_type_v"]
        await typed(play.pilot, " xyz")
        assert rows(play) == {}
        await play.press("enter", "f8")
        assert file.read_text() == FILE


async def test_a_number_is_typed_and_holds_at_once(file: Path) -> None:
    opener = Opener()
    async with playing(on_stage(opener), opener) as play:
        dialog = await put(play, "budget.floor", "99")
        await play.until(lambda: read(file).budget.floor == 99)
        assert file.read_text() == FILE.replace("12", "99")
        await play.until(lambda: "99" in rows(play)["budget.floor"])
        assert not dialog.query_one("#value").display
        await play.press("escape")
        assert "at least 99" in str(play.composer.border_title)
        # What a key chose before is still what it was.
        assert play.chat.wish == Wish(tokens=512)


async def test_a_wrong_value_stays_to_be_corrected(file: Path) -> None:
    opener = Opener()
    async with playing(on_stage(opener), opener) as play:
        dialog = await put(play, "budget.floor", "lots")
        problem = dialog.query_one("#problem")
        assert "Right for budget.floor: a whole number from 0" in shown(problem)
        assert dialog.query_one("#value", Input).value == "lots"
        assert file.read_text() == FILE
        await play.press("escape")
        assert not problem.display
        assert play.app.screen is dialog
        await play.press("escape")
        assert play.chatting


@pytest.mark.parametrize(
    ("key", "text", "told"),
    [
        ("tui.keys", "{fly = 'f9'}", "no action"),
        ("budget.stop", "sometime", "rule"),
    ],
)
async def test_what_the_file_cannot_tell_is_checked_as_well(
    file: Path, key: str, text: str, told: str
) -> None:
    opener = Opener()
    async with playing(on_stage(opener), opener) as play:
        dialog = await put(play, key, text)
        await play.until(lambda: told in shown(dialog.query_one("#problem")))
        assert file.read_text() == FILE


async def test_a_switch_turns_and_a_choice_is_chosen(file: Path) -> None:
    opener = Opener()
    async with playing(on_stage(opener), opener) as play:
        await marked(play, "budget.loops")
        await play.press("enter")
        await play.until(lambda: not read(file).budget.loops)
        assert not play.app.settings.budget.loops
        await play.press("escape")
        dialog = await marked(play, "tui.thinking")
        await play.press("enter")
        choices = dialog.query_one("#choices", OptionList)
        await play.until(lambda: choices.has_focus)
        assert [str(option.prompt) for option in choices.options] == ["tail", "open", "closed"]
        await play.press("down", "enter")
        await play.until(lambda: read(file).tui.thinking == "open")
        assert play.app.settings.tui.thinking == "open"


async def test_back_to_the_default(file: Path) -> None:
    opener = Opener()
    async with playing(on_stage(opener), opener) as play:
        dialog = await marked(play, "budget.floor")
        await play.until(lambda: dialog.check_action("unset", ()) is True)
        await play.press("f8")
        await play.until(lambda: read(file) == Settings())
        assert "# mine" in file.read_text()
        await play.until(lambda: rows(play)["budget.floor"].endswith("default"))
        assert dialog.check_action("unset", ()) is False


async def test_an_emptied_field_is_the_default(file: Path) -> None:
    opener = Opener()
    async with playing(on_stage(opener), opener) as play:
        await put(play, "budget.floor", "")
        await play.until(lambda: read(file) == Settings())


async def test_a_theme_and_a_key_change_at_once(file: Path) -> None:
    opener = Opener()
    async with playing(on_stage(opener), opener) as play:
        await marked(play, "tui.theme")
        await play.press("enter", *"p", "enter")
        await play.press("escape", "escape")
        await put(play, "tui.keys", '{presets = "f12"}')
        await play.until(lambda: read(file).tui.keys == {"presets": "f12"})
        await play.press("escape", "f12")
        assert not play.chatting
        play.app.theme = "ponder-light"
        await play.until(lambda: read(file).tui.theme == "ponder-light")
        assert play.app.settings.tui.theme == "ponder-light"


async def test_a_sampler_is_asked_with_from_the_next_question(file: Path) -> None:
    opener = Opener()
    async with playing(on_stage(opener), opener) as play:
        await put(play, "sampling.temperature", "0.25")
        await play.until(lambda: read(file).sampling == SamplingSettings(temperature=0.25))
        await play.press("escape")
        await play.ask()
        (turn,) = play.written()
        assert turn.sampling.temperature == 0.25


async def test_a_system_prompt_waits_for_the_next_conversation(file: Path) -> None:
    opener = Opener()
    async with playing(on_stage(opener), opener) as play:
        await play.ask("one")
        await put(play, "system", "Be brief.")
        await play.until(lambda: read(file).system == "Be brief.")
        await play.press("escape")
        await play.ask("two")
        assert "<system>" not in play.prompts[-1]
        await play.press("ctrl+n")
        await play.ask("three")
        assert "<system>Be brief.<user>three" in play.prompts[-1]


async def test_a_file_that_cannot_be_used_is_left_alone_and_told(home: Path) -> None:
    home.mkdir()
    (home / "config.toml").write_text("[budget]\ncapp = 3\n")
    opener = Opener()
    async with playing(on_stage(opener), opener) as play:
        await play.press("ctrl+s")
        problem = play.dialog(SettingsScreen).query_one("#problem")
        await play.until(lambda: "capp" in shown(problem))
        await play.press("escape")
        dialog = await put(play, "budget.floor", "3")
        await play.until(lambda: "capp" in shown(dialog.query_one("#problem")))
        assert (home / "config.toml").read_text() == "[budget]\ncapp = 3\n"
        assert play.app.settings.budget.floor == 12


@pytest.mark.parametrize("width", [40, 80, 300])
async def test_every_width(file: Path, width: int) -> None:
    opener = Opener()
    async with playing(on_stage(opener), opener, (width, 24)) as play:
        await play.press("ctrl+s")
        await play.until(lambda: len(rows(play)) == len(known()))
        assert all(len(row) <= width for row in rows(play).values())
