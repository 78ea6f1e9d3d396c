"""Replay and its oracles: what holds for every bank, and worked examples."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.traces.banks import FORCED, one, recordings, trace
from ponder.evaluation.traces import oracle
from ponder.evaluation.traces.form import Recorded
from ponder.evaluation.traces.replaying import Outcome, cut, natural, obeying, stopped
from ponder.thinking.stopping import Confident, Converged, Look, Margin, Need, Rule
from ponder.types import Figures


@dataclass(frozen=True)
class Never:
    """A rule that never fires, whatever it asks to see."""

    needs: Need
    every: int = 1

    def begin(self) -> Never:
        return self

    def see(self, look: Look) -> Figures | None:
        return None


@dataclass(frozen=True)
class AtLook:
    """A rule that fires at one of its looks, by number."""

    number: int
    needs: Need = "margin"
    every: int = 1

    def begin(self) -> _Counting:
        return _Counting(self.number)


@dataclass
class _Counting:
    left: int

    def see(self, look: Look) -> Figures | None:
        self.left -= 1
        return {} if self.left < 0 else None


@given(recordings(), st.sampled_from(["margin", "entropy", "answer"]), st.integers(1, 50))
def test_a_rule_that_never_fires_costs_its_looks_and_changes_nothing(
    recorded: Recorded, needs: Need, every: int
) -> None:
    judged = one(recorded)
    found, alone = obeying(Never(needs, every))(judged), natural(judged)
    assert (found.right, found.think, found.answer, found.at) == (
        alone.right, alone.think, alone.answer, None,
    )  # fmt: skip
    assert alone.total == recorded.spent
    places = [0]
    for sight in recorded.sights:
        if sight.think - places[-1] >= every:
            places.append(sight.think)
    each = {"margin": 0, "entropy": 4, "answer": FORCED + 2}[needs]
    assert found.probe == each * (len(places) - 1)


@given(recordings(), st.integers(0, 12))
def test_a_rule_stops_at_a_prefix_of_the_trace(recorded: Recorded, number: int) -> None:
    judged = one(recorded)
    found = obeying(AtLook(number))(judged)
    if number < len(recorded.sights):
        assert found == stopped(judged, number, probe=1)
        assert found.think == recorded.sights[number].think < recorded.think
        assert found.answer == recorded.sights[number].trial.tokens
    else:
        assert found == natural(judged)


@given(recordings())
def test_cuts_are_prefixes_that_grow_with_the_cap(recorded: Recorded) -> None:
    judged = one(recorded)
    caps = [sight.think for sight in recorded.sights]
    thoughts = [cut(cap)(judged).think for cap in caps]
    assert thoughts == caps
    assert cut(recorded.think)(judged) == natural(judged)
    assert [cut(cap, bare=True)(judged).think for cap in caps] == caps


@given(recordings())
def test_oracles_lose_nothing_and_bound_every_rule(recorded: Recorded) -> None:
    judged = one(recorded)
    alone = natural(judged)
    loose, right, final = (o(judged) for o in (oracle.loose, oracle.right, oracle.final))
    assert loose.total <= min(right.total, final.total) and final.total <= right.total
    assert right.right == final.right == alone.right
    assert loose.right >= alone.right
    rules: list[Rule] = [
        *(AtLook(number, needs) for number in range(13) for needs in ("margin", "answer")),
        *(Margin(m / 10, every=e) for m, e in itertools.product(range(11), (1, 16))),
        *(Converged(times, every=8) for times in (2, 3)),
        Confident(0.7, every=8),
    ]
    for rule in rules:
        found = obeying(rule)(judged)
        if found.right >= alone.right:
            assert found.total >= loose.total


def test_oracles_by_hand() -> None:
    judged = one(trace(["8", "7", "9", "7", "7", "7"], "7", gap=40))
    assert oracle.right(judged) == Outcome(True, 160, 0, FORCED + 2, 3)
    assert oracle.final(judged) == oracle.right(judged)
    assert oracle.loose(judged).think == 80
    wrong = one(trace(["8", "7", "9", "9", "9.0"], "9", gap=40))
    assert oracle.right(wrong) == natural(wrong)
    assert oracle.final(wrong).think == 120
    assert oracle.loose(wrong).think == 40
    # Where an early end costs more than it saves, nobody stops.
    short = one(trace(["7"], "7", gap=8, rest=1, answer_tokens=3))
    assert oracle.right(short) == natural(short)


def test_confidence_and_convergence_by_hand() -> None:
    judged = one(trace(["8", "7", "7", "7"], gap=20, confidences=[0.99, 0.5, 0.9, 0.99]))
    looks = FORCED + 2
    assert obeying(Confident(0.95, every=1))(judged) == Outcome(False, 20, looks, looks, 0)
    assert obeying(Confident(0.95, every=30))(judged) == Outcome(True, 80, 2 * looks, looks, 3)
    assert obeying(Converged(2, every=1))(judged) == Outcome(True, 60, 3 * looks, looks, 2)


def test_a_bare_cut_that_was_not_recorded_is_refused() -> None:
    judged = one(trace(["7"]))
    assert stopped(judged, 0, bare=True).right
    with pytest.raises(ValueError, match="bare"):
        from msgspec import structs

        sight = structs.replace(judged.trace.sights[0], bare=None)
        stopped(one(structs.replace(judged.trace, sights=(sight,))), 0, bare=True)
