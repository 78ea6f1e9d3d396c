"""The line of keys: what does something, as much as fits, and a click on it."""

from __future__ import annotations

import importlib
import pkgutil

import pytest
from textual.app import App
from textual.binding import Binding
from textual.widget import Widget
from textual.widgets import HelpPanel

from ponder import tui
from ponder.settings import TuiSettings
from ponder.tui.app import PonderApp
from ponder.tui.screens import bindings
from ponder.tui.screens.chat import ChatScreen
from ponder.tui.widgets.keys import KeyLine
from tui.play import playing
from tui.stage import Opener, staged


async def test_where_it_is_narrow_the_list_of_all_keys_stays_in_sight() -> None:
    opener = Opener(hold_at=20)
    async with playing(staged(opener), opener) as play:
        await play.ask_and_hold()
        line = play.app.screen.query_one(KeyLine).render_line(0).text
        assert "f2 Answer now" in line
        assert "f4 Wait" in line
        assert line.rstrip().endswith("f1 Keys")
        play.engine.let_go()
        await play.idle()
        line = play.app.screen.query_one(KeyLine).render_line(0).text
        assert "Answer now" not in line
        assert "^n New" in line


async def test_a_click_on_a_key_presses_it() -> None:
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        await play.loaded()
        line = play.app.screen.query_one(KeyLine).render_line(0).text
        await play.pilot.click(KeyLine, offset=(line.index("f1"), 0))
        await play.until(lambda: bool(play.app.screen.query(HelpPanel)))


def declared() -> dict[type, list[Binding]]:
    """The keys that every screen and widget of this room declares."""
    found: dict[type, list[Binding]] = {}
    for module in pkgutil.walk_packages(tui.__path__, "ponder.tui."):
        for kind in vars(importlib.import_module(module.name)).values():
            if (
                isinstance(kind, type)
                and issubclass(kind, Widget | App)
                and "BINDINGS" in vars(kind)
            ):
                found[kind] = list(Binding.make_bindings(kind.BINDINGS))
    return {kind: keys for kind, keys in found.items() if kind.__module__.startswith("ponder.")}


def test_every_key_of_a_screen_or_widget_has_a_name_a_word_and_a_sentence_and_no_two_are_one() -> (
    None
):
    names = {"ChatScreen", "BudgetScreen", "ModelScreen", "Composer", "Reading"}
    assert names <= {kind.__name__ for kind in declared()}
    offered = Binding.make_bindings([*PonderApp.BINDINGS, *bindings.CHAT, *bindings.ELSEWHERE])
    settable = {key.id for key in offered}
    for kind, keys in declared().items():
        for key in keys:
            if key.key.isdigit() or key.key in ("tab", "shift+tab"):
                continue  # the same everywhere: a number picks that one, tab goes on
            assert key.id in settable, f"{kind.__name__}: {key.key} cannot be set to another key"
            assert key.description, f"{kind.__name__}: {key.key} is called nothing"
            assert key.tooltip, f"{kind.__name__}: nobody is told what {key.key} does"
        pressed = [one for key in keys for one in key.key.split(",")]
        assert len(set(pressed)) == len(pressed), f"{kind.__name__} has two uses for one key"


async def test_every_key_of_the_chat_is_in_the_palette_and_can_be_another() -> None:
    names = [key.id for key in declared()[ChatScreen] if key.id]
    keys = {name: f"f{number}" for number, name in enumerate([*names, "cancel", "into-list"], 30)}
    opener = Opener()
    async with playing(staged(opener, tui=TuiSettings(keys=keys)), opener) as play:
        assert play.notices == []
        told = {command.title for command in play.app.get_system_commands(play.app.screen)}
        for key in declared()[ChatScreen]:
            assert key.description in told
        active = play.app.screen.active_bindings.items()
        mapped = {
            one.binding.id: key for key, one in active if one.node is play.chat and one.binding.id
        }
        assert len(mapped) > 8  # what does something at the moment
        assert mapped == {name: keys[name] for name in mapped}


async def test_the_composer_asks_and_breaks_lines_with_the_users_own_keys() -> None:
    opener = Opener()
    tui = TuiSettings(keys={"ask": "f12", "newline": "f11"})
    async with playing(staged(opener, tui=tui), opener) as play:
        await play.press("a", "enter", "b", "f11", "c")
        assert play.composer.text == "a\nb\nc"
        await play.press("f12")
        await play.until(lambda: len(play.told) == 2)
        assert "<user>a\nb\nc<assistant>" in play.prompts[0]


@pytest.mark.parametrize(
    ("keys", "both"),
    [
        ({"history": "f12", "budget": "f12"}, {"history", "budget"}),
        ({"history": "f11, f12", "budget": "ctrl+b,f12"}, {"history", "budget"}),
        ({"history": "ctrl+b"}, {"history", "budget"}),
        ({"history": "f1"}, {"history", "keys"}),
        ({"ask": "ctrl+b"}, {"ask", "budget"}),
        ({"history": "ctrl+b", "budget": "ctrl+r"}, set()),
        ({"history": "f12", "trace-fold": "f12"}, set()),
    ],
)
async def test_two_actions_on_one_key_are_named_and_neither_is_set(
    keys: dict[str, str], both: set[str]
) -> None:
    opener = Opener()
    tui = TuiSettings(keys={**keys, "quit": "f24"})
    async with playing(staged(opener, tui=tui), opener) as play:
        await play.loaded()
        told = "".join(play.notices)
        assert ("would do two things" in told) is bool(both)
        assert all(name in told for name in both)
        active = play.app.screen.active_bindings
        assert active["f24"].binding.id == "quit"
        for name in both:
            default = next(key for kind in declared().values() for key in kind if key.id == name)
            assert active[default.key].binding.id == name
        for name in set(keys) - both - {"trace-fold"}:
            assert active[keys[name]].binding.id == name
