"""What of a turn is to be copied. Gives one of what it was offered; copies nothing itself."""

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

from ponder.printable import safe
from ponder.tui.screens import bindings


class CopyScreen(ModalScreen[int]):
    """Gives the number of what is to be copied; None copies nothing.

    Args:
        offered: what each thing is, and its text.
    """

    BINDINGS: ClassVar[list[BindingType]] = [bindings.LEAVE]

    def __init__(self, offered: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self._offered = offered

    def compose(self) -> ComposeResult:
        """A row for each."""
        with Vertical(classes="dialog"):
            yield Label("Copy", classes="dialog-title")
            yield OptionList(
                *(
                    Option(Content(f"{safe(what)}  ({len(text):,} characters)"))
                    for what, text in self._offered
                )
            )

    def on_mount(self) -> None:
        """Ready to choose."""
        self.query_one(OptionList).focus()

    @on(OptionList.OptionSelected)
    def chosen(self, message: OptionList.OptionSelected) -> None:
        """Take it."""
        self.dismiss(message.option_index)

    def action_leave(self) -> None:
        """Leave it."""
        self.dismiss(None)
