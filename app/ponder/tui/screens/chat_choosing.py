"""Choices for what is asked next: a budget, a model, a conversation. Knows the screens that ask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from textual import work

from ponder.history.records import Turn
from ponder.printable import safe
from ponder.receipt import duration
from ponder.thinking import effort
from ponder.thinking.effort import Wish
from ponder.thinking.stopping import OFF
from ponder.tui import pump
from ponder.tui.screens.budget import BudgetScreen, Stop
from ponder.tui.screens.chat_base import ChatBase
from ponder.tui.widgets.composer import Composer
from ponder.tui.widgets.conversation import Conversation
from ponder.tui.widgets.poll_turn import restored
from ponder.tui.widgets.status import StatusLine

if TYPE_CHECKING:
    from ponder.library.local import Entry


class Choosing(ChatBase):
    """Keys that choose."""

    def show_budget(self) -> None:
        """Around the composer: what is asked, and with which budget."""
        composer = self.query_one(Composer)
        floor = self.ponder.settings.budget.floor
        budget = f"budget: {self.wish.label}" + (f", at least {floor:,}" if floor else "")
        within = self.ponder.settings.budget.within
        if within is not None:
            budget += f", within {duration(within)}"
        if self.stop != OFF:
            budget += f", stop {self.stop}"
        if self.vote.traces > 1:
            budget += f", {self.vote.traces} traces"
            budget += f", pool {self.vote.pool:,}" if self.vote.pool is not None else ""
            budget += "" if self.vote.weigh else ", unweighed"
        composer.border_title = budget
        self.query_one(StatusLine).preset = self.preset_name
        if self.queued:
            composer.border_subtitle = f"asked when {self.awaited} · esc takes it back"
        elif self.instead_of is not None:
            turn = self.instead_of + 1
            composer.border_subtitle = f"enter asks instead of turn {turn} · esc asks at the end"
        elif self.warning:
            composer.border_subtitle = self.warning
        else:
            composer.border_subtitle = "enter asks · ctrl+j new line"

    @work(group="dialog", exclusive=True)
    async def action_budget(self) -> None:
        """Ask for a budget."""
        self.app.clear_notifications()
        meant = effort.efforts(self.dialogue.lengths)
        match await self.app.push_screen_wait(BudgetScreen(self.wish, meant, self.stop)):
            case Wish() as wish:
                self.wish = wish
            case Stop(rule):
                self.stop = rule
        self.show_budget()

    def action_effort(self, step: Literal[1, -1]) -> None:
        """One effort up or down."""
        self.wish = effort.steps(self.wish, step, self.dialogue.lengths)
        self.show_budget()

    @work(group="dialog", exclusive=True)
    async def action_model(self) -> None:
        """Ask for a model, and load it."""
        self.app.clear_notifications()
        current = self.dialogue.assembled.name if self.dialogue.assembled else ""
        asked_for = self.ponder.model

        def look() -> list[Entry]:
            # Imported late: it brings the library, which the first paint does not need.
            from ponder.tui.screens.models import listed

            return listed(current, asked_for)

        found = await pump.aside(look, "ponder-models")
        from ponder.tui.screens.models import ModelScreen

        name = await self.app.push_screen_wait(ModelScreen(found, current, look))
        if name is None or name == current:
            return
        if self.dialogue.running is not None:
            self.notify("Stop the question first (esc), then change the model.", markup=False)
            return
        self.ponder.load_model(name)

    def action_new(self) -> None:
        """Leave this conversation for a new one."""
        if not self.idle("begin a new conversation"):
            return
        self.dialogue.renew()
        self.instead_of = None
        self._show_conversation("", [])

    @work(group="dialog", exclusive=True)
    async def action_history(self) -> None:
        """Ask for an earlier conversation, and take it up."""
        self.app.clear_notifications()
        # Imported late, as all that the first paint does not need.
        from ponder.tui.screens.history import HistoryScreen

        history = HistoryScreen()
        chosen = await self.app.push_screen_wait(history)
        status = self.query_one(StatusLine)
        status.title = history.renamed.get(self.dialogue.conversation, status.title)
        if chosen is not None and self.idle("open another conversation"):
            self.ponder.open_conversation(chosen.conversation, chosen.turn)

    @work(group="dialog", exclusive=True)
    async def action_export(self) -> None:
        """Write this conversation to a file."""
        number = self.dialogue.conversation
        if number is None:
            self.notify("There is nothing to export yet.", markup=False)
            return
        await pump.aside(lambda: self.dialogue.recorder.flush(2.0), "ponder-flush")
        from ponder.tui.screens.exporting import exporting

        done = await self.app.push_screen_wait(exporting([number]))
        if done:
            self.notify(safe(done), markup=False)

    @work(group="conversation", exclusive=True)
    async def _show_conversation(self, name: str, turns: Sequence[Turn]) -> None:
        status = self.query_one(StatusLine)
        status.title = name
        status.context = (0, 0)
        views = [
            restored(
                turn,
                self.ponder.settings.tui,
                self.ponder.clock,
                said.slot,
                (said.place, said.of),
            )
            for turn, said in zip(turns, self.dialogue.path.turns, strict=True)
        ]
        await self.query_one(Conversation).restore(views, turns)
        self.refresh_bindings()

    async def show(self, name: str, turns: Sequence[Turn], turn: int | None = None) -> None:
        """Show a conversation of the past, and in it a turn, or its end."""
        await self._show_conversation(name, turns).wait()
        for view, known in zip(self.query_one(Conversation).turns, turns, strict=True):
            if known.id == turn and turn != turns[-1].id:
                self.query_one(Conversation).look_at(view)
