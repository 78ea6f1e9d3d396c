"""The line at the top: which conversation, which model, how full its context is.

Knows words and widths.
"""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size
from textual.app import RenderResult
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from ponder import offline
from ponder.printable import safe
from ponder.tui.labels import bar

GAUGE = 8
"""Cells of the context's bar."""


class StatusLine(Widget):
    """One line, redrawn when one of its facts changes."""

    title = reactive("")
    model = reactive("")
    """Its name; empty while there is none."""
    fraction = reactive(-1.0)
    """The fraction loaded; below zero while nothing is being loaded."""
    context = reactive((0, 0))
    """Tokens used and tokens there are."""
    preset = reactive("")
    """Its name; empty for none."""
    work = reactive("")
    """What is done to files meanwhile; empty for nothing."""
    unsaved = reactive(False)
    """Whether the history cannot be written at the moment."""

    def render(self) -> RenderResult:
        """Title on the left, facts on the right; the title gives way."""
        facts = ["offline"] if offline.layers() else []
        if self.unsaved:
            facts.append("not saved")
        used, there = self.context
        if there and self.fraction < 0:
            facts.append(f"{bar(used / there, GAUGE)} {used:,}/{there:,} context")
        if self.preset:
            facts.append(f"preset {self.preset}")
        if self.work:
            facts.append(self.work)
        if self.fraction >= 0:
            facts.append(f"loading {self.model} {bar(self.fraction)} {self.fraction:4.0%}")
        else:
            facts.append(self.model or "no model")
        width = self.size.width
        while len(facts) > 1 and cell_len(" · ".join(facts)) > width - 8:
            facts.pop(0)
        right = safe(" · ".join(facts))
        room = max(0, width - cell_len(right) - 2)
        left = safe(self.title) or "ponder"
        if cell_len(left) > room:
            left = set_cell_size(left, max(0, room - 1)) + "…"
        return Content.assemble(
            (set_cell_size(left, room), "bold"), "  ", (right, "not dim"), end=""
        )
