"""One turn: the question, the trace, the answer, and a line that tells how it went.

Applies the events of its question in order. Knows what they mean for the eye, and neither
sessions nor history.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from ponder.errors import PonderError
from ponder.events import Closed, Finished, Prefilled, Rebudgeted, Started, Text, Trimmed
from ponder.history.recorder import Slot
from ponder.printable import safe
from ponder.receipt import duration, remarks, why
from ponder.settings import TuiSettings
from ponder.tui.labels import Phase, Standing
from ponder.tui.pump import Told
from ponder.tui.widgets.answer import AnswerView
from ponder.tui.widgets.branch import BranchLine
from ponder.tui.widgets.budget_bar import BudgetBar
from ponder.tui.widgets.question import QuestionView
from ponder.tui.widgets.trace import Fold, TraceView
from ponder.types import Channel, Finish, Span, Trace


class TurnView(Vertical):
    """Shows one turn, live or restored.

    Args:
        question: as it was asked.
        model: who was asked.
        settings: how traces fold.
        clock: seconds, steady.
        slot: what the history calls this turn.
        folded: what somebody chose for its trace earlier.
        floor: thinking tokens it is to have at least.
        branch: its number among the turns asked in its place, and how many these are.
    """

    def __init__(
        self,
        question: str,
        model: str,
        settings: TuiSettings,
        clock: Callable[[], float],
        slot: Slot,
        folded: bool | None = None,
        floor: int = 0,
        branch: tuple[int, int] = (1, 1),
    ) -> None:
        super().__init__()
        self.attached = 0
        """Tokens of the files before the question; 0 where that is not known."""
        self._branch = branch
        self.question = question
        self.model = model
        self.slot = slot
        self.trace: Trace | None = None
        self._settings = settings
        self._floor = floor
        self._trace_view = self._viewing(clock, folded)
        self._bar = BudgetBar()
        self._clock = clock
        self._by_context = False
        self._due: float | None = None
        """When its answer has to be there, by the clock."""
        self._answer = AnswerView(settings.latex)

    def compose(self) -> ComposeResult:
        """From top to bottom."""
        yield QuestionView(self.question, self.attached)
        yield BranchLine(*self._branch)
        yield self._trace_view
        yield self._bar
        yield self._answer
        yield Static(classes="receipt")

    def _viewing(self, clock: Callable[[], float], folded: bool | None) -> TraceView:
        """A view of a trace, as the settings have it."""
        return TraceView(
            Fold(self._settings.thinking),
            self._settings.tail_lines,
            self._settings.fold_when_done,
            clock,
            None if folded is None else not folded,
            self._floor,
        )

    @property
    def trace_view(self) -> TraceView:
        """Its thinking."""
        return self._trace_view

    @property
    def thinking(self) -> bool:
        """Whether its thinking goes on, or is about to begin."""
        return self.running and self._trace_view.standing.finish is None

    @property
    def running(self) -> bool:
        """Whether something may still come."""
        return self._trace_view.standing.phase is not Phase.OVER

    async def apply(self, events: Sequence[Told], may_fold: bool = True) -> None:
        """Show what happened; `may_fold` says whether nobody is reading the thinking."""
        for event in events:
            match event:
                case Trimmed(messages=count):
                    self._left_out(count)
                case Text(span=Span(channel=Channel.ANSWER) as span):
                    await self._answer.write(span)
                case Finished(trace=trace):
                    self._finish(trace)
                case _:
                    self._heed(event)
                    show(self._trace_view, event, may_fold)
        self._show_bar()

    def _heed(self, event: Told) -> None:
        """What the bar has to know."""
        match event:
            case Started(limited_by=limit):
                self._by_context = limit == "context"
            case Rebudgeted(decision=decision):
                if (left := decision.figures.get("seconds_left")) is not None:
                    self._due = self._clock() + left

    def tick(self) -> None:
        """Bring seconds and speed up to date."""
        self._trace_view.tick()
        self._show_bar()

    def _show_bar(self) -> None:
        left = None if self._due is None else self._due - self._clock()
        self._bar.show(self._trace_view.standing, self._by_context, self._floor, left)

    async def restore(self, spans: Sequence[Span], trace: Trace | None, error: str = "") -> None:
        """Show a turn of the past as it was; with neither trace nor error it broke off."""
        for span in spans:
            if span.channel is Channel.THOUGHT:
                self._trace_view.write(span)
            else:
                await self._answer.write(span)
        if trace is not None:
            self._finish(trace)
        else:
            self._trace_view.settle(Standing(unfinished=True))
            self._tell(error or "unfinished: ponder ended before it did", trouble=True)

    def fail(self, error: PonderError) -> None:
        """The engine died: what came so far stays."""
        standing = self._trace_view.standing
        if standing.finish is None:
            standing = Standing(unfinished=True, think=standing.think)
        self._trace_view.settle(standing)
        self._show_bar()
        hint = f"\n{error.hint}" if error.hint else ""
        self._tell(f"{error.message}{hint}", trouble=True)

    def _finish(self, trace: Trace) -> None:
        self.trace = trace
        usage = trace.usage
        self._trace_view.settle(standing(trace), trace)
        parts = [
            f"{trace.finish.value}: {why(trace)}",
            f"answer {usage.answer:,} tokens",
            f"{usage.tokens_per_second:,.0f} tok/s" if usage.tokens_per_second else "",
            duration(usage.seconds),
            *remarks(trace),
            self.model,
        ]
        if trace.finish in (Finish.CANCELLED, Finish.NONE):
            parts[0] = trace.finish.value if trace.finish is Finish.CANCELLED else ""
        self._tell(" · ".join(part for part in parts if part))

    def _left_out(self, messages: int) -> None:
        self._tell(f"{messages} earlier messages were left out: the context is full")

    def _tell(self, line: str, trouble: bool = False) -> None:
        receipt = self.query_one(".receipt", Static)
        receipt.set_class(trouble, "trouble")
        receipt.update(Content(safe(line)))


def show(view: TraceView, event: Told, may_fold: bool) -> None:
    """Show what happened to a thinking; what else happened shows nothing."""
    match event:
        case Started(budget=budget, limited_by=limit):
            finish = {"off": Finish.OFF, "none": Finish.NONE}.get(limit)
            view.started(budget, finish)
        case Prefilled(done=done, total=total):
            view.reading(done, total)
        case Text(span=Span(channel=Channel.THOUGHT)):
            if view.standing.finish is not None:
                view.reopened()
            view.thought(event)
        case Rebudgeted():
            view.rebudgeted(event)
        case Closed(finish=finish):
            view.closed(finish, may_fold)


def standing(trace: Trace) -> Standing:
    """How a trace stands that is over."""
    return Standing(
        phase=Phase.OVER,
        think=trace.usage.think,
        budget=trace.budget,
        finish=trace.finish,
        seconds=trace.usage.think_seconds,
    )
