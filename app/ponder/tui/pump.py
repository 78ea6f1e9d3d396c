"""The one crossing between other threads and the screen's event loop.

The runner's worker rings a bell; the loop then takes what has happened since, merged, in
batches no closer together than `INTERVAL`, and never a second batch before the first has
been painted. A message a token was measured to take 2.6 times as long for the same text and
to grow a queue without bound. Between bells nothing runs, and where painting is slow it is
done less often (`SHARE`): a busy Python thread beside the decode loop costs it dearly.

Knows threads and the loop; knows no widget.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Generic, TypeVar

from ponder.errors import PonderError
from ponder.events import Event, Prefilled, Text
from ponder.poll import Counted, Polled
from ponder.types import Span

if TYPE_CHECKING:
    from ponder.polling import Polling
    from ponder.session import Answering

Told = Event | Counted | Polled
"""What is told of a question, or of a vote on one."""

INTERVAL = 1 / 30
"""Seconds between batches at least."""
CALM = 1 / 2
"""The same where nothing is to move."""
SHARE = 1 / 20
"""Of the time of the loop's thread, what a batch may take: all that it takes is taken from a
model that uses every core."""
PATIENCE = 0.25
"""Seconds between batches at most, whatever they cost."""

T = TypeVar("T")


class Handover(Generic[T]):
    """Brings values from any thread to a callback on the loop; of several in a row, the last.

    Made on the loop's thread; called on any other.
    """

    def __init__(self, callback: Callable[[T], None]) -> None:
        self._callback = callback
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._waiting: list[T] = []

    def __call__(self, value: T) -> None:
        """Hand a value over; returns at once."""
        with self._lock:
            rung = bool(self._waiting)
            self._waiting = [value]
        if not rung:
            # The loop may be closed already: then nobody is left to be told.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        with self._lock:
            (value,), self._waiting = self._waiting, []
        self._callback(value)


async def batches(
    answering: Answering | Polling,
    taken: Callable[[Sequence[Told]], None] = lambda _: None,
    interval: float = INTERVAL,
) -> AsyncIterator[tuple[Told, ...]]:
    """The events of a question to be painted, in order, as they come.

    Args:
        answering: the question, or the vote.
        taken: told of events as soon as they are here, so that they can be written down also
            while painting waits for its turn.
        interval: seconds between two looks at least.

    Raises:
        PonderError: what the engine died of, after everything that came before.
    """
    loop = asyncio.get_running_loop()
    wake = asyncio.Event()
    ring: Handover[None] = Handover(lambda _: wake.set())
    unpainted: list[Told] = []
    over = False
    cost = paint_at = 0.0
    while not over:
        # The bell hangs only while somebody waits for it: each time it rings, this thread wakes.
        answering.stream.on_event = lambda: ring(None)
        while not answering.ready() and not (unpainted and loop.time() >= paint_at):
            with suppress(TimeoutError):
                patience = max(0.0, paint_at - loop.time()) if unpainted else None
                await asyncio.wait_for(wake.wait(), patience)
            wake.clear()
        answering.stream.on_event = None
        began = loop.time()
        events, failure, over = _drain(answering)
        events = merged(events)
        if events:
            taken(events)
            unpainted += events
            # Text can wait for its turn; what somebody may have pressed a key for cannot.
            if any(not isinstance(event, Text | Prefilled) for event in events):
                paint_at = began
        if unpainted and (over or loop.time() >= paint_at):
            busy = time.thread_time()
            text = any(isinstance(event, Text) for event in unpainted)
            painting, unpainted = tuple(merged(unpainted)), []
            yield painting
            await asyncio.sleep(0 if over else max(0.0, interval - (loop.time() - began)))
            # By now it has been painted. Until there is text, nobody is made to wait for it.
            if text:
                cost = (cost + time.thread_time() - busy) / 2
                paint_at = began + min(cost / SHARE, PATIENCE)
        elif not over:
            await asyncio.sleep(max(0.0, interval - (loop.time() - began)))
        if failure is not None:
            raise failure


def _drain(answering: Answering | Polling) -> tuple[list[Told], PonderError | None, bool]:
    events: list[Told] = []
    try:
        while answering.ready():
            events.append(next(answering))
    except StopIteration:
        return events, None, True
    except PonderError as error:
        return events, error, True
    return events, None, False


def merged(events: Iterable[Told]) -> list[Told]:
    """Of each question, neighbouring texts of one channel and author as one, and of prompt
    progress the last. Traces of a vote are told in turns, and are no neighbours of each other."""
    result: list[Told] = []
    last: dict[int, int] = {}
    """Where the last event of a question is."""
    texts: dict[int, list[str]] = {}
    """By place: what was said there, bit by bit."""
    for event in events:
        at = last.get(event.question, -1)
        match event, result[at] if at >= 0 else None:
            case Text(span=Span() as new), Text(span=Span() as old) if (
                new.channel is old.channel and new.author is old.author
            ):
                texts[at].append(new.text)
                result[at] = event
            case Prefilled(), Prefilled():
                result[at] = event
            case _:
                at = last[event.question] = len(result)
                result.append(event)
                if isinstance(event, Text):
                    texts[at] = [event.span.text]
    for at, parts in texts.items():
        event = result[at]
        if isinstance(event, Text) and len(parts) > 1:
            span = Span(event.span.channel, "".join(parts), event.span.author)
            result[at] = Text(event.question, span, event.think_tokens, event.answer_tokens)
    return result


async def aside(job: Callable[[], T], name: str) -> T:
    """Run a job that takes its time on a thread of its own, and wait for its result.

    The thread is a daemon: a program that wants to end does not wait for it.

    Raises:
        whatever the job raises.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if done.cancelled():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]

    def work() -> None:
        result: T | None = None
        failure: BaseException | None = None
        try:
            result = job()
        except BaseException as error:  # noqa: BLE001 - handed to whoever waits
            failure = error
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, result, failure)

    threading.Thread(target=work, name=name, daemon=True).start()
    return await done
