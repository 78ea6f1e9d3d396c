"""What a deadline comes to: when a thought must end so that its answer is there in time.

Sums over a trace, the step model and the time; told the time, never asks for it. A deadline is
kept by the clock alone: the tokens that it comes to are told, and decide nothing but whether it
is worth thinking at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import inf

from ponder.errors import BudgetError
from ponder.thinking import landing
from ponder.thinking.learned import Learned
from ponder.thinking.live import Live
from ponder.thinking.planning import LAST_RESORT, Plan, Request, plan
from ponder.thinking.protocol import ThinkProtocol
from ponder.types import Figures

_RETOLD = 1.0
"""Seconds between two tellings of what the time that is left comes to."""
_MOVED = 0.2
"""And only where it has moved by this share."""


class Pace:
    """Reckons with time for one scheduler.

    Args:
        protocol: how the model thinks.
        learned: how fast it is here; learns meanwhile.
        live: the traces that run.
        n_ctx: tokens that one of them may hold.
    """

    def __init__(
        self, protocol: ThinkProtocol, learned: Learned, live: Mapping[int, Live], n_ctx: int
    ) -> None:
        self._protocol = protocol
        self._learned = learned
        self._live = live
        self._n_ctx = n_ctx
        self._busy = 1
        self._held = 0

    def held(self) -> int:
        """Tokens of context that all traces have together."""
        return sum(live.used() + len(live.gathered) for live in self._live.values())

    def look(self) -> None:
        """See how many traces run, and over how much context: their steps take that long."""
        busy = sum(not live.paused for live in self._live.values())
        self._busy, self._held = max(1, busy), self.held()

    def refuse_too_short(self, request: Request, unread: int) -> None:
        """Refuse a deadline that the reading of the prompt alone would miss.

        Raises:
            BudgetError: it would, as far as is known.
        """
        limits = (request.budget.within, request.turn)
        within = min((limit for limit in limits if limit is not None), default=inf)
        reading = self._learned.steps.reading(unread)
        if reading > within:
            raise BudgetError(
                f"The prompt has {unread:,} tokens, and to read them takes some {reading:.2g} s "
                f"here: no answer can come within {within:.2g} s.",
                "Give it more time, or shorten the prompt.",
            )

    def in_time(self, request: Request, planned: Plan, asked: float, now: float) -> Plan:
        """The plan, or one without thinking where the time is too short to think."""
        if request.budget.within is None or planned.cap is None or not self._learned.steps.known:
            return planned
        left = asked + request.budget.within - now
        reading = self._learned.steps.reading(len(planned.opening))
        self.look()
        answer = self._ending(request, self.answer_tokens(request), left)
        tokens = int((left - reading - answer) / self._seconds(1))
        if tokens >= max(self._protocol.dialect.smallest, 1):
            return planned
        hurried = replace(request, budget=replace(request.budget, thinking=False))
        return replace(plan(hurried, self._protocol, self._n_ctx), too_little=max(0, tokens))

    def least(self, request: Request, unread: int) -> float:
        """Seconds that the shortest answer takes which ponder can lead a model to.

        Args:
            request: what is asked.
            unread: tokens of its prompt that are still to be read.
        """
        return self._learned.steps.reading(unread) + self._last_resort(request)

    def answer_tokens(self, request: Request) -> int:
        """Tokens whose time is kept for an answer."""
        budget = request.budget
        tokens = self._learned.answer_tokens(budget.answer_reserve)
        return tokens if budget.max_answer is None else min(tokens, budget.max_answer)

    def update(self, live: Live) -> None:
        """Set when its thinking, or its answer, has to end."""
        if live.deadline == inf:
            return
        step = self._seconds(1)
        live.due = live.deadline - step
        live.landing_seconds = 0.0
        if live.finish is None:
            all_of_it = live.deadline - live.started
            live.due -= self._ending(live.request, live.answer_tokens, all_of_it)
            if live.landing:
                live.landing_seconds = step * landing.window(len(live.tokens) + len(live.gathered))
        elif live.needs_resort():
            live.due -= self._last_resort(live.request)
        live.heed = live.due - live.landing_seconds

    def allows(self, live: Live, forced: int, sampled: int, now: float) -> bool:
        """Whether there is time for tokens that lead to nothing but a look at the thought."""
        return now + self._reading(forced) + self._seconds(sampled) < live.due

    def news(self, live: Live, now: float) -> Figures | None:
        """The figures that a deadline rests on, where they are to be told (again)."""
        if live.deadline == inf or live.finish is not None or now - live.told_at < _RETOLD:
            return None
        first = live.told_at == -inf
        figures: dict[str, float] = {
            "seconds": live.deadline - live.asked,
            "seconds_left": live.deadline - now,
        }
        if self._learned.steps.known:
            step = self._seconds(1)
            begun = live.plan.begun
            sampled = len(live.tokens) - len(begun.tokens) + len(live.gathered)
            unread = 0 if sampled else len(live.plan.opening)
            reading = self._learned.steps.reading(unread)
            think = begun.think + sampled
            cap = min(live.cap, think + max(0, int((live.due - now - reading) / step)))
            if live.told_cap is not None and abs(cap - live.told_cap) <= _MOVED * live.told_cap:
                return None
            live.told_cap = cap
            figures |= {
                "tokens": cap,
                "answer_tokens": live.answer_tokens,
                "seconds_a_step": step,
                "seconds_to_read": reading,
                "seconds_to_answer": live.deadline - live.due,
            }
        elif not first:
            return None
        live.told_at = now
        return figures

    def _ending(self, request: Request, answer_tokens: int, all_of_it: float) -> float:
        """Seconds that the closing words and the answer take.

        An answer gets half of the time at most, and never less than its last resort needs.
        """
        answer = self._reading(len(self._protocol.cut_ids)) + self._seconds(answer_tokens)
        return max(min(answer, all_of_it / 2), self._last_resort(request))

    def _last_resort(self, request: Request) -> float:
        lead = len(self._protocol.lead(request.boxed))
        return self._reading(lead) + self._seconds(LAST_RESORT)

    def _reading(self, tokens: int) -> float:
        """Words that are put into the model's mouth: one longer step."""
        steps = self._learned.steps
        return self._seconds(1) + steps.reading(tokens) * steps.margin

    def _seconds(self, steps: int) -> float:
        return self._learned.steps.seconds(steps, self._busy, self._held)
