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

from ponder.errors import PonderError
from ponder.library.telling import Rates, doing, left, sentence, size
from ponder.library.watching import Checked, Event, Hashing, Planned, Receiving, Tell
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
        yield Lines(clock, quiet)
        return
    bar = bytes_bar(console)
    task: dict[tuple[str, str], int] = {}

    def tell(event: Event) -> None:
        if not isinstance(event, Receiving | Hashing):
            line = sentence(event)
            if line:
                bar.console.print(safe(line), markup=False, highlight=False)
            return
        word = doing(event)
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


class Lines:
    """A line for each tenth of a file, with the rate and the time left."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, quiet: bool = False) -> None:
        self._rates = Rates(clock)
        self._quiet = quiet
        self._told: dict[tuple[str, str], int] = {}
        """The last tenth that was told."""

    def __call__(self, event: Event) -> None:
        """That happened."""
        if isinstance(event, Receiving | Hashing):
            if not self._quiet:
                self._progress(event)
            return
        line = sentence(event)
        if line and not (self._quiet and isinstance(event, Planned | Checked)):
            click.echo(safe(line), err=True)

    def _progress(self, event: Receiving | Hashing) -> None:
        word = doing(event)
        key, rate = (word, event.file), self._rates.rate(f"{word} {event.file}", event.done)
        tenth = 10 * event.done // event.size if event.size else 10
        told = self._told.get(key, 0)
        # Less than was told already: from the beginning again.
        if tenth <= (told if tenth >= told else 0):
            return
        self._told[key] = tenth
        line = f"{word} {event.file}: {size(event.done)} of {size(event.size)}"
        if rate > 0:
            line += f", {size(rate)}/s"
            if event.done < event.size:
                line += f", {left((event.size - event.done) / rate)} left"
        click.echo(safe(line), err=True)


class Tenths:
    """One thing after the other: a line for each tenth of it, with the rate and the time left."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._key: tuple[str, int] | None = None
        self._told = 0
        self._began = (0.0, 0)

    def __call__(self, doing: str, done: int, total: int) -> None:
        """So many bytes are done; what was when it was first told of is no part of the rate."""
        now, key = self._clock(), (doing, total)
        if key != self._key:
            self._key, self._told, self._began = key, 0, (now, done)
        tenth = 10 * done // total if total else 10
        if tenth <= self._told:
            return
        self._told = tenth
        began, first = self._began
        line = f"{doing}: {size(done)} of {size(total)}"
        rate = (done - first) / (now - began) if now > began else 0.0
        if rate > 0:
            line += f", {size(rate)}/s"
            if done < total:
                line += f", {left((total - done) / rate)} left"
        click.echo(safe(line), err=True)


@contextmanager
def errors_as_json(as_json: bool) -> Iterator[None]:
    """Errors on stdout too, where JSON was asked for."""
    try:
        yield
    except PonderError as error:
        if as_json:
            told = {"event": "error", "message": error.message, "hint": error.hint}
            click.echo(json.dumps(told))
        raise
