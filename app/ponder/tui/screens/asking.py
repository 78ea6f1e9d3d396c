"""One line that somebody writes: a title, a name. Knows nothing of what it is for."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Label

from ponder.printable import safe
from ponder.tui.screens import bindings
from ponder.tui.widgets.field import Field


class AskScreen(ModalScreen[str | None]):
    """Gives what was written, or None.

    Args:
        question: what is asked.
        text: what to begin with.
    """

    BINDINGS: ClassVar[list[BindingType]] = [bindings.LEAVE]

    def __init__(self, question: str, text: str) -> None:
        super().__init__()
        self._question = question
        self._text = text

    def compose(self) -> ComposeResult:
        """The question, and a field."""
        with Vertical(classes="dialog"):
            yield Label(safe(self._question), classes="dialog-title", markup=False)
            yield Field(self._text)

    @on(Input.Submitted)
    def written(self, message: Input.Submitted) -> None:
        """Take it, if there is something."""
        if message.value.strip():
            self.dismiss(message.value.strip())

    def action_leave(self) -> None:
        """Leave it as it was."""
        self.dismiss(None)
