"""Results -> one row a condition, and what all of them come to.

Knows which results belong together. Refuses to know how they were had, and how they are shown.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ponder.equality import Comparer
from ponder.evaluation.conditions import Condition, capped
from ponder.evaluation.items import Item, QuestionSet
from ponder.evaluation.journal import Key, Result
from ponder.evaluation.metrics import (
    Difference,
    Interval,
    Point,
    bootstrap,
    cons_at,
    control,
    difference,
    mean,
    pass_at,
    performance,
    scaling,
    share,
    wilson,
)


@dataclass(frozen=True, slots=True)
class Tokens:
    """Where the tokens of a question went, means; `types.Usage` says what each is."""

    think: float
    forced: float
    probe: float
    wasted: float
    answer: float
    total: float


@dataclass(frozen=True, slots=True)
class Row:
    """What came out under one condition. Shares are 0 to 1."""

    condition: str
    cap: int | None
    """The thinking tokens that it allowed each question; None where it named none."""
    questions: int
    """With all their samples."""
    samples: int
    """Of each question."""
    accuracy: float
    """Share of right samples: pass@1."""
    interval: Interval
    """Of the accuracy: Wilson's for one sample each, else a bootstrap over questions."""
    tokens: Tokens
    closed: float
    answered: float
    within: float
    """Share of traces that thought no more than they were allowed; s1's Control of single ones."""
    overshoot: int
    """Thinking tokens beyond what was allowed, the most of any trace."""
    loops: float
    refused: int
    """Samples that were not asked because they do not fit; they count as wrong."""
    seconds: float
    """From the start of a question to its end, beside those that ran with it, mean."""
    passes: Mapping[int, float] = field(default_factory=dict)
    """pass@k by k, where there are several samples."""
    cons: Mapping[int, float] = field(default_factory=dict)
    """cons@k by k."""
    against: Difference | None = None
    """Less the first condition; None for that one."""
    kinds: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Right samples, of how many, by kind of question."""


@dataclass(frozen=True, slots=True)
class Summary:
    """All that an evaluation found."""

    model: str
    questions: QuestionSet
    rows: tuple[Row, ...]
    control: float | None
    """s1's Control of the conditions that bound tokens, 0 to 1; None without any."""
    scaling: float | None
    """s1's Scaling over all conditions, in percentage points per 1,000 thinking tokens."""
    performance: float | None
    """s1's Performance over all conditions, 0 to 1."""
    command: str
    """What repeats it."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Under which it was measured, for people."""


def summarise(
    model: str,
    questions: QuestionSet,
    asked: Sequence[Condition],
    results: Mapping[Key, Result],
    comparer: Comparer,
    caps: Mapping[str, int | None],
    command: str,
    settings: Mapping[str, str] | None = None,
) -> Summary:
    """Sum up what is known; conditions without a result are left out.

    Args:
        model: its name.
        questions: what was asked.
        asked: the conditions, the one that others are held against first.
        results: by what they are results of; those of other questions are not looked at.
        comparer: groups equal answers.
        caps: thinking tokens that conditions allowed, by name.
        command: what repeats it.
        settings: under which it was measured.
    """
    rows: list[Row] = []
    first: dict[str, list[Result]] | None = None
    for condition in asked:
        found = _of(condition, questions.items, results)
        if not found:
            continue
        rows.append(_row(condition, questions.items, found, comparer, caps, first))
        if first is None:
            first = found
    bounded = {condition.name: condition.traces for condition in capped(asked)}
    held = [
        (row.tokens.think, row.cap and row.cap * bounded[row.condition])
        for row in rows
        if row.condition in bounded
    ]
    known = [(think, cap) for think, cap in held if cap is not None]
    points = [Point(row.tokens.think, row.accuracy) for row in rows]
    return Summary(
        model,
        questions,
        tuple(rows),
        control([think for think, _ in known], [cap for _, cap in known]) if known else None,
        scaling(points),
        performance(points),
        command,
        settings or {},
    )


def _of(
    condition: Condition, items: Sequence[Item], results: Mapping[Key, Result]
) -> dict[str, list[Result]]:
    """The samples of each question that has all of them, by the question's key."""
    found = {}
    for item in items:
        keys = [Key(condition.name, item.key, sample) for sample in range(condition.samples)]
        if all(key in results for key in keys):
            found[item.key] = [results[key] for key in keys]
    return found


def _row(
    condition: Condition,
    items: Sequence[Item],
    found: Mapping[str, Sequence[Result]],
    comparer: Comparer,
    caps: Mapping[str, int | None],
    first: Mapping[str, Sequence[Result]] | None,
) -> Row:
    every = [result for samples in found.values() for result in samples]
    rights = {item: [result.right for result in samples] for item, samples in found.items()}
    means = [share(right) for right in rights.values()]
    single = condition.samples == 1
    return Row(
        condition.name,
        caps.get(condition.name),
        len(found),
        condition.samples,
        mean(means),
        wilson(sum(map(sum, rights.values())), len(found)) if single else bootstrap(means),
        tokens(every),
        share(r.closed for r in every),
        share(r.answered for r in every),
        share(not r.over for r in every),
        max(r.over for r in every),
        share(r.loops for r in every),
        sum(bool(r.refused) for r in every),
        mean(r.seconds for r in every if not r.refused),
        {} if single else _passes(list(rights.values()), condition.samples),
        {} if single else _cons(list(found.values()), condition.samples, comparer),
        None if first is None else _against(first, rights),
        _kinds(items, rights),
    )


def tokens(results: Sequence[Result]) -> Tokens:
    """Where the tokens went, a question."""
    return Tokens(
        mean(r.think for r in results),
        mean(r.forced for r in results),
        mean(r.probe for r in results),
        mean(r.wasted for r in results),
        mean(r.answer_tokens for r in results),
        mean(r.total for r in results),
    )


def _counts(samples: int) -> list[int]:
    """The k that are told of: powers of two, and all of them."""
    return sorted({k for k in (1, 2, 4, 8, 16, 32, 64) if k < samples} | {samples})


def _passes(rights: Sequence[Sequence[bool]], samples: int) -> dict[int, float]:
    return {k: mean(pass_at(k, right) for right in rights) for k in _counts(samples)}


def _cons(found: Iterable[Sequence[Result]], samples: int, comparer: Comparer) -> dict[int, float]:
    """cons@k of several samples of each question; an answer is right if one that is equal is."""
    votes = []
    for results in found:
        groups: list[int | None] = [None] * len(results)
        for number, places in enumerate(comparer.clusters([r.answer for r in results])):
            for place in places:
                groups[place] = number
        right = {g for g, r in zip(groups, results, strict=True) if g is not None and r.right}
        votes.append((groups, right))
    return {k: mean(cons_at(k, groups, right) for groups, right in votes) for k in _counts(samples)}


def _against(
    first: Mapping[str, Sequence[Result]], rights: Mapping[str, Sequence[bool]]
) -> Difference | None:
    both = [item for item in first if item in rights]
    base = [[result.right for result in first[item]] for item in both]
    return difference(base, [rights[item] for item in both])


def _kinds(
    items: Sequence[Item], rights: Mapping[str, Sequence[bool]]
) -> dict[str, tuple[int, int]]:
    kinds: dict[str, list[bool]] = defaultdict(list)
    for item in items:
        kinds[item.kind] += rights.get(item.key, ())
    return {kind: (sum(right), len(right)) for kind, right in sorted(kinds.items()) if right}
