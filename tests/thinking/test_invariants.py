"""What the scheduler promises, for any model: properties over an adversarial scripted engine.

I1 sampled thinking never passes its budget; I2 nor does the block pass budget and closing
words; I3 every block that opens is closed once, and text follows; I4 an answer always comes;
I5 nothing is decoded past the context; I6 tokens are conserved and leases return; I9 without
a budget nothing is changed; I10 a smaller budget's thinking is a prefix of a larger one's;
I13 a cancelled question gives everything back.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adversary import (
    DIALECTS,
    VOCAB,
    Adversary,
    adversaries,
    budgets,
    drive,
    keeps_its_promises,
    prompts,
    timed_budgets,
)
from ponder.dialect import Dialect
from ponder.engines.replay import ReplayEngine
from ponder.errors import BudgetError, PromptTooLong
from ponder.events import Finished
from ponder.thinking.planning import Request
from ponder.thinking.protocol import ThinkProtocol, resolve
from ponder.thinking.scheduler import Scheduler
from ponder.types import Budget, Finish, Sampling, Trace
from scripted import LABELLED, SPELLED, TAGGED


def run(engine: ReplayEngine, protocol: ThinkProtocol, *requests: Request) -> list[Trace]:
    """All traces, in the order of their questions; the ledger must be empty after."""
    scheduler = Scheduler(engine, protocol)
    for request in requests:
        scheduler.submit(request)
    events = drive(engine, scheduler)
    assert scheduler.ledger.free == engine.capacity
    done = {e.question: e.trace for e in events if isinstance(e, Finished)}
    return [done[request.id] for request in requests]


def ask(
    adversary: Adversary,
    dialect: Dialect,
    budget: Budget,
    prompt: tuple[int, ...] = (256, 120),
    n_ctx: int = 400,
    burst: int = 1,
    boxed: bool = False,
) -> tuple[Trace, ThinkProtocol]:
    protocol = resolve(dialect, VOCAB)
    engine = ReplayEngine(VOCAB, adversary, n_ctx=n_ctx, burst=burst)
    (trace,) = run(engine, protocol, Request(1, prompt, budget, Sampling(seed=7), boxed))
    return trace, protocol


@settings(max_examples=400, deadline=None)
@given(
    adversaries, st.sampled_from(DIALECTS), timed_budgets, prompts, st.integers(1, 5), st.booleans()
)
def test_any_model_keeps_every_promise(
    adversary: Adversary,
    dialect: Dialect,
    budget: Budget,
    prompt: tuple[int, ...],
    burst: int,
    boxed: bool,
) -> None:
    trace, protocol = ask(adversary, dialect, budget, prompt, burst=burst, boxed=boxed)
    keeps_its_promises(trace, protocol, budget)


@settings(max_examples=300, deadline=None)
@given(adversaries, st.sampled_from((TAGGED, SPELLED, LABELLED)), st.integers(1, 150), st.data())
def test_a_smaller_budget_thinks_a_prefix_of_a_larger_one(
    adversary: Adversary, dialect: Dialect, larger: int, data: st.DataObject
) -> None:
    smaller = data.draw(st.integers(1, larger))
    # An end tag of several tokens that a floor withdraws leaves a hole where a smaller budget
    # would have cut in the middle of it: there the property holds without a floor only.
    floor = 0 if dialect is SPELLED else data.draw(st.integers(0, smaller))
    # The same settings for both. One that may land is also a prefix of one that may not, and
    # then of the same length or shorter.
    landing = data.draw(st.booleans())
    land_later = landing and data.draw(st.booleans())
    short, protocol = ask(adversary, dialect, Budget(smaller, floor, landing=landing))
    long, _ = ask(adversary, dialect, Budget(larger, floor, landing=land_later))
    assert short.usage.think <= long.usage.think or short.finish is Finish.CLOSED
    if short.finish is Finish.CAP:
        sampled = _first_block(short, protocol)
        assert _first_block(long, protocol)[: len(sampled)] == sampled
    else:
        assert short.tokens[: short.usage.think] == long.tokens[: short.usage.think]


def _first_block(trace: Trace, protocol: ThinkProtocol) -> list[int]:
    """The thinking up to the closing words, "Wait"s included."""
    tokens = list(trace.tokens)
    cut = list(protocol.cut_ids)
    for at in range(len(tokens)):
        if tokens[at : at + len(cut)] == cut and all(trace.forced[at : at + len(cut)]):
            return tokens[:at]
    return tokens


@settings(max_examples=300, deadline=None)
@given(adversaries, st.sampled_from(DIALECTS))
def test_without_a_budget_nothing_is_changed(adversary: Adversary, dialect: Dialect) -> None:
    trace, protocol = ask(adversary, dialect, Budget())
    plain = [256, 120]
    plain = list(protocol.opened(tuple(plain)))
    start = len(plain)
    for token, forced in zip(trace.tokens, trace.forced, strict=True):
        expected = adversary(plain, start, 7)
        if forced:
            # Only where plain sampling would have stopped, or thought or answered for ever.
            assert expected in VOCAB.ends or trace.finish is Finish.CONTEXT or trace.last_resort
            return
        assert token == expected
        plain.append(token)


@settings(max_examples=200, deadline=None)
@given(
    adversaries,
    st.sampled_from(DIALECTS),
    st.lists(st.tuples(timed_budgets, prompts), min_size=1, max_size=5),
    st.integers(1, 3),
    st.integers(0, 400),
)
def test_cancelled_at_any_step_gives_everything_back(
    adversary: Adversary,
    dialect: Dialect,
    asked: list[tuple[Budget, tuple[int, ...]]],
    n_seqs: int,
    steps: int,
) -> None:
    engine = ReplayEngine(VOCAB, adversary, n_ctx=400, n_seqs=n_seqs)
    scheduler = Scheduler(engine, resolve(dialect, VOCAB))
    ids = range(len(asked))
    for question, (budget, prompt) in zip(ids, asked, strict=True):
        scheduler.submit(Request(question, prompt, budget, Sampling()))
    events = drive(engine, scheduler, steps)
    for question in ids:
        scheduler.cancel(question)
    events += drive(engine, scheduler)
    finished = [event.question for event in events if isinstance(event, Finished)]
    assert sorted(finished) == list(ids)
    assert scheduler.ledger.free == engine.capacity
    # Every sequence is free again: as many can be opened as at the beginning.
    for _ in range(n_seqs):
        engine.open((256,), Sampling())


@settings(max_examples=100, deadline=None)
@given(adversaries, st.sampled_from(DIALECTS), budgets, budgets, st.integers(1, 3))
def test_company_changes_no_trace(
    adversary: Adversary, dialect: Dialect, one: Budget, other: Budget, n_seqs: int
) -> None:
    protocol = resolve(dialect, VOCAB)
    first = Request(1, (256, 120), one, Sampling(seed=1))
    second = Request(2, (256, 121), other, Sampling(seed=2))
    alone = [
        run(ReplayEngine(VOCAB, adversary, n_ctx=500), protocol, request)[0]
        for request in (first, second)
    ]
    engine = ReplayEngine(VOCAB, adversary, n_ctx=500, n_seqs=n_seqs)
    together = run(engine, protocol, first, second)
    assert [t.tokens for t in together] == [t.tokens for t in alone]


@pytest.mark.parametrize(
    "budget",
    [
        Budget(cap=-1),
        Budget(floor=-5),
        Budget(cap=9, floor=10),
        Budget(cap=401),
        Budget(max_answer=0),
    ],
)
def test_a_budget_that_means_nothing_is_refused(budget: Budget) -> None:
    with pytest.raises(BudgetError) as refused:
        ask(Adversary(("words",), 0), TAGGED, budget)
    assert refused.value.hint


def test_a_prompt_without_room_for_an_answer_is_refused() -> None:
    with pytest.raises(PromptTooLong, match="390"):
        ask(Adversary(("words",), 0), TAGGED, Budget(), prompt=(256,) * 390)


def test_a_prompt_with_little_room_is_answered_without_thinking() -> None:
    trace, _ = ask(Adversary(("words",), 0), TAGGED, Budget(), prompt=(256,) * 300)
    assert trace.finish is Finish.OFF
    assert trace.answer


def test_the_cap_is_exact() -> None:
    trace, _ = ask(Adversary(("words",), 0), TAGGED, Budget(cap=37))
    assert trace.usage.think == 37
    assert trace.finish is Finish.CAP


def test_more_can_be_granted_while_it_thinks() -> None:
    protocol = resolve(TAGGED, VOCAB)
    engine = ReplayEngine(VOCAB, Adversary(("words",), 0), n_ctx=400)
    scheduler = Scheduler(engine, protocol)
    scheduler.submit(Request(1, (256, 120), Budget(cap=20, max_answer=40), Sampling()))
    drive(engine, scheduler, 10)
    scheduler.extend(1, 30)
    (trace,) = [e.trace for e in drive(engine, scheduler) if isinstance(e, Finished)]
    assert (trace.usage.think, trace.budget, trace.finish) == (50, 50, Finish.CAP)


def test_the_answer_can_be_asked_for_at_once() -> None:
    protocol = resolve(TAGGED, VOCAB)
    engine = ReplayEngine(VOCAB, Adversary(("words",), 0), n_ctx=400)
    scheduler = Scheduler(engine, protocol)
    scheduler.submit(Request(1, (256, 120), Budget(max_answer=40), Sampling()))
    drive(engine, scheduler, 10)
    scheduler.answer_now(1)
    (trace,) = [e.trace for e in drive(engine, scheduler) if isinstance(e, Finished)]
    assert trace.finish is Finish.USER
    assert trace.usage.think <= 11
    assert "Time is up." in trace.thought
