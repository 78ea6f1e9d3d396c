"""Steps give what they say, exactly, and numbers are written as people write them."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ponder.equality import read_answer, same_answer
from ponder.evaluation.arithmetic import (
    LIMIT,
    Number,
    Operator,
    Result,
    Step,
    Verdict,
    Working,
    apply,
    decide,
    evaluate,
    exact,
    in_form,
    proper,
    show,
)

NUMBERS = st.one_of(
    st.integers(-LIMIT, LIMIT),
    st.integers(-9999, 9999).map(lambda n: exact(Fraction(n, 100))),
    st.fractions(-50, 50, max_denominator=100).map(exact),
)


@given(NUMBERS)
def test_what_is_shown_is_the_number_and_is_read_as_it(number: Number) -> None:
    shown = show(number)
    assert Fraction(shown) == number
    assert same_answer(read_answer(f"So it is \\boxed{{{shown}}}."), shown)


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (1234, "1234"),
        (-3, "-3"),
        (Fraction(9, 2), "4.5"),
        (Fraction(-1, 8), "-0.125"),
        (Fraction(1, 10000), "0.0001"),
        (Fraction(7, 3), "7/3"),
        (Fraction(1, 32), "1/32"),  # five places
        (Fraction(6, 2), "3"),
    ],
)
def test_numbers_are_shown_in_one_way(number: Number, shown: str) -> None:
    assert show(number) == shown


@pytest.mark.parametrize(
    ("value", "form", "written"),
    [
        (Fraction(9, 2), "money:$", "$4.50"),
        (4, "money:£", "£4"),
        (Fraction(-1, 4), "money:€", "-€0.25"),
        (Fraction(9, 2), "money:", "4.50"),
        (Fraction(9, 2), "number", "4.5"),
        (Fraction(1, 3), "money:$", "$1/3"),
    ],
)
def test_an_answer_is_written_in_its_form(value: Number, form: str, written: str) -> None:
    assert in_form(value, form) == written
    assert same_answer(read_answer(f"\\boxed{{{written}}}"), show(value))


@given(NUMBERS, NUMBERS)
def test_operators_are_exact(left: Number, right: Number) -> None:
    assert apply(Operator.PLUS, left, right) == Fraction(left) + right
    assert apply(Operator.MINUS, left, right) == Fraction(left) - right
    assert apply(Operator.TIMES, left, right) == apply(Operator.OF, left, right)
    assert 100 * apply(Operator.PERCENT, left, right) == Fraction(left) * right
    if right:
        quotient = Fraction(left) / right
        assert apply(Operator.OVER, left, right) == quotient
        assert apply(Operator.WHOLE, left, right) == floor(quotient)
        assert apply(Operator.UP, left, right) == ceil(quotient)
        assert apply(Operator.MOD, left, right) == left - right * floor(quotient)


@given(NUMBERS, NUMBERS, st.sampled_from(list(Operator)))
def test_whole_results_are_ints(left: Number, right: Number, operator: Operator) -> None:
    if right or operator not in ("/", "//", "%", "ceil"):
        result = apply(operator, left, right)
        assert isinstance(result, int) == (result.denominator == 1)


@pytest.mark.parametrize(
    "step",
    [
        Step(Operator.TIMES, 1000, 1000),
        Step(Operator.PLUS, LIMIT, 1),
        Step(Operator.MINUS, LIMIT + 2, 5),
        Step(Operator.OVER, 7, 0),
        Step(Operator.OVER, 1, 101),
        Step(Operator.MOD, 7, 1),
        Step(Operator.MOD, -7, 3),
        Step(Operator.WHOLE, 7, 0),
        Step(Operator.UP, -7, 2),
        Step(Operator.TIMES, Fraction(1, 99), Fraction(1, 98)),
    ],
)
def test_steps_that_break_the_rules_have_no_result(step: Step) -> None:
    assert evaluate((step,)) is None
    with pytest.raises(ArithmeticError):
        Working().write(step.operator, step.left, step.right)


def test_a_step_goes_on_from_an_earlier_one() -> None:
    working = Working()
    half = working.write(Operator.OF, Fraction(1, 2), 30, "half")
    working.write(Operator.PLUS, half, Fraction(5, 2))
    assert working.steps[1].left == Result(0)
    assert evaluate(working.steps) == (15, Fraction(35, 2)) == tuple(working.results)


def test_verdicts() -> None:
    two = (("Mia", 3), ("Tom", Result(0)))
    assert decide(Verdict("most", two), (5,)) == "Tom"
    assert decide(Verdict("least", two), (5,)) == "Mia"
    assert decide(Verdict("most", two), (3,)) is None
    three = (("red", 3), ("blue", 9), ("green", 3))
    assert decide(Verdict("most", three), ()) == "blue"
    assert decide(Verdict("least", three), ()) is None
    assert decide(Verdict("enough", (("have", 5), ("need", 5))), ()) == "yes"
    assert decide(Verdict("enough", (("have", 4), ("need", 5))), ()) == "no"


def test_what_a_question_may_hold() -> None:
    assert proper(-LIMIT) and proper(Fraction(1, 100)) and proper(Fraction(12345, 10000))
    assert not proper(LIMIT + 1) and not proper(Fraction(1, 101))
