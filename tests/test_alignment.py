"""Two thinkings side by side: nothing is lost or told twice, and signs say what differs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from ponder.alignment import Kind, Sentence, agreement, aligned, differing, sentences
from ponder.sidebyside import lines
from ponder.types import Author, Channel, Span

LEFT = "First, 3 + 4 is 7. So far so good.\n\nWait, let me check 3 + 4 again. It is 7."
RIGHT = "First, 3 + 4 is 8. So far so good.\n\nThe answer is 8."

words = st.sampled_from(["So 7.", "So 8.", "Wait, no.", "It is so and so.", "It is so, and so."])
sides = st.lists(words, max_size=12).map(lambda said: [Sentence(text, 1) for text in said])


def thought(text: str, author: Author = Author.MODEL) -> Span:
    return Span(Channel.THOUGHT, text, author)


def told(left: str, right: str) -> list[tuple[str, str, str]]:
    rows = aligned(sentences([thought(left)]), sentences([thought(right)]))
    return [
        (row.kind, row.left.text if row.left else "", row.right.text if row.right else "")
        for row in rows
    ]


def test_what_is_shared_changed_and_alone() -> None:
    assert told(LEFT, RIGHT) == [
        ("changed", "First, 3 + 4 is 7.", "First, 3 + 4 is 8."),
        ("same", "So far so good.", "So far so good."),
        ("only left", "Wait, let me check 3 + 4 again.", ""),
        ("only left", "It is 7.", ""),
        ("only right", "", "The answer is 8."),
    ]
    rows = aligned(sentences([thought(LEFT)]), sentences([thought(RIGHT)]))
    assert agreement(rows) == "1 sentence the same · 1 changed · 2 only left · 1 only right"


def test_blank_space_is_no_difference() -> None:
    assert [kind for kind, *_ in told("So  it\tis. Yes.", "So it is.\nYes.")] == ["same", "same"]


def test_sentences_know_their_step_and_who_said_them() -> None:
    spans = [thought("One.\n\nTwo, "), thought("\n\nWait", Author.WAIT), thought(", three. Four.")]
    found = sentences([*spans, Span(Channel.ANSWER, "No thought.")])
    assert [(one.text, one.step, bool(one.forced)) for one in found] == [
        ("One.", 1, False), ("Two,", 2, False), ("Wait, three.", 3, True), ("Four.", 3, False),
    ]  # fmt: skip
    assert [found[2].text[a:b] for a, b in found[2].forced] == ["Wait"]


@given(sides, sides)
def test_every_sentence_stands_once_and_in_order(
    left: list[Sentence], right: list[Sentence]
) -> None:
    rows = aligned(left, right)
    assert [row.left for row in rows if row.left] == left
    assert [row.right for row in rows if row.right] == right
    for row in rows:
        has = (row.left is not None, row.right is not None)
        assert has == {Kind.LEFT: (True, False), Kind.RIGHT: (False, True)}.get(
            row.kind, (True, True)
        )
        if row.kind is Kind.SAME and row.left and row.right:
            assert row.left.text == row.right.text


@given(sides)
def test_a_thinking_is_the_same_as_itself(side: list[Sentence]) -> None:
    assert all(row.kind is Kind.SAME for row in aligned(side, side))


@given(st.text(max_size=30), st.text(max_size=30))
def test_what_does_not_differ_is_the_same_text(left: str, right: str) -> None:
    mine, theirs = differing(left, right)

    def rest(text: str, ranges: tuple[tuple[int, int], ...]) -> str:
        return "".join(c for at, c in enumerate(text) if not any(a <= at < b for a, b in ranges))

    assert rest(left, mine) == rest(right, theirs)


def test_many_sentences_that_all_differ_take_no_time() -> None:
    left = [Sentence(f"left {at}", 1) for at in range(3000)]
    right = [Sentence(f"right {at}", 1) for at in range(3000)]
    assert len(aligned(left, right)) == 6000


@pytest.mark.parametrize("width", [40, 80, 120, 300])
@pytest.mark.parametrize("beside", [True, False])
def test_lines_keep_to_their_width_and_say_without_colour_what_differs(
    width: int, beside: bool
) -> None:
    spans = [
        thought(LEFT.replace("good", "为什么天空是蓝色的 " * 9)),
        thought("\n\nWait", Author.WAIT),
    ]
    rows = aligned(sentences(spans), sentences([thought(RIGHT)]))
    shown = lines(rows, width, beside)
    assert all(cell_len(line.plain) <= width for line in shown)
    signs = {line.plain[:1] for line in shown}
    assert {"<", "~" if beside else ">"} <= signs
    assert any("⟦Wait⟧" in line.plain for line in shown)


def test_what_a_terminal_would_obey_is_shown() -> None:
    rows = aligned(sentences([thought("a\x1b[31mb.")]), sentences([thought("a\x1b[32mb.")]))
    for beside in (True, False):
        assert not any("\x1b" in line.plain for line in lines(rows, 100, beside))
