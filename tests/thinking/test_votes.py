"""Votes: what stops early equals the full vote, and no order of finishing matters."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import product
from random import Random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ponder.thinking.votes import (
    Ballot,
    Live,
    Result,
    Rules,
    Stop,
    leader_probability,
    vote,
)

LOSSLESS = Rules(beta=None)
NEVER = Rules(lossless=False, beta=None)

# Thirds and tenths: sums of floats that depend on their order.
WEIGHTS = st.sampled_from([0.0, 0.1, 0.2, 0.3, 1 / 3, 0.5, 0.7, 1.0])
LENGTHS = st.integers(0, 3)


@st.composite
def elections(draw: st.DrawFn, most: int = 8, live: int = 3) -> tuple[list[Ballot], list[Live]]:
    """Finished and live traces of one question, few lengths and groups, so that ties are common."""
    numbers = list(range(draw(st.integers(0, most))))
    draw(st.randoms(use_true_random=False)).shuffle(numbers)
    alive = draw(st.integers(0, min(live, len(numbers))))
    even = draw(st.booleans())
    return (
        [
            Ballot(
                number,
                draw(st.none() | st.integers(0, 2)),
                draw(LENGTHS),
                1.0 if even else draw(WEIGHTS),
            )
            for number in numbers[alive:]
        ],
        [Live(number, draw(LENGTHS)) for number in numbers[:alive]],
    )


def group(result: Result) -> int | None:
    return None if result.winner is None else result.winner.group


def completions(live: list[Live], weights: tuple[float, ...]) -> list[tuple[Ballot, ...]]:
    """All that the live traces can still say: old answers, new ones, none; soon or later."""
    groups = (None, 0, 1, 2, 3)
    each = [
        [
            Ballot(trace.trace, answer, trace.length + more, weight)
            for answer in groups
            for more in (0, 2)
            for weight in weights
        ]
        for trace in live
    ]
    return list(product(*each))


@given(elections(live=2))
def test_lossless_stops_exactly_when_no_completion_changes_the_winner(
    election: tuple[list[Ballot], list[Live]],
) -> None:
    ballots, live = election
    now = vote(ballots, live, LOSSLESS)
    winners = {
        group(vote([*ballots, *rest], [], NEVER)) for rest in completions(live, (0.0, 0.4, 1.0))
    }
    if now.stop in (Stop.LOSSLESS, Stop.ALL):
        assert winners == {group(now)}
    elif now.winner is not None:
        assert winners != {group(now)}


@given(elections(most=12, live=5), st.data())
def test_a_lossless_stop_gives_what_the_full_vote_gives(
    election: tuple[list[Ballot], list[Live]], data: st.DataObject
) -> None:
    ballots, live = election
    now = vote(ballots, live, LOSSLESS)
    rest = [
        Ballot(
            trace.trace,
            data.draw(st.none() | st.integers(0, 4)),
            trace.length + data.draw(LENGTHS),
            data.draw(WEIGHTS),
        )
        for trace in live
    ]
    if now.stop is Stop.LOSSLESS:
        assert group(vote([*ballots, *rest], [], NEVER)) == group(now)


@given(elections(most=12, live=0))
def test_once_lossless_always_lossless(election: tuple[list[Ballot], list[Live]]) -> None:
    """A whole election, trace by trace: from the stop on, nothing changes."""
    ballots, _ = election
    stopped = None
    for finished in range(len(ballots) + 1):
        live = [Live(b.trace, min(b.length, finished)) for b in ballots[finished:]]
        now = vote(ballots[:finished], live, LOSSLESS)
        if stopped is not None:
            assert now.stop in (Stop.LOSSLESS, Stop.ALL)
            assert group(now) == stopped
        elif now.stop is Stop.LOSSLESS:
            stopped = group(now)


@given(
    elections(),
    st.sampled_from([Rules(), LOSSLESS, Rules(short=2), Rules(short=3, lossless=False)]),
    st.randoms(use_true_random=False),
)
def test_the_order_of_finishing_does_not_matter(
    election: tuple[list[Ballot], list[Live]], rules: Rules, random: Random
) -> None:
    ballots, live = election
    shuffled, others = list(ballots), list(live)
    random.shuffle(shuffled)
    random.shuffle(others)
    assert vote(shuffled, others, rules) == vote(ballots, live, rules)


@given(elections(), st.permutations(range(3)))
def test_the_numbers_of_groups_do_not_matter(
    election: tuple[list[Ballot], list[Live]], names: list[int]
) -> None:
    ballots, live = election
    renamed = [
        Ballot(b.trace, None if b.group is None else names[b.group], b.length, b.weight)
        for b in ballots
    ]
    was, now = vote(ballots, live), vote(renamed, live)
    assert [names[standing.group] for standing in was.standings] == [
        standing.group for standing in now.standings
    ]
    assert was.stop is now.stop


@given(elections())
def test_every_answer_is_kept_and_counted_once(
    election: tuple[list[Ballot], list[Live]],
) -> None:
    ballots, live = election
    result = vote(ballots, live)
    counted = [trace for standing in result.standings for trace in standing.traces]
    assert sorted(counted) == sorted(b.trace for b in ballots if b.group is not None)
    total = sum((Fraction(b.weight) for b in ballots if b.group is not None), Fraction())
    assert sum(standing.weight for standing in result.standings) == total
    weights = [standing.weight for standing in result.standings]
    assert weights == sorted(weights, reverse=True)


@given(elections(), st.integers(0, 5), WEIGHTS)
def test_a_vote_for_the_leader_keeps_it_ahead(
    election: tuple[list[Ballot], list[Live]], length: int, weight: float
) -> None:
    ballots, live = election
    before = vote(ballots, live)
    assume(before.winner is not None)
    after = vote([*ballots, Ballot(99, group(before), length, weight)], live)
    assert group(after) == group(before)
    assert after.lead >= before.lead
    assert after.probability >= before.probability


def test_one_of_two_is_enough() -> None:
    """The other can only make a tie, and has thought longer."""
    assert vote([Ballot(0, 0, 10)], [Live(1, 11)]).stop is Stop.LOSSLESS
    assert vote([Ballot(1, 0, 10)], [Live(0, 10)]).stop is None
    assert vote([Ballot(0, 0, 10)], [Live(1, 9)]).stop is None


def test_ties_go_to_the_shortest_thinking() -> None:
    result = vote([Ballot(0, 0, 30), Ballot(1, 1, 20), Ballot(2, 0, 25), Ballot(3, 1, 40)], [])
    assert group(result) == 1
    assert [standing.group for standing in result.minority] == [0]
    assert result.minority[0].traces == (2, 0)


def test_confidence_can_outweigh_numbers() -> None:
    result = vote([Ballot(0, 0, 5, 0.2), Ballot(1, 0, 6, 0.2), Ballot(2, 1, 9, 0.9)], [])
    assert group(result) == 1
    assert result.probability < 0.5


def test_tenths_add_up() -> None:
    """0.1 + 0.2 is not 0.3, but three tenths of one sum are those of another."""
    ballots = [Ballot(0, 0, 5, 0.1), Ballot(1, 0, 6, 0.2), Ballot(2, 0, 7, 0.3)]
    mirrored = [Ballot(3, 1, 8, 0.3), Ballot(4, 1, 9, 0.2), Ballot(5, 1, 9, 0.1)]
    assert vote([*ballots, *mirrored], []).lead == 0


def test_beta_wants_four_of_four() -> None:
    live = [Live(number, 50) for number in range(10, 26)]
    three = [Ballot(number, 0, 10) for number in range(3)]
    assert vote(three, live).stop is None
    four = vote([*three, Ballot(3, 0, 12)], live)
    assert (four.stop, four.probability) == (Stop.BETA, 31 / 32)
    assert vote([*three, Ballot(3, 1, 12)], live).stop is None


def test_short_counts_the_first_that_finish() -> None:
    live = [Live(8, 40), Live(9, 40)]
    rules = Rules(short=3, beta=None)
    two = [Ballot(0, 0, 20), Ballot(1, 1, 30), Ballot(2, None, 10)]
    assert vote(two, live, rules).stop is None
    # Two more in one step: the third of the three is the shorter of them.
    four = vote([*two, Ballot(3, 1, 36), Ballot(4, 0, 35)], live, rules)
    assert four.stop is Stop.SHORT
    assert group(four) == 0
    assert {trace for standing in four.standings for trace in standing.traces} == {0, 1, 4}
    # All different: the shortest.
    assert group(vote([*two, Ballot(3, 2, 31)], live, rules)) == 0


def test_nobody_answered() -> None:
    nothing = vote([Ballot(0, None, 7)], [])
    assert (nothing.stop, nothing.winner, nothing.minority) == (Stop.ALL, None, ())
    assert vote([], [Live(0, 0)]).stop is None


@given(st.integers(0, 60), st.integers(0, 60))
def test_the_probability_is_the_integral_of_the_density(leader: int, second: int) -> None:
    steps = 4000
    points = [0.5 + 0.5 * i / steps for i in range(steps + 1)]

    def density(p: float) -> float:
        return p**leader * (1 - p) ** second

    simpson = sum(
        density(p) * (1 if i in (0, steps) else 4 if i % 2 else 2) for i, p in enumerate(points)
    ) * (0.5 / steps / 3)
    beta = math.exp(
        math.lgamma(leader + 1) + math.lgamma(second + 1) - math.lgamma(leader + second + 2)
    )
    assert leader_probability(leader, second) == pytest.approx(simpson / beta, abs=1e-9)


@given(st.integers(0, 300), st.integers(0, 300))
def test_the_probability_is_fair_and_monotone(leader: int, second: int) -> None:
    here = leader_probability(leader, second)
    assert here + leader_probability(second, leader) == pytest.approx(1)
    assert leader_probability(leader + 1, second) >= here
    assert leader_probability(leader, second + 1) <= here
    assert (here > 0.5) == (leader > second)


@pytest.mark.parametrize("weight", [-0.1, math.nan, math.inf])
def test_weights_that_mean_nothing(weight: float) -> None:
    with pytest.raises(ValueError, match="weigh"):
        Ballot(0, 0, 1, weight)


def test_votes_that_mean_nothing() -> None:
    with pytest.raises(ValueError, match="more than one vote"):
        vote([Ballot(0, 0, 1)], [Live(0, 1)])
    with pytest.raises(ValueError, match="weighs more than"):
        vote([Ballot(0, 0, 1, 1.5)], [])
    with pytest.raises(ValueError, match="cannot decide"):
        Rules(short=0)
    with pytest.raises(ValueError, match="not a probability"):
        Rules(beta=0.5)
    with pytest.raises(ValueError, match="not the weight"):
        Rules(heaviest=math.inf)
    with pytest.raises(ValueError, match="counted from zero"):
        leader_probability(-1, 0)
