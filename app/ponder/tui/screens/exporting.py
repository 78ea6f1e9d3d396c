"""The two ways out of the history, as dialogs: documents to read, and lines to train on.

Knows which forms there are and who writes them; reads the history when it is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ponder import paths
from ponder.catalogue import catalogue
from ponder.history import collecting, document, forms
from ponder.history.records import Conversation, Turn
from ponder.history.store import History
from ponder.tui.screens.writing import WriteScreen

_COLLECTED = {
    "s1k": "a line each with the columns of s1K: question, thinking, answer",
    "messages": "a line each as a chat, the thinking inside its model's tags",
}


def exporting(numbers: Sequence[int]) -> WriteScreen:
    """Asks how and where to export conversations, and does it."""

    def write(form: str, thinking: bool, place: Path) -> str:
        known = next(name for name in forms.FORMS if name == form)
        document.write(place, forms.text(_read(numbers), known, thinking))
        return f"Wrote {_counted(numbers)} to {place}."

    title = f"Export {_counted(numbers)}"
    name = f"ponder-{numbers[0]}" if len(numbers) == 1 else f"ponder-{len(numbers)}-conversations"
    offered = {str(form): about for form, about in forms.FORMS.items()}
    return WriteScreen(title, offered, name, ("with the thinking", True), write)


def collecting_from(numbers: Sequence[int]) -> WriteScreen:
    """Asks how and where to collect turns to train on, and does it."""

    def write(form: str, everything: bool, place: Path) -> str:
        known = next(name for name in collecting.FORMS if name == form)
        terms = collecting.Terms(any_finish=everything, forced=everything)
        dialect_of = catalogue().dialect_of
        found = collecting.collect(_read(numbers), known, dialect_of, terms)
        document.write(place, collecting.text(found))
        lines = "1 line" if len(found.lines) == 1 else f"{len(found.lines)} lines"
        return f"Wrote {lines} to {place}. {found.told}".strip()

    return WriteScreen(
        f"Collect from {_counted(numbers)} what a model can be fine-tuned on",
        _COLLECTED,
        "traces",
        ("also what was cut, or has words put in", False),
        write,
        dict.fromkeys(_COLLECTED, "jsonl"),
    )


def _read(numbers: Sequence[int]) -> list[tuple[Conversation, list[Turn]]]:
    with History(paths.history_file()) as history:
        return [(history.conversation(number), history.turns(number)) for number in numbers]


def _counted(numbers: Sequence[int]) -> str:
    return f"conversation {numbers[0]}" if len(numbers) == 1 else f"{len(numbers)} conversations"
