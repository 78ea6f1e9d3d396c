"""Earlier conversations: listed, searched, taken up again. Reads the history, writes nothing."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Label, OptionList, Static
from textual.widgets.option_list import Option

from ponder import paths
from ponder.errors import PonderError
from ponder.history.records import Conversation, Hit
from ponder.history.store import History
from ponder.printable import safe
from ponder.tui.pump import aside
from ponder.tui.screens import bindings
from ponder.tui.widgets.field import Field

SHOWN = 200
"""Conversations and hits that are listed at most: a search finds the others."""


class HistoryScreen(ModalScreen[int | None]):
    """Gives the number of a conversation, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        bindings.LEAVE,
        bindings.INTO_LIST,
    ]

    def compose(self) -> ComposeResult:
        """A field to search in answers and thinking, and what it finds."""
        with Vertical(classes="dialog wide"):
            yield Label("Earlier conversations", classes="dialog-title")
            yield Field(placeholder="search questions, answers and thinking")
            yield OptionList()
            yield Static(id="problem", markup=False)

    def on_mount(self) -> None:
        """List the latest."""
        self._search("")

    @on(Input.Changed)
    def changed(self, message: Input.Changed) -> None:
        """Search as it is typed."""
        self._search(message.value.strip())

    @work(exclusive=True)
    async def _search(self, words: str) -> None:
        def look() -> list[Conversation] | list[Hit]:
            if not paths.history_file().exists():
                return []
            with History(paths.history_file()) as history:
                return history.search(words, SHOWN) if words else history.conversations(SHOWN)

        try:
            found = await aside(look, "ponder-search")
        except PonderError as error:
            self._say(f"{error.message} {error.hint}")
            return
        listed = self.query_one(OptionList)
        listed.clear_options()
        for item in found:
            listed.add_option(_hit(item) if isinstance(item, Hit) else _conversation(item))
        if listed.option_count:
            listed.highlighted = 0
            self._say("")
        else:
            self._say("Nothing found." if words else "There are none yet.")

    def _say(self, text: str) -> None:
        problem = self.query_one("#problem", Static)
        problem.update(text)
        problem.display = bool(text)

    @on(Input.Submitted)
    def submitted(self) -> None:
        """Take the one that is marked."""
        listed = self.query_one(OptionList)
        if listed.highlighted is not None:
            self._choose(listed.get_option_at_index(listed.highlighted))

    @on(OptionList.OptionSelected)
    def chosen(self, message: OptionList.OptionSelected) -> None:
        """Take it."""
        self._choose(message.option)

    def _choose(self, option: Option) -> None:
        self.dismiss(int(str(option.id).partition(":")[0]))

    def action_leave(self) -> None:
        """Stay where we are."""
        self.dismiss(None)


def _conversation(item: Conversation) -> Option:
    turns = "1 turn" if item.turns == 1 else f"{item.turns} turns"
    line = Content.assemble(
        (f"{when(item.updated)}  ", "dim"),
        safe(item.title),
        (f"  {turns} · {safe(item.model)}", "dim"),
    )
    return Option(line, id=str(item.id))


def _hit(item: Hit) -> Option:
    excerpt = Content(safe(item.excerpt.replace("\n", " ")))
    for start, end in item.marks:
        excerpt = excerpt.stylize("bold $text-warning", start, end)
    line = Content.assemble(
        (f"{when(item.conversation.updated)}  ", "dim"),
        safe(item.conversation.title),
        (f"  in the {item.where}\n", "dim"),
        "  ",
        excerpt,
    )
    return Option(line, id=f"{item.conversation.id}:{item.turn}")


def when(at: float) -> str:
    """Unix seconds as a local date and time."""
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M")
