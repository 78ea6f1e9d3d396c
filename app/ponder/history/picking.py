"""One trace of a conversation, by its numbers. Knows records; no widget and no command."""

from __future__ import annotations

from dataclasses import dataclass

from ponder.errors import InputError
from ponder.history.store import History
from ponder.types import Span


@dataclass(frozen=True, slots=True)
class Picked:
    """A trace, and what it is called."""

    title: str
    spans: tuple[Span, ...]


def pick(history: History, conversation: int, turn: int = 0, trace: int = 0) -> Picked:
    """A trace of a conversation.

    Args:
        history: where it is.
        conversation: its number.
        turn: which question, from 1; 0 is the last one.
        trace: which of several that voted, from 1; 0 is the one whose answer is the answer.

    Raises:
        InputError: there is none of that number; says which there are.
    """
    entry = history.conversation(conversation)
    turns = history.turns(conversation)
    if not turns or turn > len(turns):
        raise InputError(
            f"There is no turn {turn} in conversation {conversation}.",
            f"It has {len(turns)}: {conversation}.1 is the first one.",
        )
    chosen = turns[turn - 1]
    title = f"{conversation}.{chosen.position + 1} {entry.title} ({chosen.model})"
    if not trace:
        return Picked(title, chosen.spans)
    for candidate in chosen.candidates:
        if candidate.number == trace:
            return Picked(f"trace {trace} of {title}", candidate.spans)
    raise InputError(
        f"There is no trace {trace} of turn {chosen.position + 1}.",
        f"It has {len(chosen.candidates)}." if chosen.candidates else "It has one alone.",
    )
