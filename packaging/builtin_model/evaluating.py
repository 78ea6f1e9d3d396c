"""How good is a built-in model? Asked through ponder's own engine and scheduler.

    python packaging/builtin_model evaluate MODEL [--fresh N] [--json FILE]

Two sets: fresh questions of the generator that it was trained on (its own distribution, other
seeds), and those that were written by hand with no generator in view
(`ponder.evaluation.sets`). Each under conditions: natural, budgets, Waits, and eight samples.
Knows conditions and tables. Refuses to know how a model was made.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Protocol

from builtin_model.asking import fresh_questions
from ponder.assembly import Assembled, Choices, open_session
from ponder.equality import read_answer, same_answer
from ponder.evaluation.comparison.reasoning import loops
from ponder.evaluation.sets import named_set
from ponder.settings import EngineSettings, Settings
from ponder.types import (
    Budget,
    Finished,
    Message,
    Sampling,
    Trace,
)

FRESH_SEED = 990_001
"""Training draws its seeds from elsewhere."""
_AT_ONCE = 16
_CONTEXT = 2048
_LONGEST_ANSWER = 96
"""Tokens; answers are a sentence."""


class Turn(Protocol):
    """An earlier turn of a conversation, wherever it comes from."""

    @property
    def question(self) -> str:
        """What was asked."""

    @property
    def answer(self) -> str:
        """What was said."""


@dataclass(frozen=True, slots=True)
class Item:
    """Something to ask."""

    text: str
    answer: str | None
    """None: there is no arithmetic in it, and the model should say what it can do."""
    kind: str
    earlier: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Condition:
    """How a question is asked."""

    name: str
    cap: int | None = None
    waits: int = 0
    temperature: float = 0.0
    samples: int = 1


CONDITIONS = (
    Condition("natural"),
    *(Condition(f"budget {cap}", cap=cap) for cap in (0, 16, 32, 48, 64, 96, 128, 256)),
    *(Condition(f"{count} x Wait", waits=count) for count in (1, 2, 4)),
    Condition("8 samples", temperature=0.6, samples=8),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One trace, judged."""

    answer: str | None
    right: bool
    think: int
    loops: bool
    finish: str
    text: str


@dataclass(slots=True)
class Figures:
    """What came out under one condition. Shares of questions, 0 to 1."""

    condition: str
    questions: int
    accuracy: float
    """Of single traces: with several samples, pass@1."""
    think: float
    """Thinking tokens, mean."""
    loops: float
    cons: float | None = None
    """Of the most frequent answer of several samples."""
    fixed: int | None = None
    """Right here and wrong naturally."""
    broken: int | None = None
    by_kind: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Right, of how many."""


def fresh(count: int) -> tuple[Item, ...]:
    """Return questions of the training's generator, of 2 to 8 operations, each as often."""
    return tuple(
        Item(q.text, q.answer, f"{q.operations} operations", _turns(q.earlier))
        for q in fresh_questions(FRESH_SEED, count)
    )


def handwritten() -> tuple[Item, ...]:
    """Return the questions that no generator saw, those without arithmetic left out."""
    return tuple(item for item in _everyday() if item.answer is not None)


def talk() -> tuple[Item, ...]:
    """Return what holds no arithmetic."""
    return tuple(item for item in _everyday() if item.answer is None)


def _everyday() -> Iterable[Item]:
    return (Item(e.question, e.answer, e.kind, _turns(e.earlier)) for e in named_set("everyday"))


def _turns(earlier: Iterable[Turn]) -> tuple[tuple[str, str], ...]:
    return tuple((turn.question, turn.answer) for turn in earlier)


def opened(model: str, threads: int | None = None) -> Assembled:
    """Open a model for many questions at once."""
    settings = Settings(engine=EngineSettings(ctx=_CONTEXT, threads=threads))
    return open_session(settings, Choices(model, n_seqs=_AT_ONCE))


def ask(
    model: Assembled,
    items: Sequence[Item],
    condition: Condition,
    tell: Callable[[int], None] = lambda _done: None,
) -> list[list[Outcome]]:
    """Ask every item under one condition; return its samples' outcomes in order."""
    runner = model.session.runner
    budget = Budget(cap=condition.cap, max_answer=_LONGEST_ANSWER)
    streams = []
    for at, item in enumerate(items):
        messages = [*model.session.messages]
        for question, answer in item.earlier:
            messages += [Message("user", question), Message("assistant", answer)]
        prompt = model.session.prompt([*messages, Message("user", item.text)])
        for sample in range(condition.samples):
            sampling = replace(
                model.sampling if condition.temperature else Sampling(),
                temperature=condition.temperature,
                seed=at * 64 + sample,
            )
            stream = runner.submit(prompt, budget, sampling)
            for _ in range(condition.waits):
                stream.wait()
            streams.append((item, stream))
    outcomes: list[list[Outcome]] = [[] for _ in items]
    for done, (item, stream) in enumerate(streams):
        for event in stream:
            if isinstance(event, Finished):
                outcomes[done // condition.samples].append(_judge(item, event.trace))
        tell(done + 1)
    return outcomes


def _judge(item: Item, trace: Trace) -> Outcome:
    answer = read_answer(trace.answer)
    right = item.answer is not None and same_answer(answer, item.answer)
    return Outcome(
        answer,
        right,
        trace.usage.think,
        loops(trace.tokens),
        str(trace.finish),
        trace.thought + "\n=> " + trace.answer,
    )


def figures(
    items: Sequence[Item],
    condition: Condition,
    outcomes: Sequence[Sequence[Outcome]],
    natural: Sequence[Sequence[Outcome]] | None = None,
) -> Figures:
    """Sum outcomes up; `natural` are those of the same items without a budget."""
    every = [outcome for samples in outcomes for outcome in samples]
    found = Figures(
        condition.name,
        len(items),
        _mean(outcome.right for outcome in every),
        _mean(outcome.think for outcome in every),
        _mean(outcome.loops for outcome in every),
    )
    if condition.samples > 1:
        found.cons = _mean(_vote(item, s) for item, s in zip(items, outcomes, strict=True))
    if natural is not None and condition.samples == 1:
        pairs = [(n[0].right, o[0].right) for n, o in zip(natural, outcomes, strict=True)]
        found.fixed = sum(now and not before for before, now in pairs)
        found.broken = sum(before and not now for before, now in pairs)
    kinds: dict[str, list[bool]] = defaultdict(list)
    for item, samples in zip(items, outcomes, strict=True):
        kinds[item.kind] += [outcome.right for outcome in samples]
    found.by_kind = {kind: (sum(right), len(right)) for kind, right in sorted(kinds.items())}
    return found


def _mean(values: Iterable[float]) -> float:
    held = list(values)
    return sum(held) / len(held) if held else 0.0


def _vote(item: Item, samples: Sequence[Outcome]) -> bool:
    """Whether the most frequent answer is right; the first said wins a tie."""
    said = Counter(outcome.answer for outcome in samples if outcome.answer is not None)
    return (
        bool(said)
        and item.answer is not None
        and same_answer(said.most_common(1)[0][0], item.answer)
    )


def declines(outcomes: Sequence[Sequence[Outcome]]) -> float:
    """Share of items answered without a box: where there is nothing to work out."""
    return _mean("\\boxed" not in samples[0].text.rpartition("\n=> ")[2] for samples in outcomes)


def table(title: str, found: Sequence[Figures]) -> str:
    """Return figures as a Markdown table."""
    lines = [f"| {title} | accuracy % | thinking tokens, mean | loops % |", "|---|---|---|---|"]
    for row in found:
        name, accuracy = row.condition, f"{100 * row.accuracy:.1f}"
        if row.cons is not None:
            name += ", temperature 0.6: pass@1, cons@8"
            accuracy += f", {100 * row.cons:.1f}"
        if row.fixed is not None and "Wait" in row.condition:
            name += f" (fixed {row.fixed}, broke {row.broken})"
        lines.append(
            f"| {name} | {accuracy} | {row.think:.0f} | {row.loops:.1%} |".replace("% |", " |")
        )
    return "\n".join(lines)


def write(path: Path, facts: object) -> None:
    """Write facts as JSON, whole or not at all."""
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(facts, indent=1, ensure_ascii=False), "utf-8")
    part.replace(path)


def evaluate(
    name: str, count: int, threads: int | None, file: Path | None, say: Callable[[str], None]
) -> None:
    """Ask a model everything, print tables, and write figures and wrong answers to `file`."""
    told: dict[str, object] = {"model": name}
    model = opened(name, threads)
    with model.session.runner:
        for title, items in (("fresh questions", fresh(count)), ("by hand", handwritten())):
            found: list[Figures] = []
            natural: list[list[Outcome]] | None = None
            for condition in CONDITIONS:
                outcomes = ask(model, items, condition)
                found.append(figures(items, condition, outcomes, natural))
                say(f"{title}, {condition.name}: {found[-1].accuracy:.1%}")
                if natural is None:
                    natural = outcomes
                    told[f"{title}, wrong"] = _wrong(items, outcomes)
            print(f"\n{table(f'{len(items)} {title}', found)}\n")
            told[title] = [asdict(row) for row in found]
        small = ask(model, talk(), CONDITIONS[0])
        told["talk"] = _kept(talk(), small)
        say(f"{declines(small):.1%} of {len(small)} without arithmetic are answered without a box")
    if file is not None:
        write(file, told)


def _wrong(items: Sequence[Item], outcomes: Sequence[Sequence[Outcome]]) -> list[dict[str, object]]:
    pairs = zip(items, outcomes, strict=True)
    return _kept(*zip(*((i, o) for i, o in pairs if not o[0].right), strict=True))


def _kept(
    items: Sequence[Item] = (), outcomes: Sequence[Sequence[Outcome]] = ()
) -> list[dict[str, object]]:
    return [
        {"kind": i.kind, "question": i.text, "expected": i.answer, "text": o[0].text}
        for i, o in zip(items, outcomes, strict=True)
    ]
