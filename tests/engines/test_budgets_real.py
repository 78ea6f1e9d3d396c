"""What the scheduler promises, on real weights: the core of tests/thinking/test_invariants.py.

I1 sampled thinking never passes its budget; I3 every block is closed once, by the model's own
token, and text follows; I4 an answer always comes; I9 without a budget nothing is changed;
I10 a smaller budget's thinking is a prefix of a larger one's.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice, pairwise
from pathlib import Path

import pytest

from ponder.catalogue import catalogue
from ponder.dialect import Dialect
from ponder.engines.llama import LlamaConfig, LlamaEngine
from ponder.evaluation.comparison.reasoning import loops
from ponder.evaluation.questions import questions
from ponder.events import Finished, Rebudgeted
from ponder.runner import Runner
from ponder.thinking import landing
from ponder.thinking.learned import Learned
from ponder.thinking.loops import LEAST
from ponder.thinking.planning import Request
from ponder.thinking.protocol import ThinkProtocol, resolve
from ponder.thinking.scheduler import Scheduler
from ponder.types import AnswerEnd, Budget, BudgetChange, Finish, Sampling, Trace
from scripted import SPELLED

DRAWN = Sampling(seed=3)
LONG = questions(23, operations=range(6, 9), kinds=["expression"])
"""They take more thinking than most of these budgets allow."""
WORDS = [question.text for question in islice(LONG, 48)]
DICE = random.Random(4)
CAPS = [0, 1, 2, 3, *(DICE.randint(4, 40) for _ in range(16)), *(
    DICE.randint(41, 400) for _ in range(20)
)]  # fmt: skip


@pytest.fixture(scope="module")
def tiny(builtin: Path) -> Iterator[LlamaEngine]:
    """One sequence, and a slice that holds a whole prompt."""
    engine = LlamaEngine(builtin, LlamaConfig(n_ctx=1024, threads=2, slice_size=512))
    yield engine
    engine.shutdown()


def alone(
    path: Path, dialect: Dialect, question: str, budget: Budget, sampling: Sampling
) -> tuple[Trace, ThinkProtocol]:
    """One question to an engine of its own.

    Which cells of the cache a sequence lies in changes the order of a sum, and a drawn token may
    turn on it: where two runs must agree to the token, neither may find anything in its cache.
    """
    engine = LlamaEngine(path, LlamaConfig(n_ctx=1024, threads=2, slice_size=512))
    try:
        own = resolve(dialect, engine.vocab)
        trace = ask(engine, own, question, budget, sampling)
        keeps_its_promises(trace, own, budget, engine.n_ctx)
        return trace, own
    finally:
        engine.shutdown()


@pytest.fixture(scope="module")
def dialect() -> Dialect:
    return catalogue().dialect("tiny")


@pytest.fixture(scope="module")
def protocol(tiny: LlamaEngine) -> ThinkProtocol:
    return resolve(catalogue().dialect("tiny"), tiny.vocab)


def asked(engine: LlamaEngine, question: str) -> tuple[int, ...]:
    text = f"<｜begin▁of▁sentence｜><｜User｜>{question}<｜Assistant｜><think>\n"
    return tuple(engine.vocab.encode(text, special=True))


def run(
    engine: LlamaEngine,
    protocol: ThinkProtocol,
    *requests: Request,
    learned: Learned | None = None,
) -> list[Trace]:
    """All traces, in the order of their questions; nothing is left open or leased after."""
    scheduler = Scheduler(engine, protocol, learned)
    for request in requests:
        scheduler.submit(request)
    done: dict[int, Trace] = {}
    now = 0.0
    while grants := scheduler.schedule(now):
        now += 1.0
        for event in scheduler.observe(engine.step(grants), now):
            if isinstance(event, Finished):
                done[event.question] = event.trace
    assert scheduler.ledger.free == engine.capacity
    assert not engine._seqs
    return [done[request.id] for request in requests]


def ask(
    engine: LlamaEngine,
    protocol: ThinkProtocol,
    question: str,
    budget: Budget,
    sampling: Sampling = DRAWN,
) -> Trace:
    (trace,) = run(engine, protocol, Request(1, asked(engine, question), budget, sampling))
    return trace


def keeps_its_promises(trace: Trace, protocol: ThinkProtocol, budget: Budget, n_ctx: int) -> None:
    usage = trace.usage
    end = protocol.end_id
    assert end is not None
    assert trace.answer  # I4
    assert usage.prompt + len(trace.tokens) <= n_ctx  # I5
    assert usage.think + usage.answer + usage.forced + usage.user == len(trace.tokens)  # I6
    assert usage.forced == sum(trace.forced)
    if trace.finish is Finish.OFF:
        assert usage.think == 0
        assert end not in trace.tokens
        return
    assert budget.cap is None or usage.think <= budget.cap  # I1
    assert trace.tokens.count(end) == 1  # I3
    at = trace.tokens.index(end)
    assert trace.tokens[at + 1 :]
    assert not any(trace.forced[: usage.think]) or budget.floor or trace.budget_events
    if trace.finish is Finish.CAP:
        landed = any(e.change is BudgetChange.LANDED for e in trace.budget_events)
        assert landed or usage.think == budget.cap  # exact
        cut = protocol.cut_ids
        over = usage.think + usage.user
        assert trace.tokens[over : over + len(cut)] == cut or budget.floor
    elif trace.finish is Finish.CLOSED and not trace.forced[at]:
        assert not budget.floor or usage.think >= budget.floor


@pytest.mark.parametrize("temperature", [0.6, 1.2])
def test_every_budget_is_kept(builtin: Path, protocol: ThinkProtocol, temperature: float) -> None:
    engine = LlamaEngine(builtin, LlamaConfig(n_ctx=1024, n_seqs=8, threads=2))
    try:
        budgets = [Budget(cap=cap, answer_reserve=100, max_answer=120) for cap in CAPS]
        requests = [
            Request(at, asked(engine, WORDS[at]), budget, Sampling(temperature, seed=at))
            for at, budget in enumerate(budgets)
        ]
        own = resolve(protocol.dialect, engine.vocab)
        traces = run(engine, own, *requests)
        for budget, trace in zip(budgets, traces, strict=True):
            keeps_its_promises(trace, own, budget, engine.n_ctx)
    finally:
        engine.shutdown()
    finishes = {trace.finish for trace in traces}
    assert {Finish.OFF, Finish.CAP, Finish.CLOSED} <= finishes
    assert traces[0].finish is Finish.OFF


@pytest.mark.parametrize("cap", [1, 2, 7, 30])
def test_a_cap_is_exact(tiny: LlamaEngine, protocol: ThinkProtocol, cap: int) -> None:
    for question in WORDS[:3]:
        trace = ask(tiny, protocol, question, Budget(cap=cap))
        assert (trace.usage.think, trace.finish, trace.budget) == (cap, Finish.CAP, cap)
        keeps_its_promises(trace, protocol, Budget(cap=cap), tiny.n_ctx)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_without_a_budget_nothing_is_changed(builtin: Path, dialect: Dialect, seed: int) -> None:
    """I9: token by token what plain sampling says."""
    sampling = Sampling(seed=seed)
    trace, _ = alone(builtin, dialect, WORDS[seed], Budget(), sampling)
    assert not any(trace.forced)
    assert (trace.finish, trace.answer_end) == (Finish.CLOSED, AnswerEnd.STOP)
    engine = LlamaEngine(builtin, LlamaConfig(n_ctx=1024, threads=2, slice_size=512))
    try:
        seq = engine.open(asked(engine, WORDS[seed]), sampling)
        plain: list[int] = []
        while not plain or plain[-1] not in engine.vocab.ends:
            plain += [token for chunk in engine.step({seq: 1}) for token in chunk.tokens]
    finally:
        engine.shutdown()
    assert list(trace.tokens) == plain


def test_a_smaller_budget_thinks_a_prefix_of_a_larger_one(builtin: Path, dialect: Dialect) -> None:
    """I10."""
    for at, question in enumerate(WORDS[:3]):
        thoughts = []
        for cap in (1, 2, 9, 25, 60, 140):
            sampling, budget = Sampling(temperature=0.6, seed=at), Budget(cap=cap, max_answer=40)
            trace, _ = alone(builtin, dialect, question, budget, sampling)
            thoughts.append(trace.tokens[: trace.usage.think])
        assert len(thoughts[3]) == 25
        for smaller, larger in pairwise(thoughts):
            assert larger[: len(smaller)] == smaller


@pytest.mark.parametrize("sampling", [DRAWN, Sampling(temperature=0)], ids=["drawn", "greedy"])
def test_a_floor_withdraws_the_end(builtin: Path, dialect: Dialect, sampling: Sampling) -> None:
    plain, _ = alone(builtin, dialect, WORDS[0], Budget(), sampling)
    assert plain.finish is Finish.CLOSED
    floor = plain.usage.think + 40
    trace, protocol = alone(builtin, dialect, WORDS[0], Budget(floor=floor), sampling)
    wait = protocol.wait_ids
    # Up to its end it is what would have been thought anyway; the end is not there.
    at = plain.usage.think - 1
    assert plain.tokens[at] == protocol.end_id
    assert trace.tokens[:at] == plain.tokens[:at]
    assert trace.tokens[at : at + len(wait)] == wait
    assert all(trace.forced[at : at + len(wait)])
    assert trace.usage.wasted >= 1
    assert trace.usage.think >= floor
    assert "Wait" in trace.thought


def test_a_wait_withdraws_the_next_end_and_no_other(builtin: Path, dialect: Dialect) -> None:
    """Asked for through a stream, as whoever sits in front of it does."""
    plain, _ = alone(builtin, dialect, WORDS[0], Budget(), DRAWN)
    engine = LlamaEngine(builtin, LlamaConfig(n_ctx=1024, threads=2, slice_size=512))
    protocol = resolve(dialect, engine.vocab)
    with Runner(engine, protocol) as runner:
        stream = runner.submit(asked(engine, WORDS[0]), Budget(), DRAWN)
        stream.wait()
        told = list(stream)
    assert isinstance(told[-1], Finished)
    trace = told[-1].trace
    keeps_its_promises(trace, protocol, Budget(), engine.n_ctx)
    wait = protocol.wait_ids
    at = plain.usage.think - 1
    assert plain.tokens[at] == protocol.end_id
    assert trace.tokens[: at + len(wait)] == plain.tokens[:at] + wait
    assert trace.forced.count(True) == len(wait)
    assert (trace.finish, trace.usage.wasted) == (Finish.CLOSED, 1)
    assert trace.usage.think > plain.usage.think
    events = [event.decision for event in told if isinstance(event, Rebudgeted)]
    assert trace.budget_events == tuple(events)
    assert [e.change for e in events] == [BudgetChange.WAIT, BudgetChange.WITHDRAWN]
    assert [e.at for e in events] == [events[0].at, at]
    assert events[0].at <= at


def test_a_hint_is_read_by_the_model_and_costs_none_of_its_budget(
    builtin: Path, dialect: Dialect
) -> None:
    plain, _ = alone(builtin, dialect, WORDS[0], Budget(cap=120), DRAWN)
    engine = LlamaEngine(builtin, LlamaConfig(n_ctx=1024, threads=2, slice_size=512))
    protocol = resolve(dialect, engine.vocab)
    with Runner(engine, protocol) as runner:
        stream = runner.submit(asked(engine, WORDS[0]), Budget(cap=120), DRAWN)
        stream.hint("Let me count every letter again.")
        told = list(stream)
    assert isinstance(told[-1], Finished)
    trace = told[-1].trace
    keeps_its_promises(trace, protocol, Budget(cap=120), engine.n_ctx)
    (event,) = [e for e in trace.budget_events if e.change is BudgetChange.HINT]
    at, words = event.position or 0, int(event.figures["tokens"])
    assert trace.tokens[:at] == plain.tokens[:at]
    assert "Let me count every letter again." in trace.thought
    assert trace.user == tuple(at <= n < at + words for n in range(len(trace.tokens)))
    assert (trace.budget, trace.usage.user) == (120, words)


def test_a_floor_at_its_cap_is_both(tiny: LlamaEngine, protocol: ThinkProtocol) -> None:
    budget = Budget(cap=160, floor=160)
    trace = ask(tiny, protocol, WORDS[0], budget)
    assert (trace.usage.think, trace.finish) == (160, Finish.CAP)
    keeps_its_promises(trace, protocol, budget, tiny.n_ctx)


def test_a_context_that_fills_up_still_answers(builtin: Path, protocol: ThinkProtocol) -> None:
    engine = LlamaEngine(builtin, LlamaConfig(n_ctx=300, threads=2))
    try:
        own = resolve(protocol.dialect, engine.vocab)
        hot = Sampling(temperature=1.5, top_p=1, seed=5)
        for question in WORDS[:4]:
            trace = ask(engine, own, question, Budget(floor=200), hot)
            keeps_its_promises(trace, own, replace(Budget(), floor=200), 300)
    finally:
        engine.shutdown()


@pytest.mark.parametrize("within", [60.0, 120.0, 4000.0])
def test_a_deadline_is_kept_on_a_clock_that_ticks_once_a_step(
    tiny: LlamaEngine, protocol: ThinkProtocol, within: float
) -> None:
    budget = Budget(within=within, answer_reserve=64, landing=True, loops=True)
    for question in WORDS[:3]:
        learned = Learned()
        request = Request(1, asked(tiny, question), budget, DRAWN, boxed=True)
        (trace,) = run(tiny, protocol, request, learned=learned)
        keeps_its_promises(trace, protocol, budget, tiny.n_ctx)
        assert trace.usage.seconds <= within + 1
        changed = [e.change for e in trace.budget_events]
        assert (trace.finish is Finish.DEADLINE) == (
            BudgetChange.LATE in changed or BudgetChange.LANDED in changed
        )
        assert learned.thinking.traces == 1
        assert learned.steps.expected(1, 100) == pytest.approx(1.0, rel=0.1)


@pytest.mark.parametrize("cap", [40, 77])
def test_landing_is_a_prefix_of_the_exact_cut(builtin: Path, dialect: Dialect, cap: int) -> None:
    for question in WORDS[:4]:
        exact, _ = alone(builtin, dialect, question, Budget(cap=cap), DRAWN)
        soft, own = alone(builtin, dialect, question, Budget(cap=cap, landing=True), DRAWN)
        thought = soft.usage.think
        assert soft.tokens[:thought] == exact.tokens[:thought]
        assert cap - landing.window(cap) <= thought <= cap or soft.finish is Finish.CLOSED
        if thought < cap and soft.finish is Finish.CAP:
            said = b"".join(map(own.vocab.piece, soft.tokens[:thought]))
            assert landing.ends(said[-landing.TAIL :], own.vocab.piece(soft.tokens[thought - 1]))


def test_no_question_that_is_thought_about_is_taken_for_a_loop(
    tiny: LlamaEngine, protocol: ThinkProtocol
) -> None:
    budget = Budget(floor=300, cap=600, loops=True)  # with a check or two
    for question in WORDS[:6]:
        assert ask(tiny, protocol, question, budget).finish is not Finish.LOOP


# -- weights that are not ours -----------------------------------------------------------------


@pytest.fixture(scope="module")
def stranger(smollm: Path) -> Iterator[LlamaEngine]:
    engine = LlamaEngine(smollm, LlamaConfig(n_ctx=512, threads=2))
    yield engine
    engine.shutdown()


def chatml(engine: LlamaEngine, question: str) -> tuple[int, ...]:
    text = f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
    return tuple(engine.vocab.encode(text, special=True))


@pytest.mark.weights
def test_a_model_that_does_not_think_answers(stranger: LlamaEngine) -> None:
    protocol = resolve(catalogue().dialect("plain"), stranger.vocab)
    prompt = chatml(stranger, "What is the capital of France?")
    budget = Budget(cap=50, max_answer=40)
    (trace,) = run(stranger, protocol, Request(1, prompt, budget, Sampling(temperature=0)))
    assert "Paris" in trace.answer
    assert (trace.finish, trace.budget, trace.usage.think) == (Finish.NONE, None, 0)
    assert not any(trace.forced)
    assert trace.thought == ""


@pytest.mark.weights
def test_a_model_that_is_stuck_is_led_out_of_its_loop(smollm: Path) -> None:
    engine = LlamaEngine(smollm, LlamaConfig(n_ctx=1024, threads=2))
    try:
        protocol = resolve(SPELLED, engine.vocab)
        prompt = chatml(engine, "Write a long story about a fox.")
        budget = Budget(max_answer=40, loops=True)
        (trace,) = run(engine, protocol, Request(1, prompt, budget, Sampling(temperature=0)))
        assert trace.finish is Finish.LOOP
        assert trace.usage.think < 700
        assert loops(trace.tokens[: trace.usage.think])
        assert trace.budget_events[-1].figures["tokens"] >= LEAST
        assert trace.answer
    finally:
        engine.shutdown()


@pytest.mark.weights
@pytest.mark.parametrize("cap", [1, 24])
def test_tags_of_many_tokens_on_a_real_vocabulary(stranger: LlamaEngine, cap: int) -> None:
    protocol = resolve(SPELLED, stranger.vocab)
    assert protocol.end_id is None
    assert len(protocol.open_tag) > 1
    prompt = chatml(stranger, "Write a long story about a fox.")
    budget = Budget(cap=cap, max_answer=40)
    (trace,) = run(stranger, protocol, Request(1, prompt, budget, Sampling(seed=1)))
    said = b"".join(map(stranger.vocab.piece, trace.tokens))
    assert trace.usage.prompt == len(protocol.opened(prompt))
    assert trace.usage.think == cap
    assert trace.finish is Finish.CAP
    # Such a tag is plain text to this model, which may well write it again in its answer.
    assert said.count(b"[/think]") >= 1
    assert trace.tokens[cap : cap + len(protocol.cut_ids)] == protocol.cut_ids
    assert "Time is up." in trace.thought
    assert "[/think]" not in trace.thought + trace.answer
    assert trace.answer
