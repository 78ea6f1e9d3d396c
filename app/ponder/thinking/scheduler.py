"""Who may think how long, and who is next: grants out, chunks in, events out.

The one place where budgets are kept. Owns the traces, the ledger and the queue; is handed
the time, a protocol and the engine's hands (`Sequences`), and decodes nothing itself. What
it promises is written down as invariants in tests/thinking/test_invariants.py: a trace never
samples more thinking than its budget, its thinking always closes with the model's own end,
an answer always comes, and nothing is ever decoded past the context.

Other threads may call `submit`, `cancel`, `answer_now`, `extend` and `wait`: they only leave a
note that the next `schedule` reads.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress

from ponder.errors import PonderError
from ponder.thinking.ledger import Account, Ledger
from ponder.thinking.live import Live, Plan, Request, plan
from ponder.thinking.parser import Edge, TraceParser
from ponder.thinking.policies import Close, Extend, decide
from ponder.thinking.protocol import ThinkProtocol
from ponder.thinking.record import never_started, trace_of
from ponder.thinking.scribe import Scribe
from ponder.thinking.sequences import Sequences
from ponder.types import (
    AnswerEnd,
    BudgetChange,
    Chunk,
    Event,
    Finish,
    Finished,
    Prefilled,
    Seq,
    Started,
)

BATCH = 1 / 60
"""Seconds between telling. A token a message was measured to cost more than everything else
that is done for it; slow models are told of token by token all the same."""


class Scheduler:
    """Schedules the thinking of all questions over one engine.

    Args:
        sequences: the engine's hands.
        protocol: how its model thinks.
    """

    def __init__(self, sequences: Sequences, protocol: ThinkProtocol) -> None:
        self._hands = sequences
        self._protocol = protocol
        self._ledger = Ledger(sequences.capacity)
        self._notes: deque[Callable[[], None]] = deque()
        self._queue: deque[tuple[Request, Plan]] = deque()
        self._later: dict[int, list[Callable[[], None]]] = {}
        """Notes about questions in the queue, for when they start."""
        self._live: dict[int, Live] = {}
        self._by_seq: dict[Seq, Live] = {}
        self._grants: dict[Seq, int] = {}
        self._events: deque[Event] = deque()
        self._scribe = Scribe(sequences, protocol, self._ledger, self._events)
        self._now = 0.0
        self._settled = -math.inf

    @property
    def ledger(self) -> Ledger:
        """The accounts, for inspection."""
        return self._ledger

    # -- notes, from any thread -------------------------------------------------------

    def submit(self, request: Request) -> Plan:
        """Take a question in; it starts as soon as its room in the context is free.

        Raises:
            InputError: it can never run: a bad budget, or a prompt that is too long.
        """
        planned = plan(request, self._protocol, self._hands.n_ctx)
        self._notes.append(lambda: self._queue.append((request, planned)))
        return planned

    def cancel(self, question: int) -> None:
        """End a question where it stands; its room is returned."""
        self._notes.append(lambda: self._cancel(question))

    def answer_now(self, question: int) -> None:
        """End the thinking of a question; it goes on to its answer."""

        def act(live: Live) -> None:
            live.answer_now = True
            self._scribe.rebudget(live, BudgetChange.ANSWER_NOW)
            self._review(live, ending=False)

        self._ask(question, act)

    def extend(self, question: int, tokens: int) -> None:
        """Grant a question more thinking, as far as the context allows."""

        def act(live: Live) -> None:
            slack = live.slack(self._protocol, self._scribe.thinking(live))
            self._scribe.grow(live, tokens - min(slack, 0))
            slack = live.slack(self._protocol, self._scribe.thinking(live))
            granted = max(0, min(tokens, slack))
            live.extra += granted
            self._scribe.rebudget(live, BudgetChange.EXTEND, granted)

        self._ask(question, act)

    def wait(self, question: int) -> None:
        """Withdraw the next end of its thinking: it becomes "Wait". Each call asks for one."""

        def act(live: Live) -> None:
            self._scribe.grow(live, len(self._protocol.wait_ids))
            live.waits += 1
            self._scribe.rebudget(live, BudgetChange.WAIT)

        self._ask(question, act)

    def _ask(self, question: int, act: Callable[[Live], None]) -> None:
        """Leave a note about the thinking of a question, for as soon as it runs."""

        def note() -> None:
            live = self._live.get(question)
            if live is not None and live.finish is None:
                self._scribe.settle(live)
                act(live)
                self._regrant(live)
            elif any(request.id == question for request, _ in self._queue):
                self._later.setdefault(question, []).append(note)

        self._notes.append(note)

    def abandon(self) -> None:
        """Close every sequence: the engine failed, and nothing will be told any more."""
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
        while self._notes:
            self._notes.popleft()()
        if self._queue:
            self._admit(now)
        return self._grants

    def observe(self, chunks: Iterable[Chunk], now: float) -> Iterator[Event]:
        """Account for what a step brought, decide what follows, tell what happened.

        With no chunks it tells what happened since, a cancellation for example.
        """
        self._now = now
        for chunk in chunks:
            live = self._by_seq.get(chunk.seq)
            if live is not None:
                self._take(live, chunk)
        if now - self._settled >= BATCH:
            for live in self._live.values():
                self._scribe.settle(live)
            self._settled = now
        while self._events:
            yield self._events.popleft()

    # -- admission ----------------------------------------------------------------------

    def _admit(self, now: float) -> None:
        """Start queued questions in order while their room is free."""
        while self._queue and len(self._live) < self._hands.n_seqs:
            request, planned = self._queue[0]
            if planned.lease > self._ledger.free:
                return
            self._queue.popleft()
            self._ledger.lease(request.id, planned.lease)
            marks = (self._protocol.end_id, self._protocol.vocab.eos)
            stops = tuple(token for token in marks if token is not None)
            seq = self._hands.open(planned.prompt, request.sampling, stop=stops)
            inside = planned.cap is not None
            live = Live(request, planned, seq, TraceParser(self._protocol, inside), now)
            if not inside:
                live.finish = Finish.OFF if planned.limited_by == "off" else Finish.NONE
            self._live[request.id] = self._by_seq[seq] = live
            self._regrant(live)
            self._events.append(
                Started(request.id, len(planned.prompt), planned.cap, planned.limited_by)
            )
            for note in self._later.pop(request.id, ()):
                note()

    def _cancel(self, question: int) -> None:
        for at, (request, planned) in enumerate(self._queue):
            if request.id == question:
                del self._queue[at]
                self._later.pop(question, None)
                self._events.append(never_started(request, planned))
                return
        live = self._live.get(question)
        if live is not None:
            self._scribe.settle(live)
            if live.finish is None:
                self._scribe.close(live, Finish.CANCELLED, self._now)
            self._complete(live, AnswerEnd.CANCELLED)

    def _regrant(self, live: Live) -> None:
        """Work out how many tokens may come before something has to be decided."""
        if live.finish is None:
            left = min(live.cap - self._scribe.thinking(live), live.room(self._protocol))
        elif live.last_resort is not None:
            left = live.last_resort
        else:
            left = live.answer_left(self._protocol, self._scribe.answered(live))
        live.quota = self._grants[live.seq] = max(1, left)

    # -- one chunk ----------------------------------------------------------------------

    def _take(self, live: Live, chunk: Chunk) -> None:
        live.cached += chunk.cached
        if chunk.prefilled:
            live.prefilled += chunk.prefilled
            live.prefill_seconds += chunk.seconds
            if not live.tokens:
                done = min(live.prefilled + live.cached, len(live.plan.prompt))
                self._events.append(Prefilled(live.request.id, done, len(live.plan.prompt)))
        else:
            live.decode_seconds += chunk.seconds
        tokens = chunk.tokens
        if not tokens:
            return
        if (
            len(tokens) < live.quota
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
        self._decide(live, chunk)
        if live.answer_end is None:
            self._regrant(live)

    def _decide(self, live: Live, chunk: Chunk) -> None:
        """Take the tokens one by one: one of them ends something, or spends the quota."""
        for at, (token, piece) in enumerate(zip(chunk.tokens, chunk.pieces, strict=True)):
            rest = len(chunk.tokens) - at - 1
            take = self._thought if live.finish is None else self._answered
            if take(live, token, piece, rest):
                # What was sampled beyond this token belongs to a future that will not be.
                if live.answer_end is None:
                    self._scribe.waste(live, rest)
                return

    def _thought(self, live: Live, token: int, piece: bytes, rest: int) -> bool:
        """Take a token of thought; true if what follows it in its chunk is void."""
        think = self._scribe.thinking(live)
        self._scribe.book(live, token, Account.THINK)
        if token in self._protocol.vocab.ends:
            # A turn ended inside the thinking: the model meant to close it and answer.
            if not self._review(live, ending=True, think=think, drop=1, rest=rest):
                self._scribe.close(live, Finish.CLOSED, self._now)
                self._scribe.force(live, self._protocol.close_ids, drop=1, rest=rest)
            return True
        if self._scribe.read(live, token, piece) is Edge.CLOSED:
            tag = live.parser.tag_tokens
            if self._review(live, ending=True, think=think - tag + 1, drop=tag, rest=rest):
                return True
            self._scribe.close(live, Finish.CLOSED, self._now)
            return False
        return self._review(live, ending=False, rest=rest)

    def _review(
        self, live: Live, ending: bool, think: int | None = None, drop: int = 0, rest: int = 0
    ) -> bool:
        """Ask the policies; true if one of them acted.

        Args:
            live: the trace.
            ending: the model has just ended its thinking.
            think: thinking tokens before that end; None: all there are.
            drop: tokens that the end took.
            rest: tokens of the chunk that follow.
        """
        think = self._scribe.thinking(live) if think is None else think
        match decide(live.view(think, ending, self._protocol)):
            case Close(finish):
                self._scribe.close(live, finish, self._now)
                self._scribe.force(live, self._protocol.cut_ids, rest=rest)
            case Extend(asked):
                live.stalled = live.stalled + 1 if think == live.thought_at_extension else 1
                live.thought_at_extension = think
                live.waits -= asked
                if not live.parser.inside:
                    live.parser.reopen()
                self._scribe.force(live, self._protocol.wait_ids, drop=drop, rest=rest)
                self._scribe.rebudget(live, BudgetChange.WITHDRAWN)
            case None:
                return False
        return True

    def _answered(self, live: Live, token: int, piece: bytes, rest: int) -> bool:
        """Take a token of the answer; true if what follows it in its chunk is void."""
        self._scribe.book(live, token, Account.ANSWER)
        if live.last_resort is not None:
            live.last_resort -= 1
        if self._protocol.reopens(token):
            return self._reopened(live, token, piece, rest)
        self._scribe.read(live, token, piece)
        if token in self._protocol.vocab.ends:
            if live.last_resort is None and not live.answer_text.strip():
                self._scribe.lead(live, drop=1, rest=rest)
            else:
                self._complete(live, AnswerEnd.STOP)
            return True
        if live.last_resort is not None:
            if live.request.boxed and live.box_closed():
                self._complete(live, AnswerEnd.STOP)
            elif live.last_resort <= 0:
                self._complete(live, live.answer_limit(self._scribe.answered(live)))
        elif live.answer_left(self._protocol, self._scribe.answered(live)) <= 0:
            if live.needs_resort():
                self._scribe.lead(live, drop=0, rest=rest)
                return True
            self._complete(live, live.answer_limit(self._scribe.answered(live)))
        return live.answer_end is not None

    def _reopened(self, live: Live, token: int, piece: bytes, rest: int) -> bool:
        """The model opens another thinking block inside its answer."""
        if (
            live.finish is Finish.CLOSED
            and self._scribe.thinking(live) < live.cap
            and live.room(self._protocol) > 0
        ):
            self._scribe.rebook_last(live, Account.THINK)
            live.finish = None
            self._scribe.read(live, token, piece)
            return self._review(live, ending=False, rest=rest)
        if live.needs_resort():
            self._scribe.lead(live, drop=1, rest=rest)
        else:
            self._scribe.withdraw(live, 1)
            self._complete(live, AnswerEnd.STOP)
        return True

    def _complete(self, live: Live, end: AnswerEnd) -> None:
        live.answer_end = end
        self._scribe.tell(live, live.parser.flush())
        if live.plan.cap is not None:
            # A later prompt leaves this thinking out: nothing after the prompt can serve it.
            self._hands.rewind(live.seq, len(live.plan.prompt))
        self._hands.close(live.seq)
        del self._by_seq[live.seq], self._grants[live.seq]
        question = live.request.id
        self._events.append(Finished(question, trace_of(live, self._ledger, end, self._now)))
        self._ledger.release(question)
        del self._live[question]
