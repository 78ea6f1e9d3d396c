"""Where formulas begin and end in a text that streams, and what is none."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ponder.mathematics.formulas import LONGEST, Flow, shown


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (r"So $x_1 = \frac{1}{2}$.", "So x₁ = 1/2."),
        (r"So \(y \le 3\), and \[ z^2 \]", "So y ≤ 3, and z²"),
        (r"$$x^2$$", "x²"),
        (r"**Final Answer** \boxed{\text{A}} indeed", "**Final Answer** [A] indeed"),
        (r"\begin{align*} a &= b \\ c &= d \end{align*}", "a = b\nc = d"),
        (r"Then \[ \begin{matrix} a \\ b \end{matrix} \]", "Then a; b"),
        ("It costs $5 and $7, or US$5 and A$7.", None),
        ("I had $5 and spent 3$ on it.", None),
        ("$12.50 + $3.25 = $15.75, **$12** and ($5).", None),
        (r"\$5 and \$6", None),
        ("$PATH and $HOME, $PATH/$HOME", None),
        (r"`$x^2$` and ``\(y\)``", None),
        ("```\n$x^2$\n```\n~~~\n\\(y\\)\n~~~\n", None),
        ("  ```latex\n\\[ x^2 \\]\n  ```\n", None),
        (r"\unknown $\unknown{x}$ \(\unknown\) \boxed{\unknown}", None),
        (r"$x and \(y and \[z and $$w and \boxed{v and \begin{align}", None),
        ("\\[ x\n\ny \\]", None),  # a formula has no empty line
        ("trailing \\", None),
        ("`never closed $x", None),
    ],
)
def test_formulas_are_told_and_all_else_is_left_alone(text: str, told: str | None) -> None:
    assert shown(text) == (text if told is None else told)


def test_it_is_told_as_soon_as_it_is_complete_and_not_before() -> None:
    flow = Flow()
    assert flow.feed(r"Let \(x") == "Let "
    assert flow.feed(r"^2\)") == "x²"
    assert flow.feed(" be. It costs $") == " be. It costs "
    assert flow.feed("5 and Tom has") == "$5 and Tom has"  # two words: a price
    assert flow.end() == ""
    assert flow.feed(r"\[ open") == ""
    assert flow.end() == r"\[ open"


def test_what_never_ends_is_not_held_back_for_long() -> None:
    flow = Flow()
    text = r"\[" + "x " * LONGEST
    told = "".join(flow.feed(text[at : at + 7]) for at in range(0, len(text), 7))
    assert len(told) > len(text) - 20
    assert told + flow.end() == text


TEXTS = st.lists(
    st.sampled_from(
        ["$", "$$", r"\(", r"\)", r"\[", r"\]", r"\boxed{", "}", "{", r"\frac{1}{2}", "x^2", "5",
         " ", "\n", "\n\n", "`", "```", "~~~", "word", r"\begin{align}", r"\end{align}", "\\", "é"]
    ),
    max_size=20,
).map("".join)  # fmt: skip


@given(TEXTS, st.lists(st.integers(1, 9), min_size=1))
@example("$$x^2$$ and $x$", [1])
@example("a ```", [2])
def test_how_it_is_cut_makes_no_difference(text: str, sizes: list[int]) -> None:
    flow, told, at = Flow(), "", 0
    for size in sizes * (len(text) + 1):
        told += flow.feed(text[at : at + size])
        at += size
        if at >= len(text):
            break
    assert told + flow.end() == shown(text)


@given(st.text(st.characters(exclude_characters="$\\")))
def test_a_text_without_mathematics_passes_as_it_came(text: str) -> None:
    assert shown(text) == text
