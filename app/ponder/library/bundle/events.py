"""What is told while a bundle is packed, checked or installed. Words only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ponder.library import watching
from ponder.library.watching import Hashing, Noted

Doing = Literal["hashing", "packing", "checking", "installing"]


@dataclass(frozen=True, slots=True)
class Moved:
    """So far it has got; told a few times a second, and at the end."""

    doing: Doing
    file: str
    """What it is at."""
    done: int
    """Bytes, of all files together."""
    total: int


Tell = Callable[[Moved | Noted], None]
"""Takes what happened; called on the thread that it happens on."""


def nothing(_event: Moved | Noted) -> None:
    """For callers who do not want to know."""


def of_hashing(tell: Tell) -> watching.Tell:
    """For what hashes one file and tells that in the library's words."""

    def told(event: watching.Event) -> None:
        if isinstance(event, Hashing):
            tell(Moved("hashing", event.file, event.done, event.size))

    return told
