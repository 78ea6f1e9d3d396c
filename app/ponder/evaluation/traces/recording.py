"""Records traces, many at once: the whole thought, and what it would have answered on its way.

Knows the engine's seam and the scheduler. The scheduler runs the traces as it always does, with no
budget but the context; between it and the engine, a thought is held back while forks of it are
asked for an answer. Forks and thoughts share their batches. What stopping would have brought is
`replaying`'s business.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count

from msgspec import structs

from ponder.engines.base import Engine
from ponder.errors import UnsupportedModel
from ponder.evaluation.conditions import Condition
from ponder.evaluation.items import Item
from ponder.evaluation.measuring import askings
from ponder.evaluation.traces.form import Recorded, Sight, Trial
from ponder.events import Closed, Finished, Started
from ponder.session import Session
from ponder.thinking import landing
from ponder.thinking.parser import TraceParser
from ponder.thinking.planning import Request
from ponder.thinking.probing import LONGEST
from ponder.thinking.protocol import ThinkProtocol
from ponder.thinking.scheduler import Scheduler
from ponder.thinking.stopping import box_end
from ponder.types import Budget, Chunk, Sampling, Seq, Trace

_GREEDY = Sampling(temperature=0)


@dataclass(frozen=True, slots=True)
class Task:
    """One trace to record."""

    question: int
    """Its number in the source."""
    id: str
    kind: str
    text: str
    key: str
    """The right answer."""
    prompt: tuple[int, ...]
    """As the template renders it."""
    boxed: bool
    """Whether the question asks for its answer in a box."""
    seed: int


@dataclass(frozen=True, slots=True)
class Looks:
    """Where a thought is looked at, and how closely."""

    every: int = 16
    """Thinking tokens; the end of a sentence is always looked at."""
    bare: bool = False
    """Whether it is also asked for an answer after nothing but the end of thinking."""


def tasks(session: Session, items: Sequence[Item], seeds: int, seed: int) -> list[Task]:
    """Every question with every seed; the seeds are those with which `ponder eval` asks."""
    found = []
    for at, one in enumerate(askings(items, Condition(samples=seeds), seed)):
        item = one.item
        messages = [*session.messages, *item.messages]
        found.append(
            Task(
                at // seeds,
                item.key,
                item.kind,
                item.text,
                item.answer or "",
                session.prompt(messages),
                any("\\boxed" in m.content for m in messages if m.role != "assistant"),
                one.seed,
            )
        )
    return found


class Recorder:
    """Records the traces of one model.

    Args:
        engine: nobody else may use it meanwhile. A trace takes two of its sequences, one of them
            for its forks.
        protocol: how its model thinks.
        sampling: how tokens are drawn; each task has its own seed.
        looks: where it is looked at.
        max_answer: tokens of an answer, at most.

    Raises:
        UnsupportedModel: this model does not think, or its thoughts cannot be forked.
    """

    def __init__(
        self,
        engine: Engine,
        protocol: ThinkProtocol,
        sampling: Sampling,
        looks: Looks,
        max_answer: int,
    ) -> None:
        able = engine.capabilities
        if not (protocol.thinks and able.fork and able.signals):
            raise UnsupportedModel(
                "Traces of this model cannot be recorded: it does not think, or its state cannot "
                "be forked.",
                "Choose another with --model.",
            )
        self._engine = engine
        self._protocol = protocol
        self._sampling = sampling
        self._looks = looks
        self._max_answer = max_answer
        self._lead = protocol.lead(boxed=True)
        margin = able.margin and protocol.end_id is not None
        self._watch = (protocol.end_id,) if margin and protocol.end_id is not None else ()
        self.tokens = 0
        """Sampled and forced so far."""

    def run(self, tasks: Iterable[Task], at_once: int) -> Iterator[Recorded]:
        """Record them; each is given as soon as it is complete.

        Traces of one question belong side by side: the later ones find its prompt read.

        Raises:
            InputError: a prompt does not fit into the context.
            EngineError: the engine failed.
        """
        run = _Run(_Hands(self._engine, self._watch, at_once), self._protocol)
        waiting = iter(tasks)
        try:
            while True:
                while len(run.asked) < at_once and (task := next(waiting, None)) is not None:
                    run.ask(task, self._request(task))
                grants = run.grants()
                if not grants:
                    return
                chunks = self._engine.step(grants)
                self.tokens += sum(len(chunk.tokens) for chunk in chunks)
                forks = {w.wanted: w for w in run.running.values() if w.look is not None}
                yield from run.observe([chunk for chunk in chunks if chunk.seq not in forks])
                for chunk in chunks:
                    if chunk.seq in forks:
                        _go_on(forks[chunk.seq], chunk)
                    elif chunk.tokens and chunk.seq in run.running:
                        self._read(run.running[chunk.seq], chunk)
        finally:
            run.abandon()

    def _request(self, task: Task) -> Request:
        budget = Budget(max_answer=self._max_answer, answer_reserve=self._max_answer)
        sampling = replace(self._sampling, seed=task.seed)
        return Request(0, task.prompt, budget, sampling, task.boxed, signals=True)

    def _read(self, watched: _Watched, chunk: Chunk) -> None:
        """Read a token of a thought; the gap that came with it is that of the place before."""
        last = watched.sights[-1] if watched.sights else None
        if chunk.gaps and last and last.think == watched.think and last.margin is None:
            ends = chunk.tokens[0] in self._protocol.marks
            watched.sights[-1] = structs.replace(last, margin=chunk.gaps[0][0], ends=ends)
        if not watched.thinks:
            return
        token, piece = chunk.tokens[0], chunk.pieces[0]
        watched.think += 1
        watched.tail = (watched.tail + piece)[-landing.TAIL :]
        watched.parser.push(token, piece)
        if watched.parser.held:
            return  # half an end tag is no place to stop at
        sentence = landing.ends(watched.tail, piece)
        if sentence or watched.think % self._looks.every == 0:
            watched.look = self._look(watched.seq, watched.think, sentence)
            watched.wanted = next(watched.look)

    def _look(self, seq: Seq, think: int, sentence: bool) -> Generator[Seq, Chunk, Sight]:
        """Look at a thought: its parent does not go on meanwhile."""
        words = self._protocol
        entropy = yield from self._feel(seq)
        trial = yield from self._try(seq, words.cut_ids)
        bare = (yield from self._try(seq, words.close_ids)) if self._looks.bare else None
        return Sight(
            think,
            trial,
            sentence=sentence,
            entropy=entropy,
            entropy_tokens=len(words.cut_ids) + 1,
            bare=bare,
        )

    def _feel(self, seq: Seq) -> Generator[Seq, Chunk, float]:
        """Cut a fork's thinking: how uncertain is what follows?"""
        fork = self._engine.fork(seq, _GREEDY, signals=True)
        try:
            self._feed(fork, self._protocol.cut_ids)
            return (yield from _token(fork)).entropies[0]
        finally:
            self._engine.close(fork)

    def _try(self, seq: Seq, ending: tuple[int, ...]) -> Generator[Seq, Chunk, Trial]:
        """End a fork's thinking with these words, lead it to its answer, and hear it."""
        words = (*ending, *self._lead)
        fork = self._engine.fork(seq, _GREEDY, signals=True)
        try:
            self._feed(fork, words)
            return (yield from self._hear(fork, len(words)))
        finally:
            self._engine.close(fork)

    def _hear(self, fork: Seq, forced: int) -> Generator[Seq, Chunk, Trial]:
        """An answer, until its box is closed."""
        said = b""
        logprobs: list[float] = []
        entropies: list[float] = []
        while len(logprobs) < LONGEST:
            chunk = yield from _token(fork)
            said += chunk.pieces[0]
            logprobs += chunk.logprobs
            entropies += chunk.entropies
            closed = box_end(said.decode("utf-8", "replace")) is not None
            if closed or chunk.tokens[0] in self._protocol.marks:
                break
        return Trial(
            said.decode("utf-8", "replace"),
            forced,
            len(logprobs),
            math.exp(math.fsum(logprobs) / len(logprobs)),
            entropies[0],
        )

    def _feed(self, seq: Seq, tokens: tuple[int, ...]) -> None:
        self.tokens += len(tokens)
        self._engine.feed(seq, tokens)


def _token(seq: Seq) -> Generator[Seq, Chunk, Chunk]:
    """The next token of a sequence, however many steps go by until its prompt is read."""
    while True:
        chunk = yield seq
        if chunk.tokens:
            return chunk


def _go_on(watched: _Watched, chunk: Chunk) -> None:
    """Give a look what its fork has said."""
    assert watched.look is not None
    try:
        watched.wanted = watched.look.send(chunk)
    except StopIteration as over:
        watched.sights.append(over.value)
        watched.look = None


@dataclass(slots=True)
class _Watched:
    """A trace that runs."""

    number: int
    seq: Seq
    parser: TraceParser
    thinks: bool
    """Whether its thinking goes on; what it thinks when it comes back to it is not looked at."""
    tail: bytes = b""
    think: int = 0
    sights: list[Sight] = field(default_factory=list)
    look: Generator[Seq, Chunk, Sight] | None = None
    """The look that it is held back for."""
    wanted: Seq = None
    """The fork that the look wants a token of."""


class _Hands:
    """The engine as the scheduler sees it: half of its sequences, and every end is watched."""

    def __init__(self, engine: Engine, watch: tuple[int, ...], n_seqs: int) -> None:
        self._engine = engine
        self._watch = watch
        self.n_ctx, self.capabilities = engine.n_ctx, engine.capabilities
        self.n_seqs = n_seqs
        self.capacity = engine.n_ctx * n_seqs
        self.opened: deque[Seq] = deque()
        """Those of which the scheduler has not yet said whose they are."""
        self.fork, self.feed = engine.fork, engine.feed
        self.rewind, self.close = engine.rewind, engine.close

    def open(
        self,
        tokens: tuple[int, ...],
        sampling: Sampling,
        watch: tuple[int, ...] = (),
        stop: tuple[int, ...] = (),
        signals: bool = False,
    ) -> Seq:
        """Begin a sequence."""
        seq = self._engine.open(tokens, sampling, self._watch or watch, stop, signals)
        self.opened.append(seq)
        return seq


class _Run:
    """The scheduler with its traces, and which of them is whose."""

    def __init__(self, hands: _Hands, protocol: ThinkProtocol) -> None:
        self._hands = hands
        self._protocol = protocol
        self._scheduler = Scheduler(hands, protocol)
        self._number = count(1)
        self.asked: dict[int, Task] = {}
        """What is not finished."""
        self.running: dict[Seq, _Watched] = {}

    def ask(self, task: Task, request: Request) -> None:
        """Hand it to the scheduler."""
        number = next(self._number)
        self.asked[number] = task
        self._scheduler.submit(replace(request, id=number))

    def grants(self) -> dict[Seq, int]:
        """One token for each; for who is looked at, its fork in its place."""
        found = dict.fromkeys(self._scheduler.schedule(time.monotonic()), 1)
        for watched in self.running.values():
            if watched.look is not None:
                del found[watched.seq]
                found[watched.wanted] = 1
        return found

    def observe(self, chunks: list[Chunk]) -> Iterator[Recorded]:
        """What became of the traces; those that are complete."""
        for event in self._scheduler.observe(chunks, time.monotonic()):
            match event:
                case Started(number, budget=budget):
                    seq, thinks = self._hands.opened.popleft(), budget is not None
                    parser = TraceParser(self._protocol, thinks)
                    self.running[seq] = _Watched(number, seq, parser, thinks)
                case Closed(number):
                    self._of(number).thinks = False
                case Finished(number, trace):
                    watched = self.running.pop(self._of(number).seq)
                    yield _recorded(self.asked.pop(number), watched.sights, trace)

    def _of(self, number: int) -> _Watched:
        return next(w for w in self.running.values() if w.number == number)

    def abandon(self) -> None:
        """Close everything; most often there is nothing left."""
        for watched in self.running.values():
            if watched.look is not None:
                watched.look.close()
        self._scheduler.abandon()


def _recorded(task: Task, sights: list[Sight], trace: Trace) -> Recorded:
    return Recorded(
        question=task.question,
        id=task.id,
        kind=task.kind,
        text=task.text,
        key=task.key,
        seed=task.seed,
        prompt=task.prompt,
        tokens=trace.tokens,
        forced=tuple(at for at, forced in enumerate(trace.forced) if forced),
        wasted=trace.usage.wasted,
        think=trace.usage.think,
        finish=trace.finish,
        confidence=trace.confidence,
        answer=trace.answer,
        answer_end=trace.answer_end,
        sights=tuple(sights),
    )
