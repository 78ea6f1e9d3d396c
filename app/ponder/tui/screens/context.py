"""What the next question would be sent with, and what of it would not: tokens, part by part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Label, Static

from ponder.printable import safe
from ponder.tui.labels import bar
from ponder.tui.screens import bindings

_BAR = 40
"""Cells of the gauge."""


@dataclass(frozen=True, slots=True)
class Part:
    """Something that goes into a prompt."""

    what: str
    tokens: int
    left_out: bool = False


class ContextScreen(ModalScreen[None]):
    """Shows parts.

    Args:
        parts: in the order of the prompt.
        prompt: tokens of what would be sent, the template's own included.
        n_ctx: tokens that the context holds.
    """

    BINDINGS: ClassVar[list[BindingType]] = [bindings.LEAVE]

    def __init__(self, parts: Sequence[Part], prompt: int, n_ctx: int) -> None:
        super().__init__()
        self._parts = parts
        self._prompt = prompt
        self._n_ctx = n_ctx

    def compose(self) -> ComposeResult:
        """The gauge, then the parts."""
        left = max(0, self._n_ctx - self._prompt)
        gauge = f"{bar(self._prompt / self._n_ctx, _BAR)} {self._prompt:,}/{self._n_ctx:,}"
        lines: list[Content] = []
        for part in self._parts:
            told = f"{part.tokens:>9,}  {safe(part.what)}"
            style = "$text-warning" if part.left_out else ""
            lines.append(Content.styled(told + ("  left out" if part.left_out else ""), style))
        with Vertical(classes="dialog wide"):
            yield Label("Context of the next question", classes="dialog-title")
            yield Static(f"{gauge} tokens\n{left:,} are left for thinking and answer", id="gauge")
            with VerticalScroll(id="parts"):
                yield Static(Content("\n").join(lines))

    def action_leave(self) -> None:
        """Back to the question."""
        self.dismiss(None)
