"""What is told of a trace when it is over: its text, its tokens, its account."""

from __future__ import annotations

from ponder.events import Finished
from ponder.thinking.ledger import Account, Ledger
from ponder.thinking.live import Live
from ponder.thinking.planning import Plan, Request
from ponder.types import AnswerEnd, BudgetEvent, Finish, Span, Trace, Usage


def trace_of(live: Live, ledger: Ledger, now: float) -> Trace:
    """A trace that just ended; its lease is still in the ledger."""

    def spent(account: Account) -> int:
        return ledger.spent(live.request.id, account)

    return Trace(
        spans=merged(live.spans),
        tokens=tuple(live.tokens),
        forced=tuple(account is Account.FORCED for account in live.accounts),
        user=tuple(account is Account.USER for account in live.accounts)
        if Account.USER in live.accounts
        else (),
        finish=live.finish or Finish.CANCELLED,
        answer_end=live.answer_end or AnswerEnd.CANCELLED,
        last_resort=live.last_resort is not None,
        budget=None if live.plan.cap is None else live.cap,
        usage=Usage(
            prompt=len(live.plan.prompt),
            cached=live.cached,
            think=spent(Account.THINK),
            forced=spent(Account.FORCED),
            user=spent(Account.USER),
            kept=live.plan.begun.think,
            probe=spent(Account.PROBE),
            answer=spent(Account.ANSWER),
            wasted=spent(Account.WASTED),
            prefill_seconds=live.prefill_seconds,
            decode_seconds=live.decode_seconds,
            think_seconds=live.think_seconds,
            wait_seconds=live.started - live.asked,
            seconds=now - live.started,
        ),
        sampling=live.request.sampling,
        budget_events=tuple(live.budget_events),
        within=live.request.budget.within,
        confidence=live.confidence,
    )


def never_started(
    request: Request,
    planned: Plan,
    finish: Finish,
    answer_end: AnswerEnd,
    decisions: tuple[BudgetEvent, ...] = (),
) -> Finished:
    """A question that was ended while it waited."""
    trace = Trace(
        spans=(),
        tokens=(),
        forced=(),
        finish=finish,
        answer_end=answer_end,
        last_resort=False,
        budget=planned.cap,
        usage=Usage(prompt=len(planned.prompt)),
        sampling=request.sampling,
        budget_events=decisions,
        within=request.budget.within,
    )
    return Finished(request.id, trace)


def merged(spans: list[Span]) -> tuple[Span, ...]:
    """Neighbours of one channel and author as one."""
    merged: list[Span] = []
    for span in spans:
        last = merged[-1] if merged else None
        if last and last.channel is span.channel and last.author is span.author:
            merged[-1] = Span(span.channel, last.text + span.text, span.author)
        else:
            merged.append(span)
    return tuple(merged)
