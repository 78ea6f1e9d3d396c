"""One at a time: locks that every ponder, and huggingface_hub itself, obeys.

Knows files to lock, and how to wait for one; not what they stand for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ponder.library.watching import Tell, Waiting

_GLANCE = 0.05
"""Seconds to wait for a lock before it is told that somebody else has it."""
_AGAIN = 0.5
"""Seconds between two looks at a lock that somebody has."""


@contextmanager
def alone(path: Path, what: str, tell: Tell, sleep: Callable[[float], None]) -> Iterator[None]:
    """Nobody else holds this lock meanwhile.

    Args:
        path: the file to lock; its folder is made.
        what: who is waited for, if somebody is.
        tell: who is told that.
        sleep: what waits; it may raise, to end the waiting.
    """
    from huggingface_hub.utils import WeakFileLock

    path.parent.mkdir(parents=True, exist_ok=True)
    told = False
    while True:
        lock = WeakFileLock(path, timeout=_GLANCE)
        try:
            lock.__enter__()
            break
        except TimeoutError:  # filelock's is one
            if not told:
                tell(Waiting(f"{what}: another pull is at it"))
                told = True
            sleep(_AGAIN)
    try:
        yield
    finally:
        lock.__exit__(None, None, None)
