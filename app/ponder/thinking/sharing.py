"""Deals a pool out: who of many questions thinks, who waits, and when that is over.

Questions with a deadline of their own go first, the earliest deadline before all; then whoever
promises most ends for its tokens (`pool.Prospects`). A thought is dealt a quantum at a time. With
that used up it competes with all others, those that have not begun included: it is dealt another,
or is paused where it stands, KV cache and all. What was dealt and not used goes back when the
question is over. When nothing is left, thoughts are closed, and their answers come from room that
was never part of the pool. Looks at a thought are paid from what it is dealt, and are dealt more
where that is not enough.

Where shares are even, nobody competes for the first tokens: they are kept for each question until
it is over, and only what is left of them is dealt by promise. A paused thought is closed early
where one that has not begun needs its place.

A deadline is a pool of seconds: the thinking ends when what is left is what all answers that are
still missing take. Acts through scribe and course, like any other decision; decodes nothing.
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from math import inf
from typing import NamedTuple

from ponder.thinking.course import Course
from ponder.thinking.learned import Learned
from ponder.thinking.live import Live
from ponder.thinking.pace import Pace
from ponder.thinking.planning import Plan, Request, plan
from ponder.thinking.policies import Close
from ponder.thinking.pool import Pool, Prospects, Terms, ranked, seconds_for
from ponder.thinking.protocol import ThinkProtocol
from ponder.thinking.scribe import Scribe
from ponder.types import BudgetChange, Figures, Finish

_MANY = 1 << 30
"""As many as the engine can."""


class Waiting(NamedTuple):
    """A question that waits for its turn."""

    request: Request
    plan: Plan
    asked: float
    """When, by the scheduler's clock."""

    @property
    def deadline(self) -> float:
        """When its last token has to be there."""
        within = self.request.budget.within
        return inf if within is None else self.asked + within

    @property
    def weight(self) -> float:
        """What its answer is worth."""
        return self.request.weight


class Sharing:
    """The questions of one scheduler, and what they share.

    Until terms are agreed on there is nothing to share, and they start in the order of asking.

    Args:
        protocol: how the model thinks.
        learned: how long it thinks, how fast it is.
        live: the traces that run.
        scribe: writes traces down.
        course: acts on decisions.
        pace: reckons with time.
        n_ctx: tokens that one of them may hold.
        start: starts a question by a plan; false where its room is not free.
        regrant: has what a trace may sample worked out again.
    """

    def __init__(
        self,
        protocol: ThinkProtocol,
        learned: Learned,
        live: Mapping[int, Live],
        scribe: Scribe,
        course: Course,
        pace: Pace,
        n_ctx: int,
        start: Callable[[Waiting, Plan], bool],
        regrant: Callable[[Live], None],
    ) -> None:
        self.terms: Terms | None = None
        self.pool = Pool(None)
        self.deadline = inf
        self._protocol = protocol
        self._learned = learned
        self._live = live
        self._queue: deque[Waiting] = deque()
        self._scribe = scribe
        self._course = course
        self._pace = pace
        self._n_ctx = n_ctx
        self._start = start
        self._regrant = regrant
        self._prospects = Prospects(learned.thinking)
        self._least = max(protocol.dialect.smallest, 1)
        self._over_at = inf
        """When the rest of the time is that of the answers."""
        self.stirred = True
        """Whether something happened since the last dealing that may change what is next."""

    def agree(self, terms: Terms, now: float) -> None:
        """What is asked from here on shares what these terms say, from this time on."""
        self.terms = terms
        self.pool = Pool(terms.tokens, terms.even)
        self.deadline = inf if terms.within is None else now + terms.within

    # -- the queue --------------------------------------------------------------------------

    def enqueue(self, waiting: Waiting) -> None:
        """A question comes in."""
        if waiting.plan.cap is not None:
            self.pool.join(waiting.request.id)
        if self.terms is None:
            self._queue.append(waiting)
        else:
            # None of them has thought yet: what they promise differs by their weights alone.
            insort(self._queue, waiting, key=lambda one: (self._own(one.deadline), -one.weight))
        self.stirred = True

    def waits(self, question: int) -> bool:
        """Whether a question is in the queue."""
        return any(waiting.request.id == question for waiting in self._queue)

    def withdraw(self, question: int) -> Waiting | None:
        """Take a question out of the queue; None where it is not in it."""
        for at, waiting in enumerate(self._queue):
            if waiting.request.id == question:
                del self._queue[at]
                self.pool.settle(question, 0)
                self.stirred = True
                return waiting
        return None

    def over(self, live: Live) -> None:
        """A question is over."""
        self.pool.settle(live.request.id, 0 if live.share is None else self._spent(live))
        self.stirred = True

    # -- time -------------------------------------------------------------------------------

    def look(self) -> None:
        """Reckon anew what the missing answers take; the thinking has the rest of the time."""
        steps = self._learned.steps
        if self.deadline == inf or not steps.known:
            return
        waiting = [one.request for one in self._queue]
        running = [live.request for live in self._live.values()]
        missing = waiting + running
        if not missing:
            return
        width = self._width
        longest = max(self._pace.answer_tokens(request) for request in missing)
        one = steps.seconds(longest, min(width, len(missing)), self._pace.held())
        # Whoever is led to an answer may need as long as that, however short answers are.
        one = max(one, *(self._pace.least(request, 0) for request in missing))
        words = len(self._protocol.cut_ids) * len(running)
        unread = sum(len(request.prompt) for request in waiting)
        reading = steps.reading(unread + words) * steps.margin
        self._over_at = self.deadline - seconds_for(len(missing), width, one, reading)

    # -- dealing ----------------------------------------------------------------------------

    def deal(self, now: float) -> None:
        """Settle who thinks on."""
        if self.terms is None or not self.terms.scarce:
            while self._queue and self._busy() < self._width and self._start_first(now):
                pass
            return
        late = now >= self._over_at
        for live in list(self._live.values()):
            if live.finish is None and (late or (live.paused and now >= live.due)):
                self._close(live, now, late)
        if self.stirred:
            self.stirred = False
            self._prospects = Prospects(self._learned.thinking)
            self._share_out(now)

    def begin(self, live: Live) -> None:
        """Deal a question that starts its first tokens."""
        if live.finish is not None:
            self.pool.settle(live.request.id, 0)
        elif self.terms is not None and self.terms.scarce:
            self._grant(live)

    def pays(self, live: Live, tokens: int) -> bool:
        """Whether so many tokens for a look are there; deals what is missing."""
        if live.share is None:
            return True
        missing = self._spent(live) + tokens - live.share
        if missing > self.pool.left_for(live.request.id):
            return False
        if missing > 0:
            self._deal(live, missing)
        return True

    def _start_first(self, now: float) -> bool:
        """Start, or refuse, the first of the queue; false where it has to wait."""
        waiting = self._queue[0]
        hopeless = self._hopeless(waiting, now)
        if hopeless is not None:
            self._queue.popleft()
            self.pool.settle(waiting.request.id, 0)
            self._scribe.refuse(waiting.request, waiting.plan, hopeless)
            return True
        planned = self._fitting(waiting, now)
        if planned is None:
            return False
        # Out of the queue first: its start deals tokens and time among those that are left.
        self._queue.popleft()
        if self._start(waiting, planned):
            return True
        self._queue.appendleft(waiting)
        return False

    def _hopeless(self, waiting: Waiting, now: float) -> Figures | None:
        """The figures by which not even an answer is there in time; None where it may be."""
        if self.terms is None or waiting.deadline == inf or not self._learned.steps.known:
            return None
        needed = self._pace.least(waiting.request, len(waiting.plan.prompt))
        left = waiting.deadline - now
        return None if left >= needed else {"seconds_left": left, "seconds_needed": needed}

    def _fitting(self, waiting: Waiting, now: float) -> Plan | None:
        """The plan of a question that is to start, without thinking where that must be.

        None: it has to wait, because tokens may still come back.
        """
        left, late = self.pool.left_for(waiting.request.id), now >= self._over_at
        if waiting.plan.cap is None or (left >= self._least and not late):
            return waiting.plan
        if not late and self._outstanding():
            return None
        hurried = replace(waiting.request.budget, cap=None, floor=0, thinking=False)
        planned = plan(replace(waiting.request, budget=hurried), self._protocol, self._n_ctx)
        return replace(planned, too_little=0 if late else int(left))

    def _share_out(self, now: float) -> None:
        while self._busy() < self._width:
            idle = [live for live in self._live.values() if self._awaits(live)]
            keys = [(self._own(live.deadline), self._index(live)) for live in idle]
            if self._queue:
                head = self._queue[0]
                keys.append((self._own(head.deadline), self._prospects.index(0, head.weight)))
            turns = ranked(keys)
            if any(self._goes_on(idle, at, at == turns[0], now) for at in turns):
                continue
            if not idle or self._outstanding():
                break
            if self._queue and self._kept(self._queue[0]):
                # Somebody's share waits for a place: the least promising makes room.
                if all(live.finish is None for live in self._live.values()):
                    self._close(idle[next(at for at in turns[::-1] if at < len(idle))], now, False)
                break
            for live in idle:
                self._close(live, now, late=False)
        self._pause()

    def _goes_on(self, idle: list[Live], at: int, best: bool, now: float) -> bool:
        """Deal one of those that wait its next tokens, or start the first of the queue."""
        if at < len(idle):
            if not self._grant(idle[at]):
                return False
            self._regrant(idle[at])
            return True
        # One for which nothing is left would answer without a thought: the others come first.
        return (best or self._kept(self._queue[0])) and self._start_first(now)

    def _kept(self, waiting: Waiting) -> bool:
        """Whether enough to think with is kept for a question that has not begun."""
        return self.pool.holds(waiting.request.id) >= self._least

    def _pause(self) -> None:
        """Tell who has to wait."""
        thinking = [live for live in self._live.values() if live.finish is None]
        best = max((self._index(live) for live in thinking), default=0.0)
        for live in thinking:
            if self._awaits(live) and not live.paused:
                live.paused = True
                figures = {"index": self._index(live), "best": best, **self._left()}
                self._scribe.rebudget(live, BudgetChange.PAUSED, figures=figures)

    def _grant(self, live: Live) -> bool:
        """Deal a thought its next tokens; false where there are none."""
        return self._deal(live, self._prospects.quantum) > 0

    def _deal(self, live: Live, wanted: int) -> int:
        """Deal a thought so many tokens, or what there is for it; gives how many."""
        index = self._index(live)
        tokens = self.pool.deal(live.request.id, wanted)
        if tokens:
            live.share = (live.share or 0) + tokens
            change = BudgetChange.RESUMED if live.paused else BudgetChange.GRANTED
            live.paused = False
            figures = {"index": index, "tokens": tokens, **self._left()}
            self._scribe.rebudget(live, change, figures=figures)
        return tokens

    def _close(self, live: Live, now: float, late: bool) -> None:
        """End a thought: the pool has no more tokens, or no more time, or its own is up."""
        self._scribe.settle(live)
        figures = {"index": self._index(live), **self._left()}
        live.paused = False
        if late:
            seconds = {"seconds_left": self.deadline - now}
            seconds["seconds_to_answer"] = self.deadline - self._over_at
            live.verdict = Close(Finish.DEADLINE, BudgetChange.POOL, seconds)
        elif now < live.due:
            live.verdict = Close(Finish.CAP, BudgetChange.POOL, figures)
        self._course.review(live, now)
        self._regrant(live)

    # -- sums -------------------------------------------------------------------------------

    @property
    def _width(self) -> int:
        """Traces that may be decoded at once."""
        return _MANY if self.terms is None else self.terms.width

    def _own(self, deadline: float) -> float:
        """A deadline that is a question's own; infinite where it is that of all."""
        return deadline if deadline < self.deadline else inf

    def _awaits(self, live: Live) -> bool:
        return live.awaits_share(self._scribe.thinking(live))

    def _spent(self, live: Live) -> int:
        """What it took of its share: thinking, and looks at it."""
        return self._scribe.thinking(live) + live.probed

    def _index(self, live: Live) -> float:
        return self._prospects.index(self._scribe.thinking(live), live.request.weight)

    def _busy(self) -> int:
        """Traces that are decoded."""
        return sum(not self._awaits(live) for live in self._live.values())

    def _outstanding(self) -> bool:
        """Whether somebody may still give tokens back."""
        return any(
            live.share is not None and self._spent(live) < self.pool.holds(live.request.id)
            for live in self._live.values()
        )

    def _left(self) -> dict[str, float]:
        left = self.pool.left
        return {} if left == inf else {"pool_left": left}
