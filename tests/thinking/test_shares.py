"""A pool against the same tokens split evenly: who comes to the end of its thought in which."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adversary import VOCAB, drive
from ponder.engines.replay import ReplayEngine, transcript
from ponder.events import Finished
from ponder.thinking.learned import Learned
from ponder.thinking.planning import Request
from ponder.thinking.pool import Pool, Terms
from ponder.thinking.protocol import resolve
from ponder.thinking.scheduler import Scheduler
from ponder.types import Budget, Finish, Sampling, Trace
from scripted import TAGGED

END, EOS = VOCAB.encode("</think>", special=True)[0], 257

RECORDED = (
    41,
    174,
    61,
    130,
    151,
    165,
    180,
    37,
    58,
    84,
    86,
    95,
    154,
    179,
    60,
    58,
    77,
    139,
    95,
    125,
    146,
    53,
    67,
    85,
    135,
    110,
    163,
    133,
    57,
    60,
    102,
    207,
    105,
    151,
    156,
    41,
    61,
    68,
    95,
    139,
    133,
    145,
    57,
    59,
    85,
    100,
    124,
    158,
    127,
    40,
    42,
    193,
    129,
    113,
    110,
    167,
    51,
    74,
    59,
    108,
    134,
    144,
    152,
    47,
    137,
    70,
    118,
    209,
    150,
    129,
    34,
    57,
    95,
    114,
    97,
    148,
    220,
    44,
    62,
    81,
    94,
    146,
    116,
    180,
    58,
    62,
    86,
    100,
    191,
    160,
    121,
    27,
    65,
    78,
    91,
    122,
    140,
    120,
    46,
    49,
)
"""Thinking tokens of ponder-tiny on generated questions of 2 to 8 operations, at its own
temperature, if it is let: what `ponder record` keeps."""
KNOWN, ASKED = RECORDED[::2], RECORDED[1::2]


def said(tokens: Sequence[int], prompt: int, seed: int) -> int:
    """Thinks as many tokens as its seed says, its end included, and answers."""
    return transcript([97] * (seed - 1), END, [*b"42", EOS])(tokens, prompt, seed)


def pooled(
    lengths: Sequence[int],
    tokens: int,
    even: bool = False,
    known: Sequence[int] = (),
    width: int = 4,
    burst: int = 1,
) -> list[Trace]:
    """Traces of questions that share so many tokens, in the order of asking."""
    learned = Learned()
    for length in known:
        learned.thinking.observe(length, ended=True)
    engine = ReplayEngine(VOCAB, said, n_ctx=1000, n_seqs=2 * width, burst=burst)
    scheduler = Scheduler(engine, resolve(TAGGED, VOCAB), learned)
    scheduler.share(Terms(tokens=tokens, width=width, even=even), 0.0)
    budget = Budget(max_answer=8, answer_reserve=64, loops=False)
    scheduler.submit_together(
        [
            Request(at, (256, 120), budget, Sampling(seed=length))
            for at, length in enumerate(lengths)
        ],
        0.0,
    )
    done = {e.question: e.trace for e in drive(engine, scheduler) if isinstance(e, Finished)}
    assert sum(trace.usage.think for trace in done.values()) <= tokens
    assert all(trace.answer for trace in done.values())
    assert scheduler.ledger.free == engine.capacity
    return [done[at] for at in range(len(lengths))]


def closed(traces: Sequence[Trace]) -> int:
    return sum(trace.finish is Finish.CLOSED for trace in traces)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 200), min_size=1, max_size=9),
    st.integers(0, 1000),
    st.lists(st.integers(1, 200), max_size=30),
    st.integers(1, 4),
    st.integers(1, 3),
)
def test_with_even_shares_nobody_thinks_less_than_in_an_even_split(
    lengths: list[int], tokens: int, known: list[int], width: int, burst: int
) -> None:
    share = tokens // len(lengths)
    for length, trace in zip(
        lengths, pooled(lengths, tokens, True, known, width, burst), strict=True
    ):
        assert trace.usage.think >= min(length, share)
        # Whoever comes to its end in an even split comes to it here.
        assert length > share or trace.finish is Finish.CLOSED


@settings(max_examples=100, deadline=None)
@given(
    st.integers(0, 500),
    st.lists(st.tuples(st.integers(0, 4), st.integers(-5, 200)), max_size=40),
)
def test_what_is_kept_for_one_is_not_dealt_to_another(
    tokens: int, deals: list[tuple[int, int]]
) -> None:
    pool, dealt = Pool(tokens, even=True), dict.fromkeys(range(5), 0)
    for owner in range(5):
        pool.join(owner)
    share = tokens // 5
    assert pool.share == share
    for owner, amount in deals:
        if owner not in dealt:
            continue
        if amount < 0:
            pool.settle(owner, dealt.pop(owner) // 2)
        else:
            dealt[owner] += pool.deal(owner, amount)
        assert sum(max(0, share - there) for there in dealt.values()) <= pool.left <= tokens
        for one, there in dealt.items():
            assert pool.left_for(one) >= max(0, share - there)
            assert pool.holds(one) == max(share, there)


@pytest.mark.parametrize("share", [0.1, 0.25, 0.4, 0.7, 1.0])
@pytest.mark.parametrize("even", [False, True])
def test_on_recorded_lengths_a_pool_closes_as_many_as_an_even_split(
    share: float, even: bool
) -> None:
    tokens = round(share * sum(ASKED))
    split = sum(length <= tokens // len(ASKED) for length in ASKED)
    found = closed(pooled(ASKED, tokens, even, KNOWN))
    assert found >= split
    if not even and share < 0.5:
        # Tokens that end a tenth of all thoughts do not end one if they are spread thinly.
        assert found > 3 * split


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
def test_lengths_that_are_not_known_cost_no_more_than_a_few_ends(share: float) -> None:
    """Learned from thoughts of a third of the length: all go past the last known one."""
    tokens = round(share * sum(ASKED))
    split = sum(length <= tokens // len(ASKED) for length in ASKED)
    found = pooled(ASKED, tokens, known=[length // 3 for length in KNOWN])
    assert closed(found) >= split
