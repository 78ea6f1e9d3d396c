"""The outline of a trace: where it turned, and what it took for an answer on its way.

Grows while the trace does. Gives a character to go to; knows nothing of what is shown behind it.
"""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Label, OptionList
from textual.widgets.option_list import Option

from ponder.passages import Mark, Pivot
from ponder.tui.screens import bindings
from ponder.tui.widgets.trace_reading import Reading

LOOK = 0.3
"""Seconds between two looks at what has come."""
STYLES = {Pivot.FORCED: "bold italic", Pivot.CANDIDATE: "bold"}


class OutlineScreen(ModalScreen[int]):
    """Gives the character to go to; None leaves everything as it is.

    Args:
        view: the trace.
    """

    BINDINGS: ClassVar[list[BindingType]] = [bindings.LEAVE]

    def __init__(self, view: Reading) -> None:
        super().__init__()
        self._view = view
        self._shown: list[Mark] = []

    def compose(self) -> ComposeResult:
        """How many there are, and a row for each."""
        with Vertical(classes="dialog wide"):
            yield Label(classes="dialog-title", markup=False)
            yield OptionList()

    def on_mount(self) -> None:
        """Begin with what is there, at the step that is read."""
        self._look()
        rows = self.query_one(OptionList)
        here = self._view.here
        if self._shown:
            at = here.at if here is not None else 0
            after = [n for n, mark in enumerate(self._shown) if mark.at >= at]
            rows.highlighted = after[0] if after else len(self._shown) - 1
        rows.focus()
        self.set_interval(LOOK, self._look)

    def _look(self) -> None:
        """Add what is new; a pivot that was found late is put in where it belongs."""
        marks = list(self._view.marks)
        rows = self.query_one(OptionList)
        if marks[: len(self._shown)] != self._shown:
            rows.clear_options()
            self._shown = []
        rows.add_options([Option(self._row(mark)) for mark in marks[len(self._shown) :]])
        self._shown = marks
        turns, steps = len(marks), len(self._view.passages.steps)
        self.query_one(Label).update(
            f"Outline: {turns} turn{'s' * (turns != 1)}, {steps} step{'s' * (steps != 1)}"
        )

    def _row(self, mark: Mark) -> Text:
        view = self._view
        line = view.line_at(mark.at)
        narrow = self.app.size.width < 60
        token = "" if narrow else f"{f'~{view.token_at(mark.at):,}':>8}"
        step = view.passages.step_at(mark.at) + 1
        row = Text(f"{step:>4}{token}  ", style="dim", no_wrap=True, overflow="ellipsis")
        # Where there is little room, what its words say themselves is not said twice.
        pivot = "" if narrow and line.startswith(mark.pivot.value) else mark.pivot.value
        row.append(
            f"{pivot}  " * bool(pivot) if narrow else f"{pivot:<14}", STYLES.get(mark.pivot, "")
        )
        return row.append(line)

    @on(OptionList.OptionSelected)
    def chosen(self, message: OptionList.OptionSelected) -> None:
        """Go there."""
        self.dismiss(self._shown[message.option_index].at)

    def action_leave(self) -> None:
        """Stay."""
        self.dismiss(None)
