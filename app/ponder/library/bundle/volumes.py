"""A bundle on a disk: one file, or volumes that are one file cut in pieces.

Knows files and where one volume ends and the next begins; nothing of what is in them. What is
written has temporary names until all of it is there.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from ponder.errors import BadBundle, InputError, LibraryError, NoRoom
from ponder.library.bundle.form import MOST_VOLUMES

_NUMBERED = re.compile(r"^(.+)\.(\d{3})$")
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


class Volumes:
    """An archive that is read.

    Args:
        path: the file, the name that the volumes share, or any of them.

    Raises:
        InputError: there is no such file.
        BadBundle: a volume is missing.
        LibraryError: a file cannot be read.
    """

    paths: tuple[Path, ...]
    sizes: tuple[int, ...]
    """Bytes of each."""

    def __init__(self, path: Path) -> None:
        self.path, self.paths = _found(path)
        self._open: tuple[int, BinaryIO] | None = None
        try:
            self.sizes = tuple(one.stat().st_size for one in self.paths)
        except OSError as error:
            raise self._unreadable(error, 0) from error
        self.total = sum(self.sizes)

    def __enter__(self) -> Volumes:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        if self._open is not None:
            self._open[1].close()
            self._open = None

    def read_into(self, at: int, view: memoryview) -> int:
        """Fill a buffer with what stands at a place; gives how many bytes there were.

        Raises:
            LibraryError: a file cannot be read.
        """
        done = 0
        while done < len(view):
            number, within = self._place(at + done)
            if number < 0:
                break
            room = min(len(view) - done, self.sizes[number] - within)
            try:
                file = self._file(number)
                file.seek(within)
                count = file.readinto(view[done : done + room])  # type: ignore[attr-defined]
            except OSError as error:
                raise self._unreadable(error, number) from error
            if not count:  # it has become shorter
                break
            done += count
        return done

    def read(self, at: int, size: int) -> bytes:
        """What stands at a place; less if the archive ends before.

        Raises:
            LibraryError: a file cannot be read.
        """
        size = max(0, min(size, self.total - at))
        data = bytearray(size)
        return bytes(data[: self.read_into(at, memoryview(data))])

    def where(self, start: int, end: int) -> str:
        """Which volumes some bytes lie in, for errors: `, in NAME.002`; empty if there is one."""
        if len(self.paths) == 1:
            return ""
        first, last = self._place(start)[0], self._place(max(start, end - 1))[0]
        if first == last:
            return f", in {self.paths[first].name}"
        return f", in {self.paths[first].name} to {self.paths[last].name}"

    def _place(self, at: int) -> tuple[int, int]:
        """Which volume a byte is in, and where; -1 behind the end."""
        for number, size in enumerate(self.sizes):
            if at < size:
                return number, at
            at -= size
        return -1, at

    def _file(self, number: int) -> BinaryIO:
        if self._open is None or self._open[0] != number:
            if self._open is not None:
                self._open[1].close()
                self._open = None
            self._open = number, self.paths[number].open("rb", buffering=0)
        return self._open[1]

    def _unreadable(self, error: OSError, number: int) -> LibraryError:
        return LibraryError(
            f"{self.paths[number]} cannot be read: {error.strerror or error}.",
            "See to its permissions and to what it is on, or copy it again.",
        )


def _found(path: Path) -> tuple[Path, tuple[Path, ...]]:
    """The name that errors call an archive by, and its files."""
    numbered = _NUMBERED.match(path.name)
    base = path.with_name(numbered[1]) if numbered else path
    volumes = _numbered(base)
    if path.is_file() and not (numbered and volumes):
        return path, (path,)
    if path.exists() and not path.is_file():
        raise InputError(f"{path} is no plain file.", "Name a bundle, or its first volume.")
    if not volumes:
        raise InputError(f"There is no file {path}.", "Check the path.")
    gaps = [n for n in range(1, max(volumes) + 1) if n not in volumes]
    if gaps:
        names = ", ".join(f"{base.name}.{n:03d}" for n in gaps[:5])
        more = f" and {len(gaps) - 5} more" if len(gaps) > 5 else ""
        raise BadBundle(
            f"{base} is not complete: {names}{more} cannot be found.",
            "Put all its volumes into one folder.",
        )
    return base, tuple(volumes[n] for n in sorted(volumes))


def _numbered(base: Path) -> dict[int, Path]:
    """The volumes of a name, by number."""
    try:
        names = os.listdir(base.parent)  # noqa: PTH208
    except OSError:
        return {}
    found = (_NUMBERED.match(name) for name in names)
    numbers = [int(one[2]) for one in found if one is not None and one[1] == base.name]
    there = {n: base.with_name(f"{base.name}.{n:03d}") for n in numbers if n}
    return {n: one for n, one in there.items() if one.is_file()}


class Writer:
    """An archive that is written: its files get their names when all of them are complete.

    Args:
        target: the file, or what the volumes' names begin with.
        volume: bytes of a volume; None is one file.
    """

    def __init__(self, target: Path, volume: int | None) -> None:
        self._target = target
        self._volume = volume
        self._files: list[tuple[Path, Path]] = []
        self._file: BinaryIO | None = None
        self._room = 0

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()
        for part, _ in self._files:
            with suppress(OSError):
                part.unlink(missing_ok=True)

    def write(self, data: bytes | memoryview) -> None:
        """Append some bytes.

        Raises:
            NoRoom: they do not fit.
            LibraryError: they cannot be written.
        """
        rest = memoryview(data)
        try:
            while rest:
                if self._file is None or (self._volume is not None and not self._room):
                    self._next()
                assert self._file is not None
                piece = rest if self._volume is None else rest[: self._room]
                count = self._file.write(piece)
                self._room -= count
                rest = rest[count:]
        except OSError as error:
            raise self.unwritable(error) from error

    def commit(self) -> list[Path]:
        """Give the files their names, the first one last: without it there is no bundle.

        Raises:
            LibraryError: that cannot be done.
        """
        try:
            self._settle()
            for part, whole in reversed(self._files):
                part.replace(whole)
            sync_folder(self._target.parent)
        except OSError as error:
            raise self.unwritable(error) from error
        done = [whole for _, whole in self._files]
        self._files = []
        return done

    def unwritable(self, error: OSError) -> LibraryError:
        """What it means that something cannot be written."""
        if error.errno == errno.EFBIG:
            return NoRoom(
                f"The file system of {self._target.parent} takes no file as large as this.",
                "Cut it in volumes: --split 4g",
            )
        if error.errno in _NO_ROOM:
            return NoRoom(
                f"There is no room left in {self._target.parent}.",
                "Make some, or name another place. Nothing was left there.",
            )
        return LibraryError(
            f"{self._target} cannot be written: {error.strerror or error}.",
            "See to the permissions of its folder, or name another place.",
        )

    def _next(self) -> None:
        self._settle()
        name = self._target.name
        if self._volume is not None:
            name += f".{len(self._files) + 1:03d}"
            self._room = self._volume
        part = self._target.with_name(f".{name}.creating")
        self._files.append((part, self._target.with_name(name)))
        # What a kill has left of that name is of no use to anybody.
        self._file = part.open("wb", buffering=0)

    def _settle(self) -> None:
        if self._file is not None:
            os.fsync(self._file.fileno())
            self._file.close()
            self._file = None


def check_target(target: Path) -> None:
    """See that a bundle may be written there, before any work is done.

    Raises:
        InputError: its folder is not there, or something of that name is.
    """
    if target.is_dir():
        raise InputError(f"{target} is a folder.", "Name a file in it, like models.tar.")
    if not target.parent.is_dir():
        raise InputError(f"There is no folder {target.parent}.", "Make it first.")
    if _NUMBERED.match(target.name):
        raise InputError(
            f"{target.name} is the name of a volume.", "Leave the number out: --split adds it."
        )
    # Also volumes of an older bundle with more of them, which would seem to belong to this one.
    there = [target] if os.path.lexists(target) else sorted(_numbered(target).values())
    if there:
        raise InputError(f"{there[0]} is already there.", "Remove it, or name another file.")


def volumes_of(total: int, volume: int) -> Iterator[int]:
    """Where each volume but the first begins.

    Raises:
        InputError: they are too many.
    """
    if -(-total // volume) > MOST_VOLUMES:
        least = -(-total // MOST_VOLUMES)
        raise InputError(
            f"{total:,} bytes in pieces of {volume:,} are more than {MOST_VOLUMES} volumes.",
            f"Take larger ones: --split {-(-least // (1 << 20)) + 1}m",
        )
    yield from range(volume, total, volume)


def sync_folder(folder: Path) -> None:
    """See to it that names in a folder are on the disk, where that can be asked for."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # not on every file system
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
