"""The receipt of a turn, to read and to copy. Knows lines; where they come from is its caller's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Label, TextArea

from ponder.tui.screens import bindings


class ReceiptScreen(ModalScreen[None]):
    """Shows a receipt.

    Args:
        lines: names and what is said of them.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings.RECEIPT

    def __init__(self, lines: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self.text = "\n".join(f"{name}: {told}" for name, told in lines)

    def compose(self) -> ComposeResult:
        """All of it; lines that are too long are wrapped."""
        with Vertical(classes="dialog wide"):
            yield Label("Receipt", classes="dialog-title")
            yield TextArea(self.text, read_only=True, show_cursor=False)
            yield Label("c copies all · esc closes", classes="edit-keys")

    def action_copy(self) -> None:
        """Through the terminal, so that it works over ssh."""
        self.app.copy_to_clipboard(self.text)
        self.notify("The receipt was copied.", markup=False)

    def action_leave(self) -> None:
        """Back to the chat."""
        self.dismiss(None)
