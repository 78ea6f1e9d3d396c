"""A question as it was asked: the files before it folded into a line, which opens.

Knows text. How many tokens the files took is told to it, where that is known.
"""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType
from textual.content import Content
from textual.widgets import Static

from ponder.attachments import split
from ponder.printable import safe
from ponder.tui.screens import bindings


def summary(asked: str, tokens: int = 0) -> str:
    """The files before a question in a line; empty if there are none."""
    files, _ = split(asked)
    if not files:
        return ""
    count = "1 file" if len(files) == 1 else f"{len(files):,} files"
    size = f"{tokens:,} tokens" if tokens else f"{sum(len(t) for _, t in files):,} characters"
    names = ", ".join(name for name, _ in files[:4]) + (", …" if len(files) > 4 else "")
    return f"{count}, {size}: {names}"


class QuestionView(Static):
    """Shows a question.

    Args:
        asked: as it was asked, files included.
        tokens: what the files took; 0 where that is not known.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings.QUESTION

    def __init__(self, asked: str, tokens: int = 0) -> None:
        super().__init__(classes="question", markup=False)
        self._asked = asked
        self._summary = summary(asked, tokens)
        self._open = False
        self.can_focus = bool(self._summary)

    def on_mount(self) -> None:
        """Show it, its files folded."""
        self._show()

    def on_click(self) -> None:
        """A click unfolds as well."""
        self.action_unfold()

    def action_unfold(self) -> None:
        """Show the files, or fold them."""
        if self._summary:
            self._open = not self._open
            self._show()

    def _show(self) -> None:
        if not self._summary:
            self.update(Content(safe(self._asked)))
            return
        head = (f"{'▾' if self._open else '▸'} {safe(self._summary)}\n", "$text-muted")
        text = self._asked if self._open else split(self._asked)[1]
        self.update(Content.assemble(head, safe(text)))
