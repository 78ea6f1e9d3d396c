"""An output while it grows: a file of its final size, and beside it a journal of what is done.

Knows files: OUT.part takes shape in place, OUT.part.journal says which units of the work are
in it, and OUT gets its name when all of them are. A unit is written down only after its bytes
have reached the disk, so what the journal says survives a kill, and a power cut. The journal
belongs to one piece of work; for another one both begin anew.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

from ponder_quantize.positions import write_at
from ponder_quantize.source import Bytes

_FORMAT = 1
_BINARY = getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
_sync_data = getattr(os, "fdatasync", os.fsync)


class Growing:
    """The two files. One owner at a time: the caller holds a lock."""

    def __init__(self, target: Path, size: int, units: int, work: str) -> None:
        """Open what is there, or begin.

        Args:
            target: the name that the file gets in the end.
            size: bytes of it.
            units: into how many the work is divided.
            work: says which work it is; of another one nothing is kept.

        Raises:
            OSError: a file cannot be made or read.
        """
        self.target = target
        self.part = part_of(target)
        self._journal_path = journal_of(target)
        self._size = size
        self.done = done(target, size, units, work)
        """One byte for each unit, 1 where it is in the file."""
        kept = any(self.done)
        self._file = os.open(self.part, os.O_RDWR | os.O_CREAT | _BINARY, 0o644)
        try:
            if not kept:
                # First the journal goes: an old one must not vouch for a new file.
                if self._journal_path.exists():
                    self._journal_path.unlink()
                    _sync_folder(target.parent)
                # Padding is never written: it has to be zeros.
                os.ftruncate(self._file, 0)
                os.ftruncate(self._file, size)
                head = json.dumps({"ponder": _FORMAT, "work": work, "units": units})
                self._journal_path.write_text(f"{head}\n")
                _sync_folder(target.parent)
            self._journal = os.open(self._journal_path, os.O_RDWR | os.O_APPEND | _BINARY)
        except BaseException:
            os.close(self._file)
            raise
        if kept:
            # A line that was cut short would spoil the next one.
            os.ftruncate(self._journal, _whole(self._journal_path.read_bytes()))

    def write(self, data: bytes | Bytes, at: int) -> None:
        """Put bytes where they belong."""
        write_at(self._file, data, at)

    def keep(self, units: Sequence[int]) -> None:
        """Write down that units are done, when the disk has got them."""
        _sync_data(self._file)
        for unit in units:
            self.done[unit] = 1
        os.write(self._journal, f"{_ranges(sorted(units))}\n".encode())

    def settle(self) -> None:
        """See to it that the disk has all of it."""
        os.fsync(self._file)

    def finish(self) -> None:
        """Give the file its name."""
        self.settle()
        self.close()
        self.part.replace(self.target)
        _sync_folder(self.target.parent)
        self._journal_path.unlink()

    def close(self) -> None:
        """Let go of the files, and leave them."""
        if self._file >= 0:
            os.close(self._file)
            os.close(self._journal)
            self._file = -1


def identity_of(paths: Iterable[Path]) -> str:
    """Of files: another one if what is in them may be another.

    Raises:
        OSError: one is not there.
    """
    stats = [(path.name, path.stat()) for path in paths]
    return "\n".join(f"{name} {stat.st_size} {stat.st_mtime_ns}" for name, stat in stats)


def part_of(target: Path) -> Path:
    """Where it grows."""
    return target.with_name(f"{target.name}.part")


def journal_of(target: Path) -> Path:
    """Where it is written down what is done."""
    return target.with_name(f"{target.name}.part.journal")


def done(target: Path, size: int, units: int, work: str) -> bytearray:
    """Which units are in the file: a byte for each, 1 if it is.

    Raises:
        OSError: a file that is there cannot be read.
    """
    found = bytearray(units)
    try:
        if part_of(target).stat().st_size != size:
            return found
        data = journal_of(target).read_bytes()
    except FileNotFoundError:
        return found
    lines = data[: _whole(data)].decode(errors="replace").splitlines()
    try:
        if json.loads(lines[0]) != {"ponder": _FORMAT, "work": work, "units": units}:
            return found
        for line in lines[1:]:
            for first, last in (pair.split("-") for pair in line.split(",")):
                # Nothing that a journal says can be outside the work.
                span = range(units)[int(first) : int(last) + 1]
                found[span.start : span.stop] = bytes([1]) * len(span)
    except (ValueError, IndexError):
        return bytearray(units)
    return found


def _whole(data: bytes) -> int:
    """Bytes of the lines that are complete."""
    return data.rfind(b"\n") + 1


def _ranges(units: list[int]) -> str:
    """`0-4,7-7` for 0, 1, 2, 3, 4, 7."""
    breaks = [0, *(n for n, (a, b) in enumerate(pairwise(units), 1) if b != a + 1), len(units)]
    return ",".join(f"{units[a]}-{units[b - 1]}" for a, b in pairwise(breaks) if a < b)


def _sync_folder(folder: Path) -> None:
    if sys.platform == "win32":  # it opens no folders
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
