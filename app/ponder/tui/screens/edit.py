"""A step of a thought, to be edited: what is written here, the model goes on from. Knows text."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Label, Static, TextArea

from ponder.printable import safe
from ponder.tui.screens import bindings


class Edited(NamedTuple):
    """What was written, and whether it may be thought about for longer than before."""

    text: str
    more: bool


class StepEditor(TextArea):
    """A text area that is left with enter, as the composer is."""

    class Done(Message):
        """It is written."""

        def __init__(self, more: bool) -> None:
            super().__init__()
            self.more = more

    def get_line(self, line_index: int) -> Text:
        """What a terminal would obey is shown as a picture of itself."""
        return Text(safe(self.document.get_line(line_index)), end="", no_wrap=True)

    async def _on_key(self, event: events.Key) -> None:
        if event.key not in ("enter", "alt+enter", "ctrl+j", "shift+enter"):
            await super()._on_key(event)
            return
        event.prevent_default()
        event.stop()
        if event.key in ("enter", "alt+enter"):
            self.post_message(self.Done(event.key == "alt+enter"))
        else:
            self.insert("\n")


class EditScreen(ModalScreen[Edited | None]):
    """Gives the edited text, or None.

    Args:
        text: what to begin with.
        note: what follows from confirming, in a line.
        more: tokens that alt+enter grants beside; 0: there is no budget to add to.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings.EDIT

    def __init__(self, text: str, note: str, more: int = 0) -> None:
        super().__init__()
        self._text = text
        self._note = note
        self._more = more

    def compose(self) -> ComposeResult:
        """The text, and what the keys do."""
        more = f" · alt+enter with {self._more:,} tokens more" if self._more else ""
        with Vertical(classes="dialog wide"):
            yield Label("Edit this step", classes="dialog-title")
            yield StepEditor(
                self._text, soft_wrap=True, show_line_numbers=False, tab_behavior="focus"
            )
            yield Static(self._note, markup=False, classes="edit-note")
            yield Static(
                f"enter goes on from here{more} · ctrl+j new line · esc leaves all as it was",
                markup=False,
                classes="edit-keys",
            )

    def on_mount(self) -> None:
        """At its end: most is added there."""
        editor = self.query_one(StepEditor)
        editor.move_cursor(editor.document.end)
        editor.focus()

    def on_step_editor_done(self, message: StepEditor.Done) -> None:
        """Hand it over."""
        message.stop()
        self.dismiss(Edited(self.query_one(StepEditor).text, message.more))

    def action_leave(self) -> None:
        """Leave all as it was."""
        self.dismiss(None)
