"""The turns of a conversation that are shown, and what a model is told of them. Knows slots of the
history and messages; knows no session and no widget."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ponder.types import AnswerEnd, Budget, Message, Trace

if TYPE_CHECKING:
    from ponder.history.recorder import Slot


@dataclass(slots=True)
class Said:
    """One turn on the path."""

    slot: Slot
    question: str
    model: str
    budget: Budget
    answer: str | None = None
    """What later questions are asked in the light of; None where it was never answered."""
    place: int = 1
    """Its number among the turns that were asked in its place."""
    of: int = 1
    """How many those are."""

    def answered(self, trace: Trace) -> None:
        """It is over; what was cancelled is not remembered."""
        if trace.answer_end is not AnswerEnd.CANCELLED:
            self.answer = trace.answer


@dataclass(slots=True)
class Path:
    """From the first turn to the last one that is shown."""

    turns: list[Said] = field(default_factory=list)

    def messages(self, before: int | None = None) -> list[Message]:
        """What has been said, as a model is told it: answers without their thinking.

        `before` leaves out that turn and all that follow it.
        """
        return [
            message
            for turn in self.turns[:before]
            if turn.answer is not None
            for message in (Message("user", turn.question), Message("assistant", turn.answer))
        ]

    def branch(self, at: int, turn: Said) -> None:
        """Put a turn in the place of another one: that one and all after it are shown no more."""
        if at < len(self.turns):
            turn.place = turn.of = self.turns[at].of + 1
        self.turns[at:] = [turn]

    def before(self, at: int) -> Slot | None:
        """What a turn at this place follows."""
        return self.turns[at - 1].slot if at else None
