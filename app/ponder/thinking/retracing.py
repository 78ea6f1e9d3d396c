"""What befell a trace from outside, and at which of its tokens, so that it can befall it again.

People and clocks act on a trace where they act: at a place that its tokens do not tell. All else
(a cap, a floor, a loop, a rule that looks) follows from the tokens, and comes about by itself.
Knows traces and the acts; does none of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ponder.thinking.policies import Close
from ponder.thinking.stopping import parse
from ponder.types import AnswerEnd, Budget, BudgetChange, Finish, Trace


@dataclass(frozen=True, slots=True)
class AnswerNow:
    """Somebody asks for the answer."""


@dataclass(frozen=True, slots=True)
class More:
    """Somebody grants thinking tokens."""

    tokens: int


@dataclass(frozen=True, slots=True)
class Again:
    """Somebody asks that the next end of thinking be withdrawn."""


@dataclass(frozen=True, slots=True)
class Lead:
    """The time for an answer is up, and there is none: the model is led to one."""


@dataclass(frozen=True, slots=True)
class End:
    """It ends where it stands."""

    finish: Finish
    """How its thinking ends, if it goes on."""
    answer: AnswerEnd


@dataclass(frozen=True, slots=True)
class Say:
    """Words of a person are put in."""

    words: tuple[int, ...]


Act = AnswerNow | More | Again | Say | Close | Lead | End


@dataclass(frozen=True, slots=True)
class Intervention:
    """Something that befalls a trace."""

    at: int
    """Tokens of the trace before it, those of all authors."""
    act: Act


_CLOSES = {
    BudgetChange.LATE: Finish.DEADLINE,
    BudgetChange.LANDED: Finish.DEADLINE,
    BudgetChange.CONVERGED: Finish.CONVERGED,
    BudgetChange.POOL: Finish.CAP,
}
"""Decisions that end a thinking, and how."""
_CUT_SHORT = (AnswerEnd.CANCELLED, AnswerEnd.DROPPED, AnswerEnd.DEADLINE)
"""Ends that do not follow from the tokens."""


def retraceable(trace: Trace) -> bool:
    """Whether it was written down at which of its tokens it was acted on."""
    return all(event.position is not None for event in trace.budget_events)


def without_clock(budget: Budget, trace: Trace) -> Budget:
    """The budget under which a trace runs again as it ran, with `interventions` for the rest.

    A deadline is in what it led to. A rule that looks at trial answers leaves looks out for want
    of time, so under a deadline what it decided is taken over as well.
    """
    thinking = budget.thinking and trace.finish is not Finish.OFF
    stop = "off" if _looks_by_the_clock(budget) else budget.stop
    return replace(budget, thinking=thinking, within=None, stop=stop)


def interventions(trace: Trace, budget: Budget) -> tuple[Intervention, ...]:
    """What befell a trace that was asked with this budget, in order."""
    found = []
    for event in trace.budget_events:
        act: Act
        match event.change:
            case BudgetChange.ANSWER_NOW:
                act = AnswerNow()
            case BudgetChange.EXTEND:
                act = More(event.tokens)
            case BudgetChange.WAIT:
                act = Again()
            case BudgetChange.HINT:
                begin = event.position or 0
                act = Say(trace.tokens[begin : begin + int(event.figures["tokens"])])
            case BudgetChange.LED if "seconds_left" in event.figures:
                act = Lead()
            case BudgetChange.LANDED if "seconds_left" not in event.figures:
                continue
            case BudgetChange.CONVERGED if not _looks_by_the_clock(budget):
                continue
            case change if change in _CLOSES:
                act = Close(_CLOSES[change], change, event.figures)
            case _:
                continue
        found.append(Intervention(event.position or 0, act))
    if trace.answer_end in _CUT_SHORT:
        found.append(Intervention(len(trace.tokens), End(trace.finish, trace.answer_end)))
    return tuple(found)


def _looks_by_the_clock(budget: Budget) -> bool:
    rule = parse(budget.stop)
    return budget.within is not None and rule is not None and rule.needs != "margin"
