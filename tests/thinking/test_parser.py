"""The parser gives the same text whatever the tokens: characters whole, tags never shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby, pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ponder.dialect import Dialect
from ponder.engines.replay import ByteVocabulary
from ponder.thinking.parser import Edge, TraceParser
from ponder.thinking.protocol import resolve
from ponder.types import Author, Channel, Span
from scripted import LABELLED, PLAIN, SPELLED, TAGGED, TAGS

VOCAB = ByteVocabulary(TAGS)
TOKEN = {tag: 256 + at for at, tag in enumerate(TAGS)}
THOUGHT, ANSWER = Channel.THOUGHT, Channel.ANSWER
TAG = b"[/think]"

Piece = tuple[int, bytes]


def reader(dialect: Dialect, inside: bool = True) -> TraceParser:
    return TraceParser(resolve(dialect, VOCAB), inside)


def pieces(*parts: str | bytes) -> list[Piece]:
    """Tokens: a tag of the vocabulary as one, other text as one of any length."""
    return [
        (TOKEN[part], part.encode())
        if isinstance(part, str) and part in TOKEN
        else (0, part if isinstance(part, bytes) else part.encode())
        for part in parts
    ]


def single_bytes(text: bytes) -> list[Piece]:
    return [(token, VOCAB.piece(token)) for token in text]


def read(parser: TraceParser, tokens: Iterable[Piece], author: Author = Author.MODEL) -> list[Span]:
    spans = []
    for token, piece in tokens:
        spans += parser.push(token, piece, author)[0]
    return spans + parser.flush()


def text(spans: Iterable[Span], channel: Channel) -> str:
    return "".join(span.text for span in spans if span.channel is channel)


def both(spans: Sequence[Span]) -> tuple[str, str]:
    return text(spans, THOUGHT), text(spans, ANSWER)


@st.composite
def chunked(draw: st.DrawFn, data: bytes) -> list[Piece]:
    """The same bytes, cut into tokens anywhere."""
    cuts = draw(st.lists(st.integers(0, len(data)), max_size=12).map(sorted))
    return [(0, data[a:b]) for a, b in pairwise([0, *cuts, len(data)]) if a < b]


words = st.text(st.sampled_from("ab \n[/think]<>é€🙂") | st.characters(codec="utf-8"), max_size=30)


@settings(max_examples=200, deadline=None)
@given(st.data(), st.lists(st.tuples(words, words), min_size=1, max_size=3))
def test_any_tokens_give_the_same_text(data: st.DataObject, blocks: list[tuple[str, str]]) -> None:
    whole: list[Piece] = []
    bytewise: list[Piece] = []
    for at, (thought, answer) in enumerate(blocks):
        opening = pieces("<think>") if at else []
        end = pieces("</think>")
        for tokens, cut in ((whole, chunked), (bytewise, None)):
            tokens += opening
            for part, tag in ((thought, end), (answer, [])):
                encoded = part.encode()
                tokens += data.draw(cut(encoded)) if cut else single_bytes(encoded)
                tokens += tag
    expected = (
        "".join(thought.lstrip("\n") for thought, _ in blocks),
        "".join(answer.lstrip("\n") for _, answer in blocks),
    )
    assert both(read(reader(TAGGED), whole)) == expected
    assert both(read(reader(TAGGED), bytewise)) == expected


@settings(max_examples=300, deadline=None)
@given(
    st.data(),
    st.text("[/think]é \n", max_size=24),
    st.lists(st.text("[/think]é \n", max_size=12), max_size=3).map("[/think]".join),
)
def test_a_spelled_tag_is_found_over_any_tokens(
    data: st.DataObject, thought: str, answer: str
) -> None:
    assume("[/think]" not in thought)
    trace = f"{thought}[/think]{answer}".encode()
    expected = (
        thought.lstrip("\n"),
        "".join(part.lstrip("\n") for part in answer.split("[/think]")),
    )
    assert both(read(reader(SPELLED), data.draw(chunked(trace)))) == expected
    assert both(read(reader(SPELLED), single_bytes(trace))) == expected


@settings(max_examples=200, deadline=None)
@given(st.sampled_from((TAGGED, SPELLED, LABELLED, PLAIN)), st.binary(max_size=40), st.data())
def test_broken_bytes_read_like_a_whole_decode(
    dialect: Dialect, trace: bytes, data: st.DataObject
) -> None:
    assume(TAG not in trace)
    spans = read(reader(dialect, dialect is not PLAIN), data.draw(chunked(trace)))
    channel = ANSWER if dialect is PLAIN else THOUGHT
    assert text(spans, channel) == trace.decode("utf-8", "replace").lstrip("\n")


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from((TAGGED, SPELLED)),
    st.lists(st.tuples(st.binary(min_size=1, max_size=6), st.sampled_from(Author)), max_size=8),
)
def test_every_word_has_one_author(dialect: Dialect, said: list[tuple[bytes, Author]]) -> None:
    parser = reader(dialect)
    spans = []
    for part, author in said:
        for token, piece in single_bytes(part):
            spans += parser.push(token, piece, author)[0]
    spans += parser.flush()
    runs = [
        (author, b"".join(part for part, _ in run).decode("utf-8", "replace"))
        for author, run in groupby(said, key=lambda item: item[1])
    ]
    merged = [
        (author, "".join(span.text for span in run))
        for author, run in groupby(spans, key=lambda span: span.author)
    ]
    for at, (author, run_text) in enumerate(runs):
        # The line breaks that open a channel are hidden, whoever wrote them.
        stripped = run_text.lstrip("\n")
        runs[at] = (author, stripped)
        if stripped:
            break
    shown: list[tuple[Author, str]] = []
    for author, run_text in runs:
        if run_text and shown and shown[-1][0] is author:
            shown[-1] = (author, shown[-1][1] + run_text)
        elif run_text:
            shown.append((author, run_text))
    assert merged == shown


@pytest.mark.parametrize("character", ["é", "€", "🙂"])
def test_a_character_of_several_tokens_comes_out_once_and_whole(character: str) -> None:
    parser = reader(TAGGED)
    *begun, last = single_bytes(character.encode())
    for token, piece in begun:
        assert parser.push(token, piece) == ([], Edge.NONE)
    assert parser.push(*last) == ([Span(THOUGHT, character)], Edge.NONE)


def test_a_cut_inside_a_character_leaves_the_next_channel_clean() -> None:
    broken = "🙂".encode()[:2]
    spans = read(reader(TAGGED), pieces("so ", broken, "</think>", "é"))
    assert both(spans) == ("so �", "é")


def test_a_spelled_tag_cuts_inside_a_character_too() -> None:
    spans = read(reader(SPELLED), pieces("so ", "🙂".encode()[:2] + b"[/thi", "nk]", "é"))
    assert both(spans) == ("so �", "é")


def test_forced_words_inside_a_character_begin_clean() -> None:
    parser = reader(TAGGED)
    spans = parser.push(0, "€".encode()[:2])[0]
    spans += parser.push(0, b"Time", Author.CLOSING)[0]
    assert spans == [Span(THOUGHT, "�"), Span(THOUGHT, "Time", Author.CLOSING)]


def test_the_end_closes_once_and_a_stray_one_is_hidden() -> None:
    parser = reader(TAGGED)
    end = pieces("</think>")[0]
    assert parser.push(*end) == ([], Edge.CLOSED)
    assert (parser.inside, parser.tag_tokens) == (False, 1)
    assert parser.push(0, b"one ") == ([Span(ANSWER, "one ")], Edge.NONE)
    assert parser.push(*end) == ([], Edge.NONE)
    assert parser.push(0, b"two") == ([Span(ANSWER, "two")], Edge.NONE)


def test_a_stray_spelled_end_is_hidden() -> None:
    spans = read(reader(SPELLED), pieces("a[/think]", "one [/th", "ink]two", " [/think"))
    assert both(spans) == ("a", "one two [/think")


def test_an_opening_tag_in_the_answer_thinks_again() -> None:
    parser = reader(TAGGED)
    parser.push(*pieces("</think>")[0])
    assert parser.push(*pieces("<think>")[0]) == ([], Edge.OPENED)
    assert parser.inside
    assert parser.push(0, b"\nhm") == ([Span(THOUGHT, "hm")], Edge.NONE)


def test_an_opening_tag_in_the_thought_is_hidden() -> None:
    parser = reader(TAGGED)
    assert parser.push(*pieces("<think>")[0]) == ([], Edge.NONE)
    assert both(read(parser, pieces("\na", "<think>", "b", "</think>", "c"))) == ("ab", "c")


@pytest.mark.parametrize("dialect", [TAGGED, SPELLED, LABELLED, PLAIN])
@pytest.mark.parametrize("inside", [True, False])
def test_it_starts_where_it_is_told(dialect: Dialect, inside: bool) -> None:
    spans = read(reader(dialect, inside), pieces("hello"))
    assert spans == [Span(THOUGHT if inside else ANSWER, "hello")]


@pytest.mark.parametrize("dialect", [TAGGED, SPELLED, LABELLED, PLAIN])
@pytest.mark.parametrize("inside", [True, False])
def test_the_end_of_a_turn_never_shows(dialect: Dialect, inside: bool) -> None:
    parser = reader(dialect, inside)
    assert text(read(parser, pieces("hello", "<eos>")), THOUGHT if inside else ANSWER) == "hello"
    assert parser.inside is inside


def test_half_a_tag_at_the_end_of_a_turn_was_only_text() -> None:
    parser = reader(SPELLED)
    held = parser.push(0, b"so [/thi")[0]
    assert not held  # a token is held back whole: it may have to be withdrawn whole
    assert parser.push(*pieces("<eos>")[0]) == ([Span(THOUGHT, "so [/thi")], Edge.NONE)
    assert parser.flush() == []


def test_half_a_tag_before_forced_words_keeps_its_author() -> None:
    parser = reader(SPELLED)
    spans = parser.push(0, b"so ")[0] + parser.push(0, b"[/thi")[0]
    spans += parser.push(0, b"Stop", Author.CLOSING)[0]
    assert spans == [
        Span(THOUGHT, "so "),
        Span(THOUGHT, "[/thi"),
        Span(THOUGHT, "Stop", Author.CLOSING),
    ]


@pytest.mark.parametrize(
    ("tokens", "tag_tokens"),
    [
        (["so", "[/think]"], 1),
        (["so", "[/", "think", "]"], 3),
        (["so", "[", "[/", "think", "]\n\n"], 3),
        (["so[", "/think", "]"], 3),
        (["so[/think]"], 1),
        (["[/thi", "[/th", "ink]"], 2),
        (["so", "[/think][/th"], 1),
    ],
)
def test_a_spelled_tag_tells_its_tokens(tokens: list[str], tag_tokens: int) -> None:
    parser = reader(SPELLED)
    *begun, last = pieces(*tokens)
    for token, piece in begun:
        assert parser.push(token, piece)[1] is Edge.NONE
    assert parser.push(*last)[1] is Edge.CLOSED
    assert parser.tag_tokens == tag_tokens
    assert not parser.inside


@pytest.mark.parametrize("dialect", [TAGGED, SPELLED, LABELLED])
def test_a_withdrawn_end_lets_the_thought_go_on(dialect: Dialect) -> None:
    parser = reader(dialect)
    end = single_bytes(TAG) if dialect is SPELLED else pieces(dialect.end)
    spans, edge = parser.push(0, b"so")
    for token, piece in end:
        more, edge = parser.push(token, piece)
        spans += more
    assert edge is Edge.CLOSED
    assert parser.tag_tokens == len(end)
    parser.reopen()
    assert parser.inside
    spans += parser.push(0, b"\nWait", Author.CLOSING)[0]
    spans += parser.push(0, b" no")[0]
    for token, piece in end:
        more, edge = parser.push(token, piece)
        spans += more
    assert edge is Edge.CLOSED
    spans += parser.push(0, b"42")[0]
    assert spans == [
        Span(THOUGHT, "so"),
        Span(THOUGHT, "\nWait", Author.CLOSING),
        Span(THOUGHT, " no"),
        Span(ANSWER, "42"),
    ]


def test_what_followed_a_withdrawn_tag_is_forgotten() -> None:
    parser = reader(SPELLED)
    parser.push(0, b"[/think]" + "é".encode()[:1])
    parser.reopen()
    assert parser.push(0, b"Wait", Author.CLOSING)[0] == [Span(THOUGHT, "Wait", Author.CLOSING)]


@pytest.mark.parametrize(
    "answer",
    [
        ["answer\n42"],
        ["answer", "\n", "42"],
        ["an", "sw", "er", "\n42"],
        ["a", "n", "s", "w", "e", "r", "42"],
        ["42"],
    ],
)
def test_the_label_of_an_answer_is_hidden(answer: list[str]) -> None:
    spans = read(reader(LABELLED), pieces("hm", "<|im_start|>", *answer))
    assert both(spans) == ("hm", "42")


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        (["ans", "<eos>"], "ans"),
        (["an", "other"], "another"),
        (["answer", "<eos>"], ""),
        (["answer"], ""),
        (["answer", "\n", "<eos>"], ""),
        (["answer", " answer"], " answer"),
        (["one ", "<|im_start|>", "answer", "\ntwo"], "one two"),
    ],
)
def test_only_the_whole_label_is_hidden(answer: list[str], shown: str) -> None:
    assert both(read(reader(LABELLED), pieces("<|im_start|>", *answer))) == ("", shown)


def test_half_a_label_keeps_its_author() -> None:
    parser = reader(LABELLED)
    parser.push(*pieces("<|im_start|>")[0])
    spans = parser.push(0, b"ans")[0] + parser.push(0, b"\nFinal", Author.CLOSING)[0]
    assert spans == [Span(ANSWER, "ans"), Span(ANSWER, "\nFinal", Author.CLOSING)]


def test_a_thought_has_no_label() -> None:
    assert both(read(reader(LABELLED), pieces("answer me"))) == ("answer me", "")


def test_a_prompt_that_shut_the_block_has_written_the_label() -> None:
    assert both(read(reader(LABELLED, inside=False), pieces("answer", "s vary"))) == (
        "",
        "answers vary",
    )


def test_the_closing_words_are_marked_as_forced() -> None:
    parser = reader(TAGGED)
    protocol = resolve(TAGGED, VOCAB)
    spans = parser.push(0, b"so")[0]
    for token in protocol.cut_ids:
        spans += parser.push(token, VOCAB.piece(token), Author.CLOSING)[0]
    spans += parser.push(0, b"42")[0]
    assert "".join(s.text for s in spans if s.forced) == "\n\nTime is up.\n"
    assert both(spans) == ("so\n\nTime is up.\n", "42")
    assert [s.text for s in spans if not s.forced] == ["so", "42"]
