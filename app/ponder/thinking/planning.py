"""A question and its plan: how its budget becomes room in a context.

Knows ids, budgets and the sums that fit the one into the other. Refuses what cannot fit. Knows no
trace that runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

from ponder.errors import BudgetError, InputError, PromptTooLong
from ponder.thinking.beginning import Beginning
from ponder.thinking.protocol import ThinkProtocol
from ponder.thinking.retracing import Intervention
from ponder.thinking.stopping import parse
from ponder.types import Budget, Limit, Sampling

if TYPE_CHECKING:
    from ponder.thinking.purse import Purse

LAST_RESORT = 32
"""Tokens a model gets to finish an answer that ponder led it to."""

SMALLEST_ANSWER = 32
"""Answer tokens below which asking makes no sense, the last resort's aside."""

NOTHING = Beginning()
"""What a thought begins with that nobody began."""


@dataclass(frozen=True, slots=True)
class Request:
    """A question, ready for the scheduler: ids, not text."""

    id: int
    prompt: tuple[int, ...]
    """As the vendor's template renders it, the generation prompt included."""
    budget: Budget
    sampling: Sampling
    boxed: bool = False
    """Whether the question asks for its answer in a box."""
    weight: float = 1.0
    """What its answer is worth beside those of other questions of one pool."""
    signals: bool = False
    """Whether it is told how sure the model is; costs time, and needs an engine that can."""
    beginning: Beginning = NOTHING
    """What the thinking begins with."""
    revisable: bool = False
    """Whether somebody may go on from a part of its thinking: it stays in the KV cache then, for
    as long as there is room for it."""
    purse: Purse | None = None
    """What it shares with other traces of its question; None: its budget is its own."""
    turn: float | None = None
    """Seconds from its start, waiting aside; None: as long as its budget says."""
    interventions: tuple[Intervention, ...] = ()
    """What is to befall it, in order, because it befell the trace that it repeats."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a request may use of the context; all in tokens."""

    prompt: tuple[int, ...]
    """With the thinking block opened, or shut."""
    cap: int | None
    """Effective thinking budget; None: it does not think."""
    limited_by: Limit
    reserve: int
    """Kept free for the answer, the last resort included."""
    lease: int
    """The most it can ever hold in the context."""
    too_little: int | None = None
    """Thinking tokens that it could have had, where those were too few to think with."""
    begun: Beginning = NOTHING
    """What the thinking begins with."""

    @property
    def opening(self) -> tuple[int, ...]:
        """Everything before the first token that is sampled or forced."""
        return self.prompt + self.begun.tokens


def check_budget(budget: Budget, n_ctx: int) -> None:
    """Refuse budgets that mean nothing.

    Raises:
        BudgetError: negative, beyond the context, a floor above its cap, or a rule for ending
            early that is none.
    """
    for name, value in (
        ("budget", budget.cap),
        ("floor", budget.floor),
        ("answer limit", budget.max_answer),
    ):
        if value is not None and value < 0:
            raise BudgetError(
                f"A {name} of {value} tokens means nothing.",
                "Give a number of tokens from 0 up; leave it out for no limit.",
            )
        if value is not None and value > n_ctx:
            raise BudgetError(
                f"A {name} of {value:,} tokens is beyond this model's context of {n_ctx:,}.",
                "Choose less, or raise the context with --ctx if the model was trained for more.",
            )
    if budget.within is not None and not (isfinite(budget.within) and budget.within > 0):
        raise BudgetError(
            f"A deadline of {budget.within:g} seconds means nothing.",
            "Give a time above 0, such as 30s or 2m; leave it out for no deadline.",
        )
    parse(budget.stop)
    if budget.max_answer == 0:
        raise BudgetError("An answer of 0 tokens is no answer.", "Allow at least one token.")
    if budget.cap is not None and budget.floor > budget.cap:
        raise BudgetError(
            f"The floor ({budget.floor}) is above the budget ({budget.cap}).",
            "Lower the floor or raise the budget.",
        )


def plan(request: Request, protocol: ThinkProtocol, n_ctx: int) -> Plan:
    """Fit a request into a context: the answer's reserve first, then the thinking.

    Raises:
        BudgetError: the budget means nothing.
        PromptTooLong: no room for an answer beside the prompt.
        InputError: a thought is to be gone on from, and the model does not think.
    """
    budget, begun = request.budget, request.beginning
    check_budget(budget, n_ctx)
    last_resort = len(protocol.lead(request.boxed)) + LAST_RESORT
    least = last_resort + SMALLEST_ANSWER

    def planned(
        prompt: tuple[int, ...], cap: int | None, limit: Limit, too_little: int | None = None
    ) -> Plan:
        room = n_ctx - len(prompt) - len(begun.tokens)
        if begun.tokens:
            room -= ending
        if room < least:
            held = len(request.prompt) + len(begun.tokens)
            raise PromptTooLong(
                f"The prompt has {held:,} tokens, and the context holds {n_ctx:,}: "
                f"no room is left for an answer.",
                "Shorten it, start a new conversation, or raise the context with --ctx.",
            )
        reserve = max(least, min(budget.answer_reserve, room // 2))
        lease = n_ctx
        if budget.max_answer is not None and not budget.floor:
            # Bounded on every side, so it need not keep the whole context to itself. A floor
            # is no such bound: every end that it withdraws costs a "Wait" of room.
            foreign = len(begun.tokens) - begun.think
            thought = cap + foreign + ending if cap is not None else 0
            answer = max(budget.max_answer + last_resort, reserve)
            lease = min(n_ctx, len(prompt) + thought + answer)
        return Plan(prompt, cap, limit, reserve, lease, too_little, begun)

    def unthinking(too_little: int | None) -> Plan:
        return planned(protocol.unthinking(request.prompt), None, "off", too_little)

    ending = max(len(protocol.cut_ids), len(protocol.close_ids))
    if not protocol.thinks:
        if begun.tokens:
            raise InputError(
                "This model does not think: there is no thought to go on from.",
                "Choose a model that thinks.",
            )
        return planned(request.prompt, None, "none")
    wanted = budget.cap if budget.thinking else 0
    if not begun.tokens and wanted is not None and wanted < max(protocol.dialect.smallest, 1):
        return unthinking(wanted or None)
    prompt = protocol.opened(request.prompt)
    beside = n_ctx - len(prompt) - len(begun.tokens) - ending
    room = beside - max(least, min(budget.answer_reserve, beside // 2))
    if begun.tokens:
        # What is there counts. Where it is all that there may be, the answer follows at once.
        room = begun.think + max(0, room)
        wanted = None if wanted is None else max(wanted, begun.think)
    elif room < max(protocol.dialect.smallest, 1):
        # Too little to think in; there may still be enough to answer in.
        return unthinking(max(room, 0))
    if wanted is None or wanted > room:
        return planned(prompt, room, "context")
    return planned(prompt, wanted, "budget")
