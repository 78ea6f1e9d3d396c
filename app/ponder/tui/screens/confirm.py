"""A question before something that cannot be taken back. Does nothing itself."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Label, OptionList, Static
from textual.widgets.option_list import Option

from ponder.printable import safe
from ponder.tui.screens import bindings


class ConfirmScreen(ModalScreen[bool]):
    """Gives whether it is wanted; what is marked first is to leave it.

    Args:
        question: what is asked.
        about: what has to be known first.
        yes: what doing it is called.
        no: what leaving it is called.
    """

    BINDINGS: ClassVar[list[BindingType]] = [bindings.LEAVE]

    def __init__(self, question: str, about: str, yes: str, no: str) -> None:
        super().__init__()
        self._question = question
        self._about = about
        self._answers = (no, yes)

    def compose(self) -> ComposeResult:
        """The question, what it means, and two answers."""
        with Vertical(classes="dialog"):
            yield Label(safe(self._question), classes="dialog-title", markup=False)
            with VerticalScroll(id="meaning"):
                yield Static(safe(self._about), markup=False)
            yield OptionList(*(Option(answer) for answer in self._answers))

    def on_mount(self) -> None:
        """Mark what does no harm."""
        answers = self.query_one(OptionList)
        answers.highlighted = 0
        answers.focus()

    @on(OptionList.OptionSelected)
    def answered(self, message: OptionList.OptionSelected) -> None:
        """Take it."""
        self.dismiss(message.option_index == 1)

    def action_leave(self) -> None:
        """Leave it."""
        self.dismiss(False)
