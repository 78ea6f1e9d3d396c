"""The set `everyday` says what it claims to: every answer is worked out again from its check."""

from __future__ import annotations

import ast
import math
import operator
import re
from collections import Counter
from collections.abc import Callable
from fractions import Fraction

import pytest

from ponder.equality import read_answer, same_answer
from ponder.errors import UnknownName
from ponder.evaluation.sets import WrittenQuestion, named_set, set_names

EVERYDAY = named_set("everyday")
ASKED = [question for question in EVERYDAY if question.answer is not None]
KINDS = [
    "bare",
    "words",
    "one-step",
    "story",
    "money",
    "shopping-change",
    "percent",
    "fraction",
    "decimal",
    "negative",
    "units",
    "rate",
    "time",
    "compare",
    "average",
    "sharing",
    "geometry",
    "age",
    "irrelevant",
    "typos",
    "check",
    "follow-up",
    "missing",
]
TALK = {"greeting": 15, "self": 15, "other": 30}

Value = Fraction | str | bool

SUMS: dict[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: lambda a, b: Fraction(a // b),
    ast.Mod: operator.mod,
    ast.Pow: lambda a, b: a ** int(b),
}
COMPARISONS: dict[type[ast.cmpop], Callable[[Fraction, Fraction], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
CALLS: dict[str, Callable[..., Fraction]] = {
    "Fraction": Fraction,
    "abs": abs,
    "ceil": lambda a: Fraction(math.ceil(a)),
    "max": max,
    "min": min,
    "round": lambda a: Fraction(math.floor(a + Fraction(1, 2))),
}


def worked_out(check: str) -> Value:
    """What a check comes to, in exact fractions: 0.1 + 0.2 is 3/10."""

    def number(node: ast.expr) -> Fraction:
        value = of(node)
        assert isinstance(value, Fraction), ast.unparse(node)
        return value

    def of(node: ast.expr) -> Value:
        match node:
            case ast.Constant(value=str() as text):
                return text
            case ast.Constant(value=int() | float()):
                return Fraction(ast.get_source_segment(check, node) or "")
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -number(operand)
            case ast.BinOp(left=left, op=op, right=right):
                return SUMS[type(op)](number(left), number(right))
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
                return CALLS[name](*map(number, arguments))
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                return COMPARISONS[type(op)](number(left), number(right))
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return of(body) if of(test) is True else of(orelse)
        raise AssertionError(f"no arithmetic: {ast.unparse(node)}")

    return of(ast.parse(check, mode="eval").body)


def meant(answer: str) -> Value:
    """An answer as its check gives it: a clock time in minutes."""
    if clock := re.fullmatch(r"([0-9]{1,2}):([0-5][0-9])", answer):
        return Fraction(60 * int(clock[1]) + int(clock[2]))
    return Fraction(answer) if re.fullmatch(r"-?[0-9]+([./][0-9]+)?", answer) else answer


@pytest.mark.parametrize(
    ("check", "value"),
    [
        ("0.1 + 0.2", Fraction(3, 10)),
        ("Fraction(1, 3) * 3", Fraction(1)),
        ("-7 // 2 + 7 % 4", Fraction(-1)),
        ("ceil(61 / 8) + round(2.5)", Fraction(11)),
        ("2 ** 3 - max(1, abs(-4))", Fraction(4)),
        ("'Kim' if 3*9 > 4*6 else 'Sam'", "Kim"),
        ("'Kim' if 3*8 > 4*6 else 'Sam'", "Sam"),
    ],
)
def test_a_check_is_worked_out_exactly(check: str, value: Value) -> None:
    assert worked_out(check) == value


@pytest.mark.parametrize("check", ["exit()", "a + 1", "[1][0]", "'a' + 'b'", "1 .real", "1j"])
def test_a_check_can_do_nothing_but_arithmetic(check: str) -> None:
    with pytest.raises((AssertionError, KeyError)):
        worked_out(check)


@pytest.mark.parametrize("question", ASKED, ids=lambda question: question.id)
def test_every_answer_is_what_its_check_comes_to(question: WrittenQuestion) -> None:
    assert question.answer is not None
    assert question.check is not None
    assert worked_out(question.check) == meant(question.answer)
    # A check that only names the answer would prove nothing.
    assert question.check.strip("'\"") != question.answer


@pytest.mark.parametrize("question", ASKED, ids=lambda question: question.id)
def test_every_answer_is_read_back_as_it_was_written(question: WrittenQuestion) -> None:
    assert question.answer is not None
    assert same_answer(read_answer(rf"\boxed{{{question.answer}}}"), question.answer)
    if isinstance(value := meant(question.answer), Fraction) and ":" not in question.answer:
        assert same_answer(read_answer(rf"\boxed{{{value}}}"), question.answer)


def test_ids_and_questions_are_met_once() -> None:
    assert max(Counter(question.id for question in EVERYDAY).values()) == 1
    said = Counter((question.earlier, question.question.casefold()) for question in EVERYDAY)
    assert max(said.values()) == 1


def test_every_kind_has_its_share() -> None:
    kinds = Counter(question.kind for question in EVERYDAY)
    assert kinds == dict.fromkeys(KINDS, 18) | {"story": 22, "mixed": 15} | TALK
    for question in EVERYDAY:
        assert re.fullmatch(rf"{question.kind}-[0-9]{{2}}", question.id)


def test_only_talk_has_no_answer_and_only_follow_ups_an_earlier_turn() -> None:
    for question in EVERYDAY:
        assert (question.answer is None) == (question.kind in TALK)
        assert (question.check is None) == (question.answer is None)
        assert bool(question.earlier) == (question.kind == "follow-up")


def test_an_unknown_set_is_told_of_with_the_known_ones() -> None:
    assert set_names() == ("everyday",)
    with pytest.raises(UnknownName) as caught:
        named_set("../everyday")
    assert "everyday" in caught.value.hint
