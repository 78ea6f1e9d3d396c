"""Sums of products: so many of this at so much, so many of that, and what it comes to.

Knows the themes (shop, boxes, seats, trip, work), how large their numbers are and what may
befall the total. A theme's words stay beside its numbers because neither is right without
the other. Refuses to know whether the numbers came out well: whoever asked for them checks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ponder.evaluation import wording
from ponder.evaluation.arithmetic import Draft, Operand, Operator, Working
from ponder.evaluation.dice import Dice
from ponder.evaluation.operands import number

_Bounds = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Theme:
    """What the products are about. {name} is a person, {item} a kind of thing, in all phrases."""

    leads: tuple[str, ...]
    part: str
    """One product: {count} of {thing}, each of {size}."""
    things: tuple[str, ...]
    asks: tuple[str, ...]
    loss: str
    gain: str
    counts: tuple[_Bounds, _Bounds]
    """Small and larger counts; the small ones are drawn 45 times in 100."""
    small: _Bounds | None = None
    """Sizes of the easier kind; None: of one to three digits, as in stories."""
    large: _Bounds = (0, 0)
    """Sizes of the harder kind, where `small` is given."""
    pays: bool = False
    """Whether somebody may pay the total and want change."""


_SHOP = _Theme(
    leads=("{name} buys", "A school buys", "{name}'s shop orders"),
    part="{count} {thing} at {size} dollars each",
    things=wording.GOODS,
    asks=(
        "How much is it in total?",
        "How many dollars is that in total?",
        "What is the total cost?",
    ),
    loss="There is a discount of {number} dollars.",
    gain="Delivery costs {number} dollars more.",
    counts=((2, 9), (11, 60)),
    small=(3, 99),
    large=(100, 980),
    pays=True,
)
_BOXES = _Theme(
    leads=("{name} has", "A store has", "In a room there are"),
    part="{count} {thing} with {size} {item} each",
    things=wording.CONTAINERS,
    asks=("How many {item} are there in total?",),
    loss="{number} of the {item} are taken away.",
    gain="{number} more {item} are added.",
    counts=((3, 9), (11, 60)),
)
_SEATS = _Theme(
    leads=("A hall has",),
    part="{count} rows of {size} seats in the {thing} part",
    things=("left", "right", "front", "back", "upper", "lower"),
    asks=("How many seats are there in total?",),
    loss="{number} seats are broken and removed.",
    gain="{number} more seats are added.",
    counts=((11, 60), (11, 60)),
    small=(8, 99),
    large=(100, 350),
)
_TRIP = _Theme(
    leads=("A train travels", "A ship travels", "{name} drives"),
    part="{count} hours at {size} km per hour",
    things=("",) * 4,  # hours have no names
    asks=("How many km is that in total?",),
    loss="{number} km of that do not count.",
    gain="Another {number} km are walked.",
    counts=((2, 48), (2, 48)),
    small=(12, 160),
    large=(12, 160),
)
_WORK = _Theme(
    leads=("{name} works",),
    part="{count} days in {thing} for {size} dollars a day",
    things=("spring", "summer", "autumn", "winter", "May", "June"),
    asks=("How many dollars does {name} earn in total?",),
    loss="{name} pays {number} dollars of tax.",
    gain="There is a bonus of {number} dollars.",
    counts=((5, 60), (5, 60)),
    small=(12, 99),
    large=(100, 490),
)
# Boxes stand twice because they are twice as common.
_THEMES = (_SHOP, _BOXES, _BOXES, _SEATS, _TRIP, _WORK)

_PAYMENT = "{name} pays with {number} dollars."
_CHANGE_ASKS = ("How much change is there?", "How many dollars are left?")
_REPEAT = "All of this happens {number} times."
_DOLLARS = re.compile(r"([0-9]+) dollars")


def sum_of_products(dice: Dice, operations: int) -> Draft:
    """Write about a total of one to four products, and what befalls it."""
    theme = dice.pick(_THEMES)
    cast = {"name": dice.pick(wording.NAMES), "item": dice.pick(wording.ITEMS)}
    products, extras = _plan(dice, operations)
    parts = _draw_parts(dice, theme, products)
    working = Working()
    total = _add_up(working, parts)
    told = [_list_parts(dice, theme, parts, cast)]
    asks = theme.asks
    for extras_left in range(extras, 0, -1):
        may_pay = theme.pays and extras_left == 1
        if may_pay and dice.chance(0.5):
            event = _pay(dice, working.value(total))
            asks = _CHANGE_ASKS
            total = working.write(event.operator, event.number, total)
        else:
            # Where change was possible and did not come, there are fewer losses instead.
            event = _befall(dice, working.value(total), theme, losses=12 if may_pay else 62)
            total = working.write(event.operator, total, event.number)
        told.append(event.phrase.format(number=event.number, **cast))
    told.append(dice.pick(asks).format(**cast))
    text = " ".join(told)
    if dice.chance(0.4):
        text = _DOLLARS.sub(r"$\1", text)
    return Draft(text, tuple(working.steps))


def _plan(dice: Dice, operations: int) -> tuple[int, int]:
    """Return how many products, with the sums between them, and how many extras there are."""
    products = (operations + 1) // 2
    if operations >= 4 and dice.chance(0.35):
        products -= 1
    return products, operations - (2 * products - 1)


def _draw_parts(dice: Dice, theme: _Theme, products: int) -> list[tuple[int, int]]:
    """Return count and size of each product."""
    easy = dice.chance(0.15)
    parts = [_draw_part(dice, theme, easy=easy) for _ in range(products)]
    if dice.chance(0.3):  # one product of two large numbers
        place = dice.between(0, products - 1)
        _, size = parts[place]
        if size >= 12:
            large = size if size > 99 else dice.between(101, 480)
            parts[place] = (dice.between(101, 480), large)
    return parts


def _draw_part(dice: Dice, theme: _Theme, *, easy: bool) -> tuple[int, int]:
    count = dice.between(*theme.counts[0 if dice.chance(0.45) else 1])
    if theme.small is None:
        return count, number(dice, (40, 60, 0) if easy else (20, 40, 40))
    small = easy or dice.chance(0.4)
    return count, dice.between(*(theme.small if small else theme.large))


def _add_up(working: Working, parts: list[tuple[int, int]]) -> Operand:
    products = [working.write(Operator.TIMES, count, size) for count, size in parts]
    total = products[0]
    for product in products[1:]:
        total = working.write(Operator.PLUS, total, product)
    return total


def _list_parts(
    dice: Dice, theme: _Theme, parts: list[tuple[int, int]], cast: dict[str, str]
) -> str:
    things = dice.sample(theme.things, len(parts))
    listed = [
        theme.part.format(count=count, size=size, thing=thing, **cast)
        for (count, size), thing in zip(parts, things, strict=True)
    ]
    joined = " and ".join([", ".join(listed[:-1]), listed[-1]]) if listed[1:] else listed[0]
    return f"{dice.pick(theme.leads).format(**cast)} {joined}."


@dataclass(frozen=True, slots=True)
class _Event:
    """What happens to a total."""

    phrase: str
    operator: Operator
    number: int


def _pay(dice: Dice, price: int) -> _Event:
    """Somebody pays with too much: what is asked for becomes the change."""
    hundreds = (price // 100 + dice.between(1, 9)) * 100
    paid = hundreds if dice.chance(0.5) else price + dice.between(1, 900)
    return _Event(_PAYMENT, Operator.MINUS, paid)


def _befall(dice: Dice, total: int, theme: _Theme, *, losses: int) -> _Event:
    """Something is taken off, added, or all of it happens several times."""
    wanted = dice.weighted((Operator.MINUS, Operator.PLUS, Operator.TIMES), (losses, 23, 15))
    if wanted is Operator.MINUS and total > 20:
        return _Event(theme.loss, Operator.MINUS, dice.between(2, min(total - 1, 900)))
    if wanted is Operator.TIMES and total <= 9000:
        return _Event(_REPEAT, Operator.TIMES, dice.between(2, 9))
    return _Event(theme.gain, Operator.PLUS, dice.between(2, 900))
