"""Asks a model questions under conditions, many at once, and says who was right.

Knows sessions, traces and answers. Which questions and conditions, and where results go, is the
caller's business; so is what they come to.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from queue import SimpleQueue

from ponder.equality import Comparer, read_answer
from ponder.errors import PonderError, PromptTooLong
from ponder.evaluation.comparison.reasoning import loops
from ponder.evaluation.conditions import Condition
from ponder.evaluation.items import Item
from ponder.evaluation.journal import Key, Result, Results
from ponder.events import Finished
from ponder.poll import Polled
from ponder.polling import Polling, Terms
from ponder.runner import Stream
from ponder.session import Session
from ponder.thinking.protocol import ThinkProtocol
from ponder.types import Budget, Sampling, Trace

_AHEAD = 2
"""Questions that are handed over for each that the engine can hold: none of its places idles."""


@dataclass(frozen=True, slots=True)
class Asking:
    """One question that is to be asked once."""

    item: Item
    condition: Condition
    sample: int
    seed: int

    @property
    def key(self) -> Key:
        """What its result will be the result of."""
        return Key(self.condition.name, self.item.key, self.sample)


def askings(items: Sequence[Item], condition: Condition, seed: int) -> list[Asking]:
    """Every question, every sample. The same seeds under every condition, so that they pair."""
    return [
        Asking(item, condition, sample, (seed + at * 1009 + sample) % 2**31)
        for at, item in enumerate(items)
        for sample in range(condition.samples)
    ]


def measure(
    session: Session,
    items: Sequence[Item],
    asked: Sequence[Condition],
    results: Results,
    base: Budget,
    sampling: Sampling,
    comparer: Comparer,
    seed: int = 0,
    thoughts: bool = False,
    tell: Callable[[int, int], None] = lambda _done, _of: None,
    enough: Callable[[], bool] = lambda: False,
) -> None:
    """Ask every question under every condition, one condition after the other.

    What is known already is not asked again.

    Args:
        session: with the model, and nothing said in it but a system prompt.
        items: what to ask.
        asked: under which conditions.
        results: what is known; what comes is added.
        base: what holds for every condition.
        sampling: the same.
        comparer: says whether an answer is the key.
        seed: of the first question; each sample has its own.
        thoughts: keep the thinking's text.
        tell: told (results, of how many).
        enough: whether nothing more is to be asked.

    Raises:
        PonderError: the engine failed, or a budget cannot be had.
    """
    every = {condition: askings(items, condition, seed) for condition in asked}
    of = sum(map(len, every.values()))
    done = sum(one.key in results.results for askings in every.values() for one in askings)
    tell(done, of)
    runner = session.runner
    for condition, wanted in every.items():
        left = [one for one in wanted if one.key not in results.results]
        if not left or enough():
            continue
        budget = condition.budget(base, runner.engine.n_ctx, runner.learned.thinking)
        if budget.thinking:
            budget = replace(budget, cap=results.pin(condition.name, budget.cap))
        else:
            results.pin(condition.name, 0)
        for result in ask(session, left, budget, sampling, comparer, thoughts, enough):
            results.add(result)
            done += 1
            tell(done, of)


def ask(
    session: Session,
    asked: Sequence[Asking],
    budget: Budget,
    sampling: Sampling,
    comparer: Comparer,
    thoughts: bool = False,
    enough: Callable[[], bool] = lambda: False,
) -> Iterator[Result]:
    """Ask, and give each result as it comes, in the order in which they end.

    Args:
        session: with the model, and nothing said in it but a system prompt.
        asked: under one condition.
        budget: of each.
        sampling: of each; its seed is not used.
        comparer: says whether an answer is the key.
        thoughts: keep the thinking's text.
        enough: whether nothing more is to be asked; what runs then is cancelled and not told.

    Raises:
        PonderError: the engine failed, or a budget cannot be had.
    """
    if asked and asked[0].condition.traces > 1:
        yield from _polled(session, asked, budget, sampling, comparer, thoughts, enough)
        return
    # A deadline counts from the asking: nobody may wait for a place.
    places = session.runner.engine.n_seqs * (1 if budget.within is not None else _AHEAD)
    bell: SimpleQueue[int] = SimpleQueue()
    waiting = list(enumerate(asked))[::-1]
    running: dict[int, tuple[Asking, Stream]] = {}
    try:
        while (waiting or running) and not enough():
            while waiting and len(running) < places:
                at, one = waiting.pop()
                try:
                    running[at] = one, _submitted(session, one, budget, sampling, bell, at)
                except PromptTooLong as error:
                    yield _refused(one, error)
            if running and (result := _next(session, running, bell, comparer, thoughts)):
                yield result
    finally:
        for _, stream in running.values():
            stream.cancel()
        for _, stream in running.values():
            # What was cancelled is over before anything else is asked.
            with suppress(PonderError):
                for _ in stream:
                    pass


def _submitted(
    session: Session,
    one: Asking,
    budget: Budget,
    sampling: Sampling,
    bell: SimpleQueue[int],
    at: int,
) -> Stream:
    messages = [*session.messages, *one.item.messages]
    boxed = any("\\boxed" in m.content for m in messages if m.role == "system")
    stream = session.runner.submit(
        session.prompt(messages),
        budget,
        replace(one.condition.sampling(sampling), seed=one.seed),
        boxed or "\\boxed" in one.item.text,
    )
    # At once, and as often: who reads events reads them too late for the next end.
    for _ in range(one.condition.waits):
        stream.wait()
    stream.on_event = lambda: bell.put(at)
    # For what was told before there was a bell.
    bell.put(at)
    return stream


def _next(
    session: Session,
    running: dict[int, tuple[Asking, Stream]],
    bell: SimpleQueue[int],
    comparer: Comparer,
    thoughts: bool,
) -> Result | None:
    """Wait for something to happen; the result, if a question came to its end."""
    found = running.get(at := bell.get())
    if found is None:
        return None
    one, stream = found
    while stream.ready():
        event = next(stream)
        if isinstance(event, Finished):
            del running[at]
            return judged(one, event.trace, session.runner.protocol, comparer, thoughts)
    return None


def _polled(
    session: Session,
    asked: Sequence[Asking],
    budget: Budget,
    sampling: Sampling,
    comparer: Comparer,
    thoughts: bool,
    enough: Callable[[], bool],
) -> Iterator[Result]:
    """The same with votes: as many questions at once as the engine holds the traces of."""
    runner = session.runner
    waiting = list(asked)[::-1]
    running: deque[tuple[Asking, Polling]] = deque()
    terms = Terms(asked[0].condition.traces)
    try:
        while (waiting or running) and not enough():
            while waiting and len(running) < max(1, runner.engine.n_seqs // terms.traces):
                one = waiting.pop()
                own = Session(runner, session.template, adapters=session.adapters)
                own.messages = [*session.messages, *one.item.earlier]
                seeded = replace(one.condition.sampling(sampling), seed=one.seed)
                try:
                    running.append((one, Polling(own, one.item.text, budget, seeded, terms)))
                except PromptTooLong as error:
                    yield _refused(one, error)
            if not running:
                continue
            one, polling = running[0]
            winner = next(e.poll.winner for e in polling if isinstance(e, Polled))
            running.popleft()
            traces = polling.traces
            told = (traces[winner or 1], traces.values())
            yield _result(one, *told, runner.protocol, comparer, thoughts)
    finally:
        for _, polling in running:
            polling.cancel()
        for _, polling in running:
            with suppress(PonderError):
                for _ in polling:
                    pass


def judged(
    one: Asking, trace: Trace, protocol: ThinkProtocol, comparer: Comparer, thoughts: bool = False
) -> Result:
    """What became of one question."""
    return _result(one, trace, (trace,), protocol, comparer, thoughts)


def _result(
    one: Asking,
    trace: Trace,
    every: Iterable[Trace],
    protocol: ThinkProtocol,
    comparer: Comparer,
    thoughts: bool,
) -> Result:
    """What became of one question: the answer is one trace's, the tokens are those of all."""
    answer, used = read_answer(trace.answer), [other.usage for other in every]
    over = [t.usage.think - t.budget for t in every if t.budget is not None]
    return Result(
        condition=one.condition.name,
        item=one.item.key,
        sample=one.sample,
        seed=one.seed,
        answer=answer,
        right=one.item.answer is not None and comparer.same(answer, one.item.answer),
        finish=str(trace.finish),
        answer_end=str(trace.answer_end),
        budget=trace.budget,
        over=max([0, *over]),
        think=sum(u.think for u in used),
        forced=sum(u.forced for u in used),
        probe=sum(u.probe for u in used),
        wasted=sum(u.wasted for u in used),
        answer_tokens=sum(u.answer for u in used),
        seconds=round(max(u.seconds for u in used), 4),
        closed=_closed(trace, protocol),
        answered=bool(trace.answer),
        loops=loops(trace.tokens),
        text=trace.answer,
        thought=trace.thought if thoughts else "",
    )


def _closed(trace: Trace, protocol: ThinkProtocol) -> bool:
    if trace.budget is None or not protocol.thinks:
        return True
    if protocol.end_id is not None:
        return protocol.end_id in trace.tokens
    return protocol.end_text in b"".join(map(protocol.vocab.piece, trace.tokens))


def _refused(one: Asking, error: PromptTooLong) -> Result:
    return Result(
        condition=one.condition.name,
        item=one.item.key,
        sample=one.sample,
        seed=one.seed,
        refused=error.message,
    )
