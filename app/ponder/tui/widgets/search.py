"""The field below the conversation for words that are looked for in it. Looks for none itself."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input, Label

from ponder.tui.screens import bindings
from ponder.tui.widgets.field import Field


class SearchBar(Horizontal):
    """What is looked for, and which hit of how many is shown."""

    BINDINGS: ClassVar[list[BindingType]] = bindings.SEARCH

    class Wanted(Message):
        """Other words are looked for."""

        def __init__(self, words: str) -> None:
            super().__init__()
            self.words = words

    class Walked(Message):
        """Another hit is to be shown, so many further on."""

        def __init__(self, by: int) -> None:
            super().__init__()
            self.by = by

    class Closed(Message):
        """Nothing is looked for any more."""

    def compose(self) -> ComposeResult:
        """The field, and the count beside it."""
        yield Label("/ ")
        yield Field(placeholder="look for words in the thinking", compact=True)
        yield Label(id="hits")

    @property
    def words(self) -> str:
        """What is looked for."""
        return self.query_one(Field).value

    @words.setter
    def words(self, words: str) -> None:
        field = self.query_one(Field)
        with field.prevent(Input.Changed):
            field.value = words
        field.cursor_position = len(words)

    def tell(self, shown: int | None, hits: int) -> None:
        """Say which hit of how many is shown."""
        told = f"{shown + 1:,} of {hits:,}" if shown is not None else f"{hits:,} hits" * (hits > 0)
        self.query_one("#hits", Label).update(told or ("no hit" if self.words else ""))

    def take_focus(self) -> None:
        """Type on, or over what is there."""
        field = self.query_one(Field)
        field.focus()
        field.select_all()

    @on(Input.Changed)
    def wanted(self, message: Input.Changed) -> None:
        """With each letter."""
        message.stop()
        self.post_message(self.Wanted(message.value))

    @on(Input.Submitted)
    def submitted(self, message: Input.Submitted) -> None:
        """Enter goes on."""
        message.stop()
        self.action_walk(1)

    def action_walk(self, by: int) -> None:
        """So many hits further on."""
        self.post_message(self.Walked(by))

    def action_close(self) -> None:
        """Enough."""
        self.post_message(self.Closed())
