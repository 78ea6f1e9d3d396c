"""A trace that streams and folds: a heading with the live account, and the text below it.

Three ways to show it: its heading alone, its last lines, all of it. Which one is automatic until
somebody chooses one for all traces, or for this one by hand; a choice by hand is never
overridden. Below the heading, for whoever asks why: what was decided on it. Knows events and no
engine; `trace_reading` goes through it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum

from textual import events
from textual.app import ComposeResult, RenderResult
from textual.content import Content
from textual.message import Message
from textual.widget import Widget

from ponder.events import Rebudgeted, Text
from ponder.tui.labels import Phase, Standing, heading
from ponder.tui.widgets.audit import AuditView
from ponder.tui.widgets.trace_reading import Reading
from ponder.types import BudgetChange, BudgetEvent, Finish, Span, Trace, Usage


class Fold(StrEnum):
    """How much of a trace is shown."""

    CLOSED = "closed"
    TAIL = "tail"
    OPEN = "open"


class TraceHeading(Widget, can_focus=True):
    """The line above a trace, which has the focus for it; a click folds and unfolds it."""

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

    def on_click(self, event: events.Click) -> None:
        """Tell the trace."""
        event.stop()
        self.post_message(self.Toggled())


class TraceView(Reading):
    """Shows one trace, live or finished.

    Args:
        unfolded_as: how it shows while it thinks.
        tail: lines of the tail.
        fold_when_done: whether it folds when its thinking is over.
        clock: seconds, steady.
        chosen: whether somebody had unfolded (True) or folded (False) it earlier.
        floor: thinking tokens below which an end is withdrawn without being asked for.
    """

    class Made(Message):
        """It is on the screen, and can be told what was chosen for all."""

        def __init__(self, view: TraceView) -> None:
            super().__init__()
            self.view = view

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
        self._unfolded_as = unfolded_as
        self._tail = tail
        self._fold_when_done = fold_when_done
        self._clock = clock
        self._floor = floor
        self._chosen = None if chosen is None else Fold.OPEN if chosen else Fold.CLOSED
        self._mode: Fold | None = None
        """What was chosen for all traces."""
        self._done = False
        """Whether it has folded because its thinking is over."""
        self._gone_through = False
        """Whether somebody went there: it does not fold under their eyes."""
        self._lent_whole = False
        """Whether it is unfolded as long as a hit in it is shown."""
        self._stay = False
        """Whether somebody was reading it when its thinking ended."""
        self._began: float | None = None
        self._first_token = 0.0
        self._held_since = 0.0
        self._kept = 0
        """Thinking tokens that it began with."""
        self._audited = False
        self._decisions: list[BudgetEvent] = []
        self._usage: Usage | None = None

    def compose(self) -> ComposeResult:
        """A heading, what was decided, and the text."""
        yield TraceHeading()
        yield AuditView()
        yield self._text

    def on_mount(self) -> None:
        """Show what was settled before it was on the screen."""
        self.post_message(self.Made(self))
        self._show()

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
        self.count(event.think_tokens)
        self.tick()

    def write(self, span: Span) -> None:
        """Text alone, for a trace that is restored."""
        self._text.append(span.text, span.author)

    def rebudgeted(self, event: Rebudgeted) -> None:
        """Its budget changed."""
        self.standing.budget = event.budget
        self._decisions.append(event.decision)
        if event.decision.change is BudgetChange.BEGUN:
            self._kept = event.decision.at
        elif event.decision.change is BudgetChange.WAIT:
            self.standing.waits += 1
        elif event.decision.change in (BudgetChange.HELD, BudgetChange.WENT_ON):
            self._hold(event.decision.change is BudgetChange.HELD)
        elif event.decision.change is BudgetChange.WITHDRAWN and event.decision.at >= self._floor:
            self.standing.waits = max(0, self.standing.waits - 1)
        self._show()

    def _hold(self, still: bool) -> None:
        """Its time stands still with it: its speed is that of its thinking."""
        if still:
            self._held_since = self._clock()
        else:
            self._first_token += self._clock() - self._held_since
        self.standing.held = still

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
        self.count(standing.think)
        if trace is not None:
            self._decisions, self._usage = list(trace.budget_events), trace.usage
        self._fold_down()
        self._show()

    def tick(self) -> None:
        """Bring the seconds and the speed up to date."""
        standing = self.standing
        if standing.finish is not None or standing.held or self._began is None:
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

    @property
    def fold(self) -> Fold:
        """How it is shown."""
        if self._gone_through or self._lent_whole:
            return Fold.OPEN
        if self._chosen or self._mode:
            return self._chosen or self._mode or Fold.OPEN
        return Fold.CLOSED if self._done else self._unfolded_as

    @property
    def by_hand(self) -> bool:
        """Whether somebody chose how it is shown."""
        return self._chosen is not None

    def show_as(self, mode: Fold | None) -> None:
        """Show it as was chosen for all traces, unless somebody chose otherwise for this one."""
        self._mode = mode
        self._gone_through = self._gone_through and self.by_hand
        self._show()

    def toggle(self) -> None:
        """Unfold what is closed, close what is open; from the tail, unfold."""
        self._release()
        self._chosen = Fold.CLOSED if self.fold is Fold.OPEN else Fold.OPEN
        self._gone_through = self._lent_whole = False
        if self._chosen is Fold.CLOSED:
            self._cursor = self._text.cursor = None
        self._show()
        self.post_message(self.Chosen(self, self.fold is Fold.CLOSED))

    def open_up(self) -> None:
        """Unfold it: somebody goes through it."""
        if not self._gone_through:
            self._release()
            self._gone_through = True
            self._show()

    def lend(self, unfolded: bool) -> None:
        """Unfold it for as long as a hit is shown, or have it again as it was."""
        if self._lent_whole is not unfolded:
            self._lent_whole = unfolded
            self._show()

    def take_focus(self) -> None:
        """Its heading has the focus for it; out of sight, it is not scrolled to."""
        self.query_one(TraceHeading).focus(scroll_visible=False)

    def _release(self) -> None:
        """Whoever unfolds an old trace wants to see it, not the end. At once: a message would
        come after the layout."""
        if self.standing.phase is Phase.OVER:
            for node in self.ancestors:
                if isinstance(node, Widget) and node.is_anchored:
                    node.release_anchor()

    def audit(self) -> None:
        """Show what was decided on it, or hide that again."""
        self._audited = not self._audited
        self._show()
        if self._audited:
            # Where it is in sight, the end is followed as before.
            self.query_one(AuditView).scroll_visible(animate=False)

    def _fold_down(self) -> None:
        self._done = self._done or (self._fold_when_done and not self._stay)

    def _show(self) -> None:
        if not self.is_mounted:
            return
        text = self._text
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
