"""A thought on its sheet: whatever is folded, each row is somewhere, and growing moves nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ponder.tui.finding import Finder
from ponder.tui.sheet import Sheet
from ponder.types import Author

FRAGMENTS = ["a b", " ", "\n", "\n\n", "Wait, ", "語", "long " * 7, "\t", "Hmm.", "\r", "xA"]
TEXT = st.lists(st.sampled_from(FRAGMENTS), max_size=8).map("".join)
AUTHOR = st.sampled_from(list(Author))
PIECES = st.lists(st.tuples(TEXT, AUTHOR), max_size=8)
WIDTH = st.integers(1, 20)
FOLDS = st.sets(st.integers(0, 6))


def sheet(pieces: list[tuple[str, Author]], width: int, folds: set[int]) -> Sheet:
    made = Sheet()
    made.resize(width)
    for text, author in pieces:
        made.append(text, author)
    for step in folds:
        if step < made.steps:
            made.fold(step, True)
    return made


def rows(made: Sheet) -> list[tuple[int, str]]:
    """The step and the text of each row of a sheet."""
    places = [made.place(y) for y in range(made.height)]
    return [
        (place.step, "".join(piece.text for piece in made.wrapped.rows[place.row]))
        for place in places
    ]


@given(PIECES, WIDTH)
def test_unfolded_it_is_the_wrapped_text(pieces: list[tuple[str, Author]], width: int) -> None:
    made = sheet(pieces, width, set())
    wrapped = made.wrapped
    assert [text for _, text in rows(made)] == [
        "".join(piece.text for piece in row) for row in wrapped.rows[: wrapped.height]
    ]


@given(PIECES, WIDTH, FOLDS)
def test_a_folded_step_is_one_row_and_the_others_are_whole(
    pieces: list[tuple[str, Author]], width: int, folds: set[int]
) -> None:
    whole, made = sheet(pieces, width, set()), sheet(pieces, width, folds)
    for step in range(made.steps):
        own = [text for number, text in rows(made) if number == step]
        unfolded = [text for number, text in rows(whole) if number == step]
        assert own == (unfolded[:1] if made.is_folded(step) else unfolded)
        assert made.bottom(step) - made.top(step) == len(own)
        assert made.lines(step) == max((n for n, text in enumerate(unfolded, 1) if text), default=0)


@given(PIECES, WIDTH, WIDTH, FOLDS)
def test_it_is_the_same_however_it_came_to_be(
    pieces: list[tuple[str, Author]], width: int, before: int, folds: set[int]
) -> None:
    grown = Sheet()
    grown.resize(before)
    for text, author in pieces:
        for char in text:
            grown.append(char, author)
            grown.height  # noqa: B018 - asked for while it grows, and remembered
        for step in folds:
            if step < grown.steps:
                grown.fold(step, step % 2 == 0)
    grown.resize(width)
    for step in range(grown.steps):
        grown.fold(step, step in folds)
    assert rows(grown) == rows(sheet(pieces, width, folds))


@given(PIECES, WIDTH, FOLDS)
def test_each_character_is_where_it_is_said_to_be(
    pieces: list[tuple[str, Author]], width: int, folds: set[int]
) -> None:
    made = sheet(pieces, width, folds)
    text = made.text
    for at, char in enumerate(text):
        if char.isspace():
            continue
        y = made.y_of(at)
        place = made.place(y)
        assert place.step == made.passages.step_at(at)
        if not place.folded:
            row = "".join(piece.text for piece in made.wrapped.rows[place.row])
            assert row[at - made.wrapped.starts[place.row]] == char


WORDS = st.text(st.sampled_from("aAbßſK \n"), min_size=1, max_size=3)


@given(st.lists(st.text(st.sampled_from("aAbBßſKk \n\t"), max_size=6), max_size=8), WORDS)
def test_words_are_found_in_whatever_pieces_a_text_came(pieces: list[str], words: str) -> None:
    grown, whole = Finder(words), Finder(words)
    text = "".join(pieces)
    for piece in pieces:
        grown.append(piece)
    whole.append(text)
    assert grown.hits == whole.hits
    for at in whole.hits:
        found = text[at : at + whole.size]
        assert len(found) == len(words)
        for char, wanted in zip(found, words, strict=True):
            assert char.isspace() if wanted.isspace() else char.casefold() == wanted.casefold()


def test_an_upper_case_letter_asks_for_itself() -> None:
    text = "wait, Wait, WAIT"
    for words, hits in (("wait", [0, 6, 12]), ("Wait", [6]), ("WAIT", [12]), ("nothing", [])):
        finder = Finder(words)
        assert finder.append(text) is bool(hits)
        assert finder.hits == hits


def test_hits_of_a_range_are_those_that_reach_into_it() -> None:
    finder = Finder("aa")
    finder.append("aa aa aa")
    assert finder.within(1, 4) == [0, 1]
    assert finder.within(2, 3) == []
    assert finder.within(0, 99) == [0, 1, 2]
