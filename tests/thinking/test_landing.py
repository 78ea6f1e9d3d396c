"""Soft landing: a thought ends at a sentence's end shortly before its cap, and never after it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adversary import VOCAB, Adversary, adversaries, drive, keeps_its_promises
from ponder.engines.replay import ReplayEngine, Script
from ponder.events import Finished
from ponder.thinking import landing
from ponder.thinking.planning import Request
from ponder.thinking.protocol import resolve
from ponder.thinking.scheduler import Scheduler
from ponder.types import Budget, BudgetChange, Finish, Sampling, Trace
from scripted import TAGGED


def ask(script: Script, budget: Budget, n_ctx: int = 2000, burst: int = 1) -> Trace:
    engine = ReplayEngine(VOCAB, script, n_ctx=n_ctx, burst=burst)
    protocol = resolve(TAGGED, VOCAB)
    scheduler = Scheduler(engine, protocol)
    scheduler.submit(Request(1, (256, 120), budget, Sampling(seed=7)))
    (trace,) = [e.trace for e in drive(engine, scheduler) if isinstance(e, Finished)]
    keeps_its_promises(trace, protocol, budget, n_ctx)
    return trace


def reciting(text: str) -> Script:
    """A model that says a text, over and over."""

    def script(tokens: Sequence[int], prompt: int, _seed: int) -> int:
        return text.encode()[(len(tokens) - prompt) % len(text.encode())]

    return script


@pytest.mark.parametrize(
    ("tail", "piece", "ends"),
    [
        (b"is 80.\n", b".\n", True),
        (b"is 80\n\n", b"\n\n", True),
        (b"it fits.", b".", True),
        (b"fits? ", b" ", True),
        (b'fits!"', b'!"', True),
        ("对了。".encode(), "。".encode(), True),
        (b"is 3.", b".", False),
        (b"is 3.1", b"1", False),
        (b"is 3. ", b" ", True),
        (b"fits. I", b" I", False),
        (b"fits, ", b", ", False),
        (b"fits.", b"", False),
        (b"", b"", False),
        ("是。".encode()[:-1], "。".encode()[:-1], False),
    ],
)
def test_where_a_sentence_ends(tail: bytes, piece: bytes, ends: bool) -> None:
    assert landing.ends(tail, piece) is ends


@pytest.mark.parametrize(("budget", "tokens"), [(0, 0), (9, 0), (10, 1), (639, 63), (9999, 64)])
def test_the_window(budget: int, tokens: int) -> None:
    assert landing.window(budget) == tokens


@pytest.mark.parametrize("burst", [1, 3, 50])
def test_it_lands_at_the_first_end_within_the_window(burst: int) -> None:
    text = "so it goes. "  # a full stop at 11, 23, 35 ... and 95 is the first from 90 on
    trace = ask(reciting(text), Budget(cap=100, landing=True), burst=burst)
    assert (trace.usage.think, trace.finish) == (95, Finish.CAP)
    assert trace.thought.startswith(text * 7 + "so it goes.\n\nTime is up.")
    (event,) = trace.budget_events
    assert (event.change, event.at) == (BudgetChange.LANDED, 95)
    assert event.figures == {"budget": 100, "window": 10, "left": 5}


@pytest.mark.parametrize("burst", [1, 50])
def test_without_a_sentence_the_cut_is_exact(burst: int) -> None:
    trace = ask(reciting("3.14159,"), Budget(cap=100, landing=True), burst=burst)
    assert (trace.usage.think, trace.finish, trace.budget_events) == (100, Finish.CAP, ())


def test_switched_off_it_cuts_in_the_middle_of_a_sentence() -> None:
    assert ask(reciting("so it goes. "), Budget(cap=100)).usage.think == 100


def test_it_never_lands_below_the_floor() -> None:
    trace = ask(reciting("so it goes. "), Budget(cap=100, floor=98, landing=True))
    assert trace.usage.think == 100


def test_the_room_in_the_context_is_landed_in_as_well() -> None:
    trace = ask(reciting("so it goes. "), Budget(landing=True), n_ctx=400)
    assert trace.finish is Finish.CONTEXT
    assert [e.change for e in trace.budget_events] == [BudgetChange.LANDED]
    assert trace.thought.split("\n\nTime is up.")[0].endswith("so it goes.")


@settings(max_examples=200, deadline=None)
@given(adversaries, st.integers(1, 150), st.integers(1, 5))
def test_landing_only_shortens_and_by_no_more_than_the_window(
    adversary: Adversary, cap: int, burst: int
) -> None:
    exact = ask(adversary, Budget(cap=cap), n_ctx=500, burst=burst)
    soft = ask(adversary, Budget(cap=cap, landing=True), n_ctx=500, burst=burst)
    landed = [e for e in soft.budget_events if e.change is BudgetChange.LANDED]
    if landed:
        assert cap - landing.window(cap) <= soft.usage.think < cap
        assert soft.finish is Finish.CAP
        assert soft.tokens[: soft.usage.think] == exact.tokens[: soft.usage.think]
    else:
        assert (soft.tokens, soft.finish) == (exact.tokens, exact.finish)
