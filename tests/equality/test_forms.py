"""What is decided without algebra is an equivalence; what is not, is mathematics."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ponder.equality.answers import tidy
from ponder.equality.forms import decide, form, same_answer

ANSWERS = st.sampled_from(
    [
        *["42", "42.0", "84/2", r"\frac{84}{2}", "4.2e1", "42 km", "42%", "41", "-42"],
        *["B", "(B)", "b", "B) 4", "(B) 5", "B. 4", "C", "4", "E. coli", "E. faecalis"],
        *["Mia", "mia.", r"\text{Mia}", "Max", "NO2", "N2O", "", " ", "x'"],
        *["2x+1", "2x + 1", r"2x\,+1", "1+2x", r"\sqrt{2}", "sqrt(2)", "√2", "x"],
        *["(2,3)", "( 2, 3 )", "(3,2)", "[2,3]", "2,3", "3,2", r"\{2,3\}", "2 and 3"],
    ]
)


@given(ANSWERS | st.text(), ANSWERS | st.text(), ANSWERS)
def test_what_is_decided_is_an_equivalence(a: str, b: str, c: str) -> None:
    one, two, three = form(a), form(b), form(c)
    assert decide(one, one) is bool(one)
    assert decide(one, two) == decide(two, one)
    if decide(one, two) and decide(two, three):
        assert decide(one, three)


@given(st.text(), st.text())
def test_equal_texts_are_equal_answers(a: str, b: str) -> None:
    if tidy(a).casefold() == tidy(b).casefold() != "":
        assert same_answer(a, b)


@given(st.fractions(max_denominator=10**6))
def test_numbers_are_exact(value: object) -> None:
    assert form(str(value)).number == value


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (r"\sqrt{8}", r"2\sqrt{2}"),
        ("5x", "x*5"),
        ("2^10", "1024"),
        ("7pi/6", r"\frac{7\pi}{6}"),
        (r"\text{ } 5!", "120"),
        ("2,3", "3,2"),
        ("2 and 3", "3, 2"),
        ("y = 2x+3", "y-2x=3"),
        (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{bmatrix}1\\2\end{bmatrix}"),
        ("3:4", "6:8"),
    ],
)
def test_mathematics_is_left_to_algebra(a: str, b: str) -> None:
    assert decide(form(a), form(b)) is None


@pytest.mark.parametrize(
    "answer",
    [
        "Mia",
        "no",
        "Monday or Friday",
        "H2O",
        "C6H12O6",
        "x2",
        "101_2",
        "12:30",
        "3 apples and 4 pears",
        "f'(x)",
        "1 2 3",
        "x+\0",
        "__import__('os').system('id')",
        "x+" * 1000 + "1",
    ],
)
def test_what_is_no_mathematics_is_compared_as_text(answer: str) -> None:
    assert form(answer).expression == ""
    assert decide(form(answer), form("2x+1")) is False
