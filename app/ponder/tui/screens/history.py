"""Earlier conversations: searched, opened, ordered, written to files, deleted and taken back.

Every change is one transaction of the history, made on a thread of its own, after which the list
is read anew. Knows keys and rows; what a query means, the history knows.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import ClassVar, NamedTuple

from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Label, OptionList, Static

from ponder import paths
from ponder.alignment import Row as Aligned
from ponder.alignment import aligned, sentences
from ponder.errors import InputError, PonderError
from ponder.history import query
from ponder.history.picking import Picked, pick
from ponder.history.query import Query
from ponder.history.store import History
from ponder.printable import safe
from ponder.tui.pump import aside
from ponder.tui.screens import bindings
from ponder.tui.screens.asking import AskScreen
from ponder.tui.screens.diff import DiffScreen
from ponder.tui.screens.exporting import collecting_from, exporting
from ponder.tui.screens.writing import WriteScreen
from ponder.tui.shelf import Row, preview
from ponder.tui.widgets.field import Field
from ponder.tui.widgets.keys import KeyLine

SHOWN = 200
"""Conversations and hits that are listed at most: a search finds the others."""
WIDE = 110
"""Columns from which on the marked conversation is shown beside the list."""
_PAUSE = 0.05
"""Seconds after a key before it is searched: who types on is not searched for."""


class Chosen(NamedTuple):
    """What is to be opened."""

    conversation: int
    turn: int | None


class Shelf(OptionList):
    """The list; letters are keys where it has the focus."""

    BINDINGS: ClassVar[list[BindingType]] = bindings.HISTORY

    def action_cursor_up(self) -> None:
        """From the first row to the field."""
        if self.highlighted in (None, 0):
            self.screen.query_one(Field).focus()
        else:
            super().action_cursor_up()


class HistoryScreen(ModalScreen[Chosen | None]):
    """Gives what is to be opened, or None."""

    BINDINGS: ClassVar[list[BindingType]] = bindings.EARLIER

    def __init__(self) -> None:
        super().__init__()
        self._rows: dict[str, Row] = {}
        """What is listed, by the names of its options."""
        self._marked: dict[str, Row] = {}
        self._deleted: list[list[int]] = []
        """What was put into the trash from here, the last ones last."""
        self._query = Query()
        self.renamed: dict[int | None, str] = {}
        """Titles that were given here, by the number of the conversation."""

    def compose(self) -> ComposeResult:
        """A field to search in all that was said, what it finds, and what is in that."""
        with Vertical(classes="dialog whole"):
            yield Label("Earlier conversations", classes="dialog-title", markup=False)
            yield Field(placeholder="search questions, answers and thinking")
            yield Static(f"filters: {query.FILTERS}", id="filters", markup=False)
            with Horizontal():
                yield Shelf()
                with VerticalScroll(id="preview", can_focus=False):
                    yield Static(id="text", markup=False)
            yield Static(id="problem", markup=False)
            yield KeyLine()

    def on_mount(self) -> None:
        """List the latest."""
        self.query_one(Field).focus()
        self._search("")

    def on_resize(self, message: events.Resize) -> None:
        """There is room for a preview, or none."""
        self.query_one("#preview").display = message.size.width >= WIDE

    # -- the list -----------------------------------------------------------------------

    @on(Input.Changed)
    def changed(self, message: Input.Changed) -> None:
        """Search as it is typed."""
        self._search(message.value)

    @work(exclusive=True, group="search")
    async def _search(self, text: str, keep: int | None = None) -> None:
        """List what a query finds; `keep` is the row to be marked."""

        def look() -> list[Row]:
            if not paths.history_file().exists():
                return []
            with History(paths.history_file()) as history:
                if asked.wanted.phrases:
                    return [Row(hit.conversation, hit) for hit in history.search(asked, SHOWN)]
                return [Row(entry) for entry in history.conversations(SHOWN, query=asked)]

        try:
            asked = query.read(text)
            await asyncio.sleep(_PAUSE)
            found = await aside(look, "ponder-search")
        except PonderError as error:
            self._say(f"{error.message} {error.hint}")
            return
        self._query = asked
        self._rows = {row.id: row for row in found}
        self._marked = {name: self._rows.get(name, row) for name, row in self._marked.items()}
        listed = self.query_one(Shelf)
        listed.clear_options()
        listed.add_options(row.option(name in self._marked) for name, row in self._rows.items())
        if found:
            listed.highlighted = min(keep or 0, len(found) - 1)
            self._say("")
        else:
            self.query_one("#text", Static).update("")
            self._say("Nothing found." if asked != Query() else "There are none yet.")
        self.refresh_bindings()

    def _again(self) -> None:
        """List anew, from the same place."""
        self._search(self.query_one(Field).value, self.query_one(Shelf).highlighted)

    def _say(self, text: str) -> None:
        problem = self.query_one("#problem", Static)
        problem.update(safe(text))
        problem.display = bool(text)

    @on(OptionList.OptionHighlighted)
    def marked(self, message: OptionList.OptionHighlighted) -> None:
        """Show what is in it."""
        self.refresh_bindings()
        row = self._rows.get(message.option_id or "")
        if row is not None and self.query_one("#preview").display:
            self._preview(row)

    @work(exclusive=True, group="preview")
    async def _preview(self, row: Row) -> None:
        look = self._query.wanted

        def read() -> Content:
            with History(paths.history_file()) as history:
                through = row.hit.turn if row.hit is not None else None
                return preview(row, history.turns(row.conversation.id, through), look)

        try:
            await asyncio.sleep(_PAUSE)
            shown = await aside(read, "ponder-preview")
        except PonderError as error:
            shown = Content(safe(error.message))
        self.query_one("#text", Static).update(shown)
        self.query_one("#preview", VerticalScroll).scroll_home(animate=False)

    # -- which it is about --------------------------------------------------------------

    @property
    def _row(self) -> Row | None:
        """The one under the cursor."""
        listed = self.query_one(Shelf)
        if listed.highlighted is None:
            return None
        return self._rows.get(listed.get_option_at_index(listed.highlighted).id or "")

    @property
    def _meant(self) -> list[Row]:
        """All that are marked, or the one under the cursor."""
        row = self._row
        return list(self._marked.values()) or ([row] if row is not None else [])

    @property
    def _numbers(self) -> list[int]:
        return list(dict.fromkeys(row.conversation.id for row in self._meant))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A key that would do nothing is not offered."""
        match action:
            case "mark" | "rename":
                return self._row is not None
            case "pin" | "export" | "collect":
                return bool(self._meant)
            case "delete":
                return bool(self._meant) and not self._query.deleted
            case "undo":
                return bool(self._meant) if self._query.deleted else bool(self._deleted)
            case "diff":
                return len(self._marked) == 2
        return True

    # -- keys ---------------------------------------------------------------------------

    @on(Input.Submitted)
    @on(OptionList.OptionSelected)
    def chosen(self) -> None:
        """Open the one that is marked."""
        row = self._row
        if row is not None:
            turn = row.hit.turn if row.hit is not None else None
            self._leave(Chosen(row.conversation.id, turn))

    def action_mark(self) -> None:
        """Mark a row, or no longer, and go to the next one."""
        row, listed = self._row, self.query_one(Shelf)
        if row is None or listed.highlighted is None:
            return
        if self._marked.pop(row.id, None) is None:
            self._marked[row.id] = row
        listed.replace_option_prompt(row.id, row.option(row.id in self._marked).prompt)
        listed.highlighted = min(listed.highlighted + 1, listed.option_count - 1)
        self.refresh_bindings()

    @work(group="dialog", exclusive=True)
    async def action_rename(self) -> None:
        """Give it another title."""
        row = self._row
        if row is None:
            return
        number = row.conversation.id
        title = await self.app.push_screen_wait(AskScreen("Its title", row.conversation.title))
        if title is not None:
            self.renamed[number] = title
            self._change(lambda history: history.rename(number, title))

    def action_pin(self) -> None:
        """Pin all that are meant; if all of them are, none."""
        numbers = self._numbers
        pinned = not all(row.conversation.pinned for row in self._meant)

        def act(history: History) -> None:
            with history.together():
                for number in numbers:
                    history.pin(number, pinned)

        self._change(act)

    def action_delete(self) -> None:
        """Put all that are meant into the trash."""
        numbers = self._numbers
        self._deleted.append(numbers)
        what = "1 conversation" if len(numbers) == 1 else f"{len(numbers)} conversations"
        self._change(lambda history: history.trash(numbers, time.time()))
        self.notify(f"Deleted {what}. u undoes it, for 30 days.", markup=False)

    def action_undo(self) -> None:
        """Take out of the trash what is meant there, or what was deleted last."""
        numbers = self._numbers if self._query.deleted else self._deleted.pop()
        self._change(lambda history: history.restore(numbers))

    @work(group="change")
    async def _change(self, act: Callable[[History], object]) -> None:
        def write() -> None:
            with History(paths.history_file()) as history:
                act(history)

        try:
            await aside(write, "ponder-history")
        except PonderError as error:
            self._say(f"{error.message} {error.hint}")
            return
        self._marked.clear()
        self._again()

    def action_export(self) -> None:
        """Write all that are meant to a file."""
        self._write(exporting(self._numbers))

    def action_collect(self) -> None:
        """Write all that are meant as lines to train on."""
        self._write(collecting_from(self._numbers))

    @work(group="dialog", exclusive=True)
    async def _write(self, dialog: WriteScreen) -> None:
        done = await self.app.push_screen_wait(dialog)
        if done:
            self.notify(safe(done), markup=False)

    @work(group="dialog", exclusive=True)
    async def action_diff(self) -> None:
        """Compare the two that are marked."""
        pair = list(self._marked.values())

        def read() -> tuple[Picked, Picked, list[Aligned]]:
            with History(paths.history_file()) as history:
                left, right = (_picked(history, row) for row in pair)
            rows = aligned(sentences(left.spans), sentences(right.spans))
            return left, right, rows

        try:
            await self.app.push_screen_wait(DiffScreen(*await aside(read, "ponder-diff")))
        except PonderError as error:
            self._say(f"{error.message} {error.hint}")

    def action_leave(self) -> None:
        """Stay where we are."""
        self._leave(None)

    def _leave(self, chosen: Chosen | None) -> None:
        # What is still searched for would find no list to be shown in.
        self.workers.cancel_node(self)
        self.dismiss(chosen)


def _picked(history: History, row: Row) -> Picked:
    """The trace of a row: of the turn that was found, or of the last one."""
    if row.hit is None:
        return pick(history, row.conversation.id)
    turns = history.turns(row.conversation.id, row.hit.turn)
    at = next((n for n, turn in enumerate(turns, 1) if turn.id == row.hit.turn), None)
    if at is None:
        raise InputError("This turn is not there any more.")
    return Picked(f"{row.conversation.id}.{at} {row.conversation.title}", turns[at - 1].spans)
