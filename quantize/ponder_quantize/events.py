"""What is told while a model is quantized. Words only: nobody is shown them here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Planned:
    """What is going to be written, before the first byte."""

    tensors: int
    source_size: int
    """Bytes of the source's tensors."""
    size: int
    """Bytes of the file."""
    have: int
    """Bytes of its tensors that an interrupted run left."""


@dataclass(frozen=True, slots=True)
class Quantizing:
    """So much is done; told a few times a second, also where nothing happens, and at both ends."""

    done: int
    """Bytes of the output's tensors, those of interrupted runs among them."""
    size: int
    source_done: int
    """Bytes of the source's tensors."""
    source_size: int
    tensor: str
    """One that is worked on."""


@dataclass(frozen=True, slots=True)
class Noted:
    """Something that a user may want to know."""

    text: str


Event = Planned | Quantizing | Noted
Tell = Callable[[Event], None]
"""Takes what happened, on the thread that called for the work. What it raises ends the work,
which can be gone on with."""


def nothing(_event: Event) -> None:
    """For callers who do not want to know."""
