"""Ending a thought early, on real weights: each rule sees something, stops, and the answer follows.

What is left alone must not be touched: a trace that is looked at says, token by token, what it
says without, up to where it is ended; and every token that was decoded is in the ledger.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from pathlib import Path

import pytest

from ponder.catalogue import catalogue
from ponder.engines.llama import LlamaConfig, LlamaEngine
from ponder.equality.forms import normal
from ponder.evaluation.questions import questions
from ponder.events import Finished
from ponder.runner import Runner
from ponder.thinking.planning import Request
from ponder.thinking.protocol import resolve
from ponder.thinking.scheduler import Scheduler
from ponder.types import AnswerEnd, Budget, BudgetChange, Chunk, Finish, Sampling, Seq, Trace

WORDS = [question.text for question in islice(questions(23, operations=range(5, 9)), 12)]
RULES = {
    "margin:12": {"margin", "at_most"},
    "entropy:0.5,timescale=2,every=4": {"entropy", "mean", "variance", "below", "looks"},
    "converged:2,every=8": {"agreed", "since", "confidence"},
    "confident:0.6,every=8": {"confidence", "at_least"},
}


class Counted(LlamaEngine):
    """Counts the tokens that are sampled and those that are fed."""

    worked = 0

    def feed(self, seq: Seq, tokens: tuple[int, ...], replace_pending: bool = False) -> None:
        super().feed(seq, tokens, replace_pending)
        self.worked += len(tokens)

    def step(self, grants: Mapping[Seq, int]) -> list[Chunk]:
        chunks = super().step(grants)
        self.worked += sum(len(chunk.tokens) for chunk in chunks)
        return chunks


def prompt(engine: LlamaEngine, text: str) -> tuple[int, ...]:
    asked = f"<｜begin▁of▁sentence｜><｜User｜>{text}<｜Assistant｜><think>\n"
    return tuple(engine.vocab.encode(asked, special=True))


def ask(path: Path, stop: str, text: str, seed: int) -> tuple[Trace, Counted]:
    """One question to an engine of its own: where cells lie decides the last bits of a logit."""
    engine = Counted(path, LlamaConfig(n_ctx=1024, threads=2, slice_size=512))
    try:
        protocol = resolve(catalogue().dialect("tiny"), engine.vocab)
        scheduler = Scheduler(engine, protocol, normal=normal)
        budget = Budget(stop=stop)
        scheduler.submit(Request(1, prompt(engine, text), budget, Sampling(seed=seed)))
        found: list[Trace] = []
        now = 0.0
        while grants := scheduler.schedule(now):
            now += 0.01
            events = scheduler.observe(engine.step(grants), now)
            found += [event.trace for event in events if isinstance(event, Finished)]
        assert scheduler.ledger.free == engine.capacity
        assert not engine._seqs
    finally:
        engine.shutdown()
    return found[0], engine


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_stops_early_and_the_answer_follows(builtin: Path, rule: str) -> None:
    for seed, text in enumerate(WORDS):
        early, engine = ask(builtin, rule, text, seed)
        usage = early.usage
        decoded = usage.think + usage.forced + usage.answer + usage.wasted + usage.probe
        assert decoded == engine.worked
        assert early.answer
        if early.finish is Finish.CONVERGED:
            break
    whole, _ = ask(builtin, "off", text, seed)
    assert early.tokens[: usage.think] == whole.tokens[: usage.think]
    assert usage.think < whole.usage.think
    (event,) = early.budget_events
    assert (event.change, event.at) == (BudgetChange.CONVERGED, usage.think)
    assert set(event.figures) == RULES[rule]
    assert early.answer_end is AnswerEnd.STOP
    assert bool(usage.probe) != rule.startswith("margin")


def test_all_rules_together(builtin: Path) -> None:
    """Traces and their forks in one context, whatever finds no room or time left aside."""
    engine = LlamaEngine(builtin, LlamaConfig(n_ctx=512, n_seqs=3, threads=2))
    protocol = resolve(catalogue().dialect("tiny"), engine.vocab)
    with Runner(engine, protocol) as runner:
        streams = [
            runner.submit(
                prompt(engine, text), Budget(stop=rule, max_answer=60), Sampling(seed=seed)
            )
            for seed, (text, rule) in enumerate(zip(WORDS, [*RULES, "off"] * 2, strict=False))
        ]
        traces = [event.trace for s in streams for event in s if isinstance(event, Finished)]
        assert not engine._seqs
        assert runner.scheduler.ledger.free == engine.capacity
    assert len(traces) == 10
    assert all(trace.answer and trace.tokens.count(protocol.end_id or 0) == 1 for trace in traces)
    assert sum(trace.usage.probe > 0 for trace in traces) >= 4
