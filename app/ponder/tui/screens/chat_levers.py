"""The levers of a question that runs: stop, answer now, more, Wait, a pause, a hint. Knows the
stream, no widget but the conversation and its traces."""

from __future__ import annotations

from textual import work

from ponder.errors import PonderError
from ponder.tui.screens.asking import AskScreen
from ponder.tui.screens.chat_base import ChatBase
from ponder.tui.widgets.conversation import Conversation
from ponder.tui.widgets.trace import TraceView
from ponder.tui.widgets.turn import TurnView


class Levers(ChatBase):
    """Keys that change a thinking while it goes on."""

    @property
    def thinking(self) -> bool:
        """Whether a question runs whose thinking can still be changed."""
        running = self.dialogue.running
        turns = self.query_one(Conversation).turns if running else []
        return bool(turns) and turns[-1].thinking

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that would do nothing are not shown."""
        if not self.is_mounted:
            return True
        if action == "stop":
            waits = bool(self.queued) or self.instead_of is not None
            return self.dialogue.running is not None or waits
        if action == "hold":
            return self.dialogue.running is not None
        if action in ("answer_now", "extend", "wait", "hint"):
            return self.thinking
        if action in ("fold", "audit"):
            return bool(self.query(TurnView))
        return super().check_action(action, parameters)

    def action_stop(self) -> None:
        """Stop the question; what it has said so far stays."""
        if self.queued:
            self.queued = ""
            self.show_budget()
        elif self.instead_of is not None:
            self.instead_of = None
            self.show_budget()
        elif self.dialogue.running is not None:
            self.dialogue.running.answering.cancel()

    def action_answer_now(self) -> None:
        """End the thinking."""
        if self.dialogue.running is not None:
            self.dialogue.running.answering.stream.answer_now()

    def action_extend(self) -> None:
        """Grant it more."""
        if self.dialogue.running is not None:
            self.dialogue.running.answering.stream.extend(self.ponder.settings.tui.extend)

    def action_wait(self) -> None:
        """Have it think again before it stops."""
        if self.dialogue.running is not None:
            self.dialogue.running.answering.stream.wait()

    def action_hold(self) -> None:
        """Have it stand still, or go on."""
        if self.dialogue.running is None:
            return
        stream = self.dialogue.running.answering.stream
        views = self.query_one(Conversation).turns[-1].query(TraceView)
        if any(view.standing.held for view in views):
            stream.go_on()
        else:
            stream.hold()

    @work(group="dialog", exclusive=True)
    async def action_hint(self) -> None:
        """Put words of somebody into the thinking."""
        asked = self.dialogue.running
        if asked is None:
            return
        hint = await self.app.push_screen_wait(AskScreen("A hint, for its next sentence's end", ""))
        if hint is None:
            return
        if asked is not self.dialogue.running or not self.thinking:
            self.notify("The thinking was over before your hint.", markup=False)
            return
        try:
            asked.answering.stream.hint(hint)
        except PonderError as error:
            self.tell(error)
