"""One trace of a vote where it can be seen, and what happened to it while nobody looked.

Knows events and one trace; nothing of the others.
"""

from __future__ import annotations

from collections.abc import Callable

from textual.app import ComposeResult
from textual.containers import Vertical

from ponder.events import Text
from ponder.tui import pump
from ponder.tui.ballots import Ballot
from ponder.tui.labels import Standing
from ponder.tui.pump import Told
from ponder.tui.widgets.answer import AnswerView
from ponder.tui.widgets.ballots import BallotLine
from ponder.tui.widgets.trace import TraceView
from ponder.tui.widgets.turn import show, standing
from ponder.types import Span


class Cell(Vertical):
    """One trace where it can be seen: its line, where it has none elsewhere, and its thinking.

    Args:
        ballot: how it stands.
        answer: its own answer, which is not the turn's unless it wins; not shown here, but below
            all traces.
        clock: seconds, steady.
    """

    def __init__(self, ballot: Ballot, answer: AnswerView, clock: Callable[[], float]) -> None:
        super().__init__()
        self.ballot = ballot
        self.answer = answer
        self.head = BallotLine([ballot])
        self.view: TraceView
        self.placed = False
        """Whether its thinking is on the screen, seen or not."""
        self._settled = False
        self._clock = clock
        self._at: float | None = None
        self._missed: list[tuple[float, Told]] = []
        self._unsaid: list[Span] = []

    def compose(self) -> ComposeResult:
        """From top to bottom."""
        yield self.head
        yield self.view

    def clock(self) -> float:
        """The time; while what was missed is shown, the time at which it happened."""
        return self._clock() if self._at is None else self._at

    def heed(self, event: Told, seen: bool, may_fold: bool) -> None:
        """Something happened to its thinking."""
        if seen and self.placed:
            show(self.view, event, may_fold)
        else:
            self._missed.append((self._clock(), event))

    async def say(self, span: Span, seen: bool) -> None:
        """It answered; `seen` says whether its own answer is looked at."""
        self._unsaid.append(span)
        if seen and self.answer.is_mounted:
            await self.catch_up_answer()

    def catch_up(self) -> None:
        """Show what happened while nobody looked, to its end if it is over."""
        missed, self._missed = self._missed, []
        begun = next((at for at, (_, event) in enumerate(missed) if isinstance(event, Text)), 0)
        for some in (missed[: begun + 1], missed[begun + 1 :]):
            for event in pump.merged(event for _, event in some):
                self._at = some[-1][0]
                show(self.view, event, may_fold=True)
        self._at = None
        if self.ballot.over and not self._settled:
            self._settled = True
            trace = self.ballot.trace
            if trace is not None:
                self.view.settle(standing(trace), trace)
            else:
                self.view.settle(Standing(unfinished=True, think=self.ballot.standing.think))

    async def catch_up_answer(self) -> None:
        """Show what it answered while nobody looked."""
        unsaid, self._unsaid = self._unsaid, []
        for span in unsaid:
            await self.answer.write(span)
