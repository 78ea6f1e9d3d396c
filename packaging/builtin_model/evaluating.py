"""How good is a built-in model? Asked through ponder's own engine and scheduler.

    python packaging/builtin_model evaluate MODEL [--fresh N] [--json FILE]

Two sets: fresh questions of the generator that it was trained on (its own distribution, other
seeds), and those that were written by hand with no generator in view
(`ponder.evaluation.sets`). Each under conditions: natural, budgets, Waits, and eight samples.
Knows which conditions and questions a card tells of; measures with what `ponder eval` measures
with. Refuses to know how a model was made.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from ponder.assembly import Assembled, Choices, open_session
from ponder.equality import Comparer
from ponder.evaluation.conditions import Condition
from ponder.evaluation.items import Item, QuestionSet
from ponder.evaluation.journal import Key, Result, Results
from ponder.evaluation.measuring import measure
from ponder.evaluation.metrics import share
from ponder.evaluation.sets.known import everyday_set, fresh_set
from ponder.evaluation.summary import Row, summarise
from ponder.history import document
from ponder.settings import EngineSettings, Settings
from ponder.thinking.effort import Wish
from ponder.types import Budget

FRESH_SEED = 990_001
"""Training draws its seeds from elsewhere."""
_AT_ONCE = 16
_CONTEXT = 2048
_LONGEST_ANSWER = 96
"""Tokens; answers are a sentence."""

NATURAL = Condition(temperature=0.0)
CONDITIONS = (
    NATURAL,
    *(Condition(Wish(tokens=cap), temperature=0.0) for cap in (0, 16, 32, 48, 64, 96, 128, 256)),
    *(Condition(waits=count, temperature=0.0) for count in (1, 2, 4)),
    Condition(samples=8, temperature=0.6),
)


def opened(model: str, threads: int | None = None) -> Assembled:
    """Open a model for many questions at once."""
    settings = Settings(engine=EngineSettings(ctx=_CONTEXT, threads=threads))
    return open_session(settings, Choices(model, n_seqs=_AT_ONCE))


def ask(
    model: Assembled,
    items: Sequence[Item],
    conditions: Sequence[Condition],
    comparer: Comparer,
    tell: Callable[[int, int], None] = lambda _done, _of: None,
) -> Results:
    """Ask every item under every condition."""
    results = Results()
    base = Budget(max_answer=_LONGEST_ANSWER)
    measure(
        model.session, items, conditions, results, base, model.sampling, comparer,
        thoughts=True, tell=tell,
    )  # fmt: skip
    return results


def declines(results: Sequence[Result]) -> float:
    """Share of items answered without a box: where there is nothing to work out."""
    return share("\\boxed" not in result.text for result in results)


def table(title: str, rows: Sequence[Row]) -> str:
    """Return figures as a Markdown table."""
    lines = [f"| {title} | accuracy % | thinking tokens, mean | loops % |", "|---|---|---|---|"]
    for row in rows:
        name, accuracy = row.condition.removesuffix(", T 0"), f"{100 * row.accuracy:.1f}"
        if row.cons:
            name += f": pass@1, cons@{row.samples}"
            accuracy += f", {100 * row.cons[row.samples]:.1f}"
        if row.against is not None and "Wait" in row.condition:
            name += f" (fixed {row.against.fixed}, broke {row.against.broken})"
        lines.append(f"| {name} | {accuracy} | {row.tokens.think:.0f} | {100 * row.loops:.1f} |")
    return "\n".join(lines)


def evaluate(
    name: str, count: int, threads: int | None, file: Path | None, say: Callable[[str], None]
) -> None:
    """Ask a model everything, print tables, and write figures and wrong answers to `file`."""
    told: dict[str, object] = {"model": name}
    model = opened(name, threads)
    sets = (("fresh questions", fresh_set(FRESH_SEED, count)), ("by hand", everyday_set()))
    with model.session.runner, Comparer() as comparer:
        for title, questions in sets:
            rows = _measured(model, questions, comparer, told, title)
            print(f"\n{table(f'{len(questions.items)} {title}', rows)}\n")
            say(f"{title}: {rows[0].accuracy:.1%}")
        talk = everyday_set(answered=False).items
        small = list(ask(model, talk, (NATURAL,), comparer).results.values())
        told["talk"] = _kept(talk, small)
        say(f"{declines(small):.1%} of {len(small)} without arithmetic are answered without a box")
    if file is not None:
        document.write(file, json.dumps(told, indent=1, ensure_ascii=False))


def _measured(
    model: Assembled,
    questions: QuestionSet,
    comparer: Comparer,
    told: dict[str, object],
    title: str,
) -> tuple[Row, ...]:
    found = ask(model, questions.items, CONDITIONS, comparer)
    rows = summarise(
        model.name, questions, CONDITIONS, found.results, comparer, found.caps, ""
    ).rows
    natural = [found.results[Key(NATURAL.name, item.key, 0)] for item in questions.items]
    told[f"{title}, wrong"] = _kept(questions.items, [one for one in natural if not one.right])
    told[title] = [asdict(row) for row in rows]
    return rows


def _kept(items: Sequence[Item], results: Sequence[Result]) -> list[dict[str, object]]:
    by_key = {item.key: item for item in items}
    return [
        {
            "kind": by_key[one.item].kind,
            "question": by_key[one.item].text,
            "expected": by_key[one.item].answer,
            "text": f"{one.thought}\n=> {one.text}",
        }
        for one in results
    ]
