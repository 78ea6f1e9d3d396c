"""Votes out of a bank: no trace counted twice, nothing lost where nothing may be."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from evaluation.traces.banks import questions, trace, verdicts
from ponder.evaluation.traces.balloting import elect, parties
from ponder.evaluation.traces.judging import Questions
from ponder.evaluation.traces.measuring import over, voted
from ponder.evaluation.traces.replaying import natural
from ponder.thinking.votes import Rules, Stop

ALL = Rules(lossless=False, beta=None)
LOSSLESS = Rules(beta=None)


@given(questions(seeds=5), st.integers(1, 3))
def test_a_lossless_stop_elects_whom_all_would_have(found: Questions, short: int) -> None:
    for traces in found:
        whole, early = elect(traces, ALL), elect(traces, LOSSLESS)
        assert whole.right == early.right
        assert whole.dropped == 0 and whole.stop is Stop.ALL
        assert whole.total == sum(judged.trace.spent for judged in traces)
        assert early.total <= whole.total and early.think <= whole.think
        assert early.steps <= whole.steps == max(len(judged.trace.tokens) for judged in traces)
        hasty = elect(traces, Rules(beta=0.95, short=short))
        assert hasty.total <= early.total


@given(questions(seeds=4))
def test_one_vote_is_the_natural_trace(found: Questions) -> None:
    alone, single = over("natural", found, natural), voted("1", found, 1, LOSSLESS)
    assert single is not None
    assert (alone.right == single.right).all() and (alone.total == single.total).all()
    assert voted("5", found, 5, LOSSLESS) is None
    assert [len(party) for party in parties(found[0], 2)] == [2, 2]
    assert [len(party) for party in parties(found[0], 3)] == [3]


def test_dropped_traces_are_charged_until_they_are_dropped() -> None:
    ((*traces,),) = verdicts(
        trace([], "7", seed=0, rest=10, answer_tokens=5),
        trace([], "7.0", seed=1, rest=20, answer_tokens=5),
        trace([], "8", seed=2, rest=90, answer_tokens=10),
    )
    found = elect(traces, LOSSLESS)
    assert (found.right, found.steps, found.dropped, found.stop) == (True, 25, 1, Stop.LOSSLESS)
    assert (found.think, found.total) == (10 + 20 + 25, 15 + 25 + 25)
    assert elect(traces, Rules(short=1)).steps == 15
