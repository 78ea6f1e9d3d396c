"""The sheet that a thought is written on: its steps as they stand, and how each is worded.

Knows a question's draft, the style of one thinker, and what the answer would be as the numbers
now stand. Refuses to know where one errs, what is checked and when.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from builtin_model import phrases
from builtin_model.working_out import Notation, equals, nice
from ponder.evaluation.arithmetic import (
    Draft,
    Operand,
    Operator,
    Result,
    amount,
    apply,
    decide,
    defined,
    exact,
)
from ponder.evaluation.dice import Dice

_FRACTION = re.compile(r"[0-9]\s?/\s?[0-9]")


class Unwritable(Exception):
    """A slip led to numbers that no trace may hold: draw again."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of text of a training example."""

    text: str
    learned: bool = True
    """False: it carries no loss."""


@dataclass(slots=True)
class Written:
    """A step as it stands in the trace."""

    operator: Operator
    left: Fraction
    right: Fraction
    result: Fraction


class Sheet:
    """What one thinker has written about one question.

    Args:
        dice: decides on wordings.
        draft: the question, with its steps.
    """

    def __init__(self, dice: Dice, draft: Draft) -> None:
        self.dice, self.draft = dice, draft
        self.pieces: list[Piece] = []
        self.notation = Notation(bool(_FRACTION.search(draft.text)) and _has_fractions(draft))
        self.steps: list[Written] = []
        self.style = dice.weighted(("before", "prose", "behind", "bare"), (38, 22, 20, 20))
        self.between = " " if dice.chance(0.25) else "\n\n" if dice.chance(0.7) else "\n"

    # What is written.

    def write(self, text: str, *, learned: bool = True) -> None:
        """Write text down; what is not learned carries no loss."""
        if text:
            self.pieces.append(Piece(text, learned))

    def pick(self, wordings: tuple[str, ...], **filling: str) -> str:
        """Return one of the wordings, filled in."""
        return self.dice.pick(wordings).format(**filling)

    def it(self, at: int) -> str:
        """Return the left side of a step's equation."""
        step = self.steps[at]
        return self.notation.operation(step.operator, step.left, step.right)

    def result(self, at: int) -> str:
        """Return what stands on its right side."""
        return self.notation.show(self.steps[at].result)

    # Steps.

    def value(self, operand: Operand) -> Fraction:
        """Return a number of the question, or a result as it now stands."""
        if isinstance(operand, Result):
            return self.steps[operand.step].result
        return Fraction(operand)

    def fresh(self, at: int) -> Written:
        """The step on the numbers as they now stand."""
        step = self.draft.steps[at]
        left, right = self.value(step.left), self.value(step.right)
        return worked(step.operator, left, right)

    def put(self, at: int, written: Written) -> None:
        """Let a step stand as this from now on."""
        if at < len(self.steps):
            self.steps[at] = written
        else:
            self.steps.append(written)

    def sentence(
        self, at: int, *, learned_result: bool = True, learned_operation: bool = True
    ) -> None:
        """Write a step as a sentence, its label before or behind."""
        label = self.draft.steps[at].label
        style = self.style if label else "bare"
        before, behind = "", ""
        if style == "before":
            before = _capital(label) + ": "
        elif style == "prose":
            before = _capital(self.connective(at) + label) + " is "
        elif style == "behind":
            plain = label[0].isalpha() and self.dice.chance(0.3)
            behind = " " + label if plain else ", " + label
        elif self.dice.chance(0.35):
            before = _capital(self.connective(at))
        step = self.steps[at]
        sign = equals(step.operator, step.left, step.right)
        if not learned_result:
            sign = " = "
        self.write(before)
        self.write(self.it(at) + sign, learned=learned_operation)
        self.write(self.result(at), learned=learned_result)
        self.write(behind + ".")

    def connective(self, at: int) -> str:
        """Return words that lead to a step: "First, ", "So "."""
        if at == 0:
            return self.dice.pick(phrases.FIRST)
        last = at == len(self.draft.steps) - 1
        return self.dice.pick(phrases.LAST if last and self.dice.chance(0.3) else phrases.NEXT)

    # Answers.

    def answer(self) -> str:
        """The answer as the numbers now stand."""
        draft = self.draft
        if draft.verdict is not None:
            winner = decide(draft.verdict, [exact(step.result) for step in self.steps])
            if winner is None:
                raise Unwritable
            return winner
        if draft.form == "clock":
            return draft.answer
        return _in_form(self.notation, self.steps[-1].result, draft.form)

    def compare(self) -> None:
        """Write how the amounts compare, where the question is about that."""
        verdict = self.draft.verdict
        if verdict is None:
            return
        shown = [self.notation.show(self.value(amount)) for _, amount in verdict.rivals]
        if verdict.kind == "enough":
            enough = self.answer() == "yes"
            relation = "is enough for" if enough else "is less than"
            self.write(f"{shown[0]} {relation} {shown[1]}. ")
            return
        if self.dice.chance(0.5):
            told = zip(verdict.rivals, shown, strict=True)
            self.write(", ".join(f"{name}: {number}" for (name, _), number in told) + ". ")
        amounts = sorted((self.value(amount) for _, amount in verdict.rivals), reverse=True)
        if verdict.kind == "least":
            amounts.reverse()
        relation = "more" if verdict.kind == "most" else "less"
        best, next_ = (self.notation.show(value) for value in amounts[:2])
        self.write(f"{best} is {relation} than {next_}. ")

    def conclude(self, old: str | None = None) -> None:
        """Write the answer, beside the one before it, if there was one."""
        answer = self.answer()
        if old is None:
            self.write(self.pick(phrases.ANSWERS, answer=answer))
        elif old == answer:
            self.write(self.pick(phrases.STILL, answer=answer))
        else:
            self.write(self.pick(phrases.CHANGED, answer=answer, old=old))

    def judge_guess(self) -> None:
        """Write whether the question's own guess is right, if it makes one."""
        guess = self.draft.guess
        if guess is None:
            return
        right = guess == self.answer()
        told = phrases.GUESS_RIGHT if right else phrases.GUESS_WRONG
        self.write(". " + self.pick(told, guess=guess).rstrip("."))


def worked(operator: Operator, left: Fraction, right: Fraction) -> Written:
    """Return a step with its right result.

    Raises:
        Unwritable: there is none that a trace may hold.

    """
    if not defined(operator, exact(left), exact(right)):
        raise Unwritable
    result = Fraction(apply(operator, exact(left), exact(right)))
    if not nice(result):
        raise Unwritable
    return Written(operator, left, right, result)


def truth(draft: Draft) -> list[Written]:
    """Return the steps of a question, all of them right.

    Raises:
        Unwritable: one of them comes to a number that a trace may not hold.

    """
    written: list[Written] = []

    def value(operand: Operand) -> Fraction:
        if isinstance(operand, Result):
            return written[operand.step].result
        return Fraction(operand)

    for step in draft.steps:
        written.append(worked(step.operator, value(step.left), value(step.right)))
    return written


def _in_form(notation: Notation, value: Fraction, form: str) -> str:
    """Write a value as an answer is written, see `Draft.form`."""
    kind, _, sign = form.partition(":")
    if kind != "money":
        return notation.show(value)
    try:
        written = amount(exact(value))
    except ArithmeticError as error:
        raise Unwritable from error
    return f"-{sign}{written[1:]}" if written.startswith("-") else sign + written


def _has_fractions(draft: Draft) -> bool:
    return any(
        not isinstance(operand, Result) and operand.denominator > 1
        for step in draft.steps
        if step.operator is not Operator.OF
        for operand in (step.left, step.right)
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
