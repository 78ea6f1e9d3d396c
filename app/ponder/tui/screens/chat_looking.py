"""Ways of looking at what was said: folding, the audit, scrolling. Knows widgets; changes nothing
of what a model does."""

from __future__ import annotations

from textual import on

from ponder.tui.screens.chat_base import ChatBase
from ponder.tui.widgets.conversation import Conversation
from ponder.tui.widgets.trace import TraceView
from ponder.tui.widgets.turn import TurnView


class Looking(ChatBase):
    """Keys that show."""

    @property
    def _looked_at(self) -> TraceView | None:
        """The trace that has the focus, or the last one."""
        ancestors = self.focused.ancestors if self.focused else []
        views = [node for node in ancestors if isinstance(node, TraceView)]
        views += [turn.trace_view for turn in self.query_one(Conversation).turns[-1:]]
        return views[0] if views else None

    def action_fold(self) -> None:
        """Fold or unfold a trace."""
        if (view := self._looked_at) is not None:
            view.toggle()

    def action_audit(self) -> None:
        """Show what was decided on a trace, or hide it."""
        if (view := self._looked_at) is not None:
            view.audit()

    @on(TraceView.Chosen)
    def keep_choice(self, message: TraceView.Chosen) -> None:
        """A trace stays as it was folded, also when the conversation is taken up again."""
        turn = next(node for node in message.view.ancestors if isinstance(node, TurnView))
        self.dialogue.recorder.fold(turn.slot, message.folded)

    def action_scroll(self, pages: int) -> None:
        """By a page, whatever has the focus."""
        conversation = self.query_one(Conversation)
        step = max(1, conversation.size.height - 2)
        conversation.move(pages * step)

    def action_bottom(self) -> None:
        """To the end, and follow it again."""
        self.query_one(Conversation).anchor()
