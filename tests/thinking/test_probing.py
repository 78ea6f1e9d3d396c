"""Looks at thoughts while they run: where they fall, what they cost, and what may come in between.

The promises of test_invariants.py hold with any rule, for any model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adversary import (
    DIALECTS,
    VOCAB,
    Adversary,
    adversaries,
    drive,
    keeps_its_promises,
    prompts,
    timed_budgets,
)
from ponder.dialect import Dialect
from ponder.engines.replay import ReplayEngine, Script, Signal
from ponder.events import Event, Finished
from ponder.thinking.ledger import Account
from ponder.thinking.lengths import LengthModel
from ponder.thinking.planning import Request
from ponder.thinking.pool import Terms
from ponder.thinking.probing import LONGEST
from ponder.thinking.protocol import ThinkProtocol, resolve
from ponder.thinking.purse import Purse
from ponder.thinking.scheduler import Scheduler
from ponder.types import AnswerEnd, Budget, BudgetChange, Chunk, Finish, Sampling, Seq, Trace
from scripted import SPELLED, TAGGED

END = VOCAB.encode("</think>", special=True)[0]
EOS = 257
RULES = (
    "margin:3,every=1",
    "entropy:0.5,timescale=2,every=5",
    "converged:2,every=8",
    "confident:0.5,every=10",
)


def moods(tokens: Sequence[int], prompt: int, seed: int) -> Signal:
    """Signals that swing, a pure function of what was said."""
    swing = (len(tokens) * 7 + tokens[-1] + seed) % 11
    return Signal(-swing / 5, swing / 3, swing)


class Counting(ReplayEngine):
    """Counts what it decodes beyond the prompt: what is forced, and what is sampled."""

    work = 0

    def feed(self, seq: Seq, tokens: tuple[int, ...], replace_pending: bool = False) -> None:
        super().feed(seq, tokens, replace_pending)
        self.work += len(tokens)

    def step(self, grants: Mapping[Seq, int]) -> list[Chunk]:
        chunks = super().step(grants)
        self.work += sum(len(chunk.tokens) for chunk in chunks)
        assert all(len(sequence.tokens) <= self.n_ctx for sequence in self._seqs.values())
        return chunks


def engine_of(script: Script, n_ctx: int = 400, n_seqs: int = 1, burst: int = 1) -> Counting:
    return Counting(VOCAB, script, n_ctx, n_seqs, burst, feeling=moods)


def ask(
    script: Script,
    budget: Budget,
    dialect: Dialect = TAGGED,
    prompt: tuple[int, ...] = (256, 120),
    burst: int = 1,
    boxed: bool = False,
) -> tuple[Trace, ThinkProtocol, Counting]:
    protocol = resolve(dialect, VOCAB)
    engine = engine_of(script, burst=burst)
    scheduler = Scheduler(engine, protocol)
    scheduler.submit(Request(1, prompt, budget, Sampling(seed=7), boxed))
    (trace,) = [e.trace for e in drive(engine, scheduler) if isinstance(e, Finished)]
    assert scheduler.ledger.free == engine.capacity
    assert not engine._seqs
    return trace, protocol, engine


@settings(max_examples=250, deadline=None)
@given(
    adversaries,
    st.sampled_from(DIALECTS),
    timed_budgets,
    st.sampled_from(RULES),
    prompts,
    st.integers(1, 4),
    st.booleans(),
)
def test_any_model_keeps_every_promise_with_any_rule(
    adversary: Adversary,
    dialect: Dialect,
    budget: Budget,
    rule: str,
    prompt: tuple[int, ...],
    burst: int,
    boxed: bool,
) -> None:
    budget = replace(budget, stop=rule)
    trace, protocol, engine = ask(adversary, budget, dialect, prompt, burst, boxed)
    keeps_its_promises(trace, protocol, budget)
    usage = trace.usage
    total = usage.think + usage.answer + usage.forced + usage.wasted + usage.probe
    # I6: what a step brings beyond the end of the answer is nobody's.
    assert engine.work - burst < total <= engine.work
    stops = [e for e in trace.budget_events if e.change is BudgetChange.CONVERGED]
    assert bool(stops) == (trace.finish is Finish.CONVERGED) or usage.think > stops[0].at
    for stop in stops:
        assert stop.at >= budget.floor
        assert stop.figures
    if rule.startswith("margin"):
        assert usage.probe == 0


@settings(max_examples=150, deadline=None)
@given(adversaries, st.sampled_from(DIALECTS[:3]), st.sampled_from(RULES), st.integers(1, 4))
def test_an_early_end_is_a_prefix_of_the_whole_thought(
    adversary: Adversary, dialect: Dialect, rule: str, burst: int
) -> None:
    early, _, _ = ask(adversary, Budget(cap=120, stop=rule), dialect, burst=burst)
    whole, _, _ = ask(adversary, Budget(cap=120), dialect)
    thought = early.usage.think
    if early.finish is Finish.CONVERGED and early.forced.index(True) == thought:
        assert early.tokens[:thought] == whole.tokens[:thought]
    # However many tokens a step brings, it ends at the same place.
    one, _, _ = ask(adversary, Budget(cap=120, stop=rule), dialect)
    assert one.tokens == early.tokens


@settings(max_examples=80, deadline=None)
@given(adversaries, st.sampled_from(RULES), st.sampled_from(RULES), st.integers(1, 3))
def test_company_changes_no_look(adversary: Adversary, one: str, other: str, n_seqs: int) -> None:
    protocol = resolve(TAGGED, VOCAB)
    requests = [
        Request(1, (256, 120), Budget(cap=100, stop=one), Sampling(seed=1)),
        Request(2, (256, 121), Budget(cap=100, stop=other), Sampling(seed=2)),
    ]
    runs = []
    for together in ([requests[0]], [requests[1]], requests):
        engine = engine_of(adversary, n_seqs=n_seqs)
        scheduler = Scheduler(engine, protocol)
        scheduler.submit_together(together)
        events = drive(engine, scheduler)
        runs += sorted(
            (e.question, e.trace.tokens, e.trace.usage.probe)
            for e in events
            if isinstance(e, Finished)
        )
    assert runs[:2] == runs[2:]


@settings(max_examples=200, deadline=None)
@given(
    adversaries,
    st.sampled_from(RULES),
    st.integers(1, 3),
    st.lists(
        st.tuples(st.integers(1, 40), st.sampled_from(["now", "extend", "wait", "cancel"])),
        min_size=1,
        max_size=4,
    ),
)
def test_whatever_is_asked_while_a_probe_runs(
    adversary: Adversary, rule: str, burst: int, asked: list[tuple[int, str]]
) -> None:
    protocol = resolve(TAGGED, VOCAB)
    engine = engine_of(adversary, burst=burst)
    scheduler = Scheduler(engine, protocol)
    budget = Budget(cap=100, stop=rule, max_answer=60)
    scheduler.submit(Request(1, (256, 120), budget, Sampling(seed=7)))
    events, cancelled = [], False
    for steps, what in asked:
        events += drive(engine, scheduler, steps)
        match what:
            case "now":
                scheduler.answer_now(1)
            case "extend":
                scheduler.extend(1, 20)
            case "wait":
                scheduler.wait(1)
            case _:
                cancelled = True
                scheduler.cancel(1)
    events += drive(engine, scheduler)
    (trace,) = [e.trace for e in events if isinstance(e, Finished)]
    assert scheduler.ledger.free == engine.capacity
    assert not engine._seqs
    if not cancelled:
        keeps_its_promises(trace, protocol, budget)


@settings(max_examples=80, deadline=None)
@given(
    adversaries,
    st.lists(st.sampled_from((*RULES, "off")), min_size=2, max_size=4),
    st.integers(0, 600),
    st.booleans(),
    st.booleans(),
    st.integers(1, 4),
)
def test_looks_beside_a_pool(
    adversary: Adversary,
    rules: list[str],
    tokens: int,
    one_question: bool,
    even: bool,
    burst: int,
) -> None:
    """Whatever a shared pool does to a thought that is looked at: paused, dropped, cut."""
    engine = engine_of(adversary, n_seqs=4, burst=burst)
    scheduler = Scheduler(engine, resolve(TAGGED, VOCAB))
    purse = Purse(tokens, LengthModel()) if one_question else None
    if not one_question:
        scheduler.sharing.agree(Terms(tokens=tokens, even=even), 0.0)
    scheduler.submit_together(
        [
            Request(at, (256, 120), Budget(cap=100, stop=rule), Sampling(seed=at), purse=purse)
            for at, rule in enumerate(rules)
        ]
    )
    traces = [e.trace for e in drive(engine, scheduler) if isinstance(e, Finished)]
    assert len(traces) == len(rules)
    assert scheduler.ledger.free == engine.capacity
    assert not engine._seqs
    # Looks are paid from what is shared, like the thoughts that they look at.
    used = sum(trace.usage.think + trace.usage.probe for trace in traces)
    assert used <= tokens
    if purse is None:
        assert scheduler.sharing.pool.left == tokens - used
    assert all(trace.answer or trace.answer_end is AnswerEnd.DROPPED for trace in traces)


# -- where it looks, and what it sees ----------------------------------------------------------


def script(probed: Sequence[bytes], thought: bytes = b"so it is \n") -> Script:
    """Thinks in one sentence again and again; answers a probe as listed, then the question.

    The nth sentence is followed by the nth answer, when the thinking is ended there.
    """

    def said(tokens: Sequence[int], prompt: int, _seed: int) -> int:
        after = list(tokens[prompt:])
        if END not in after:
            return thought[len(after) % len(thought)]
        at = after.index(END)
        sentences = bytes(t for t in after[:at] if t < 256).count(thought)
        box = bytes(t for t in after[at + 1 :] if t < 256).rpartition(b"\\boxed{")
        if not box[1]:
            return b"It is \\boxed{"[len(after) - at - 3] if len(after) - at - 3 < 13 else EOS
        answer = probed[min(sentences, len(probed)) - 1]
        return answer[len(box[2])] if len(box[2]) < len(answer) else EOS

    return said


def test_a_probe_is_led_to_its_answer_and_ends_with_the_box() -> None:
    answers = [b"1}", b"2}", b"2 }", b"2}", b"2}"]
    trace, protocol, _ = ask(script(answers), Budget(stop="converged:3,every=1"))
    assert trace.finish is Finish.CONVERGED
    assert trace.thought.startswith("so it is \n" * 4 + "\n\nTime is up.")
    # Four looks, each at the end of a sentence; the last three agreed.
    (event,) = trace.budget_events
    assert (event.change, event.at) == (BudgetChange.CONVERGED, 40)
    assert event.figures["agreed"] == 3
    assert event.figures["since"] == 20
    words = len(protocol.cut_ids) + len(protocol.lead(boxed=True))
    assert trace.usage.probe == 4 * words + 2 + 2 + 3 + 2
    assert trace.usage.think == 40
    assert "2" in trace.answer


def test_a_probe_that_does_not_come_to_an_end_is_no_answer() -> None:
    trace, protocol, _ = ask(script([b"x" * 99]), Budget(cap=60, stop="converged:2,every=1"))
    assert trace.finish is Finish.CAP
    words = len(protocol.cut_ids) + len(protocol.lead(boxed=True))
    assert trace.usage.probe == 5 * (words + LONGEST)


def test_looks_are_as_far_apart_as_the_rule_says_and_begin_at_the_floor() -> None:
    answers = [b"1}"]
    words = len(resolve(TAGGED, VOCAB).cut_ids)
    for every, floor, at in ((1, 0, 20), (11, 0, 40), (1, 35, 50), (25, 0, 60)):
        budget = Budget(stop=f"converged:2,every={every}", floor=floor)
        trace, _, _ = ask(script(answers), budget)
        assert (trace.usage.think, trace.finish) == (at, Finish.CONVERGED)
        assert trace.usage.probe > 2 * words


def test_answers_are_compared_in_their_normal_form() -> None:
    answers = [b"one}", b"ONE}", b"One}"]
    protocol = resolve(TAGGED, VOCAB)
    ended = []
    for normal in (str.strip, str.lower):
        engine = engine_of(script(answers))
        scheduler = Scheduler(engine, protocol, normal=normal)
        budget = Budget(cap=50, stop="converged:3,every=1")
        scheduler.submit(Request(1, (256, 120), budget, Sampling()))
        ended += [e.trace for e in drive(engine, scheduler) if isinstance(e, Finished)]
    assert [trace.usage.think for trace in ended] == [50, 30]


def test_a_wait_that_was_asked_for_comes_before_any_rule() -> None:
    engine = engine_of(script([b"1}"]))
    scheduler = Scheduler(engine, resolve(TAGGED, VOCAB))
    budget = Budget(cap=50, stop="converged:2,every=1")
    scheduler.submit(Request(1, (256, 120), budget, Sampling()))
    scheduler.wait(1)
    (trace,) = [e.trace for e in drive(engine, scheduler) if isinstance(e, Finished)]
    assert (trace.usage.think, trace.finish) == (50, Finish.CAP)


@pytest.mark.parametrize("burst", [1, 3])
def test_an_answer_that_is_asked_for_ends_a_probe_at_once(burst: int) -> None:
    engine = engine_of(script([b"1}"]), burst=burst)
    protocol = resolve(TAGGED, VOCAB)
    scheduler = Scheduler(engine, protocol)
    budget = Budget(stop="converged:9,every=8", max_answer=40)
    scheduler.submit(Request(1, (256, 120), budget, Sampling()))
    events: list[Event] = []
    now = 0.0
    while len(engine._seqs) < 2:
        now += 0.004
        events += scheduler.observe(engine.step(scheduler.schedule(now)), now)
    scheduler.answer_now(1)
    scheduler.schedule(now)
    assert len(engine._seqs) == 1
    events += drive(engine, scheduler, now=now)
    (trace,) = [e.trace for e in events if isinstance(e, Finished)]
    keeps_its_promises(trace, protocol, budget)
    assert (trace.finish, trace.usage.think) == (Finish.USER, 10)
    assert [e.change for e in trace.budget_events] == [BudgetChange.ANSWER_NOW]


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_that_the_engine_cannot_serve_steps_aside(rule: str) -> None:
    engine = ReplayEngine(VOCAB, Adversary(("words",), 0), n_ctx=400)
    scheduler = Scheduler(engine, resolve(TAGGED, VOCAB))
    scheduler.submit(Request(1, (256, 120), Budget(cap=60, stop=rule), Sampling()))
    (trace,) = [e.trace for e in drive(engine, scheduler) if isinstance(e, Finished)]
    # Answers can be compared without any signals.
    assert (trace.usage.probe > 0) == ("con" in rule)
    assert (trace.finish is Finish.CAP) or rule.startswith("converged")


def test_margins_are_not_told_of_ends_that_are_spelled() -> None:
    trace, _, _ = ask(Adversary(("words",), 0), Budget(cap=60, stop="margin:99"), SPELLED)
    assert trace.finish is Finish.CAP


def test_a_margin_costs_the_token_that_told_it() -> None:
    trace, _, _ = ask(Adversary(("words",), 0), Budget(cap=60, stop="margin:99"))
    assert trace.finish is Finish.CONVERGED
    assert (trace.usage.wasted, trace.usage.probe) == (1, 0)
    assert trace.budget_events[0].figures["margin"] <= 99


def test_there_is_no_look_without_the_time_for_it() -> None:
    answers = [b"1}", b"2}"]
    protocol = resolve(TAGGED, VOCAB)
    probed = []
    for within in (0.3, 3.0):
        engine = engine_of(script(answers))
        scheduler = Scheduler(engine, protocol)
        budget = Budget(stop="confident:1,every=1", within=within, answer_reserve=8)
        # A step takes 4 ms: the first question teaches that.
        scheduler.submit(Request(1, (256, 120), Budget(cap=300), Sampling()), 0.0)
        drive(engine, scheduler)
        scheduler.submit(Request(2, (256, 120), budget, Sampling()), 10.0)
        (trace,) = [e.trace for e in drive(engine, scheduler, now=10.0) if isinstance(e, Finished)]
        assert trace.usage.seconds <= within + 0.004
        probed.append(trace.usage.probe)
    assert probed[0] < probed[1] / 5


def test_a_failure_leaves_no_fork_behind() -> None:
    engine = engine_of(script([b"1}"]))
    scheduler = Scheduler(engine, resolve(TAGGED, VOCAB))
    scheduler.submit(Request(1, (256, 120), Budget(stop="converged:9,every=1"), Sampling()))
    drive(engine, scheduler, 11)
    assert len(engine._seqs) == 2
    assert scheduler.ledger.spent(1, Account.PROBE)
    scheduler.abandon()
    assert not engine._seqs
    assert not scheduler.schedule(1.0)
