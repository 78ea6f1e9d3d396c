"""Questions that tell what happens next: to a number, to somebody's things, to a clock.

Knows how moves become sentences. Refuses to know the phrases themselves (`wording`) and
which numbers are good (`operands`).
"""

from __future__ import annotations

from collections.abc import Sequence

from ponder.evaluation import wording
from ponder.evaluation.arithmetic import Draft, Operand, Operator, Rival, Step, Working
from ponder.evaluation.dice import Dice
from ponder.evaluation.operands import CHANGE, START, Move, next_move, number


def chain(dice: Dice, operations: int) -> Draft:
    """Write orders about a bare number: "Start with 7. Double it. Then add 5."."""
    start, moves, steps = _walk(dice, operations)
    orders = [_order(dice, move) for move in moves]
    frame = dice.pick((_start_with, _take, _thinks_of, _i_have))
    return Draft(frame(dice, start, orders), steps)


def _walk(dice: Dice, operations: int) -> tuple[int, list[Move], tuple[Step, ...]]:
    """Draw a number, what is done to it one after the other, and the steps of that."""
    start = number(dice, START)
    working = Working()
    now: Operand = start
    moves: list[Move] = []
    for moves_left in range(operations, 0, -1):
        operator, other = next_move(dice, working.value(now), moves_left)
        moves.append((operator, other))
        now = working.write(operator, now, other)
    return start, moves, tuple(working.steps)


def _order(dice: Dice, move: Move) -> str:
    if move in wording.SHORT_ORDERS and dice.chance(0.5):
        return wording.SHORT_ORDERS[move]
    operator, other = move
    return dice.pick(wording.ORDERS[operator]).format(number=other)


def _start_with(dice: Dice, start: int, orders: Sequence[str]) -> str:
    linked = "".join(f" {dice.pick(wording.LINKS)}{order}." for order in orders[1:])
    ask = dice.pick(wording.START_WITH_ASKS)
    return f"Start with {start}. {orders[0].capitalize()}.{linked} {ask}"


def _take(dice: Dice, start: int, orders: Sequence[str]) -> str:
    link = ", and then " if len(orders) > 1 else "then "
    listed = ", ".join(orders[:-1]) + link + orders[-1]
    return f"Take the number {start}, {listed}. {dice.pick(wording.TAKE_ASKS)}"


def _thinks_of(dice: Dice, start: int, orders: Sequence[str]) -> str:
    name = dice.pick(wording.NAMES)
    told = ". Then ".join([orders[0].capitalize(), *orders[1:]])
    return f"{name} thinks of the number {start}. {told}. What number does {name} end with?"


def _i_have(dice: Dice, start: int, orders: Sequence[str]) -> str:
    told = ", then ".join(orders)
    return f"I have the number {start}. I {told}. {dice.pick(wording.I_HAVE_ASKS)}"


def story(dice: Dice, operations: int) -> Draft:
    """Write what happens to somebody's things: "Mia has 7 apples. She buys 5 more apples."."""
    name, friend, neighbour = dice.sample(wording.NAMES, 3)
    pronoun = dice.pick(wording.PRONOUNS)
    cast = {
        "name": name,
        "friend": friend,
        "neighbour": neighbour,
        "pronoun": pronoun,
        "pronoun_inside": pronoun.lower(),
        "item": dice.pick(wording.ITEMS),
    }
    start, moves, steps = _walk(dice, operations)
    sentences = [dice.pick(wording.STORY_STARTS).format(number=start, **cast)]
    sentences += [_event(dice, move, cast) for move in moves]
    sentences.append(dice.pick(wording.STORY_ASKS).format(**cast))
    return Draft(" ".join(sentences), steps)


def _event(dice: Dice, move: Move, cast: dict[str, str]) -> str:
    operator, other = move
    if operator is Operator.TIMES and other in wording.SHORT_EVENTS and dice.chance(0.6):
        event = wording.SHORT_EVENTS[other]
    else:
        event = dice.pick(wording.EVENTS[operator])
    told = event.format(
        number=other,
        who=dice.pick(wording.STORY_SUBJECTS).format(**cast),
        gains=dice.pick(wording.GAINS),
        loses=dice.pick(wording.LOSSES),
        containers=dice.pick(wording.CONTAINERS),
        **cast,
    )
    return f"{told}."


def comparison(dice: Dice, operations: int) -> Draft | None:
    """Write about two people's heaps: who has more, or how much more. Needs 2 operations.

    The comparison itself counts as one. None if both turn out to have the same.
    """
    first, second = dice.sample(wording.NAMES, 2)
    item = dice.pick(wording.ITEMS)
    one = (operations - 1) // 2
    other = operations - 1 - one
    sizes = (one, other) if dice.chance(0.5) else (other, one)
    working = Working()
    told: list[str] = []
    amounts: list[Operand] = []
    for name, size in zip((first, second), sizes, strict=True):
        sentences, amount = _heap(dice, working, size, {"name": name, "item": item})
        told += sentences
        amounts.append(amount)
    rivals = (Rival(first, amounts[0]), Rival(second, amounts[1]))
    lead = working.value(amounts[0]) - working.value(amounts[1])
    if lead == 0:
        return None
    if dice.chance(0.35):
        ask = dice.pick(wording.WHO_ASKS).format(item=item, first=first, second=second)
        return Draft(" ".join([*told, ask]), tuple(working.steps), rivals)
    richer, poorer = rivals if lead > 0 else rivals[::-1]
    working.write(Operator.MINUS, richer.amount, poorer.amount)
    ask = wording.HOW_MANY_MORE_ASK.format(item=item, richer=richer.name, poorer=poorer.name)
    return Draft(" ".join([*told, ask]), tuple(working.steps))


def _heap(
    dice: Dice, working: Working, operations: int, cast: dict[str, str]
) -> tuple[list[str], Operand]:
    """Tell how one person's heap came about; return the sentences and how large it is."""
    if operations == 0:
        counted = number(dice, (0, 50, 50))
        return [wording.HEAP_COUNTED.format(number=counted, **cast)], counted
    count, size = dice.between(3, 45), number(dice, (30, 50, 20))
    containers = dice.pick(wording.CONTAINERS)
    told = [wording.HEAP_PACKED.format(count=count, size=size, containers=containers, **cast)]
    amount = working.write(Operator.TIMES, count, size)
    for _ in range(operations - 1):
        operator, other = _heap_change(dice, working.value(amount))
        told.append(dice.pick(wording.HEAP_CHANGES[operator]).format(number=other, **cast))
        amount = working.write(operator, amount, other)
    return told, amount


def _heap_change(dice: Dice, heap: int) -> Move:
    other = number(dice, CHANGE)
    wanted = dice.weighted((Operator.MINUS, Operator.PLUS, Operator.TIMES), (40, 45, 15))
    if wanted is Operator.MINUS and heap > other:
        return Operator.MINUS, other
    if wanted is Operator.TIMES and heap <= 9000:
        return Operator.TIMES, dice.between(2, 9)
    return Operator.PLUS, other


def clock(dice: Dice, operations: int) -> Draft:
    """Write about something that goes round: what it shows after some waiting."""
    dial = dice.pick(wording.DIALS)
    if operations == 1:
        dividend = dice.between(dial.length, 999)
        ask = wording.REMAINDER_ASK.format(number=dividend, length=dial.length)
        return Draft(ask, (Step(Operator.MOD, dividend, dial.length),))
    name = dice.pick(wording.NAMES)
    start = dice.between(0, dial.length - 1)
    working = Working()
    now: Operand = start
    told = [dial.shows.format(now=start)]
    left = operations - 1
    while left > 0:
        if left >= 2 and dice.chance(0.55):
            count, size = dice.between(2, 30), dice.between(2, 40)
            wait: Operand = working.write(Operator.TIMES, count, size)
            event = wording.REPEATED_WAIT.format(name=name, count=count, size=size, unit=dial.unit)
            left -= 2
        else:
            wait = number(dice, (10, 50, 40))
            event = dice.pick(wording.WAITS).format(name=name, number=wait, unit=dial.unit)
            left -= 1
        told.append(event)
        now = working.write(Operator.PLUS, now, wait)
    working.write(Operator.MOD, now, dial.length)
    return Draft(" ".join([*told, dial.asks]), tuple(working.steps))
