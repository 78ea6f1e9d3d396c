"""Decisions in words: each with its figures and units, and none that could not be told."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ponder.explaining import account, trail, words
from ponder.types import BudgetChange as Change
from ponder.types import BudgetEvent, Finish, Usage

DEADLINE = {
    "seconds": 30.0, "seconds_left": 28.0, "tokens": 900, "answer_tokens": 64,
    "seconds_a_step": 0.0312, "seconds_to_read": 0.25, "seconds_to_answer": 2.1,
}  # fmt: skip
AGREED = {"lead": 3, "live": 2, "beta": 0.984, "votes": 4, "second": 1, "finished": 5}
DROPPED = {"pool": 4000, "left": 300, "needed": 400, "thinking": 4, "confidence": 0.61}
SETTLED = {"entropy": 0.3, "mean": 0.31, "variance": 0.004, "below": 0.01, "looks": 20}


@pytest.mark.parametrize(
    ("change", "figures", "told"),
    [
        (Change.ANSWER_NOW, {}, "the answer was asked for"),
        (Change.EXTEND, {}, "more was asked for, and the context had no room for it"),
        (Change.WAIT, {}, 'its next end is to become "Wait", as was asked'),
        (
            Change.WITHDRAWN,
            {"floor": 1200, "stalled": 0},
            'its end was withdrawn and became "Wait": the floor is 1,200 tokens',
        ),
        (
            Change.WITHDRAWN,
            {"floor": 1200, "stalled": 3},
            'its end was withdrawn and became "Wait": the floor is 1,200 tokens; '
            "3 before it brought no thought",
        ),
        (
            Change.WITHDRAWN,
            {"asked": 1},
            'its end was withdrawn and became "Wait", as was asked',
        ),
        (
            Change.UNTHINKING,
            {"tokens": 6, "smallest": 8},
            "6 tokens are too few to think with, 8 the least",
        ),
        (
            Change.DEADLINE,
            {"seconds": 30.0, "seconds_left": 29.0},
            "29 s left of 30 s: how fast it thinks here is not known yet",
        ),
        (
            Change.DEADLINE,
            DEADLINE,
            "28 s left of 30 s: up to 900 tokens of thinking, at 31.2 ms a step and 250 ms of "
            "reading; 2.1 s are kept for an answer of 64 tokens",
        ),
        (
            Change.LATE,
            {"seconds_left": -0.012},
            "the time for thinking was over: the answer had to begin, 12 ms ago",
        ),
        (
            Change.LANDED,
            {"budget": 137, "window": 13, "left": 9},
            "landed at a sentence's end, 9 tokens before the budget of 137: "
            "one in the last 13 will do",
        ),
        (
            Change.LANDED,
            {"budget": 300, "window": 13, "left": 9},
            "landed at a sentence's end, 9 tokens before the context's end: "
            "one in the last 13 will do",
        ),
        (
            Change.LANDED,
            {"seconds_left": 0.2, "seconds_of_window": 0.5},
            "landed at a sentence's end, 200 ms before the answer must begin: "
            "one in the last 500 ms will do",
        ),
        (
            Change.LOOP,
            {"period": 39, "times": 5, "tokens": 195},
            "it said the same 39 tokens 5 times in a row: 195 tokens in all",
        ),
        (
            Change.CONVERGED,
            {"margin": 0.81, "at_most": 1.0},
            "converged: the end of thinking was 0.81 logits from the likeliest token, 1 at most",
        ),
        (
            Change.CONVERGED,
            SETTLED,
            "converged: the entropy of what follows had settled in 20 looks: "
            "variance 0.004, below 0.01; mean 0.31 nats",
        ),
        (
            Change.CONVERGED,
            {"agreed": 3, "since": 96, "confidence": 0.87},
            "converged: 3 trial answers in a row were the same, since token 96, "
            "the last one 87.0% sure",
        ),
        (
            Change.CONVERGED,
            {"confidence": 0.971, "at_least": 0.95},
            "converged: it was 97.1% sure of its trial answer, 95.0% at least",
        ),
        (
            Change.AGREED,
            AGREED,
            "the vote was decided without it: 4 votes to 1, at most 2 still to come; "
            "the majority's choice with probability 0.984",
        ),
        (
            Change.DROPPED,
            DROPPED,
            "dropped: the pool of its question was short: 300 tokens left, and its 4 traces need "
            "400; it was 61.0% sure of its words",
        ),
        (
            Change.GRANTED,
            {"index": 0.0042, "tokens": 32, "pool_left": 900},
            "dealt 32 tokens of the pool; it promises 0.42 ends in 100 tokens; 900 tokens left",
        ),
        (
            Change.RESUMED,
            {"index": 0.0042, "tokens": 1},
            "thinks on: dealt 1 token of the pool; it promises 0.42 ends in 100 tokens",
        ),
        (
            Change.PAUSED,
            {"index": 0.001, "best": 0.004, "pool_left": 0},
            "paused: others think in its place; it promises 0.1 ends in 100 tokens, "
            "the best of them 0.4 ends in 100 tokens; 0 tokens left",
        ),
        (
            Change.POOL,
            {"index": 0.001, "pool_left": 0},
            "the pool was spent; it promises 0.1 ends in 100 tokens; 0 tokens left",
        ),
        (
            Change.POOL,
            {"seconds_left": 3.0, "seconds_to_answer": 3.1},
            "the time of all was over: 3.0 s left, and the answers that were missing take 3.1 s",
        ),
        (Change.POOL, {"pool": 4000, "left": 0}, "the pool of 4,000 tokens was spent"),
        (Change.LED, {"answer_tokens": 40}, "no answer had come: it was led to one"),
        (
            Change.LED,
            {"answer_tokens": 4, "seconds_left": 0.2},
            "no answer had come: it was led to one, in time for its deadline",
        ),
        (
            Change.REFUSED,
            {"seconds_left": 1.0, "seconds_needed": 2.0},
            "not asked: not even an answer would have been there in time: 1.0 s left, and the "
            "shortest answer takes 2.0 s",
        ),
    ],
)
def test_a_decision_is_told_with_its_figures(
    change: Change, figures: dict[str, float], told: str
) -> None:
    assert words(BudgetEvent(change, 128, figures=figures)) == told


def test_what_was_granted_is_told() -> None:
    granted = words(BudgetEvent(Change.EXTEND, 5, tokens=512))
    assert granted == "512 tokens more were granted, as was asked"


OTHERS = [
    *("floor", "stalled", "asked", "smallest", "budget", "window", "seconds_of_window", "period"),
    *("times", "margin", "at_most", "agreed", "since", "at_least", "index", "best", "pool_left"),
    "seconds_needed",
]
NAMES = sorted({*DEADLINE, *AGREED, *DROPPED, *SETTLED, *OTHERS})


@given(
    st.sampled_from(Change), st.dictionaries(st.sampled_from(NAMES), st.floats() | st.integers())
)
def test_whatever_was_kept_can_be_told(change: Change, figures: dict[str, float]) -> None:
    assert words(BudgetEvent(change, 1, figures=figures)).strip()


@pytest.mark.parametrize("finish", Finish)
def test_why_the_thinking_is_over_is_told_once(finish: Finish) -> None:
    wait, landed = BudgetEvent(Change.WAIT, 1), BudgetEvent(Change.LANDED, 1_128)
    (place, _), (end, why) = trail((wait,), finish)
    assert (place, end) == ("at 1", "end")
    assert why
    assert [place for place, _ in trail((wait, landed), finish)] == ["at 1", "at 1,128"]


def test_that_it_was_led_to_an_answer_is_no_end_of_its_thinking() -> None:
    led = BudgetEvent(Change.LED, 40)
    assert [place for place, _ in trail((led,), Finish.CLOSED)] == ["end", "at 40"]
    landed = BudgetEvent(Change.LANDED, 40)
    assert [place for place, _ in trail((landed, led), Finish.CAP)] == ["at 40", "at 40"]


def test_while_it_thinks_there_is_no_end_yet() -> None:
    assert trail((), None) == []


@given(st.lists(st.integers(0, 10**6), min_size=5, max_size=5))
def test_the_account_names_every_token(counts: list[int]) -> None:
    names = ("think", "forced", "probe", "answer", "wasted")
    usage = replace(
        Usage(prefill_seconds=0.05, think_seconds=1.5, seconds=2.0),
        **dict(zip(names, counts, strict=True)),
    )
    told = account(usage)
    tokens, _, time = told.removeprefix("tokens: ").partition("; time: ")
    spent = [part.rsplit(" ", 1) for part in tokens.split(" · ")]
    assert [(name, int(count.replace(",", ""))) for name, count in spent] == [
        *zip(names, counts, strict=True)
    ]
    assert time == "prompt 50 ms · thinking 1.5 s · all 2.0 s"
