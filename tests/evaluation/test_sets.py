"""Question sets in the forms that common ones have; bad lines are named and passed over."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ponder.errors import InputError, UnknownName
from ponder.evaluation.items import Item
from ponder.evaluation.sets.formats import CHOOSE, read_files
from ponder.evaluation.sets.known import MATH, Source, fresh_set, open_set
from ponder.types import Message


def written(folder: Path, *lines: Any, name: str = "set.jsonl") -> Path:
    path = folder / name
    path.write_text("\n".join(x if isinstance(x, str) else json.dumps(x) for x in lines), "utf-8")
    return path


def one(folder: Path, line: Any) -> Item:
    (item,) = read_files("set", [written(folder, line)]).items
    return item


def nowhere(_source: Source, _file: str) -> Path:
    raise AssertionError("nothing is fetched")


@pytest.mark.parametrize(
    ("line", "question", "answer"),
    [
        ({"question": "1+1?", "answer": "2"}, "1+1?", "2"),
        ({"question": "1+1?", "answer": 2}, "1+1?", "2"),
        ({"id": 7, "problem": "1+1?", "answer": 2.5}, "1+1?", "2.5"),
        ({"Problem": "1+1?", "Answer": 204, "Solution": "\\boxed{3}"}, "1+1?", "204"),
        # GSM8K.
        ({"question": "Eggs?", "answer": "9 * 2 = <<9*2=18>>18\n#### 1,800"}, "Eggs?", "1,800"),
        # MATH: the solution's box, its inner brackets balanced; MATH-500 has the answer too.
        ({"problem": "x?", "solution": "So $\\boxed{\\frac{1}{2}}$."}, "x?", "1/2"),
        ({"problem": "x?", "solution": "So \\boxed{9}.", "answer": "\\sqrt{3}"}, "x?", "\\sqrt{3}"),
        # math-ai/aime24.
        ({"problem": "x?", "solution": "\\boxed{33}"}, "x?", "33"),
        ({"prompt": "x?", "target": "yes"}, "x?", "yes"),
        ({"query": "x?", "final_answer": ["12"]}, "x?", "12"),
    ],
)
def test_fields_of_common_sets(tmp_path: Path, line: Any, question: str, answer: str) -> None:
    item = one(tmp_path, line)
    assert (item.text, item.answer) == (question, answer)


def test_messages_are_a_conversation(tmp_path: Path) -> None:
    said = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": " 1+1? "},
    ]
    item = one(tmp_path, {"prompt": said, "label": "2"})
    assert item.earlier == (Message("user", "Hi"), Message("assistant", "Hello."))
    assert item.messages[-1] == Message("user", "1+1?")


@pytest.mark.parametrize("answer", [1, "B", "(b)", "1", "nine"])
def test_choices_are_asked_for_by_letter(tmp_path: Path, answer: Any) -> None:
    item = one(tmp_path, {"question": "Three?", "choices": ["4", "nine", "2"], "answer": answer})
    assert item.text == f"Three?\n\nA) 4\nB) nine\nC) 2\n\n{CHOOSE}"
    assert item.answer == "B"


def test_choices_of_other_forms(tmp_path: Path) -> None:
    arc = {"text": ["red", "blue"], "label": ["A", "B"]}
    assert one(tmp_path, {"question": "Sky?", "choices": arc, "answer": "B"}).answer == "B"
    letters = {"A": "red", "B": "blue"}
    assert one(tmp_path, {"question": "Sky?", "options": letters, "answer": "blue"}).answer == "B"


def test_gpqa_is_a_table_with_commas(tmp_path: Path) -> None:
    rows = ["Record ID,Question,Correct Answer,Incorrect Answer 1,Incorrect Answer 2,Subdomain"]
    rows += [f'rec{n},"What, at {n}?",yes {n},no {n},"maybe\n{n}",Optics' for n in range(40)]
    path = written(tmp_path, *rows, name="gpqa.csv")
    found = read_files("gpqa", [path]).items
    assert found[3].id == "rec3"
    assert found[3].kind == "Optics"
    for n, item in enumerate(found):
        assert f"{item.answer}) yes {n}\n" in item.text + "\n"
    # Shuffled, so that no letter is always right; the same every time.
    assert {item.answer for item in found} == {"A", "B", "C"}
    assert read_files("gpqa", [path]).items == found


def test_what_cannot_be_read_is_named_by_its_line(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        {"question": "1+1?", "answer": "2"},
        "{oops",
        "",
        [1],
        {"text": "1+1?"},
        {"question": "  ", "answer": 1},
        {"question": "a", "answer": ""},
        {"question": "b", "answer": {"x": 1}},
        {"question": "c", "answer": True},
        {"question": "d", "solution": "nobody knows"},
        {"question": "e", "choices": ["x", "y"], "answer": 2},
        {"question": "2+2?", "answer": "4"},
    )
    path.write_bytes(path.read_bytes() + b"\n\xff\xfe\n" + b"[" * 100_000 + b'\n"\\ud800"')
    found = read_files("set", [path])
    assert [item.answer for item in found.items] == ["2", "4"]
    assert [fault.line for fault in found.malformed] == [2, 4, 5, 6, 13, 14, 15]
    assert [fault.line for fault in found.keyless] == [7, 8, 9, 10, 11]
    told = [str(fault) for fault in (*found.malformed, *found.keyless)]
    assert told[0].startswith("line 2: it is no JSON")
    assert "byte 0xff" in told[4]
    assert "half a character" in told[6]
    assert "none of its 2 choices" in told[-1]


def test_a_file_without_a_question_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_files("set", [written(tmp_path, "{oops", {"question": "a", "answer": None})])
    assert "line 1" in caught.value.message
    with pytest.raises(InputError, match="empty"):
        read_files("set", [written(tmp_path)])
    with pytest.raises(InputError, match="cannot be read"):
        read_files("set", [tmp_path / "none.jsonl"])


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)
fields = st.sampled_from(
    ["question", "prompt", "answer", "solution", "choices", "options", "Correct Answer", "id"]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.dictionaries(fields, anything, max_size=5), max_size=4))
def test_any_object_is_a_question_or_is_named(tmp_path: Path, lines: list[Any]) -> None:
    good = {"question": "1+1?", "answer": "2"}
    found = read_files("set", [written(tmp_path, *lines, good)])
    counted = len(found.items) + len(found.malformed) + len(found.keyless)
    assert counted == len(lines) + 1
    assert all(item.text and item.answer for item in found.items)
    for item in found.items:
        assert item.answer is not None
        (item.key + item.text + item.answer + item.kind).encode("utf-8")


def test_set_is_a_name_or_a_file(tmp_path: Path) -> None:
    path = written(tmp_path, *({"question": f"{n}+1?", "answer": n + 1} for n in range(5)))
    found = open_set(str(path), 3, 0, nowhere, instruction=MATH)
    assert found.name == "set.jsonl"
    assert [item.text for item in found.items][2] == f"2+1?\n\n{MATH}"
    assert len(open_set("fresh", None, 0, nowhere).items) == 100
    assert len(open_set("everyday", 10, 0, nowhere).items) == 10
    with pytest.raises(UnknownName) as caught:
        open_set("aime42", None, 0, nowhere)
    assert "aime24" in caught.value.hint
    with pytest.raises(InputError, match="There is no file"):
        open_set("sets/none.jsonl", None, 0, nowhere)


def test_fresh_questions_are_the_same_for_the_same_seed() -> None:
    some, more, others = fresh_set(5, 14), fresh_set(5, 21), fresh_set(6, 14)
    assert more.items[:14] == some.items
    assert {item.kind for item in some.items} == {f"{n} operations" for n in range(2, 9)}
    assert {item.key for item in some.items}.isdisjoint(item.key for item in others.items)
    assert len({item.key for item in more.items}) == 21


def test_a_key_is_of_one_question() -> None:
    one = Item("1", "1+1?", "2")
    others = [Item("2", "1+1?", "2"), Item("1", "1+2?", "2"), Item("1", "1+1?", "3")]
    others.append(Item("1", "1+1?", "2", earlier=(Message("user", "Hi"),)))
    assert len({item.key for item in (one, *others)}) == 5
    # A kind is only how it is counted.
    assert Item("1", "1+1?", "2", "sums").key == one.key
