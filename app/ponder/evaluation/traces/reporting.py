"""A bank -> everything that is told of it: all policies, measured.

Knows which policies are held against which. Refuses to know how they are shown. Thresholds are
chosen on the questions with even numbers and told of on the others, so that no rule is praised
for having been fitted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from ponder.equality import Comparer
from ponder.errors import InputError
from ponder.evaluation.journal import RESULTS, Result
from ponder.evaluation.traces import oracle
from ponder.evaluation.traces.estimating import Resampling
from ponder.evaluation.traces.form import Bank
from ponder.evaluation.traces.judging import judged
from ponder.evaluation.traces.measuring import Measured, Row, choose, over, row, voted
from ponder.evaluation.traces.policies import DEFAULTS, FAMILIES, VOTES, caps, named, votes
from ponder.evaluation.traces.replaying import cut, natural, obeying

ORACLES: dict[str, oracle.Oracle] = {
    "oracle: right from here on": oracle.right,
    "oracle: final from here on": oracle.final,
    "oracle: no loss, by luck too": oracle.loose,
}


@dataclass(frozen=True, slots=True)
class Chosen:
    """A rule whose thresholds were picked on one half of the questions."""

    row: Row
    """On the other half."""
    on: Row
    """On the half where it was picked."""
    fine: bool
    """Whether some setting was no worse there than the natural traces."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a bank comes to."""

    bank: Bank
    natural: Row
    cuts: tuple[Row, ...]
    bare: tuple[Row, ...]
    """Empty where no bare close was recorded."""
    oracles: tuple[Row, ...]
    """On all questions; the first is what rules are held against."""
    rules: tuple[Row, ...]
    """With ponder's defaults, on all questions."""
    half: Row
    """The first oracle on the questions on which chosen rules are told of."""
    chosen: tuple[Chosen, ...]
    votes: tuple[Row, ...]
    live: tuple[Row, ...] = ()
    """Conditions that were asked and not replayed."""


def report(
    bank: Bank,
    comparer: Comparer,
    live: Path | None = None,
    tell: Callable[[int, int], None] = lambda _done, _of: None,
) -> Report:
    """Replay everything.

    Args:
        bank: with at least two questions.
        comparer: says which answers are equal.
        live: a folder of `ponder eval` with answers to the same questions.
        tell: told (steps done, of how many).

    Raises:
        InputError: there is nothing to halve, or nothing of it in the folder.
    """
    questions = judged(bank, comparer)
    if len(questions) < 2:
        raise InputError(
            "The bank holds fewer than two questions.", "Record more: ponder record --count 100."
        )
    draws = Resampling(len(questions))
    base = over("natural", questions, natural)
    known = caps(bank)
    with_words = [over(f"cut at {cap}", questions, cut(cap)) for cap in known]
    bare = [
        over(f"bare cut at {cap}", questions, cut(cap, True)) for cap in known if bank.header.bare
    ]
    frontier = [*with_words, base]

    def rows(measured: Iterable[Measured | None]) -> tuple[Row, ...]:
        return tuple(row(one, base, draws, frontier) for one in measured if one is not None)

    oracles = [over(name, questions, policy) for name, policy in ORACLES.items()]
    chosen: list[Chosen] = []
    picking, telling = (list(range(start, len(questions), 2)) for start in (0, 1))
    halves = {len(places): Resampling(len(places)) for places in (picking, telling)}
    steps = len(FAMILIES)
    for done, settings in enumerate(FAMILIES.values()):
        tell(done, steps)
        found = [over(named(rule), questions, obeying(rule)) for rule in settings]
        there = [one.part(picking) for one in found]
        best, fine = choose(there, base.part(picking), halves[len(picking)])
        whole = next(one for one in found if one.name == best.name)

        def on(places: list[int], one: Measured = whole) -> Row:
            cuts = [cut.part(places) for cut in frontier]
            return row(one.part(places), base.part(places), halves[len(places)], cuts)

        chosen.append(Chosen(on(telling), on(picking), fine))
    tell(steps, steps)
    return Report(
        bank,
        row(base, base, draws),
        rows(with_words),
        rows(bare),
        rows(oracles),
        rows(over(named(rule), questions, obeying(rule)) for rule in DEFAULTS.values()),
        row(oracles[0].part(telling), base.part(telling), halves[len(telling)]),
        tuple(chosen),
        rows(
            voted(name, questions, k, how, weigh)
            for k in VOTES
            for name, (how, weigh) in votes(k).items()
        ),
        rows(_asked(bank, live)) if live is not None else (),
    )


def _asked(bank: Bank, folder: Path) -> list[Measured]:
    """What `ponder eval` measured of the questions of a bank; conditions that miss one are not."""
    try:
        lines = (folder / RESULTS).read_bytes().splitlines()
    except OSError as error:
        raise InputError(
            f"{folder / RESULTS} cannot be read: {error.strerror}.",
            "Name a folder of `ponder eval`.",
        ) from error
    found: dict[str, dict[str, list[Result]]] = {}
    for line in lines:
        try:
            result = msgspec.json.decode(line, type=Result)
        except msgspec.DecodeError:
            continue  # what a kill left of a line
        found.setdefault(result.condition, {}).setdefault(result.item, []).append(result)
    ids = [traces[0].id for traces in bank.by_question().values()]
    whole = {name: items for name, items in found.items() if all(one in items for one in ids)}
    if not whole:
        raise InputError(
            f"{folder} has no condition under which all questions of the bank were asked.",
            "Ask the same SET with the same --seed and --count.",
        )
    return [
        Measured(
            f"{name} (live)",
            *(
                np.array([np.mean([figure(result) for result in items[one]]) for one in ids])
                for figure in (_right, _think, _total)
            ),
        )
        for name, items in whole.items()
    ]


def _right(result: Result) -> float:
    return float(result.right)


def _think(result: Result) -> float:
    return float(result.think)


def _total(result: Result) -> float:
    return float(result.total)
