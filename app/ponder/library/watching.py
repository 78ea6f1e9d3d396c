"""What is told while weights are fetched and checked. Words only: nobody is shown them here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Planned:
    """What is going to be fetched, before the first byte."""

    name: str
    repository: str
    revision: str
    files: int
    size: int
    """Bytes, of all files."""
    have: int
    """Bytes of them that are here already."""


@dataclass(frozen=True, slots=True)
class Heading:
    """The headers of so many of a checkpoint's shards are here."""

    done: int
    shards: int


@dataclass(frozen=True, slots=True)
class Receiving:
    """So much of a file has come; told a few times a second, and at both ends."""

    file: str
    done: int
    """Bytes, those of earlier tries included."""
    size: int


@dataclass(frozen=True, slots=True)
class Hashing:
    """So much of a file has been read back."""

    file: str
    done: int
    size: int


@dataclass(frozen=True, slots=True)
class Checked:
    """A file is what it has to be."""

    file: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Wrong:
    """A file is not what it has to be, and is fetched again."""

    file: str
    expected: str
    found: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """Nothing happens for a while."""

    why: str
    seconds: float | None = None
    """None: until somebody else is done."""


@dataclass(frozen=True, slots=True)
class Noted:
    """Something that a user may want to know."""

    text: str


Event = Planned | Heading | Receiving | Hashing | Checked | Wrong | Waiting | Noted
Tell = Callable[[Event], None]
"""Takes what happened; called on the thread that it happens on."""


def nothing(_event: Event) -> None:
    """For callers who do not want to know."""
