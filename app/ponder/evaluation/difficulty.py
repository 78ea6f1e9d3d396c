"""How hard an operation is in one go, without paper, for people and for small models.

Knows digits. Refuses to know how questions are drawn and who is to answer them.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from ponder.evaluation.arithmetic import Number, Operator, Step, value_of

EASY, MIDDLING, HARD = range(3)
_MOST_DECIMALS = 4


def hardest(steps: Sequence[Step], results: Sequence[Number]) -> int:
    """Return the difficulty of the hardest step, given the results of all."""
    return max(
        difficulty(
            step.operator,
            Fraction(value_of(step.left, results)),
            Fraction(value_of(step.right, results)),
        )
        for step in steps
    )


def difficulty(operator: Operator, left: Fraction, right: Fraction) -> int:
    """Return how hard it is: `EASY`, `MIDDLING` or `HARD`."""
    a, b = sorted((significant(left), significant(right)))
    match operator:
        case Operator.TIMES:
            return _times_difficulty(a, b, left, right)
        case Operator.PERCENT:
            if left in (1, 10, 50, 100):
                return 0
            return 2 if a >= 2 and b >= 3 else 1
        case Operator.OF:
            return int(right.denominator > 1 or (left.numerator > 1 and b >= 2))
        case Operator.OVER | Operator.WHOLE | Operator.UP | Operator.MOD:
            return _over_difficulty(operator, left, right)
        case _:
            return _sum_difficulty(a, b, left, right)


def _times_difficulty(a: int, b: int, left: Fraction, right: Fraction) -> int:
    if decimals(left) is None or decimals(right) is None:
        return 1
    if a >= 2 and b >= 3:
        return 2
    small = min(_scaled(left), _scaled(right))
    if (a >= 2 and small > 12) or b >= 4:
        return 1
    return 0


def _over_difficulty(operator: Operator, left: Fraction, right: Fraction) -> int:
    if right == 0 or decimals(left) is None or decimals(right) is None:
        return 1
    quotient = left / right
    long = significant(quotient if operator is Operator.OVER else Fraction(abs(quotient) // 1))
    divisor = significant(right)
    if (divisor >= 2 and long >= 2) or long >= 4:
        return 2
    return int(long >= 3 or divisor >= 2 or operator is Operator.MOD)


def _sum_difficulty(a: int, b: int, left: Fraction, right: Fraction) -> int:
    if decimals(left) is None or decimals(right) is None:
        return 1
    places = {decimals(left), decimals(right)}
    return int((a >= 3 and b >= 5) or (len(places) > 1 and a >= 2 and b >= 3) or a >= 4)


def decimals(value: Fraction) -> int | None:
    """Return how many decimals it takes, at most four; None if it does not end by then."""
    for places in range(_MOST_DECIMALS + 1):
        if (value * 10**places).denominator == 1:
            return places
    return None


def significant(value: Fraction) -> int:
    """Return how many digits it takes, zeros at both ends left out."""
    if decimals(value) is None:
        return len(str(value.numerator)) + len(str(value.denominator))
    return len(str(_scaled(value)))


def _scaled(value: Fraction) -> int:
    """The digits as a whole number: 120 and 1.2 are 12."""
    digits = int(abs(value) * 10 ** (decimals(value) or 0))
    while digits and digits % 10 == 0:
        digits //= 10
    return digits
