"""Search finds what occurs, and only that, whatever is looked for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from history.traces import ANSWER, THOUGHT, trace
from ponder.history.finding import wanted
from ponder.history.store import History
from ponder.types import Budget, Sampling, Span


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    with History(tmp_path / "history.db") as opened:
        yield opened


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    """One history for many examples."""
    with History(tmp_path_factory.mktemp("shared") / "history.db") as opened:
        yield opened


def tell(
    history: History, question: str = "", thinking: str = "", answer: str = "", at: float = 0.0
) -> int:
    """A finished turn in a conversation of its own."""
    number = history.new_conversation(question[:20], "m", "", at)
    turn = history.begin_turn(number, question, "m", Budget(), Sampling(), at)
    history.finish_turn(turn, trace(Span(THOUGHT, thinking), Span(ANSWER, answer)))
    return turn


def found(history: History, query: str) -> list[int]:
    return [hit.turn for hit in history.search(query)]


def test_all_parts_of_a_turn_are_searched(history: History) -> None:
    turn = tell(history, "How many marbles?", "Let me count thirty-eight.", "It is 85.")
    for query, where in (("MARB", "question"), ("thirty-e", "thinking"), ("85.", "answer")):
        (hit,) = history.search(query)
        assert (hit.turn, hit.where) == (turn, where)
        assert [hit.excerpt[a:b].lower() for a, b in hit.marks] == [query.lower()]
    assert found(history, "nothing of this") == []


def test_all_words_must_occur_wherever_they_do(history: History) -> None:
    turn = tell(history, "How many marbles?", "Let me count.", "It is 85.")
    assert found(history, "marbles count 85") == [turn]
    assert found(history, "marbles count 86") == []


def test_words_in_double_quotes_belong_together(history: History) -> None:
    apart = tell(history, "many marbles, red and blue", at=1)
    together = tell(history, "red marbles", at=2)
    assert found(history, "red marbles") == [together, apart]
    assert found(history, '"red marbles"') == [together]
    assert found(history, '"many marbles" blue') == [apart]


def test_the_part_that_holds_most_is_shown(history: History) -> None:
    tell(history, "red", "red and blue", "blue")
    (hit,) = history.search("red blue")
    assert hit.where == "thinking"
    assert [hit.excerpt[a:b] for a, b in hit.marks] == ["red", "blue"]


@pytest.mark.parametrize(
    "odd",
    [
        '"', '""', '"""', 'a"b', '"open', "'", "%", "_", "50%", "a_b", "\\", "*", "mar*", "(", ")",
        "AND", "NOT x", "OR", "NEAR(a b)", "question:", "-", "+", "^", "{", ":", ";--",
        "\0", "a\0b", "\ud800", "思考", "思", "é", "ÄÖ", "🙂", "ß", "a b c d e f", "x" * 5000,
        " ".join("abc" * 300),
    ],
)  # fmt: skip
def test_any_words_are_literal(history: History, odd: str) -> None:
    tell(history, "a plain question, with 50 marbles", "AxB, 5000")
    assert found(history, odd) == []
    turn = tell(history, "so", f"before {odd} after")
    assert found(history, odd) == [turn]


@settings(max_examples=150)
@given(
    text=st.text(max_size=60),
    other=st.text(max_size=60),
    at=st.integers(0, 50),
    length=st.integers(1, 12),
)
@example("x\0abc", "", 2, 3)
@example("x\ufffdabc", "", 1, 4)
def test_any_piece_of_a_text_is_found(
    shared: History, text: str, other: str, at: int, length: int
) -> None:
    piece = text[at : at + length].strip()
    assume(piece and '"' not in piece)
    turn = tell(shared, other, text)
    assert turn in found(shared, f'"{piece}"')
    shared.delete([entry.id for entry in shared.conversations()])


def test_short_words_ignore_case_as_long_ones_do(history: History) -> None:
    turn = tell(history, "ÄB ß Ωx")
    for query in ("äb", "ÄB", "Äb", "ωX", "ä", "ß"):
        assert found(history, query) == [turn]


@given(
    st.text("kKsSiIaé×\u0130\u0131\u017f\u212a", max_size=8),
    st.text("kKsSiIa", min_size=1, max_size=2),
)
def test_a_word_occurs_where_its_pattern_finds_it(text: str, word: str) -> None:
    """Bytes are looked at first, which knows nothing of the Kelvin sign."""
    _, excerpt, marks = wanted(word).found({"answer": text})
    matched = re.search(word, text, re.IGNORECASE) is not None
    assert bool(excerpt) == bool(marks) == matched


def test_unfinished_and_failed_turns_are_found(history: History) -> None:
    number = history.new_conversation("", "m", "", 0)
    streams = history.begin_turn(number, "red", "m", Budget(), Sampling(), 1)
    history.append(streams, [Span(THOUGHT, "green ma")])
    history.append(streams, [Span(THOUGHT, "rbles"), Span(ANSWER, "blue")])
    failed = history.begin_turn(number, "red", "m", Budget(), Sampling(), 2)
    history.append(failed, [Span(THOUGHT, "green marbles"), Span(ANSWER, "blue")])
    history.fail_turn(failed, "The engine died.")
    for query in ("green marbles", "red marbles", "bl", "blue", '"n m"'):
        assert found(history, query) == [failed, streams]
    assert found(history, "yellow") == []
    (_, hit) = history.search("marbles")
    assert hit.where == "thinking"


def test_what_a_trace_replaced_is_no_longer_found(history: History) -> None:
    number = history.new_conversation("", "m", "", 0)
    turn = history.begin_turn(number, "q", "m", Budget(), Sampling(), 1)
    history.append(turn, [Span(THOUGHT, "withdrawn")])
    assert found(history, "withdrawn") == [turn]
    history.finish_turn(turn, trace(Span(THOUGHT, "kept")))
    assert found(history, "withdrawn") == []
    assert found(history, "kept") == [turn]


def test_the_newest_come_first_and_no_more_than_asked_for(history: History) -> None:
    turns = [tell(history, "marbles", "marbles", "marbles", at=at) for at in (3, 1, 2)]
    assert found(history, "marbles") == [turns[0], turns[2], turns[1]]
    assert [hit.turn for hit in history.search("marbles", limit=2)] == [turns[0], turns[2]]
    assert history.search("marbles", limit=0) == []


@pytest.mark.parametrize("nothing", ["", "   ", "\n", '"  "'])
def test_nothing_finds_nothing(history: History, nothing: str) -> None:
    tell(history, "a b  c")
    assert history.search(nothing) == []


def test_an_excerpt_is_short_and_on_one_line(history: History) -> None:
    tell(history, "q", "first\n\n" * 100 + "\nneedle\n" + "last\t" * 100)
    (hit,) = history.search("needle")
    assert "\n" not in hit.excerpt
    assert "\t" not in hit.excerpt
    assert hit.excerpt.startswith("…first")
    assert hit.excerpt.endswith("…")
    assert "last last" in hit.excerpt
    assert len(hit.excerpt) < 200
    assert [hit.excerpt[a:b] for a, b in hit.marks] == ["needle"]


def test_marks_that_touch_are_one(history: History) -> None:
    tell(history, "marbles marble")
    (hit,) = history.search("marb arbles")
    assert hit.marks == ((0, 7), (8, 12))


def test_a_phrase_longer_than_an_excerpt_is_marked_whole(history: History) -> None:
    phrase = "x" * 700
    tell(history, "a" * 99 + phrase + "b" * 99)
    (hit,) = history.search(phrase)
    ((start, end),) = hit.marks
    assert hit.excerpt[start:end] == phrase
