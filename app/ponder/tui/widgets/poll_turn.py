"""A turn that several traces answer: all of them live, how they vote, and the winner's answer.

Side by side where there is room for them, else one of them below a line for each. Only what is in
sight is shown as it comes: the others keep what happened to them until somebody looks. Knows
events and the shape of a vote; knows neither sessions nor history.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.events import DescendantFocus
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Static

from ponder.errors import PonderError
from ponder.events import Text, Trimmed
from ponder.history.recorder import Slot
from ponder.history.records import Candidate, Turn, Vote
from ponder.poll import Counted, Poll, Polled, said, verdict
from ponder.printable import safe
from ponder.receipt import duration, remarks
from ponder.settings import TuiSettings
from ponder.tui.ballots import Ballot
from ponder.tui.pump import Told
from ponder.tui.widgets.answer import AnswerView
from ponder.tui.widgets.ballots import BallotLine, Headline, Roll
from ponder.tui.widgets.branch import BranchLine
from ponder.tui.widgets.cell import Cell
from ponder.tui.widgets.question import QuestionView
from ponder.tui.widgets.trace import TraceView
from ponder.tui.widgets.turn import TurnView
from ponder.types import Channel, Span, Trace

WIDE = 120
"""Columns from which a few traces stand side by side."""
ABREAST = 4
"""So many of them at most."""


class PollTurn(TurnView):
    """Shows one turn of several traces, live or restored.

    Args:
        question: as it was asked.
        model: who was asked.
        settings: how traces fold.
        clock: seconds, steady.
        slot: what the history calls this turn.
        vote: of how many traces, and how they voted if that is over.
        numbers: which trace each question's number is, while it runs.
        floor: thinking tokens each is to have at least.
        branch: its number among the turns asked in its place, and how many these are.
        candidates: what is known of each trace of the past.
    """

    class Folded(Message):
        """Somebody folded or unfolded one of its traces by hand."""

        def __init__(self, slot: Slot, number: int, folded: bool) -> None:
            super().__init__()
            self.slot = slot
            self.number = number
            self.folded = folded

    def __init__(
        self,
        question: str,
        model: str,
        settings: TuiSettings,
        clock: Callable[[], float],
        slot: Slot,
        vote: Vote,
        numbers: Mapping[int, int] | None = None,
        floor: int = 0,
        branch: tuple[int, int] = (1, 1),
        candidates: Sequence[Candidate] = (),
    ) -> None:
        super().__init__(question, model, settings, clock, slot, None, floor, branch)
        self.poll: Poll | None = vote.poll
        self.looked_at = vote.shown or 1
        """The trace that is looked at."""
        self.shown: int | None = vote.shown
        """The one whose answer is the turn's, once that is decided."""
        self._numbers = dict(numbers or {})
        self._past = {one.number: one for one in candidates}
        self._over = False
        self._unfolded = vote.shown is None
        self._by_hand = False
        """Whether somebody chose what is looked at."""
        self._folded: dict[int, bool] = {}
        """Traces that somebody folded or unfolded while they ran."""
        self.ballots = [Ballot(number) for number in range(1, vote.traces + 1)]
        self._cells = {
            ballot.number: Cell(ballot, AnswerView(settings.latex), clock)
            for ballot in self.ballots
        }
        for number, cell in self._cells.items():
            past = self._past.get(number)
            cell.view = self._viewing(cell.clock, past.folded if past else None)
        self._headline = Headline(self.ballots)
        self._roll = Roll(self.ballots)

    def compose(self) -> ComposeResult:
        """From top to bottom."""
        yield QuestionView(self.question, self.attached)
        yield BranchLine(*self._branch)
        yield self._headline
        yield self._roll
        yield Horizontal(classes="cells")
        with Vertical(classes="own"):
            yield Static(classes="whose")
        yield self._answer
        yield Static(classes="receipt")

    async def on_mount(self) -> None:
        """Show the first one."""
        await self._arrange()

    @property
    def trace_view(self) -> TraceView:
        """The thinking of the trace that is looked at."""
        return self._cells[self.looked_at].view

    @property
    def thinking(self) -> bool:
        """Whether the thinking of any trace goes on, or is about to begin."""
        return self.running and any(
            not ballot.over and ballot.standing.finish is None for ballot in self.ballots
        )

    @property
    def running(self) -> bool:
        """Whether something may still come."""
        return not self._over

    @property
    def droppable(self) -> int | None:
        """The trace that is looked at, if it can be dropped."""
        return self.looked_at if self.running and not self._looked_at.ballot.over else None

    @property
    def _looked_at(self) -> Cell:
        return self._cells[self.looked_at]

    @property
    def _abreast(self) -> bool:
        """Whether the traces stand side by side."""
        few = 2 <= len(self.ballots) <= ABREAST
        return self._unfolded and few and self.app.size.width >= WIDE

    def _in_sight(self, number: int) -> bool:
        """Whether the thinking of a trace is to be seen."""
        return number == self.looked_at or self._abreast

    # -- what happens to it ---------------------------------------------------------------

    async def apply(self, events: Sequence[Told], may_fold: bool = True) -> None:
        """Show what happened; `may_fold` says whether nobody is reading the thinking."""
        for event in events:
            match event:
                case Trimmed(messages=count):
                    self._left_out(count)
                case Counted(poll=poll):
                    self.poll = poll
                case Polled(question=question, poll=poll):
                    await self._decided(self._numbers[question], poll)
                case _:
                    await self._pass_on(event, may_fold)
        self._tell_all()

    async def _pass_on(self, event: Told, may_fold: bool) -> None:
        number = self._numbers[event.question]
        cell = self._cells[number]
        cell.ballot.heed(event)
        if isinstance(event, Text) and event.span.channel is Channel.ANSWER:
            await cell.say(event.span, number == self.looked_at)
            if number == self.looked_at:
                self._show_own()
        else:
            cell.heed(event, self._in_sight(number), may_fold)
            if cell.ballot.over and cell.placed and self._in_sight(number):
                cell.catch_up()

    async def _decided(self, shown: int, poll: Poll) -> None:
        """The vote is over: the winner's answer is the turn's."""
        self._over, self.poll, self.shown = True, poll, shown
        trace = self._cells[shown].ballot.trace
        assert trace is not None
        self.trace = trace
        for number, folded in self._folded.items():
            # Of what was not over, nothing could be remembered.
            self.post_message(self.Folded(self.slot, number, folded))
        for span in trace.spans if poll.winner is not None else ():
            if span.channel is Channel.ANSWER:
                await self._answer.write(span)
        self._outcome(trace, poll)
        if not self._by_hand:
            self.looked_at, self._unfolded = shown, False
        await self._arrange()

    def _outcome(self, trace: Trace, poll: Poll) -> None:
        traces = [ballot.trace for ballot in self.ballots if ballot.trace is not None]
        tokens = sum(one.usage.think for one in traces)
        seconds = max(one.usage.wait_seconds + one.usage.seconds for one in traces)
        rest = remarks(trace) if poll.winner is not None else []
        thought = f"{tokens:,} thinking tokens"
        self._tell(" · ".join([verdict(poll), thought, duration(seconds), *rest, self.model]))

    async def restore(self, spans: Sequence[Span], trace: Trace | None, error: str = "") -> None:
        """Show a turn of the past as it was; with neither trace nor error it broke off."""
        self._over = True
        for ballot in self.ballots:
            past = self._past.get(ballot.number)
            ballot.settle(past.trace if past else None)
            cell = self._cells[ballot.number]
            for span in past.spans if past else ():
                if span.channel is Channel.ANSWER:
                    await cell.say(span, seen=False)
        if trace is not None and self.shown is not None and self.poll is not None:
            await self._decided(self.shown, self.poll)
        else:
            await self._arrange()
            self._tell(error or "unfinished: ponder ended before it did", trouble=True)
        self._tell_all()

    def fail(self, error: PonderError) -> None:
        """The engine died: what came so far stays."""
        self._over = True
        for ballot in self.ballots:
            if not ballot.over:
                ballot.settle(None)
                cell = self._cells[ballot.number]
                if cell.placed and self._in_sight(ballot.number):
                    cell.catch_up()
        hint = f"\n{error.hint}" if error.hint else ""
        self._tell(f"{error.message}{hint}", trouble=True)
        self._tell_all()

    def tick(self) -> None:
        """Bring the seconds and the speed up to date."""
        for number, cell in self._cells.items():
            if cell.placed and self._in_sight(number) and not cell.ballot.over:
                cell.view.tick()

    # -- what is looked at ----------------------------------------------------------------

    async def look_at(self, number: int) -> None:
        """Look at a trace."""
        self._by_hand = self._unfolded = True
        self.looked_at = number
        await self._arrange()
        self._tell_all()
        if not self.running:
            self.call_after_refresh(self._reveal)
        self.screen.refresh_bindings()

    def _reveal(self) -> None:
        """Whoever looks at an old trace wants to see it, where it and the end are too far apart."""
        parent = self.parent
        if isinstance(parent, Widget) and self._headline.region.y < parent.region.y:
            parent.release_anchor()
            self._headline.scroll_visible(animate=False)

    async def walk(self, step: int) -> None:
        """Look at the next trace; after the last one comes the first."""
        await self.look_at((self.looked_at - 1 + step) % len(self.ballots) + 1)

    async def on_ballot_line_picked(self, message: BallotLine.Picked) -> None:
        """By key or click in its line."""
        message.stop()
        await self.look_at(message.number)

    async def on_headline_toggled(self, message: Headline.Toggled) -> None:
        """Show the traces, or the winner alone."""
        message.stop()
        self._by_hand = True
        self._unfolded = not self._unfolded
        if not self._unfolded and self.shown is not None:
            self.looked_at = self.shown
        await self._arrange()
        self._tell_all()

    def on_trace_view_chosen(self, message: TraceView.Chosen) -> None:
        """A trace stays as it was folded."""
        message.stop()
        number = next(n for n, cell in self._cells.items() if cell.view is message.view)
        if self.running:
            self._folded[number] = message.folded
        self.post_message(self.Folded(self.slot, number, message.folded))

    async def on_descendant_focus(self, event: DescendantFocus) -> None:
        """Who walks into a trace looks at it."""
        cell = next((node for node in event.widget.ancestors if isinstance(node, Cell)), None)
        if cell is not None and cell.ballot.number != self.looked_at:
            await self.look_at(cell.ballot.number)

    async def on_resize(self) -> None:
        """There may be room for all of them now, or no longer."""
        await self._arrange()

    async def _arrange(self) -> None:
        """Have what is to be seen on the screen, up to date, and nothing else."""
        abreast = self._abreast
        self.set_class(abreast, "abreast")
        self._roll.display = self._unfolded and not abreast
        cells = self.query_one(".cells", Horizontal)
        for number, cell in self._cells.items():
            seen = self._in_sight(number)
            if seen and not cell.is_attached:
                # In their order, whoever was looked at first.
                before = [n for n, other in self._cells.items() if other.is_attached and n < number]
                after = self._cells[before[-1]] if before else None
                if after is not None or not cells.children:
                    await cells.mount(cell, after=after)
                else:
                    await cells.mount(cell, before=0)
                self._fill(number)
                cell.placed = True
            cell.display = seen
            cell.head.display = abreast
            if seen and cell.placed:
                cell.catch_up()
        await self._arrange_answer()

    def _fill(self, number: int) -> None:
        """A trace of the past is written down where it is seen first."""
        past = self._past.get(number)
        for span in past.spans if past else ():
            if span.channel is Channel.THOUGHT:
                self._cells[number].view.write(span)

    async def _arrange_answer(self) -> None:
        """Below the traces: what the one that is looked at answers, unless it is the answer."""
        own = self._looked_at.answer
        if self.looked_at != self.shown:
            if not own.is_attached:
                await self.query_one(".own", Vertical).mount(own)
            if own.is_mounted:
                await self._looked_at.catch_up_answer()
        for cell in self._cells.values():
            cell.answer.display = cell.answer is own and bool(own.children)
        self._show_own()

    def _show_own(self) -> None:
        own = self.query_one(".own", Vertical)
        cell = self._looked_at
        own.display = bool(cell.answer.children) and self.looked_at != self.shown
        if own.display:
            poll = self.poll
            voted = poll is not None and self.looked_at not in poll.silent
            answer = said(poll, self.looked_at) if poll is not None and voted else ""
            whose = f"trace {self.looked_at} " + (f"answers: {safe(answer)}" if answer else "says")
            if self.shown is not None and self.poll is not None and self.poll.winner is not None:
                whose += " · the answer of the vote is below"
            self.query_one(".whose", Static).update(Content(whose))

    def _tell_all(self) -> None:
        self._headline.tell(self.poll, self._unfolded)
        self._roll.tell(self.poll, self.looked_at, self.shown)
        if self._abreast:
            for cell in self._cells.values():
                cell.head.tell(self.poll, self.looked_at, self.shown)


def restored(
    turn: Turn,
    settings: TuiSettings,
    clock: Callable[[], float],
    slot: Slot,
    branch: tuple[int, int],
) -> TurnView:
    """A view of a turn of the past, to be restored."""
    if turn.vote is None:
        look = (turn.question, turn.model, settings, clock, slot, turn.folded)
        return TurnView(*look, branch=branch)
    return PollTurn(
        turn.question,
        turn.model,
        settings,
        clock,
        slot,
        turn.vote,
        branch=branch,
        candidates=turn.candidates,
    )
