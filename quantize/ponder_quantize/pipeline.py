"""Read, quantize, write: the plan carried out by threads, in any order, gone on with after a kill.

Knows files that arrive, threads, and the disk. Three kinds of threads: workers do units; one
keeper writes down what is done once the disk has it; the caller's own thread tells, and tells
which files of the source are not needed any more. What is done with a unit `rows` knows.
"""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ponder.alone import alone
from ponder.errors import BadCheckpoint, InputError, LibraryError, NoRoom
from ponder_quantize import journal
from ponder_quantize.events import Noted, Planned, Quantizing, Tell, nothing
from ponder_quantize.journal import Growing
from ponder_quantize.kernels import kernels
from ponder_quantize.plan import Plan, Unit
from ponder_quantize.rows import process
from ponder_quantize.source import Bytes

_OFTEN = 0.1
"""Seconds between two things told."""
_KEPT = 1.0
"""Seconds between two lines of the journal. What is written meanwhile goes to the disk in the
background, so that little is left to wait for in the end."""


def quantize(
    planned: Plan,
    out: Path,
    *,
    threads: int | None = None,
    tell: Tell = nothing,
    force: bool = False,
    allow_nonfinite: bool = False,
    arriving: Iterable[str] | None = None,
    release: Callable[[str], None] | None = None,
    starved: Callable[[int], None] | None = None,
    sealing: Callable[[Path], None] | None = None,
) -> None:
    """Quantize a model into a file. After any interruption the same call goes on.

    Args:
        planned: what, and how.
        out: the file; it has its name when it is complete.
        threads: how many work; as many as there are processors if not given.
        tell: takes what happens. What it raises ends the work.
        force: whether an output that is there may be replaced.
        allow_nonfinite: go on where NaN or infinity is in the way; see `rows.process`.
        arriving: names of the source's files as they come to be there; without it, all are.
        release: takes the name of a file when nothing needs it any more, not even after a
            power cut; of files that earlier runs were done with, at once. Called on the
            caller's thread, as `tell` is.
        starved: takes the number of files that have arrived whenever nothing more can be done
            with them; several times, as long as it stays so.
        sealing: takes the file when it is whole and has not got its name yet, so that what is
            written down of it is there before it is.

    Raises:
        BadCheckpoint: the source is damaged, or holds what cannot be quantized.
        InputError: the output is there already.
        NoRoom: it does not fit on the disk. What is done is kept.
        Busy: another ponder is at the same output.
        LibraryError: the output cannot be written.
        BuildBroken: llama-cpp-python's library cannot be used.
    """
    see_target(out, force)
    kernels()
    with ExitStack() as held:
        with _as_ours(out):
            lock = out.with_name(f"{out.name}.part.lock")
            held.enter_context(alone(lock, f"writing {out.name}"))
            see_target(out, force)
            see_room(planned, out)
            growing = Growing(out, planned.layout.size, len(planned.units), planned.identity)
            held.callback(growing.close)
            growing.write(planned.layout.header, 0)
        run = _Run(planned, growing, allow_nonfinite, arriving, tell, release, starved)
        run.all(threads or os.cpu_count() or 1)
        if sealing is not None:
            with _as_ours(out):
                growing.settle()
            sealing(growing.part)
        with _as_ours(out):
            growing.finish()
        run.over()


def see_target(out: Path, force: bool) -> None:
    """Whether there may be an output.

    Raises:
        InputError: it is there already, is a folder, or has none to be in.
    """
    if out.is_dir():
        raise InputError(f"{out} is a folder.", "Name the file with --output.")
    if not out.parent.is_dir():
        raise InputError(f"There is no folder {out.parent}.", "Make it first.")
    if out.exists() and not force:
        raise InputError(f"{out} is there already.", "Replace it with --force, or name another.")


def see_room(planned: Plan, out: Path) -> None:
    """Whether the disk has room for what is not written yet.

    Raises:
        NoRoom: it has not.
    """
    need = need_of(planned, out)
    free = shutil.disk_usage(out.parent).free
    if need > free:
        raise NoRoom(
            f"{out.name} takes {_amount(need)} more on the disk of {out.parent.absolute()}, "
            f"where {_amount(free)} are free.",
            "Make room, or choose another place with --output, or a smaller recipe.",
        )


def _amount(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def need_of(planned: Plan, out: Path) -> int:
    """Bytes that the disk still has to have room for."""
    try:
        stat = journal.part_of(out).stat()
    except FileNotFoundError:
        return planned.layout.size
    # Holes take no room; where the system does not tell, nothing is taken to be there.
    return max(0, planned.layout.size - 512 * getattr(stat, "st_blocks", 0))


def still_needed(planned: Plan, out: Path) -> tuple[str, ...]:
    """Files of the source that an interrupted run is not done with; all if there was none."""
    done = journal.done(out, planned.layout.size, len(planned.units), planned.identity)
    needed = {
        name
        for number, unit in enumerate(planned.units)
        if not done[number]
        for name in unit.part.needs
    }
    return tuple(name for name in planned.files if name in needed)


@contextmanager
def _as_ours(out: Path) -> Iterator[None]:
    """What the system says of the output's disk, in our words."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NoRoom(
                f"The disk of {out.parent.absolute()} is full.",
                "What is done is kept: make room and say the same again.",
            ) from error
        raise LibraryError(
            f"{out} cannot be written: {error.strerror or error}.",
            "Check the folder and its permissions.",
        ) from error


class _Run:
    """One run over what is not done yet."""

    def __init__(
        self,
        planned: Plan,
        growing: Growing,
        allow_nonfinite: bool,
        arriving: Iterable[str] | None,
        tell: Tell,
        release: Callable[[str], None] | None,
        starved: Callable[[int], None] | None,
    ) -> None:
        self._planned = planned
        self._growing = growing
        self._allow_nonfinite = allow_nonfinite
        self._arriving = arriving
        self._tell = tell
        self._release = release or (lambda _name: None)
        self._starved = starved or (lambda _arrived: None)
        self._changed = threading.Condition()
        """Guards all below."""
        self._stopped = False
        self._error: BaseException | None = None
        left = [number for number in range(len(planned.units)) if not growing.done[number]]
        self._left = len(left)
        """Units that no worker has finished."""
        self._users = Counter(name for number in left for name in planned.units[number].part.needs)
        """File -> units that need it and are not written down."""
        self._ready: deque[int] = deque()
        self._waiting: dict[frozenset[str], list[int]] = {}
        """Files that are missing -> units that wait for them."""
        self._arrived = 0
        """Files that have come."""
        self._open = 0
        """Units that were taken and are not written down."""
        self._finished: list[int] = []
        """Units that are done and not written down yet."""
        self._free = deque(name for name in planned.files if not self._users[name])
        """Files that nobody needs any more."""
        self._tensor = ""
        self._done = sum(u.size for n, u in enumerate(planned.units) if growing.done[n])
        self._source_done = sum(
            u.source_size for n, u in enumerate(planned.units) if growing.done[n]
        )
        for number in left:
            needs = planned.units[number].part.needs
            if arriving is None or not needs:
                self._ready.append(number)
            else:
                self._waiting.setdefault(needs, []).append(number)

    def all(self, threads: int) -> None:
        """Everything that is left."""
        planned = self._planned
        self._tell(Planned(len(planned.tensors), planned.source_size, planned.size, self._done))
        for note in planned.notes:
            self._tell(Noted(note))
        with ThreadPoolExecutor(threads + 1, "quantize") as pool:
            try:
                if self._arriving is not None:
                    # It may wait for a network: it is left behind if something goes wrong.
                    threading.Thread(
                        target=self._arrive, args=(self._arriving,), daemon=True
                    ).start()
                for work in (self._keep, *[self._work] * threads):
                    pool.submit(self._guarded, work)
                self._watch()
            finally:
                self._stop()
        if self._error is not None:
            raise self._error

    def over(self) -> None:
        """The file has its name: nobody needs anything any more."""
        self._give_back(list(self._users))

    def _watch(self) -> None:
        """On the caller's thread, until all is done or something went wrong. Tells also while
        nothing comes: who is told may want to end it."""
        while True:
            with self._changed:
                over = self._stopped or not self._left
                if not over:
                    self._changed.wait(_OFTEN)
                idle = bool(self._waiting) and not (self._ready or self._open or self._free)
                arrived = self._arrived
                now = Quantizing(
                    self._done,
                    self._planned.size,
                    self._source_done,
                    self._planned.source_size,
                    self._tensor,
                )
            self._give_back(())
            if idle:
                self._starved(arrived)
            self._tell(now)
            if over:
                return

    def _give_back(self, last: Iterable[str]) -> None:
        """Tell whoever keeps the source's files which ones are free."""
        with self._changed:
            free = [*self._free, *(name for name in last if self._users[name])]
            self._free.clear()
        for name in free:
            self._release(name)

    def _guarded(self, work: Callable[[], None]) -> None:
        """The first error stops everybody, and is raised where the work was called for."""
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - it is raised by `all`
            with self._changed:
                self._error = self._error or error
            self._stop()

    def _stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _is_stopped(self) -> bool:
        return self._stopped

    def _arrive(self, names: Iterable[str]) -> None:
        """Take note of files that have come, on a thread of its own."""

        def come() -> None:
            here: set[str] = set()
            for name in names:
                here.add(name)
                with self._changed:
                    self._arrived += 1
                    for needs in [needs for needs in self._waiting if needs <= here]:
                        self._ready.extend(self._waiting.pop(needs))
                    self._changed.notify_all()
                if self._stopped:
                    return
            with self._changed:
                lost = sorted({name for needs in self._waiting for name in needs - here})
            if lost:
                raise BadCheckpoint(
                    f"{lost[0]} has not come, and is needed.", "Say the same again."
                )

        self._guarded(come)

    def _next(self) -> int | None:
        """A unit to do; None if there is none and none will be."""
        with self._changed:
            while not self._stopped:
                if self._ready:
                    number = self._ready.popleft()
                    self._open += 1
                    self._tensor = self._planned.units[number].work.info.name
                    return number
                if not self._waiting:
                    return None
                self._changed.wait()
            return None

    def _work(self) -> None:
        while (number := self._next()) is not None:
            unit = self._planned.units[number]
            if process(unit, self._write, self._is_stopped, self._allow_nonfinite):
                self._finish(number, unit)

    def _write(self, data: Bytes, at: int) -> None:
        with _as_ours(self._growing.target):
            self._growing.write(data, at)

    def _finish(self, number: int, unit: Unit) -> None:
        with self._changed:
            self._finished.append(number)
            self._done += unit.size
            self._source_done += unit.source_size
            self._left -= 1
            if not self._left:
                self._changed.notify_all()

    def _keep(self) -> None:
        """Write down what is done, now and then, and at the end of an interrupted run."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stopped or not self._left, _KEPT)
                over = self._stopped or not self._left
                finished, self._finished = self._finished, []
                if not self._left:
                    # The file itself is about to be whole.
                    return
            if finished:
                with _as_ours(self._growing.target):
                    self._growing.keep(finished)
                self._forget(finished)
            if over:
                return

    def _forget(self, kept: list[int]) -> None:
        """Files whose last unit has been written down are free."""
        with self._changed:
            self._open -= len(kept)
            for number in kept:
                for name in self._planned.units[number].part.needs:
                    self._users[name] -= 1
                    if not self._users[name]:
                        self._free.append(name)
