"""The keys of the history screen: each does what it says, and is offered where it would."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from textual.widgets import OptionList

from ponder import paths
from ponder.history.store import History
from ponder.settings import TuiSettings
from ponder.tui.screens.asking import AskScreen
from ponder.tui.screens.confirm import ConfirmScreen
from ponder.tui.screens.diff import DiffScreen
from ponder.tui.screens.history import HistoryScreen
from ponder.tui.screens.writing import WriteScreen
from ponder.tui.widgets.field import Field
from ponder.tui.widgets.keys import KeyLine
from ponder.types import Budget, Sampling
from tui.play import Play, painted, playing
from tui.stage import NOON, Opener, staged
from tui.test_history_screen import found, lines, opened, remembered


async def listing(play: Play) -> HistoryScreen:
    dialog = await opened(play)
    await play.press("down")
    return dialog


def offered(play: Play) -> set[str]:
    return {binding.description for binding in play.app.screen.query_one(KeyLine).offered}


def titles() -> list[str]:
    """What the history holds, the trash aside."""
    with History(paths.history_file()) as history:
        return [entry.title for entry in history.conversations()]


def three() -> None:
    remembered("One", "About quartz?", "Quartz is hard. So it is 7.", "Seven.", NOON + 1)
    remembered("Two", "About what?", "Quartz is hard. So it is 8.", "Glass.", NOON + 2)
    remembered("Three", "About more?", "Hm.", "It is basalt.", NOON + 3)


async def test_a_title_is_changed_also_that_of_the_open_conversation() -> None:
    three()
    opener = Opener()
    async with playing(staged(opener, conversation=3), opener) as play:
        await play.until(lambda: play.status.startswith("Three"))
        await listing(play)
        await play.press("r")
        await play.until(lambda: isinstance(play.app.screen, AskScreen))
        play.app.screen.query_one(Field).value = "Basalt\x1b"
        await play.press("enter")
        await play.until(lambda: any("Basalt␛" in line for line in lines_or_none(play)))
        await play.press("escape")
        await play.until(lambda: play.status.startswith("Basalt␛"))
    assert titles()[0] == "Basalt␛"


def lines_or_none(play: Play) -> list[str]:
    return lines(play) if isinstance(play.app.screen, HistoryScreen) else []


async def test_what_is_pinned_stands_first_until_it_is_not() -> None:
    three()
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        await listing(play)
        await play.press("end", "p")
        await play.until(lambda: "★ One" in lines(play)[0])
        await found(play, "pinned", 1)
        await play.press("p")
        await play.until(lambda: lines(play) == [])
    assert titles() == ["Three", "Two", "One"]


async def test_what_is_deleted_comes_back_with_a_key_and_from_the_trash() -> None:
    three()
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        await listing(play)
        assert "Undo" not in offered(play)
        await play.press("space", "space", "x")
        await play.until(lambda: len(lines(play)) == 1)
        assert titles() == ["One"]
        assert "Undo" in offered(play)
        await play.press("u")
        await play.until(lambda: len(lines(play)) == 3)
        assert titles() == ["Three", "Two", "One"]
        await play.press("x")
        await play.until(lambda: len(lines(play)) == 2)
        (trashed,) = await found(play, "deleted", 1)
        assert "Three" in trashed and "deleted" in trashed
        assert "Delete" not in offered(play)
        await play.press("u")
        await play.until(lambda: lines(play) == [])
    assert titles() == ["Three", "Two", "One"]


async def test_letters_are_keys_in_the_list_and_letters_in_the_field() -> None:
    three()
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        dialog = await opened(play)
        await play.press("x", "p", "r")
        assert dialog.query_one(Field).value == "xpr"
        assert titles() == ["Three", "Two", "One"]
        await found(play, "", 3)
        await play.press("down", "up")
        assert dialog.query_one(Field).has_focus


async def test_keys_of_the_history_can_be_set() -> None:
    three()
    opener = Opener()
    tui = TuiSettings(keys={"history-delete": "f9"})
    async with playing(staged(opener, tui=tui), opener) as play:
        assert play.notices == []
        await listing(play)
        await play.press("x")
        await play.press("f9")
        await play.until(lambda: len(lines(play)) == 2)
    assert titles() == ["Two", "One"]


async def test_two_that_are_marked_are_compared() -> None:
    three()
    opener = Opener()
    async with playing(staged(opener), opener, (120, 40)) as play:
        await listing(play)
        await play.press("down", "space")
        assert "Diff" not in offered(play)
        await play.press("space")
        assert "Diff" in offered(play)
        await play.press("d")
        await play.until(lambda: isinstance(play.app.screen, DiffScreen))
        await play.until(lambda: "~ So it is 8." in painted(play.app))
        shown = painted(play.app)
        assert "= Quartz is hard." in shown and "1 sentence the same · 1 changed" in shown
        await play.press("v")
        await play.until(lambda: "< So it is 8." in painted(play.app))
        assert "> So it is 7." in painted(play.app)
        await play.press("escape")
        assert isinstance(play.app.screen, HistoryScreen)


async def test_the_marked_one_is_shown_beside_where_there_is_room() -> None:
    three()
    opener = Opener()
    async with playing(staged(opener), opener, (120, 40)) as play:
        await opened(play)
        await play.until(lambda: "It is basalt." in painted(play.app))
        await found(play, "quartz 8", 1)
        await play.until(lambda: "About what?" in painted(play.app))
        await play.pilot.resize_terminal(100, 30)
        await play.until(lambda: "About what?" not in painted(play.app))


async def test_a_filter_that_cannot_be_is_told_while_it_is_typed() -> None:
    three()
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        dialog = await opened(play)
        dialog.query_one(Field).value = "in:title"
        await play.until(lambda: "no part of a turn" in painted(play.app))
        dialog.query_one(Field).value = "quartz in:thinking"
        await play.until(lambda: len(lines(play)) == 2)


async def test_a_hit_is_opened_at_its_turn() -> None:
    with History(paths.history_file()) as history:
        number = history.new_conversation("Many", "r1-7b", "", NOON)
        for at in range(12):
            turn = history.begin_turn(
                number, f"Question {at}?", "r1-7b", Budget(), Sampling(), NOON
            )
            history.fail_turn(turn, "x\n" * 10)
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        await opened(play)
        play.dialog(HistoryScreen).query_one(Field).value = '"Question 3"'
        await play.until(lambda: "question: Question 3?" in lines(play)[0])
        await play.press("enter")
        await play.until(lambda: len(play.turns) == 12)
        await play.until(lambda: "Question 3?" in painted(play.app))
        assert "Question 11?" not in painted(play.app)


async def test_who_leaves_while_it_is_searched_is_not_held_up() -> None:
    three()
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        dialog = await opened(play)
        dialog.query_one(Field).value = "quartz"
        await play.press("escape")
        await play.until(lambda: play.chatting)
        await play.pilot.pause(0.2)
        assert play.chatting


async def test_the_open_conversation_is_exported_and_nothing_overwritten_unasked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        await play.press("alt+e")
        await play.until(lambda: any("nothing to export" in notice for notice in play.notices))
        await play.ask()
        (tmp_path / "ponder-1.html").write_text("mine")
        await play.press("alt+e")
        await play.until(lambda: isinstance(play.app.screen, WriteScreen))
        await play.press("down", "down")
        assert play.app.screen.query_one(Field).value == "ponder-1.html"
        await play.press("enter")
        await play.until(lambda: isinstance(play.app.screen, ConfirmScreen))
        await play.press("enter")
        await play.until(lambda: isinstance(play.app.screen, WriteScreen))
        assert (tmp_path / "ponder-1.html").read_text() == "mine"
        play.app.screen.query_one(Field).value = "no/such/place.html"
        await play.press("enter")
        await play.until(lambda: "There is no folder" in painted(play.app))
        play.app.screen.query_one(Field).value = "ponder-1.html"
        await play.press("enter")
        await play.until(lambda: isinstance(play.app.screen, ConfirmScreen))
        await play.press("down", "enter")
        await play.until(lambda: play.chatting)
        assert any("Wrote conversation 1" in notice for notice in play.notices)
    assert "<strong>3</strong>" in (tmp_path / "ponder-1.html").read_text("utf-8")


async def test_what_is_marked_is_collected(tmp_path: Path) -> None:
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        await play.ask()
        await listing(play)
        await play.press("c")
        await play.until(lambda: isinstance(play.app.screen, WriteScreen))
        play.app.screen.query_one(OptionList).highlighted = 1
        play.app.screen.query_one(Field).value = str(tmp_path / "out.jsonl")
        await play.press("enter")
        await play.until(lambda: isinstance(play.app.screen, HistoryScreen))
        assert any("Wrote 1 line to" in notice for notice in play.notices)
    (line,) = (tmp_path / "out.jsonl").read_text("utf-8").splitlines()
    assert json.loads(line)["messages"][-1]["content"].startswith("<think>\nOkay, so I need")
