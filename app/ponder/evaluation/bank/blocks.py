"""What a bank file says, once it is read: problems, and themes that stories are composed of.

Knows what a block is made of. Refuses to know how it is written (`language`) and what is drawn
from it (`drawing`, `stories`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from ponder.evaluation.arithmetic import Number, Operator
from ponder.evaluation.bank.templates import Template
from ponder.evaluation.bank.terms import Function, Numbers
from ponder.evaluation.dice import Dice

RUNNING = "x"
"""The quantity that a story is about."""

Person = Literal["first", "third", "either"]
"""Whether a question tells of the asker, of somebody else, or of nobody."""

Role = Literal["problem", "start", "event", "noise", "ask", "more"]


@dataclass(frozen=True, slots=True)
class Given:
    """A number that is drawn."""

    name: str
    draw: Callable[[Dice, Numbers], Number | None]
    """None where the numbers so far leave nothing to draw; may raise ArithmeticError."""
    uses: frozenset[str]
    wide: Callable[[Dice], Number] | None = None
    """Draws larger ones, where a block allows that; None: it has no plain range to widen."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What has to hold of the numbers."""

    holds: Function
    uses: frozenset[str]


@dataclass(frozen=True, slots=True)
class Pick:
    """Words that are drawn for names, different ones for each."""

    names: tuple[str, ...]
    options: tuple[Template, ...]


@dataclass(frozen=True, slots=True)
class StepLine:
    """One operation; a side that is a string is the name of a number."""

    name: str
    operator: Operator
    left: Number | str
    right: Number | str
    label: Template


@dataclass(frozen=True, slots=True)
class VerdictLine:
    """A comparison that answers the question."""

    name: str
    kind: Literal["most", "least", "enough"]
    rivals: tuple[tuple[Template, Number | str], ...]


@dataclass(frozen=True, slots=True)
class Wording:
    """One q-line."""

    text: Template
    says: Template | None
    """Its own answer sentence."""
    person: Person
    proper: bool
    """Whether its sentences begin with capitals."""
    line: int


@dataclass(slots=True)
class Block:
    """A block of a file."""

    role: Role
    kind: str
    """The kind of a problem, else the name of the theme."""
    file: str
    line: int
    large: bool = False
    """Whether its numbers may be drawn larger than it says."""
    draws: list[Given | Condition] = field(default_factory=list)
    picks: list[Pick] = field(default_factory=list)
    wordings: list[Wording] = field(default_factory=list)
    steps: list[StepLine] = field(default_factory=list)
    after: list[Condition] = field(default_factory=list)
    """Conditions that need what the steps give."""
    verdict: VerdictLine | None = None
    says: dict[str, Template] = field(default_factory=dict)
    """Answer sentences: under "a", or under "yes" and "no"."""

    @property
    def numbers(self) -> set[str]:
        """The names of all its numbers, drawn and found."""
        drawn = {draw.name for draw in self.draws if isinstance(draw, Given)}
        return drawn | {step.name for step in self.steps}

    @property
    def operations(self) -> int:
        """How many operations it takes; a verdict counts as one."""
        return len(self.steps) + (self.verdict is not None)


@dataclass(slots=True)
class Theme:
    """Blocks that go together in one story."""

    name: str
    file: str
    line: int
    starts: list[Block] = field(default_factory=list)
    events: list[Block] = field(default_factory=list)
    noises: list[Block] = field(default_factory=list)
    asks: list[Block] = field(default_factory=list)
    mores: list[Block] = field(default_factory=list)

    def blocks(self) -> list[Block]:
        """All of them."""
        return self.starts + self.events + self.noises + self.asks + self.mores


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """Something in a file that has to be mended."""

    file: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"
