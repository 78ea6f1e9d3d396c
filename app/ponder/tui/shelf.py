"""Conversations and hits as rows of a list, and as a preview beside it.

Knows records and how they look; knows no widget, and reads no file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from textual.content import Content
from textual.widgets.option_list import Option

from ponder.history.finding import Wanted
from ponder.history.records import Conversation, Hit, Place, Turn
from ponder.printable import safe
from ponder.types import Channel

_PARTS: dict[Place, int] = {"question": 600, "thinking": 1_500, "answer": 1_500}
"""Characters of each part of a turn that a preview shows at most."""
_BEFORE = 200
"""Characters before the first match that it shows."""
_TURNS = 8
"""Turns of a conversation that a preview shows, the last ones."""
_HIT = "bold underline"
"""No colour: it stands on that of the cursor as well, and where there is none."""


@dataclass(frozen=True, slots=True)
class Row:
    """A conversation, or a turn of it that a search found."""

    conversation: Conversation
    hit: Hit | None = None

    @property
    def id(self) -> str:
        """What the list calls it."""
        turn = self.hit.turn if self.hit is not None else ""
        return f"{self.conversation.id}:{turn}"

    def option(self, marked: bool) -> Option:
        """How it is listed."""
        item = self.conversation
        turns = "1 turn" if item.turns == 1 else f"{item.turns} turns"
        about = f"  {turns} · {safe(item.model)}" if self.hit is None else ""
        line = Content.assemble(
            ("✓ " if marked else "  ", "bold $text-success"),
            (f"{when(item.updated)}  ", "dim"),
            ("★ " if item.pinned else "", "$text-accent"),
            safe(item.title) or "Untitled",
            (about, "dim"),
        )
        if item.deleted is not None:
            line = Content.assemble(line, (f"  deleted {when(item.deleted)}", "dim"))
        if self.hit is not None:
            excerpt = _marked(self.hit.excerpt.replace("\n", " "), self.hit.marks)
            where = f"\n    {self.hit.where}: "
            line = Content.assemble(line, (where, "dim"), excerpt)
        return Option(line, id=self.id)


def preview(row: Row, turns: Sequence[Turn], look: Wanted) -> Content:
    """What is in a row: the turn that was found, or the last turns of the conversation."""
    item = row.conversation
    parts: list[Content | str | tuple[str, str]] = [
        (f"{safe(item.title)}\n", "bold"),
        (f"{item.id} · {safe(item.model)} · {when(item.created)}\n", "dim"),
    ]
    if row.hit is None:
        if len(turns) > _TURNS:
            parts.append((f"\n… {len(turns) - _TURNS} earlier turns\n", "dim"))
        shown = turns[-_TURNS:]
    else:
        shown = [turn for turn in turns if turn.id == row.hit.turn]
    for turn in shown:
        for place, text in _texts(turn).items():
            if text.strip() and (place != "thinking" or row.hit is not None or len(turns) == 1):
                parts += [(f"\n{place}\n", "dim italic"), _window(text, place, look), "\n"]
    return Content.assemble(*parts)


def when(at: float) -> str:
    """Unix seconds as a local date and time."""
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M")


def _texts(turn: Turn) -> dict[Place, str]:
    thought = "".join(span.text for span in turn.spans if span.channel is Channel.THOUGHT)
    answer = "".join(span.text for span in turn.spans if span.channel is Channel.ANSWER)
    return {"question": turn.question, "thinking": thought, "answer": answer}


def _window(text: str, place: Place, look: Wanted) -> Content:
    """A part of a text around its first match, all matches in it marked."""
    text = text.strip("\n")
    first = min((m.start() for p in look.patterns if (m := p.search(text))), default=0)
    start = max(0, first - _BEFORE)
    end = start + _PARTS[place]
    shown = text[start:end]
    spans = [match.span() for pattern in look.patterns for match in pattern.finditer(shown)]
    lead, tail = "…" if start else "", "…" if end < len(text) else ""
    return Content.assemble(lead, _marked(shown, spans), tail)


def _marked(text: str, spans: Sequence[tuple[int, int]]) -> Content:
    content = Content(safe(text))
    for start, end in spans:
        content = content.stylize(_HIT, start, end)
    return content
