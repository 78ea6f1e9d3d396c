"""A question that a model is measured by, wherever it comes from, and sets of them.

Knows texts and keys. Refuses to know who is asked, how, and what came out.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from ponder.types import Message


@dataclass(frozen=True, slots=True)
class Item:
    """Something to ask, and what is right."""

    id: str
    """Tells it from the others of its set."""
    text: str
    """As it is asked, the choices and the request for a form included."""
    answer: str | None
    """The key. None: there is nothing to work out, so nothing is right."""
    kind: str = ""
    """What it asks for, where a set says so."""
    earlier: tuple[Message, ...] = ()
    """What was said before, oldest first."""

    @property
    def key(self) -> str:
        """Its id, and a hash of what it asks: results of another question never count for it."""
        told = [self.text, self.answer, [[m.role, m.content] for m in self.earlier]]
        return f"{self.id}:{hashlib.sha256(json.dumps(told).encode()).hexdigest()[:12]}"

    @property
    def messages(self) -> tuple[Message, ...]:
        """The conversation up to the question."""
        return (*self.earlier, Message("user", self.text))


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one line of a file."""

    line: int
    """Counted from 1; in a table, the line on which its row ends."""
    why: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.why}"


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """Questions, and what could not be read as one."""

    name: str
    items: tuple[Item, ...]
    malformed: tuple[Fault, ...] = ()
    """Lines that are no question."""
    keyless: tuple[Fault, ...] = ()
    """Questions whose key cannot be read. They are not asked: nobody could say who is right."""
