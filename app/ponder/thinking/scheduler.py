"""Who may think how long, and who is next: grants out, chunks in, events out.

The one place where budgets are kept. Is handed the time, a protocol and the engine's hands
(`Sequences`), and decodes nothing itself; `traces.py` has what runs. What it promises is
written down as invariants in tests/thinking/test_invariants.py: a trace never samples more
thinking than its budget, its thinking always closes with the model's own end, an answer always
comes, and nothing is ever decoded past the context.

A deadline is kept by the same clock that every step is measured by. What is learned from steps
and traces goes into `Learned`, which outlives the scheduler.

Other threads may call `share`, `submit`, `cancel`, `drop` and what changes a thinking (`answer_now`
and those after it): they only leave a note that the next `schedule` reads.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from ponder.events import Event
from ponder.thinking.learned import Learned
from ponder.thinking.ledger import Ledger
from ponder.thinking.live import Live
from ponder.thinking.planning import Plan, Request
from ponder.thinking.pool import Terms
from ponder.thinking.protocol import ThinkProtocol
from ponder.thinking.sequences import Sequences
from ponder.thinking.sharing import Sharing, Waiting
from ponder.thinking.steps import Meter
from ponder.thinking.traces import Traces
from ponder.types import AnswerEnd, BudgetChange, Chunk, Figures, Finish, Seq

BATCH = 1 / 60
"""Seconds between telling. A token a message was measured to cost more than everything else
that is done for it; slow models are told of token by token all the same."""


class Scheduler:
    """Schedules the thinking of all questions over one engine.

    Args:
        sequences: the engine's hands.
        protocol: how its model thinks.
        learned: what is known of that model and this machine; learns from all that runs.
        normal: a normal form of answers, for rules that compare them.
    """

    def __init__(
        self,
        sequences: Sequences,
        protocol: ThinkProtocol,
        learned: Learned | None = None,
        normal: Callable[[str], str] = str.strip,
    ) -> None:
        learned = Learned() if learned is None else learned
        self._traces = Traces(sequences, protocol, learned, normal)
        self._notes: deque[Callable[[], None]] = deque()
        self._meter = Meter(learned.steps, self._traces.pace.held)
        self._settled = -math.inf

    @property
    def ledger(self) -> Ledger:
        """The accounts, for inspection."""
        return self._traces.ledger

    @property
    def sharing(self) -> Sharing:
        """What questions share, for inspection."""
        return self._traces.sharing

    def thought(self, question: int) -> int:
        """Thinking tokens of a question until now; for the thread that runs the loop."""
        live = self._traces.live.get(question)
        if live is None:
            return 0
        gathered = len(live.gathered) if live.finish is None else 0
        return self._traces.scribe.thinking(live) + gathered

    # -- notes, from any thread -------------------------------------------------------

    def share(self, terms: Terms, now: float) -> None:
        """Have all questions that are asked from now on share what these terms say."""
        self._notes.append(lambda: self._traces.sharing.agree(terms, now))

    def submit(self, request: Request, now: float | None = None) -> Plan:
        """Take a question in; it starts as soon as its room in the context is free.

        Args:
            request: what is asked.
            now: when; None: when the next step is scheduled.

        Raises:
            InputError: it can never run: a bad budget, or a prompt that is too long.
        """
        return self.submit_together((request,), now)[0]

    def submit_together(
        self, requests: Sequence[Request], now: float | None = None
    ) -> tuple[Plan, ...]:
        """Take questions in that start in one step, as far as there is room for them.

        So the same traces share the same batches every time, whatever other threads do.

        Raises:
            InputError: one of them can never run; none is taken in.
        """
        plans = tuple(self.planned(request) for request in requests)

        def note() -> None:
            at = self._traces.now if now is None else now
            for request, planned in zip(requests, plans, strict=True):
                self._traces.sharing.enqueue(Waiting(request, planned, at))

        self._notes.append(note)
        return plans

    def planned(self, request: Request) -> Plan:
        """What a question would have; raises what `submit` raises, and takes nothing in."""
        return self._traces.planned(request)

    def cancel(self, question: int) -> None:
        """End a question where it stands; its room is returned."""
        ends = Finish.CANCELLED, AnswerEnd.CANCELLED
        self._notes.append(lambda: self._traces.end(question, *ends))

    def drop(
        self,
        question: int,
        why: BudgetChange,
        figures: Figures,
        finish: Finish = Finish.AGREED,
    ) -> None:
        """End a question where it stands: the vote that it is part of goes on without it.

        Args:
            question: which.
            why: what is told of it.
            figures: what that rests on.
            finish: how its thinking ends, if it goes on.
        """
        self._notes.append(lambda: self._traces.drop(question, why, figures, finish))

    def answer_now(self, question: int) -> None:
        """End the thinking of a question; it goes on to its answer."""
        self._ask(question, lambda live: self._traces.course.answer_now(live, self._traces.now))

    def extend(self, question: int, tokens: int) -> None:
        """Grant a question more thinking, as far as the context allows."""
        self._ask(question, lambda live: self._traces.course.extend(live, tokens))

    def wait(self, question: int) -> None:
        """Withdraw the next end of its thinking: it becomes "Wait". Each call asks for one."""
        self._ask(question, self._traces.course.wait)

    def hint(self, question: int, words: tuple[int, ...]) -> None:
        """Put words of a person into its thinking, where the next sentence ends."""
        self._ask(question, lambda live: self._traces.course.hint(live, words))

    def hold(self, question: int) -> None:
        """Have it stand still; others go on."""
        self._notes.append(lambda: self._traces.hold(question, still=True))

    def go_on(self, question: int) -> None:
        """Have it go on, after it has stood still."""
        self._notes.append(lambda: self._traces.hold(question, still=False))

    def _ask(self, question: int, act: Callable[[Live], None]) -> None:
        """Leave a note about the thinking of a question, for as soon as it runs."""
        self._notes.append(lambda: self._traces.ask(question, act))

    def abandon(self) -> None:
        """Close every sequence: the engine failed, and nothing will be told any more."""
        self._traces.abandon()

    # -- the loop -----------------------------------------------------------------------

    def schedule(self, now: float) -> Mapping[Seq, int]:
        """Sampled tokens that each sequence may bring in the next step; empty: nothing to do.

        Args:
            now: seconds on any steady clock.
        """
        traces = self._traces
        traces.now = now
        self._meter.end(now)
        while self._notes:
            self._notes.popleft()()
        traces.sharing.deal(now)
        traces.retrace()
        traces.keeper.keep(traces.grants, traces.regrant, now)
        if traces.grants:
            self._meter.begin(now, traces.scribe.forcings)
        return traces.grants

    def observe(self, chunks: Iterable[Chunk], now: float) -> Iterator[Event]:
        """Account for what a step brought, decide what follows, tell what happened.

        With no chunks it tells what happened since, a cancellation for example.
        """
        traces = self._traces
        traces.now = now
        brought = read = 0
        for chunk in chunks:
            brought += 1
            read += chunk.prefilled
            live = traces.by_seq.get(chunk.seq)
            if live is not None:
                traces.take(live, chunk)
            elif (seen := traces.probes.take(chunk, now)) is not None:
                traces.course.looked(seen, now)
                traces.go_on(seen.live)
        if brought:
            self._meter.brought(brought, read)
        if now - self._settled >= BATCH:
            traces.settle()
            self._settled = now
        while traces.events:
            yield traces.events.popleft()
