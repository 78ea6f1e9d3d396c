"""The recorder: in order, never in the way, and nothing lost that could be kept."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from queue import Queue

import pytest

from history.traces import ANSWER, THOUGHT, trace
from ponder.errors import HistoryError
from ponder.history import recorder as module
from ponder.history.recorder import Recorder, Slot
from ponder.history.store import History
from ponder.types import Budget, Sampling, Span

LONG = 60.0
"""Seconds that are never waited for unless something is broken."""


class Told:
    """What the recorder tells of its troubles, in order."""

    def __init__(self) -> None:
        self.queue: Queue[HistoryError | None] = Queue()
        self.threads: set[str] = set()

    def __call__(self, trouble: HistoryError | None) -> None:
        self.threads.add(threading.current_thread().name)
        self.queue.put(trouble)

    def next(self) -> HistoryError | None:
        return self.queue.get(timeout=LONG)

    @property
    def silent(self) -> bool:
        return self.queue.empty()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "history.db"


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def recorder(path: Path, told: Told, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    monkeypatch.setattr(module, "_AGAIN", 0.01)
    monkeypatch.setattr(module, "_SOON", 0.01)
    monkeypatch.setattr(module, "_PATIENCE", 0.0)
    made = Recorder(path, told)
    yield made
    made.close(LONG)


def begun(recorder: Recorder, conversation: Slot | None = None, question: str = "q") -> Slot:
    chat = conversation or recorder.conversation("Marbles", "m", "Be brief.", 1.0)
    return recorder.begin(chat, question, "m", Budget(cap=320), Sampling(seed=5), 2.0)


def thought(text: str) -> list[Span]:
    return [Span(THOUGHT, text)]


def locked(path: Path) -> sqlite3.Connection:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    return other


def test_what_is_handed_over_is_written(recorder: Recorder, path: Path, told: Told) -> None:
    chat = recorder.conversation("Marbles", "m", "Be brief.", 1.0)
    first, second = begun(recorder, chat, "one"), begun(recorder, chat, "two")
    for piece in "abc":
        recorder.append(first, thought(piece))
        recorder.append(second, [Span(ANSWER, piece)])
    recorder.finish(first, trace())
    recorder.fold(first, True)
    third = begun(recorder, chat, "three")
    recorder.append(third, thought("hm"))
    recorder.fail(third, "The engine died.")
    recorder.rename(chat, "Beads")
    assert recorder.flush(LONG)
    assert chat.id is not None
    with History(path) as history:
        assert history.conversation(chat.id).title == "Beads"
        assert history.conversation(chat.id).system == "Be brief."
        turns = history.turns(chat.id)
    assert [turn.id for turn in turns] == [first.id, second.id, third.id]
    assert [turn.question for turn in turns] == ["one", "two", "three"]
    assert turns[0].trace == trace()
    assert turns[0].folded is True
    assert turns[1].spans == (Span(ANSWER, "abc"),)
    assert (turns[1].trace, turns[1].error) == (None, "")
    assert turns[1].budget == Budget(cap=320)
    assert turns[1].sampling == Sampling(seed=5)
    assert (turns[2].spans, turns[2].error) == ((Span(THOUGHT, "hm"),), "The engine died.")
    assert recorder.close(LONG)
    assert told.silent


def test_an_empty_conversation_leaves_nothing(recorder: Recorder, path: Path) -> None:
    chat = recorder.conversation("Marbles", "m", "", 1.0)
    assert recorder.close(LONG)
    assert chat.id is None
    assert not path.parent.exists()


def test_a_title_may_come_before_the_first_question(recorder: Recorder, path: Path) -> None:
    chat = recorder.conversation("old", "m", "", 1.0)
    recorder.rename(chat, "new")
    begun(recorder, chat)
    assert recorder.close(LONG)
    with History(path) as history:
        assert [entry.title for entry in history.conversations()] == ["new"]


def test_an_existing_conversation_is_added_to(recorder: Recorder, path: Path) -> None:
    with History(path) as history:
        number = history.new_conversation("old", "m", "", 1.0)
        turn = history.begin_turn(number, "before", "m", Budget(), Sampling(), 1.0)
    chat = recorder.existing(number)
    begun(recorder, chat)
    recorder.fold(recorder.existing_turn(turn), False)
    recorder.rename(chat, "new")
    assert recorder.close(LONG)
    with History(path) as history:
        assert [turn.question for turn in history.turns(number)] == ["before", "q"]
        assert history.turns(number)[0].folded is False
        assert history.conversation(number).title == "new"


def test_while_it_is_locked_everything_waits(recorder: Recorder, path: Path, told: Told) -> None:
    first = begun(recorder)
    assert recorder.flush(LONG)
    with closing(locked(path)):
        for at in range(2000):
            recorder.append(first, thought(f"{at} "))
        trouble = told.next()
        assert trouble is not None
        assert "another program is using it" in trouble.message
        for at in range(2000, 3000):
            recorder.append(first, thought(f"{at} "))
        second = begun(recorder)
        recorder.append(second, thought("more"))
        recorder.finish(second, trace())
        assert not recorder.flush(0.2)
        assert told.silent  # it has failed many times meanwhile, and is told once
    assert told.next() is None
    assert recorder.close(LONG)
    assert told.silent
    assert told.threads == {"ponder-recorder"}
    with History(path) as history:
        (kept,) = [
            t for c in history.conversations() for t in history.turns(c.id) if t.id == first.id
        ]
        assert kept.spans == (Span(THOUGHT, "".join(f"{at} " for at in range(3000))),)
        assert second.id is not None
        # What waited was joined: it is a few fragments, not thousands.
        count = history._db.execute("SELECT count(*) FROM fragment").fetchone()[0]
        assert count < 1000


def test_a_new_history_may_be_locked_too(recorder: Recorder, path: Path, told: Told) -> None:
    History(path).close()
    with closing(locked(path)):
        turn = begun(recorder)
        trouble = told.next()
        assert trouble is not None
        assert turn.id is None
    assert told.next() is None
    assert recorder.close(LONG)
    assert turn.id is not None


def test_a_full_disk_that_gets_room_again_loses_nothing(
    recorder: Recorder, path: Path, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = threading.Event()

    class Small(History):
        """A history on a disk that is full until there is room."""

        def append(self, turn: int, spans: Iterable[Span], trace: int = 0) -> None:
            self._db.execute(f"PRAGMA max_page_count = {10**6 if room.is_set() else 1}")
            super().append(turn, spans, trace)

    monkeypatch.setattr(module, "History", Small)
    turn = begun(recorder)
    texts = [f"{at}:" + "x" * 20_000 for at in range(50)]
    for text in texts:
        recorder.append(turn, thought(text))
    trouble = told.next()
    assert trouble is not None
    assert "disk is full" in trouble.message
    assert not recorder.flush(0.05)
    room.set()
    assert told.next() is None
    assert recorder.flush(LONG)
    with History(path) as history:
        latest = history.latest()
        assert latest is not None
        assert history.turns(latest.id)[0].spans == (Span(THOUGHT, "".join(texts)),)
    recorder.finish(turn, trace())
    assert recorder.close(LONG)
    assert told.silent


@pytest.mark.parametrize("broken", ["newer", "damaged", "folder"])
def test_what_fails_for_good_is_told_once(
    recorder: Recorder, path: Path, told: Told, broken: str
) -> None:
    if broken == "folder":
        path.mkdir(parents=True)
    else:
        History(path).close()
        if broken == "newer":
            with closing(sqlite3.connect(path)) as db:
                db.execute("PRAGMA user_version = 99")
        else:
            path.write_bytes(b"no database" * 1000)
    for _ in range(3):
        turn = begun(recorder)
        recorder.append(turn, thought("x"))
        recorder.finish(turn, trace())
    assert not recorder.flush(LONG)
    trouble = told.next()
    assert trouble is not None
    assert str(path) in trouble.message
    assert trouble.hint
    assert not recorder.close(LONG)
    assert told.silent


def test_damage_that_comes_later_is_told(recorder: Recorder, path: Path, told: Told) -> None:
    turn = begun(recorder)
    assert recorder.flush(LONG)
    with closing(sqlite3.connect(path)) as db:
        db.execute("DROP TABLE fragment")
    recorder.append(turn, thought("x"))
    trouble = told.next()
    assert trouble is not None
    assert "damaged" in trouble.message
    recorder.append(turn, thought("x"))
    assert not recorder.close(LONG)
    assert told.silent


def test_what_cannot_be_stored_is_dropped_alone(recorder: Recorder, path: Path, told: Told) -> None:
    turn = begun(recorder)
    recorder.finish(turn, replace(trace(), tokens=(2**40,)))
    trouble = told.next()
    assert trouble is not None
    recorder.finish(turn, replace(trace(), tokens=("no number",)))  # type: ignore[arg-type]
    trouble = told.next()
    assert trouble is not None
    other = begun(recorder)
    assert told.next() is None
    assert not recorder.close(LONG)  # for something was lost
    with History(path) as history:
        assert len(history.conversations()) == 2
    assert other.id is not None


def test_who_is_told_may_fail(path: Path) -> None:
    def gone(_: HistoryError | None) -> None:
        raise RuntimeError("no screen any more")

    recorder = Recorder(path, gone)
    broken = begun(recorder)
    recorder.finish(broken, replace(trace(), tokens=(2**40,)))
    turn = begun(recorder)
    recorder.flush(LONG)
    recorder.close(LONG)
    assert turn.id is not None


def test_a_conversation_that_another_ponder_deletes_is_made_again(
    recorder: Recorder, path: Path, told: Told
) -> None:
    chat = recorder.conversation("Marbles", "m", "Be brief.", 1.0)
    before, turn = begun(recorder, chat, "before"), begun(recorder, chat, "streams")
    recorder.append(turn, thought("lost with it, "))
    assert recorder.flush(LONG)
    old = chat.id
    with History(path) as history:
        assert history.delete([old or 0]) == 1
    recorder.fold(before, True)
    recorder.rename(chat, "Beads")
    recorder.append(turn, thought("kept"))
    assert recorder.flush(LONG)
    with History(path) as history:
        (again,) = history.conversations()
        assert again.id == chat.id != old
        assert (again.title, again.system, again.created) == ("Beads", "Be brief.", 1.0)
        (streams,) = history.turns(again.id)
        assert (streams.id, streams.question) == (turn.id, "streams")
        assert streams.spans == (Span(THOUGHT, "kept"),)
    recorder.finish(turn, trace())
    begun(recorder, chat, "after")
    assert recorder.close(LONG)
    with History(path) as history:
        turns = history.turns(again.id)
        assert [turn.question for turn in turns] == ["streams", "after"]
        assert turns[0].trace == trace()
    assert told.silent


@pytest.mark.parametrize("looked", [True, False])
def test_an_existing_one_that_is_deleted_is_made_again(
    recorder: Recorder, path: Path, looked: bool
) -> None:
    with History(path) as history:
        number = history.new_conversation("title", "m", "system", 1.0)
        chat = recorder.existing(number)
        if looked:
            begun(recorder, chat)
            assert recorder.flush(LONG)
        history.delete([number])
        begun(recorder, chat, "again")
        assert recorder.close(LONG)
        (again,) = history.conversations()
        assert again.id == chat.id != number
        assert again.title == ("title" if looked else "again")
        assert again.system == ("system" if looked else "")


def test_closing_while_it_is_locked_gives_up_in_time(path: Path, told: Told) -> None:
    History(path).close()
    with closing(locked(path)):
        recorder = Recorder(path, told)
        turn = begun(recorder)
        assert not recorder.close(0.1)
        assert turn.id is None
        # Its thread ends as soon as the store's own patience does.
        recorder._thread.join(LONG)
        assert not recorder._thread.is_alive()
    assert not recorder.close(LONG)


def test_after_it_is_closed_nothing_is_written(recorder: Recorder, path: Path) -> None:
    assert recorder.close(LONG)
    assert recorder.close(LONG)
    turn = begun(recorder)
    recorder.append(turn, thought("x"))
    assert not recorder.close(LONG)
    assert turn.id is None
    assert not path.exists()


def test_text_that_comes_after_the_end_is_passed_over(
    recorder: Recorder, path: Path, told: Told
) -> None:
    turn = begun(recorder)
    recorder.finish(turn, trace())
    assert recorder.flush(LONG)
    recorder.append(turn, thought("late"))
    assert recorder.close(LONG)
    assert told.silent
    with History(path) as history:
        latest = history.latest()
        assert latest is not None
        assert history.turns(latest.id)[0].trace == trace()


def test_its_thread_does_not_keep_the_process(recorder: Recorder) -> None:
    assert recorder._thread.daemon
    assert recorder.flush(LONG)
    assert recorder.close(LONG)
    assert not recorder._thread.is_alive()
