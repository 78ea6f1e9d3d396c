"""A model that does whatever a model might, and what must hold all the same.

Its tokens are a pure function of what it said before, so that any run can be had again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from operator import and_

from hypothesis import strategies as st

from ponder.engines.replay import ByteVocabulary, ReplayEngine
from ponder.events import Event
from ponder.thinking.planning import LAST_RESORT
from ponder.thinking.protocol import ThinkProtocol
from ponder.thinking.scheduler import Scheduler
from ponder.types import AnswerEnd, Budget, BudgetChange, Finish, Trace
from scripted import LABELLED, PLAIN, SPELLED, TAGGED, TAGS

VOCAB = ByteVocabulary(TAGS)
TOKEN = {tag: 256 + at for at, tag in enumerate(TAGS)}
MOODS: dict[str, tuple[int, ...]] = {
    "words": tuple(b"word. \n"),
    "digits": tuple(b"42}"),
    "close": (TOKEN["</think>"],),
    "reopen": (TOKEN["<think>"],),
    "turn": (TOKEN["<|im_start|>"],),
    "eos": (TOKEN["<eos>"],),
    "half": tuple("é🙂".encode()),
    "tag text": tuple(b"[/think]"),
    "box": tuple(b"\\boxed{"),
    "blank": tuple(b" \n"),
}
DIALECTS = (TAGGED, SPELLED, LABELLED, PLAIN)


@dataclass(frozen=True)
class Adversary:
    """A model whose every token is a pure function of what stands before it."""

    moods: tuple[str, ...]
    salt: int

    def __call__(self, tokens: Sequence[int], prompt: int, seed: int) -> int:
        said = tokens[prompt:]
        key = f"{self.salt} {seed} {len(said)} {tuple(said[-3:])}".encode()
        roll = int.from_bytes(blake2b(key, digest_size=8).digest(), "big")
        mood = MOODS[self.moods[roll % len(self.moods)]]
        # Tags and characters are spelled on where they were begun.
        last = said[-1] if said else -1
        if last in mood and last != mood[-1]:
            return mood[mood.index(last) + 1]
        return mood[0] if len(mood) > 5 else mood[roll // 97 % len(mood)]


adversaries = st.builds(
    Adversary,
    st.lists(st.sampled_from(sorted(MOODS)), min_size=1, max_size=8).map(tuple),
    st.integers(0, 2**32),
)
budgets = st.builds(
    Budget,
    cap=st.none() | st.integers(0, 150),
    floor=st.integers(0, 60),
    thinking=st.booleans() | st.just(True),
    answer_reserve=st.integers(0, 300),
    max_answer=st.none() | st.integers(1, 200),
    landing=st.booleans(),
    loops=st.booleans(),
).filter(lambda b: b.cap is None or b.floor <= b.cap)
timed_budgets = st.builds(replace, budgets, within=st.none() | st.floats(0.01, 3))
"""A step takes 4 ms in `drive`."""
prompts = st.integers(1, 60).map(lambda n: (256, *b"x" * (n - 1)))


def drive(
    engine: ReplayEngine, scheduler: Scheduler, steps: int = 100_000, now: float = 0.0
) -> list[Event]:
    """Step until nothing is left to do, or so often; gives what was told."""
    events: list[Event] = []
    while steps and (grants := scheduler.schedule(now)):
        now += 0.004
        steps -= 1
        assert scheduler.ledger.free >= 0
        events += scheduler.observe(engine.step(grants), now)
    events += scheduler.observe((), now)
    return events


def keeps_its_promises(
    trace: Trace, protocol: ThinkProtocol, budget: Budget, n_ctx: int = 400
) -> None:
    """I1 to I6 of test_invariants.py, for a trace that nobody cancelled."""
    usage = trace.usage

    if trace.budget is None:
        assert usage.think == 0
        assert trace.finish in (Finish.OFF, Finish.NONE)
        assert [e.change for e in trace.budget_events] in (
            [*before, *after]
            for before in ([], [BudgetChange.UNTHINKING])
            for after in ([], [BudgetChange.LED])
        )
    else:
        assert usage.think <= trace.budget  # I1
        if budget.cap is not None:
            granted = sum(e.tokens for e in trace.budget_events)
            assert trace.budget <= max(budget.cap, usage.kept) + granted
        block = _block(trace, protocol)
        forced = block.count(True)
        written = sum(trace.user[: len(block)])
        # I2: what was sampled in the block,
        assert len(block) - forced - written <= trace.budget
        closing = max(len(protocol.cut_ids), len(protocol.close_ids))
        waits = [e.change for e in trace.budget_events].count(BudgetChange.WITHDRAWN)
        begun = [e.figures for e in trace.budget_events if e.change is BudgetChange.BEGUN]
        closing += sum(int(figures["forced"]) for figures in begun)
        assert forced <= closing + waits * len(protocol.wait_ids)  # and what was forced into it

    opened, closed = _blocks(trace, protocol, inside=trace.budget is not None)
    assert opened == closed  # I3
    assert trace.answer  # I4
    assert usage.prompt + len(trace.tokens) <= n_ctx  # I5: the last one stays pending
    spent = usage.think + usage.answer + usage.forced + usage.user
    assert spent == len(trace.tokens)  # I6
    assert (usage.forced, usage.user) == (sum(trace.forced), sum(trace.user))
    assert not any(map(and_, trace.forced, trace.user))
    assert usage.kept <= usage.think
    ends = {AnswerEnd.STOP, AnswerEnd.LIMIT, AnswerEnd.CONTEXT}
    assert trace.answer_end in (ends if budget.within is None else ends | {AnswerEnd.DEADLINE})
    assert (trace.finish is Finish.DEADLINE) <= (budget.within is not None)
    assert (trace.finish is Finish.LOOP) <= budget.loops
    if budget.max_answer is not None:
        assert usage.answer <= budget.max_answer + LAST_RESORT


def _block(trace: Trace, protocol: ThinkProtocol) -> list[bool]:
    """Whether each token of the first thinking block was forced, the end tag included."""
    said = b""
    for at, token in enumerate(trace.tokens):
        said += VOCAB.piece(token)
        ended = token == protocol.end_id or (protocol.end_text and protocol.end_text in said)
        if ended:
            return list(trace.forced[: at + 1])
    raise AssertionError("the block was never closed")


def _blocks(trace: Trace, protocol: ThinkProtocol, inside: bool) -> tuple[int, int]:
    """Thinking blocks that were opened, and that were closed."""
    opened, closed, said = int(inside), 0, b""
    for token in trace.tokens:
        said += VOCAB.piece(token)
        tag = token == protocol.end_id or (
            bool(protocol.end_text) and said.endswith(protocol.end_text)
        )
        if inside and tag:
            inside, closed, said = False, closed + 1, b""
        elif not inside and protocol.reopens(token):
            inside, opened, said = True, opened + 1, b""
    return opened, closed
