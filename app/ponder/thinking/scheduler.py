"""Who may think how long, and who is next: grants out, chunks in, events out.

The one place where budgets are kept. Owns the traces, the ledger and the queue; is handed
the time, a protocol and the engine's hands (`Sequences`), and decodes nothing itself. What
it promises is written down as invariants in tests/thinking/test_invariants.py: a trace never
samples more thinking than its budget, its thinking always closes with the model's own end,
an answer always comes, and nothing is ever decoded past the context.

A deadline is kept by the same clock that every step is measured by. What is learned from steps
and traces goes into `Learned`, which outlives the scheduler.

Other threads may call `share`, `submit`, `cancel`, `drop`, `answer_now`, `extend` and `wait`: they
only leave a note that the next `schedule` reads.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import takewhile

from ponder.errors import PonderError
from ponder.events import Event, Finished, Started
from ponder.thinking.course import Course
from ponder.thinking.learned import Learned
from ponder.thinking.ledger import Ledger
from ponder.thinking.live import Live, Plan, Request, plan
from ponder.thinking.pace import Pace
from ponder.thinking.parser import TraceParser
from ponder.thinking.pool import Terms
from ponder.thinking.probing import Probes
from ponder.thinking.protocol import ThinkProtocol
from ponder.thinking.purse import Keeper
from ponder.thinking.record import never_started, trace_of
from ponder.thinking.scribe import Scribe
from ponder.thinking.sequences import Sequences
from ponder.thinking.sharing import Sharing, Waiting
from ponder.thinking.steps import Meter
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
        self._hands = sequences
        self._protocol = protocol
        self._ledger = Ledger(sequences.capacity)
        self._notes: deque[Callable[[], None]] = deque()
        self._later: dict[int, list[Callable[[], None]]] = {}
        """Notes about questions in the queue, for when they start."""
        self._live: dict[int, Live] = {}
        self._by_seq: dict[Seq, Live] = {}
        self._grants: dict[Seq, int] = {}
        self._events: deque[Event] = deque()
        self._learned = Learned() if learned is None else learned
        self._scribe = Scribe(sequences, protocol, self._ledger, self._events)
        self._pace = Pace(protocol, self._learned, self._live, sequences.n_ctx)
        self._probes = Probes(
            sequences, protocol, self._ledger, self._scribe, self._pace, self._grants, normal
        )
        self._course = Course(protocol, self._scribe, self._pace, self._probes)
        self._keeper = Keeper(self._scribe, self._course, self._cannot_keep)
        self._meter = Meter(self._learned.steps, self._pace.held)
        self.sharing = Sharing(
            protocol,
            self._learned,
            self._live,
            self._scribe,
            self._course,
            self._pace,
            sequences.n_ctx,
            self._admit,
            self._regrant,
        )
        self._prompt: tuple[int, ...] = ()
        """The last that was read: what begins like it need not be read again."""
        self._now = 0.0
        self._settled = -math.inf

    @property
    def ledger(self) -> Ledger:
        """The accounts, for inspection."""
        return self._ledger

    def thought(self, question: int) -> int:
        """Thinking tokens of a question until now; for the thread that runs the loop."""
        live = self._live.get(question)
        if live is None:
            return 0
        return self._scribe.thinking(live) + (len(live.gathered) if live.finish is None else 0)

    # -- notes, from any thread -------------------------------------------------------

    def share(self, terms: Terms, now: float) -> None:
        """Have all questions that are asked from now on share what these terms say."""
        self._notes.append(lambda: self.sharing.agree(terms, now))

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
            at = self._now if now is None else now
            for request, planned in zip(requests, plans, strict=True):
                self.sharing.enqueue(Waiting(request, planned, at))

        self._notes.append(note)
        return plans

    def planned(self, request: Request) -> Plan:
        """What a question would have; raises what `submit` raises, and takes nothing in."""
        planned = plan(request, self._protocol, self._hands.n_ctx)
        pairs = zip(self._prompt, planned.prompt, strict=False)
        known = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        self._pace.refuse_too_short(request, len(planned.prompt) - known)
        return planned

    def cancel(self, question: int) -> None:
        """End a question where it stands; its room is returned."""
        self._notes.append(lambda: self._end(question, Finish.CANCELLED, AnswerEnd.CANCELLED))

    def drop(self, question: int, why: BudgetChange, figures: Figures) -> None:
        """End a question where it stands: the vote that it is part of is decided without it.

        Args:
            question: which.
            why: what is told of it.
            figures: what that rests on.
        """

        def note() -> None:
            live = self._live.get(question)
            if live is not None:
                self._scribe.settle(live)
                self._scribe.rebudget(live, why, figures=figures)
            self._end(question, Finish.AGREED, AnswerEnd.DROPPED)

        self._notes.append(note)

    def answer_now(self, question: int) -> None:
        """End the thinking of a question; it goes on to its answer."""
        self._ask(question, lambda live: self._course.answer_now(live, self._now))

    def extend(self, question: int, tokens: int) -> None:
        """Grant a question more thinking, as far as the context allows."""
        self._ask(question, lambda live: self._course.extend(live, tokens))

    def wait(self, question: int) -> None:
        """Withdraw the next end of its thinking: it becomes "Wait". Each call asks for one."""
        self._ask(question, self._course.wait)

    def _ask(self, question: int, act: Callable[[Live], None]) -> None:
        """Leave a note about the thinking of a question, for as soon as it runs."""

        def note() -> None:
            live = self._live.get(question)
            if live is not None and live.finish is None:
                self._scribe.settle(live)
                act(live)
                self._regrant(live)
            elif self.sharing.waits(question):
                self._later.setdefault(question, []).append(note)

        self._notes.append(note)

    def abandon(self) -> None:
        """Close every sequence: the engine failed, and nothing will be told any more."""
        self._probes.drop_all()
        for live in self._live.values():
            with suppress(PonderError):
                self._hands.close(live.seq)
        self._live.clear()
        self._by_seq.clear()
        self._grants.clear()

    # -- the loop -----------------------------------------------------------------------

    def schedule(self, now: float) -> Mapping[Seq, int]:
        """Sampled tokens that each sequence may bring in the next step; empty: nothing to do.

        Args:
            now: seconds on any steady clock.
        """
        self._now = now
        self._meter.end(now)
        while self._notes:
            self._notes.popleft()()
        self.sharing.deal(now)
        self._keeper.keep(self._grants, self._regrant, now)
        if self._grants:
            self._meter.begin(now, self._scribe.forcings)
        return self._grants

    def observe(self, chunks: Iterable[Chunk], now: float) -> Iterator[Event]:
        """Account for what a step brought, decide what follows, tell what happened.

        With no chunks it tells what happened since, a cancellation for example.
        """
        self._now = now
        brought = read = 0
        for chunk in chunks:
            brought += 1
            read += chunk.prefilled
            live = self._by_seq.get(chunk.seq)
            if live is not None:
                self._take(live, chunk)
            elif (seen := self._probes.take(chunk, now)) is not None:
                self._course.looked(seen, now)
                self._go_on(seen.live)
        if brought:
            self._meter.brought(brought, read)
        if now - self._settled >= BATCH:
            self._pace.look()
            self.sharing.look()
            for live in self._live.values():
                self._scribe.settle(live)
                self._pace.update(live)
                self._tell_pace(live)
            self._settled = now
        while self._events:
            yield self._events.popleft()

    # -- admission ----------------------------------------------------------------------

    def _admit(self, waiting: Waiting, planned: Plan) -> bool:
        """Start a question by this plan; false where its room is not free."""
        if len(self._live) >= self._hands.n_seqs:
            return False
        request, _, asked = waiting
        planned = self._pace.in_time(request, planned, asked, self._now)
        if planned.lease > self._ledger.free:
            return False
        self._start(request, planned, asked, self._now)
        return True

    def _start(self, request: Request, planned: Plan, asked: float, now: float) -> None:
        """Open a sequence for a question whose room is free."""
        self._ledger.lease(request.id, planned.lease)
        marks = (self._protocol.end_id, self._protocol.vocab.eos)
        stops = tuple(token for token in marks if token is not None)
        watch = self._probes.watched(request.budget.stop) if planned.cap is not None else ()
        seq = self._hands.open(planned.prompt, request.sampling, watch, stops, request.signals)
        self._prompt = planned.prompt
        inside = planned.cap is not None
        parser = TraceParser(self._protocol, inside)
        live = Live(request, planned, seq, parser, started=now, asked=asked)
        live.answer_tokens = self._pace.answer_tokens(request)
        if not inside:
            live.finish = Finish.OFF if planned.limited_by == "off" else Finish.NONE
        self._live[request.id] = self._by_seq[seq] = live
        self._keeper.join(live)
        self._probes.begin(live)
        self._pace.look()
        self._events.append(
            Started(request.id, len(planned.prompt), planned.cap, planned.limited_by)
        )
        self.sharing.begin(live)
        self._regrant(live)
        if planned.too_little is not None:
            self._scribe.too_little(live, planned.too_little)
        self._tell_pace(live)
        for note in self._later.pop(request.id, ()):
            note()

    def _end(self, question: int, finish: Finish, answer_end: AnswerEnd) -> None:
        """End a question where it stands; if its thinking goes on, that ends with `finish`."""
        waiting = self.sharing.withdraw(question)
        if waiting is not None:
            self._later.pop(question, None)
            over = never_started(waiting.request, waiting.plan, finish, answer_end)
            self._events.append(over)
            return
        live = self._live.get(question)
        if live is not None:
            self._scribe.settle(live)
            if live.finish is None:
                self._scribe.close(live, finish, self._now)
            live.answer_end = answer_end
            self._complete(live)

    def _cannot_keep(self, live: Live, figures: Figures) -> None:
        """The purse that a trace lives on is short: it is dropped."""
        self._scribe.settle(live)
        self._scribe.rebudget(live, BudgetChange.DROPPED, figures=figures)
        self._end(live.request.id, Finish.CAP, AnswerEnd.DROPPED)

    def _regrant(self, live: Live) -> None:
        """Work out how many tokens may come, and until when, before something is decided."""
        self._pace.update(live)
        if self._probes.runs(live):
            return
        if live.awaits_share(self._scribe.thinking(live)):
            self._grants.pop(live.seq, None)
            self.sharing.stirred = True
            return
        live.quota = self._grants[live.seq] = self._course.quota(live)

    def _tell_pace(self, live: Live) -> None:
        """Tell what a deadline comes to, where there is news of it."""
        if (figures := self._pace.news(live, self._now)) is not None:
            self._scribe.rebudget(live, BudgetChange.DEADLINE, figures=figures)

    # -- one chunk ----------------------------------------------------------------------

    def _take(self, live: Live, chunk: Chunk) -> None:
        self._scribe.measure(live, chunk)
        tokens = chunk.tokens
        if not tokens:
            return
        if (
            len(tokens) < live.quota
            and self._now < live.heed
            and live.last_resort is None
            and not self._protocol.end_text
            and self._protocol.marks.isdisjoint(tokens)
        ):
            # Most tokens decide nothing: they are gathered, and charged and told together.
            live.gathered += tokens
            live.pieces += chunk.pieces
            live.quota -= len(tokens)
            self._grants[live.seq] = live.quota
            return
        self._scribe.settle(live)
        self._course.take(live, chunk, self._now)
        self._go_on(live)

    def _go_on(self, live: Live) -> None:
        """Something was decided on it, or its quota is spent: grant it more, or it is over."""
        if live.answer_end is None:
            self._regrant(live)
        else:
            self._complete(live)

    def _complete(self, live: Live) -> None:
        """Its last token is there: let go of everything that it had."""
        self._probes.forget(live)
        self._scribe.tell(live, live.parser.flush())
        if live.plan.cap is not None:
            # A later prompt leaves this thinking out: nothing after the prompt can serve it.
            self._hands.rewind(live.seq, len(live.plan.prompt))
        self._hands.close(live.seq)
        del self._by_seq[live.seq]
        self._grants.pop(live.seq, None)
        question = live.request.id
        trace = trace_of(live, self._ledger, self._now)
        self._learned.learn(trace)
        self._keeper.leave(live)
        self._events.append(Finished(question, trace))
        self.sharing.over(live)
        self._ledger.release(question)
        del self._live[question]
