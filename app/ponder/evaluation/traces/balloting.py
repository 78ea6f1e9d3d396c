"""Traces of one question that vote, out of the bank: who wins, and when the rest is dropped.

Knows verdicts and `ponder.thinking.votes`, the very code that counts ballots while traces run. All
of a vote's traces are taken to go on side by side, a token each in a step, so that one is finished
when as many steps have gone by as it has tokens. A trace that is dropped is charged with what it
had sampled until then. The prompt, which they share, is no policy's cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ponder.evaluation.traces.judging import Judged
from ponder.thinking.votes import Ballot, Live, Rules, Stop, vote


@dataclass(frozen=True, slots=True)
class Elected:
    """What a vote came to; all figures in tokens."""

    right: bool
    think: int
    """Of all traces, dropped ones included."""
    total: int
    """The same, and their answers."""
    steps: int
    """Until it was decided: what a vote takes in time, where a step takes as long for all."""
    dropped: int
    """Traces that did not finish."""
    stop: Stop | None
    """Why it was over."""


def elect(traces: Sequence[Judged], rules: Rules, weigh: bool = False) -> Elected:
    """Let traces of one question vote.

    Args:
        traces: at least one.
        rules: when it is decided.
        weigh: whether a ballot weighs what its trace's confidence is; else each weighs 1.
    """
    lengths = [len(judged.trace.tokens) for judged in traces]
    for step in sorted(set(lengths)):
        running = [at for at, length in enumerate(lengths) if length > step]
        ballots = [
            Ballot(at, judged.group, judged.trace.think, _weight(judged, weigh))
            for at, judged in enumerate(traces)
            if lengths[at] <= step
        ]
        live = [Live(at, min(step, traces[at].trace.think)) for at in running]
        result = vote(ballots, live, rules)
        if result.stop is not None:
            winner = result.winner
            return Elected(
                winner is not None and traces[winner.traces[0]].natural.right,
                sum(min(step, judged.trace.think) for judged in traces),
                sum(
                    judged.trace.spent if length <= step else step
                    for judged, length in zip(traces, lengths, strict=True)
                ),
                step,
                len(running),
                result.stop,
            )
    raise ValueError("nobody voted")


def parties(traces: Sequence[Judged], k: int) -> list[Sequence[Judged]]:
    """Traces of one question in groups of k, none of them in two; what is left over is left out."""
    return [traces[at : at + k] for at in range(0, len(traces) - k + 1, k)]


def _weight(judged: Judged, weigh: bool) -> float:
    confidence = judged.trace.confidence if weigh else None
    return 1.0 if confidence is None else confidence
