"""A thought in steps: the same in whatever pieces it came, and nothing of it lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ponder.passages import Mark, Passages, Pivot, passages
from ponder.types import Author, Channel, Span

THOUGHT = """\
Okay, I need 12 times 8. That is 96.

Wait, are there boxes in boxes? Hmm, no. Wait means nothing here.
Let me double-check: we have

\\[ 12 \\cdot 8 = 96 \\]

But the answer would be \\boxed{96} then.

So, counting:

```python
wait = 1

print(wait)
```

Alternatively, 8 times 12.
"""
FRAGMENTS = [
    *("Wait", ", ", "wait", "\n", "\n\n", " ", "But", "Hmm", "mm", ".", ": ", "Let me", " check"),
    *("```", "``", "\\[", "\\", "$$", "answer", " is", " 4", "\\boxed", "{4}", "Final Answer**"),
    *("x", "Alternatively", "So, ", "verify ", "但是", "。", "- ", "**", "\r", "word " * 20),
]  # fmt: skip
TEXT = st.lists(st.sampled_from(FRAGMENTS), max_size=6).map("".join)
PIECES = st.lists(st.tuples(TEXT, st.booleans()), max_size=9)
"""What came, and whether ponder put it there."""


def known(pieces: list[tuple[str, bool]]) -> Passages:
    result = Passages()
    for text, forced in pieces:
        result.append(text, forced)
    return result


def texts(text: str) -> list[str]:
    return [passage.text for passage in passages([Span(Channel.THOUGHT, text)])]


def marks(text: str) -> list[tuple[Pivot, str]]:
    """Each pivot, and what is there."""
    return [(mark.pivot, text[mark.at : mark.at + 6]) for mark in known([(text, False)]).marks]


@given(PIECES, st.data())
def test_in_which_pieces_it_came_changes_nothing(
    pieces: list[tuple[str, bool]], data: st.DataObject
) -> None:
    torn = [(char, forced) for text, forced in pieces for char in text]
    some: list[tuple[str, bool]] = []
    for text, forced in pieces:
        cut = data.draw(st.integers(0, len(text)))
        some += [(text[:cut], forced), (text[cut:], forced)]
    whole = known(pieces)
    for other in (known(torn), known(some)):
        assert other.steps == whole.steps
        assert other.marks == whole.marks
        assert other.length == whole.length


@given(PIECES)
def test_steps_together_are_the_thought_and_begin_lines(pieces: list[tuple[str, bool]]) -> None:
    text = "".join(piece for piece, _ in pieces)
    steps = known(pieces).steps
    assert steps == sorted(set(steps))
    assert (steps[0] == 0) if text else not steps
    for at in steps:
        assert at == 0 or text[at - 1] == "\n"
        assert text[at:].strip() or at == 0


@given(PIECES)
def test_passages_keep_every_word_and_its_author(pieces: list[tuple[str, bool]]) -> None:
    whose = {False: Author.MODEL, True: Author.WAIT}
    spans = [Span(Channel.THOUGHT, text, whose[forced]) for text, forced in pieces]
    found = passages([*spans, Span(Channel.ANSWER, "Wait, no.\n\nBut")])
    said = [(char, span.author) for span in spans for char in span.text]
    assert [(c, s.author) for p in found for s in p.spans for c in s.text] == said
    assert all(passage.text for passage in found)


@given(PIECES)
def test_pivots_are_in_order_and_in_their_step(pieces: list[tuple[str, bool]]) -> None:
    whole = known(pieces)
    assert whole.marks == sorted(whole.marks)
    for mark in whole.marks:
        step = whole.step_at(mark.at)
        assert whole.steps[step] <= mark.at < whole.end(step)
        assert mark.pivot in whole.pivots(step)


def test_a_thought_in_steps() -> None:
    first, wait, check, but, so, alternatively = texts(THOUGHT)
    assert first == "Okay, I need 12 times 8. That is 96.\n\n"
    assert wait == "Wait, are there boxes in boxes? Hmm, no. Wait means nothing here.\n"
    assert check.startswith("Let me") and check.endswith("\\]\n\n")
    assert but == "But the answer would be \\boxed{96} then.\n\n"
    assert so.startswith("So, counting:\n\n```") and so.endswith("print(wait)\n```\n\n")
    assert alternatively == "Alternatively, 8 times 12.\n"


def test_pivots_of_a_thought() -> None:
    assert marks(THOUGHT) == [
        (Pivot.WAIT, "Wait, "),
        (Pivot.HMM, "Hmm, n"),
        (Pivot.WAIT, "Wait m"),
        (Pivot.CHECK, "Let me"),
        (Pivot.BUT, "But th"),
        (Pivot.CANDIDATE, "answer"),
        (Pivot.ALTERNATIVELY, "Altern"),
    ]


@pytest.mark.parametrize(
    ("text", "pivot"),
    [
        ("Hold on, no.", Pivot.WAIT),
        ("However, no.", Pivot.BUT),
        ("Another way: no.", Pivot.ALTERNATIVELY),
        ("On the other hand, no.", Pivot.ALTERNATIVELY),
        ("Hmmm. No.", Pivot.HMM),
        ("So let me verify this.", Pivot.CHECK),
        ("Let's re-check this.", Pivot.CHECK),
        ("Let me make sure.", Pivot.CHECK),
        ("So the answer is 4.", Pivot.CANDIDATE),
        ("The answer should be 4.", Pivot.CANDIDATE),
        ("**Final Answer**\n\n4", Pivot.CANDIDATE),
        ("Answer: 4", Pivot.CANDIDATE),
        ("so \\boxed{4}", Pivot.CANDIDATE),
        ("等等，不对。", Pivot.WAIT),
        ("但是不对。", Pivot.BUT),
        ("所以答案是4。", Pivot.CANDIDATE),
    ],
)
def test_what_is_a_pivot(text: str, pivot: Pivot) -> None:
    assert [mark.pivot for mark in known([(text, False)]).marks] == [pivot]


@pytest.mark.parametrize(
    "text",
    ["I wait, not long.", "Waiter, no.", "Butter. Butt.", "Let me think.", "answers are", "Wait"],
)
def test_what_is_none(text: str) -> None:
    assert known([(text, False)]).marks == []


def test_a_wait_in_mid_paragraph_is_a_pivot_and_no_step() -> None:
    text = "It is 4. Wait, is it? Yes."
    assert texts(text) == [text]
    assert marks(text) == [(Pivot.WAIT, "Wait, ")]


def test_the_words_of_ponder_are_marked_once_and_begin_a_step_at_a_line() -> None:
    pieces = [("It is 4.\n", False), ("Wa", True), ("it", True), (", or 5. Wait, no.\n", False)]
    whole = known([*pieces, ("\n\nConsidering the time. Wait, this is it.", True)])
    assert whole.marks == [
        Mark(9, Pivot.FORCED), Mark(21, Pivot.WAIT), Mark(33, Pivot.FORCED),
    ]  # fmt: skip
    assert whole.steps == [0, 9, 33]
    mid = known([("It is 4.", False), ("Wait", True), (", or 5.", False)])
    assert mid.steps == [0]
    assert mid.pivots(0) == [Pivot.FORCED]


def test_a_fence_that_never_closes_does_not_swallow_pivots() -> None:
    assert len(texts("```\na\n\nb\n\nWait, c\n\nd")) == 2


def test_where_there_is_nothing_there_is_no_step() -> None:
    with pytest.raises(IndexError):
        Passages().step_at(0)
    whole = known([("\n\n a\n\nb", False)])
    assert [whole.step_at(at) for at in (0, 3, 6, 99)] == [0, 0, 1, 1]
