"""What stopping could save at best, known in hindsight: the measure of every stop rule.

Knows verdicts. An oracle stops at a sight for nothing but the answer that is given there, and
only where that is cheaper than to go on. Three of them:

    right    the first place from which on every answer is right (the specification's). Where the
             last one is wrong there is no such place.
    final    the first place from which on every answer is the one in the end, right or wrong.
    loose    the cheapest place that costs no right answer: the bound of all rules, which takes
             luck for knowledge.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import takewhile

from ponder.equality import same_answer
from ponder.evaluation.traces.judging import Judged
from ponder.evaluation.traces.replaying import Outcome, natural, stopped

Oracle = Callable[[Judged], Outcome]


def right(judged: Judged) -> Outcome:
    """Stop at the first place from which on every answer is right."""
    return _earliest(judged, _tail([v.right for v in judged.trials], judged.natural.right))


def final(judged: Judged) -> Outcome:
    """Stop at the first place from which on every answer is the natural one."""
    last = judged.natural.answer
    if judged.natural.right:
        # Right answers are equal to the key, so they are to each other.
        same = [v.right for v in judged.trials]
    else:
        same = [last is not None and same_answer(v.answer, last) for v in judged.trials]
    return _earliest(judged, _tail(same, last is not None))


def loose(judged: Judged) -> Outcome:
    """Stop at the cheapest place whose answer is as right as the natural one, or more."""
    fine = [v.right or not judged.natural.right for v in judged.trials]
    return _earliest(judged, [at for at, held in enumerate(fine) if held])


def _tail(flags: list[bool], last: bool) -> list[int]:
    """The places from which on all of them hold, up to the end."""
    if not last:
        return []
    held = sum(1 for _ in takewhile(bool, reversed(flags)))
    return list(range(len(flags) - held, len(flags)))


def _earliest(judged: Judged, places: list[int]) -> Outcome:
    return min(
        [natural(judged), *(stopped(judged, at) for at in places)],
        key=lambda outcome: outcome.total,
    )
