"""Ways of looking at what was said: folding, going through a trace, the audit, scrolling.

Knows widgets; changes nothing of what a model does.
"""

from __future__ import annotations

from textual import on, work

from ponder.tui import clipboard
from ponder.tui.screens.chat_base import ChatBase
from ponder.tui.screens.copying import CopyScreen
from ponder.tui.screens.outline import OutlineScreen
from ponder.tui.widgets import answer
from ponder.tui.widgets.conversation import Conversation
from ponder.tui.widgets.trace import Fold, TraceView
from ponder.tui.widgets.turn import TurnView

SHOWN = {Fold.TAIL: "the last lines", Fold.OPEN: "all of it", Fold.CLOSED: "headings alone"}


class Looking(ChatBase):
    """Keys that show."""

    _mode: Fold | None = None
    """How all traces are shown, but for those that somebody folded by hand; None: as the settings
    say."""

    @property
    def looked_at(self) -> TraceView | None:
        """The trace that has the focus, or the last one that thinks or has thought."""
        for node in self.focused.ancestors if self.focused else []:
            if isinstance(node, TraceView):
                return node
        views = [view for view in self.query(TraceView) if view.display]
        return views[-1] if views else None

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that would do nothing are not shown."""
        if action in ("fold_mode", "read", "outline", "copy"):
            return bool(self.query(TraceView))
        return super().check_action(action, parameters)

    def action_fold(self) -> None:
        """Fold or unfold a trace."""
        if (view := self.looked_at) is not None:
            view.toggle()

    def action_fold_mode(self) -> None:
        """Show all traces another way: their last lines, all of them, their headings."""
        modes = list(Fold)
        now = self._mode or Fold(self.ponder.settings.tui.thinking)
        self._mode = mode = modes[(modes.index(now) + 1) % len(modes)]
        views = list(self.query(TraceView))
        for view in views:
            view.show_as(mode)
        by_hand = sum(view.by_hand for view in views)
        apart = f"; {by_hand} that you chose yourself stay" if by_hand else ""
        self.notify(f"Thinking: {SHOWN[mode]}{apart}", markup=False, timeout=3)

    @on(TraceView.Made)
    def show_as_all(self, message: TraceView.Made) -> None:
        """A trace that is new is shown as the others."""
        message.view.show_as(self._mode)

    def action_read(self) -> None:
        """Into the trace: its steps can be gone through."""
        if (view := self.looked_at) is not None:
            view.enter()

    @work(group="dialog", exclusive=True)
    async def action_outline(self) -> None:
        """Ask for a turning point, and go there."""
        view = self.looked_at
        if view is None:
            return
        at = await self.app.push_screen_wait(OutlineScreen(view))
        if at is not None and view.is_mounted:
            view.go(at)
            view.take_focus()

    @work(group="dialog", exclusive=True)
    async def action_copy(self) -> None:
        """Ask what to copy."""
        offered = self._to_copy()
        if not offered:
            self.notify("There is nothing to copy yet.", markup=False, timeout=4)
            return
        chosen = await self.app.push_screen_wait(CopyScreen(offered))
        if chosen is not None:
            what, text = offered[chosen]
            clipboard.copy(self.app, text, what)

    def _to_copy(self) -> list[tuple[str, str]]:
        """What there is to be copied of the turn that is looked at."""
        view = self.looked_at
        turn = next((n for n in view.ancestors if isinstance(n, TurnView)), None) if view else None
        offered: list[tuple[str, str]] = []
        if turn is not None and turn.trace is not None and turn.trace.answer:
            text = turn.trace.answer
            offered = [("the answer", text), *answer.code_blocks(text)]
        if view is not None and view.text.strip():
            here = view.here
            if here is not None:
                offered.append((f"step {here.step + 1}", view.step_text(here.step)))
            offered.append(("the thinking", view.text))
        return offered

    def action_audit(self) -> None:
        """Show what was decided on a trace, or hide it."""
        if (view := self.looked_at) is not None:
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
