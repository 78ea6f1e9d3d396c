"""A question that is ended from outside: its vote was decided without it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adversary import DIALECTS, VOCAB, Adversary, adversaries, budgets, drive, prompts
from ponder.dialect import Dialect
from ponder.engines.replay import ReplayEngine, transcript
from ponder.errors import BudgetError
from ponder.events import Closed, Finished, Started
from ponder.thinking.planning import Request
from ponder.thinking.protocol import resolve
from ponder.thinking.scheduler import Scheduler
from ponder.types import AnswerEnd, Budget, BudgetChange, Finish, Sampling
from scripted import TAGGED

END, EOS = 261, 257
HMM = transcript([*b"hmm, let me see"], END, [*b"\n\n42", EOS])
FIGURES = {"lead": 3.0, "live": 1.0}

FREE = Budget()


def made(n_seqs: int = 1) -> tuple[ReplayEngine, Scheduler]:
    engine = ReplayEngine(VOCAB, HMM, n_ctx=400, n_seqs=n_seqs)
    return engine, Scheduler(engine, resolve(TAGGED, VOCAB))


def request(question: int, budget: Budget = FREE) -> Request:
    return Request(question, (256, 120), budget, Sampling())


@pytest.mark.parametrize(
    ("steps", "finish", "told"),
    [
        (0, Finish.AGREED, []),  # it never began
        (8, Finish.AGREED, [BudgetChange.AGREED]),
        (20, Finish.CLOSED, [BudgetChange.AGREED]),  # in its answer: its thinking was over
    ],
)
def test_it_ends_where_it_stands_and_says_why(
    steps: int, finish: Finish, told: list[BudgetChange]
) -> None:
    engine, scheduler = made()
    scheduler.submit(request(1))
    events = drive(engine, scheduler, steps)
    scheduler.drop(1, BudgetChange.AGREED, FIGURES)
    events += drive(engine, scheduler)
    last = events[-1]
    assert isinstance(last, Finished)
    assert (last.trace.finish, last.trace.answer_end) == (finish, AnswerEnd.DROPPED)
    assert [event.change for event in last.trace.budget_events] == told
    assert all(event.figures == FIGURES for event in last.trace.budget_events)
    assert sum(isinstance(event, Closed) for event in events) <= 1
    assert scheduler.ledger.free == engine.capacity
    assert not engine._seqs


def test_one_that_waits_for_its_turn_never_begins() -> None:
    engine, scheduler = made()
    scheduler.submit_together([request(1), request(2)])
    events = drive(engine, scheduler, 3)
    scheduler.drop(2, BudgetChange.AGREED, FIGURES)
    events += drive(engine, scheduler)
    started = [event.question for event in events if isinstance(event, Started)]
    ends = {event.question: event.trace for event in events if isinstance(event, Finished)}
    assert started == [1]
    assert (ends[1].finish, ends[2].finish) == (Finish.CLOSED, Finish.AGREED)


def test_what_is_asked_together_starts_together_or_not_at_all() -> None:
    _, scheduler = made(n_seqs=3)
    with pytest.raises(BudgetError):
        scheduler.submit_together([request(1), request(2, Budget(cap=-1))])
    assert not scheduler.schedule(0.0)
    scheduler.submit_together([request(1), request(2), request(3)])
    assert len(scheduler.schedule(0.0)) == 3


@settings(max_examples=60)
@given(
    dialect=st.sampled_from(DIALECTS),
    adversary=adversaries,
    prompt=prompts,
    budget=budgets,
    steps=st.lists(st.integers(0, 120), min_size=3, max_size=3),
    burst=st.integers(1, 4),
)
def test_whenever_it_comes_nothing_is_lost_or_counted_twice(
    dialect: Dialect,
    adversary: Adversary,
    prompt: tuple[int, ...],
    budget: Budget,
    steps: list[int],
    burst: int,
) -> None:
    engine = ReplayEngine(VOCAB, adversary, n_ctx=400, n_seqs=2, burst=burst)
    scheduler = Scheduler(engine, resolve(dialect, VOCAB))
    for question in range(3):
        scheduler.submit(Request(question, prompt, budget, Sampling(seed=question)))
    events = []
    for question, more in enumerate(steps):
        events += drive(engine, scheduler, more)
        scheduler.drop(question, BudgetChange.AGREED, FIGURES)
    events += drive(engine, scheduler)
    ends = [event.trace for event in events if isinstance(event, Finished)]
    assert len(ends) == 3
    for trace in ends:
        used = trace.usage
        # Withdrawn tokens are in no trace.
        assert len(trace.tokens) == used.think + used.forced + used.answer
    assert scheduler.ledger.free == engine.capacity
    assert not engine._seqs
