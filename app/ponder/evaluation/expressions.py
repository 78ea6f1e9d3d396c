"""Bare arithmetic expressions, such as `(12 + 30) × 4`.

Knows trees of operators and where brackets must stand. Refuses to know stories.
"""

from __future__ import annotations

from dataclasses import dataclass

from ponder.evaluation import wording
from ponder.evaluation.arithmetic import LIMIT, Draft, Operand, Operator, Working, apply
from ponder.evaluation.dice import Dice
from ponder.evaluation.operands import ceiling, divisor, modulus, number

_DIGITS = (20, 45, 35)
_WEIGHTS = (28, 24, 31, 9, 6)
_TRIES = 30
_FORMS = {"bare compact": 6, "bare": 6, "lower case": 8, "plain": 68, "compact": 12}
_SUMS = (Operator.PLUS, Operator.MINUS)


@dataclass(frozen=True, slots=True)
class Leaf:
    """A number that is given."""

    value: int


@dataclass(frozen=True, slots=True)
class Branch:
    """An operation on two smaller expressions."""

    operator: Operator
    left: Tree
    right: Tree
    value: int


Tree = Leaf | Branch


def expression(dice: Dice, operations: int) -> Draft | None:
    """Write an expression of so many operators; None if the numbers drawn allow none."""
    tree = _grow(dice, operations)
    if tree is None:
        return None
    working = Working()
    _work(tree, working)
    return Draft(_ask(dice, _render(tree, *dice.pick(wording.SYMBOLS))), tuple(working.steps))


def _grow(dice: Dice, operations: int) -> Tree | None:
    """Return a random tree; None if no operator fits what the two sides came to."""
    if operations == 0:
        return Leaf(number(dice, _DIGITS))
    # More often than not the right side is a plain number, as people write.
    on_the_left = operations - 1 if dice.chance(0.55) else dice.between(0, operations - 1)
    left = _grow(dice, on_the_left)
    right = _grow(dice, operations - 1 - on_the_left)
    if left is None or right is None:
        return None
    for _ in range(_TRIES):
        branch = _join(dice, left, right)
        if branch is not None:
            return branch
    return None


def _join(dice: Dice, left: Tree, right: Tree) -> Branch | None:
    """Join two sides by a random operator; None if it does not fit them."""
    operator = dice.weighted(tuple(Operator), _WEIGHTS)
    side: Tree | None = right
    match operator:
        case Operator.MINUS:
            side = _subtrahend(dice, left.value, right)
        case Operator.TIMES:
            side = _factor(dice, left.value, right)
        case Operator.OVER:
            side = _replaced(right, divisor(dice, left.value))
        case Operator.MOD:
            side = _replaced(right, modulus(dice, left.value))
    if side is None:
        return None
    value = apply(operator, left.value, side.value)
    return Branch(operator, left, side, value) if value <= LIMIT else None


def _replaced(right: Tree, better: int | None) -> Leaf | None:
    """Return a better number for the right side, if it is a plain number and there is one."""
    return Leaf(better) if better is not None and isinstance(right, Leaf) else None


def _subtrahend(dice: Dice, minuend: int, right: Tree) -> Tree | None:
    if right.value < minuend:
        return right
    if right.value == minuend or minuend == 0:
        return None
    return _replaced(right, dice.between(1, minuend))


def _factor(dice: Dice, multiplicand: int, right: Tree) -> Tree | None:
    if multiplicand < 2:
        return None
    smaller = min(multiplicand, right.value)
    too_large = multiplicand * right.value > ceiling(dice)
    # Two factors of three digits are hard work: there are a third fewer than chance makes.
    if smaller >= 2 and not too_large and not (smaller > 99 and dice.chance(0.35)):
        return right
    return _replaced(right, dice.between(2, 9))


def _work(tree: Tree, working: Working) -> Operand:
    """Write the tree's steps down, left side first, and return what stands for its value."""
    if isinstance(tree, Leaf):
        return tree.value
    left = _work(tree.left, working)
    right = _work(tree.right, working)
    return working.write(tree.operator, left, right)


def _render(tree: Tree, times: str, over: str) -> str:
    """Return the expression as people write it.

    Brackets stand where the value needs them, and also around the left side of a product of
    products, where it does not.
    """
    if isinstance(tree, Leaf):
        return str(tree.value)
    left = _render(tree.left, times, over)
    right = _render(tree.right, times, over)
    if not _binds(tree.left, tree.operator, alike=tree.operator in _SUMS):
        left = f"({left})"
    if not _binds(tree.right, tree.operator, alike=False):
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


def _ask(dice: Dice, written: str) -> str:
    """Put the expression into a question, sometimes without spaces, or with no words at all."""
    compact = written.replace(" ", "").replace("mod", " mod ")
    match dice.weighted(tuple(_FORMS), tuple(_FORMS.values())):
        case "bare compact":
            return compact
        case "bare":
            return written
        case "lower case":
            asked = _in_words(dice, written)
            return asked[0].lower() + asked[1:]
        case "compact":
            return _in_words(dice, compact)
        case _:
            return _in_words(dice, written)


def _in_words(dice: Dice, written: str) -> str:
    return dice.pick(wording.EXPRESSION_ASKS).format(expression=written)
