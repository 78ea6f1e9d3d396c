"""What a question asks, without its words: whole numbers, five operators, one step at a time.

Knows how to work a question out. Refuses to know how it was worded or drawn. Every number,
given or found, stays between 0 and `LIMIT`; a division leaves nothing over.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

LIMIT = 999_999
"""No number of any question is larger."""


class Operator(StrEnum):
    """What a step does to two numbers."""

    PLUS = "+"
    MINUS = "-"
    TIMES = "*"
    OVER = "/"
    MOD = "%"


@dataclass(frozen=True, slots=True)
class Result:
    """The number that an earlier step gave."""

    step: int


Operand = int | Result


@dataclass(frozen=True, slots=True)
class Step:
    """One operation on two numbers, given or found."""

    operator: Operator
    left: Operand
    right: Operand


@dataclass(frozen=True, slots=True)
class Rival:
    """Somebody who may turn out to have more than somebody else."""

    name: str
    amount: Operand


@dataclass(frozen=True, slots=True)
class Draft:
    """The words of a question and the steps that answer it, not yet worked out."""

    text: str
    steps: tuple[Step, ...]
    rivals: tuple[Rival, Rival] | None = None
    """Set where the question is who has more; else the last step's result is the answer."""


def apply(operator: Operator, left: int, right: int) -> int:
    """Return what `operator` makes of two numbers, whether or not a question may hold it."""
    match operator:
        case Operator.PLUS:
            return left + right
        case Operator.MINUS:
            return left - right
        case Operator.TIMES:
            return left * right
        case Operator.OVER:
            return left // right
        case Operator.MOD:
            return left % right


def evaluate(steps: Iterable[Step]) -> tuple[int, ...] | None:
    """Return the result of each step; None if one of them breaks the rules of this module."""
    results: list[int] = []
    for step in steps:
        left = value_of(step.left, results)
        right = value_of(step.right, results)
        if not (_in_bounds(left) and _in_bounds(right) and _defined(step.operator, left, right)):
            return None
        results.append(apply(step.operator, left, right))
    return tuple(results) if all(map(_in_bounds, results)) else None


def value_of(operand: Operand, results: Sequence[int]) -> int:
    """Return the number that `operand` stands for, given the results so far."""
    return results[operand.step] if isinstance(operand, Result) else operand


def solve(draft: Draft) -> str | None:
    """Return the answer: a whole number or a name; None if the draft has no proper answer."""
    results = evaluate(draft.steps)
    if results is None:
        return None
    if draft.rivals is None:
        return str(results[-1])
    first, second = draft.rivals
    lead = value_of(first.amount, results) - value_of(second.amount, results)
    if lead == 0:
        return None
    return first.name if lead > 0 else second.name


class Working:
    """Steps as they are written down, each with its result, while a question takes shape."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self._results: list[int] = []

    def write(self, operator: Operator, left: Operand, right: Operand) -> Result:
        """Write one more step down and return what stands for its result."""
        self.steps.append(Step(operator, left, right))
        self._results.append(apply(operator, self.value(left), self.value(right)))
        return Result(len(self.steps) - 1)

    def value(self, operand: Operand) -> int:
        """Return the number that `operand` stands for."""
        return value_of(operand, self._results)


def _in_bounds(number: int) -> bool:
    return 0 <= number <= LIMIT


def _defined(operator: Operator, left: int, right: int) -> bool:
    """Tell whether the operation has a result; a remainder by 1 is no question."""
    if operator is Operator.OVER:
        return right > 0 and left % right == 0
    return operator is not Operator.MOD or right > 1
