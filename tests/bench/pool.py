"""Accuracy of a pool of thinking tokens, shared by index, against the same tokens split evenly.

    python tests/bench/pool.py [--questions 150] [--seeds 3] [--shares 0.15,0.25,0.4,0.6,0.8]

Generated questions, the built-in model, sampled as `ponder run` does. The pool is a share of what
the model thinks about these questions if it is let. Three ways to spend it:

* split: every question has the same cap, pool over questions; landing off, so that it is exact
* width 1: the same pool, one question at a time
* index: `ponder run --pool`, four at a time
* even: `ponder run --pool --even`, four at a time

The model's lengths are learned from other questions first, as they are after some use. Each
question has the same seed in all ways; the difference has a paired bootstrap interval over
questions.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from ponder.assembly import Assembled, Choices, open_session
from ponder.batch.questions import Question, read
from ponder.batch.results import Result, opened
from ponder.batch.running import Asking, Run
from ponder.evaluation import questions as generated
from ponder.settings import Settings
from ponder.thinking.pool import Terms
from ponder.types import Budget

WIDTH = 4
RESAMPLES = 10_000


def ask(
    session: Assembled,
    asked: Sequence[Question],
    budget: Budget,
    seed: int,
    tokens: int | None,
    width: int,
    even: bool = False,
) -> list[Result]:
    """The results of all questions, in their order."""
    with tempfile.TemporaryDirectory() as folder, opened(Path(folder) / "r", "bench") as results:
        asking = Asking(session.session, lambda _: budget, None, session.sampling, seed, "bench")
        terms = Terms(tokens, None, width, even)
        Run(asking, asked, results, terms).ask(lambda _question, _result: None)
        return [results.done[question.digest] for question in asked]


def interval(differences: Sequence[float]) -> tuple[float, float]:
    """95 % of the means of resampled questions."""
    dice, n = random.Random(0), len(differences)
    means = sorted(sum(dice.choices(differences, k=n)) / n for _ in range(RESAMPLES))
    return means[RESAMPLES // 40], means[-RESAMPLES // 40]


def drawn(folder: Path, seed: int, count: int) -> list[Question]:
    """Generated questions, as a file of them is read."""
    file = folder / f"{seed}.jsonl"
    told = []
    for one in islice(generated.questions(seed), count):
        earlier = [
            {"role": role, "content": words}
            for turn in one.earlier
            for role, words in (("user", turn.question), ("assistant", turn.answer))
        ]
        told.append(json.dumps({"question": one.text, "answer": one.answer, "messages": earlier}))
    file.write_text("\n".join(told), "utf-8")
    return read(file)[0]


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--questions", type=int, default=150)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--shares", default="0.15,0.25,0.4,0.6,0.8")
    chosen = parser.parse_args()
    plain = Budget(loops=True)
    with tempfile.TemporaryDirectory() as folder:
        learning = drawn(Path(folder), 900, 200)
        asked = drawn(Path(folder), 901, chosen.questions)
    session = open_session(Settings(), Choices(n_seqs=2 * WIDTH))
    with session.session.runner:
        ask(session, learning, plain, 1, None, WIDTH)
        lengths = session.session.runner.learned.thinking
        quantiles = [lengths.quantile(share) for share in (0.25, 0.5, 0.8, 0.95)]
        print(f"learned lengths, 25/50/80/95 %: {quantiles}")
        seeds = [1000 * n for n in range(1, chosen.seeds + 1)]
        natural = [ask(session, asked, plain, seed, None, WIDTH) for seed in seeds]
        tell("natural", natural)
        whole = sum(one.think for one in natural[0])
        for share in map(float, chosen.shares.split(",")):
            pool = round(share * whole)
            cap = pool // len(asked)
            split = [ask(session, asked, replace(plain, cap=cap), s, None, WIDTH) for s in seeds]
            narrow = [ask(session, asked, plain, s, pool, 1) for s in seeds]
            index = [ask(session, asked, plain, s, pool, WIDTH) for s in seeds]
            even = [ask(session, asked, plain, s, pool, WIDTH, True) for s in seeds]
            print(f"\npool {pool:,} ({share:.0%} of natural), {cap} a question")
            tell("split", split)
            tell("width 1", narrow)
            tell("index", index)
            tell("even", even)
            for name, found in (("index", index), ("even", even)):
                pairs = zip(*(rights(ways) for ways in (found, split)), strict=True)
                differences = [i - s for i, s in pairs]
                low, high = interval(differences)
                mean = sum(differences) / len(differences)
                bounds = f"[{100 * low:+.1f}, {100 * high:+.1f}]"
                print(f"  {name} - split: {100 * mean:+.1f} points {bounds}")


def rights(ways: Sequence[Sequence[Result]]) -> list[float]:
    """For each question, how often it was right."""
    return [sum(bool(one.right) for one in seeds) / len(seeds) for seeds in zip(*ways, strict=True)]


def tell(name: str, ways: Sequence[Sequence[Result]]) -> None:
    """One line of the table: means over seeds."""
    every = [one for way in ways for one in way]
    right = sum(bool(one.right) for one in every) / len(every)
    think = sum(one.think for one in every) / len(ways)
    closed = sum(one.finish == "closed" for one in every) / len(every)
    off = sum(one.finish == "off" for one in every) / len(every)
    print(
        f"  {name:8} right {right:6.1%}  thinking {think:8,.0f}  closed by itself {closed:4.0%}"
        f"  without thinking {off:4.0%}",
        flush=True,
    )


if __name__ == "__main__":
    main()
