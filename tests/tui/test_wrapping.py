"""Wrapping as text grows gives what wrapping all of it at once gives."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from ponder.tui.wrapping import Wrapped, breaks

TEXT = st.text(st.sampled_from("ab  \n\t.,語éß🙂x"), max_size=60)
PIECES = st.lists(st.tuples(TEXT, st.booleans()), max_size=12)
WIDTH = st.integers(1, 20)


def whole(pieces: list[tuple[str, bool]], width: int) -> Wrapped:
    wrapped = Wrapped(width)
    for text, forced in pieces:
        wrapped.append(text, forced)
    return wrapped


@given(PIECES, WIDTH)
def test_growing_is_the_same_as_wrapping_at_once(
    pieces: list[tuple[str, bool]], width: int
) -> None:
    grown = whole(pieces, width)
    again = whole(pieces, width)
    again.resize(width)
    assert grown.rows == again.rows


@given(PIECES, WIDTH, WIDTH)
def test_a_new_width_is_as_if_it_had_always_been(
    pieces: list[tuple[str, bool]], before: int, after: int
) -> None:
    wrapped = whole(pieces, before)
    wrapped.resize(after)
    assert wrapped.rows == whole(pieces, after).rows
    assert wrapped.text == "".join(text for text, _ in pieces)


@given(PIECES, WIDTH)
def test_every_character_is_in_a_row_with_its_author(
    pieces: list[tuple[str, bool]], width: int
) -> None:
    rows = whole(pieces, width).rows
    shown = [(char, forced) for row in rows for text, forced in row for char in text]
    asked = [(char, forced) for text, forced in pieces for char in text if char != "\n"]
    assert shown == asked


@given(st.text(st.sampled_from("ab  語🙂"), max_size=80), WIDTH)
def test_rows_fit_but_for_blanks_at_their_end(line: str, width: int) -> None:
    starts = breaks(line, width)
    for start, end in zip(starts, [*starts[1:], len(line)], strict=True):
        row = line[start:end].rstrip()
        assert cell_len(row) <= width or len(row) == 1


def test_words_are_not_torn() -> None:
    assert breaks("one two three", 8) == [0, 8]
    assert breaks("abcdefghij", 4) == [0, 4, 8]


def test_line_breaks_at_the_end_are_no_rows() -> None:
    wrapped = whole([("a\n", False), ("\n\n", False)], 10)
    assert wrapped.height == 1
    wrapped.append("b", False)
    assert wrapped.height == 4
