"""What questions that share a pool can count on, for any model: properties over scripted engines.

The pool is never exceeded; what is dealt and not used comes back; every question is answered, or
refused with figures; deadlines are met in their order wherever they can be; a cancelled question
gives everything back; and where nothing is shared, nothing is changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

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
from ponder.engines.replay import ReplayEngine, transcript
from ponder.errors import BudgetError
from ponder.events import Event, Finished, Rebudgeted, Started
from ponder.thinking.learned import Learned
from ponder.thinking.lengths import LengthModel
from ponder.thinking.planning import Request
from ponder.thinking.pool import Pool, Prospects, Terms, ranked
from ponder.thinking.protocol import resolve
from ponder.thinking.scheduler import Scheduler
from ponder.types import AnswerEnd, Budget, BudgetChange, Finish, Sampling, Trace
from scripted import TAGGED

END, EOS = VOCAB.encode("</think>", special=True)[0], 257
STEP = 0.004
"""Seconds that a step takes in `drive`."""


def traces(events: Sequence[Event]) -> dict[int, Trace]:
    return {event.question: event.trace for event in events if isinstance(event, Finished)}


def scheduler_of(
    engine: ReplayEngine,
    terms: Terms | None,
    dialect: Dialect = TAGGED,
    learned: Learned | None = None,
) -> Scheduler:
    scheduler = Scheduler(engine, resolve(dialect, VOCAB), learned)
    if terms is not None:
        scheduler.share(terms, 0.0)
    return scheduler


def long_as_told(tokens: Sequence[int], prompt: int, seed: int) -> int:
    """Thinks as many tokens as its seed says, and answers briefly."""
    return transcript([97] * (seed - 1), END, [*b"42", EOS])(tokens, prompt, seed)


def asked(scheduler: Scheduler, *questions: Request) -> None:
    for question in questions:
        scheduler.submit(question, 0.0)


def question(number: int, length: int, weight: float = 1.0, within: float | None = None) -> Request:
    budget = Budget(max_answer=8, answer_reserve=64, within=within)
    return Request(number, (256, 120), budget, Sampling(seed=length), weight=weight)


# -- accounts and the index -----------------------------------------------------------------


@given(st.integers(0, 500), st.lists(st.tuples(st.integers(0, 4), st.integers(-5, 200))))
def test_more_is_never_dealt_than_there_is(tokens: int, deals: list[tuple[int, int]]) -> None:
    pool, dealt, used = Pool(tokens), dict.fromkeys(range(5), 0), 0
    for owner, amount in deals:
        if amount < 0 and dealt[owner]:
            half = dealt[owner] // 2
            pool.settle(owner, half)
            used, dealt[owner] = used + half, 0
        else:
            dealt[owner] += pool.deal(owner, amount)
        assert pool.left == tokens - used - sum(dealt.values())
        assert pool.left >= 0


def test_using_more_than_was_dealt_is_an_error() -> None:
    pool = Pool(100)
    pool.deal(1, 10)
    with pytest.raises(ValueError, match="11"):
        pool.settle(1, 11)


@pytest.mark.parametrize(
    "terms", [{"tokens": -1}, {"within": 0.0}, {"within": float("nan")}, {"width": 0}]
)
def test_terms_that_mean_nothing_are_refused(terms: dict[str, float]) -> None:
    with pytest.raises(BudgetError) as refused:
        Terms(**terms)  # type: ignore[arg-type]
    assert refused.value.hint


def measured(*lengths: int) -> LengthModel:
    model = LengthModel()
    for length in lengths:
        model.observe(length, ended=True)
    return model


def test_a_thought_near_the_usual_end_is_worth_more_than_a_fresh_one() -> None:
    prospects = Prospects(measured(*[100] * 200))
    assert prospects.index(80) > 2 * prospects.index(0) > 0


def test_a_thought_past_the_usual_end_is_worth_less_than_a_fresh_one() -> None:
    prospects = Prospects(measured(*[40] * 100, *[2000] * 100))
    assert prospects.index(60) < prospects.index(0) / 5
    assert prospects.index(1900) > prospects.index(60)


@given(st.lists(st.integers(1, 5000), max_size=60), st.integers(0, 10**7), st.floats(0.1, 10))
def test_an_index_is_a_rate_and_grows_with_the_weight(
    lengths: list[int], think: int, weight: float
) -> None:
    prospects = Prospects(measured(*lengths))
    index = prospects.index(think)
    assert 0 <= index < float("inf")
    assert prospects.index(think, weight) == pytest.approx(weight * index)
    assert 16 <= prospects.quantum <= 256


def test_the_index_is_the_best_rate_of_any_horizon() -> None:
    """Against the definition, summed token by token over the same straight-line survival."""
    model = measured(*range(10, 400, 7))
    prospects = Prospects(model)
    alive = prospects._alive
    edges = prospects._edges

    def surviving(at: float) -> float:
        upper = next(i for i, edge in enumerate(edges) if edge >= at) if at > 0 else 1
        share = (at - edges[upper - 1]) / (edges[upper] - edges[upper - 1])
        return alive[upper - 1] + (alive[upper] - alive[upper - 1]) * share

    start, best, expected = 30, 0.0, 0.0
    for token in range(start, 3000):
        expected += (surviving(token) + surviving(token + 1)) / 2 / surviving(start)
        best = max(best, (1 - surviving(token + 1) / surviving(start)) / expected)
    assert prospects.index(start) == pytest.approx(best, rel=0.02)


def test_the_earliest_deadline_goes_before_the_highest_index() -> None:
    inf = float("inf")
    assert ranked([(inf, 9.0), (5.0, 1.0), (4.0, 0.5)]) == [2, 1, 0]
    assert ranked([(inf, 1.0), (inf, 2.0), (inf, 2.0)]) == [1, 2, 0]


# -- any model ------------------------------------------------------------------------------

several = st.lists(st.tuples(budgets, prompts, st.floats(0.1, 10)), min_size=1, max_size=7)
timed = st.lists(st.tuples(timed_budgets, prompts, st.floats(0.1, 10)), min_size=1, max_size=7)
Asked = list[tuple[Budget, tuple[int, ...], float]]


@pytest.mark.parametrize("burst", [1, 2, 3, 50])
@pytest.mark.parametrize("tokens", [2, 3, 4, 5])
def test_a_thought_that_opens_again_in_mid_burst_keeps_to_its_share(
    tokens: int, burst: int
) -> None:
    again = VOCAB.encode("<think>", special=True)[0]
    said: list[int] = [97, END, again, *b"b" * 60]

    def script(done: Sequence[int], prompt: int, _seed: int) -> int:
        """Says that, and once it was led away from it, answers."""
        at = len(done) - prompt
        led = list(done[prompt:]) != said[:at]
        if not led:
            return said[at]
        return EOS if done[-1] == ord("4") else ord("4")

    engine = ReplayEngine(VOCAB, script, burst=burst)
    scheduler = scheduler_of(engine, Terms(tokens=tokens))
    asked(scheduler, question(1, 0))
    trace = traces(drive(engine, scheduler))[1]
    assert trace.usage.think == tokens
    assert trace.answer
    assert scheduler.sharing.pool.left == 0
    assert scheduler.ledger.free == engine.capacity


@settings(max_examples=200, deadline=None)
@given(
    adversaries,
    st.sampled_from(DIALECTS),
    several,
    st.integers(0, 600),
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(1, 4),
)
def test_a_pool_of_tokens_is_never_exceeded_and_everybody_is_answered(
    adversary: Adversary,
    dialect: Dialect,
    wanted: Asked,
    tokens: int,
    width: int,
    spare: int,
    burst: int,
) -> None:
    engine = ReplayEngine(VOCAB, adversary, n_ctx=400, n_seqs=width * spare, burst=burst)
    scheduler = scheduler_of(engine, Terms(tokens=tokens, width=width), dialect)
    for number, (budget, prompt, weight) in enumerate(wanted):
        scheduler.submit(Request(number, prompt, budget, Sampling(seed=number), weight=weight))
    events = drive(engine, scheduler)
    done = traces(events)
    assert sorted(done) == list(range(len(wanted)))
    used = sum(trace.usage.think for trace in done.values())
    assert used <= tokens  # I6
    assert scheduler.sharing.pool.left == tokens - used
    assert scheduler.ledger.free == engine.capacity
    protocol = resolve(dialect, VOCAB)
    for number, (budget, _, _) in enumerate(wanted):
        keeps_its_promises(done[number], protocol, budget)
        for event in done[number].budget_events:
            if event.change in (BudgetChange.GRANTED, BudgetChange.PAUSED, BudgetChange.POOL):
                assert 0 <= event.figures["pool_left"] <= tokens
                assert event.figures["index"] >= 0


@settings(max_examples=120, deadline=None)
@given(
    adversaries,
    st.sampled_from(DIALECTS),
    timed,
    st.none() | st.integers(0, 400),
    st.none() | st.floats(0.05, 8),
    st.integers(1, 3),
)
def test_under_deadlines_everybody_is_answered_or_refused_with_figures(
    adversary: Adversary,
    dialect: Dialect,
    wanted: Asked,
    tokens: int | None,
    within: float | None,
    width: int,
) -> None:
    engine = ReplayEngine(VOCAB, adversary, n_ctx=400, n_seqs=2 * width)
    scheduler = scheduler_of(engine, Terms(tokens, within, width), dialect)
    for number, (budget, prompt, weight) in enumerate(wanted):
        own = [limit for limit in (budget.within, within) if limit is not None]
        limited = replace(budget, within=min(own, default=None))
        request = Request(number, prompt, limited, Sampling(seed=number), weight=weight)
        scheduler.submit(request, 0.0)
    events = drive(engine, scheduler)
    done = traces(events)
    assert sorted(done) == list(range(len(wanted)))
    assert scheduler.ledger.free == engine.capacity
    used = sum(trace.usage.think for trace in done.values())
    assert tokens is None or used <= tokens
    for trace in done.values():
        if trace.answer_end is AnswerEnd.CANCELLED:
            (refused,) = trace.budget_events
            assert refused.change is BudgetChange.REFUSED
            assert refused.figures["seconds_left"] < refused.figures["seconds_needed"]
        else:
            assert trace.answer


@settings(max_examples=80, deadline=None)
@given(
    adversaries,
    st.sampled_from(DIALECTS),
    timed,
    st.integers(0, 300),
    st.integers(1, 3),
    st.integers(0, 300),
    st.integers(1, 7),
)
def test_cancelled_at_any_step_gives_its_share_back(
    adversary: Adversary,
    dialect: Dialect,
    wanted: Asked,
    tokens: int,
    width: int,
    steps: int,
    cancelled: int,
) -> None:
    engine = ReplayEngine(VOCAB, adversary, n_ctx=400, n_seqs=2 * width)
    scheduler = scheduler_of(engine, Terms(tokens=tokens, width=width), dialect)
    for number, (budget, prompt, weight) in enumerate(wanted):
        scheduler.submit(Request(number, prompt, budget, Sampling(), weight=weight), 0.0)
    events = drive(engine, scheduler, steps)
    for number in range(min(cancelled, len(wanted))):
        scheduler.cancel(number)
    events += drive(engine, scheduler, now=steps * STEP)
    done = traces(events)
    assert sorted(done) == list(range(len(wanted)))
    used = sum(trace.usage.think for trace in done.values())
    assert scheduler.sharing.pool.left == tokens - used >= 0
    assert scheduler.ledger.free == engine.capacity
    for _ in range(2 * width):
        engine.open((256,), Sampling())


@settings(max_examples=80, deadline=None)
@given(adversaries, st.sampled_from(DIALECTS), timed_budgets, prompts, st.integers(1, 4))
def test_where_nothing_is_shared_nothing_is_changed(
    adversary: Adversary, dialect: Dialect, budget: Budget, prompt: tuple[int, ...], burst: int
) -> None:
    def told(terms: Terms | None) -> list[Event]:
        engine = ReplayEngine(VOCAB, adversary, n_ctx=400, burst=burst)
        scheduler = scheduler_of(engine, terms, dialect)
        scheduler.submit(Request(1, prompt, budget, Sampling(seed=7)), 0.0)
        return drive(engine, scheduler)

    assert told(Terms(width=1)) == told(None)


# -- who is next ----------------------------------------------------------------------------


def changes(events: Sequence[Event], number: int) -> list[BudgetChange]:
    return [
        event.decision.change
        for event in events
        if isinstance(event, Rebudgeted) and event.question == number
    ]


def test_long_thoughts_wait_for_short_ones_and_have_what_is_left() -> None:
    learned = Learned(thinking=measured(*[40] * 60, *[1000] * 40))
    engine = ReplayEngine(VOCAB, long_as_told, n_ctx=2048, n_seqs=8)
    scheduler = scheduler_of(engine, Terms(tokens=700, width=2), learned=learned)
    lengths = [900, 900, 40, 40, 40, 40, 40, 40]
    asked(scheduler, *(question(n, length) for n, length in enumerate(lengths)))
    events = drive(engine, scheduler)
    done = traces(events)
    order = [event.question for event in events if isinstance(event, Finished)]
    assert set(order[-2:]) == {0, 1}
    assert all(done[n].finish is Finish.CLOSED for n in range(2, 8))
    assert {done[0].finish, done[1].finish} == {Finish.CAP}
    assert sum(trace.usage.think for trace in done.values()) == 700
    for number in (0, 1):
        told = changes(events, number)
        assert told[0] is BudgetChange.GRANTED
        assert BudgetChange.PAUSED in told
        assert BudgetChange.RESUMED in told[told.index(BudgetChange.PAUSED) :]
        assert told[-1] is BudgetChange.POOL
        assert done[number].answer == "42"


def test_a_heavier_question_is_asked_first() -> None:
    engine = ReplayEngine(VOCAB, long_as_told, n_ctx=400)
    scheduler = scheduler_of(engine, Terms(tokens=10_000, width=1))
    asked(scheduler, question(1, 30), question(2, 30, weight=5.0), question(3, 30, weight=2.0))
    events = drive(engine, scheduler)
    assert [event.question for event in events if isinstance(event, Started)] == [2, 3, 1]


def test_without_tokens_nobody_thinks_and_everybody_answers() -> None:
    engine = ReplayEngine(VOCAB, Adversary(("words",), 0), n_ctx=400, n_seqs=2)
    scheduler = scheduler_of(engine, Terms(tokens=0, width=2))
    asked(scheduler, question(1, 30), question(2, 30), question(3, 30))
    events = drive(engine, scheduler)
    for trace in traces(events).values():
        assert (trace.finish, trace.usage.think) == (Finish.OFF, 0)
        assert [event.change for event in trace.budget_events] == [BudgetChange.UNTHINKING]
        assert trace.answer


def practised() -> Learned:
    """A machine whose steps are known: four milliseconds each, as `drive` has it."""
    learned = Learned(thinking=measured(*[50] * 40))
    for _ in range(100):
        learned.steps.observe(STEP, 1, 50)
        learned.answers.observe(3, ended=True)
    return learned


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(2, 120), min_size=2, max_size=6), st.integers(1, 4), st.randoms())
def test_deadlines_that_can_be_met_are_met_in_their_order(
    lengths: list[int], n_seqs: int, chance: Random
) -> None:
    """Each has the time of all that are due before it, its own, and what an answer may take."""
    engine = ReplayEngine(VOCAB, long_as_told, n_ctx=400, n_seqs=n_seqs)
    scheduler = scheduler_of(engine, Terms(tokens=10_000, width=1), learned=practised())
    spent, due = 0.0, []
    for length in lengths:
        spent += (length + 8) * STEP
        due.append(spent + 100 * STEP)
    numbers = list(range(len(lengths)))
    chance.shuffle(numbers)
    asked(scheduler, *(question(n, lengths[n], within=due[n]) for n in numbers))
    events = drive(engine, scheduler)
    done = traces(events)
    order = [event.question for event in events if isinstance(event, Finished)]
    assert order == list(range(len(lengths)))
    for number, trace in done.items():
        assert trace.finish is Finish.CLOSED
        assert trace.usage.wait_seconds + trace.usage.seconds <= due[number]


def test_a_question_with_a_deadline_goes_before_those_without() -> None:
    engine = ReplayEngine(VOCAB, long_as_told, n_ctx=2048, n_seqs=4)
    scheduler = scheduler_of(engine, Terms(tokens=10_000, width=1), learned=practised())
    asked(scheduler, question(1, 50, weight=100.0), question(2, 400, within=4.0), question(3, 50))
    events = drive(engine, scheduler)
    assert next(event.question for event in events if isinstance(event, Finished)) == 2
    assert traces(events)[2].finish is Finish.CLOSED


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 12), st.integers(1, 4), st.floats(3.0, 12.0))
def test_one_deadline_for_all_leaves_time_for_every_answer(
    questions: int, width: int, within: float
) -> None:
    """A model that never ends its thinking: an answer takes eight steps and the closing words."""
    engine = ReplayEngine(VOCAB, Adversary(("words",), 0), n_ctx=4000, n_seqs=2 * width)
    learned = practised()
    for busy in range(1, 2 * width + 1):
        for _ in range(50):
            learned.steps.observe(STEP, busy, 50 * busy)
    scheduler = scheduler_of(engine, Terms(within=within, width=width), learned=learned)
    asked(scheduler, *(question(n, 1, within=within) for n in range(questions)))
    done = traces(drive(engine, scheduler))
    assert len(done) == questions
    for trace in done.values():
        assert trace.answer
        assert trace.usage.wait_seconds + trace.usage.seconds <= within
    # The time is used: somebody thought through most of it.
    assert sum(trace.usage.think for trace in done.values()) * STEP > within / 3


def test_what_cannot_even_be_answered_in_time_is_refused_with_figures() -> None:
    engine = ReplayEngine(VOCAB, Adversary(("words",), 0), n_ctx=4000, n_seqs=2)
    scheduler = scheduler_of(engine, Terms(within=0.6, width=1), learned=practised())
    asked(scheduler, *(question(n, 1, within=0.6) for n in range(40)))
    done = traces(drive(engine, scheduler))
    refused = [t for t in done.values() if t.answer_end is AnswerEnd.CANCELLED]
    answered = [t for t in done.values() if t.answer]
    assert len(refused) + len(answered) == 40
    assert refused
    assert answered
    for trace in refused:
        (event,) = trace.budget_events
        assert event.change is BudgetChange.REFUSED
        assert event.figures["seconds_left"] < event.figures["seconds_needed"]
