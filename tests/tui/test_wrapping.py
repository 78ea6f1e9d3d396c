"""Wrapping as text grows gives what wrapping all of it at once gives."""

from __future__ import annotations

from itertools import groupby

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from ponder.tui import wrapping
from ponder.tui.wrapping import Wrapped, breaks, cells, name
from ponder.types import Author

TEXT = st.text(st.sampled_from("ab  \n\t.,語éß🙂x"), max_size=60)
AUTHOR = st.sampled_from(list(Author))
PIECES = st.lists(st.tuples(TEXT, AUTHOR), max_size=12)
WIDTH = st.integers(1, 20)


def whole(pieces: list[tuple[str, Author]], width: int) -> Wrapped:
    wrapped = Wrapped(width)
    for text, author in pieces:
        wrapped.append(text, author)
    return wrapped


@given(PIECES, WIDTH)
def test_growing_is_the_same_as_wrapping_at_once(
    pieces: list[tuple[str, Author]], width: int
) -> None:
    grown = whole(pieces, width)
    again = whole(pieces, width)
    again.resize(width)
    assert grown.rows == again.rows


@given(PIECES, WIDTH, WIDTH)
def test_a_new_width_is_as_if_it_had_always_been(
    pieces: list[tuple[str, Author]], before: int, after: int
) -> None:
    wrapped = whole(pieces, before)
    wrapped.resize(after)
    assert wrapped.rows == whole(pieces, after).rows
    assert wrapped.text == "".join(text for text, _ in pieces)


@given(PIECES, WIDTH)
def test_every_character_is_in_a_row_with_its_author(
    pieces: list[tuple[str, Author]], width: int
) -> None:
    rows = whole(pieces, width).rows
    shown = [(char, piece.author) for row in rows for piece in row for char in piece.text]
    asked = [(char, author) for text, author in pieces for char in text if char != "\n"]
    assert shown == asked


@given(st.text(st.sampled_from("ab  語🙂"), max_size=80), WIDTH)
def test_rows_fit_but_for_blanks_at_their_end(line: str, width: int) -> None:
    starts = breaks(line, width)
    for start, end in zip(starts, [*starts[1:], len(line)], strict=True):
        row = line[start:end].rstrip()
        assert cell_len(row) <= width or len(row) == 1


@given(PIECES, WIDTH)
def test_whoever_speaks_is_named_before_the_first_word_and_there_is_room(
    pieces: list[tuple[str, Author]], width: int
) -> None:
    rows = whole(pieces, width).rows
    named = [piece.author for row in rows for piece in row if piece.named]
    runs = groupby((pair for pair in pieces if pair[0]), lambda pair: pair[1])
    texts = [(author, "".join(text for text, _ in run)) for author, run in runs]
    assert named == [a for a, text in texts if a is not Author.MODEL and text.strip()]
    for row in rows:
        words = "".join(piece.text for piece in row).rstrip()
        names = sum(len(name(piece, width)) for piece in row)
        assert names + cells(words) <= width or (not names and len(words) == 1)


def test_a_name_stands_before_words_and_not_before_blanks() -> None:
    wrapped = whole([("so. ", Author.MODEL), ("\n\n", Author.WAIT), ("Wait, no", Author.WAIT)], 12)
    assert [[piece.text for piece in row] for row in wrapped.rows] == [
        ["so. "], [], ["Wait, "], ["no"]
    ]  # fmt: skip
    assert name(wrapped.rows[2][0], 14) == "⟦wait⟧ "
    assert name(wrapped.rows[3][0], 14) == ""
    assert name(wrapped.rows[2][0], 8) == ""  # no room


@given(st.text(st.sampled_from("ab   ."), max_size=60), WIDTH)
def test_the_short_way_is_the_same_as_word_by_word(line: str, width: int) -> None:
    assert wrapping._breaks_of_cells(line, width) == wrapping._breaks_of_words(line, width, {})


def test_words_are_not_torn() -> None:
    assert breaks("one two three", 8) == [0, 8]
    assert breaks("abcdefghij", 4) == [0, 4, 8]


def test_line_breaks_at_the_end_are_no_rows() -> None:
    wrapped = whole([("a\n", Author.MODEL), ("\n\n", Author.MODEL)], 10)
    assert wrapped.height == 1
    wrapped.append("b")
    assert wrapped.height == 4
