"""Tokens that several traces share: never exceeded, and who is dropped when they run short."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adversary import DIALECTS, VOCAB, Adversary, adversaries, budgets, drive
from ponder.dialect import Dialect
from ponder.engines.replay import ReplayEngine, Signal
from ponder.events import Event, Finished
from ponder.thinking.learned import Learned
from ponder.thinking.lengths import LengthModel
from ponder.thinking.planning import Request
from ponder.thinking.protocol import resolve
from ponder.thinking.purse import Purse
from ponder.thinking.scheduler import Scheduler
from ponder.types import AnswerEnd, Budget, BudgetChange, Finish, Sampling, Trace
from scripted import TAGGED

END, EOS = 261, 257

FREE = Budget()


def measured(*lengths: int) -> LengthModel:
    model = LengthModel()
    for tokens in lengths:
        model.observe(tokens, ended=True)
    return model


def thinks(tokens: Sequence[int], prompt: int, seed: int) -> int:
    """A trace thinks as many tokens as its seed says, and answers."""
    said = list(tokens[prompt:])
    if END not in said:
        return (
            END if len(said) >= seed else 97 + zlib.crc32(bytes([len(said) % 251, seed % 251])) % 26
        )
    after = said[len(said) - said[::-1].index(END) :]
    return EOS if b"42" in bytes(t for t in after if t < 256) else b"42"[b"4" in bytes(after)]


def sure(tokens: Sequence[int], prompt: int, seed: int) -> Signal:
    """The longer a trace is to think, the surer it is."""
    return Signal(logprob=-10.0 / seed)


def shared(
    purse: Purse,
    seeds: Sequence[int],
    budget: Budget = FREE,
    feeling: bool = False,
    burst: int = 1,
) -> list[Trace]:
    """The traces of one purse, by number."""
    engine = ReplayEngine(VOCAB, thinks, 2000, len(seeds), burst, feeling=sure if feeling else None)
    scheduler = Scheduler(engine, resolve(TAGGED, VOCAB), Learned())
    scheduler.submit_together(
        [
            Request(at, (256, 120), budget, Sampling(seed=seed), signals=feeling, purse=purse)
            for at, seed in enumerate(seeds)
        ]
    )
    events = drive(engine, scheduler)
    assert scheduler.ledger.free == engine.capacity
    assert not engine._seqs
    assert purse.members == []
    return traces(events)


def traces(events: Sequence[Event]) -> list[Trace]:
    ends = {event.question: event.trace for event in events if isinstance(event, Finished)}
    return [ends[number] for number in sorted(ends)]


def dropped(found: Sequence[Trace]) -> list[int]:
    return [at for at, trace in enumerate(found) if trace.answer_end is AnswerEnd.DROPPED]


@settings(max_examples=120, deadline=None)
@given(
    dialect=st.sampled_from(DIALECTS),
    adversary=adversaries,
    budget=budgets,
    tokens=st.integers(1, 900),
    count=st.integers(1, 5),
    burst=st.integers(1, 9),
    lengths=st.lists(st.integers(1, 300), max_size=30),
)
def test_whatever_the_model_does_the_purse_is_never_exceeded(
    dialect: Dialect,
    adversary: Adversary,
    budget: Budget,
    tokens: int,
    count: int,
    burst: int,
    lengths: list[int],
) -> None:
    engine = ReplayEngine(VOCAB, adversary, n_ctx=400, n_seqs=count, burst=burst)
    scheduler = Scheduler(engine, resolve(dialect, VOCAB))
    purse = Purse(tokens, measured(*lengths))
    scheduler.submit_together(
        [Request(at, (256, 120), budget, Sampling(seed=at), purse=purse) for at in range(count)]
    )
    found = traces(drive(engine, scheduler))
    assert len(found) == count
    assert sum(trace.usage.think for trace in found) <= tokens
    # Whoever was not dropped answered, and somebody did.
    kept = [trace for trace in found if trace.answer_end is not AnswerEnd.DROPPED]
    assert kept
    assert all(trace.answer for trace in kept)
    for trace in found:
        used = trace.usage
        assert len(trace.tokens) == used.think + used.forced + used.answer
    assert scheduler.ledger.free == engine.capacity
    assert not engine._seqs


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 200), min_size=1, max_size=6), st.integers(1, 1500))
def test_a_purse_with_room_for_all_changes_nothing(lengths: list[int], more: int) -> None:
    alone = [shared(Purse(10**6, LengthModel()), [length])[0] for length in lengths]
    enough = sum(length + 1 for length in lengths) + 256 * len(lengths) + more
    together = shared(Purse(enough, LengthModel()), lengths)
    assert [trace.tokens for trace in together] == [trace.tokens for trace in alone]
    assert dropped(together) == []


def test_as_many_begin_as_can_be_expected_to_end() -> None:
    """Half of all thoughts take a hundred tokens: 360 are enough for three of eight."""
    found = shared(Purse(360, measured(*[100] * 40)), [100] * 8)
    assert dropped(found) == [3, 4, 5, 6, 7]
    assert [trace.usage.think for trace in found] == [101, 101, 101, 0, 0, 0, 0, 0]
    for trace in found[3:]:
        (event,) = trace.budget_events
        assert (event.change, trace.finish) == (BudgetChange.DROPPED, Finish.CAP)
        assert event.figures["pool"] == event.figures["left"] == 360
        assert event.figures["needed"] > 360


def test_the_least_sure_is_dropped_first() -> None:
    """All are still thinking when the purse runs short: the order is that of their confidence."""
    found = shared(Purse(1300, LengthModel()), [400, 900, 300, 800], feeling=True)
    order = sorted(dropped(found), key=lambda at: found[at].usage.think)
    assert order == [2, 0, 3]
    assert found[1].usage.think + sum(found[at].usage.think for at in order) <= 1300
    event = found[2].budget_events[-1]
    assert event.figures["confidence"] == pytest.approx(found[2].confidence)


def test_one_that_goes_in_circles_is_dropped_before_all() -> None:
    def circles(tokens: Sequence[int], prompt: int, seed: int) -> int:
        loops = seed == 902 and END not in tokens[prompt:]
        return ord("x") if loops else thinks(tokens, prompt, seed)

    engine = ReplayEngine(VOCAB, circles, 2000, 3, feeling=sure)
    scheduler = Scheduler(engine, resolve(TAGGED, VOCAB))
    purse = Purse(1600, LengthModel())
    scheduler.submit_together(
        [
            Request(at, (256, 120), Budget(), Sampling(seed=seed), signals=True, purse=purse)
            for at, seed in enumerate((900, 901, 902))
        ]
    )
    found = traces(drive(engine, scheduler))
    # The surest of all, but for what it says.
    assert min(dropped(found), key=lambda at: found[at].usage.think) == 2


def test_without_signals_the_longest_goes_and_of_equals_the_last() -> None:
    found = shared(Purse(1000, LengthModel()), [900] * 3)
    assert sorted(dropped(found), key=lambda at: found[at].usage.think) == [2, 1]


def test_the_last_one_thinks_to_the_end_of_the_purse_and_answers() -> None:
    found = shared(Purse(700, LengthModel()), [900] * 3)
    assert sum(trace.usage.think for trace in found) == 700
    (last,) = [trace for trace in found if trace.answer_end is not AnswerEnd.DROPPED]
    assert last.finish is Finish.CAP
    assert last.answer == "42"
    assert last.budget_events[-1].change is BudgetChange.POOL


@pytest.mark.parametrize("tokens", [0, 50, 100, 5000])
def test_what_is_still_needed_is_what_half_of_those_that_came_so_far_need(tokens: int) -> None:
    lengths = [*range(10, 410, 4)]
    model = measured(*lengths)
    longer = sorted(length for length in lengths if length > tokens)
    if not longer:
        assert model.remaining(tokens) >= 0
        return
    median = longer[len(longer) // 2] - tokens
    assert model.remaining(tokens) == pytest.approx(median, rel=0.2, abs=10)
