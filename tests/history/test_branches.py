"""Conversations as trees: what follows what, what is shown, and that nothing is lost."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from history.traces import trace
from ponder.errors import InputError
from ponder.history import schema
from ponder.history.branches import Tree
from ponder.history.recorder import Recorder, Slot
from ponder.history.store import History
from ponder.types import Budget, Sampling

LINEAR = next(
    at
    for at, step in enumerate(schema.MIGRATIONS)
    if any("ADD COLUMN parent" in statement for statement in step)
)
"""The version of the tables before conversations were trees."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.db"


def ask(
    history: History, chat: int, question: str, parent: int | Literal["last"] | None = "last"
) -> int:
    turn = history.begin_turn(chat, question, "m", Budget(), Sampling(), 1.0, parent=parent)
    history.finish_turn(turn, trace())
    return turn


def questions(history: History, chat: int) -> list[str]:
    return [turn.question for turn in history.turns(chat)]


def test_a_turn_follows_what_is_shown(path: Path) -> None:
    with History(path) as history:
        chat = history.new_conversation("c", "m", "", 0)
        one = ask(history, chat, "1")
        two = ask(history, chat, "2")
        again = ask(history, chat, "2b", one)
        assert questions(history, chat) == ["1", "2b"]
        ask(history, chat, "3")
        assert questions(history, chat) == ["1", "2b", "3"]
        history.choose(two)
        assert questions(history, chat) == ["1", "2"]
        assert [t.question for t in history.turns(chat, again)] == ["1", "2b", "3"]
        other = ask(history, chat, "0", None)
        (turn,) = history.turns(chat)
        assert (turn.id, turn.parent, turn.siblings) == (other, None, (one, other))
        assert (turn.position, turn.branch) == (0, "branch 2 of 2")
        history.choose(one)
        assert questions(history, chat) == ["1", "2b", "3"]
        assert [t.question for t in history.every_turn(chat)] == ["1", "2", "2b", "3", "0"]
        shown = [(b.question, b.depth, b.chosen) for b in history.branches(chat)]
        assert shown == [
            ("1", 0, True),
            ("2", 1, False),
            ("2b", 1, True),
            ("3", 2, True),
            ("0", 0, False),
        ]
        assert history.conversation(chat).turns == 5


def test_what_is_not_there_is_told_or_passed_over(path: Path) -> None:
    with History(path) as history:
        chat = history.new_conversation("c", "m", "", 0)
        assert not history.turns(chat)
        assert not history.branches(chat)
        one = ask(history, chat, "1")
        other = history.new_conversation("d", "m", "", 0)
        with pytest.raises(InputError, match="no turn 99") as refused:
            history.turns(chat, 99)
        assert str(one) in refused.value.hint
        with pytest.raises(InputError):
            history.turns(other, one)
        with pytest.raises(InputError):
            history.choose(99)
        # A parent of another conversation, or none any more, is no parent.
        assert history.turns(other) == []
        ask(history, other, "x", one)
        ask(history, chat, "2", 99)
        assert questions(history, other) == ["x"]
        assert questions(history, chat) == ["1", "2"]
        history.delete([chat])
        history.delete([chat])
        assert questions(history, other) == ["x"]


def test_a_history_from_before_there_were_branches(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its conversations are paths, whatever order their turns were numbered in."""
    every = schema.MIGRATIONS
    monkeypatch.setattr(schema, "MIGRATIONS", every[:LINEAR])
    History(path).close()
    with closing(sqlite3.connect(path)) as db, db:
        for chat in (1, 2):
            db.execute(f"INSERT INTO conversation VALUES ({chat}, 'c', 'm', '', 0, 0, 0, NULL)")
        for position in range(6):
            db.execute(
                "INSERT INTO turn (conversation, position, asked, model, budget, sampling,"
                " question, runs) VALUES (?, ?, 0, 'm', '{}', '{}', ?, '[]')",
                (1 + position % 2, position // 2, f"q{position}"),
            )
    monkeypatch.setattr(schema, "MIGRATIONS", every)
    with History(path) as history:
        assert questions(history, 1) == ["q0", "q2", "q4"]
        assert questions(history, 2) == ["q1", "q3", "q5"]
        turns = history.turns(2)
        assert [turn.parent for turn in turns] == [None, turns[0].id, turns[1].id]
        assert [turn.position for turn in turns] == [0, 1, 2]
        ask(history, 2, "q6", turns[0].id)
        assert questions(history, 2) == ["q1", "q6"]


def test_the_recorder_keeps_parents_that_are_not_written_yet(path: Path) -> None:
    recorder = Recorder(path, lambda _: None)
    chat = recorder.conversation("c", "m", "", 0)

    def begin(question: str, after: Slot | None) -> Slot:
        return recorder.begin(chat, question, "m", Budget(), Sampling(), 0.0, after=after)

    one = begin("1", None)
    two, three = begin("2", one), begin("2b", one)
    for turn in (one, two, three):
        recorder.finish(turn, trace())
    recorder.choose(two)
    assert recorder.close(20)
    with History(path) as history:
        assert chat.id is not None
        assert questions(history, chat.id) == ["1", "2"]
        assert history.turns(chat.id)[-1].siblings == (two.id, three.id)


@given(st.dictionaries(st.integers(1, 40), st.none() | st.integers(0, 45), max_size=30))
def test_any_parents_make_a_tree(parents: dict[int, int | None]) -> None:
    """Also those of a damaged file: every turn has a path, and is walked once."""
    tree = Tree.of(parents.items())
    assert sorted(turn for turn, _ in tree.walk()) == sorted(parents)
    for turn, depth in tree.walk():
        path = tree.path(turn)
        assert len(path) == depth + 1
        assert turn in tree.siblings(turn)
        newest = tree.newest(turn)
        assert newest is not None
        assert turn in tree.path(newest)
        assert set(path) <= set(tree.path(newest))
    assert tree.newest() == max(parents, default=None)
