"""How an operation is written, and how it is worked out in parts.

Knows exact numbers and the ways of pupils: by place value, by long division, by common
denominators. Refuses to know stories, models and when any of this is called for.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import lcm

from ponder.evaluation.arithmetic import Operator, apply, exact, show
from ponder.evaluation.dice import Dice
from ponder.evaluation.difficulty import decimals, significant

_SIGNS = {Operator.PLUS: "+", Operator.MINUS: "-", Operator.TIMES: "×", Operator.OVER: "/"}
_WITH_REMAINDER = (Operator.WHOLE, Operator.MOD, Operator.UP)


@dataclass(frozen=True, slots=True)
class Notation:
    """How numbers of one question are written."""

    fractional: bool = False
    """Whether 0.5 is 1/2, as in the question."""

    def show(self, value: Fraction) -> str:
        """Return the number: "1234", "-3", "4.5", "7/3"."""
        if self.fractional and value.denominator > 1:
            return f"{value.numerator}/{value.denominator}"
        return show(exact(value))

    def right(self, value: Fraction) -> str:
        """Return it as it stands behind a sign: a negative number in brackets."""
        return f"({self.show(value)})" if value < 0 else self.show(value)

    def operation(self, operator: Operator, left: Fraction, right: Fraction) -> str:
        """Return the left side of an equation: "4 × 3.5", "15% of 80", "2/3 of 60"."""
        if operator is Operator.PERCENT:
            return f"{self.show(left)}% of {self.show(right)}"
        if operator is Operator.OF:
            return f"{left.numerator}/{left.denominator} of {self.show(right)}"
        sign = _SIGNS.get(operator, "/")
        return f"{self.show(left)} {sign} {self.right(right)}"


def nice(value: Fraction) -> bool:
    """Tell whether a number may stand in a trace: below a million, few decimals or a fraction."""
    return abs(value) < 1_000_000 and (decimals(value) is not None or value.denominator <= 144)


def equals(operator: Operator, left: Fraction, right: Fraction) -> str:
    """Return what stands between an operation and its result: " = ", or the remainder first."""
    if operator not in _WITH_REMAINDER or left < 0 or right <= 0:
        return " = "
    whole, rest = divmod(left, right)
    if operator is Operator.WHOLE and rest == 0:
        return " = "
    if operator is Operator.UP and rest == 0:
        return " = "
    return f" = {show(exact(Fraction(whole)))} remainder {show(exact(rest))}, so "


def places(value: Fraction) -> list[Fraction]:
    """Return the place values of a number that is not negative: 37.5 is 30, 7 and 0.5."""
    scale = 10 ** (decimals(value) or 0)
    digits = str(int(value * scale))
    top = len(digits) - 1
    return [
        Fraction(int(digit) * 10 ** (top - at), scale)
        for at, digit in enumerate(digits)
        if digit != "0"
    ]


def in_parts(notation: Notation, operator: Operator, left: Fraction, right: Fraction) -> list[str]:
    """Return small equations that lead to the result, the last of which may stop short of it.

    Whoever writes them down adds what they amount to.
    """
    match operator:
        case Operator.TIMES:
            return _times(notation, left, right)
        case Operator.PLUS:
            return _plus(notation, left, right)
        case Operator.MINUS:
            return _minus(notation, left, right)
        case Operator.PERCENT:
            return _percent(notation, left, right)
        case Operator.OF:
            return _of(notation, left, right)
        case _:
            return _over(notation, operator, left, right)


def _fractions(left: Fraction, right: Fraction, notation: Notation) -> bool:
    """Whether it is a case for numerators and denominators."""
    if left.denominator == 1 and right.denominator == 1:
        return False
    return notation.fractional or decimals(left) is None or decimals(right) is None


def _times(n: Notation, left: Fraction, right: Fraction) -> list[str]:
    if _fractions(left, right, n):
        over = left.numerator * right.numerator
        under = left.denominator * right.denominator
        return [
            f"{left.numerator} × {right.numerator} = {over}",
            f"{left.denominator} × {right.denominator} = {under}",
        ]
    a, b = abs(left), abs(right)
    whole, split = (a, b) if significant(a) >= significant(b) else (b, a)
    if significant(split) == 1:
        whole, split = split, whole
    parts = places(split)
    if len(parts) < 2:
        return [f"{n.show(whole)} × {n.show(split)} = {n.show(whole * split)}"]
    written = [f"{n.show(whole)} × {n.show(p)} = {n.show(whole * p)}" for p in parts]
    total = whole * parts[0]
    for part in parts[1:]:
        written.append(f"{n.show(total)} + {n.show(whole * part)} = {n.show(total + whole * part)}")
        total += whole * part
    return written


def _common(left: Fraction, right: Fraction, operator: Operator) -> list[str]:
    under = lcm(left.denominator, right.denominator)
    a, b = (
        left.numerator * (under // left.denominator),
        right.numerator * (under // right.denominator),
    )
    written = []
    if left.denominator != under:
        written.append(f"{left.numerator}/{left.denominator} = {a}/{under}")
    if right.denominator != under:
        written.append(f"{right.numerator}/{right.denominator} = {b}/{under}")
    total = int(apply(operator, Fraction(a), Fraction(b)))
    behind = f"({b})" if b < 0 else str(b)
    written.append(f"{a} {_SIGNS[operator]} {behind} = {total}")
    return [*written, f"{total}/{under}"] if under > 1 else written


def _plus(n: Notation, left: Fraction, right: Fraction) -> list[str]:
    if _fractions(left, right, n):
        return _common(left, right, Operator.PLUS)
    if right < 0 <= left:
        return _minus(n, left, -right)
    if left < 0 <= right:
        return _minus(n, right, -left)
    a, b = abs(left), abs(right)
    return _step_by_step(n, Operator.PLUS, a, b)


def _minus(n: Notation, left: Fraction, right: Fraction) -> list[str]:
    if _fractions(left, right, n):
        return _common(left, right, Operator.MINUS)
    if right < 0:
        return _plus(n, left, -right)
    if left < 0:
        return _plus(n, -left, right)
    a, b = max(left, right), min(left, right)
    return _step_by_step(n, Operator.MINUS, a, b)


def _step_by_step(n: Notation, operator: Operator, a: Fraction, b: Fraction) -> list[str]:
    """Add or take away one place value after the other."""
    written = []
    now = a
    for part in places(b):
        then = Fraction(apply(operator, now, part))
        written.append(f"{n.show(now)} {_SIGNS[operator]} {n.show(part)} = {n.show(then)}")
        now = then
    return written or [f"{n.show(a)} {_SIGNS[operator]} 0 = {n.show(a)}"]


def _over(n: Notation, operator: Operator, left: Fraction, right: Fraction) -> list[str]:
    if operator is Operator.OVER:
        quotient = abs(left / right)
        if _fractions(left, right, n) or decimals(quotient) is None:
            if right.denominator == 1 and left.denominator == 1:
                return []
            turned = f"{right.denominator}/{right.numerator}"
            return [f"{n.show(left)} / {n.right(right)} = {n.show(left)} × {turned}"]
    else:
        quotient = Fraction(abs(left) // abs(right))
    rest, divisor = abs(left), abs(right)
    written = []
    for part in places(quotient):
        product = divisor * part
        written.append(f"{n.show(divisor)} × {n.show(part)} = {n.show(product)}")
        written.append(f"{n.show(rest)} - {n.show(product)} = {n.show(rest - product)}")
        rest -= product
    return written or [f"{n.show(rest)} is less than {n.show(divisor)}"]


def _percent(n: Notation, percent: Fraction, of: Fraction) -> list[str]:
    parts = places(abs(percent))
    if len(parts) < 2:
        one = of / 100
        if percent in (1, 10, 50, 100) or decimals(one) is None:
            return [f"{n.show(percent)} × {n.show(of)} = {n.show(percent * of)}"]
        return [
            f"1% of {n.show(of)} = {n.show(one)}",
            f"{n.show(one)} × {n.show(percent)} = {n.show(one * percent)}",
        ]
    written = [f"{n.show(p)}% of {n.show(of)} = {n.show(p * of / 100)}" for p in parts]
    total = parts[0] * of / 100
    for part in parts[1:]:
        more = part * of / 100
        written.append(f"{n.show(total)} + {n.show(more)} = {n.show(total + more)}")
        total += more
    return written


def _of(n: Notation, share: Fraction, of: Fraction) -> list[str]:
    if n.fractional and of.denominator > 1:
        return _times(n, share, of)
    part = of / share.denominator
    if decimals(part) is None:
        over = share.numerator * of
        return [f"{share.numerator} × {n.show(of)} = {n.show(over)}"]
    written = [f"{n.show(of)} / {share.denominator} = {n.show(part)}"]
    if share.numerator > 1:
        written.append(f"{n.show(part)} × {share.numerator} = {n.show(part * share.numerator)}")
    return written


def the_other_way(
    notation: Notation, operator: Operator, result: Fraction, right: Fraction
) -> str | None:
    """Return the opposite operation as a proof, true only if `result` is right; None: no such."""
    if operator is Operator.PLUS:
        return _proof(notation, Operator.MINUS, result, right)
    if operator is Operator.MINUS:
        return _proof(notation, Operator.PLUS, result, right)
    if operator is Operator.OVER and right != 0:
        return _proof(notation, Operator.TIMES, result, right)
    return None


def _proof(notation: Notation, operator: Operator, left: Fraction, right: Fraction) -> str:
    value = Fraction(apply(operator, left, right))
    return f"{notation.operation(operator, left, right)} = {notation.show(value)}"


def slip(dice: Dice, value: Fraction) -> Fraction:
    """Return a wrong result of the kind that people and small models write down."""
    if decimals(value) is None:
        return value + Fraction(dice.pick((-1, 1)), value.denominator)
    scale = 10 ** (decimals(value) or 0)
    whole = int(abs(value) * scale)
    length = len(str(whole))
    kind = dice.between(1, 10)
    if kind <= 6:
        wrong = _another_digit(dice, whole)
    elif kind <= 9 or scale == 1:
        wrong = whole + dice.pick((-1, 1)) * 10 ** dice.between(0, max(0, length - 1))
    else:
        wrong = whole * 10
    if wrong == whole or wrong < 0:
        wrong = whole + dice.between(1, 9)
    sign = -1 if value < 0 else 1
    return Fraction(sign * wrong, scale)


def without_carry(operator: Operator, value: Fraction) -> Fraction:
    """Return a result as it comes out where one carry, or one that was borrowed, is forgotten.

    Always the same one: of two results that are likely a small model can tell the likelier,
    and of many it could not. A result that no carry goes into is returned as it is.
    """
    if decimals(value) is None or operator in _WITH_REMAINDER:
        return value
    scale = 10 ** (decimals(value) or 0)
    whole = int(abs(value) * scale)
    least = 20 if operator is not Operator.OVER else 2
    if whole < least:
        return value
    match operator:
        case Operator.MINUS:
            wrong = whole + 10
        case Operator.OVER:
            wrong = whole - 1
        case _:
            wrong = whole - 10
    return Fraction(-wrong if value < 0 else wrong, scale)


def _another_digit(dice: Dice, whole: int) -> int:
    digits = list(str(whole))
    at = dice.between(0, len(digits) - 1)
    old = int(digits[at])
    digits[at] = str((old + dice.pick((-2, -1, 1, 2))) % 10)
    if at == 0 and digits[0] == "0" and len(digits) > 1:
        digits[0] = str(old)
        return whole + dice.pick((-1, 1))
    return int("".join(digits))
