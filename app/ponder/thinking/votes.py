"""Which answer wins among parallel traces, and when the rest need not finish.

Knows ballots: which group of equal answers a finished trace is in, what its word weighs, how
long it thought. Refuses to know what an answer says and how equality is decided: groups come
in as numbers. Pure, and exact: weights are summed as fractions, so that no order of finishing
changes a result.

Sources of the rules:
- majority: Wang et al., Self-Consistency (arXiv:2203.11171); weighted by confidence: Fu et
  al., DeepConf (arXiv:2508.15260).
- Beta: Aggarwal et al., Adaptive-Consistency (arXiv:2305.11860), the stopping criterion "beta".
- short-m@k: Hassid et al. (arXiv:2505.17813): the first m that finish decide, ties go to the
  shortest.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Ballot:
    """The vote of a finished trace."""

    trace: int
    """Its number among the traces of its question; settles what nothing else does."""
    group: int | None
    """The group of equal answers that it is in; None if it gave no answer."""
    length: int
    """Its thinking tokens."""
    weight: float = 1.0
    """What its word weighs: its confidence, or 1 where every trace has one vote."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.weight) and self.weight >= 0):
            raise ValueError(f"a ballot cannot weigh {self.weight}")


@dataclass(frozen=True, slots=True)
class Live:
    """A trace that may still vote."""

    trace: int
    length: int
    """Its thinking tokens so far."""


@dataclass(frozen=True, slots=True)
class Rules:
    """When voting may stop before every trace has finished."""

    lossless: bool = True
    """Stop when no ballot still to come can change the winner."""
    beta: float | None = 0.95
    """Stop when the leader is the majority's choice with this probability; None: never."""
    short: int | None = None
    """Stop when so many traces have answered, and count no others; None: never."""
    heaviest: float = 1.0
    """No ballot weighs more. A bound that is kept, not an estimate: `lossless` rests on it."""

    def __post_init__(self) -> None:
        if self.beta is not None and not 0.5 < self.beta <= 1:
            raise ValueError(f"{self.beta} is not a probability above one half")
        if self.short is not None and self.short < 1:
            raise ValueError(f"{self.short} traces cannot decide")
        if not (math.isfinite(self.heaviest) and self.heaviest > 0):
            raise ValueError(f"{self.heaviest} is not the weight of a ballot")


class Stop(Enum):
    """Why voting may stop."""

    ALL = "all"
    """Nobody is left."""
    LOSSLESS = "lossless"
    """The ballots still to come cannot change the winner."""
    BETA = "beta"
    """The leader is the majority's choice, as far as the ballots tell."""
    SHORT = "short"
    """As many as are wanted have answered."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How one group of equal answers does."""

    group: int
    weight: Fraction
    traces: tuple[int, ...]
    """Who is in it, shortest thinking first."""
    shortest: int
    """The length of the first of them."""

    @property
    def votes(self) -> int:
        """How many traces are in it, whatever they weigh."""
        return len(self.traces)


@dataclass(frozen=True, slots=True)
class Result:
    """The vote so far, and whether it may stop here; all figures that this rests on."""

    standings: tuple[Standing, ...]
    """Best first."""
    stop: Stop | None
    """The first rule that allows it; None: the live traces are still wanted."""
    lead: Fraction
    """How far the first is ahead of the second, in weight."""
    pending: Fraction
    """What the live traces can weigh at most."""
    probability: float
    """That the leader is the majority's choice; `leader_probability` of the first two."""

    @property
    def winner(self) -> Standing | None:
        """Who leads; None before anybody has answered."""
        return self.standings[0] if self.standings else None

    @property
    def minority(self) -> tuple[Standing, ...]:
        """All other groups, best first."""
        return self.standings[1:]


def vote(ballots: Iterable[Ballot], live: Sequence[Live], rules: Rules | None = None) -> Result:
    """Count the ballots, and tell whether the live traces are still needed.

    The heaviest group wins; of equal ones that of the shortest thinking; of equally long ones
    that of the lowest trace number. The order of ballots does not matter. Groups are taken as
    final: an answer that later proves two of them equal changes the vote.

    Raises:
        ValueError: a trace votes twice, or votes and is live; a ballot above `heaviest`.
    """
    rules = rules or Rules()
    cast = sorted(ballots, key=lambda ballot: (ballot.length, ballot.trace))
    numbers = [ballot.trace for ballot in cast] + [trace.trace for trace in live]
    if len(set(numbers)) != len(numbers):
        raise ValueError("a trace has more than one vote")
    if any(ballot.weight > rules.heaviest for ballot in cast):
        raise ValueError(f"a ballot weighs more than {rules.heaviest}")
    answered = [ballot for ballot in cast if ballot.group is not None]
    standings = _standings(answered)
    pending = len(live) * Fraction(rules.heaviest)
    stop = _stop(standings, live, pending, rules, len(answered))
    if stop is Stop.SHORT:
        # Traces that finished in the same step as the last one wanted do not count.
        standings = _standings(answered[: rules.short])
    return Result(standings, stop, _lead(standings), pending, _probability(standings))


def leader_probability(leader: int, second: int) -> float:
    """Return the probability that the first of two answers is the likelier one.

    With `leader` and `second` votes seen and a uniform prior on the leader's share p of the
    votes for these two, p ~ Beta(1 + leader, 1 + second), and

        P(p > 1/2) = sum_{j=0}^{a} C(n, j) / 2^n,   a = leader, n = leader + second + 1

    which is the regularized incomplete beta function at one half for whole parameters (DLMF
    8.17.5). Adaptive-Consistency (arXiv:2305.11860) integrates the same density numerically.
    Exact until the division, in integers.
    """
    if leader < 0 or second < 0:
        raise ValueError("votes are counted from zero")
    n = leader + second + 1
    return sum(math.comb(n, j) for j in range(leader + 1)) / (1 << n)


def _standings(answered: Sequence[Ballot]) -> tuple[Standing, ...]:
    """Count ballots that are sorted by length."""
    groups: dict[int, list[Ballot]] = {}
    for ballot in answered:
        if ballot.group is not None:
            groups.setdefault(ballot.group, []).append(ballot)
    return tuple(
        sorted(
            (
                Standing(
                    group,
                    sum((Fraction(ballot.weight) for ballot in members), Fraction()),
                    tuple(ballot.trace for ballot in members),
                    members[0].length,
                )
                for group, members in groups.items()
            ),
            key=lambda standing: (-standing.weight, *_haste(standing)),
        )
    )


def _haste(standing: Standing) -> tuple[int, int]:
    """What settles a tie: the smaller one wins."""
    return standing.shortest, standing.traces[0]


def _lead(standings: Sequence[Standing]) -> Fraction:
    if not standings:
        return Fraction()
    return standings[0].weight - (standings[1].weight if len(standings) > 1 else 0)


def _probability(standings: Sequence[Standing]) -> float:
    """Of the leader by weight, in votes: confidence is no number of observations."""
    if not standings:
        return 0.0
    rivals = (standing.votes for standing in standings[1:])
    return leader_probability(standings[0].votes, max(rivals, default=0))


def _stop(
    standings: Sequence[Standing],
    live: Sequence[Live],
    pending: Fraction,
    rules: Rules,
    answered: int,
) -> Stop | None:
    if not live:
        return Stop.ALL
    if rules.lossless and _settled(standings, live, pending):
        return Stop.LOSSLESS
    if rules.beta is not None and _probability(standings) >= rules.beta:
        return Stop.BETA
    if rules.short is not None and answered >= rules.short:
        return Stop.SHORT
    return None


def _settled(standings: Sequence[Standing], live: Sequence[Live], pending: Fraction) -> bool:
    """Whether the first stays first however the live traces vote.

    The worst that can happen is that all of them go to one rival, old or new, at full weight.
    If that makes a tie, the leader needs the shortest thinking of all; a live trace can only
    grow longer than it is.
    """
    if not standings:
        return False
    leader, *rivals = standings
    lead = _lead(standings)
    if lead != pending:
        return lead > pending
    equals = [_haste(rival) for rival in rivals if rival.weight == rivals[0].weight]
    return all(_haste(leader) < other for other in (*equals, *((t.length, t.trace) for t in live)))
