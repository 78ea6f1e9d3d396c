"""Thoughts about arithmetic, in the way in which reasoning models talk to themselves.

Knows how a question's steps become a trace: hard steps are first done in one go, where a small
model errs in earnest; a "Wait" works them out in parts, compares and corrects. Wrong digits and
misreadings that are put in carry no loss, so that a model learns to mend and not to err. Only
forgotten carries are learned, and are the rarer choice: see `Temper.carry`.
A small share of traces, `Temper` says how many, thinks for too long: it doubts what was right,
or goes round in circles. Refuses to know tokens, tags and how a step is worded.
"""

from __future__ import annotations

from dataclasses import dataclass

from builtin_model import phrases
from builtin_model.sheet import Piece, Sheet, Unwritable, truth, worked
from builtin_model.working_out import (
    equals,
    in_parts,
    nice,
    slip,
    the_other_way,
    without_carry,
)
from ponder.evaluation.arithmetic import (
    Draft,
    Operator,
    Result,
)
from ponder.evaluation.dice import Dice
from ponder.evaluation.difficulty import difficulty

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


def think(dice: Dice, draft: Draft, temper: Temper) -> tuple[tuple[Piece, ...], str]:
    """Return a trace and the answer that it comes to, as it is written in a box.

    Raises:
        Unwritable: the numbers of a slip grew too large or ran into fractions without end.

    """
    thinker = _Thinker(dice, draft, temper)
    thinker.run()
    return tuple(thinker.sheet.pieces), thinker.sheet.answer()


class _Thinker:
    def __init__(self, dice: Dice, draft: Draft, temper: Temper) -> None:
        self.dice, self.draft, self.temper = dice, draft, temper
        self.sheet = Sheet(dice, draft)
        self.levels = [
            difficulty(*w) for w in ((t.operator, t.left, t.right) for t in truth(draft))
        ]
        self.slipped: set[int] = set()
        """Where a wrong result was put in that no model is to learn: they are all mended."""
        self.careless: set[int] = set()
        """Where it forgets a carry: mended only where a check happens to come by."""
        self.misread: set[int] = set()
        self.verified: set[int] = set()

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
            self.sheet.compare()
        self.sheet.conclude()
        self._check(checks, learned_start=not long)
        self.sheet.judge_guess()
        self.sheet.write(".", learned=not long)

    def _open(self) -> None:
        goal = self.draft.steps[-1].label if self.draft.steps else ""
        if goal and goal.split()[0] not in _NO_THING and self.dice.chance(0.4):
            self.sheet.write(self.sheet.pick(phrases.GOALS, goal=goal) + self.sheet.between)
        else:
            self.sheet.write(self.sheet.pick(phrases.OPENERS) + self.sheet.between)

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

    def _first_go(self, at: int, inline: set[int]) -> None:
        written = self.sheet.fresh(at)
        if at in self.misread:
            operator = self.dice.pick(_MISREADINGS[written.operator])
            written = worked(operator, written.left, written.right)
            self.sheet.put(at, written)
            self.sheet.sentence(at, learned_result=False, learned_operation=False)
        else:
            if at in self.slipped:
                written.result = slip(self.dice, written.result)
                if not nice(written.result):
                    raise Unwritable
            elif at in self.careless:
                written.result = without_carry(written.operator, written.result)
            self.sheet.put(at, written)
            self.sheet.sentence(at, learned_result=at not in self.slipped)
        if at in inline and at not in self.misread:
            self.sheet.write(self.dice.pick((" ", "\n\n", "\n\n")))
            self.sheet.write(self.dice.pick(phrases.WAITS_INLINE) + ", ")
            self._recompute(at)
            self.sheet.write("\n\n")
        else:
            self.sheet.write(self.sheet.between if at < len(self.draft.steps) - 1 else "\n\n")

    # Waits.

    def _check(self, checks: int, *, learned_start: bool) -> None:
        dice, temper = self.dice, self.temper
        done = 0
        while done < checks or self.slipped or self.misread:
            if done >= _MOST_CHECKS:
                raise Unwritable
            break_ = dice.weighted((".\n\n", ".\n", ".\n\n\n"), (45, 45, 10))
            self.sheet.write(break_ + "Wait", learned=learned_start)
            self.sheet.write(", ")
            done += 1
            settled = not (self.slipped or self.misread)
            if settled and dice.chance(temper.overthinking):
                if self._overthink():
                    return
            elif settled and self.sheet.steps and dice.chance(temper.circling):
                self._circle()
                return
            else:
                self._one_check()

    def _one_check(self) -> None:
        old = self.sheet.answer()
        at = self._next_to_check()
        if at is None:
            self.sheet.write(
                self.sheet.pick(phrases.ASK_READING) + " " + self.sheet.pick(phrases.IDLE)
            )
            self._again(old)
            return
        if at in self.misread or self.dice.chance(0.15):
            changed = self._reread(at)
        else:
            changed = self._recompute(at)
        self.sheet.write("\n\n")
        if changed:
            self._follow(at)
        self._again(old)

    def _again(self, old: str) -> None:
        if self.draft.verdict is not None:
            self.sheet.compare()
        self.sheet.conclude(old)

    def _next_to_check(self) -> int | None:
        """The step that most needs it: what cannot be known to a reader comes by difficulty."""
        for at in self._by_difficulty():
            if at not in self.verified and at not in self.misread:
                return at
        if self.misread:
            return min(self.misread)
        if self.slipped:
            return min(self.slipped)
        rest = [at for at in range(len(self.sheet.steps)) if at not in self.verified]
        return self.dice.pick(rest) if rest and self.dice.chance(0.6) else None

    def _recompute(self, at: int) -> bool:
        """Work a step out in parts; return whether its result changed."""
        step = self.sheet.steps[at]
        it, old = self.sheet.it(at), self.sheet.result(at)
        self.sheet.write(self.sheet.pick(phrases.ASK_AGAIN, it=it, result=old) + " ")
        right = worked(step.operator, step.left, step.right).result
        proof = None
        if self.levels[at] == 0 and right == step.result and self.dice.chance(0.5):
            proof = the_other_way(self.sheet.notation, step.operator, step.result, step.right)
        if proof:
            self.sheet.write(proof + ".")
        else:
            parts = in_parts(self.sheet.notation, step.operator, step.left, step.right)
            told = ", ".join(parts)
            shown = self.sheet.notation.show(right)
            whole = it + equals(step.operator, step.left, step.right) + shown
            if not parts:
                told = whole
            elif not parts[-1].endswith(f"= {shown}") or self.dice.chance(0.1):
                told += ", so " + whole
            self.sheet.write(told + ".")
        self.verified.add(at)
        self.slipped.discard(at)
        if right == step.result:
            self.sheet.write(" " + self.sheet.pick(phrases.MATCHES, result=old))
            return False
        step.result = right
        self.sheet.write(
            " " + self.sheet.pick(phrases.CORRECTS, new=self.sheet.result(at), old=old, it=it)
        )
        return True

    def _reread(self, at: int) -> bool:
        """Compare a step with the question; return whether it was another one."""
        wrong = self.sheet.it(at)
        self.sheet.write(self.sheet.pick(phrases.ASK_READING) + " ")
        label = self.draft.steps[at].label
        if label and self.dice.chance(0.5):
            self.sheet.write(f"It is about {label}. ")
        if at not in self.misread:
            self.sheet.write(self.sheet.pick(phrases.READ_RIGHT, it=wrong))
            if at not in self.slipped:
                self.verified.add(at)
            return False
        self.misread.discard(at)
        self.sheet.put(at, self.sheet.fresh(at))
        self.sheet.write(self.sheet.pick(phrases.MISREAD, it=self.sheet.it(at), wrong=wrong) + " ")
        self.sheet.write(f"{self.sheet.it(at)} = {self.sheet.result(at)}.")
        return True

    def _follow(self, at: int) -> None:
        """Do the later steps again that stand on a step that changed."""
        changed = {at}
        for later in range(at + 1, len(self.sheet.steps)):
            step = self.draft.steps[later]
            if not any(
                isinstance(o, Result) and o.step in changed for o in (step.left, step.right)
            ):
                continue
            changed.add(later)
            if later in self.misread:
                self.misread.discard(later)
            self.sheet.put(later, self.sheet.fresh(later))
            self.sheet.sentence(later)
            self.sheet.write("\n\n" if self.dice.chance(0.7) else " ")
            self.slipped.discard(later)
            self.verified.discard(later)

    def _overthink(self) -> bool:
        """Doubt what was right and end wrong; False where there is nothing to doubt."""
        candidates = [at for at, s in enumerate(self.draft.steps) if s.operator in _MISREADINGS]
        if not candidates or self.draft.form == "clock" or self.draft.guess is not None:
            self._one_check()
            return False
        at = self.dice.pick(candidates)
        old, step = self.sheet.answer(), self.sheet.steps[at]
        operator = self.dice.pick(_MISREADINGS[step.operator])
        self.sheet.put(at, worked(operator, step.left, step.right))
        self.sheet.write(self.sheet.pick(phrases.OVERTHINK, it=self.sheet.it(at)) + " ")
        self.sheet.write(f"{self.sheet.it(at)} = {self.sheet.result(at)}.\n\n")
        self._follow(at)
        self._again(old)
        return True

    def _circle(self) -> None:
        """Make the same check over and over, until it stops for no reason."""
        at = self._by_difficulty()[0]
        begin = len(self.sheet.pieces)
        self._recompute(at)
        self.sheet.write("\n\n")
        self._again(self.sheet.answer())
        round_ = "".join(piece.text for piece in self.sheet.pieces[begin:])
        for _ in range(self.dice.between(3, 10)):
            self.sheet.write(f".\n\nWait, {round_}")
