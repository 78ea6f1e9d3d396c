"""The tree of a conversation: every turn that was asked, and which of them are shown.

Knows what the history tells of them; reads and writes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Label, OptionList
from textual.widgets.option_list import Option

from ponder.history.export import one_line, when
from ponder.history.records import Branch
from ponder.tui.screens import bindings

INDENT = 12
"""Columns at most that a turn is moved to the right: deeper ones are as far."""


class BranchScreen(ModalScreen[int | None]):
    """Gives the number of a turn, or None.

    Args:
        branches: each turn before those that follow it.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        bindings.LEAVE,
    ]

    def __init__(self, branches: Sequence[Branch]) -> None:
        super().__init__()
        self._branches = branches

    def compose(self) -> ComposeResult:
        """A line or two for each turn."""
        with Vertical(classes="dialog wide"):
            yield Label("Branches of this conversation", classes="dialog-title")
            yield OptionList(*[_option(branch) for branch in self._branches])
            yield Label("● is shown now · enter goes there · esc stays", classes="edit-keys")

    def on_mount(self) -> None:
        """Begin at the end of what is shown."""
        shown = [at for at, branch in enumerate(self._branches) if branch.chosen]
        listed = self.query_one(OptionList)
        listed.highlighted = shown[-1] if shown else 0
        listed.focus()

    @on(OptionList.OptionSelected)
    def chosen(self, message: OptionList.OptionSelected) -> None:
        """Go there."""
        self.dismiss(int(str(message.option.id)))

    def action_leave(self) -> None:
        """Stay where we are."""
        self.dismiss(None)


def _option(branch: Branch) -> Option:
    """The question, and below it how it was answered."""
    indent = " " * min(INDENT, 2 * branch.depth)
    siblings = branch.siblings
    place = f"{siblings.index(branch.id) + 1}/{len(siblings)} " if len(siblings) > 1 else ""
    facts = " · ".join(
        part
        for part in (one_line(branch.answer), branch.finish or "unfinished", when(branch.asked))
        if part
    )
    line = Content.assemble(
        f"{indent}{'●' if branch.chosen else '○'} ",
        (place, "bold"),
        one_line(branch.question),
        (f"\n{indent}  {facts}", "dim"),
    )
    return Option(line, id=str(branch.id))
