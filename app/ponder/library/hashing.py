"""Hashes of files, read back from the disk. Knows sha256 and git's way to hash; judges nothing."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

from ponder.library.watching import Hashing, Tell, nothing

_BLOCK = 1 << 20
_OFTEN = 0.1
"""Seconds between two events."""


class Pace:
    """Lets through a few events a second, however many there are."""

    def __init__(self) -> None:
        self._last = float("-inf")

    def due(self) -> bool:
        """Whether it is time for another one."""
        now = time.monotonic()
        if now - self._last < _OFTEN:
            return False
        self._last = now
        return True


def digests(path: Path, name: str, tell: Tell = nothing, *, git: bool = False) -> tuple[str, str]:
    """The sha256 of a file, and with `git` its git object id (sha1); hexadecimal.

    Raises:
        OSError: it cannot be read.
    """
    sha256, sha1 = hashlib.sha256(), hashlib.sha1(usedforsecurity=False)
    buffer = memoryview(bytearray(_BLOCK))
    pace, done = Pace(), 0
    with path.open("rb", buffering=0) as file:
        size = path.stat().st_size
        if git:
            sha1.update(b"blob %d\0" % size)
        while count := file.readinto(buffer):
            sha256.update(buffer[:count])
            if git:
                sha1.update(buffer[:count])
            done += count
            if pace.due():
                tell(Hashing(name, done, size))
    tell(Hashing(name, done, size))
    return sha256.hexdigest(), sha1.hexdigest() if git else ""
