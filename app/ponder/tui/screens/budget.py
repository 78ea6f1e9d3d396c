"""How long the next question may be thought about: typed, or chosen. Knows wishes alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Label, OptionList, Static
from textual.widgets.option_list import Option

from ponder.errors import PonderError
from ponder.thinking import effort
from ponder.thinking.effort import Wish
from ponder.tui.widgets.field import Field


class BudgetScreen(ModalScreen[Wish | None]):
    """Asks for a budget; gives None if it stays as it is.

    Args:
        wish: what is set.
        efforts: what each effort means for the model that is loaded, in thinking tokens.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Cancel"),
        Binding("down", "app.focus_next", show=False),
    ]

    def __init__(self, wish: Wish, efforts: Mapping[str, int | None]) -> None:
        super().__init__()
        self._wish = wish
        self._efforts = efforts

    def compose(self) -> ComposeResult:
        """A field for a number, and the efforts."""
        meant = [(name, f"{name:8} {_tokens(name, most)}") for name, most in self._efforts.items()]
        with Vertical(classes="dialog"):
            yield Label("Thinking budget", classes="dialog-title")
            yield Field(placeholder=f"{self._wish.label}; or 512, 2k, low, off …")
            yield Static(id="problem", markup=False)
            yield OptionList(*(Option(told, id=name) for name, told in meant))

    def on_mount(self) -> None:
        """Mark what is set."""
        self.query_one("#problem").display = False
        names = list(self._efforts)
        if self._wish.effort in names:
            self.query_one(OptionList).highlighted = names.index(self._wish.effort)

    @on(Input.Submitted)
    def typed(self, message: Input.Submitted) -> None:
        """Take what was typed, or say what is wrong with it; it stays to be corrected."""
        if not message.value.strip():
            self.dismiss(None)
            return
        try:
            self.dismiss(effort.parse(message.value))
        except PonderError as error:
            problem = self.query_one("#problem", Static)
            problem.update(f"{error.message} {error.hint}")
            problem.display = True

    @on(OptionList.OptionSelected)
    def chosen(self, message: OptionList.OptionSelected) -> None:
        """Take an effort."""
        self.dismiss(effort.parse(str(message.option_id)))

    def action_leave(self) -> None:
        """Leave the budget as it is."""
        self.dismiss(None)


def _tokens(name: str, tokens: int | None) -> str:
    """What an effort means."""
    if name == "off":
        return "answer at once"
    return "as long as the context lasts" if tokens is None else f"up to {tokens:,} tokens"
