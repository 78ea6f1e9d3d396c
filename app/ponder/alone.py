"""One ponder at a time: a lock file that the system lets go of when its owner dies.

Knows files and locks; nothing of what is done meanwhile. Where a disk has no locks (some
network disks), nobody is kept out.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ponder.errors import Busy


@contextmanager
def alone(path: Path, doing: str) -> Iterator[None]:
    """Hold a lock file, and remove it in the end.

    Args:
        path: the file; its folder is made if need be.
        doing: what somebody else is doing who holds it, for the error.

    Raises:
        Busy: somebody else holds it.
        OSError: it cannot be made.
    """
    while True:
        # Whoever had it may remove the folder too.
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o644)
        except FileNotFoundError:
            continue
        if not _taken(descriptor):
            os.close(descriptor)
            raise Busy(f"Another ponder is {doing}.", "Wait until it is done, then say it again.")
        if _still_there(descriptor, path):
            break
        # Whoever had it removed it between our opening and our locking.
        os.close(descriptor)
    try:
        yield
    finally:
        with suppress(OSError):  # Windows removes no open file; an empty one may stay
            path.unlink()
        os.close(descriptor)


def _still_there(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


if sys.platform == "win32":
    import msvcrt

    def _taken(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _taken(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # no locks on this disk
            return True
        return True
