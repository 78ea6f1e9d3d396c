"""A trace that streams and folds: a heading with the live account, and the text below it.

Three ways to show it: its heading alone, its last lines, all of it. Which one is automatic
until somebody chooses by hand; a choice is never overridden. Below the heading, for whoever asks
why: what was decided on it. Knows events and no engine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from typing import ClassVar

from textual import events
from textual.app import ComposeResult, RenderResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widget import Widget

from ponder.events import Rebudgeted, Text
from ponder.tui.labels import Phase, Standing, heading
from ponder.tui.widgets.audit import AuditView
from ponder.tui.widgets.trace_text import TraceText
from ponder.types import BudgetChange, BudgetEvent, Finish, Span, Trace, Usage


class Fold(StrEnum):
    """How much of a trace is shown."""

    CLOSED = "closed"
    TAIL = "tail"
    OPEN = "open"


class TraceHeading(Widget, can_focus=True):
    """The line above a trace; enter, space or a click folds and unfolds it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,space", "fold", "Fold", tooltip="Fold or unfold this thinking"),
    ]

    class Toggled(Message):
        """Somebody wants it folded or unfolded."""

    def __init__(self) -> None:
        super().__init__()
        self.standing = Standing()
        self.unfolded = False
        self.foldable = False

    def render(self) -> RenderResult:
        """The arrow and the account, as much of it as fits."""
        arrow = ("▾" if self.unfolded else "▸") if self.foldable else "·"
        return Content(f"{arrow} {heading(self.standing, self.size.width - 2)}")

    def action_fold(self) -> None:
        """Tell the trace."""
        self.post_message(self.Toggled())

    def on_click(self, event: events.Click) -> None:
        """As a key press."""
        event.stop()
        self.action_fold()


class TraceView(Vertical):
    """Shows one trace, live or finished.

    Args:
        unfolded_as: how it shows while it thinks.
        tail: lines of the tail.
        fold_when_done: whether it folds when its thinking is over.
        clock: seconds, steady.
        chosen: whether somebody had unfolded (True) or folded (False) it earlier.
        floor: thinking tokens below which an end is withdrawn without being asked for.
    """

    class Chosen(Message):
        """Somebody folded or unfolded it by hand."""

        def __init__(self, view: TraceView, folded: bool) -> None:
            super().__init__()
            self.view = view
            self.folded = folded

    def __init__(
        self,
        unfolded_as: Fold,
        tail: int,
        fold_when_done: bool,
        clock: Callable[[], float],
        chosen: bool | None = None,
        floor: int = 0,
    ) -> None:
        super().__init__()
        self.standing = Standing()
        self.fold = unfolded_as
        self._tail = tail
        self._fold_when_done = fold_when_done
        self._clock = clock
        self._floor = floor
        self._by_hand = chosen is not None
        if chosen is not None:
            self.fold = Fold.OPEN if chosen else Fold.CLOSED
        self._stay = False
        """Whether somebody was reading it when its thinking ended."""
        self._began: float | None = None
        self._first_token = 0.0
        self._kept = 0
        """Thinking tokens that it began with."""
        self._audited = False
        self._decisions: list[BudgetEvent] = []
        self._usage: Usage | None = None

    def compose(self) -> ComposeResult:
        """A heading, what was decided, and the text."""
        yield TraceHeading()
        yield AuditView()
        yield TraceText()

    def on_mount(self) -> None:
        """Show what was settled before it was on the screen."""
        self._show()

    @property
    def text(self) -> str:
        """What was thought so far."""
        return self.query_one(TraceText).text

    # -- what happens to it ---------------------------------------------------------

    def started(self, budget: int | None, finish: Finish | None) -> None:
        """Its room is reserved; `finish` is set where it will not think at all."""
        self._began = self._clock()
        self.standing.budget = budget
        self.standing.phase = Phase.READING
        self.standing.finish = finish
        self._show()

    def reading(self, done: int, total: int) -> None:
        """So much of the prompt has been read."""
        self.standing.read, self.standing.prompt = done, total
        self._show()

    def thought(self, event: Text) -> None:
        """More of it."""
        if self.standing.phase is not Phase.THINKING:
            self.standing.phase = Phase.THINKING
            self._first_token = self._clock()
        self.standing.think = event.think_tokens
        self.write(event.span)
        self.tick()

    def write(self, span: Span) -> None:
        """Text alone, for a trace that is restored."""
        self.query_one(TraceText).append(span.text, span.forced)

    def rebudgeted(self, event: Rebudgeted) -> None:
        """Its budget changed."""
        self.standing.budget = event.budget
        self._decisions.append(event.decision)
        if event.decision.change is BudgetChange.BEGUN:
            self._kept = event.decision.at
        elif event.decision.change is BudgetChange.WAIT:
            self.standing.waits += 1
        elif event.decision.change is BudgetChange.WITHDRAWN and event.decision.at >= self._floor:
            self.standing.waits = max(0, self.standing.waits - 1)
        self._show()

    def closed(self, finish: Finish, may_fold: bool) -> None:
        """The thinking is over; it folds, unless somebody chose otherwise or is reading it."""
        self.tick()
        self.standing.finish = finish
        self.standing.waits = 0
        self._stay = not may_fold
        self._fold_down()
        self._show()

    def reopened(self) -> None:
        """The model went back to thinking."""
        self.standing.finish = None
        self._show()

    def settle(self, standing: Standing, trace: Trace | None = None) -> None:
        """Show a trace that is over as it was."""
        self.standing = replace(standing, phase=Phase.OVER)
        if trace is not None:
            self._decisions, self._usage = list(trace.budget_events), trace.usage
        self._fold_down()
        self._show()

    def tick(self) -> None:
        """Bring the seconds and the speed up to date."""
        standing = self.standing
        if standing.finish is not None or self._began is None:
            return
        if standing.phase is Phase.THINKING:
            standing.seconds = self._clock() - self._began
            since = self._clock() - self._first_token
            standing.rate = (standing.think - self._kept) / since if since > 0.2 else 0.0
        self._show()

    # -- folding ----------------------------------------------------------------------

    def on_trace_heading_toggled(self, message: TraceHeading.Toggled) -> None:
        """By key or click on its heading."""
        message.stop()
        self.toggle()

    def toggle(self) -> None:
        """Unfold what is closed, close what is open; from the tail, unfold."""
        self._by_hand = True
        if self.standing.phase is Phase.OVER:
            # Whoever unfolds an old trace wants to see it, not the end. At once: a message
            # would come after the layout.
            for node in self.ancestors:
                if isinstance(node, Widget) and node.is_anchored:
                    node.release_anchor()
        self.fold = Fold.CLOSED if self.fold is Fold.OPEN else Fold.OPEN
        self._show()
        self.post_message(self.Chosen(self, self.fold is Fold.CLOSED))

    def audit(self) -> None:
        """Show what was decided on it, or hide that again."""
        self._audited = not self._audited
        self._show()
        if self._audited:
            # Where it is in sight, the end is followed as before.
            self.query_one(AuditView).scroll_visible(animate=False)

    def _fold_down(self) -> None:
        if self._fold_when_done and not self._by_hand and not self._stay:
            self.fold = Fold.CLOSED

    def _show(self) -> None:
        if not self.is_mounted:
            return
        text = self.query_one(TraceText)
        head = self.query_one(TraceHeading)
        head.standing = self.standing
        head.foldable = not text.is_blank
        head.unfolded = self.fold is not Fold.CLOSED
        text.display = self.fold is not Fold.CLOSED and head.foldable
        limit = self._tail if self.fold is Fold.TAIL else None
        if text.limit != limit:
            text.limit = limit
        audit = self.query_one(AuditView)
        audit.display = self._audited
        if self._audited:
            audit.tell(self._decisions, self.standing.finish, self._usage)
        # A model that does not think needs no line that says so under every question.
        self.display = self._audited or self.standing.finish is not Finish.NONE
        head.refresh()
