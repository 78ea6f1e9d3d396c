"""A bank with a verdict on everything that its traces answered, on their way and in the end.

Knows which answers are right. Refuses to know policies: they are tried by the thousand, on
verdicts that were found once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ponder.equality import Comparer, read_answer
from ponder.evaluation.traces.form import Bank, Recorded, Trial


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an answer was, and whether it is right."""

    answer: str | None
    right: bool


@dataclass(frozen=True, slots=True)
class Judged:
    """A trace and its verdicts."""

    trace: Recorded
    natural: Verdict
    """On the answer that nobody forced."""
    trials: tuple[Verdict, ...]
    """One for each of its sights."""
    bare: tuple[Verdict, ...]
    """The same after a bare close; empty where that was not recorded."""
    group: int | None
    """Which of the natural answers to its question its own is; None: it gave none."""


Questions = list[list[Judged]]
"""The traces of each question, by seed."""


def judged(
    bank: Bank, comparer: Comparer, tell: Callable[[int, int], None] = lambda _done, _of: None
) -> Questions:
    """Judge a bank, question by question.

    Args:
        bank: as it was recorded.
        comparer: says which answers are equal.
        tell: told (questions done, of how many).
    """
    found: Questions = []
    questions = bank.by_question()
    for done, traces in enumerate(questions.values(), 1):
        found.append(_question(traces, comparer))
        tell(done, len(questions))
    return found


def _question(traces: list[Recorded], comparer: Comparer) -> list[Judged]:
    known: dict[str | None, bool] = {}

    def verdict(answer: str | None, key: str) -> Verdict:
        if answer not in known:
            known[answer] = comparer.same(answer, key)
        return Verdict(answer, known[answer])

    def on(trial: Trial, key: str) -> Verdict:
        return verdict(trial.answer, key)

    natural = [read_answer(trace.answer) for trace in traces]
    groups = {at: n for n, members in enumerate(comparer.clusters(natural)) for at in members}
    return [
        Judged(
            trace,
            verdict(answer, trace.key),
            tuple(on(sight.trial, trace.key) for sight in trace.sights),
            tuple(on(sight.bare, trace.key) for sight in trace.sights if sight.bare is not None),
            groups.get(at),
        )
        for at, (trace, answer) in enumerate(zip(traces, natural, strict=True))
    ]
