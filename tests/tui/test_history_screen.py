"""Earlier conversations on the chat screen: listed, searched, taken up again as they were."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from textual.widgets import Input, OptionList

from ponder import paths
from ponder.history.store import History
from ponder.tui.screens.history import HistoryScreen
from ponder.tui.widgets.trace import TraceHeading
from ponder.types import Budget, Channel, Sampling, Span
from tui.play import Play, painted, playing, shown
from tui.stage import ANSWER, NOON, QUESTION, SECOND, Opener, staged


def remembered(title: str, question: str, thought: str, answer: str, at: float = NOON) -> int:
    """A conversation whose only turn broke off, in the history."""
    with History(paths.history_file()) as history:
        number = history.new_conversation(title, "r1-7b", "", at)
        turn = history.begin_turn(number, question, "r1-7b", Budget(), Sampling(), at)
        spans = [Span(Channel.THOUGHT, thought), Span(Channel.ANSWER, answer)]
        history.append(turn, spans)
        history.fail_turn(turn, "The engine died.")
    return number


async def opened(play: Play) -> HistoryScreen:
    await play.press("ctrl+r")
    await play.until(lambda: isinstance(play.app.screen, HistoryScreen))
    dialog = play.dialog(HistoryScreen)
    await play.until(lambda: bool(lines(play)) or dialog.query_one("#problem").display)
    return dialog


def lines(play: Play) -> list[str]:
    """What is listed."""
    options = play.dialog(HistoryScreen).query_one(OptionList).options
    return [str(option.prompt) for option in options]


async def found(play: Play, words: str, count: int) -> list[str]:
    """What a search lists."""
    dialog = play.dialog(HistoryScreen)
    dialog.query_one(Input).value = words
    await play.until(lambda: len(lines(play)) == count)
    return lines(play)


async def test_the_latest_conversation_is_listed_first() -> None:
    remembered("Older", "?", "", "", NOON - 86_400)
    remembered("Newer", "?", "", "", NOON)
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        await opened(play)
        newer, older = lines(play)
        assert "Newer" in newer
        assert "Older" in older
        assert "1 turn · r1-7b" in newer


async def test_of_many_conversations_the_marked_one_is_in_sight() -> None:
    for number in range(40):
        remembered(f"Number {number}", "?", "", "", NOON + number)
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        await opened(play)
        assert "Number 39" in painted(play.app)
        await play.press("down", "end")
        assert "Number 0 " in painted(play.app)


async def test_there_may_be_none_yet() -> None:
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        await opened(play)
        assert lines(play) == []
        assert "There are none yet." in painted(play.app)
        await play.press("enter")
        assert isinstance(play.app.screen, HistoryScreen)
        await play.press("escape")
        assert play.chatting


async def test_a_search_looks_into_questions_thinking_and_answers() -> None:
    remembered("One", "About quartz?", "Quartz is hard.", "Seven.")
    remembered("Two", "About what?", "I think of obsidian first.", "Glass.")
    remembered("Three", "About more?", "Hm.", "It is basalt.")
    opener = Opener()
    async with playing(staged(opener), opener, (120, 40)) as play:
        await opened(play)
        assert len(lines(play)) == 3
        (two,) = await found(play, "obsidian", 1)
        assert "thinking: I think of obsidian" in two
        assert "I think of obsidian first." in two
        await found(play, "marble", 0)
        await play.until(lambda: "Nothing found." in painted(play.app))
        (three,) = await found(play, "BASALT", 1)
        assert "answer: It is basalt." in three
        await found(play, "", 3)


async def test_what_was_found_is_opened() -> None:
    remembered("One", "About quartz?", "Quartz is hard.", "Seven.")
    remembered("Two", "About what?", "I think of obsidian first.", "Glass.")
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        await opened(play)
        await found(play, "quartz", 1)
        await play.press("enter")
        await play.until(lambda: bool(play.turns))
        assert play.status.startswith("One")
        assert "About quartz?" in painted(play.app)
        assert play.app.dialogue.conversation == 1


@pytest.mark.parametrize("presses", [0, 1, 2])
async def test_a_conversation_that_is_opened_again_looks_as_it_did(presses: int) -> None:
    opener = Opener(second=SECOND, hold_at=30)
    async with playing(staged(opener), opener, (100, 50)) as play:
        await play.ask_and_hold()
        await play.press("f4", *["ctrl+t"] * presses)
        play.engine.let_go()
        await play.idle()
        await play.ask("And in raspberry?")
        before = painted(play.app).splitlines()[1:-8]
        play.written()
        await play.press("ctrl+n")
        await play.until(lambda: not play.turns)
        await opened(play)
        await play.press("enter")
        await play.until(lambda: len(play.turns) == 2 and play.turn.trace is not None)
        await play.pilot.pause()
        assert painted(play.app).splitlines()[1:-8] == before
        assert play.status.startswith(QUESTION)
        await play.ask("Third?")
        assert f"<assistant>{ANSWER.strip()}<user>And in raspberry?" in play.prompts[-1]
        assert len(play.written()) == 3


async def test_a_conversation_is_opened_from_the_start() -> None:
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        await play.ask()
        receipt, heading = play.receipt, play.heading
    again = Opener()
    async with playing(staged(again, conversation=1), again) as play:
        await play.until(lambda: bool(play.turns) and play.turn.trace is not None)
        assert (play.receipt, play.heading) == (receipt, heading)
        await play.ask("Second?")
        assert QUESTION in play.prompts[-1]
        assert len(play.written()) == 2


async def test_a_turn_that_broke_off_is_shown_with_what_it_failed_of() -> None:
    remembered("One", "About quartz?", "Quartz is hard.", "Seven.")
    opener = Opener()
    async with playing(staged(opener, conversation=1), opener) as play:
        await play.until(lambda: bool(play.turns) and "died" in play.receipt)
        assert play.turn.trace_view.text == "Quartz is hard."
        assert "Seven." in painted(play.app)
        assert shown(play.turn.query_one(TraceHeading)).endswith("thinking  unfinished")
        await play.ask("More?")
        assert "quartz" not in play.prompts[-1]


async def test_a_turn_of_a_process_that_was_killed_is_shown_as_unfinished() -> None:
    with History(paths.history_file()) as history:
        number = history.new_conversation("Killed", "r1-7b", "", NOON)
        turn = history.begin_turn(number, "Why?", "r1-7b", Budget(), Sampling(), NOON)
        history.append(turn, [Span(Channel.THOUGHT, "Because")])
    opener = Opener()
    async with playing(staged(opener, conversation=1), opener) as play:
        await play.until(lambda: bool(play.turns) and bool(play.receipt))
        assert play.receipt == "unfinished: ponder ended before it did"
        assert play.turn.trace_view.text == "Because"


async def test_a_conversation_that_is_not_there_is_told() -> None:
    remembered("One", "?", "", "")
    opener = Opener()
    async with playing(staged(opener, conversation=9), opener) as play:
        await play.until(lambda: bool(play.notices))
        assert any("There is no conversation 9." in notice for notice in play.notices)
        assert play.turns == []


async def test_while_a_question_runs_no_other_conversation_is_opened() -> None:
    remembered("One", "About quartz?", "", "")
    opener = Opener(hold_at=10)
    async with playing(staged(opener), opener) as play:
        await play.ask_and_hold()
        await opened(play)
        await play.press("down", "down", "enter")
        await play.until(lambda: bool(play.notices))
        assert any("Stop the question first" in notice for notice in play.notices)
        assert len(play.turns) == 1


async def test_a_question_that_is_asked_while_a_conversation_is_read_is_asked_in_it() -> None:
    number = remembered("One", "About quartz?", "", "")
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        with closing(sqlite3.connect(play.history, isolation_level=None)) as other:
            # Whoever reads waits for this one, so that the question is sent off before.
            other.execute("PRAGMA locking_mode = EXCLUSIVE")
            other.execute("BEGIN EXCLUSIVE")
            play.app.open_conversation(number)
            await play.send("Mine?")
            assert play.subtitle.startswith("asked when the conversation is there")
            assert play.turns == []
        await play.until(lambda: len(play.told) == 2)
        assert [turn.question for turn in play.turns] == ["About quartz?", "Mine?"]
        assert [turn.question for turn in play.written()] == ["About quartz?", "Mine?"]
        assert play.composer.text == ""


async def test_a_question_that_waits_is_asked_also_where_the_conversation_cannot_be_read() -> None:
    remembered("One", "?", "", "")
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        play.app.open_conversation(9)
        await play.send("Mine?")
        await play.until(lambda: len(play.told) == 2)
        assert any("There is no conversation 9." in notice for notice in play.notices)
        assert [turn.question for turn in play.turns] == ["Mine?"]
