"""Deadlines on a clock of the test's own: the last token is there in time, for any model.

I7: asked in time for its last resort, a question takes no longer than it was given, and a step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from adversary import (
    DIALECTS,
    TOKEN,
    VOCAB,
    Adversary,
    adversaries,
    budgets,
    keeps_its_promises,
    prompts,
)
from ponder.dialect import Dialect
from ponder.engines.replay import ReplayEngine, Script
from ponder.errors import BudgetError
from ponder.events import Event, Finished, Rebudgeted, Started
from ponder.thinking.learned import Learned
from ponder.thinking.planning import LAST_RESORT, Request
from ponder.thinking.protocol import ThinkProtocol, resolve
from ponder.thinking.scheduler import Scheduler
from ponder.types import AnswerEnd, Budget, BudgetChange, Finish, Sampling, Trace
from scripted import TAGGED

END, EOS = TOKEN["</think>"], TOKEN["<eos>"]


@dataclass(frozen=True)
class Speed:
    """Seconds that a machine takes, and nothing else does."""

    step: float = 0.01
    sequence: float = 0.001
    thousand: float = 0.005
    read: float = 0.0001

    def decoding(self, busy: int, held: int) -> float:
        return self.step + busy * self.sequence + held / 1000 * self.thousand


speeds = st.builds(
    Speed,
    step=st.floats(0.001, 0.2),
    sequence=st.floats(0.0001, 0.02),
    thousand=st.floats(0, 0.1),
    read=st.floats(0.0001, 0.01),
)


def experienced(speed: Speed) -> Learned:
    """What is known of a machine after a while."""
    learned = Learned()
    for at in range(64):
        busy, held = at % 3 + 1, 50 * (at % 7)
        learned.steps.observe(speed.decoding(busy, held), busy, held)
    learned.steps.read(speed.read * 1000, 1000)
    return learned


def run(
    script: Script,
    speed: Speed,
    asked: Sequence[Request],
    dialect: Dialect = TAGGED,
    learned: Learned | None = None,
    n_seqs: int = 1,
    n_ctx: int = 400,
) -> tuple[list[tuple[float, Event]], ThinkProtocol]:
    """All that was told, each with the time, on a machine of that speed."""
    engine = ReplayEngine(VOCAB, script, n_ctx=n_ctx, n_seqs=n_seqs)
    protocol = resolve(dialect, VOCAB)
    scheduler = Scheduler(engine, protocol, learned)
    now = 0.0
    for request in asked:
        scheduler.submit(request, now)
    told: list[tuple[float, Event]] = []
    held: dict[object, int] = {}
    while grants := scheduler.schedule(now):
        chunks = engine.step(grants)
        for chunk in chunks:
            new = chunk.cached + chunk.prefilled + len(chunk.tokens)
            held[chunk.seq] = held.get(chunk.seq, 0) + new
        now += speed.decoding(len(chunks), sum(held[chunk.seq] for chunk in chunks))
        now += speed.read * sum(chunk.prefilled for chunk in chunks)
        told += [(now, event) for event in scheduler.observe(chunks, now)]
        held = {seq: tokens for seq, tokens in held.items() if seq in grants}
    told += [(now, event) for event in scheduler.observe((), now)]
    assert scheduler.ledger.free == engine.capacity
    return told, protocol


def ask(
    script: Script, budget: Budget, speed: Speed = Speed(), learned: Learned | None = None
) -> tuple[Trace, list[Event]]:
    request = Request(1, (256, 120), budget, Sampling(seed=7))
    told, protocol = run(script, speed, [request], learned=learned, n_ctx=4000)
    trace = finished(told)[1][1]
    keeps_its_promises(trace, protocol, budget, 4000)
    return trace, [event for _, event in told]


def finished(told: Sequence[tuple[float, Event]]) -> dict[int, tuple[float, Trace]]:
    """When each question was over, and its trace."""
    return {e.question: (at, e.trace) for at, e in told if isinstance(e, Finished)}


def for_ever(tokens: Sequence[int], prompt: int, _seed: int) -> int:
    """A model that ends neither its thinking nor its answer."""
    return ord("x")


def answering(tokens: Sequence[int], prompt: int, _seed: int) -> int:
    """A model that thinks for ever, in sentences, and answers in ten tokens once it must."""
    said = list(tokens[prompt:])
    if END not in said:
        return b"so it is. "[len(said) % 10]
    return EOS if len(said) - said.index(END) > 12 else ord("4")


# -- for any model --------------------------------------------------------------------------


@settings(max_examples=300, deadline=None)
@given(
    adversaries,
    st.sampled_from(DIALECTS),
    budgets,
    prompts,
    speeds,
    st.floats(0, 5),
    st.booleans(),
    st.booleans(),
)
def test_the_answer_is_there_in_time(
    adversary: Adversary,
    dialect: Dialect,
    budget: Budget,
    prompt: tuple[int, ...],
    speed: Speed,
    more: float,
    boxed: bool,
    learned: bool,
) -> None:
    protocol = resolve(dialect, VOCAB)
    worst = speed.decoding(1, 400)
    forced = len(protocol.cut_ids) + len(protocol.lead(boxed)) + len(protocol.nothink_ids)
    # Enough to read the prompt, to see what a step takes, and for the last resort.
    least = speed.read * (len(prompt) + forced) + worst * (LAST_RESORT + 16) * 1.3 + 0.05
    budget = replace(budget, within=least + more)
    request = Request(1, prompt, budget, Sampling(seed=7), boxed)
    known = experienced(speed) if learned else None
    told, _ = run(adversary, speed, [request], dialect, known)
    took, trace = finished(told)[1]
    keeps_its_promises(trace, protocol, budget)
    assert budget.within is not None
    assert took <= budget.within + worst  # I7
    assert took == pytest.approx(trace.usage.wait_seconds + trace.usage.seconds)


@settings(max_examples=100, deadline=None)
@given(
    adversaries, st.lists(st.floats(0.001, 4), min_size=1, max_size=5), st.integers(1, 3), speeds
)
def test_however_little_time_there_is_an_answer_comes(
    adversary: Adversary, within: list[float], n_seqs: int, speed: Speed
) -> None:
    asked = [
        Request(at, (256, 120), Budget(within=seconds), Sampling(seed=at))
        for at, seconds in enumerate(within)
    ]
    told, protocol = run(adversary, speed, asked, n_seqs=n_seqs)
    for at, request in enumerate(asked):
        keeps_its_promises(finished(told)[at][1], protocol, request.budget)


@settings(max_examples=100, deadline=None)
@given(adversaries, st.floats(0.2, 4), st.floats(0.2, 4))
def test_less_time_thinks_a_prefix_of_what_more_does(
    adversary: Adversary, one: float, other: float
) -> None:
    sooner, later = (ask(adversary, Budget(within=within))[0] for within in sorted((one, other)))
    assume(sooner.finish is Finish.DEADLINE)
    thought = sooner.usage.think
    assert later.tokens[:thought] == sooner.tokens[:thought]


@settings(max_examples=100, deadline=None)
@given(adversaries, st.sampled_from(DIALECTS), budgets)
def test_a_deadline_far_away_changes_nothing(
    adversary: Adversary, dialect: Dialect, budget: Budget
) -> None:
    traces = []
    for within in (None, 1e6):
        asked = Request(1, (256, 120), replace(budget, within=within), Sampling(seed=7))
        traces.append(finished(run(adversary, Speed(), [asked], dialect)[0])[1][1])
    assert traces[0].tokens == traces[1].tokens
    assert traces[0].finish is traces[1].finish


# -- one at a time --------------------------------------------------------------------------


@pytest.mark.parametrize("within", [1.0, 5.0, 20.0])
@pytest.mark.parametrize("known", [True, False], ids=["measured", "never measured"])
def test_all_of_the_time_is_used(within: float, known: bool) -> None:
    learned = experienced(Speed()) if known else None
    trace, _ = ask(for_ever, Budget(within=within), learned=learned)
    assert (trace.finish, trace.answer_end) == (Finish.DEADLINE, AnswerEnd.DEADLINE)
    assert trace.within == within
    assert within - 3 * Speed().decoding(1, 4000) <= trace.usage.seconds <= within + 0.035
    assert trace.usage.think > 20


def test_the_time_of_an_answer_is_what_answers_took_before() -> None:
    learned = experienced(Speed())
    plain, _ = ask(answering, Budget(within=20.0), learned=experienced(Speed()))
    for _ in range(100):
        learned.answers.observe(12, ended=True)
    trace, _ = ask(answering, Budget(within=20.0), learned=learned)
    assert trace.finish is plain.finish is Finish.DEADLINE
    assert trace.answer_end is AnswerEnd.STOP
    assert trace.usage.think > plain.usage.think + 300  # 64 tokens are kept for it, not 512


def test_of_a_budget_and_a_deadline_the_narrower_one_binds() -> None:
    known = experienced(Speed())
    assert ask(answering, Budget(cap=50, within=60.0), learned=known)[0].finish is Finish.CAP
    assert ask(answering, Budget(cap=3000, within=3.0), learned=known)[0].finish is Finish.DEADLINE


def test_a_deadline_is_landed_before() -> None:
    trace, _ = ask(answering, Budget(within=4.0, landing=True), learned=experienced(Speed()))
    assert trace.finish is Finish.DEADLINE
    assert trace.thought.split("\n\nTime is up.")[0].endswith("so it is.")
    assert trace.budget_events[-1].change is BudgetChange.LANDED


def test_what_a_deadline_comes_to_is_told_and_told_again() -> None:
    slower = Speed(step=0.03)
    _, events = ask(answering, Budget(within=8.0), slower, experienced(Speed()))
    told = [e.decision for e in events if isinstance(e, Rebudgeted)]
    assert [e.change for e in told][-1] is BudgetChange.LATE
    caps = [e.figures["tokens"] for e in told if e.change is BudgetChange.DEADLINE]
    assert len(caps) >= 2
    assert caps[0] > caps[-1]  # it turned out to be slower
    first = told[0].figures
    assert (first["seconds"], told[0].at) == (8.0, 0)
    assert {"answer_tokens", "seconds_a_step", "seconds_to_answer"} <= set(first)


def test_too_little_time_to_think_is_answered_without() -> None:
    trace, events = ask(answering, Budget(within=0.3), Speed(), experienced(Speed()))
    (started,) = [e for e in events if isinstance(e, Started)]
    assert (started.budget, started.limited_by) == (None, "off")
    assert (trace.finish, trace.usage.think) == (Finish.OFF, 0)
    (event,) = trace.budget_events
    assert (event.change, event.figures) == (BudgetChange.UNTHINKING, {"tokens": 0, "smallest": 1})


def test_waiting_for_its_turn_is_part_of_the_time() -> None:
    asked = [
        Request(at, (256, 120), Budget(within=within), Sampling())
        for at, within in enumerate((6.0, 8.0))
    ]
    told, _ = run(for_ever, Speed(), asked, learned=experienced(Speed()), n_ctx=2000)
    (_, first), (took, second) = finished(told).values()
    assert second.usage.wait_seconds == pytest.approx(first.usage.seconds)
    assert took <= 8.0 + 0.035
    assert second.usage.seconds < 2.1


def test_time_that_is_its_own_begins_with_its_turn() -> None:
    asked = [
        Request(at, (256, 120), Budget(within=within), Sampling(), turn=2.0)
        for at, within in enumerate((None, None, 5.0))
    ]
    told, _ = run(for_ever, Speed(), asked, learned=experienced(Speed()), n_ctx=2000)
    (_, first), (_, second), (took, third) = finished(told).values()
    for trace in (first, second):
        assert 1.8 < trace.usage.seconds <= 2.035
        assert trace.finish is Finish.DEADLINE
    # Of both deadlines the earlier one binds.
    assert took <= 5.035
    assert third.usage.seconds < 1.1


@pytest.mark.parametrize(("within", "turn"), [(0.1, None), (None, 0.1), (9.0, 0.1)])
def test_a_prompt_that_cannot_be_read_in_time_is_refused(
    within: float | None, turn: float | None
) -> None:
    prompt = (256, *b"x" * 3000)
    with pytest.raises(BudgetError, match=r"to read them takes some 0\.3 s") as refused:
        request = Request(1, prompt, Budget(within=within), Sampling(), turn=turn)
        run(for_ever, Speed(), [request], learned=experienced(Speed()), n_ctx=4000)
    assert refused.value.hint


@pytest.mark.parametrize("within", [0.0, -1.0, float("inf"), float("nan")])
def test_a_time_that_means_nothing_is_refused(within: float) -> None:
    with pytest.raises(BudgetError, match="means nothing"):
        ask(for_ever, Budget(within=within))
