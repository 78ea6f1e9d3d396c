"""Which number may come next.

Knows how large the numbers of a question tend to be, and which ones an operation allows.
Refuses to know words. The shares are those of the questions that the built-in model was
trained on: change one, and it is asked something else than it learned.
"""

from __future__ import annotations

from collections.abc import Sequence

from ponder.evaluation.arithmetic import LIMIT, Operator
from ponder.evaluation.dice import Dice

Move = tuple[Operator, int]
"""What to do to a number, and with which other one."""

START = (10, 55, 35)
"""How often the first number of a story has one, two and three digits."""

CHANGE = (15, 50, 35)
"""The same for a number that is added or taken away."""

_ANY = (30, 45, 25)
_TRIES = 20


def number(dice: Dice, digits: Sequence[int]) -> int:
    """Return a number of one to three digits, never 0 or 1; `digits` weighs the lengths."""
    low, high = dice.weighted(((2, 9), (10, 99), (100, 999)), digits)
    return dice.between(low, high)


def ceiling(dice: Dice) -> int:
    """Return how large a product may become: five digits as often as six."""
    return 99_999 if dice.chance(0.5) else LIMIT


def divisor(dice: Dice, value: int) -> int | None:
    """Return a number below 40 that divides `value` into at least 2; None if none does."""
    fitting = [d for d in range(2, 40) if value % d == 0 and value // d >= 2]
    return dice.pick(fitting) if fitting else None


def modulus(dice: Dice, value: int) -> int | None:
    """Return a number that fits into `value` three times or more; None for no luck."""
    low, high = (3, 13) if dice.chance(0.5) else (11, 49)
    drawn = dice.between(low, high)
    return drawn if value >= 3 * drawn else None


def next_move(dice: Dice, value: int, moves_left: int) -> Move:
    """Return something that can be done to `value`.

    A remainder makes a number small, so it is rare before the last two moves.
    """
    weights = (26, 24, 30, 10, 9 if moves_left <= 2 else 2)
    for _ in range(_TRIES):
        operator = dice.weighted(tuple(Operator), weights)
        other = _other(dice, operator, value)
        if other is not None:
            return operator, other
    return Operator.PLUS, number(dice, _ANY)


def _other(dice: Dice, operator: Operator, value: int) -> int | None:
    """Return a number that `operator` can put to `value`; None if the draw does not fit."""
    match operator:
        case Operator.PLUS:
            return number(dice, CHANGE)
        case Operator.MINUS:
            drawn = number(dice, CHANGE)
            return drawn if drawn <= value else None
        case Operator.TIMES:
            ranges = ((2, 9), (11, 39), (11, 99), (101, 999))
            drawn = dice.between(*dice.weighted(ranges, (34, 18, 32, 16)))
            return drawn if value > 1 and value * drawn <= ceiling(dice) else None
        case Operator.OVER:
            return divisor(dice, value)
        case Operator.MOD:
            return modulus(dice, value)
