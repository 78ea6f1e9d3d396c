"""The one loop: schedule, step, observe, on one worker thread, for all questions.

Owns the engine and the scheduler; session, server and evaluation are its clients. Knows
threads and the clock, and neither text nor models.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import count
from queue import SimpleQueue
from typing import Protocol, Self

from ponder.engines.base import Engine
from ponder.equality.forms import normal
from ponder.errors import EngineError, PonderError
from ponder.events import Event, Finished
from ponder.thinking.beginning import Beginning
from ponder.thinking.learned import Learned
from ponder.thinking.planning import NOTHING, Request
from ponder.thinking.pool import Terms
from ponder.thinking.protocol import ThinkProtocol
from ponder.thinking.scheduler import Scheduler
from ponder.types import Budget, Sampling


class Listener(Protocol):
    """Who is told what happens to a question, by the worker."""

    def put(self, item: Event | PonderError) -> None:
        """Take what happened, before the next step is scheduled; an error is the last."""


class Stream(Iterator[Event]):
    """The events of one question, as they happen; ends after `Finished`.

    Raises, from `next`, whatever the engine died of.
    """

    def __init__(self, runner: Runner, question: int) -> None:
        self._runner = runner
        self.question = question
        self.queue: SimpleQueue[Event | PonderError] = SimpleQueue()
        self.on_event: Callable[[], None] | None = None
        """Called by the worker after each event, for callers that cannot wait in `next`. It
        holds up the decoding, so it should do no more than wake somebody."""
        self._over = False

    def __next__(self) -> Event:
        if self._over:
            raise StopIteration
        return self._taken(self.queue.get())

    def ready(self) -> bool:
        """Whether `next` would return, or raise, at once."""
        return self._over or not self.queue.empty()

    def put(self, item: Event | PonderError) -> None:
        """For the runner: tell the reader."""
        self.queue.put(item)
        bell = self.on_event  # read once: who waited may just be taking it away
        if bell is not None:
            bell()

    def _taken(self, item: Event | PonderError) -> Event:
        if isinstance(item, PonderError):
            self._over = True
            raise item
        self._over = isinstance(item, Finished)
        return item

    def cancel(self) -> None:
        """End the question where it stands; `Finished` still follows."""
        self._runner.cancel(self.question)

    def answer_now(self) -> None:
        """End its thinking; the answer follows."""
        self._runner.scheduler.answer_now(self.question)
        self._runner.wake()

    def extend(self, tokens: int) -> None:
        """Grant it more thinking."""
        self._runner.scheduler.extend(self.question, tokens)
        self._runner.wake()

    def wait(self) -> None:
        """Withdraw its next end of thinking: it becomes "Wait"."""
        self._runner.scheduler.wait(self.question)
        self._runner.wake()

    def hold(self) -> None:
        """Have it stand still, with all that it has; other questions go on."""
        self._runner.scheduler.hold(self.question)
        self._runner.wake()

    def go_on(self) -> None:
        """Have it go on, after it has stood still."""
        self._runner.scheduler.go_on(self.question)
        self._runner.wake()

    def hint(self, text: str) -> None:
        """Put a paragraph into its thinking, where the next sentence ends.

        Raises:
            InputError: it holds the model's own end of thinking.
        """
        self._runner.scheduler.hint(self.question, self._runner.protocol.paragraph(text))
        self._runner.wake()


class Runner:
    """Runs all questions over one engine; a context manager that shuts the engine down.

    Args:
        engine: belongs to the runner from here on.
        protocol: how its model thinks.
        now: a steady clock, in seconds.
        learned: what is known of that model and this machine; grows while questions run.
        keep: called by the worker when it has nothing to do, and in the end: what was learned
            may be written down.
    """

    def __init__(
        self,
        engine: Engine,
        protocol: ThinkProtocol,
        now: Callable[[], float] = time.monotonic,
        learned: Learned | None = None,
        keep: Callable[[], None] = lambda: None,
    ) -> None:
        self.engine = engine
        self.protocol = protocol
        self.learned = Learned() if learned is None else learned
        self.scheduler = Scheduler(engine, protocol, self.learned, normal)
        self._keep = keep
        self._now = now
        self._listeners: dict[int, Listener] = {}
        self._ids = count(1)
        self._work = threading.Event()
        self._closing = False
        self._lock = threading.Lock()
        """A question is asked before the runner closes or fails, or after, never in between."""
        self._thread = threading.Thread(target=self._run, name="ponder-runner", daemon=True)
        self._thread.start()

    def submit(
        self,
        prompt: tuple[int, ...],
        budget: Budget,
        sampling: Sampling,
        boxed: bool = False,
        beginning: Beginning = NOTHING,
        revisable: bool = False,
    ) -> Stream:
        """Ask; returns at once. What the arguments mean says `Request`.

        Raises:
            InputError: a bad budget, or a prompt that is too long.
            EngineError: the runner is closed.
        """
        stream = Stream(self, self.number())
        request = Request(
            stream.question,
            prompt,
            budget,
            sampling,
            boxed,
            beginning=beginning,
            revisable=revisable,
        )
        self.ask(stream, (request,))
        return stream

    def number(self) -> int:
        """A number for a question to be asked."""
        return next(self._ids)

    def ask(self, listener: Listener, requests: Sequence[Request]) -> None:
        """Ask questions that start together; returns at once.

        Args:
            listener: is told of them all, each under its number.
            requests: with numbers from `number`.

        Raises:
            InputError: a bad budget, or a prompt that is too long: nothing is asked.
            EngineError: the runner is closed.
        """
        with self._lock:
            if self._closing:
                raise EngineError("The engine has been shut down.")
            # Known before they are scheduled: a busy worker may tell of them at once.
            self._listeners |= {request.id: listener for request in requests}
            try:
                self.scheduler.submit_together(requests, self._now())
            except PonderError:
                for request in requests:
                    del self._listeners[request.id]
                raise
        self._work.set()

    def share(self, terms: Terms) -> None:
        """Have all questions that are asked from here on share what there is."""
        self.scheduler.share(terms, self._now())

    def cancel(self, question: int) -> None:
        """End a question where it stands."""
        self.scheduler.cancel(question)
        self.engine.interrupt()
        self._work.set()

    def wake(self) -> None:
        """See that notes are read, though nothing may be decoded just now."""
        self._work.set()

    def close(self) -> None:
        """Cancel what runs, end the worker, shut the engine down. May be called twice."""
        with self._lock:
            first = not self._closing
            if first:
                for question in list(self._listeners):
                    self.cancel(question)
                self._closing = True
                self._work.set()
        self._thread.join()
        if first:
            self.engine.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _generate(self) -> Iterator[Event]:
        while grants := self.scheduler.schedule(self._now()):
            chunks = self.engine.step(grants)
            yield from self.scheduler.observe(chunks, self._now())

    def _run(self) -> None:
        closing = False
        while not closing:
            self._work.wait()
            self._work.clear()
            # Asked before the notes are read: what was cancelled to close is still told.
            closing = self._closing
            try:
                for event in self._generate():
                    self._deliver(event)
                for event in self.scheduler.observe((), self._now()):
                    self._deliver(event)
                self._keep()
            except PonderError as error:
                self._fail(error)
            except Exception as error:  # noqa: BLE001 - nothing may leave a question waiting
                failure = EngineError(
                    f"The engine failed: {type(error).__name__}: {error}.",
                    "This is a defect in ponder; please report it.",
                )
                failure.__cause__ = error
                self._fail(failure)

    def _deliver(self, event: Event) -> None:
        over = isinstance(event, Finished)
        question = event.question
        told = self._listeners
        listener = told.pop(question, None) if over else told.get(question)
        if listener is not None:
            listener.put(event)

    def _fail(self, error: PonderError) -> None:
        """Every question ends with the error; the next one finds a clean scheduler."""
        with self._lock:
            # An engine that failed may fail at closing a sequence as well.
            with suppress(Exception):
                self.scheduler.abandon()
            self.scheduler = Scheduler(self.engine, self.protocol, self.learned, normal)
            listeners, self._listeners = self._listeners, {}
        for listener in listeners.values():
            listener.put(error)
