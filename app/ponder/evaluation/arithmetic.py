"""What a question asks, without its words: exact numbers, nine operators, one step at a time.

Knows how to work a question out, and how a number is written. Refuses to know how the question
was worded or drawn. Every number, given or found, is whole, or a decimal of at most four
places, or a fraction of a small denominator, and no larger than `LIMIT` either way.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Literal

LIMIT = 999_999
"""No number of any question is further from 0."""

LARGEST_DENOMINATOR = 100
"""Of a fraction that is not written as a decimal."""

_PLACES = 4
_DECIMAL = 10**_PLACES

MONEY = "money:"
"""Begins the form of an answer that is an amount; its currency's sign follows."""

Number = int | Fraction
"""Exact. A whole number is an int, see `exact`."""


class Operator(StrEnum):
    """What a step does to two numbers."""

    PLUS = "+"
    MINUS = "-"
    TIMES = "*"
    OVER = "/"
    WHOLE = "//"
    """How many whole times the right number fits into the left one."""
    MOD = "%"
    """What is left over then."""
    UP = "ceil"
    """How many of the right number hold the left one: the quotient, rounded up."""
    PERCENT = "% of"
    OF = "of"
    """A fraction, on the left, of a number."""


@dataclass(frozen=True, slots=True)
class Result:
    """The number that an earlier step gave."""

    step: int


Operand = Number | Result


@dataclass(frozen=True, slots=True)
class Step:
    """One operation on two numbers, given or found."""

    operator: Operator
    left: Operand
    right: Operand
    label: str = ""
    """What the result is, in a few words; empty where a bare expression is worked out."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A question that is not answered by a number but by comparing two or three."""

    kind: Literal["most", "least", "enough"]
    rivals: tuple[tuple[str, Operand], ...]
    """Names and what they have; for "enough", what there is and what it takes."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """An earlier turn."""

    question: str
    answer: str
    """The sentence, its answer in a box."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A question and everything that is known of it: its steps, and the words of its answer."""

    text: str
    """The question alone."""
    steps: tuple[Step, ...]
    verdict: Verdict | None
    """Set where the answer is a name, or yes or no; else the last step's result is the answer."""
    says: str
    """The answer sentence, with `{answer}` where the boxed answer stands."""
    form: str
    """number, money:$ (or £, €; money: where a word follows the amount), clock, name, yes/no."""
    answer: str
    """What stands in the box: 23, 7/3, 4.50, $4.50, 9:05, Mia, yes."""
    kind: str
    earlier: tuple[Exchange, ...] = ()
    guess: str | None = None
    """What the asker believes, where the question is whether that is right."""

    @property
    def operations(self) -> int:
        """How many operations it takes; a comparison counts as one."""
        return len(self.steps) + (self.verdict is not None)


def exact(value: Number) -> Number:
    """Return `value` as an int if it is whole."""
    return value.numerator if value.denominator == 1 else value


def apply(operator: Operator, left: Number, right: Number) -> Number:
    """Return what `operator` makes of two numbers, whether or not a question may hold it.

    Raises:
        ZeroDivisionError: a division by 0.
    """
    match operator:
        case Operator.PLUS:
            return exact(left + right)
        case Operator.MINUS:
            return exact(left - right)
        case Operator.TIMES | Operator.OF:
            return exact(left * right)
        case Operator.OVER:
            return exact(Fraction(left) / right)
        case Operator.WHOLE:
            return left // right
        case Operator.MOD:
            return exact(left % right)
        case Operator.UP:
            return -(-left // right)
        case Operator.PERCENT:
            return exact(Fraction(left * right) / 100)


def proper(value: Number) -> bool:
    """Tell whether a question may hold `value`: not too large, and writable."""
    return -LIMIT <= value <= LIMIT and (
        isinstance(value, int)
        or _DECIMAL % value.denominator == 0
        or value.denominator <= LARGEST_DENOMINATOR
    )


def evaluate(steps: Iterable[Step]) -> tuple[Number, ...] | None:
    """Return the result of each step; None if one of them breaks the rules of this module."""
    results: list[Number] = []
    for step in steps:
        left = value_of(step.left, results)
        right = value_of(step.right, results)
        if not (proper(left) and proper(right) and defined(step.operator, left, right)):
            return None
        results.append(apply(step.operator, left, right))
    return tuple(results) if all(map(proper, results)) else None


def defined(operator: Operator, left: Number, right: Number) -> bool:
    """Tell whether the operation has one result; a remainder by 1 is no question."""
    match operator:
        case Operator.OVER:
            return right != 0
        case Operator.WHOLE | Operator.UP:
            return left >= 0 and right > 0
        case Operator.MOD:
            return left >= 0 and right > 1
        case _:
            return True


def value_of(operand: Operand, results: Sequence[Number]) -> Number:
    """Return the number that `operand` stands for, given the results so far."""
    return results[operand.step] if isinstance(operand, Result) else operand


def decide(verdict: Verdict, results: Sequence[Number]) -> str | None:
    """Return the name, "yes" or "no"; None if two of those in front have the same."""
    amounts = [value_of(amount, results) for _, amount in verdict.rivals]
    if verdict.kind == "enough":
        have, need = amounts
        return "yes" if have >= need else "no"
    best = max(amounts) if verdict.kind == "most" else min(amounts)
    if amounts.count(best) > 1:
        return None
    return verdict.rivals[amounts.index(best)][0]


def show(value: Number) -> str:
    """Return a number as it is written: 1234, -3, a decimal that ends, else a fraction."""
    if value.denominator == 1:
        return str(value.numerator)
    if _DECIMAL % value.denominator:
        return f"{value.numerator}/{value.denominator}"
    whole, rest = divmod(abs(value.numerator) * (_DECIMAL // value.denominator), _DECIMAL)
    sign = "-" if value < 0 else ""
    return f"{sign}{whole}.{rest:0{_PLACES}}".rstrip("0")


def amount(value: Number) -> str:
    """Return an amount of money without its currency: whole, or with two decimals.

    Raises:
        ArithmeticError: it has a part smaller than a cent.
    """
    if value.denominator == 1:
        return str(value)
    if 100 % value.denominator:
        raise ArithmeticError(f"{show(value)} is no amount of money")
    cents = abs(value.numerator) * (100 // value.denominator)
    return f"{'-' if value < 0 else ''}{cents // 100}.{cents % 100:02}"


def in_form(value: Number, form: str) -> str:
    """Return a number in the form of an answer; parts of a cent are written out."""
    if not form.startswith(MONEY):
        return show(value)
    written = show(value) if 100 % value.denominator else amount(value)
    sign = form.removeprefix(MONEY)
    return f"-{sign}{written[1:]}" if value < 0 else sign + written


class Working:
    """Steps as they are written down, each with its result, while a question takes shape."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.results: list[Number] = []

    def write(self, operator: Operator, left: Operand, right: Operand, label: str = "") -> Result:
        """Write one more step down and return what stands for its result.

        Raises:
            ArithmeticError: there is no result, or it is no number that a question may hold.
        """
        one, other = self.value(left), self.value(right)
        if not (proper(one) and proper(other) and defined(operator, one, other)):
            raise ArithmeticError(f"{show(one)} {operator} {show(other)}")
        result = apply(operator, one, other)
        if not proper(result):
            raise ArithmeticError(f"{show(one)} {operator} {show(other)} = {show(result)}")
        self.steps.append(Step(operator, left, right, label))
        self.results.append(result)
        return Result(len(self.steps) - 1)

    def value(self, operand: Operand) -> Number:
        """Return the number that `operand` stands for."""
        return value_of(operand, self.results)
