"""Turns that several traces answered: all of them are kept, and how they voted."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from history.traces import ANSWER, THOUGHT, spans, texts, trace, traces
from ponder.history import schema
from ponder.history.codec import merged
from ponder.history.export import as_json, markdown
from ponder.history.recorder import Recorder
from ponder.history.records import Conversation, Turn, Vote
from ponder.history.store import History
from ponder.poll import Choice, Decision, Poll
from ponder.types import AnswerEnd, Budget, BudgetChange, BudgetEvent, Finish, Sampling, Span, Trace

LONG = 30.0
FIGURES = {"lead": 2.0, "live": 1.0, "beta": 0.875}
numbers = st.lists(st.integers(1, 9), unique=True, max_size=4).map(tuple)
choices = st.builds(Choice, texts, numbers, st.floats(0, 9))
polls = st.builds(
    Poll,
    of=st.integers(1, 9),
    choices=st.lists(choices, max_size=3).map(tuple),
    silent=numbers,
    dropped=numbers,
    winner=st.none() | st.integers(1, 9),
    stop=st.none() | st.sampled_from(Decision),
    figures=st.dictionaries(st.text(), st.floats(allow_nan=False)),
)


def said(answer: str, think: int = 40) -> Trace:
    """A trace that came to this answer."""
    made = trace(Span(THOUGHT, f"\nLet me see: {answer}.\n"), Span(ANSWER, f"\n\nIt is {answer}."))
    return replace(made, usage=replace(made.usage, think=think))


def dropped(change: BudgetChange = BudgetChange.AGREED, finish: Finish = Finish.AGREED) -> Trace:
    """A trace that was not let finish."""
    figures = {"pool": 500.0, "left": 20.0, "needed": 90.0, "thinking": 3.0}
    return replace(
        trace(Span(THOUGHT, "Hm, perhaps")),
        finish=finish,
        answer_end=AnswerEnd.DROPPED,
        budget_events=(BudgetEvent(change, 30, 0, figures),),
    )


TRACES = {1: said("40"), 2: said("42"), 3: said("42", 20), 4: dropped()}
POLL = Poll(
    of=4,
    choices=(Choice("42", (3, 2), 2.0), Choice("40", (1,), 1.0)),
    silent=(),
    dropped=(),
    winner=3,
    stop=Decision.LOSSLESS,
    figures=FIGURES,
)
VOTE = Vote(4, pool=500, weigh=True, poll=POLL, shown=3)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.db"


@pytest.fixture
def history(path: Path) -> Iterator[History]:
    with History(path) as opened:
        yield opened


def asked(history: History, traces: int = 4) -> int:
    number = history.new_conversation("Sums", "m", "", 1.0)
    vote = Vote(traces, pool=500, weigh=True)
    return history.begin_turn(number, "6 * 7?", "m", Budget(), Sampling(), 2.0, vote)


def only(history: History) -> Turn:
    latest = history.latest()
    assert latest is not None
    (turn,) = history.turns(latest.id)
    return turn


def decided(history: History) -> Turn:
    """A turn whose vote is over, as it is written when nothing goes wrong."""
    turn = asked(history)
    for number, one in TRACES.items():
        history.append(turn, one.spans, number)
        history.finish_trace(turn, number, one)
        history.count(turn, Vote(4, 500, True))
    history.finish_vote(turn, VOTE, TRACES)
    return only(history)


def test_all_traces_are_kept_and_how_they_voted(history: History) -> None:
    turn = decided(history)
    assert turn.vote == VOTE
    assert turn.vote.won
    # The winner is the turn's own, so that whoever knows nothing of votes sees the answer.
    assert turn.trace == TRACES[3]
    assert turn.spans == TRACES[3].spans
    assert [one.number for one in turn.others] == [1, 2, 4]
    assert {one.number: one.trace for one in turn.candidates} == TRACES
    assert not history._db.execute("SELECT count(*) FROM fragment").fetchone()[0]


@settings(max_examples=60, deadline=None)
@given(
    given=st.dictionaries(st.integers(1, 5), traces, min_size=1, max_size=4),
    poll=st.none() | polls,
    data=st.data(),
)
def test_a_vote_comes_back_exactly(
    tmp_path_factory: pytest.TempPathFactory,
    given: dict[int, Trace],
    poll: Poll | None,
    data: st.DataObject,
) -> None:
    shown = data.draw(st.none() | st.sampled_from(sorted(given)))
    vote = Vote(5, data.draw(st.none() | st.integers(1)), data.draw(st.booleans()), poll, shown)
    with History(tmp_path_factory.mktemp("kept") / "history.db") as history:
        turn = asked(history)
        early = data.draw(st.sets(st.sampled_from(sorted(given))))
        for number in sorted(given):
            history.append(turn, given[number].spans, number)
            if number in early:
                history.finish_trace(turn, number, given[number])
        history.finish_vote(turn, vote, given)
        back = only(history)
        assert back.vote == vote
        found = {one.number: one for one in back.candidates if one.number in given}
        for number, one in given.items():
            assert found[number].trace == one
            assert found[number].spans == one.spans
        history.delete([back.conversation])
        checked(history)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 3), st.lists(spans, max_size=3)), max_size=8))
def test_text_that_streams_in_turns_is_there_at_once(
    tmp_path_factory: pytest.TempPathFactory, batches: list[tuple[int, list[Span]]]
) -> None:
    with History(tmp_path_factory.mktemp("kept") / "history.db") as history:
        turn = asked(history, 3)
        for number, few in batches:
            history.append(turn, few, number)
        streaming = only(history)
        history.fail_turn(turn, "It died.")
        failed = only(history)
        for number in (1, 2, 3):
            own = tuple(merged(span for at, few in batches if at == number for span in few))
            assert streaming.candidates[number - 1].spans == own
            assert failed.candidates[number - 1].spans == own
            assert failed.candidates[number - 1].trace is None
        assert (streaming.spans, streaming.trace, streaming.error) == ((), None, "")
        assert (failed.spans, failed.trace, failed.error) == ((), None, "It died.")
        checked(history)


def checked(history: History) -> None:
    """The index is that of what is there."""
    for index in ("turn_text", "candidate_text"):
        history._db.execute(f"INSERT INTO {index} ({index}) VALUES ('integrity-check')")


def test_folding_is_remembered_for_each_trace(history: History) -> None:
    turn = asked(history)
    history.finish_trace(turn, 3, TRACES[3])
    history.finish_trace(turn, 1, TRACES[1])
    history.fold(turn, True, 3)
    history.fold(turn, False, 1)
    history.fold(turn, True, 4)  # not over: nothing to remember it with
    history.finish_vote(turn, VOTE, TRACES)
    assert [one.folded for one in only(history).candidates] == [False, None, True, None]
    history.fold(turn, False, 3)
    history.fold(turn, True, 2)
    assert [one.folded for one in only(history).candidates] == [False, True, False, None]
    assert only(history).folded is False


def test_every_trace_is_found_by_what_it_said(history: History) -> None:
    turn = decided(history)
    found = {word: history.search(word) for word in ("perhaps", '"see: 40"', "42", "40", "nope")}
    assert [(hit.where, hit.trace) for hit in found["perhaps"]] == [("thinking", 4)]
    assert [(hit.where, hit.trace) for hit in found['"see: 40"']] == [("thinking", 1)]
    # Words too short for the index, too; a turn once, in its own text where that has it.
    assert [(hit.turn, hit.trace) for hit in found["42"]] == [(turn.id, None)]
    assert [(hit.turn, hit.trace) for hit in found["40"]] == [(turn.id, 1)]
    assert not found["nope"]
    assert [hit.trace for hit in history.search("in:answer 40")] == [1]
    assert not history.search("in:answer perhaps")


def test_what_a_vote_was_killed_at_is_found_too(history: History) -> None:
    turn = asked(history)
    history.append(turn, [Span(THOUGHT, "a marble")], 2)
    history.finish_trace(turn, 3, TRACES[3])
    assert [hit.turn for hit in history.search("marble")] == [turn]
    assert [hit.trace for hit in history.search('"see: 42"')] == [3]


def test_deleting_takes_all_traces_and_the_index_along(history: History) -> None:
    turn = decided(history)
    history.delete([turn.conversation])
    for table in ("candidate", "turn", "fragment"):
        assert not history._db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    checked(history)
    found = "SELECT count(*) FROM candidate_text WHERE candidate_text MATCH '\"see\"'"
    assert not history._db.execute(found).fetchone()[0]


def test_a_history_without_votes_is_taken_over(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database as it was before there were any, with a turn that is over and one that streams."""
    now = schema.MIGRATIONS
    before = next(at for at, step in enumerate(now) if any("candidate" in text for text in step))
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for step in now[:before]:
            for statement in step:
                db.execute(statement)
        db.execute(f"PRAGMA application_id = {schema.APPLICATION}")
        db.execute(f"PRAGMA user_version = {before}")
        db.execute("INSERT INTO conversation VALUES (1, 'Sums', 'm', '', 1, 2)")
        db.executemany(
            "INSERT INTO turn (conversation, position, asked, model, budget, sampling, question,"
            " thinking, answer, runs) VALUES (1, ?, 2, 'm', '{}', '{}', ?, ?, ?, ?)",
            [
                (0, "6 * 7?", "Hm", "42", '[["thought",false,2],["answer",false,2]]'),
                (1, "And 6 * 8?", "", "", None),
            ],
        )
        db.execute("INSERT INTO fragment VALUES (2, 1, 'thought', 0, 'Well', NULL)")
    with History(path) as history:
        over, streaming = history.turns(1)
        assert (over.spans, over.vote) == ((Span(THOUGHT, "Hm"), Span(ANSWER, "42")), None)
        assert (streaming.spans, streaming.candidates) == ((Span(THOUGHT, "Well"),), ())
        history.append(streaming.id, [Span(THOUGHT, ", 48")])
        assert history.turns(1)[1].spans == (Span(THOUGHT, "Well, 48"),)
        assert decided(history).vote == VOTE


# -- the recorder --------------------------------------------------------------------------------


def test_what_is_handed_over_of_a_vote_is_written(path: Path) -> None:
    recorder = Recorder(path, lambda _: None)
    chat = recorder.conversation("Sums", "m", "", 1.0)
    turn = recorder.begin(chat, "6 * 7?", "m", Budget(), Sampling(), 2.0, Vote(4, 500, True))
    for _ in range(3):
        for number in TRACES:
            recorder.append(turn, [Span(THOUGHT, f"{number} ")], number)
    recorder.finish_trace(turn, 1, TRACES[1])
    recorder.count(turn, Vote(4, 500, True, POLL))
    assert recorder.flush(LONG)
    with History(path) as history:
        streaming = only(history)
    assert streaming.vote == Vote(4, 500, True, POLL)
    assert [one.spans for one in streaming.candidates][1:] == [
        (Span(THOUGHT, f"{number} " * 3),) for number in (2, 3, 4)
    ]
    assert streaming.candidates[0].trace == TRACES[1]
    recorder.finish_vote(turn, VOTE, TRACES)
    recorder.fold(turn, True, 2)
    assert recorder.close(LONG)
    with History(path) as history:
        over = only(history)
    assert {one.number: one.trace for one in over.candidates} == TRACES
    assert over.candidates[1].folded is True


def test_a_vote_whose_conversation_is_deleted_meanwhile_is_written_again(path: Path) -> None:
    recorder = Recorder(path, lambda _: None)
    chat = recorder.conversation("Sums", "m", "", 1.0)
    turn = recorder.begin(chat, "6 * 7?", "m", Budget(), Sampling(), 2.0, Vote(4))
    recorder.finish_trace(turn, 1, TRACES[1])
    assert recorder.flush(LONG)
    with History(path) as history:
        assert chat.id is not None
        history.delete([chat.id])
    recorder.finish_vote(turn, VOTE, TRACES)
    assert recorder.close(LONG)
    with History(path) as history:
        assert {one.number: one.trace for one in only(history).candidates} == TRACES


KILLED = """
import sys
from pathlib import Path
from history.test_votes import POLL, TRACES
from history.traces import THOUGHT
from ponder.history.recorder import Recorder
from ponder.history.records import Vote
from ponder.types import Budget, Sampling, Span

recorder = Recorder(Path(sys.argv[1]), print)
chat = recorder.conversation("Sums", "m", "", 0)
turn = recorder.begin(chat, "q", "m", Budget(), Sampling(), 0, Vote(4))
for at in range(1_000_000):
    if at == 20:
        recorder.finish_trace(turn, 3, TRACES[3])
        recorder.count(turn, Vote(4, poll=POLL))
    for number in (1, 2, 3, 4) if at < 20 else (1, 2, 4):
        recorder.append(turn, [Span(THOUGHT, f"{at} ")], number)
    assert recorder.flush(60)
    print(at, flush=True)
"""


@pytest.mark.parametrize("after", [1, 40])
def test_killed_in_the_middle_of_a_vote_nothing_is_lost(path: Path, after: int) -> None:
    paths = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, sys.path)])
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(path)],
        env=os.environ | {"PYTHONPATH": paths},
        stdout=subprocess.PIPE,
        text=True,
    ) as one:
        assert one.stdout is not None
        for _ in range(after):
            one.stdout.readline()
        told = int(one.stdout.readline())
        one.kill()
    with History(path) as history:
        turn = only(history)
        assert turn.vote is not None
        assert (turn.trace, turn.error, turn.vote.shown) == (None, "", None)
        by_number = {one.number: one for one in turn.candidates}
        if after > 20:
            assert turn.vote.poll == POLL
            assert by_number.pop(3).trace == TRACES[3]
        for candidate in by_number.values():
            (span,) = candidate.spans
            written = [int(word) for word in span.text.split()]
            assert written == list(range(len(written)))
            assert written[-1] >= told == after
        text = markdown(entry(), [turn])
        assert "Trace 4: unfinished" in text


# -- told ----------------------------------------------------------------------------------------


def entry() -> Conversation:
    return Conversation(1, "Sums", "m", "", 1.7e9, 1.7e9, 1)


def test_a_vote_as_markdown(history: History) -> None:
    text = markdown(entry(), [decided(history)])
    assert "It is 42." in text
    assert "Vote: 2 of 4: 42 · 1: 40 · 1: not needed — decided: 2 ahead with 1 to come" in text
    assert (
        "<summary>Trace 1: 40 · thinking: 40 of 320 tokens, closed by the model</summary>" in text
    )
    assert "Let me see: 40." in text
    assert "It is 40." in text
    assert "<summary>Trace 4: not needed: the others had agreed ·" in text
    short = markdown(entry(), [decided(history)], thinking=False)
    assert "It is 40." in short
    assert "Let me see" not in short
    assert "perhaps" not in short


def test_who_was_dropped_is_told_with_the_reason(history: History) -> None:
    turn = asked(history, 3)
    traces = {
        1: dropped(BudgetChange.DROPPED, Finish.CAP),
        2: dropped(BudgetChange.DISMISSED, Finish.USER),
        3: said("42"),
    }
    poll = Poll(3, (Choice("42", (3,), 1.0),), (), (1, 2), 3, Decision.ALL, {"lead": 1.0})
    history.finish_vote(turn, Vote(3, 500, poll=poll, shown=3), traces)
    text = markdown(entry(), [only(history)])
    assert "Trace 1: dropped: the pool of 500 tokens was short ·" in text
    assert "Trace 2: dropped by hand ·" in text


def test_an_answer_cannot_break_out_of_its_summary(history: History) -> None:
    turn = asked(history, 2)
    evil = "</summary><script>x</script>"
    poll = Poll(2, (Choice("1", (1,), 1.0), Choice(evil, (2,), 1.0)), (), (), 1, Decision.ALL, {})
    traces = {1: said("1"), 2: said(evil)}
    history.finish_vote(turn, Vote(2, poll=replace(poll, figures=FIGURES), shown=1), traces)
    text = markdown(entry(), [only(history)])
    assert "<script>" not in text.replace(f"Let me see: {evil}", "").replace(f"is {evil}.", "")


def test_a_vote_as_json_leaves_nothing_out(history: History) -> None:
    turn = decided(history)
    told = json.loads(json.dumps(as_json(entry(), [turn])))["turns"][0]
    assert told["vote"]["poll"]["choices"][1] == {"answer": "40", "traces": [1], "weight": 1.0}
    assert told["vote"]["shown"] == 3
    assert [other["number"] for other in told["others"]] == [1, 2, 4]
    assert told["others"][0]["trace"]["tokens"] == [7, 8, 9]
    assert told["others"][0]["spans"][1]["text"] == "\n\nIt is 40."
    assert told["others"][2]["trace"]["budget_events"][0]["change"] == "agreed"
    bare = json.dumps(as_json(entry(), [turn], thinking=False))
    assert "Let me see" not in bare
    assert 'tokens": [7' not in bare


def test_every_trace_of_a_vote_is_searched(history: History) -> None:
    turn = asked(history)
    traces = {
        1: trace(Span(THOUGHT, "Obsidian, I think."), Span(ANSWER, "Glass.")),
        2: trace(Span(THOUGHT, "Basalt then."), Span(ANSWER, "It is Q7.")),
    }
    history.finish_vote(turn, Vote(2, shown=1), traces)
    for query, where in (
        ("obsidian", "thinking"),
        ("basalt", "thinking"),
        ("q7", "answer"),
        ("basalt q7", "answer"),
        ("basalt in:thinking", "thinking"),
    ):
        (hit,) = history.search(query)
        assert (hit.turn, hit.where) == (turn, where), query
    # Two traces are not one text.
    assert history.search("basalt in:answer") == history.search("obsidian basalt") == []
