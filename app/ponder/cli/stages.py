"""Fetching and quantizing, told while it happens; what is planned and what came of it, in words.

A bar for each stage on a terminal, lines elsewhere, or JSON on stdout.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ponder.cli.progress import Lines, Tenths, bytes_bar
from ponder.library import watching
from ponder.library.telling import doing, sentence, size
from ponder.printable import safe
from ponder.quantizing import Event, Tell
from ponder_quantize import events
from ponder_quantize.events import Quantizing
from ponder_quantize.pipeline import need_of

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID

    from ponder_quantize.plan import Plan


def describe(planned: Plan, out: Path, as_json: bool) -> None:
    """What would be written; nothing is."""
    need = need_of(planned, out)
    if as_json:
        tensors = [
            {
                "name": work.info.name,
                "shape": work.info.shape,
                "from": work.source.type.name,
                "type": work.info.type.name,
                "size": work.info.size,
            }
            for work in planned.tensors
        ]
        told = {"path": str(out), "size": planned.layout.size, "need": need, "tensors": tensors}
        click.echo(json.dumps(told))
        return
    widest = max(len(work.info.name) for work in planned.tensors)
    for work in planned.tensors:
        shape = " x ".join(map(str, work.info.shape))
        change = work.info.type.name if work.is_copied else f"{work.source.type.name} -> "
        change += "" if work.is_copied else work.info.type.name
        click.echo(safe(f"{work.info.name:{widest}}  {shape:>20}  {change}"))
    for note in planned.notes:
        click.echo(safe(note), err=True)
    told_types = _types(planned)
    click.echo(
        safe(
            f"{out}: {size(planned.layout.size)} ({_bits(planned):.2f} bits a weight): "
            f"{told_types}. The disk has to have room for {size(need)}."
        ),
        err=True,
    )


def _types(planned: Plan) -> str:
    counts = Counter(work.info.type.name for work in planned.tensors)
    return ", ".join(f"{count} {name}" for name, count in counts.most_common())


def _bits(planned: Plan) -> float:
    weights = sum(work.info.rows * work.info.columns for work in planned.tensors)
    return 8 * planned.size / weights


def end(planned: Plan, out: Path, as_json: bool, quiet: bool) -> None:
    """What was written."""
    if as_json:
        told = {"event": "done", "path": str(out), "size": planned.layout.size}
        click.echo(json.dumps(told))
    else:
        click.echo(str(out))
        if not quiet:
            told_size = f"{size(planned.source_size)} became {size(planned.layout.size)}"
            bits = f"{_bits(planned):.2f} bits a weight"
            click.echo(f"{told_size}, {bits}: {_types(planned)}.", err=True)
    sys.stdout.flush()


@contextmanager
def watched(name: str, as_json: bool, quiet: bool) -> Iterator[Tell]:
    """Gives the function to tell events to, from any thread.

    Args:
        name: what is written.
        as_json: an object for each event on stdout, instead of words on stderr.
        quiet: only what a user has to know.
    """
    from rich.console import Console

    console = Console(stderr=True)
    if as_json:
        yield _in_json()
    elif quiet or not console.is_terminal:
        yield _in_lines(name, quiet)
    else:
        with _Bars(console) as bars:
            yield bars


def _in_json() -> Callable[[Event], None]:
    last: Quantizing | None = None

    def tell(event: Event) -> None:
        nonlocal last
        if isinstance(event, Quantizing):
            if event == last:
                return
            last = event
        kind = type(event).__name__.lower()
        # Both plan something: one what is fetched, the other what is written.
        kind = "staged" if isinstance(event, watching.Planned) else kind
        click.echo(json.dumps({"event": kind, **dataclasses.asdict(event)}))

    return tell


def _in_lines(name: str, quiet: bool) -> Callable[[Event], None]:
    files, tenths = Lines(quiet=quiet), Tenths()

    def tell(event: Event) -> None:
        match event:
            case events.Noted():
                click.echo(safe(event.text), err=True)
            case Quantizing():
                if not quiet:
                    tenths(f"quantizing {name}", event.source_done, event.source_size)
            case watching.Heading():
                if event.done == 1 and not quiet:
                    click.echo(_heading(event), err=True)
            case events.Planned():
                pass
            case _:
                files(event)

    return tell


def _heading(event: watching.Heading) -> str:
    return f"{event.shards} shards: their headers come first" if event.shards > 1 else "1 shard"


class _Bars:
    """One bar for what is fetched, one for what is checked, one for what is quantized."""

    def __init__(self, console: Console) -> None:
        self._bar = bytes_bar(console)
        self._tasks: dict[str, TaskID] = {}
        self._files: dict[str, str] = {}

    def __enter__(self) -> _Bars:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, event: Event) -> None:
        match event:
            case watching.Receiving() | watching.Hashing():
                self._show(doing(event), event.file, event.done, event.size)
            case Quantizing():
                self._show("quantizing", event.tensor, event.source_done, event.source_size)
            case watching.Heading():
                if event.done == 1:
                    self._say(_heading(event))
            case events.Noted():
                self._say(event.text)
            case events.Planned() | watching.Checked():
                pass
            case _:
                self._say(sentence(event))

    def _say(self, line: str) -> None:
        if line:
            self._bar.console.print(safe(line), markup=False, highlight=False)

    def _show(self, doing_what: str, file: str, done: int, total: int) -> None:
        told = f"{doing_what} {safe(file.rpartition('/')[2])}"
        task = self._tasks.get(doing_what)
        if task is not None and (doing_what == "quantizing" or self._files[doing_what] == file):
            self._bar.update(task, completed=done, description=f"{told:<40}")
            return
        if task is not None:
            self._bar.remove_task(task)
        # What an interrupted run left is no part of the rate.
        self._tasks[doing_what] = self._bar.add_task(f"{told:<40}", total=total, completed=done)
        self._files[doing_what] = file
