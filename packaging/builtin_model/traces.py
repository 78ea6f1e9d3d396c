"""Thoughts about arithmetic, in the way in which reasoning models talk to themselves.

Knows how a question's steps become a trace: hard steps are first done in one go, where a small
model errs in earnest; a "Wait" works them out in parts, compares and corrects. Wrong digits and
misreadings that are put in carry no loss, so that a model learns to mend and not to err.
A small share of traces, `Temper` says how many, thinks for too long: it doubts what was right,
or goes round in circles. Refuses to know tokens, tags and how an answer is worded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from builtin_model import phrases
from builtin_model.working_out import (
    Notation,
    equals,
    in_parts,
    nice,
    slip,
    the_other_way,
    without_carry,
)
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
from ponder.evaluation.difficulty import difficulty

_FRACTION = re.compile(r"[0-9]\s?/\s?[0-9]")
_MISREADINGS = {
    Operator.PLUS: (Operator.MINUS, Operator.TIMES),
    Operator.MINUS: (Operator.PLUS,),
    Operator.TIMES: (Operator.PLUS,),
    Operator.OVER: (Operator.TIMES, Operator.MINUS),
}
_MOST_CHECKS = 9
_NO_THING = frozenset({
    "after", "at", "before", "by", "divided", "for", "from", "in", "left", "minus", "more", "of",
    "on", "plus", "then", "times", "to", "with", "without",
})  # fmt: skip
"""First words of labels that do not name a thing, so that one cannot look for it."""


class Unwritable(Exception):
    """A slip led to numbers that no trace may hold: draw again."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of text of a training example."""

    text: str
    learned: bool = True
    """False: it carries no loss."""


@dataclass(frozen=True, slots=True)
class Temper:
    """How a thinker is disposed. All are probabilities."""

    opener: float = 0.45
    """Words before the first step; the rest of the traces begin with an equation or a label."""
    inline_check: tuple[float, float, float] = (0.01, 0.03, 0.15)
    """A step is checked where it stands, by its difficulty."""
    again: tuple[float, ...] = (0.22, 0.36, 0.42, 0.40, 0.35, 0.25)
    """One more Wait after the answer, by how many there were."""
    long: float = 0.12
    """Two to five Waits whatever the question, which it does not learn to begin."""
    slip: tuple[float, float, float] = (0.15, 0.30, 0.40)
    """A step that will be checked holds a wrong result, by its difficulty."""
    carry: tuple[float, float, float] = (0.0, 0.22, 0.27)
    """A carry is forgotten in a step, by its difficulty, and that is learned. The right result
    stays the likelier one: a model at temperature 0 does not err so, and of its samples some do,
    each elsewhere, so that a vote has something to win."""
    misreading: float = 0.06
    """A step does something else than the question says, and a Wait mends it."""
    overthinking: float = 0.012
    """A Wait after a right answer doubts it, and ends wrong; once for each Wait."""
    circling: float = 0.008
    """Repeats the same check again and again."""


@dataclass(slots=True)
class _Written:
    """A step as it stands in the trace."""

    operator: Operator
    left: Fraction
    right: Fraction
    result: Fraction


def think(dice: Dice, draft: Draft, temper: Temper) -> tuple[tuple[Piece, ...], str]:
    """Return a trace and the answer that it comes to, as it is written in a box.

    Raises:
        Unwritable: the numbers of a slip grew too large or ran into fractions without end.

    """
    thinker = _Thinker(dice, draft, temper)
    thinker.run()
    return tuple(thinker.pieces), thinker.answer()


class _Thinker:
    def __init__(self, dice: Dice, draft: Draft, temper: Temper) -> None:
        self.dice, self.draft, self.temper = dice, draft, temper
        self.pieces: list[Piece] = []
        self.notation = Notation(bool(_FRACTION.search(draft.text)) and _has_fractions(draft))
        self.steps: list[_Written] = []
        self.truth = _truth(draft)
        self.levels = [difficulty(*w) for w in ((t.operator, t.left, t.right) for t in self.truth)]
        self.slipped: set[int] = set()
        """Where a wrong result was put in that no model is to learn: they are all mended."""
        self.careless: set[int] = set()
        """Where it forgets a carry: mended only where a check happens to come by."""
        self.misread: set[int] = set()
        self.verified: set[int] = set()
        self.style = dice.weighted(("before", "prose", "behind", "bare"), (38, 22, 20, 20))
        self.between = " " if dice.chance(0.25) else "\n\n" if dice.chance(0.7) else "\n"

    # What is written.

    def write(self, text: str, *, learned: bool = True) -> None:
        if text:
            self.pieces.append(Piece(text, learned))

    def pick(self, wordings: tuple[str, ...], **filling: str) -> str:
        return self.dice.pick(wordings).format(**filling)

    def it(self, at: int) -> str:
        step = self.steps[at]
        return self.notation.operation(step.operator, step.left, step.right)

    def result(self, at: int) -> str:
        return self.notation.show(self.steps[at].result)

    # The plan.

    def run(self) -> None:
        dice, temper = self.dice, self.temper
        if dice.chance(temper.opener):
            self._open()
        long = dice.chance(temper.long)
        checks = dice.between(2, 5) if long else self._checks()
        plan = self._plan(checks)
        for at in range(len(self.draft.steps)):
            self._first_go(at, plan)
        if self.draft.verdict is not None:
            self._compare()
        self._conclude()
        self._check(checks, learned_start=not long)
        self._judge_guess()
        self.write(".", learned=not long)

    def _open(self) -> None:
        goal = self.draft.steps[-1].label if self.draft.steps else ""
        if goal and goal.split()[0] not in _NO_THING and self.dice.chance(0.4):
            self.write(self.pick(phrases.GOALS, goal=goal) + self.between)
        else:
            self.write(self.pick(phrases.OPENERS) + self.between)

    def _checks(self) -> int:
        count = 0
        chances = self.temper.again
        while count < len(chances) and self.dice.chance(chances[count]):
            count += 1
        return count

    def _plan(self, checks: int) -> set[int]:
        """Decide where it errs; return the steps that are checked where they stand."""
        dice, temper = self.dice, self.temper
        inline = {
            at for at, level in enumerate(self.levels) if dice.chance(temper.inline_check[level])
        }
        later = [at for at in self._by_difficulty() if at not in inline][:checks]
        if self.draft.form == "clock":
            return inline
        for at in [*inline, *later]:
            if dice.chance(temper.slip[self.levels[at]]):
                self.slipped.add(at)
        if checks and self.levels and dice.chance(temper.misreading):
            at = dice.between(0, len(self.levels) - 1)
            if self.draft.steps[at].operator in _MISREADINGS and at not in inline:
                self.misread.add(at)
                self.slipped.discard(at)
        for at, level in enumerate(self.levels):
            if at not in self.slipped | self.misread and dice.chance(temper.carry[level]):
                self.careless.add(at)
        return inline

    def _by_difficulty(self) -> list[int]:
        """Steps that are worth a check, the hardest first; if none is, the last there is."""
        worth = [at for level in (2, 1) for at, of in enumerate(self.levels) if of == level]
        return worth or list(range(len(self.levels)))[-1:]

    # Steps.

    def _value(self, operand: Operand) -> Fraction:
        if isinstance(operand, Result):
            return self.steps[operand.step].result
        return Fraction(operand)

    def _fresh(self, at: int) -> _Written:
        """The step on the numbers as they now stand."""
        step = self.draft.steps[at]
        left, right = self._value(step.left), self._value(step.right)
        return _done(step.operator, left, right)

    def _first_go(self, at: int, inline: set[int]) -> None:
        written = self._fresh(at)
        if at in self.misread:
            operator = self.dice.pick(_MISREADINGS[written.operator])
            written = _done(operator, written.left, written.right)
            self._put(at, written)
            self._sentence(at, learned_result=False, learned_operation=False)
        else:
            if at in self.slipped:
                written.result = slip(self.dice, written.result)
                if not nice(written.result):
                    raise Unwritable
            elif at in self.careless:
                written.result = without_carry(written.operator, written.result)
            self._put(at, written)
            self._sentence(at, learned_result=at not in self.slipped)
        if at in inline and at not in self.misread:
            self.write(self.dice.pick((" ", "\n\n", "\n\n")))
            self.write(self.dice.pick(phrases.WAITS_INLINE) + ", ")
            self._recompute(at)
            self.write("\n\n")
        else:
            self.write(self.between if at < len(self.draft.steps) - 1 else "\n\n")

    def _put(self, at: int, written: _Written) -> None:
        if at < len(self.steps):
            self.steps[at] = written
        else:
            self.steps.append(written)

    def _sentence(
        self, at: int, *, learned_result: bool = True, learned_operation: bool = True
    ) -> None:
        """Write a step as a sentence, its label before or behind."""
        label = self.draft.steps[at].label
        style = self.style if label else "bare"
        before, behind = "", ""
        if style == "before":
            before = _capital(label) + ": "
        elif style == "prose":
            before = _capital(self._connective(at) + label) + " is "
        elif style == "behind":
            plain = label[0].isalpha() and self.dice.chance(0.3)
            behind = " " + label if plain else ", " + label
        elif self.dice.chance(0.35):
            before = _capital(self._connective(at))
        step = self.steps[at]
        sign = equals(step.operator, step.left, step.right)
        if not learned_result:
            sign = " = "
        self.write(before)
        self.write(self.it(at) + sign, learned=learned_operation)
        self.write(self.result(at), learned=learned_result)
        self.write(behind + ".")

    def _connective(self, at: int) -> str:
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

    def _compare(self) -> None:
        verdict = self.draft.verdict
        if verdict is None:
            return
        shown = [self.notation.show(self._value(amount)) for _, amount in verdict.rivals]
        if verdict.kind == "enough":
            enough = self.answer() == "yes"
            relation = "is enough for" if enough else "is less than"
            self.write(f"{shown[0]} {relation} {shown[1]}. ")
            return
        if self.dice.chance(0.5):
            told = zip(verdict.rivals, shown, strict=True)
            self.write(", ".join(f"{name}: {number}" for (name, _), number in told) + ". ")
        amounts = sorted((self._value(amount) for _, amount in verdict.rivals), reverse=True)
        if verdict.kind == "least":
            amounts.reverse()
        relation = "more" if verdict.kind == "most" else "less"
        best, next_ = (self.notation.show(value) for value in amounts[:2])
        self.write(f"{best} is {relation} than {next_}. ")

    def _conclude(self, old: str | None = None) -> None:
        answer = self.answer()
        if old is None:
            self.write(self.pick(phrases.ANSWERS, answer=answer))
        elif old == answer:
            self.write(self.pick(phrases.STILL, answer=answer))
        else:
            self.write(self.pick(phrases.CHANGED, answer=answer, old=old))

    def _judge_guess(self) -> None:
        guess = self.draft.guess
        if guess is None:
            return
        right = guess == self.answer()
        told = phrases.GUESS_RIGHT if right else phrases.GUESS_WRONG
        self.write(". " + self.pick(told, guess=guess).rstrip("."))

    # Waits.

    def _check(self, checks: int, *, learned_start: bool) -> None:
        dice, temper = self.dice, self.temper
        done = 0
        while done < checks or self.slipped or self.misread:
            if done >= _MOST_CHECKS:
                raise Unwritable
            break_ = dice.weighted((".\n\n", ".\n", ".\n\n\n"), (45, 45, 10))
            self.write(break_ + "Wait", learned=learned_start)
            self.write(", ")
            done += 1
            settled = not (self.slipped or self.misread)
            if settled and dice.chance(temper.overthinking):
                if self._overthink():
                    return
            elif settled and self.steps and dice.chance(temper.circling):
                self._circle()
                return
            else:
                self._one_check()

    def _one_check(self) -> None:
        old = self.answer()
        at = self._next_to_check()
        if at is None:
            self.write(self.pick(phrases.ASK_READING) + " " + self.pick(phrases.IDLE))
            self._again(old)
            return
        if at in self.misread or self.dice.chance(0.15):
            changed = self._reread(at)
        else:
            changed = self._recompute(at)
        self.write("\n\n")
        if changed:
            self._follow(at)
        self._again(old)

    def _again(self, old: str) -> None:
        if self.draft.verdict is not None:
            self._compare()
        self._conclude(old)

    def _next_to_check(self) -> int | None:
        """The step that most needs it: what cannot be known to a reader comes by difficulty."""
        for at in self._by_difficulty():
            if at not in self.verified and at not in self.misread:
                return at
        if self.misread:
            return min(self.misread)
        if self.slipped:
            return min(self.slipped)
        rest = [at for at in range(len(self.steps)) if at not in self.verified]
        return self.dice.pick(rest) if rest and self.dice.chance(0.6) else None

    def _recompute(self, at: int) -> bool:
        """Work a step out in parts; return whether its result changed."""
        step = self.steps[at]
        it, old = self.it(at), self.result(at)
        self.write(self.pick(phrases.ASK_AGAIN, it=it, result=old) + " ")
        right = _done(step.operator, step.left, step.right).result
        proof = None
        if self.levels[at] == 0 and right == step.result and self.dice.chance(0.5):
            proof = the_other_way(self.notation, step.operator, step.result, step.right)
        if proof:
            self.write(proof + ".")
        else:
            parts = in_parts(self.notation, step.operator, step.left, step.right)
            told = ", ".join(parts)
            shown = self.notation.show(right)
            whole = it + equals(step.operator, step.left, step.right) + shown
            if not parts:
                told = whole
            elif not parts[-1].endswith(f"= {shown}") or self.dice.chance(0.1):
                told += ", so " + whole
            self.write(told + ".")
        self.verified.add(at)
        self.slipped.discard(at)
        if right == step.result:
            self.write(" " + self.pick(phrases.MATCHES, result=old))
            return False
        step.result = right
        self.write(" " + self.pick(phrases.CORRECTS, new=self.result(at), old=old, it=it))
        return True

    def _reread(self, at: int) -> bool:
        """Compare a step with the question; return whether it was another one."""
        wrong = self.it(at)
        self.write(self.pick(phrases.ASK_READING) + " ")
        label = self.draft.steps[at].label
        if label and self.dice.chance(0.5):
            self.write(f"It is about {label}. ")
        if at not in self.misread:
            self.write(self.pick(phrases.READ_RIGHT, it=wrong))
            if at not in self.slipped:
                self.verified.add(at)
            return False
        self.misread.discard(at)
        self._put(at, self._fresh(at))
        self.write(self.pick(phrases.MISREAD, it=self.it(at), wrong=wrong) + " ")
        self.write(f"{self.it(at)} = {self.result(at)}.")
        return True

    def _follow(self, at: int) -> None:
        """Do the later steps again that stand on a step that changed."""
        changed = {at}
        for later in range(at + 1, len(self.steps)):
            step = self.draft.steps[later]
            if not any(
                isinstance(o, Result) and o.step in changed for o in (step.left, step.right)
            ):
                continue
            changed.add(later)
            if later in self.misread:
                self.misread.discard(later)
            self._put(later, self._fresh(later))
            self._sentence(later)
            self.write("\n\n" if self.dice.chance(0.7) else " ")
            self.slipped.discard(later)
            self.verified.discard(later)

    def _overthink(self) -> bool:
        """Doubt what was right and end wrong; False where there is nothing to doubt."""
        candidates = [at for at, s in enumerate(self.draft.steps) if s.operator in _MISREADINGS]
        if not candidates or self.draft.form == "clock" or self.draft.guess is not None:
            self._one_check()
            return False
        at = self.dice.pick(candidates)
        old, step = self.answer(), self.steps[at]
        operator = self.dice.pick(_MISREADINGS[step.operator])
        self._put(at, _done(operator, step.left, step.right))
        self.write(self.pick(phrases.OVERTHINK, it=self.it(at)) + " ")
        self.write(f"{self.it(at)} = {self.result(at)}.\n\n")
        self._follow(at)
        self._again(old)
        return True

    def _circle(self) -> None:
        """Make the same check over and over, until it stops for no reason."""
        at = self._by_difficulty()[0]
        begin = len(self.pieces)
        self._recompute(at)
        self.write("\n\n")
        self._again(self.answer())
        round_ = "".join(piece.text for piece in self.pieces[begin:])
        for _ in range(self.dice.between(3, 10)):
            self.write(f".\n\nWait, {round_}")


def _done(operator: Operator, left: Fraction, right: Fraction) -> _Written:
    if not defined(operator, exact(left), exact(right)):
        raise Unwritable
    result = Fraction(apply(operator, exact(left), exact(right)))
    if not nice(result):
        raise Unwritable
    return _Written(operator, left, right, result)


def _truth(draft: Draft) -> list[_Written]:
    written: list[_Written] = []

    def value(operand: Operand) -> Fraction:
        if isinstance(operand, Result):
            return written[operand.step].result
        return Fraction(operand)

    for step in draft.steps:
        written.append(_done(step.operator, value(step.left), value(step.right)))
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
