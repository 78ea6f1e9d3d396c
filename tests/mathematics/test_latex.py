"""One formula as Unicode: what is known, what had better stay as it is, and what would hang."""

from __future__ import annotations

import logging
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ponder.mathematics.latex import LONGEST, readable


@pytest.mark.parametrize(
    ("latex", "told"),
    [
        (r"\boxed{42}", "[42]"),
        (r"\boxed{\frac{1}{2}}", "[1/2]"),
        (r"\frac{a+b}{c}", "(a+b)/c"),
        (r"\frac{1}{2a}", "1/(2a)"),
        (r"\dfrac12", "1/2"),
        (r"2\frac{1}{2}", "2 1/2"),
        (r"x\frac{1}{2}y", "x(1/2)y"),
        (r"\frac{a}{b}\frac{c}{d}", "(a/b)(c/d)"),
        (r"\frac{\frac{1}{2}}{3}", "(1/2)/3"),
        (r"\frac{-b \pm \sqrt{b^2-4ac}}{2a}", "(-b ± √(b²-4ac))/(2a)"),
        (r"\sqrt{x^2+1}", "√(x²+1)"),
        (r"\sqrt[3]{27} = \sqrt[n]{x}", "∛27 = ⁿ√x"),
        (r"x_{i+1}^{2n}", "xᵢ₊₁²ⁿ"),
        (r"x_{\text{max}}", "xₘₐₓ"),
        (r"e^{i\pi}", "e^(iπ)"),
        (r"x^* + y_b", "x^* + y_b"),
        (r"f'(x) + f''(x)", "f'(x) + f″(x)"),
        (r"\angle ABC = 90^\circ", "∠ ABC = 90°"),
        (r"\sum_{i=1}^{n} i = \frac{n(n+1)}{2}", "∑ᵢ₌₁ⁿ i = (n(n+1))/2"),
        (r"\int_0^\infty f\,dx", "∫₀^∞ f dx"),
        (r"\alpha \to \infty", "α → ∞"),
        (r"\mathbb{R}^n \subseteq \mathcal{F}", "ℝⁿ ⊆ ℱ"),
        (r"\left( \frac{1}{2} \right.", "( 1/2"),
        (r"x \le 3 \text{ so far}", "x ≤ 3 so far"),
        (r"a \equiv b \pmod{7}", "a ≡ b (mod 7)"),
        (r"\binom{n}{k}", "(n choose k)"),
        (r"\overline{AB}", "A̅B̅"),
        (r"50% \text{ and } 5\%", "50% and 5%"),
        (r"\$5.00 \times 1{,}000", "$5.00 × 1,000"),
        (r"\begin{pmatrix} a & b \\ c & d \end{pmatrix}", "(a b; c d)"),
        (r"\begin{cases} x & x>0 \\ 0 & \text{else}\end{cases}", "{x, x>0; 0, else"),
        (r"\begin{align} a &= b \\[4pt] c &= d \end{align}", "a = b; c = d"),
    ],
)
def test_what_is_known_is_told_on_one_row(latex: str, told: str) -> None:
    assert readable(latex) == told


def test_what_has_rows_is_told_on_several_and_all_else_beside_their_middle() -> None:
    matrix = r"A = \begin{bmatrix} 1 & 0 \\ 0 & -1 \end{bmatrix} B"
    assert readable(matrix, rows=True) == "A = ⎡ 1  0  ⎤ B\n    ⎣ 0  -1 ⎦"
    cases = r"f(x) = \begin{cases} x^2 & x > 0 \\ 0 & x = 0 \\ -x & \text{otherwise} \end{cases}"
    assert readable(cases, rows=True) == (
        "       ⎧ x²  x > 0\nf(x) = ⎨ 0   x = 0\n       ⎩ -x  otherwise"
    )
    equations = r"\begin{aligned} x + y &= 10 \\ 2x - y &= 5 \end{aligned}"
    assert readable(equations, rows=True) == " x + y = 10\n2x - y = 5"
    assert readable("a\n- b\n= c", rows=True) == "a - b = c"  # its lines are no rows


@pytest.mark.parametrize(
    "latex",
    [
        r"\unknown{x} y",
        r"\begin{tikzpicture} x \end{tikzpicture}",
        r"\color{red}{x}",  # a word would be lost
        r"\input{/etc/hostname}",
        r"\include{x}",
        r"\today",
        r"x^{",
        r"\frac{1}",
        r"\frac{}{2}",
        "x^",
        "}{",
        r"\begin{align} a",
        "",
        "  ",
        "\ue010x\ue012",
    ],
)
def test_what_is_not_known_stays_as_it_is(latex: str) -> None:
    assert readable(latex) is None
    assert readable(latex, rows=True) is None


HARD = [
    "{" * 900,
    "{" * 24 + "x" * 1900 + "}" * 24,
    r"\sqrt" * 399,
    r"\frac" * 399,
    "x" + "^" * 1999,
    "x_" * 999,
    "^{a" * 24 + "}" * 24,
    "$" * 1999,
    r"\(" * 999,
    r"\left(" * 280,
    r"\hat" * 400,
    r"\begin{cases}" * 20 + "x" + r"\end{cases}" * 20,
    r"\begin{pmatrix}" + r"1&\\" * 480 + r"\end{pmatrix}",
    r"\frac{1}{2}" * 180,
]


@pytest.mark.parametrize("latex", HARD, ids=lambda latex: latex[:8])
def test_what_is_nested_without_end_ends(
    latex: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.WARNING):
        for rows in (False, True):
            told = readable(latex, rows)
            assert told is None or len(told) < 40 * LONGEST
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")


def test_a_formula_that_is_too_long_stays_as_it_is() -> None:
    assert readable("x" * LONGEST) == "x" * LONGEST
    assert readable("x" * (LONGEST + 1)) is None


PIECES = st.sampled_from(
    [r"\frac", r"\sqrt", r"\boxed", r"\text", r"\begin{cases}", r"\end{cases}", r"\begin{array}",
     r"\end{array}", "{", "}", "[", "]", "^", "_", "&", r"\\", "x", "y2", "17", " ", "\n", "%", "$",
     "'", "''", "~", r"\left", r"\right", ".", "(", ")", r"\alpha", r"\le", r"\not", r"\hat",
     r"\overline", r"\mathbb", r"\pmod", "+", "=", "-", "é", "\\", "#", r"\hspace", "{cc}"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=25).map("".join) | st.text(max_size=40), st.booleans())
def test_whatever_it_is_no_digit_and_no_letter_gets_lost(latex: str, rows: bool) -> None:
    told = readable(latex, rows)
    if told is None:
        return
    names = r"\\(begin|end)\{[^{}]*\}(\{[^{}]*\})?|\\sqrt\[[234]\]|\\\\\*?\[[^\]]*\]"
    source = re.sub(rf"{names}|\\hspace\*?\{{[^{{}}]*\}}|\\[a-zA-Z]+\*?", " ", latex)
    for sign in unicodedata.normalize("NFKD", source):
        if sign.isdecimal():
            assert sign in unicodedata.normalize("NFKD", told)
    assert not re.search("[\ue010-\ue016]", told)
    assert rows or "\n" not in told
