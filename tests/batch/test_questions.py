"""Lines of JSON into questions: each fault is named by its line, and the rest goes on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ponder.batch.questions import read
from ponder.errors import InputError
from ponder.thinking.effort import Wish
from ponder.types import Message


def lines(folder: Path, *told: object) -> Path:
    file = folder / "q.jsonl"
    words = (one if isinstance(one, str) else json.dumps(one) for one in told)
    file.write_text("\n".join(words) + "\n", "utf-8")
    return file


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "it is no JSON"),
        ("17", "expected `object`"),
        ("{}", "neither `question` nor `messages`"),
        ('{"question": ""}', "length >= 1"),
        ('{"question": "  "}', "its question is empty"),
        ('{"question": 17}', "$.question"),
        ('{"question": "x", "answer": "?"}', "nothing that an answer could be compared with"),
        ('{"question": "x", "budget": "much"}', "'much' is no budget"),
        ('{"question": "x", "budget": -1}', "$.budget"),
        ('{"question": "x", "within": "soon"}', "'soon' is no time"),
        ('{"question": "x", "within": 0}', "$.within"),
        ('{"question": "x", "weight": 0}', "$.weight"),
        ('{"question": "x", "messages": [{"role": "user", "content": "y"}]}', "message 2"),
        ('{"messages": [{"role": "user"}]}', "content"),
        ('{"messages": [{"role": "god", "content": "y"}]}', "$.messages[0].role"),
        ('{"system": "a", "messages": [{"role": "system", "content": "b"}]}', "twice"),
        ('{"question": "x"}{"question": "y"}', "it is no JSON"),
    ],
)
def test_what_is_wrong_with_a_line_is_said(tmp_path: Path, line: str, why: str) -> None:
    good = {"question": "What is 1 + 1?"}
    questions, faults = read(lines(tmp_path, good, line, good))
    assert [question.line for question in questions] == [1, 3]
    (fault,) = faults
    assert fault.line == 2
    assert why in fault.why


def test_all_that_a_line_may_say(tmp_path: Path) -> None:
    said = {
        "id": 17,
        "question": "And 2?",
        "answer": 4,
        "budget": "2k",
        "within": "1m30s",
        "weight": 2,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "What is 1 + 1?"},
            {"role": "assistant", "content": "2"},
        ],
        "level": "easy",
    }
    ((question,), faults) = read(lines(tmp_path, said))
    assert not faults
    assert (question.id, question.key, question.system) == ("17", "4", "Be brief.")
    assert (question.wish, question.within, question.weight) == (Wish(tokens=2048), 90.0, 2.0)
    assert [one.role for one in question.messages] == ["user", "assistant", "user"]
    assert question.messages[-1] == Message("user", "And 2?")


def test_the_same_line_twice_is_two_questions_wherever_they_stand(tmp_path: Path) -> None:
    one, other = {"question": "What is 1 + 1?"}, {"question": "What is 2 + 2?", "id": "b"}
    first, _ = read(lines(tmp_path, one, other, one))
    second, _ = read(lines(tmp_path, one, one, other))
    assert len({question.digest for question in first}) == 3
    assert {q.digest for q in first} == {q.digest for q in second}


@given(st.binary(max_size=200))
def test_any_bytes_are_questions_or_faults(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    file = tmp_path_factory.getbasetemp() / "any.jsonl"
    file.write_bytes(b'{"question": "x"}\n' + data)
    questions, faults = read(file)
    assert questions[0].line == 1
    said = [line for line in (b'{"question": "x"}\n' + data).split(b"\n") if line.strip()]
    assert len(questions) + len(faults) == len(said)


def test_a_file_without_a_question_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no question"):
        read(lines(tmp_path, "", "  "))
    with pytest.raises(InputError, match="cannot be read"):
        read(tmp_path / "missing.jsonl")
