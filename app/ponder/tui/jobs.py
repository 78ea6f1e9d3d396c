"""Long work with files, beside the chat: pulls, checks, quantizing; one at a time, the others in a
queue.

It goes on whichever screen is open. The work runs on a thread of its own and tells of itself a
few times a second, however often something happens: each time the screen's thread wakes, a model
that decodes on the same cores feels it. Knows no widget.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from pathlib import Path

from ponder.errors import LibraryError, PonderError, Stopped, WrongBytes
from ponder.library.stopping import Stop
from ponder.library.telling import size
from ponder.tui import pump
from ponder.tui.progress import Progress, Teller, Told

PATIENCE = 1.0
"""Seconds that work has to end when ponder does. A hub that is silent just then is not waited for:
what has come is whole at any moment."""


class State(StrEnum):
    """How far a job has come."""

    QUEUED = "queued"
    RUNNING = "running"
    STOPPING = "stopping"
    """It was told to end, and has not noticed yet."""
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended well."""

    text: str
    path: Path | None = None
    """The file that came by it."""


@dataclass(eq=False)
class Job:
    """One piece of work.

    Args:
        verb: what it does: "fetch", "check", "quantize".
        name: to what.
        work: does it, on another thread; raises a PonderError where it cannot.
    """

    verb: str
    name: str
    work: Callable[[Stop[Told]], Outcome]
    state: State = State.QUEUED
    progress: Progress = field(default=Progress())
    outcome: Outcome = field(default=Outcome(""))
    error: PonderError | None = None

    @property
    def over(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in (State.DONE, State.STOPPED, State.FAILED)


class Jobs:
    """The one that runs, and those that wait for it.

    Args:
        changed: told on the loop when something is new of a job.
    """

    def __init__(self, changed: Callable[[Job], None]) -> None:
        self.current: Job | None = None
        """What runs; after that, what ran last, until it is forgotten."""
        self.waiting: deque[Job] = deque()
        self.watchers: list[Callable[[], None]] = []
        """Told as well, while they look."""
        self._heard = changed
        self._stop = Stop[Told](lambda _event: None)
        self._ended = threading.Event()
        self._ended.set()

    @property
    def running(self) -> bool:
        """Whether something is being done."""
        return self.current is not None and not self.current.over

    def add(self, job: Job) -> bool:
        """Have something done when its turn comes; false if just that is on its way already."""
        if any((other.verb, other.name) == (job.verb, job.name) for other in self._open):
            return False
        self.waiting.append(job)
        self._changed(job)
        return True

    def works_on(self, name: str) -> bool:
        """Whether something is done to that, or will be."""
        return any(job.name.partition(":")[0] == name for job in self._open)

    @property
    def _open(self) -> list[Job]:
        """All that are not over."""
        running = [self.current] if self.current is not None and not self.current.over else []
        return [*running, *self.waiting]

    def stop(self) -> None:
        """End what runs; what waits comes next."""
        if self.current is not None and self.running:
            self.current.state = State.STOPPING
            self._stop()
            self._changed(self.current)

    def forget(self) -> None:
        """Have nothing to tell of what is over."""
        if not self.running:
            self.current = None

    def close(self) -> None:
        """End everything, for good; waits a moment, and not longer."""
        self.waiting.clear()
        self._stop()
        self._ended.wait(PATIENCE)

    async def work_off(self) -> None:
        """Do all that waits."""
        while self.waiting and not self.running:
            await self._do(self.waiting.popleft())

    async def _do(self, job: Job) -> None:
        self.current, job.state = job, State.RUNNING
        hand: pump.Handover[Progress] = pump.Handover(partial(self._show, job))
        self._stop, self._ended = Stop(Teller(hand)), threading.Event()
        stop, ended = self._stop, self._ended

        def work() -> Outcome:
            try:
                return job.work(stop)
            finally:
                ended.set()

        self._changed(job)
        try:
            job.outcome = await pump.aside(work, "ponder-files")
            job.state = State.DONE
        except Stopped as error:
            job.state, job.error = State.STOPPED, error
        except PonderError as error:
            job.state, job.error = State.FAILED, error
        except OSError as error:
            told = f"{error.filename or job.name}: {error.strerror or error}."
            job.state, job.error = State.FAILED, LibraryError(told)
        self._changed(job)

    def _changed(self, job: Job) -> None:
        for watcher in self.watchers:
            watcher()
        self._heard(job)

    def _show(self, job: Job, progress: Progress) -> None:
        if not job.over:
            job.progress = progress
            self._changed(job)


def fetch(said: str) -> Job:
    """A pull.

    Args:
        said: what `ponder pull` would be told.
    """

    def work(stop: Stop[Told]) -> Outcome:
        from ponder.catalogue import catalogue
        from ponder.library.pulling import pull

        lock = pull(said, catalogue(), stop.tell, sleep=stop.sleep)
        return Outcome(f"{said} is here, {size(lock.size)}, and as it has to be.", lock.path)

    return Job("fetch", said, work)


def check(name: str) -> Job:
    """Hashes what is here.

    Args:
        name: a model's.
    """

    def work(stop: Stop[Told]) -> Outcome:
        from ponder.catalogue import catalogue
        from ponder.library import checking

        known = catalogue()
        verdicts = checking.check(name, known, stop.tell)
        wrong = next((verdict for verdict in verdicts if not verdict.right), None)
        if wrong is not None:
            remedy = checking.remedy(wrong.name, known)
            raise WrongBytes(f"{wrong.path} is damaged: {wrong.about}.", remedy)
        remarks = [verdict.about for verdict in verdicts if verdict.about]
        told = remarks[0] if remarks else f"sha256 {verdicts[0].found} is right"
        more = f" (and those of {len(verdicts) - 1} other files)" if len(verdicts) > 1 else ""
        return Outcome(f"{name}: {told}{more}.")

    return Job("check", name, work)


def quantize(said: str, threads: Callable[[], int | None]) -> Job:
    """A GGUF out of a checkpoint of the hub.

    Args:
        said: what `ponder quantize` would be told.
        threads: how many may work, asked when its turn comes; None is all.
    """

    def work(stop: Stop[Told]) -> Outcome:
        from ponder import quantizing
        from ponder.catalogue import catalogue

        wish = quantizing.Wish(said, threads=threads())
        with quantizing.opened(wish, catalogue(), stop.tell, stop.sleep) as found:
            found.carry_out()
        return Outcome(f"{said} is here, {size(found.planned.layout.size)}.", found.out)

    return Job("quantize", said, work)
