"""Progress of long work with files: a bar on a terminal, lines elsewhere, or JSON on stdout.

stderr is narration; only --json speaks on stdout.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from ponder.library.watching import (
    Checked,
    Event,
    Hashing,
    Noted,
    Planned,
    Receiving,
    Tell,
    Waiting,
    Wrong,
)
from ponder.printable import safe

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress


@contextmanager
def watching(
    as_json: bool = False, quiet: bool = False, clock: Callable[[], float] = time.monotonic
) -> Iterator[Tell]:
    """Gives the function to tell events to."""
    if as_json:
        yield _json
        return
    from rich.console import Console

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield _Lines(clock, quiet)
        return
    bar = bytes_bar(console)
    task: dict[tuple[str, str], int] = {}

    def tell(event: Event) -> None:
        if not isinstance(event, Receiving | Hashing):
            line = _sentence(event)
            if line:
                bar.console.print(safe(line), markup=False, highlight=False)
            return
        word = "fetching" if isinstance(event, Receiving) else "checking"
        key = (word, event.file)
        if key not in task:
            short = event.file.rpartition("/")[2]
            # What was here before is no part of the rate.
            task[key] = bar.add_task(
                f"{word} {safe(short)}", total=event.size, completed=event.done
            )
        else:
            bar.update(task[key], completed=event.done)  # type: ignore[arg-type]

    with bar:
        yield tell


def bytes_bar(console: Console) -> Progress:
    """A bar with bytes, rate and time left."""
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console,
    )


def _json(event: Event) -> None:
    kind = type(event).__name__.lower()
    click.echo(json.dumps({"event": kind, **dataclasses.asdict(event)}))


class _Lines:
    """A line for each tenth of a file, with the rate and the time left."""

    def __init__(self, clock: Callable[[], float], quiet: bool) -> None:
        self._clock = clock
        self._quiet = quiet
        self._begun: dict[tuple[str, str], tuple[float, int]] = {}
        self._told: dict[tuple[str, str], int] = {}
        """The last tenth that was told."""

    def __call__(self, event: Event) -> None:
        if isinstance(event, Receiving | Hashing):
            if not self._quiet:
                self._progress(event)
            return
        line = _sentence(event)
        if line and not (self._quiet and isinstance(event, Planned | Checked)):
            click.echo(safe(line), err=True)

    def _progress(self, event: Receiving | Hashing) -> None:
        word = "fetching" if isinstance(event, Receiving) else "checking"
        key, now = (word, event.file), self._clock()
        began, first = self._begun.setdefault(key, (now, event.done))
        if event.done < first:
            # From the beginning again.
            self._begun[key] = began, first = now, event.done
            self._told.pop(key, None)
        tenth = 10 * event.done // event.size if event.size else 10
        if tenth <= self._told.get(key, 0):
            return
        self._told[key] = tenth
        line = f"{word} {event.file}: {size(event.done)} of {size(event.size)}"
        rate = (event.done - first) / (now - began) if now > began else 0.0
        if rate > 0:
            line += f", {size(rate)}/s"
            if event.done < event.size:
                line += f", {left((event.size - event.done) / rate)} left"
        click.echo(safe(line), err=True)


def _sentence(event: Event) -> str:
    match event:
        case Planned():
            files = "1 file" if event.files == 1 else f"{event.files} files"
            have = f", {size(event.have)} of them are here" if event.have else ""
            return (
                f"{event.name}: {files}, {size(event.size)}{have} "
                f"({event.repository} at {event.revision[:12]})"
            )
        case Checked():
            return f"{event.file}: sha256 {event.sha256} is right"
        case Wrong():
            return f"{event.file} is damaged ({event.found[:12]}…): it is fetched again"
        case Waiting():
            told = "." if event.seconds is None else f"; trying again in {event.seconds:g} s."
            return f"{event.why.rstrip('.')}{', waiting' if event.seconds is None else ''}{told}"
        case Noted():
            return event.text
    return ""


def size(count: float) -> str:
    """Bytes, for people: 4.7 GB."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def left(seconds: float) -> str:
    """A duration, for people: 1:05 h, 3:20 min, 12 s."""
    whole = int(seconds + 0.5)
    if whole >= 3600:
        return f"{whole // 3600}:{whole % 3600 // 60:02d} h"
    return f"{whole // 60}:{whole % 60:02d} min" if whole >= 60 else f"{whole} s"
