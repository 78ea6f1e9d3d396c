"""What was decided on a trace, in order, and where its tokens went. Knows words and no engine."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text
from textual.app import RenderResult
from textual.widget import Widget

from ponder.explaining import account, trail
from ponder.types import BudgetEvent, Finish, Usage

NOTHING = "nothing was decided so far"


class AuditView(Widget):
    """Shows the decisions on one trace, a line each, and the account once it is over."""

    ALLOW_SELECT = False

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[tuple[str, str]] = []
        """Where, and what."""

    def tell(
        self, events: Sequence[BudgetEvent], finish: Finish | None, usage: Usage | None
    ) -> None:
        """Show this.

        Args:
            events: on the trace, in order.
            finish: how its thinking ended; None while it goes on.
            usage: its account; None until it is over.
        """
        lines = trail(events, finish) or [("", NOTHING)]
        if usage is not None:
            lines.append(("spent", account(usage)))
        if lines != self.lines:
            self.lines = lines
            self.refresh(layout=True)

    def render(self) -> RenderResult:
        """Where on the left, what beside it."""
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(justify="right", no_wrap=True)
        table.add_column()
        for place, told in self.lines:
            table.add_row(Text(place), Text(told))
        return table
