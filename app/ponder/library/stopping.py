"""A way to end long work with files from another thread.

The work ends where it tells of what it does, or waits: between two pieces of a file, in a pause
before the next try. What it has written is as whole as after a kill, and is gone on from. Knows
nothing of the work.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from ponder.errors import Stopped

E = TypeVar("E")


class Stop(Generic[E]):
    """Handed to some work as what it tells, and as what it sleeps by.

    Args:
        tell: who is told, as long as it goes on.
    """

    def __init__(self, tell: Callable[[E], None]) -> None:
        self._tell = tell
        self._wanted = threading.Event()

    def __call__(self) -> None:
        """Have it end soon; for any thread, any number of times."""
        self._wanted.set()

    def tell(self, event: E) -> None:
        """Pass an event on.

        Raises:
            Stopped: somebody wants the work to end.
        """
        self._see()
        self._tell(event)

    def sleep(self, seconds: float) -> None:
        """Wait; less long if somebody wants the work to end.

        Raises:
            Stopped: somebody does.
        """
        self._wanted.wait(seconds)
        self._see()

    def _see(self) -> None:
        if self._wanted.is_set():
            raise Stopped("It was stopped.", "What has come is kept, and gone on from.")
