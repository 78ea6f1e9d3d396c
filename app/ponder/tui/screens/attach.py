"""Which files go before the next question: chosen by their paths, and taken away again.

Knows folders as far as listing them; reading files is the business of `attachments`, and how
many tokens they take is told by whoever opens this.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Label, OptionList, Static
from textual.widgets.option_list import Option

from ponder.attachments import Attachment, Gathered, gather, wrapped
from ponder.errors import PonderError
from ponder.printable import safe
from ponder.tui import pump
from ponder.tui.screens import bindings
from ponder.tui.widgets.field import Field
from ponder.tui.widgets.keys import KeyLine

SHOWN = 200
"""Entries of a folder that are listed at most: typing finds the others."""
_TOLD = 5
"""Files left out that are named."""


class AttachScreen(ModalScreen[list[Attachment]]):
    """Gives the files that are attached when it is left.

    Args:
        attached: those that are already.
        count: how many tokens a text takes; 0 where there is no model that could tell.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings.ATTACH

    def __init__(self, attached: Sequence[Attachment], count: Callable[[str], int]) -> None:
        super().__init__()
        self._attached = list(attached)
        self._count = count
        self._tokens: dict[Attachment, int] = {}
        self._entries: list[str] = []

    def compose(self) -> ComposeResult:
        """A path, what is there, and what is attached."""
        with Vertical(classes="dialog wide"):
            yield Label("Attach text files", classes="dialog-title")
            yield Field(placeholder="path of a file or folder; tab completes, enter attaches")
            yield OptionList(id="entries")
            yield Static(id="about", markup=False)
            yield OptionList(id="attached")
            yield Static(id="problem", markup=False)
            yield KeyLine()

    def on_mount(self) -> None:
        """List what is here, and what is attached."""
        self._say("")
        self._look("")
        self._recount()

    # -- paths --------------------------------------------------------------------------

    @on(Input.Changed)
    def typed(self, message: Input.Changed) -> None:
        """List what begins like that."""
        self._say("")
        self._look(message.value)

    @work(group="entries", exclusive=True)
    async def _look(self, text: str) -> None:
        self._entries = await pump.aside(lambda: entries(text), "ponder-entries")
        listed = self.query_one("#entries", OptionList)
        listed.set_options(Option(Content(safe(name))) for name in self._entries)
        listed.highlighted = 0 if self._entries else None

    def action_complete(self) -> None:
        """As far as all that is listed goes on alike."""
        if self._entries:
            field, head = self.query_one(Input), self._head
            field.value = head + _common(self._entries)
            field.cursor_position = len(field.value)

    @property
    def _head(self) -> str:
        """What is typed, up to the last folder."""
        text = self.query_one(Input).value
        return text[: text.rfind("/") + 1]

    @on(Input.Submitted)
    def submitted(self, message: Input.Submitted) -> None:
        """Attach the path that is typed, or what is marked."""
        text = message.value.strip()
        marked = self.query_one("#entries", OptionList).highlighted
        if text and (Path(text).expanduser().exists() or marked is None):
            self._add(text)
        elif marked is not None:
            self._open(self._entries[marked])

    @on(OptionList.OptionSelected, "#entries")
    def selected(self, message: OptionList.OptionSelected) -> None:
        """Attach a file, or go into a folder."""
        self._open(self._entries[message.option_index])

    def _open(self, name: str) -> None:
        path = self._head + name
        if name.endswith("/"):
            field = self.query_one(Input)
            field.value, field.cursor_position = path, len(path)
            field.focus()
        else:
            self._add(path)

    @work(group="attach", exclusive=True)
    async def _add(self, text: str) -> None:
        try:
            gathered = await pump.aside(lambda: gather(Path(text)), "ponder-attach")
        except PonderError as error:
            self._say(f"{error.message} {error.hint}")
            return
        # What is attached again is read again, and there once.
        again = {file.source for file in gathered.files}
        kept = [file for file in self._attached if file.source not in again]
        self._attached = [*kept, *gathered.files]
        self._say(_left_out(gathered))
        self._recount()

    # -- what is attached -----------------------------------------------------------------

    @work(group="count", exclusive=True)
    async def _recount(self) -> None:
        files = list(self._attached)
        new = [file for file in files if not self._tokens.get(file)]
        self._tokens |= await pump.aside(
            lambda: {file: self._count(wrapped([file], "")) for file in new}, "ponder-count"
        )
        total = sum(self._tokens.get(file, 0) for file in files)
        told = f"attached: {len(files):,}" + (f" · {total:,} tokens" if total else "")
        self.query_one("#about", Static).update(told)
        listed = self.query_one("#attached", OptionList)
        at = listed.highlighted
        listed.set_options(Option(self._row(file)) for file in files)
        listed.highlighted = None if not files else min(at or 0, len(files) - 1)
        self.refresh_bindings()

    def _row(self, file: Attachment) -> Content:
        tokens = f"{self._tokens[file]:>8,} tokens  " if self._tokens.get(file) else ""
        return Content.assemble((tokens, "dim"), file.name)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that would do nothing are not shown."""
        return bool(self._attached) if action in ("remove", "clear") else True

    def action_remove(self) -> None:
        """Take away the one that is marked."""
        at = self.query_one("#attached", OptionList).highlighted
        if at is not None:
            del self._attached[at]
            self._recount()

    def action_clear(self) -> None:
        """Take all away."""
        self._attached = []
        self._recount()

    def _say(self, text: str) -> None:
        problem = self.query_one("#problem", Static)
        problem.update(safe(text))
        problem.display = bool(text)

    def action_leave(self) -> None:
        """Back to the question, with what is attached."""
        self.dismiss(self._attached)


def entries(text: str) -> list[str]:
    """What a path that is being typed may become: names, folders with a / behind them."""
    head, _, begun = text.rpartition("/")
    try:
        folder = Path(f"{head}/" if "/" in text else ".").expanduser()
        found = [
            f"{path.name}/" if path.is_dir() else path.name
            for path in folder.iterdir()
            if path.name.startswith(begun) and (begun or not path.name.startswith("."))
        ]
    except (OSError, RuntimeError, ValueError):
        return []
    return sorted(found)[:SHOWN]


def _common(names: Sequence[str]) -> str:
    """How all of them begin."""
    first, last = min(names), max(names)
    same = next((at for at, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), None)
    return first if same is None else first[:same]


def _left_out(gathered: Gathered) -> str:
    """What of a folder is not attached."""
    if not gathered.left_out:
        return ""
    some = [f"{name} ({why})" for name, why in gathered.left_out[:_TOLD]]
    more = len(gathered.left_out) - len(some)
    return f"Left out: {', '.join(some)}" + (f", and {more:,} more." if more else ".")
