"""Writes a trace down: tokens to the ledger, text to the parser, words of ours to the engine.

Keeps the four records of one trace in step: what the engine holds, what is charged, what is
read as text, and what is told as events. Decides nothing: when to write what is the
scheduler's business.
"""

from __future__ import annotations

from collections import deque

from ponder.events import Closed, Event, Prefilled, Rebudgeted, Text
from ponder.thinking.landing import TAIL
from ponder.thinking.ledger import Account, Ledger
from ponder.thinking.live import Live
from ponder.thinking.parser import Edge
from ponder.thinking.planning import LAST_RESORT, Plan, Request
from ponder.thinking.protocol import ThinkProtocol
from ponder.thinking.record import merged, never_started
from ponder.thinking.sequences import Sequences
from ponder.types import (
    AnswerEnd,
    Author,
    BudgetChange,
    BudgetEvent,
    Channel,
    Chunk,
    Figures,
    Finish,
    Span,
)

_ACCOUNTS = {Author.MODEL: Account.THINK, Author.USER: Account.USER}
"""Where what stands in a thought is charged; all else in it is ponder's."""


class Scribe:
    """Writes the traces of one scheduler.

    Args:
        sequences: the engine's hands.
        protocol: how its model thinks.
        ledger: the accounts.
        events: where what happens is told.
    """

    def __init__(
        self,
        sequences: Sequences,
        protocol: ThinkProtocol,
        ledger: Ledger,
        events: deque[Event],
    ) -> None:
        self._hands = sequences
        self._protocol = protocol
        self._ledger = ledger
        self._events = events
        self.forcings = 0
        """How often tokens were forced: the step that follows is longer than others."""

    # -- the accounts of one trace ------------------------------------------------------

    def thinking(self, live: Live) -> int:
        """Thinking tokens sampled so far, those that are only gathered aside."""
        return self._ledger.spent(live.request.id, Account.THINK)

    def answered(self, live: Live) -> int:
        """Answer tokens sampled so far, those that are only gathered aside."""
        return self._ledger.spent(live.request.id, Account.ANSWER)

    def measure(self, live: Live, chunk: Chunk) -> None:
        """Note what a step read of its prompt, how long it took, and how sure the model was."""
        live.cached += chunk.cached
        if chunk.prefilled:
            live.prefilled += chunk.prefilled
            live.prefill_seconds += chunk.seconds
            if len(live.tokens) == len(live.plan.begun.tokens):
                total = len(live.plan.opening)
                done = min(live.prefilled + live.cached, total)
                self._events.append(Prefilled(live.request.id, done, total))
        else:
            live.decode_seconds += chunk.seconds
        if chunk.logprobs and live.finish is None:
            live.felt += sum(chunk.logprobs)
            live.felt_tokens += len(chunk.logprobs)

    def book(self, live: Live, token: int, account: Account) -> None:
        """Put one token into the trace and charge it."""
        live.tokens.append(token)
        live.accounts.append(account)
        self._ledger.charge(live.request.id, account)

    def rebook_last(self, live: Live, account: Account) -> None:
        """Charge the last token to another account."""
        self._ledger.move(live.request.id, live.accounts[-1], account)
        live.accounts[-1] = account

    def waste(self, live: Live, count: int) -> None:
        """Charge tokens that were sampled in vain and never entered the trace."""
        self._ledger.charge(live.request.id, Account.WASTED, count)

    def withdraw(self, live: Live, count: int) -> None:
        """Take back the last tokens that the model sampled."""
        for _ in range(count):
            live.tokens.pop()
            self._ledger.move(live.request.id, live.accounts.pop(), Account.WASTED)

    def rewind(self, live: Live) -> None:
        """Have the engine hold what the trace holds, and nothing beyond."""
        self._hands.rewind(live.seq, live.used())

    def grow(self, live: Live, tokens: int) -> None:
        """Lengthen its lease by so many tokens, as far as the context and its company allow."""
        wanted = min(tokens, self._hands.n_ctx - live.lease)
        live.grown += self._ledger.grow(live.request.id, wanted)

    # -- tokens and text ----------------------------------------------------------------

    def read(self, live: Live, token: int, piece: bytes, author: Author = Author.MODEL) -> Edge:
        """Read a booked token as text; gives what it did to the thinking block."""
        spans, edge = live.parser.push(token, piece, author)
        self.tell(live, spans)
        return edge

    def settle(self, live: Live) -> None:
        """Charge and tell what was gathered."""
        if not live.gathered:
            return
        account = Account.THINK if live.finish is None else Account.ANSWER
        live.tokens += live.gathered
        live.accounts += [account] * len(live.gathered)
        self._ledger.charge(live.request.id, account, len(live.gathered))
        live.tail = b"".join((live.tail, *live.pieces[-TAIL:]))[-TAIL:]
        spans = live.parser.extend(live.pieces)
        live.gathered.clear()
        live.pieces.clear()
        self.tell(live, spans)

    def begin(self, live: Live) -> None:
        """Write down what the thinking begins with; the engine has it already."""
        begun, spans = live.plan.begun, []
        for token, author in zip(begun.tokens, begun.authors, strict=True):
            self.book(live, token, _ACCOUNTS.get(author, Account.FORCED))
            piece = self._protocol.vocab.piece(token)
            live.tail = (live.tail + piece)[-TAIL:]
            spans += live.parser.push(token, piece, author)[0]
        # What was written last is read to its end: what follows is the model's.
        if begun.written:
            spans += live.parser.flush()
        self.tell(live, list(merged(spans)))
        forced = len(begun.tokens) - begun.think - begun.written
        figures = {"kept": begun.think, "forced": forced, "written": begun.written}
        self.rebudget(live, BudgetChange.BEGUN, figures=figures)

    def force(
        self, live: Live, ids: tuple[int, ...], author: Author, drop: int = 0, rest: int = 0
    ) -> None:
        """Put tokens into the trace, after withdrawing the last `drop` sampled ones.

        Args:
            live: the trace.
            ids: what to put there.
            author: what for. What follows the end of the thinking leads in the answer.
            drop: sampled tokens of the trace that they replace.
            rest: tokens that the engine sampled after those, and that never entered the trace.
        """
        self.withdraw(live, drop)
        if drop + rest > 1:
            self.rewind(live)
        self._hands.feed(live.seq, ids, replace_pending=drop + rest == 1)
        self.forcings += 1
        for token in ids:
            self.book(live, token, _ACCOUNTS.get(author, Account.FORCED))
            if self.read(live, token, self._protocol.vocab.piece(token), author) is Edge.CLOSED:
                author = Author.LEAD_IN
        if author is Author.USER:
            # Read to its end: what follows is the model's.
            self.tell(live, live.parser.flush())

    def lead(self, live: Live, drop: int, rest: int) -> None:
        """No answer came: lead the model to one, with what was set aside for it."""
        live.last_resort = LAST_RESORT
        self.force(
            live, self._protocol.lead(live.request.boxed), Author.LEAD_IN, drop=drop, rest=rest
        )

    # -- telling ------------------------------------------------------------------------

    def tell(self, live: Live, spans: list[Span]) -> None:
        """New text."""
        think, answered = self.thinking(live), self.answered(live)
        for span in spans:
            live.spans.append(span)
            if span.channel is Channel.ANSWER:
                live.answer_text += span.text
            self._events.append(Text(live.request.id, span, think, answered))

    def rebudget(
        self,
        live: Live,
        change: BudgetChange,
        granted: int = 0,
        figures: Figures | None = None,
        at: int | None = None,
    ) -> None:
        """A change of the budget, or a decision on it; `at` so many thinking tokens, by default
        those that are certain."""
        if at is None:
            # What may turn out to be an end is not thought yet: it can still be withdrawn.
            at = self.thinking(live) - (live.parser.held if live.parser.inside else 0)
        event = BudgetEvent(change, at, granted, figures or {}, len(live.tokens))
        live.budget_events.append(event)
        self._events.append(Rebudgeted(live.request.id, event, live.cap))

    def refuse(self, request: Request, planned: Plan, figures: Figures) -> None:
        """A question is not even begun."""
        decision = BudgetEvent(BudgetChange.REFUSED, 0, figures=figures)
        ends = Finish.CANCELLED, AnswerEnd.CANCELLED
        self._events.append(never_started(request, planned, *ends, (decision,)))

    def too_little(self, live: Live, tokens: int) -> None:
        """So few thinking tokens are too few to think with."""
        figures = {"tokens": tokens, "smallest": max(self._protocol.dialect.smallest, 1)}
        self.rebudget(live, BudgetChange.UNTHINKING, figures=figures)

    def close(self, live: Live, finish: Finish, now: float) -> None:
        """The thinking is over."""
        live.finish = finish
        live.think_seconds = now - live.started
        self._events.append(Closed(live.request.id, finish))
