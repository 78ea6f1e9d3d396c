"""What fails while somebody chats: an engine that dies, a history that cannot be written."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ponder import paths
from ponder.errors import EngineError
from ponder.history import recorder as recorder_module
from ponder.history.store import History
from ponder.tui.screens.chat import ChatScreen
from tui.play import painted, playing
from tui.stage import ANSWER, QUESTION, THOUGHT, Opener, staged

DEATH = EngineError("The GPU is gone.", "Plug it in again.")


@pytest.mark.parametrize("hold_at", [0, 30, 100])
async def test_an_engine_that_dies_leaves_what_came_and_the_next_question_works(
    hold_at: int,
) -> None:
    opener = Opener(hold_at=hold_at)
    async with playing(staged(opener), opener) as play:
        await play.ask_and_hold("First?")
        thought = play.turn.trace_view.text
        play.engine.fail(DEATH)
        await play.idle()
        began, failed = play.told
        assert isinstance(began, ChatScreen.Began)
        assert isinstance(failed, ChatScreen.Failed)
        assert failed.error is DEATH
        assert play.receipt == "The GPU is gone.\nPlug it in again."
        assert "Plug it in again." in painted(play.app)
        assert play.turn.trace_view.text == thought
        assert play.keys.isdisjoint({"answer_now", "stop"})
        (turn,) = play.written()
        assert turn.trace is None
        assert turn.error == "The GPU is gone."
        told = "".join(span.text for span in turn.spans).strip()
        assert told.startswith(thought.strip()[:50])
        assert f"\n{THOUGHT}{ANSWER}".replace("\n", "").startswith(told.replace("\n", ""))
        assert bool(told) is (hold_at > 0)
        await play.ask("Second?")
        assert isinstance(play.told[-1], ChatScreen.Ended)
        assert "First?" not in play.prompts[-1]


async def test_a_question_that_waits_is_asked_after_one_that_failed() -> None:
    opener = Opener(hold_at=30)
    async with playing(staged(opener), opener) as play:
        await play.ask_and_hold("First?")
        await play.send("Second?")
        play.engine.fail(DEATH)
        await play.until(lambda: len(play.told) == 4)
        kinds = [type(told).__name__ for told in play.told]
        assert kinds == ["Began", "Failed", "Began", "Ended"]


async def test_whatever_an_engine_raises_does_not_end_the_chat() -> None:
    opener = Opener(hold_at=30)
    async with playing(staged(opener), opener) as play:
        await play.ask_and_hold("First?")
        play.engine.fail(ZeroDivisionError("[red]oops[/red]"))
        await play.idle()
        assert "ZeroDivisionError: [red]oops[/red]" in play.receipt
        assert "defect in ponder" in play.receipt
        await play.ask("Second?")
        assert isinstance(play.told[-1], ChatScreen.Ended)


# -- a history that cannot be written -------------------------------------------------------


def damaged(path: Path) -> None:
    path.write_bytes(b"This is no database at all. " * 200)


def of_the_future(path: Path) -> None:
    History(path).close()
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 999")


def a_folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize(
    ("harm", "word"),
    [
        (damaged, "is no history of ponder"),
        (of_the_future, "written by a newer ponder"),
        (a_folder, "history.db"),
    ],
)
async def test_a_history_that_cannot_be_written_is_told_and_the_chat_goes_on(
    home: Path, harm: object, word: str
) -> None:
    home.mkdir()
    assert callable(harm)
    harm(paths.history_file())
    before = paths.history_file().read_bytes() if paths.history_file().is_file() else b""
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        assert "not saved" not in play.status
        await play.ask()
        await play.until(lambda: "not saved" in play.status)
        assert any(word in notice for notice in play.notices)
        assert len(play.notices) == 1
        await play.ask("Second?")
        assert isinstance(play.told[-1], ChatScreen.Ended)
        assert QUESTION in play.prompts[-1]
        assert len(play.notices) == 1
    assert play.saved is False
    if before:
        assert paths.history_file().read_bytes() == before


async def test_a_locked_history_is_written_later_and_that_is_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recorder_module, "_AGAIN", 0.01)
    monkeypatch.setattr(recorder_module, "_PATIENCE", 0.0)
    History(paths.history_file()).close()
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        with closing(sqlite3.connect(play.history, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            await play.ask()
            await play.until(lambda: "not saved" in play.status)
            assert any("is locked" in notice for notice in play.notices)
            assert isinstance(play.told[-1], ChatScreen.Ended)
            other.execute("ROLLBACK")
            await play.until(lambda: "not saved" not in play.status)
        (turn,) = play.written()
        assert turn.trace == play.told[-1].trace
    assert play.saved


async def test_a_damaged_history_is_told_in_the_dialog_as_well(home: Path) -> None:
    home.mkdir()
    damaged(paths.history_file())
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        await play.press("ctrl+r")
        await play.until(lambda: "is no history of ponder" in painted(play.app).replace("\n", ""))
        await play.press("escape")
        assert play.app.screen is play.chat
