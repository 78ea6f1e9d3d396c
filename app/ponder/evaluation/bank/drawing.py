"""Draws a question from a block: numbers, steps, words.

Knows in which order that goes, and gives up a draw that breaks a rule. Refuses to know which
block is wanted and what is made of the draft.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from ponder.evaluation.arithmetic import (
    Draft,
    Number,
    Operand,
    Verdict,
    Working,
    amount,
    decide,
    in_form,
    proper,
    show,
)
from ponder.evaluation.bank.blocks import RUNNING, Block, Condition, Given, Pick, Wording
from ponder.evaluation.bank.lexicon import Lexicon
from ponder.evaluation.bank.scene import Scene, clock
from ponder.evaluation.bank.templates import Slot, Template
from ponder.evaluation.dice import Dice

ANSWER = "{answer}"
_WIDENED = 0.85
"""The share of numbers that are drawn larger where numbers may be large."""


class Redraw(Exception):
    """This draw broke a rule: another may not."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem that was asked, and the scene in which it can be asked again."""

    draft: Draft
    scene: Scene
    block: Block
    wording: Wording


@dataclass(frozen=True, slots=True)
class Change:
    """The same problem with one number changed."""

    draft: Draft
    """Its text is that of the first question, with the new number in it."""
    old: str
    new: str


def problem(dice: Dice, lexicon: Lexicon, block: Block, wording: Wording | None = None) -> Problem:
    """Return a question of a problem block.

    Raises:
        Redraw: the numbers that were drawn do not fit.
    """
    scene = Scene(dice, lexicon)
    work(scene, block)
    wording = wording or dice.pick(block.wordings)
    text = scene.write(wording.text, proper=wording.proper)
    return Problem(answered(scene, block, wording, text, block.kind), scene, block, wording)


def change(asked: Problem) -> Change:
    """Return the problem with another number in the place of one of those that it tells.

    Raises:
        Redraw: no number can be changed alone, or it is told in words or more than once.
    """
    block, scene = asked.block, asked.scene
    given = [draw for draw in block.draws if isinstance(draw, Given)]
    tied = frozenset[str]().union(*(draw.uses for draw in given))
    slots = {slot.name: slot for slot in asked.wording.text.slots()}
    needed = {side for step in block.steps for side in (step.left, step.right)}
    free = [d for d in given if d.name in slots and d.name in needed and d.name not in tied]
    if not free:
        raise Redraw("nothing to change")
    chosen = scene.dice.pick(free)
    old = scene.digits(slots[chosen.name])
    if len(re.findall(rf"(?<![\w.,/-]){re.escape(old)}(?![\w/-]|[.,]\d)", asked.draft.text)) != 1:
        raise Redraw("told otherwise")
    try:
        value = chosen.draw(scene.dice, scene.numbers)
    except ArithmeticError as error:
        raise Redraw(str(error)) from error
    if value is None or value == scene.numbers[chosen.name]:
        raise Redraw("no other number")
    for draw in given:
        scene.operands[draw.name] = scene.numbers[draw.name]
    scene.numbers[chosen.name] = scene.operands[chosen.name] = value
    scene.working = Working()
    if not all(draw.holds(scene.numbers) for draw in block.draws if isinstance(draw, Condition)):
        raise Redraw("where")
    _take_steps(scene, block)
    new = scene.digits(slots[chosen.name])
    text = asked.draft.text.replace(old, new)
    return Change(answered(scene, block, asked.wording, text, block.kind), old, new)


def work(scene: Scene, block: Block) -> None:
    """Draw the numbers and words of a block and take its steps.

    Of what was drawn before, only the running quantity is known.

    Raises:
        Redraw: the numbers that were drawn do not fit.
    """
    scene.keep(RUNNING)
    try:
        for draw in block.draws:
            if isinstance(draw, Given):
                value = _drawn(scene, block, draw)
                if value is None or not proper(value):
                    raise Redraw(draw.name)
                scene.numbers[draw.name] = scene.operands[draw.name] = value
            elif not draw.holds(scene.numbers):
                raise Redraw("where")
    except ArithmeticError as error:
        raise Redraw(str(error)) from error
    for pick in block.picks:
        _pick(scene, pick)
    _take_steps(scene, block)


def _take_steps(scene: Scene, block: Block) -> None:
    try:
        for step in block.steps:
            left, right = _operand(scene, step.left), _operand(scene, step.right)
            result = scene.working.write(step.operator, left, right, scene.name(step.label))
            scene.operands[step.name] = result
            scene.numbers[step.name] = scene.working.value(result)
    except ArithmeticError as error:
        raise Redraw(str(error)) from error
    if not all(condition.holds(scene.numbers) for condition in block.after):
        raise Redraw("where")


def _drawn(scene: Scene, block: Block, given: Given) -> Number | None:
    # What is said beside the point, an age for example, stays what it is.
    large = block.large and scene.large and block.role in ("problem", "start", "event")
    if large and given.wide is not None and scene.dice.chance(_WIDENED):
        return given.wide(scene.dice)
    return given.draw(scene.dice, scene.numbers)


def _pick(scene: Scene, pick: Pick) -> None:
    if len(pick.names) == 1:
        scene.picked[pick.names[0]] = scene.name(scene.dice.pick(pick.options))
        return
    chosen = scene.dice.sample(pick.options, len(pick.names))
    for name, option in zip(pick.names, chosen, strict=True):
        scene.picked[name] = scene.name(option)


def _operand(scene: Scene, side: Number | str) -> Operand:
    return scene.operands[side] if isinstance(side, str) else side


def answered(scene: Scene, block: Block, wording: Wording, text: str, kind: str) -> Draft:
    """Return the draft of a question whose words are there, with the block's answer.

    Raises:
        Redraw: the answer cannot be written, or two have the same.
    """
    steps = tuple(scene.working.steps)
    if block.verdict is not None:
        rivals = tuple(
            (scene.name(who), _operand(scene, side)) for who, side in block.verdict.rivals
        )
        verdict = Verdict(block.verdict.kind, rivals)
        answer = decide(verdict, scene.working.results)
        if answer is None:
            raise Redraw("two have the same")
        enough = verdict.kind == "enough"
        says = block.says[answer] if enough else wording.says or block.says["a"]
        form = "yes/no" if enough else "name"
        return Draft(
            text, steps, verdict, scene.say(says, ANSWER, single=False), form, answer, kind
        )
    says = wording.says or block.says["a"]
    try:
        answer, form, said = _answer(scene, says)
        return Draft(
            text, steps, None, scene.say(says, said, single=answer == "1"), form, answer, kind
        )
    except ArithmeticError as error:
        raise Redraw(str(error)) from error


def _answer(scene: Scene, says: Template) -> tuple[str, str, str]:
    """Return the boxed answer, its form, and what stands for it in the sentence."""
    slot = answer_slot(says)
    value = scene.numbers[slot.name]
    match slot.format.split():
        case ["money"]:
            currency = scene.currency
            amount(value)  # raises where there is none
            unit = f" {currency.unit}{'' if value == 1 else 's'}" if currency.unit else ""
            return in_form(value, currency.form), currency.form, ANSWER + unit
        case ["clock", minutes]:
            return clock(value, scene.numbers[minutes]), "clock", ANSWER
        case ["frac"] if isinstance(value, Fraction):
            return f"{value.numerator}/{value.denominator}", "number", ANSWER
        case _:
            return show(value), "number", ANSWER


def answer_slot(says: Template) -> Slot:
    """Return the slot of an answer sentence that is the answer."""
    return next(slot for slot in says.slots() if slot.answer)
