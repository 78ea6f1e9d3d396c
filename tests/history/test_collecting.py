"""Lines to train on: what is taken, as which columns, and what is left out and why."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from history.traces import ANSWER, THOUGHT, trace
from ponder.catalogue import shipped
from ponder.dialect import Dialect
from ponder.history.collecting import Terms, collect, text
from ponder.history.records import Conversation, Turn
from ponder.types import AnswerEnd, Author, Budget, Finish, Sampling, Span, Trace

ABOUT = Conversation(3, "Marbles", "r1-7b", "Be brief.", 1.7e9, 1.7e9, 2)
OWN = trace(Span(THOUGHT, "\n38 + 47 is 85.\n"), Span(ANSWER, "\n\nIt is **85**."))
S1K = {
    "solution", "question", "cot_type", "source_type", "metadata", "cot",
    "thinking_trajectories", "attempt",
}  # fmt: skip


def turn(whole: Trace | None, position: int = 0) -> Turn:
    spans = whole.spans if whole is not None else ()
    asked = f"Question {position}?"
    return Turn(9, 3, position, 0.0, asked, "r1-7b", Budget(), Sampling(), spans, whole, "", None)


def r1(_model: str) -> Dialect:
    return shipped().dialect("r1")


def test_a_line_has_the_columns_of_s1k() -> None:
    found = collect([(ABOUT, [turn(OWN)])], "s1k", r1)
    (line,) = found.lines
    assert set(line) == S1K
    assert line["question"] == "Question 0?"
    assert line["thinking_trajectories"] == ["38 + 47 is 85."]
    assert line["attempt"] == "It is **85**."
    assert line["solution"] == "" and line["cot"] is None
    facts = json.loads(line["metadata"])
    assert facts["finish"] == "closed" and facts["model"] == "r1-7b" and facts["turn"] == 1
    assert found.told == ""


@pytest.mark.parametrize(
    ("dialect", "said"),
    [
        ("r1", "<think>\n38 + 47 is 85.\n</think>\n\nIt is **85**."),
        ("s1", "<|im_start|>think\n38 + 47 is 85.\n<|im_start|>answer\nIt is **85**."),
        ("smol", "<|im_start|>think\n38 + 47 is 85.\n<|im_start|>answer\nIt is **85**."),
    ],
)
def test_messages_have_the_thinking_in_the_familys_words(dialect: str, said: str) -> None:
    words = shipped().dialect(dialect)
    found = collect([(ABOUT, [turn(OWN), turn(OWN, 1)])], "messages", lambda _: words)
    first, second = (line["messages"] for line in found.lines)
    assert [one["role"] for one in first] == ["system", "user", "assistant"]
    assert first[-1]["content"] == said
    # What was said before stands there as a chat template has it: without its thinking.
    assert [one["content"] for one in second] == [
        "Be brief.", "Question 0?", "It is **85**.", "Question 1?", said,
    ]  # fmt: skip


FORCED = trace(Span(THOUGHT, "So. "), Span(THOUGHT, "Wait", Author.WAIT), Span(ANSWER, "85"))


@pytest.mark.parametrize(
    ("whole", "terms", "reason"),
    [
        (None, Terms(True, True), "unfinished"),
        (
            replace(OWN, answer_end=AnswerEnd.LIMIT),
            Terms(True, True),
            "with an answer that was cut",
        ),
        (trace(Span(ANSWER, "85")), Terms(True, True), "without thinking"),
        (trace(Span(THOUGHT, "Hm.")), Terms(True, True), "without an answer"),
        (replace(OWN, finish=Finish.CAP), Terms(), "thinking that the model did not end itself"),
        (FORCED, Terms(True), "with words of ponder's"),
    ],
)
def test_what_is_left_out_is_counted_with_its_reason(
    whole: Trace | None, terms: Terms, reason: str
) -> None:
    found = collect([(ABOUT, [turn(whole), turn(OWN, 1)])], "messages", r1, terms)
    assert len(found.lines) == 1
    assert found.told.startswith("Left out: 1 ") and reason in found.told


def test_what_is_asked_for_is_taken_all_the_same() -> None:
    cut = replace(FORCED, finish=Finish.CAP)
    found = collect([(ABOUT, [turn(cut)])], "s1k", r1, Terms(True, True))
    (line,) = found.lines
    assert line["thinking_trajectories"] == ["So. Wait"]
    assert json.loads(line["metadata"])["forced"] == ["Wait"]


def test_a_follow_up_is_no_question_by_itself() -> None:
    found = collect([(ABOUT, [turn(OWN), turn(OWN, 1)])], "s1k", r1)
    assert [line["question"] for line in found.lines] == ["Question 0?"]
    assert "1 that go on with an earlier question" in found.told


def test_a_line_is_a_line() -> None:
    odd = trace(Span(THOUGHT, "a\nb\u2028c\x85"), Span(ANSWER, "d\r\ne"))
    written = text(collect([(ABOUT, [turn(odd), turn(odd)])], "messages", r1))
    lines = written.split("\n")
    assert len(lines) == 3 and lines[2] == ""
    assert all("a\nb\u2028c\x85" in json.loads(x)["messages"][-1]["content"] for x in lines[:2])
