"""`make bench-votes`: what parallel traces cost and bring, on generated questions.

Two tables. Wall time: eight traces in one batch against the same eight, seed by seed, one after
the other, in turn, medians of paired rounds. Answers: of the same full votes, how often one
trace, the majority and the majority weighed by confidence are right, and what rules that stop
early spare; with intervals by paired bootstrap. Asserts nothing.

    PYTHONPATH=tests python -m bench.votes [wall] [answers] [questions]
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from ponder.assembly import Choices, open_session
from ponder.equality import Comparer, read_answer
from ponder.evaluation.questions import Question, questions
from ponder.events import Finished
from ponder.polling import Polling, Terms, seeds
from ponder.session import Session
from ponder.settings import Settings
from ponder.thinking.votes import Ballot, Live, Rules, vote
from ponder.types import Budget, Sampling, Trace

TRACES = 8
ALL = Rules(lossless=False, beta=None)
ROUNDS = 25
HARD = (4, 5, 6, 7, 8)


def asked(seed: int, count: int) -> Iterator[Question]:
    return islice((q for q in questions(seed, operations=HARD) if not q.earlier), count)


def fresh(session: Session) -> Session:
    """The same model, nothing said before."""
    return Session(session.runner, session.template)


def together(
    session: Session, text: str, sampling: Sampling, rules: Rules, weigh: bool = False
) -> dict[int, Trace]:
    terms = Terms(TRACES, rules, weigh=weigh)
    polling = Polling(fresh(session), text, Budget(), sampling, terms)
    for _ in polling:
        pass
    return polling.traces


def one_by_one(session: Session, text: str, sampling: Sampling) -> dict[int, Trace]:
    traces = {}
    for at, seed in enumerate(seeds(sampling.seed, TRACES)):
        for event in fresh(session).ask(text, Budget(), replace(sampling, seed=seed)):
            if isinstance(event, Finished):
                traces[at + 1] = event.trace
    return traces


def wall(session: Session, single: Session, sampling: Sampling) -> None:
    """Seconds of a vote against its traces one after the other, paired."""
    full, each, voted = [], [], []
    for at, question in enumerate(asked(11, ROUNDS + 1)):
        drawn = replace(sampling, seed=at)
        sides = {
            "batch": partial(together, session, question.text, drawn, ALL),
            "vote": partial(together, session, question.text, drawn, Rules()),
            "turns": partial(one_by_one, single, question.text, drawn),
        }
        seconds, tokens = {}, {}
        names = list(sides)
        for name in names[at % 3 :] + names[: at % 3]:
            # OpenMP's idle threads spin for 0.2 s; those of one side must not disturb another.
            time.sleep(0.3)
            began = time.perf_counter()
            found = sides[name]()
            seconds[name] = time.perf_counter() - began
            tokens[name] = sum(trace.usage.sampled for trace in found.values())
        if at:  # the first round warms all sides up
            full.append(seconds["turns"] / seconds["batch"])
            each.append((seconds["turns"] / tokens["turns"]) / (seconds["batch"] / tokens["batch"]))
            voted.append(seconds["turns"] / seconds["vote"])
    print(f"{TRACES} traces, {ROUNDS} paired rounds; one after the other takes, times as long as")
    print(f"  all of them in one batch      {statistics.median(full):5.2f}")
    print(f"  the same, a token             {statistics.median(each):5.2f}")
    print(f"  a vote that may stop early    {statistics.median(voted):5.2f}")


def answers(session: Session, sampling: Sampling, count: int) -> None:
    """Who is right, and how many thinking tokens the rules spare, on the same traces."""
    rules = {
        "majority": (ALL, False),
        "majority, lossless stop": (Rules(beta=None), False),
        "majority, lossless or beta .95": (Rules(), False),
        "weighed by confidence": (ALL, True),
    }
    right: dict[str, list[float]] = {name: [] for name in ("one trace", *rules)}
    spent: dict[str, list[float]] = {name: [] for name in right}
    with Comparer() as comparer:
        for at, question in enumerate(asked(12, count)):
            drawn = replace(sampling, seed=at)
            traces = together(session, question.text, drawn, ALL, weigh=True)
            given = {n: read_answer(trace.answer) for n, trace in traces.items()}
            good = {n: comparer.same(answer, question.answer) for n, answer in given.items()}
            lengths = {n: trace.usage.think for n, trace in traces.items()}
            right["one trace"].append(statistics.mean(good.values()))
            spent["one trace"].append(statistics.mean(lengths.values()))
            for name, (rule, weigh) in rules.items():
                winner, tokens = counted(traces, given, rule, weigh, comparer)
                right[name].append(float(winner is not None and good[winner]))
                spent[name].append(tokens)
    base = np.array(right["majority"])
    random = np.random.default_rng(0)
    draws = random.integers(0, count, (10_000, count))
    print(f"{count} questions of {HARD[0]} to {HARD[-1]} operations, {TRACES} traces each")
    print(f"{'':<32}{'right':>8}{'to majority, 95 %':>24}{'thinking tokens':>18}")
    for name, found in right.items():
        gap = (np.array(found) - base)[draws].mean(axis=1) * 100
        low, high = np.percentile(gap, [2.5, 97.5])
        print(
            f"{name:<32}{100 * np.mean(found):>7.1f}%{f'{low:+.1f} to {high:+.1f}':>24}"
            f"{np.mean(spent[name]):>18,.0f}"
        )


def counted(
    traces: dict[int, Trace],
    given: dict[int, str | None],
    rules: Rules,
    weigh: bool,
    comparer: Comparer,
) -> tuple[int | None, int]:
    """The winner, and the tokens of a vote that ends by these rules: replayed token by token."""
    order = sorted(traces, key=lambda n: (len(traces[n].tokens), n))
    for position, last in enumerate(order):
        done = sorted(order[: position + 1])
        groups = comparer.clusters([given[n] for n in done])
        group_of = {done[i]: g for g, members in enumerate(groups) for i in members}
        step = len(traces[last].tokens)
        ballots = [
            Ballot(
                n,
                group_of.get(n),
                traces[n].usage.think,
                (traces[n].confidence or 0.0) if weigh else 1.0,
            )
            for n in done
        ]
        live = [Live(n, min(traces[n].usage.think, step)) for n in order[position + 1 :]]
        result = vote(ballots, live, rules)
        if result.stop is not None:
            tokens = sum(min(traces[n].usage.think, step) for n in traces)
            return (result.winner.traces[0] if result.winner else None), tokens
    raise AssertionError("the last one ends every vote")


def main(names: Sequence[str]) -> None:
    wanted = [name for name in names if not name.isdigit()] or ["wall", "answers"]
    count = next((int(name) for name in names if name.isdigit()), 300)

    with TemporaryDirectory() as home:
        os.environ["PONDER_HOME"] = str(Path(home))
        opened = open_session(Settings(), Choices(n_seqs=TRACES, room=2048))
        with opened.session.runner:
            if "wall" in wanted:
                single = open_session(Settings(), Choices())
                with single.session.runner:
                    wall(opened.session, single.session, opened.sampling)
            if "answers" in wanted:
                answers(opened.session, opened.sampling, count)


if __name__ == "__main__":
    main(sys.argv[1:])
