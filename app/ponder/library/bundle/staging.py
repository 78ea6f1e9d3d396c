"""Files that are on their way into the models folder, under names that nobody looks for.

They are named by their hashes (with a number, where a bundle has a content twice), so that what
an interrupted install left is gone on from, also by another bundle with the same file in it.
Whatever a kill or a power cut has left there is compared with what comes, byte by byte, and
never believed. Knows one folder; what is in a bundle and where it goes is `planning`'s business.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from ponder import paths
from ponder.library.bundle.volumes import sync_folder

FOLDER = ".installing"
"""In the models folder, so that a file gets its final name by being renamed."""
LOCK = "lock"
"""The name of the file that keeps other installs out."""


def folder() -> Path:
    """Where files grow."""
    return paths.models_dir() / FOLDER


def partial(key: str) -> Path:
    """Where a file grows."""
    return folder() / f"{key}.part"


def grown(key: str) -> int:
    """Bytes of a file that are there already, right or not."""
    try:
        return partial(key).stat().st_size
    except OSError:
        return 0


class Growing:
    """A file that grows: what is there and right is kept, the rest written.

    Raises:
        OSError: it cannot be opened.
    """

    def __init__(self, key: str) -> None:
        self.path = partial(key)
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
        self._file = os.fdopen(os.open(self.path, flags, 0o666), "r+b", buffering=0)
        self._there = os.fstat(self._file.fileno()).st_size
        """Bytes up to here may be right."""
        self._at = 0
        self.written = 0
        """Bytes that were not there, or not right."""

    def __enter__(self) -> Growing:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def put(self, chunk: memoryview) -> None:
        """The next bytes.

        Raises:
            OSError: they cannot be written.
        """
        if self._at + len(chunk) <= self._there:
            if self._file.read(len(chunk)) == chunk:
                self._at += len(chunk)
                return
            self._file.seek(self._at)
        if self._at < self._there:
            # From here on nothing that is there is believed any more.
            self._file.truncate(self._at)
            self._there = self._at
        rest = chunk
        while rest:
            rest = rest[self._file.write(rest) :]
        self._at += len(chunk)
        self.written += len(chunk)

    def settle(self) -> None:
        """It is complete: see to it that it is on the disk.

        Raises:
            OSError: it cannot be.
        """
        if self._at < self._there:
            self._file.truncate(self._at)
        os.fsync(self._file.fileno())


def mark(key: str) -> None:
    """Note that a file is going to get its name by us, in case nobody lives to lock it."""
    (folder() / f"{key}.ours").touch()


def is_marked(key: str) -> bool:
    """Whether a file got its name by us, and no lock yet."""
    return (folder() / f"{key}.ours").exists()


def unmark(key: str) -> None:
    """A lock tells it now."""
    (folder() / f"{key}.ours").unlink(missing_ok=True)


def place(key: str, final: Path) -> None:
    """Give a file its name.

    Raises:
        OSError: it cannot be given.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    partial(key).replace(final)
    sync_folder(final.parent)


def forget(key: str) -> None:
    """Throw a file away that is wrong."""
    with suppress(OSError):
        partial(key).unlink()


def left_behind() -> tuple[int, int]:
    """How many files other installs have left here, and their bytes."""
    found = [file for file in folder().glob("*.part") if file.is_file()]
    return len(found), sum(file.stat().st_size for file in found)


def clean() -> None:
    """Remove the folder, if nothing is in it."""
    with suppress(OSError):
        folder().rmdir()
