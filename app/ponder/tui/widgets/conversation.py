"""The turns of a conversation, followed as they grow, for as long as nobody looks elsewhere.

Knows turns and scrolling; knows nothing of sessions.
"""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from ponder.history.records import Turn
from ponder.tui.widgets.turn import TurnView

WELCOME = """\
[b]ponder[/b]: reasoning models on your own machine, with a budget for their thinking

  [b]enter[/b] asks    [b]ctrl+b[/b] sets the thinking budget    [b]ctrl+o[/b] changes the model
  [b]ctrl+r[/b] opens an earlier conversation    [b]f1[/b] lists every key

While it thinks
  [b]f2[/b] answer now    [b]f3[/b] more tokens    [b]f4[/b] Wait    [b]esc[/b] stops it\
"""


class Conversation(VerticalScroll):
    """Shows turns from the first to the last."""

    def compose(self) -> ComposeResult:
        """What a newcomer sees."""
        yield Static(WELCOME, id="welcome")
        yield Static(id="trouble", markup=False)

    def on_mount(self) -> None:
        """Stay at the end while it grows, until somebody scrolls."""
        self.query_one("#trouble").display = False
        self.anchor()

    @property
    def following(self) -> bool:
        """Whether its end is in sight, and stays so."""
        return self.max_scroll_y <= 0 or self.scroll_y >= self.max_scroll_y

    @property
    def turns(self) -> list[TurnView]:
        """All turns, the first one first."""
        return list(self.query_children(TurnView))

    def move(self, rows: int) -> None:
        """Scroll by so many rows; at the end it is followed again."""
        self.scroll_relative(y=rows, animate=False, immediate=True)
        # Textual lets go of the end also where there was nothing to scroll.
        if self.following:
            self.anchor()

    def action_scroll_up(self) -> None:
        """By a row."""
        self.move(-1)

    def action_scroll_down(self) -> None:
        """By a row."""
        self.move(1)

    async def add(self, *turns: TurnView) -> None:
        """Show more turns, and go to the end."""
        self.query_one("#welcome").display = False
        await self.mount_all(turns)
        self.anchor()

    async def cut(self, at: int | None) -> None:
        """Show no turn from this place on any more; None leaves all."""
        if at is not None:
            await self.remove_children(self.turns[at:])

    async def clear(self) -> None:
        """Show none."""
        await self.query_children(TurnView).remove()
        self.query_one("#welcome").display = True

    async def restore(self, views: Sequence[TurnView], turns: Sequence[Turn]) -> None:
        """Show turns of the past, and nothing else."""
        # Laid out once, at the end: each layout looks at every turn there is.
        with self.app.batch_update():
            await self.clear()
            if views:
                await self.add(*views)
            for view, turn in zip(views, turns, strict=True):
                await view.restore(turn.spans, turn.trace, turn.error)
            self.anchor()

    def look_at(self, view: TurnView) -> None:
        """Show a turn from its question on, and stay there."""
        self.release_anchor()
        self.call_after_refresh(self.scroll_to_widget, view, animate=False, top=True)

    def note(self, text: str) -> None:
        """Say something about the model where a newcomer looks."""
        welcome = Content.from_markup(WELCOME)
        self.query_one("#welcome", Static).update(
            Content.assemble(welcome, "\n\n", (text, "$text-warning")) if text else welcome
        )

    def trouble(self, text: str) -> None:
        """Say what is wrong, above the turns; empty takes it away."""
        notice = self.query_one("#trouble", Static)
        notice.update(text)
        notice.display = bool(text)
