"""What is handed to the history comes out again, to the letter."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from history.traces import ANSWER, THOUGHT, budgets, samplings, spans, texts, trace, traces
from ponder.errors import HistoryError, InputError
from ponder.history.codec import merged
from ponder.history.records import Turn
from ponder.history.store import History
from ponder.types import Budget, Sampling, Span, Trace

Kept = tuple[History, int]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    """One history for many examples, and a conversation in it."""
    with History(tmp_path_factory.mktemp("kept") / "history.db") as history:
        yield history, history.new_conversation("Marbles", "r1-7b", "", 1.0)


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    with History(tmp_path / "history.db") as opened:
        yield opened


def asked(history: History, conversation: int, question: str = "38 + 47?", at: float = 2.0) -> int:
    return history.begin_turn(conversation, question, "r1-7b", Budget(), Sampling(), at)


def last(history: History, conversation: int) -> Turn:
    """The last turn; none is kept, so that the next example has no more to read."""
    turn = history.turns(conversation)[-1]
    history._db.execute("DELETE FROM turn")
    return turn


@settings(max_examples=150)
@given(
    question=texts, given_trace=traces, budget=budgets, sampling=samplings, early=st.lists(spans)
)
def test_a_trace_comes_back_exactly(
    kept: Kept,
    question: str,
    given_trace: Trace,
    budget: Budget,
    sampling: Sampling,
    early: list[Span],
) -> None:
    history, conversation = kept
    number = history.begin_turn(conversation, question, "r1-7b", budget, sampling, 2.5)
    history.append(number, early)
    history.finish_turn(number, given_trace)
    turn = last(history, conversation)
    assert turn.id == number
    assert turn.question == question
    assert turn.budget == budget
    assert turn.sampling == sampling
    assert turn.trace == given_trace
    assert turn.spans == given_trace.spans
    assert turn.asked == 2.5
    assert turn.error == ""


@settings(max_examples=60)
@given(batches=st.lists(st.lists(spans, max_size=4), max_size=6))
def test_text_that_streams_is_there_at_once(kept: Kept, batches: list[list[Span]]) -> None:
    history, conversation = kept
    number = asked(history, conversation)
    for batch in batches:
        history.append(number, batch)
    turn = last(history, conversation)
    assert turn.id == number
    assert list(turn.spans) == merged(span for batch in batches for span in batch)
    assert turn.trace is None
    assert turn.error == ""


@settings(max_examples=60)
@given(early=st.lists(spans, max_size=6), message=texts)
def test_a_failed_turn_keeps_its_text(kept: Kept, early: list[Span], message: str) -> None:
    history, conversation = kept
    number = asked(history, conversation, "surrogate \ud800")
    history.append(number, early)
    history.fail_turn(number, message)
    turn = last(history, conversation)
    assert list(turn.spans) == merged(early)
    assert turn.question == "surrogate \ud800"
    assert turn.trace is None
    assert turn.error
    assert len(turn.error) == len(message) or not message


def test_it_is_reopened_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    with History(path) as history:
        number = history.new_conversation("Marbles", "r1-7b", "Be brief.", 1.0)
        done, left = asked(history, number, at=2.0), asked(history, number, at=3.0)
        history.finish_turn(done, trace())
        history.append(left, [Span(THOUGHT, "Hm")])
        before = history.turns(number), history.conversation(number)
    with History(path) as history:
        assert (history.turns(number), history.conversation(number)) == before
        assert before[1].system == "Be brief."
        assert before[1].turns == 2
        assert before[0][1].spans == (Span(THOUGHT, "Hm"),)


def test_what_a_later_ponder_adds_to_a_row_is_passed_over(history: History) -> None:
    number = history.new_conversation("", "", "", 0)
    turn = asked(history, number)
    history.finish_turn(turn, trace())
    before = history.turns(number)
    more = "json_set(sampling, '$.mirostat', 2)"
    history._db.execute(
        f"UPDATE turn SET sampling = {more}, account = json_set(account, '$.usage.joules', 3)"
    )
    assert history.turns(number) == before
    # And what this ponder has added since has its default.
    history._db.execute("UPDATE turn SET sampling = json_remove(sampling, '$.dry_base')")
    assert history.turns(number) == before


def test_a_turn_that_makes_no_sense_is_damage(history: History) -> None:
    number = history.new_conversation("", "", "", 0)
    history.finish_turn(asked(history, number), trace())
    for column, value in (
        ("tokens", b"no zlib"),
        ("finish", "eaten"),
        ("account", "{"),
        ("runs", "[[1]]"),
    ):
        history._db.execute("SAVEPOINT whole")
        history._db.execute(f"UPDATE turn SET {column} = ?", (value,))
        with pytest.raises(HistoryError, match="damaged: turn 1"):
            history.turns(number)
        history._db.execute("ROLLBACK TO whole")
        history._db.execute("RELEASE whole")
    assert history.turns(number)[0].trace == trace()


def test_the_list_begins_with_what_was_asked_last(history: History) -> None:
    first, second, third = (history.new_conversation(f"{n}", "m", "", n) for n in range(3))
    assert [entry.id for entry in history.conversations()] == [third, second, first]
    asked(history, first, at=10)
    asked(history, second, at=9)
    assert [entry.id for entry in history.conversations()] == [first, second, third]
    assert [entry.id for entry in history.conversations(1, offset=1)] == [second]
    latest = history.latest()
    assert latest is not None
    assert (latest.id, latest.updated, latest.created, latest.turns) == (first, 10, 0, 1)


def test_a_clock_that_went_back_moves_nothing_down(history: History) -> None:
    number = history.new_conversation("", "", "", 100)
    asked(history, number, at=50)
    assert history.conversation(number).updated == 100


def test_an_empty_history_has_nothing(history: History) -> None:
    assert history.conversations() == []
    assert history.latest() is None
    with pytest.raises(InputError) as refused:
        history.conversation(1)
    assert "empty" in refused.value.hint


@pytest.mark.parametrize("unknown", [0, -1, 50, 10**30, -(10**30)])
def test_an_unknown_conversation_names_those_near_it(history: History, unknown: int) -> None:
    for _ in range(20):
        history.new_conversation("", "", "", 0)
    for look in (history.conversation, history.turns):
        with pytest.raises(InputError, match=f"no conversation {unknown}") as refused:
            look(unknown)
        near = "1, 2, 3, 4, 5" if unknown < 1 else "16, 17, 18, 19, 20"
        assert near in refused.value.hint
        assert "ponder history" in refused.value.hint
    with pytest.raises(InputError):
        asked(history, unknown)
    with pytest.raises(InputError):
        history.rename(unknown, "x")
    assert history.delete([unknown]) == 0


def test_an_unknown_turn_is_told(history: History) -> None:
    acts: list[Callable[[], None]] = [
        lambda: history.append(9, [Span(THOUGHT, "x")]),
        lambda: history.finish_turn(9, trace()),
        lambda: history.fail_turn(9, "x"),
        lambda: history.fold(9, True),
    ]
    for act in acts:
        with pytest.raises(InputError, match="no turn 9"):
            act()


def test_nothing_is_added_to_a_turn_that_is_over(history: History) -> None:
    number = history.new_conversation("", "", "", 0)
    turn = asked(history, number)
    history.finish_turn(turn, trace())
    with pytest.raises(InputError, match="over"):
        history.append(turn, [Span(ANSWER, "late")])
    assert history.turns(number)[0].trace == trace()


def test_fragments_go_when_their_turn_is_over(history: History) -> None:
    number = history.new_conversation("", "", "", 0)
    turns = [asked(history, number) for _ in range(3)]
    for turn in turns:
        history.append(turn, [Span(THOUGHT, "x")])
    history.finish_turn(turns[0], trace())
    history.fail_turn(turns[1], "x")
    left = history._db.execute("SELECT turn FROM fragment").fetchall()
    assert [row[0] for row in left] == [turns[2]]


def test_a_later_failure_leaves_the_trace(history: History) -> None:
    number = history.new_conversation("", "", "", 0)
    turn = asked(history, number)
    history.finish_turn(turn, trace())
    history.fail_turn(turn, "late")
    (read,) = history.turns(number)
    assert (read.trace, read.error) == (trace(), "late")


def test_folding_and_renaming_are_remembered(history: History) -> None:
    number = history.new_conversation("old", "", "", 0)
    turn = asked(history, number)
    assert history.turns(number)[0].folded is None
    for choice in (True, False, None):
        history.fold(turn, choice)
        assert history.turns(number)[0].folded is choice
    history.rename(number, "new\ud800")
    assert history.conversation(number).title == "new\ufffd"


def test_deleting_takes_everything_along(history: History) -> None:
    numbers = [history.new_conversation("", "", "", 0) for _ in range(3)]
    for number in numbers:
        history.finish_turn(asked(history, number, "marbles"), trace())
        history.append(asked(history, number, "streams"), [Span(THOUGHT, "marbles")])
    assert history.delete([*numbers[:2], numbers[0], 99]) == 2
    assert [entry.id for entry in history.conversations()] == [numbers[2]]
    assert {hit.conversation.id for hit in history.search("marbles")} == {numbers[2]}
    left = [
        history._db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        for table in ("turn", "fragment")
    ]
    assert left == [2, 1]
    # The index agrees with the table, or this is an error.
    history._db.execute("INSERT INTO turn_text (turn_text, rank) VALUES ('integrity-check', 1)")


def test_what_was_deleted_is_not_left_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    with History(path) as history:
        number = history.new_conversation("", "", "", 0)
        history.finish_turn(asked(history, number, "unspeakable secret"), trace())
        history.delete([number])
        files = [file.read_bytes() for file in tmp_path.iterdir()]
    assert len(files) >= 2
    assert not any(b"unspeakable" in data for data in files)


def test_a_number_is_never_given_twice(history: History) -> None:
    number = history.new_conversation("", "", "", 0)
    turn = asked(history, number)
    history.delete([number])
    again = history.new_conversation("", "", "", 0)
    assert again > number
    assert asked(history, again) > turn


def test_together_is_all_or_nothing(history: History) -> None:
    with pytest.raises(ZeroDivisionError), history.together():
        asked(history, history.new_conversation("", "", "", 0))
        assert history.latest() is not None
        _ = 1 / 0
    assert history.latest() is None
    with history.together():
        asked(history, history.new_conversation("", "", "", 0))
    assert history.latest() is not None


def test_a_token_that_no_vocabulary_has_is_refused(history: History) -> None:
    turn = asked(history, history.new_conversation("", "", "", 0))
    with pytest.raises(HistoryError, match="Too large"):
        history.finish_turn(turn, replace(trace(), tokens=(2**40,)))
    history.finish_turn(turn, trace())


def test_a_closed_history_says_so(tmp_path: Path) -> None:
    history = History(tmp_path / "history.db")
    history.close()
    history.close()
    with pytest.raises(HistoryError, match="cannot be used"):
        history.conversations()


def test_folder_and_file_are_for_their_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "history.db"
    with History(path) as history:
        history.new_conversation("", "", "", 0)
        modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
        assert path.parent.stat().st_mode & 0o777 == 0o700
        assert modes["history.db"] == 0o600
        assert set(modes.values()) == {0o600}


def test_the_database_is_set_up_as_it_should_be(history: History) -> None:
    def pragma(name: str) -> object:
        value: object = history._db.execute(f"PRAGMA {name}").fetchone()[0]
        return value

    assert pragma("journal_mode") == "wal"
    assert pragma("synchronous") == 1
    assert pragma("foreign_keys") == 1
    assert pragma("secure_delete") == 1
    assert pragma("busy_timeout") == 5000
    with pytest.raises(sqlite3.IntegrityError):
        history._db.execute("INSERT INTO fragment VALUES (77, 1, 'answer', 0, 'x', NULL, 0)")
