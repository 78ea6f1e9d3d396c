"""What replay says of a rule is what happens live: token for token, look for look.

On the built-in model, one trace at a time, each run in a context of its own that has read the same
prompts before: the shape of a batch and the cells of the cache decide the last bits of a logit.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from statistics import median

import pytest

from evaluation.traces.banks import header
from ponder.assembly import Assembled, Choices, open_session
from ponder.equality import Comparer
from ponder.evaluation.items import Item
from ponder.evaluation.questions import questions
from ponder.evaluation.traces.form import Bank, Recorded
from ponder.evaluation.traces.judging import Judged, judged
from ponder.evaluation.traces.recording import Looks, Recorder, Task, tasks
from ponder.evaluation.traces.replaying import obeying, seen
from ponder.events import Finished
from ponder.settings import EngineSettings, Settings
from ponder.thinking.stopping import parse
from ponder.types import Budget, BudgetChange, Figures, Finish, Trace

ASKED = 4
LONGEST = 256
BUDGET = Budget(max_answer=LONGEST, answer_reserve=LONGEST)


@contextmanager
def opened() -> Iterator[Assembled]:
    held = open_session(
        Settings(engine=EngineSettings(threads=1)), Choices("ponder-tiny", n_seqs=2)
    )
    with held.session.runner:
        yield held


def asked(held: Assembled) -> list[Task]:
    """Long ones: there is something to stop."""
    drawn = islice((q for q in questions(11, operations=(7, 8)) if not q.earlier), ASKED)
    items = [Item(str(at), q.text, q.answer) for at, q in enumerate(drawn)]
    return tasks(held.session, items, seeds=1, seed=5)


@pytest.fixture(scope="module")
def bank() -> list[Judged]:
    with opened() as held, Comparer() as comparer:
        protocol = held.session.runner.protocol
        recorder = Recorder(held.engine, protocol, held.sampling, Looks(), LONGEST)
        found = tuple(recorder.run(asked(held), at_once=1))
        return [traces[0] for traces in judged(Bank(header(), found), comparer)]


def live(held: Assembled, task: Task, rule: str) -> Trace:
    stream = held.session.runner.submit(
        task.prompt, replace(BUDGET, stop=rule), replace(held.sampling, seed=task.seed), task.boxed
    )
    (trace,) = (event.trace for event in stream if isinstance(event, Finished))
    return trace


def figures(recorded: Recorded, rule: str, at: int) -> Figures | None:
    """What the rule says at a sight, having seen what it would have seen before."""
    wanted = parse(rule)
    assert wanted is not None
    watcher, last, told = wanted.begin(), 0, None
    for sight in recorded.sights[: at + 1]:
        if sight.sentence and sight.think - last >= wanted.every:
            last, told = sight.think, watcher.see(seen(sight, wanted.needs))
    return told


@pytest.mark.parametrize("kind", ["margin", "entropy", "converged", "confident"])
def test_replay_equals_live(bank: list[Judged], kind: str) -> None:
    looks = [s for one in bank for s in one.trace.sights if s.sentence and not s.ends]
    # Thresholds that some looks are within, whatever weights there are.
    rule = {
        "margin": f"margin:{median(s.margin for s in looks if s.margin is not None)!r},every=4",
        "entropy": "entropy:1000,timescale=2,every=1",
        "converged": "converged:2,every=8",
        "confident": f"confident:{median(s.trial.confidence for s in looks)!r},every=16",
    }[kind]
    wanted = parse(rule)
    assert wanted is not None
    stops = 0
    with opened() as held:
        cut = held.session.runner.protocol.cut_ids
        for task, recorded in zip(asked(held), bank, strict=True):
            outcome, trace = obeying(wanted)(recorded), live(held, task, rule)
            whole = recorded.trace
            assert trace.usage.probe + (trace.usage.wasted if outcome.at is not None else 0) == (
                outcome.probe
            )
            if outcome.at is None:
                assert trace.tokens == whole.tokens
                assert trace.finish is whole.finish is Finish.CLOSED
                continue
            stops += 1
            assert trace.finish is Finish.CONVERGED
            assert trace.usage.think == outcome.think
            assert trace.tokens[: outcome.think] == whole.tokens[: outcome.think]
            assert trace.tokens[outcome.think :][: len(cut)] == cut
            (event,) = (e for e in trace.budget_events if e.change is BudgetChange.CONVERGED)
            assert event.at == outcome.think
            # To the last bit.
            assert event.figures == figures(whole, rule, outcome.at)
    assert stops, f"{rule} never fires on these questions: nothing was compared"
