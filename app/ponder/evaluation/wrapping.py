"""What stands around a question: a request, a guess to be checked, turns that came before.

Knows how people go on asking. Refuses to know where the question came from.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

from ponder.evaluation.arithmetic import (
    MONEY,
    Draft,
    Exchange,
    Number,
    Operator,
    apply,
    defined,
    evaluate,
    exact,
    in_form,
    proper,
    value_of,
)
from ponder.evaluation.bank.drawing import ANSWER, Redraw
from ponder.evaluation.bank.phrases import Phrases
from ponder.evaluation.bank.templates import Slot, Template
from ponder.evaluation.dice import Dice

_UNIT = re.compile(re.escape(ANSWER) + r" ([a-z]+)")
_SWAPPED = {
    Operator.PLUS: Operator.MINUS, Operator.MINUS: Operator.PLUS, Operator.TIMES: Operator.PLUS,
    Operator.OVER: Operator.TIMES,
}  # fmt: skip


def exchanged(draft: Draft) -> Exchange:
    """Return a question as an earlier turn, answered."""
    return Exchange(draft.text, draft.says.replace(ANSWER, f"\\boxed{{{draft.answer}}}"))


def requested(dice: Dice, draft: Draft, phrases: Phrases) -> Draft:
    """Return the question with a request around it."""
    request = dice.pick(phrases["request"]).text
    last = request.parts[-1]
    question = draft.text if isinstance(last, Slot) else _closed(draft.text)
    return replace(draft, text=filled(dice, request, {"q": question}))


def guessed(dice: Dice, draft: Draft, phrases: Phrases) -> Draft:
    """Return the question whether a guess at its answer is right: it is, in half of the cases.

    Raises:
        Redraw: its answer is nothing that one would guess.
    """
    results = evaluate(draft.steps)
    assert results is not None
    if draft.verdict is not None or draft.form == "clock":
        raise Redraw("no number")
    correct = dice.chance(0.5)
    guess = draft.answer if correct else _written(draft, _mistaken(dice, draft, results))
    found = _UNIT.search(draft.says) if draft.form == MONEY else None
    unit = f" {found[1]}" if found is not None else ""
    texts = {"q": draft.text, "g": guess + unit, "e": ANSWER + unit, "=": ANSWER + unit}
    asked = filled(dice, dice.pick(phrases["check"]).text, texts)
    text = asked if draft.text in asked else f"{_closed(draft.text)} {asked}"
    says = filled(dice, dice.pick(phrases["right" if correct else "wrong"]).text, texts)
    return replace(draft, text=text, says=says, guess=guess)


def filled(dice: Dice, template: Template, texts: dict[str, str]) -> str:
    """Return a phrase with texts for its slots."""

    def fill(slot: Slot) -> str:
        return texts["=" if slot.answer else slot.name]

    return " ".join(template.write(dice, fill).split())


def _closed(text: str) -> str:
    return text if text[-1] in ".?!=" else f"{text}."


def _mistaken(dice: Dice, draft: Draft, results: tuple[Number, ...]) -> Number:
    """Return a wrong number that one could have come to.

    Raises:
        Redraw: this slip leads to the right number, or to none.
    """
    value = results[-1]
    slip = dice.pick(_SLIPS)
    found = slip(dice, draft, results)
    fits = (
        found is not None
        and found != value
        and proper(found)
        and (found >= 0 or value < 0)
        and (not isinstance(value, int) or isinstance(found, int))
        and (not draft.form.startswith(MONEY) or 100 % found.denominator == 0)
    )
    if found is None or not fits:
        raise Redraw("no such slip")
    return found


def _off_by_little(dice: Dice, _: Draft, results: tuple[Number, ...]) -> Number:
    unit = 1 if isinstance(results[-1], int) else Fraction(1, dice.pick((1, 2, 10)))
    return exact(results[-1] + dice.pick((-2, -1, 1, 2)) * unit)


def _carried_wrongly(dice: Dice, _: Draft, results: tuple[Number, ...]) -> Number:
    return exact(results[-1] + dice.pick((-100, -20, -10, 10, 20, 100)))


def _stopped_early(_: Dice, __: Draft, results: tuple[Number, ...]) -> Number | None:
    return results[-2] if len(results) > 1 else None


def _did_the_opposite(_: Dice, draft: Draft, results: tuple[Number, ...]) -> Number | None:
    last = draft.steps[-1]
    operator = _SWAPPED.get(last.operator)
    left, right = value_of(last.left, results), value_of(last.right, results)
    if operator is None or not defined(operator, left, right):
        return None
    return apply(operator, left, right)


def _turned_digits(_: Dice, __: Draft, results: tuple[Number, ...]) -> Number | None:
    digits = str(results[-1])
    turned = digits[:-2] + digits[-1:] + digits[-2:-1]
    return int(turned) if digits.isdigit() and turned[0] != "0" else None


_SLIPS: tuple[Callable[[Dice, Draft, tuple[Number, ...]], Number | None], ...] = (
    _off_by_little, _carried_wrongly, _carried_wrongly, _stopped_early, _did_the_opposite,
    _turned_digits,
)  # fmt: skip


def _written(draft: Draft, value: Number) -> str:
    """Return a number as the answer of the question is written."""
    if "/" in draft.answer and value.denominator > 1:
        return f"{value.numerator}/{value.denominator}"
    return in_form(value, draft.form)
