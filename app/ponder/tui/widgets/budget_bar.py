"""The budget of a thought while it goes on: what is used of what, how fast, how long it can last.

A bar as wide as there is room for. Without a cap it is the context that is used up, and the line
says so. Knows figures; knows neither engine nor clock.
"""

from __future__ import annotations

from textual.app import RenderResult
from textual.content import Content
from textual.widget import Widget

from ponder.receipt import duration
from ponder.tui.labels import Phase, Standing, bar, fitting

LEAST, MOST = 8, 48
"""Cells of a bar: with fewer it says nothing, and more say no more."""


class BudgetBar(Widget):
    """One line below a trace, for as long as it thinks."""

    ALLOW_SELECT = False

    def __init__(self) -> None:
        super().__init__()
        self.display = False
        self.think = 0
        """Thinking tokens so far."""
        self.cap = 0
        """At most so many; 0: it does not think, or nobody knows yet."""
        self.by_context = False
        """Whether nobody set that, and it is the room in the context."""
        self.floor = 0
        """At least so many."""
        self.rate = 0.0
        """Thinking tokens a second; 0 where that is not known yet."""
        self.left: float | None = None
        """Seconds until the deadline; None: there is none."""

    def show(self, standing: Standing, by_context: bool, floor: int, left: float | None) -> None:
        """Show how a thought stands; it is gone when that is over.

        Args:
            standing: its figures.
            by_context: whether its cap is the room in the context.
            floor: thinking tokens it is to have at least.
            left: seconds until the deadline; None: there is none.
        """
        self.think, self.cap, self.rate = standing.think, standing.budget or 0, standing.rate
        self.by_context, self.floor, self.left = by_context, floor, left
        thinks = standing.phase is Phase.THINKING and standing.finish is None
        if self.display != (thinks and self.cap > 0):
            self.display = thinks and self.cap > 0
        if self.display:
            self.refresh()

    def render(self) -> RenderResult:
        """The bar, and what there is room for."""
        return Content(line(self, self.size.width))


def line(now: BudgetBar, width: int) -> str:
    """What is told at so many columns; the parts that matter least give way."""
    cap, end = now.cap, "the context's end" if now.by_context else "the cap"
    parts = [(f"{now.think:,}/{cap:,}", 9)]
    if now.by_context:
        parts.append(("no cap", 4))
    if now.rate:
        parts.append((f"{now.rate:,.0f} tok/s", 6))
        if cap > now.think:
            parts.append((f"{duration((cap - now.think) / now.rate)} to {end}", 5))
    if now.left is not None:
        late = f"{duration(now.left)} left" if now.left > 0 else f"{duration(-now.left)} late"
        parts.append((late, 8))
    if now.floor > now.think:
        parts.append((f"at least {now.floor:,}", 7))
    told = fitting(parts, width - LEAST - 2)
    room = min(MOST, width - len(told) - 2)
    if cap <= 0 or room < LEAST:
        return fitting(parts, width)
    drawn = bar(now.think / cap, room)
    at = round(room * now.floor / cap)
    # The floor is a notch in the bar: until there, an end is withdrawn.
    if 0 < at < room:
        drawn = f"{drawn[:at]}╂{drawn[at + 1 :]}"
    return f"{drawn}  {told}"
