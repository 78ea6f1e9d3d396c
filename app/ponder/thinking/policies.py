"""When to stop thinking, and when not to: pure functions from a view to a decision.

A policy sees numbers and says what should happen, or None when it has nothing to say. The
order of `POLICIES` is their precedence: hard limits first. Knows no tokens, no engine, no clock.

Source of the rules: Muennighoff et al., s1 (arXiv:2501.19393), for cap and "Wait".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf

from ponder.thinking.loops import Loop
from ponder.types import BudgetChange, Figures, Finish

STALLED = 8
"""So many withdrawn ends in a row without a thought between them, and the end is accepted.

A model that ends at once after every "Wait" has nothing left to say; going on would fill
the context with the word."""


@dataclass(frozen=True, slots=True)
class View:
    """What a policy may know about one trace that thinks."""

    think: int
    """Thinking tokens sampled so far."""
    budget: int
    """At most this many."""
    budget_is_context: bool
    """Whether the context, not the user, set that budget."""
    floor: int
    """At least this many."""
    room: int
    """Tokens that still fit beside the closing words and the answer's reserve."""
    wait_tokens: int
    """What an extension costs in room."""
    stalled: int
    """Extensions in a row that no thought followed."""
    ending: bool
    """Whether the model has just ended its thinking."""
    answer_now: bool
    """Whether somebody asked for the answer."""
    waits: int = 0
    """So many of the next ends somebody asked to be withdrawn."""
    left: float = inf
    """Seconds until the answer must begin."""
    landing: int = 0
    """Tokens before the budget's end within which a sentence's end will do; 0 is off."""
    landing_seconds: float = 0.0
    """The same before the deadline."""
    boundary: bool = False
    """Whether a line or a sentence has just ended."""
    loop: Loop | None = None
    """What it says again and again."""
    verdict: Close | None = None
    """What the pool decided that it shares with other questions."""


@dataclass(frozen=True, slots=True)
class Close:
    """End the thinking, for this reason."""

    finish: Finish
    why: BudgetChange | None = None
    """What is told of the decision; None where the finish says it all."""
    figures: Figures = field(default_factory=dict)
    """What it rested on."""


@dataclass(frozen=True, slots=True)
class Extend:
    """Withdraw the model's end and let it think on."""

    asked: bool = False
    """Whether somebody asked for this one; otherwise the floor did."""
    figures: Figures = field(default_factory=dict)
    """What it rested on."""


Decision = Close | Extend
Policy = Callable[[View], Decision | None]


def user(view: View) -> Decision | None:
    """Somebody asked for the answer now."""
    return Close(Finish.USER) if view.answer_now and not view.ending else None


def cap(view: View) -> Decision | None:
    """The budget is spent, exactly."""
    if view.ending or view.think < view.budget:
        return None
    return Close(_spent(view))


def context(view: View) -> Decision | None:
    """The context has no more room beside the closing words and the answer."""
    return Close(Finish.CONTEXT) if not view.ending and view.room <= 0 else None


def deadline(view: View) -> Decision | None:
    """The time that is left is the answer's."""
    if view.ending or view.left > 0:
        return None
    return Close(Finish.DEADLINE, BudgetChange.LATE, {"seconds_left": view.left})


def pool(view: View) -> Decision | None:
    """What it shares with other questions is spent."""
    return None if view.ending else view.verdict


def loop(view: View) -> Decision | None:
    """It says the same again and again: more of that brings nothing."""
    if view.ending or view.loop is None:
        return None
    seen = view.loop
    figures = {"period": seen.period, "times": seen.times, "tokens": seen.tokens}
    return Close(Finish.LOOP, BudgetChange.LOOP, figures)


def landing(view: View) -> Decision | None:
    """A sentence has ended, and before the next one did it would be cut."""
    if view.ending or not view.landing or not view.boundary or view.think < view.floor:
        return None
    left = min(view.budget - view.think, view.room)
    if left <= view.landing:
        room = {"budget": view.budget, "window": view.landing, "left": left}
        return Close(_spent(view), BudgetChange.LANDED, room)
    if view.left <= view.landing_seconds:
        time = {"seconds_left": view.left, "seconds_of_window": view.landing_seconds}
        return Close(Finish.DEADLINE, BudgetChange.LANDED, time)
    return None


def floor(view: View) -> Decision | None:
    """The model wants to stop before its time."""
    if not _may_extend(view) or view.think >= view.floor or view.stalled >= STALLED:
        return None
    return Extend(figures={"floor": view.floor, "stalled": view.stalled})


def wait(view: View) -> Decision | None:
    """The model wants to stop, and somebody asked that it think again first."""
    if not view.waits or not _may_extend(view):
        return None
    return Extend(asked=True, figures={"asked": view.waits})


def _spent(view: View) -> Finish:
    """Whose limit a budget is."""
    short = view.room < view.budget - view.think
    return Finish.CONTEXT if view.budget_is_context or short else Finish.CAP


def _may_extend(view: View) -> bool:
    return (
        view.ending
        and not view.answer_now
        and view.think < view.budget
        and view.room > view.wait_tokens
        and view.left > 0
    )


POLICIES: tuple[Policy, ...] = (user, cap, context, deadline, pool, loop, landing, floor, wait)


def decide(view: View) -> Decision | None:
    """The first policy that has something to say; None lets the trace go on as it is."""
    for policy in POLICIES:
        decision = policy(view)
        if decision is not None:
            return decision
    return None
