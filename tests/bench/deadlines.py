"""`make bench-deadlines`: how often an answer is there in time, on this machine.

    PYTHONPATH=tests python -m bench.deadlines [--questions 200] [--shares 0.25,0.5,0.75]

Generated questions, the built-in model. First each is asked without a deadline, alone; its median
time is what shares are taken of. Then the same again within each share, one at a time, and sixteen
at once (`ponder run --within`) within each share of what those sixteen took without. A hit is an
answer whose last token is there by the deadline, by the clock of whoever asked; what is refused at
once, because not even an answer would be there in time, is counted apart. Others who use the
machine meanwhile show in these figures: that a deadline is kept exactly is proven on a fake clock
(`tests/thinking/test_deadlines.py`).
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from bench.pool import drawn
from ponder.assembly import Assembled, Choices, open_session
from ponder.batch.questions import Question
from ponder.batch.results import Result, opened
from ponder.batch.running import Asking, Run
from ponder.equality import Comparer, read_answer
from ponder.errors import BudgetError
from ponder.evaluation import questions as generated
from ponder.events import Finished
from ponder.session import Session
from ponder.settings import Settings
from ponder.thinking.pool import Terms
from ponder.types import Budget, Sampling, Trace

POOL = 16
WIDTH = 8
ROUNDS = 12
"""Pools of sixteen, for each share."""


@dataclass(frozen=True)
class Kept:
    """One question under a deadline."""

    over: float
    """Seconds past it; below 0 it was kept."""
    right: bool
    answered: bool
    refused: bool = False


def ask(session: Assembled, text: str, budget: Budget, sampling: Sampling) -> tuple[Trace, float]:
    """The trace, and seconds from the asking to its end as whoever asked sees them."""
    alone = Session(session.session.runner, session.session.template)
    began = time.perf_counter()
    for event in alone.ask(text, budget, sampling):
        if isinstance(event, Finished):
            return event.trace, time.perf_counter() - began
    raise AssertionError("no end")


def one_at_a_time(
    session: Assembled, asked: Sequence[generated.Question], shares: Sequence[float]
) -> None:
    with Comparer() as comparer:
        seconds, rights = [], 0
        for at, question in enumerate(asked):
            drawn_as = replace(session.sampling, seed=at)
            trace, took = ask(session, question.text, Budget(loops=True), drawn_as)
            seconds.append(took)
            rights += comparer.same(read_answer(trace.answer), question.answer)
        median = statistics.median(seconds)
        print(
            f"alone, no deadline: median {median * 1e3:.0f} ms, right {rights / len(asked):.1%}",
            flush=True,
        )
        for share in shares:
            within = share * median
            kept = []
            for at, question in enumerate(asked):
                budget = Budget(loops=True, within=within)
                drawn_as = replace(session.sampling, seed=at)
                try:
                    trace, took = ask(session, question.text, budget, drawn_as)
                except BudgetError:
                    kept.append(Kept(0.0, right=False, answered=False, refused=True))
                    continue
                right = comparer.same(read_answer(trace.answer), question.answer)
                kept.append(Kept(took - within, right, bool(trace.answer)))
            tell(f"alone, {share:.0%} of it ({within * 1e3:.0f} ms)", kept)


def run(
    session: Assembled, asked: Sequence[Question], seed: int, within: float | None
) -> tuple[list[tuple[Result, float]], float]:
    """Each result with the seconds after which it was there, and those of all."""
    there: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder, opened(Path(folder) / "r", "bench") as results:
        budget = Budget(loops=True)
        asking = Asking(session.session, lambda _: budget, None, session.sampling, seed, "bench")
        began = time.perf_counter()

        def came(question: Question, _: Result) -> None:
            there[question.digest] = time.perf_counter() - began

        Run(asking, asked, results, Terms(None, within, WIDTH)).ask(came)
        took = time.perf_counter() - began
        return [(results.done[q.digest], there[q.digest]) for q in asked], took


def sixteen_at_once(session: Assembled, shares: Sequence[float]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        pools = [drawn(Path(folder), 700 + at, POOL) for at in range(ROUNDS)]
    times = [run(session, pool, at, None)[1] for at, pool in enumerate(pools)]
    median = statistics.median(times)
    print(f"\n{POOL} at once, no deadline: median {median * 1e3:.0f} ms", flush=True)
    for share in shares:
        within = share * median
        kept = [
            Kept(after - within, bool(result.right), bool(result.answer), bool(result.refused))
            for at, pool in enumerate(pools)
            for result, after in run(session, pool, at, within)[0]
        ]
        tell(f"{POOL} at once, {share:.0%} of it ({within * 1e3:.0f} ms)", kept)


def tell(name: str, kept: Sequence[Kept]) -> None:
    """One line."""
    asked = [one for one in kept if not one.refused]
    late = sorted(one.over for one in asked)
    print(
        f"{name}: hits {sum(one.over <= 0 for one in asked) / max(1, len(asked)):.1%} of "
        f"{len(asked)}, refused {len(kept) - len(asked)}, "
        f"answered {sum(one.answered for one in asked)}, "
        f"right {sum(one.right for one in asked) / len(kept):.1%}; "
        f"past it: p50 {late[len(late) // 2] * 1e3:+.0f} ms, "
        f"p99 {late[int(len(late) * 0.99)] * 1e3:+.0f} ms, worst {late[-1] * 1e3:+.0f} ms",
        flush=True,
    )


def main() -> None:
    """Print a line for each share, twice."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--shares", default="0.25,0.5,0.75")
    chosen = parser.parse_args()
    shares = [float(share) for share in chosen.shares.split(",")]
    plain = (q for q in generated.questions(902) if not q.earlier)
    asked = list(islice(plain, chosen.questions))
    learning = list(islice((q for q in generated.questions(903) if not q.earlier), 60))
    for choices in (Choices(), Choices(n_seqs=2 * WIDTH)):
        session = open_session(Settings(), choices)
        with session.session.runner:
            # What steps take, and how long it thinks, is learned from others first.
            for at, question in enumerate(learning):
                ask(session, question.text, Budget(loops=True), replace(session.sampling, seed=at))
            if choices.n_seqs == 1:
                one_at_a_time(session, asked, shares)
            else:
                sixteen_at_once(session, shares)


if __name__ == "__main__":
    main()
