"""Bare arithmetic: `(12 + 30) × 4`, `1/2 + 1/3`, `15% of 80`, `seven times eight`.

Knows trees of operators, where brackets must stand, and which numbers people put there.
Refuses to know stories, and the words around an expression.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from ponder.evaluation.arithmetic import (
    LIMIT,
    Number,
    Operand,
    Operator,
    Working,
    apply,
    exact,
    show,
)
from ponder.evaluation.bank.numerals import cardinal
from ponder.evaluation.dice import Dice

_TRIES = 30
_FINEST = 2
"""Products of decimals have so many places at most."""
_SUMS = (Operator.PLUS, Operator.MINUS)
_JOINS = (Operator.PLUS, Operator.MINUS, Operator.TIMES, Operator.OVER, Operator.MOD)
_SIGNS = (("×", "/"), ("*", "/"), ("x", "÷"), ("×", "÷"), ("·", ":"), ("*", "÷"), ("x", "/"))
_WORDS = {
    Operator.PLUS: ("plus", "plus", "and"),
    Operator.MINUS: ("minus", "minus", "take away"),
    Operator.TIMES: ("times", "times", "multiplied by"),
    Operator.OVER: ("divided by", "divided by", "over"),
    Operator.MOD: ("mod", "modulo"),
}


@dataclass(frozen=True, slots=True)
class Expression:
    """What is written, and how it is worked out."""

    text: str
    working: Working
    in_words: bool = False
    """Whether it is said rather than written: twelve plus five."""
    in_fractions: bool = False
    """Whether 0.75 is three quarters, 3/4, here."""

    @property
    def answer(self) -> str:
        """What it is worth, written as the question writes its numbers."""
        value = self.working.results[-1]
        fraction = self.in_fractions and isinstance(value, Fraction)
        return f"{value.numerator}/{value.denominator}" if fraction else show(value)


@dataclass(frozen=True, slots=True)
class Leaf:
    """A number that is given."""

    value: Number


@dataclass(frozen=True, slots=True)
class Branch:
    """An operation on two smaller expressions."""

    operator: Operator
    left: Tree
    right: Tree
    value: Number


Tree = Leaf | Branch


@dataclass(frozen=True, slots=True)
class _Numbers:
    """What the numbers of an expression are like."""

    draw: Callable[[Dice], Number]
    weights: tuple[int, int, int, int, int]
    """How common plus, minus, times, over and mod are."""
    below_zero: bool = False
    whole: bool = True


_SIZES = ((2, 9), (10, 99), (100, 999), (1000, 9999))


def whole_number(dice: Dice) -> int:
    """Return a number of one to four digits, never 0 or 1."""
    return dice.between(*dice.weighted(_SIZES, (14, 38, 40, 8)))


def _signed(dice: Dice) -> int:
    number = dice.between(*dice.weighted(((2, 9), (10, 40), (41, 300)), (45, 40, 15)))
    return -number if dice.chance(0.4) else number


def _decimal(dice: Dice) -> Number:
    if dice.chance(0.25):
        return dice.between(2, 12)
    places = dice.weighted((10, 4, 100), (45, 15, 40))
    value = Fraction(dice.between(1, dice.pick((9, 19, 60)) * places), places)
    return value if value.denominator > 1 else value.numerator


_WHOLE = _Numbers(whole_number, (24, 20, 40, 11, 5))
_SIGNED = _Numbers(_signed, (35, 38, 20, 7, 0), below_zero=True)
_DECIMAL = _Numbers(_decimal, (40, 30, 22, 8, 0), whole=False)


def expression(dice: Dice, operations: int) -> Expression | None:
    """Write an expression of so many operations; None if the numbers drawn allow none."""
    kinds = [kind for kind in _KINDS if operations in kind.lengths]
    kind = dice.weighted(kinds, [kind.share for kind in kinds])
    try:
        written = kind.write(dice, operations)
    except ArithmeticError:
        return None
    return written if written and len(written.working.steps) == operations else None


def _tree(numbers: _Numbers) -> Callable[[Dice, int], Expression | None]:
    def write(dice: Dice, operations: int) -> Expression | None:
        tree = _grow(dice, numbers, operations)
        if tree is None:
            return None
        working = Working()
        _work(tree, working)
        if operations <= 3 and not _bracketed(tree) and dice.chance(0.16):
            return Expression(_said(dice, tree), working, in_words=True)
        written = _render(tree, *dice.pick(_SIGNS), first=True)
        return Expression(_spaced(dice, written), working)

    return write


def _grow(dice: Dice, numbers: _Numbers, operations: int) -> Tree | None:
    """Return a random tree; None if no operator fits what the two sides came to."""
    if operations == 0:
        return Leaf(numbers.draw(dice))
    # More often than not the right side is a plain number, as people write.
    on_the_left = operations - 1 if dice.chance(0.55) else dice.between(0, operations - 1)
    left = _grow(dice, numbers, on_the_left)
    right = _grow(dice, numbers, operations - 1 - on_the_left)
    if left is None or right is None:
        return None
    for _ in range(_TRIES):
        branch = _join(dice, numbers, left, right)
        if branch is not None:
            return branch
    return None


def _join(dice: Dice, numbers: _Numbers, left: Tree, right: Tree) -> Branch | None:
    """Join two sides by a random operator; None if it does not fit them."""
    operator = dice.weighted(_JOINS, numbers.weights)
    side: Tree | None = right
    match operator:
        case Operator.MINUS if not numbers.below_zero:
            side = _subtrahend(dice, numbers, left.value, right)
        case Operator.TIMES:
            side = _factor(dice, numbers, left.value, right)
        case Operator.OVER:
            side = _replaced(right, _divisor(dice, left.value))
        case Operator.MOD:
            side = _replaced(right, _modulus(dice, left.value))
    if side is None:
        return None
    value = apply(operator, left.value, side.value)
    fits = _size(value) <= LIMIT and (isinstance(value, int) or 1000 % value.denominator == 0)
    return Branch(operator, left, side, value) if fits else None


def _replaced(right: Tree, better: int | None) -> Leaf | None:
    """Return a better number for the right side, if it is a plain number and there is one."""
    return Leaf(better) if better is not None and isinstance(right, Leaf) else None


def _subtrahend(dice: Dice, numbers: _Numbers, minuend: Number, right: Tree) -> Tree | None:
    if right.value < minuend:
        return right
    if right.value == minuend or minuend < 1:
        return None
    return _replaced(right, dice.between(1, int(minuend))) if numbers.whole else None


def _factor(dice: Dice, numbers: _Numbers, multiplicand: Number, right: Tree) -> Tree | None:
    if _size(multiplicand) < 2 and numbers.whole:
        return None
    if _places(multiplicand) + _places(right.value) > _FINEST:
        return _replaced(right, dice.between(2, 9))
    smaller = min(_size(multiplicand), _size(right.value))
    # Five digits are as common as six.
    too_large = _size(multiplicand * right.value) > (99_999 if dice.chance(0.5) else LIMIT)
    # Two factors of three digits are hard work: there are a third fewer than chance makes.
    if smaller >= 2 and not too_large and not (smaller > 99 and dice.chance(0.35)):
        return right
    return _replaced(right, dice.between(2, 9))


def _places(value: Number) -> int:
    """Return how many decimals a number takes, three standing for more."""
    return next((n for n in range(3) if 10**n % value.denominator == 0), 3)


def _size(value: Number) -> Number:
    return -value if value < 0 else value


def _divisor(dice: Dice, value: Number) -> int | None:
    """Return a number that divides `value` without much of a rest; None if none does."""
    if isinstance(value, Fraction):
        return dice.pick((2, 4, 5, 10)) if value.denominator <= 10 else None
    fitting = [d for d in range(2, 40) if value % d == 0 and abs(value) // d >= 2]
    return dice.pick(fitting) if fitting else None


def _modulus(dice: Dice, value: Number) -> int | None:
    """Return a number that fits into `value` three times or more; None for no luck."""
    drawn = dice.between(*((3, 13) if dice.chance(0.5) else (11, 49)))
    return drawn if value >= 3 * drawn else None


def _work(tree: Tree, working: Working) -> Operand:
    """Write the tree's steps down, left side first, and return what stands for its value."""
    if isinstance(tree, Leaf):
        return tree.value
    left = _work(tree.left, working)
    right = _work(tree.right, working)
    return working.write(tree.operator, left, right)


def _render(tree: Tree, times: str, over: str, *, first: bool) -> str:
    """Return the expression as people write it.

    Brackets stand where the value needs them, around a negative number that does not come
    first, and also around the left side of a product of products, where they need not.
    """
    if isinstance(tree, Leaf):
        return show(tree.value) if first or tree.value >= 0 else f"({show(tree.value)})"
    bracket_left = not _binds(tree.left, tree.operator, alike=tree.operator in _SUMS)
    bracket_right = not _binds(tree.right, tree.operator, alike=False)
    left = _render(tree.left, times, over, first=first or bracket_left)
    right = _render(tree.right, times, over, first=bracket_right)
    if bracket_left:
        left = f"({left})"
    if bracket_right:
        right = f"({right})"
    symbol = {Operator.TIMES: times, Operator.OVER: over, Operator.MOD: "mod"}.get(tree.operator)
    return f"{left} {symbol or tree.operator} {right}"


def _binds(side: Tree, operator: Operator, *, alike: bool) -> bool:
    """Tell whether `side` may go without brackets; `alike`: if its operator binds the same."""
    if isinstance(side, Leaf):
        return True
    if (side.operator in _SUMS) == (operator in _SUMS):
        return alike
    return operator in _SUMS


def _bracketed(tree: Tree) -> bool:
    """Tell whether the expression cannot be said without brackets."""
    if isinstance(tree, Leaf):
        return tree.value < 0
    bound = _binds(tree.left, tree.operator, alike=tree.operator in _SUMS)
    if not bound or not _binds(tree.right, tree.operator, alike=False):
        return True
    return _bracketed(tree.left) or _bracketed(tree.right)


def _said(dice: Dice, tree: Tree) -> str:
    """Return the expression with words for its operators, perhaps for its numbers too."""
    numerals = dice.chance(0.5)

    def say(tree: Tree, before: str) -> str:
        if isinstance(tree, Leaf):
            short = numerals and isinstance(tree.value, int) and tree.value <= 100
            return cardinal(int(tree.value)) if short else show(tree.value)
        words = _WORDS[tree.operator]
        word = words[0] if before else dice.pick(words)
        return f"{say(tree.left, word)} {word} {say(tree.right, word)}"

    return say(tree, "")


def _spaced(dice: Dice, written: str) -> str:
    """Return the expression, one time in four without spaces."""
    return written.replace(" ", "").replace("mod", " mod ") if dice.chance(0.25) else written


def _fraction(dice: Dice) -> Fraction:
    bottom = dice.weighted((2, 3, 4, 5, 6, 8, 10, 12), (20, 18, 20, 14, 10, 10, 6, 4))
    return Fraction(dice.between(1, bottom - 1), bottom)


def _fractions(dice: Dice, operations: int) -> Expression | None:
    """Two or three fractions, or a fraction and a number."""
    working = Working()
    first = _fraction(dice)
    if operations == 1 and dice.chance(0.4):
        return _fraction_of(dice, first, working)
    now: Operand = first
    text = _over(first)
    alike = dice.chance(0.35)
    for _ in range(operations):
        other = _fraction(dice)
        if alike:
            other = Fraction(dice.between(1, first.denominator), first.denominator)
        operator = dice.weighted((Operator.PLUS, Operator.MINUS, Operator.TIMES), (45, 30, 25))
        if operator is Operator.TIMES and operations > 1:
            operator = Operator.PLUS
        if operator is Operator.MINUS and other > working.value(now):
            operator = Operator.PLUS
        now = working.write(operator, now, exact(other))
        sign = dice.pick(("×", "*", "of", "x")) if operator is Operator.TIMES else operator
        text += f" {sign} {_over(other)}"
    return Expression(text, working, in_fractions=True)


def _fraction_of(dice: Dice, part: Fraction, working: Working) -> Expression:
    number = part.denominator * dice.between(2, dice.pick((12, 12, 60)))
    working.write(Operator.OF, part, number)
    sign = dice.pick(("of", "of", "of", "×", "*", "x"))
    return Expression(f"{_over(part)} {sign} {number}", working)


def _over(fraction: Fraction) -> str:
    return f"{fraction.numerator}/{fraction.denominator}"


def _percentages(dice: Dice, operations: int) -> Expression | None:
    percent = 5 * dice.between(1, 20) if dice.chance(0.7) else dice.between(1, 99)
    number = (
        dice.between(2, 60) * dice.pick((5, 10, 20)) if dice.chance(0.8) else whole_number(dice)
    )
    working = Working()
    now: Operand = working.write(Operator.PERCENT, percent, number)
    sign = dice.pick(("%", "%", "%", " percent", " %"))
    text = f"{percent}{sign} of {number}"
    if operations == 1:
        return Expression(text, working)
    if operations == 2 and dice.chance(0.4):
        base = number + whole_number(dice)
        minus = dice.chance(0.5)
        working.write(Operator.MINUS if minus else Operator.PLUS, base, now)
        return Expression(f"{base} {'-' if minus else '+'} {text}", working)
    for _ in range(operations - 1):
        more, minus = dice.between(2, 99), dice.chance(0.4)
        minus = minus and more <= working.value(now)
        now = working.write(Operator.MINUS if minus else Operator.PLUS, now, more)
        text += f" {'-' if minus else '+'} {more}"
    return Expression(text, working)


def _powers(dice: Dice, operations: int) -> Expression | None:
    exponent = 2 if operations == 1 or dice.chance(0.6) else 3
    base = dice.between(2, 25 if exponent == 2 else 10)
    working = Working()
    now: Operand = base
    for _ in range(exponent - 1):
        now = working.write(Operator.TIMES, now, base)
    small = {2: "²", 3: "³"}[exponent]
    named = {2: " squared", 3: " cubed"}[exponent]
    text = f"{base}{dice.pick((small, f'^{exponent}', f'^{exponent}', f'**{exponent}', named))}"
    for _ in range(operations - (exponent - 1)):
        more, minus = dice.between(2, 60), dice.chance(0.4)
        now = working.write(Operator.MINUS if minus else Operator.PLUS, now, more)
        text += f" {'-' if minus else '+'} {more}"
    return Expression(text, working)


@dataclass(frozen=True, slots=True)
class _Kind:
    write: Callable[[Dice, int], Expression | None]
    share: int
    lengths: tuple[int, ...]


_KINDS = (
    _Kind(_tree(_WHOLE), 56, (1, 2, 3, 4, 5, 6, 7, 8)),
    _Kind(_tree(_SIGNED), 12, (1, 2, 3, 4, 5)),
    _Kind(_tree(_DECIMAL), 15, (1, 2, 3, 4)),
    _Kind(_fractions, 9, (1, 2)),
    _Kind(_percentages, 9, (1, 2, 3)),
    _Kind(_powers, 5, (1, 2, 3, 4)),
)
