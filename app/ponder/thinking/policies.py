"""When to stop thinking, and when not to: pure functions from a view to a decision.

A policy sees numbers and says what should happen, or None when it has nothing to say. The
order of `POLICIES` is their precedence: hard limits first. Knows no tokens, no engine.

Source of the rules: Muennighoff et al., s1 (arXiv:2501.19393), for cap and "Wait".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ponder.types import Finish

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


@dataclass(frozen=True, slots=True)
class Close:
    """End the thinking, for this reason."""

    finish: Finish


@dataclass(frozen=True, slots=True)
class Extend:
    """Withdraw the model's end and let it think on."""

    asked: bool = False
    """Whether somebody asked for this one; otherwise the floor did."""


Decision = Close | Extend
Policy = Callable[[View], Decision | None]


def user(view: View) -> Decision | None:
    """Somebody asked for the answer now."""
    return Close(Finish.USER) if view.answer_now and not view.ending else None


def cap(view: View) -> Decision | None:
    """The budget is spent, exactly."""
    if view.ending or view.think < view.budget:
        return None
    return Close(Finish.CONTEXT if view.budget_is_context else Finish.CAP)


def context(view: View) -> Decision | None:
    """The context has no more room beside the closing words and the answer."""
    return Close(Finish.CONTEXT) if not view.ending and view.room <= 0 else None


def floor(view: View) -> Decision | None:
    """The model wants to stop before its time."""
    if not _may_extend(view) or view.think >= view.floor or view.stalled >= STALLED:
        return None
    return Extend()


def wait(view: View) -> Decision | None:
    """The model wants to stop, and somebody asked that it think again first."""
    return Extend(asked=True) if view.waits and _may_extend(view) else None


def _may_extend(view: View) -> bool:
    return (
        view.ending
        and not view.answer_now
        and view.think < view.budget
        and view.room > view.wait_tokens
    )


POLICIES: tuple[Policy, ...] = (user, cap, context, floor, wait)


def decide(view: View) -> Decision | None:
    """The first policy that has something to say; None lets the trace go on as it is."""
    for policy in POLICIES:
        decision = policy(view)
        if decision is not None:
            return decision
    return None
