"""Answers are read as people mean them, and reading survives any text."""

from __future__ import annotations

import time
from fractions import Fraction
from itertools import islice

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ponder.equality import read_answer, same_answer
from ponder.evaluation.questions import questions


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"The result is \boxed{42}.", "42"),
        (r"\boxed{1}, no: \boxed{2}", "2"),
        (r"\boxed{1,234,567}", "1234567"),
        (r"\boxed{1{,}234}", "1234"),
        (r"\boxed{1\,234}", "1234"),
        (r"\boxed{\$45}", "45"),
        (r"\boxed{$1,200.50}", "1200.50"),
        (r"\boxed{-7}", "-7"),
        (r"\boxed{−7}", "-7"),
        (r"\boxed{+7}", "7"),
        (r"\boxed{.5}", ".5"),
        (r"\boxed{\frac{3}{4}}", "3/4"),
        (r"\boxed{-\dfrac{3}{4}}", "-3/4"),
        (r"\boxed{42 \text{ apples}}", "42"),
        (r"\boxed{42\text{ km}}", "42"),
        (r"\boxed{42 dollars.}", "42"),
        (r"\boxed{42\%}", "42"),
        (r"\boxed{x = 5}", "5"),
        (r"\boxed{ 42. }", "42"),
        (r"\boxed{\text{Mia}}", "Mia"),
        (r"\boxed{**Mia**}", "Mia"),
        (r"\boxed{\textbf{Mia}.}", "Mia"),
        # What is not a plain number is not made one.
        (r"\boxed{\sqrt{2}}", r"\sqrt{2}"),
        (r"\boxed{2 million}", "2 million"),
        (r"\boxed{1\frac{1}{2}}", "1 1/2"),
        (r"\boxed{5x}", "5x"),
        (r"\boxed{(1, 2)}", "(1, 2)"),
        (r"\boxed{5!}", "5!"),
        (r"\boxed{x >= 5}", "x >= 5"),
        (r"\boxed{x = 5, y = 6}", "x = 5, y = 6"),
        # Cut answers.
        (r"It is \boxed{42", "42"),
        ("\\boxed{\n42\nand some", "42"),
        (r"\boxed{\frac{3}{4}", "3/4"),
        (r"so 17. \boxed{", "17"),
        (r"put it within \boxed{}: 17", "17"),
        # No box.
        ("6 × 7 = 42 and that took 3 minutes.", "42"),
        ("The answer is 42. I took 3 steps.", "42"),
        ("**Answer:** $1,234.", "1234"),
        ("The answer is 42!", "42"),
        ("Final Answer\n\n42", "42"),
        ("the answer is 40 + 2 = 42", "42"),
        ("Let me answer. Tom has 5, so there are 8", "8"),
        ("10-5 leaves 5, then 12-9", "9"),
        ("It is 3.14.", "3.14"),
        # Choices.
        ("The answer is (B).", "B"),
        ("The answer is option C.", "C"),
        ("**Answer:** B) 4", "B"),
        ("Answer: B. 4", "B"),
        ("4 or 5?\nFinal Answer\n\n**D**\n", "D"),
        ("The answer is A, a 5-pointed star", "5"),
        ("The answer is A5", "5"),
        ("Answer (A)? No: the answer is 4", "4"),
        ("Nothing to say.", None),
        ("", None),
    ],
)
def test_reading(text: str, answer: str | None) -> None:
    assert read_answer(text) == answer


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("42", "42"),
        ("42.0", "42"),
        ("1,000", "1000"),
        ("$5", "5"),
        ("0.5", "1/2"),
        (".5", "0.50"),
        ("2/4", "1/2"),
        ("-0", "0"),
        ("007", "7"),
        ("42 apples", "42"),
        ("mia", "Mia"),
        (" Mia. ", "Mia"),
        ("9" * 5000, "9" * 5000),
        ("1/0", "1/0"),
        ("1e3", "1000"),
        ("2 million", "2000000"),
        (r"1\frac{1}{2}", "1.5"),
        ("-1 1/2", "-3/2"),
        (r"6.63 \times 10^{-34}", "0.663e-33"),
        (r"3\cdot10^4", "30,000"),
        ("(1, 2)", "(1,2)"),
        # Choices.
        ("(B)", "B"),
        ("b", "(B)"),
        ("B.", r"\textbf{(B)}"),
        ("B) 4", "(B)"),
        ("(B) 4", "B) four"),
        ("B. 4", "B: 4"),
        ("Option B", "B"),
        (r"\text{(B) } 4", "B"),
    ],
)
def test_the_same(a: str, b: str) -> None:
    assert same_answer(a, b)
    assert same_answer(b, a)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (None, "42"),
        ("", ""),
        ("", "42"),
        ("0.33", "1/3"),
        ("42", "-42"),
        ("Mia", "Max"),
        ("1/0", "0"),
        ("1e4", "1000"),
        ("1e9999", "2e9999"),
        ("2 million", "2"),
        ("1 1/2", "1"),
        ("1 1/0", "1"),
        (r"6.63 \times 10^{-34}", r"1.05 \times 10^{-34}"),
        ("9" * 5000, "9" * 4999),
        (r"\sqrt{2}", "2"),
        ("٣", "3"),
        ("(2, 3)", "(3, 2)"),
        # Choices.
        ("(B)", "(C)"),
        ("B) 4", "C) 4"),
        ("B) 4", "4"),
        ("E. coli", "E. faecalis"),
        ("E. coli", "E"),
        ("A) 5, B) 7", "A) 5, B) 8"),
        ("A) 5, B) 7", "A"),
        # Words are no products of letters.
        ("NO2", "N2O"),
        ("abc", "cba"),
    ],
)
def test_not_the_same(a: str | None, b: str) -> None:
    assert not same_answer(a, b)


PIECES = st.sampled_from(
    [
        "\\boxed{",
        "{",
        "}",
        "\\",
        "\\frac{",
        "}{",
        "\\text{",
        "answer",
        "=",
        "12",
        ",345",
        ".",
        "/",
        "-",
        "/0",
        "$",
        " ",
        "\n",
        "Mia",
        "\ud800",
        "٣",
        "\x1b[31m",
        "1e999999999",
    ]
)
TEXTS = st.text() | st.lists(PIECES).map("".join)


@given(TEXTS, TEXTS)
@example("\\boxed{" + "9" * 5000 + "}", "9" * 5000)
def test_any_text_can_be_read_and_compared(text: str, other: str) -> None:
    answer = read_answer(text)
    assert answer is None or answer
    assert same_answer(answer, other) in (True, False)
    assert same_answer(text, other) == same_answer(other, text)


@given(st.fractions(), st.text(st.characters(exclude_characters="{}\\")))
def test_a_box_wins_whatever_surrounds_it(value: Fraction, around: str) -> None:
    text = f"{around}\\boxed{{{value}}}{around}"
    assert same_answer(read_answer(text), str(value))


@given(st.integers())
def test_separators_and_signs_do_not_matter(value: int) -> None:
    assert same_answer(read_answer(f"So the answer is ${value:,}."), str(value))


@pytest.mark.parametrize(
    "piece",
    [
        "\\boxed{",
        "\\boxed{}",
        "{",
        "1,",
        "1,234",
        "1234",
        "\\frac{",
        "\\frac{ 1",
        " ",
        "1 ",
        "a ",
        "=",
        "answer ",
        "1/",
        ".",
        ".1",
        "\\text{",
        "*",
    ],
)
def test_long_texts_take_no_longer_than_their_length_explains(piece: str) -> None:
    text = piece * (400_000 // len(piece))
    started = time.perf_counter()
    read_answer(text)
    read_answer("\\boxed{" + text)
    same_answer(text, "42 " + text)
    # A reader of quadratic time would need hours.
    assert time.perf_counter() - started < 20


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10**6))
def test_the_answers_of_questions_survive_being_said(seed: int) -> None:
    for question in islice(questions(seed), 10):
        said = f"**Answer:** In total that is \\boxed{{{question.answer}}}."
        assert same_answer(read_answer(said), question.answer)
