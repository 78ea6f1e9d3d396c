"""Loops: what is said again and again is seen, and nothing else is."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adversary import TOKEN, VOCAB, drive, keeps_its_promises
from ponder.engines.replay import ReplayEngine, Script
from ponder.evaluation.comparison.reasoning import loops
from ponder.events import Finished
from ponder.thinking.live import LOOP_CHECK
from ponder.thinking.loops import LEAST, LONGEST_PERIOD, TIMES, LoopWatch
from ponder.thinking.planning import Request
from ponder.thinking.protocol import resolve
from ponder.thinking.scheduler import Scheduler
from ponder.types import Budget, BudgetChange, Finish, Sampling, Trace
from scripted import TAGGED

tokens = st.lists(st.integers(0, 5), max_size=80)


def seen(said: Sequence[int]) -> LoopWatch:
    watch = LoopWatch()
    watch.read(said)
    return watch


@settings(max_examples=300, deadline=None)
@given(tokens, st.lists(st.integers(0, 300), min_size=1, max_size=LONGEST_PERIOD - 1), tokens)
def test_what_is_said_long_enough_is_a_loop(
    before: list[int], said: list[int], after: list[int]
) -> None:
    # A few tokens more: a place is recognised by its last six.
    times = max(TIMES, -(-LEAST // len(said))) + -(-8 // len(said))
    watch = seen(before + said * times + after)
    assert watch.found is not None
    assert len(said) % watch.found.period == 0
    assert watch.found.times >= TIMES
    assert watch.found.tokens >= LEAST


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(tokens, st.integers(1, 6)), max_size=12))
def test_whatever_is_seen_is_there(parts: list[tuple[list[int], int]]) -> None:
    said = [token for part, times in parts for token in part * times]
    watch = LoopWatch()
    at = next((at for at in range(len(said)) if watch.read(said[at : at + 1])), None)
    if at is None:
        return
    assert watch.found is not None
    loop = said[at + 1 - watch.found.tokens : at + 1]
    period = watch.found.period
    assert len(loop) >= max(TIMES * period, LEAST)
    assert loop[period:] == loop[:-period]
    assert loops(said)  # and hindsight agrees


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 3), max_size=600), st.integers(1, 7))
def test_how_it_is_read_changes_nothing(said: list[int], size: int) -> None:
    watch = LoopWatch()
    for at in range(0, len(said), size):
        watch.read(said[at : at + size])
    assert watch.found == seen(said).found


@pytest.mark.parametrize(
    "said",
    [
        list(range(100)) * 2,  # a check that repeats all of it
        list(range(100)) * 3,
        [0] * 190,  # a long row of zeros
        [*range(20)] * 9,
        [word for line in range(60) for word in (1, 2, line + 100, 3, 4, line + 101)],  # counting
    ],
    ids=["a check", "two checks", "zeros", "a short refrain", "counting"],
)
def test_what_is_no_loop(said: list[int]) -> None:
    assert seen(said).found is None


# -- in the scheduler -----------------------------------------------------------------------


def ask(script: Script, budget: Budget, burst: int = 1, tick: float = 0.0) -> Trace:
    engine = ReplayEngine(VOCAB, script, n_ctx=4000, burst=burst)
    protocol = resolve(TAGGED, VOCAB)
    scheduler = Scheduler(engine, protocol)
    scheduler.submit(Request(1, (256, 120), budget, Sampling()))
    (trace,) = [e.trace for e in drive(engine, scheduler, now=tick) if isinstance(e, Finished)]
    keeps_its_promises(trace, protocol, budget, 4000)
    return trace


def refrain(tokens: Sequence[int], prompt: int, _seed: int) -> int:
    """A model that thinks the same for ever, and answers once it must."""
    said = list(tokens[prompt:])
    if TOKEN["</think>"] in said:
        return TOKEN["<eos>"] if said[-1:] == [ord("4")] else ord("4")
    return b"Wait, once more. "[len(said) % 17]


@pytest.mark.parametrize("burst", [1, 7, 200])
def test_a_loop_ends_the_thinking_at_the_same_token_however_it_comes(burst: int) -> None:
    trace = ask(refrain, Budget(cap=3000, loops=True), burst)
    assert (trace.finish, trace.answer) == (Finish.LOOP, "4")
    assert trace.usage.think == -(-LEAST // LOOP_CHECK) * LOOP_CHECK
    (event,) = trace.budget_events
    assert (event.change, event.at) == (BudgetChange.LOOP, trace.usage.think)
    assert event.figures["period"] == 17
    assert event.figures["tokens"] >= LEAST


def test_switched_off_it_goes_on() -> None:
    assert ask(refrain, Budget(cap=1000)).finish is Finish.CAP


def test_a_loop_is_ended_below_the_floor_too() -> None:
    assert ask(refrain, Budget(floor=2000, loops=True)).finish is Finish.LOOP
