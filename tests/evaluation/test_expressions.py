"""Expressions are worth what their steps come to, as another grammar reads them."""

from __future__ import annotations

import re
from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ponder.evaluation.arithmetic import Result, evaluate, show
from ponder.evaluation.dice import Dice
from ponder.evaluation.expressions import Expression, expression

PYTHON = (
    (r" squared|\^2|²", "**2"),
    (r" cubed|\^3|³", "**3"),
    (r" ?(?:%|percent) of ", "/100*"),
    (r"[×x·]| of ", "*"),
    (r"[÷:]", "/"),
    ("mod", "%"),
)


def worked_out(text: str) -> Fraction:
    """Evaluated by Python, exactly."""
    for pattern, python in PYTHON:
        text = re.sub(pattern, python, text)
    assert re.fullmatch(r"[-+*/%.0-9() ]+", text), text
    exact = re.sub(r"(?<!\*\*)\d+(?:\.\d+)?", lambda number: f"Fraction('{number[0]}')", text)
    value = eval(exact, {"__builtins__": {}, "Fraction": Fraction})
    assert isinstance(value, Fraction)
    return value


def written(seed: int, operations: int, *, in_words: bool) -> list[Expression]:
    dice = Dice(seed)
    found = [expression(dice, operations) for _ in range(20)]
    return [some for some in found if some is not None and some.in_words is in_words]


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 8))
def test_an_expression_is_worth_its_last_step(seed: int, operations: int) -> None:
    for some in written(seed, operations, in_words=False):
        results = evaluate(some.working.steps)
        assert results is not None
        assert worked_out(some.text) == results[-1] == Fraction(some.answer), some.text
        assert len(some.working.steps) == operations


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 3))
def test_what_is_said_has_no_signs_and_all_numbers(seed: int, operations: int) -> None:
    for some in written(seed, operations, in_words=True):
        assert not re.search(r"[-+*/×÷()](?![a-z])", some.text), some.text
        digits = re.findall(r"\d+(?:\.\d+)?", some.text)
        givens = Counter(
            show(side)
            for step in some.working.steps
            for side in (step.left, step.right)
            if not isinstance(side, Result)
        )
        assert not Counter(digits) - givens
        assert digits or re.search("[a-z]", some.text)


SIGNS = ("×", "*", "x", "·", "÷", "/", ":", "mod", "^", "²", "%", "(-", "1/2")


@pytest.fixture(scope="module")
def texts() -> str:
    drawn = (written(seed, n, in_words=False) for seed in range(60) for n in (1, 2, 3))
    return "\n".join(some.text for listed in drawn for some in listed)


@pytest.mark.parametrize("sign", SIGNS)
def test_people_write_in_many_ways(sign: str, texts: str) -> None:
    assert sign in texts
