"""The traces of a vote, a line each, and the line above them: who said what, who is looked at.

Knows lines and keys; what a trace is, `tui.ballots` knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.app import RenderResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Size
from textual.message import Message
from textual.widget import Widget

from ponder.poll import Poll
from ponder.tui.ballots import Ballot, column, headline
from ponder.tui.screens import bindings


class BallotLine(Widget):
    """One or more traces of a vote, a line each.

    Args:
        ballots: which.
    """

    ALLOW_SELECT = False

    class Picked(Message):
        """Somebody wants to look at a trace."""

        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

    def __init__(self, ballots: Sequence[Ballot]) -> None:
        super().__init__()
        self.ballots = ballots
        self.poll: Poll | None = None
        self.looked_at = 0
        self.shown: int | None = None

    def tell(self, poll: Poll | None, looked_at: int, shown: int | None) -> None:
        """Show how they stand now."""
        self.poll, self.looked_at, self.shown = poll, looked_at, shown
        if self.display:
            self.refresh()

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """A row each."""
        return len(self.ballots)

    def render(self) -> RenderResult:
        """The one that is looked at stands out, and so does the one whose answer is the answer."""
        lines = []
        width = self.size.width
        # What else there is to say of one that stands above its thinking, that says itself.
        cells = column(self.ballots, self.poll, width) if len(self.ballots) > 1 else 0
        for ballot in self.ballots:
            looked_at, shown = ballot.number == self.looked_at, ballot.number == self.shown
            line = ballot.line(self.poll, width, cells, looked_at, shown)
            style = "$text-success" if shown else "$foreground" if looked_at else ""
            lines.append(Content.styled(line, f"bold {style}" if looked_at else style))
        return Content("\n").join(lines)

    def on_click(self, event: events.Click) -> None:
        """Look at the one that was clicked."""
        event.stop()
        if 0 <= event.y < len(self.ballots):
            self.post_message(self.Picked(self.ballots[event.y].number))


class Roll(BallotLine, can_focus=True):
    """All traces of a vote; keys walk through them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings.ROLL,
        Binding("tab", "leave(1)", show=False),
        Binding("shift+tab", "leave(-1)", show=False),
        *(Binding(str(digit), f"pick({digit})", show=False) for digit in range(1, 10)),
    ]

    def action_walk(self, step: int) -> None:
        """To the next one, and from the last one to the first."""
        numbers = [ballot.number for ballot in self.ballots]
        at = numbers.index(self.looked_at) if self.looked_at in numbers else 0
        self.post_message(self.Picked(numbers[(at + step) % len(numbers)]))

    def action_pick(self, number: int) -> None:
        """To this one."""
        if number <= len(self.ballots):
            self.post_message(self.Picked(number))

    def action_leave(self, step: int) -> None:
        """To the next one; from the last one on to what comes below."""
        if 1 <= self.looked_at + step <= len(self.ballots):
            self.action_walk(step)
        elif step > 0:
            self.screen.focus_next()
        else:
            self.screen.focus_previous()


class Headline(Widget, can_focus=True):
    """The vote in one line; enter, space or a click shows its traces, or hides them."""

    ALLOW_SELECT = False
    BINDINGS: ClassVar[list[BindingType]] = bindings.VOTE

    class Toggled(Message):
        """Somebody wants to see the traces, or no longer."""

    def __init__(self, ballots: list[Ballot]) -> None:
        super().__init__()
        self.ballots = ballots
        self.poll: Poll | None = None
        self.unfolded = True

    def tell(self, poll: Poll | None, unfolded: bool) -> None:
        """Show how it stands now."""
        self.poll, self.unfolded = poll, unfolded
        self.refresh()

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """One row."""
        return 1

    def render(self) -> RenderResult:
        """The arrow, and who voted for what."""
        arrow = "▾" if self.unfolded else "▸"
        text = f"{arrow} {headline(self.poll, self.ballots)}"
        return Content(text).truncate(self.size.width, ellipsis=True)

    def action_unfold(self) -> None:
        """Tell the turn."""
        self.post_message(self.Toggled())

    def on_click(self, event: events.Click) -> None:
        """As a key press."""
        event.stop()
        self.action_unfold()
