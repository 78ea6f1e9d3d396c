"""Two thinkings, sentence by sentence: side by side where it is wide, else one after the other."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Label, Static

from ponder.alignment import Row, agreement
from ponder.history.picking import Picked
from ponder.printable import safe
from ponder.sidebyside import WIDE, lines
from ponder.tui.screens import bindings
from ponder.tui.widgets.keys import KeyLine


class DiffScreen(ModalScreen[None]):
    """Shows how two thinkings were aligned.

    Args:
        left: one of them.
        right: the other one.
        rows: how they were aligned.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings.DIFF

    def __init__(self, left: Picked, right: Picked, rows: list[Row]) -> None:
        super().__init__()
        self._sides = (left, right)
        self._rows = rows
        self._beside: bool | None = None
        self._places: list[int] = []
        """Lines at which a difference begins."""

    def compose(self) -> ComposeResult:
        """Their names, how much is the same, and all sentences."""
        with Vertical(classes="dialog whole"):
            for sign, side in zip("<>", self._sides, strict=True):
                title = Content(f"{sign} {' '.join(safe(side.title).split())}")
                yield Label(title, classes="dialog-title")
            yield Static(agreement(self._rows), classes="quiet")
            with VerticalScroll():
                yield Static(id="rows")
            yield KeyLine()

    def on_mount(self) -> None:
        """Keys scroll at once."""
        self.query_one(VerticalScroll).focus()
        self.call_after_refresh(self._show)

    def on_resize(self, _: events.Resize) -> None:
        """Wrapped anew."""
        self.call_after_refresh(self._show)

    def action_turn(self) -> None:
        """Side by side, or no longer."""
        self._beside = not self._is_beside
        self._show()

    @property
    def _is_beside(self) -> bool:
        return self.app.size.width >= WIDE if self._beside is None else self._beside

    def action_step(self, by: int) -> None:
        """To the next row that differs, or the one before."""
        scroll = self.query_one(VerticalScroll)
        here = round(scroll.scroll_y)
        ahead = [at for at in self._places if (at > here if by > 0 else at < here)]
        if ahead:
            scroll.scroll_to(y=ahead[0] if by > 0 else ahead[-1], animate=False)

    def _show(self) -> None:
        # Its scrollbar is always there: what is wrapped keeps its width.
        width = self.query_one(VerticalScroll).scrollable_content_region.width
        if width < 1:
            return
        shown = lines(self._rows, width, self._is_beside)
        signs = [line.plain[:1] for line in shown]
        differ = [at for at, sign in enumerate(signs) if sign in "<>~" and sign.strip()]
        self._places = [at for at in differ if at - 1 not in differ]
        self.query_one("#rows", Static).update(Text("\n").join(shown))

    def action_leave(self) -> None:
        """Back."""
        self.dismiss(None)
