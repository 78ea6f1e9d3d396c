"""Conversations on their shelf: pinned, filtered, put into the trash and taken out again."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest

from history.traces import ANSWER, THOUGHT, trace
from ponder.errors import InputError
from ponder.history import query, schema
from ponder.history.shelf import KEPT
from ponder.history.store import History
from ponder.types import Budget, Sampling, Span

DAY = 86_400.0


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    with History(tmp_path / "history.db") as opened:
        yield opened


def tell(
    history: History,
    title: str,
    at: float = 0.0,
    model: str = "r1-7b",
    thinking: str = "Red.",
    answer: str = "Blue.",
) -> int:
    number = history.new_conversation(title, model, "", at)
    turn = history.begin_turn(number, f"{title}?", model, Budget(), Sampling(), at)
    history.finish_turn(turn, trace(Span(THOUGHT, thinking), Span(ANSWER, answer)))
    return number


def titles(history: History, text: str = "") -> list[str]:
    return [entry.title for entry in history.conversations(query=query.read(text))]


def hits(history: History, text: str) -> list[str]:
    return [hit.conversation.title for hit in history.search(text)]


def test_what_is_pinned_stands_first(history: History) -> None:
    numbers = [tell(history, title, at) for at, title in enumerate("abc")]
    history.pin(numbers[0])
    assert titles(history) == ["a", "c", "b"]
    assert titles(history, "pinned") == ["a"]
    assert [entry.pinned for entry in history.conversations()] == [True, False, False]
    history.pin(numbers[0], False)
    assert titles(history) == ["c", "b", "a"]
    with pytest.raises(InputError, match="no conversation 99"):
        history.pin(99)


def test_what_is_deleted_is_nowhere_shown_and_comes_back_whole(history: History) -> None:
    old, new = tell(history, "old", 1), tell(history, "new", 2)
    before = history.turns(new)
    assert history.trash([new, 99], 3) == 1
    assert history.trash([new], 4) == 0
    assert titles(history) == hits(history, "red") == ["old"]
    latest = history.latest()
    assert latest is not None and latest.id == old
    assert titles(history, "deleted") == hits(history, "red deleted") == ["new"]
    assert history.conversation(new).deleted == 3
    assert history.restore([new, old, 99]) == 1
    assert titles(history) == ["new", "old"]
    assert history.turns(new) == before


def test_the_trash_is_emptied_when_it_is_old_enough(history: History) -> None:
    first, second = tell(history, "first"), tell(history, "second")
    history.trash([first], 0)
    history.trash([second], DAY)
    tell(history, "still there", KEPT)
    assert set(titles(history, "deleted")) == {"first", "second"}
    tell(history, "another", KEPT + 1)
    assert titles(history, "deleted") == ["second"]
    third = tell(history, "third")
    history.trash([third], KEPT + DAY + 1)
    assert titles(history, "deleted") == ["third"]
    with pytest.raises(InputError):
        history.conversation(first)


def test_what_the_trash_gave_up_is_not_left_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    with History(path) as history:
        number = tell(history, "secret plan")
        history.trash([number], 0)
        assert history.empty_trash(1) == 1
        held = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"secret plan" not in held


def test_who_asks_in_a_deleted_conversation_takes_it_out_of_the_trash(history: History) -> None:
    number = tell(history, "gone on with")
    history.trash([number], 1)
    history.begin_turn(number, "And?", "r1-7b", Budget(), Sampling(), 2)
    assert titles(history) == ["gone on with"]


def test_filters_narrow_a_list_and_a_search(history: History) -> None:
    noon = datetime(2026, 10, 1, 12).astimezone().timestamp()
    tell(history, "early", noon - DAY, "s1-32b")
    tell(history, "mute", noon, "r1-7b", thinking="")
    pinned = tell(history, "late", noon + 40 * DAY, "DeepSeek-R1")
    history.pin(pinned)
    for text, wanted in {
        "model:r1": ["late", "mute"],
        "model:R1 model:deep": ["late"],
        "in:thinking": ["late", "early"],
        "since:2026-10-01": ["late", "mute"],
        "since:2026-10-02": ["late"],
        "before:2026-10": ["early"],
        "since:2026-10 before:2026-11": ["mute"],
        "pinned": ["late"],
        "pinned before:2026": [],
        "": ["late", "mute", "early"],
        "model: in: since:": ["late", "mute", "early"],
    }.items():
        assert titles(history, text) == wanted, text
        assert hits(history, f"blue {text}") == (
            [t for t in wanted if t != "mute"] if text == "in:thinking" else wanted
        ) * (text != "in:thinking")


def test_a_search_looks_only_where_it_is_told_to(history: History) -> None:
    tell(history, "colour", thinking="red and green", answer="red")
    assert hits(history, "green in:thinking") == ["colour"]
    assert hits(history, "green in:answer") == []
    assert hits(history, "red green in:answers in:thinking") == ["colour"]
    (hit,) = history.search("red in:answer")
    assert hit.where == "answer"


@pytest.mark.parametrize("text", ['"pinned"', "http://x", "question:", "modelled:r1", "in"])
def test_what_is_no_filter_is_a_word(history: History, text: str) -> None:
    assert query.read(text).wanted.phrases == (text.strip('"'),)
    tell(history, "x", thinking=f"so {text} it is".replace('"', ""))
    assert hits(history, text) == ["x"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("in:title", "answer, question, thinking"),
        ("since:yesterday", "since:2026-10-01"),
        ("before:2026-13-01", "before:2026-10-01"),
        ("since:0001-01-01x", "is no date"),
    ],
)
def test_a_filter_that_cannot_be_is_told(text: str, told: str) -> None:
    with pytest.raises(InputError) as refused:
        query.read(text)
    assert told in f"{refused.value.message} {refused.value.hint}"


def test_a_history_from_before_there_was_a_trash_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "history.db"
    with closing(sqlite3.connect(path)) as db:
        for statement in schema.MIGRATIONS[0]:
            db.execute(statement)
        db.execute("INSERT INTO conversation VALUES (1, 'old one', 'm', '', 5.0, 6.0)")
        db.execute(
            "INSERT INTO turn (conversation, position, asked, model, budget, sampling, question)"
            " VALUES (1, 0, 6.0, 'm', '{}', '{}', 'marbles?')"
        )
        db.execute(f"PRAGMA application_id = {schema.APPLICATION}")
        db.execute("PRAGMA user_version = 1")
        db.commit()
    with History(path) as history:
        (entry,) = history.conversations()
        assert (entry.title, entry.pinned, entry.deleted) == ("old one", False, None)
        assert hits(history, "marbles") == ["old one"]
        history.pin(1)
        history.trash([1], 7)
        assert titles(history, "deleted pinned") == ["old one"]


def test_a_search_walks_the_newest_turns_and_sorts_nothing(history: History) -> None:
    """10,000 conversations are searched at once; a sort would read all of them first."""
    for at in range(20):
        tell(history, "marbles", at)
    plans: list[str] = []

    class Watching:
        def execute(self, sql: str, values: object = ()) -> object:
            if "ORDER BY t.asked" in sql:
                rows = history._db.execute(f"EXPLAIN QUERY PLAN {sql}", values)  # type: ignore[arg-type]
                plans.append("\n".join(str(row[3]) for row in rows))
            return history._db.execute(sql, values)  # type: ignore[arg-type]

    for text in ("marbles", "ma", "marbles model:r1 since:2020 pinned"):
        list(history._candidates(Watching(), query.read(text)))  # type: ignore[arg-type]
    assert len(plans) == 3
    for plan in plans:
        assert "USING INDEX turn_latest" in plan or "USING COVERING INDEX turn_latest" in plan
        assert "TEMP B-TREE" not in plan
