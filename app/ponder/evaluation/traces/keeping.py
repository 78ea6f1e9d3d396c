"""Writes a bank while it grows: a kill, at any moment, costs the traces that were running.

Every finished trace is one line, appended and flushed to a journal beside the target; what a kill
left of a line is cut off by the next run, which goes on with what is missing. When nothing is,
the target is written from the journal, whole or not at all. Knows files and lines of the form;
refuses to know how a trace comes about.
"""

from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedRandom
from pathlib import Path

import msgspec

from ponder.alone import alone
from ponder.errors import InputError
from ponder.evaluation.traces import form
from ponder.evaluation.traces.form import Header, Recorded

Place = tuple[int, int]
"""A question's number and a seed."""


class Journal:
    """A bank that is being recorded; see `journal`.

    Attributes:
        done: which traces it holds.
    """

    def __init__(self, file: BufferedRandom, done: set[Place]) -> None:
        self._file = file
        self.done = done

    def add(self, trace: Recorded) -> None:
        """Append a trace: it outlives this process from here on.

        Raises:
            OSError: the disk is full.
        """
        self._file.write(form.encode(trace))
        self._file.flush()
        self.done.add((trace.question, trace.seed))


def check(target: Path) -> None:
    """See that a bank may be written there, before a model is loaded for it.

    Raises:
        InputError: it is there already, or its folder is not.
    """
    if target.exists():
        raise InputError(f"{target} is already there.", "Name another file, or remove it.")
    if not target.parent.is_dir():
        raise InputError(f"There is no folder {target.parent}.", "Make it first.")


@contextmanager
def journal(target: Path, header: Header) -> Iterator[Journal]:
    """Begin a bank, or go on with one; it becomes the target once every trace is there.

    Args:
        target: `.gz` is compressed.
        header: what is to be recorded. One that was begun has to have the same.

    Raises:
        InputError: the target is there already, or another bank was begun beside it.
        Busy: another ponder records it.
        OSError: it cannot be written.
    """
    check(target)
    part = target.with_name(target.name + ".part")
    with alone(target.with_name(target.name + ".lock"), f"recording {target.name}"):
        with part.open("a+b") as file:
            growing = Journal(file, _resume(part, file, header))
            yield growing
            file.flush()
            os.fsync(file.fileno())
        if len(growing.done) == header.questions * header.seeds:
            _finish(part, target)


def _resume(part: Path, file: BufferedRandom, header: Header) -> set[Place]:
    """Cut off half a line, see that the rest is the same bank, and which traces it holds."""
    file.seek(0)
    first = file.readline()
    if not first.endswith(b"\n"):
        file.truncate(0)
        file.write(form.encode(header))
        file.flush()
        return set()
    begun = form.read(part)
    other = _differences(begun.header, header)
    if other:
        raise InputError(
            f"{part} was begun with {other[0]}.",
            f"Go on with that, or remove it to begin anew with {other[1]}.",
        )
    file.seek(0)
    whole = sum(len(line) for line in file if line.endswith(b"\n"))
    file.truncate(whole)
    return {(trace.question, trace.seed) for trace in begun.traces}


def _differences(begun: Header, wanted: Header) -> tuple[str, str] | None:
    """What two headers differ in, in words for each; None if in nothing."""
    one, two = (msgspec.to_builtins(header) for header in (begun, wanted))
    names = [name for name in one if one[name] != two[name]]
    if not names:
        return None
    return (
        ", ".join(f"{name} {one[name]}" for name in names),
        ", ".join(f"{name} {two[name]}" for name in names),
    )


def _finish(part: Path, target: Path) -> None:
    temporary = target.with_name(f".{target.name[:200]}.{os.getpid()}.tmp")
    try:
        with part.open("rb") as source, temporary.open("xb") as file:
            if target.suffix == ".gz":
                # No time and no name in it: the same traces are the same bytes.
                with gzip.GzipFile("", "wb", 9, file, mtime=0) as packed:
                    shutil.copyfileobj(source, packed)
            else:
                shutil.copyfileobj(source, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    part.unlink()
