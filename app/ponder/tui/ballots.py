"""A vote between traces in lines for a screen: how each of them stands, and all of them together.

Knows what happened to each trace, by its events, and words and widths; knows no widget.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.cells import cell_len, set_cell_size

from ponder.events import Closed, Finished, Prefilled, Rebudgeted, Started, Text
from ponder.poll import Poll, said, tally
from ponder.printable import safe
from ponder.receipt import fate, used
from ponder.tui.labels import Phase, Standing, bar, fitting
from ponder.tui.pump import Told
from ponder.types import Channel, Finish, Trace

_LEAST = 12
"""Cells of an answer, or of why there is none, at least."""
_TOKENS = 11
_REST = 6 + 2 + _TOKENS + 2 + 12
"""Cells of everything else in a line: mark and number, tokens, finish or bar."""


@dataclass(slots=True)
class Ballot:
    """One trace of a vote."""

    number: int
    """From 1 up."""
    standing: Standing = field(default_factory=Standing)
    trace: Trace | None = None
    """Once it is over."""

    @property
    def over(self) -> bool:
        """Whether nothing more comes from it."""
        return self.standing.phase is Phase.OVER

    def heed(self, event: Told) -> None:
        """Something happened to it."""
        now = self.standing
        match event:
            case Started(budget=budget, limited_by=limit):
                now.phase, now.budget = Phase.READING, budget
                now.finish = {"off": Finish.OFF, "none": Finish.NONE}.get(limit)
            case Prefilled(done=done, total=total):
                now.read, now.prompt = done, total
            case Text(span=span, think_tokens=tokens):
                thinks = span.channel is Channel.THOUGHT
                now.phase = Phase.THINKING if thinks else Phase.ANSWERING
                now.think = tokens
                now.finish = None if thinks else now.finish
            case Rebudgeted(budget=budget):
                now.budget = budget
            case Closed(finish=finish):
                now.finish = finish
            case Finished(trace=trace):
                self.settle(trace)

    def settle(self, trace: Trace | None) -> None:
        """It is over; None: it never came to its end."""
        self.trace = trace
        now = self.standing
        now.phase, now.unfinished = Phase.OVER, trace is None
        if trace is not None:
            now.think, now.budget, now.finish = trace.usage.think, trace.budget, trace.finish

    def word(self, poll: Poll | None) -> str:
        """Its answer, or in a few words why it has none, or has none yet."""
        answer = said(poll, self.number) if poll is not None else ""
        if answer:
            return " ".join(safe(answer).split())
        if self.trace is not None:
            return fate(self.trace) or ("not counted" if poll is not None else "answered")
        return "unfinished" if self.standing.unfinished else self.standing.phase.value

    def title(self, poll: Poll | None, width: int, looked_at: bool, shown: bool) -> str:
        """A mark, its number, and its answer or why there will be none."""
        mark = "▸" if looked_at else " "
        word = self.word(poll) if self.over else ""
        return _cut(f"{mark}{self.number:>2} {'✓' if shown else ' '} {word}", width).rstrip()

    def line(self, poll: Poll | None, width: int, column: int, looked_at: bool, shown: bool) -> str:
        """It as one line: a mark, its number, its answer, its tokens, how its thinking ended.

        The answer has a column of so many cells; of none, it stands alone, above the rest.
        """
        standing = self.standing
        if not column:
            return self.title(poll, width, looked_at, shown)
        mark = "▸" if looked_at else " "
        won = "✓" if shown else " "
        parts = [(f"{mark}{self.number:>2} {won} {_cut(self.word(poll), column)}", 9)]
        if standing.think or standing.budget:
            parts.append((f"{used(standing.think, standing.budget):>{_TOKENS}}", 8))
        if self.over:
            if standing.finish is not None:
                parts.append((standing.finish.value, 7))
        elif standing.budget:
            parts.append((bar(standing.think / standing.budget), 3))
        return fitting(parts, width)


def column(ballots: Sequence[Ballot], poll: Poll | None, width: int) -> int:
    """Cells for the answers of some traces, which stand below each other."""
    longest = max(cell_len(ballot.word(poll)) for ballot in ballots)
    return max(_LEAST, min(longest, width - _REST))


def _cut(word: str, cells: int) -> str:
    if cell_len(word) > cells:
        return set_cell_size(word, cells - 1) + "…"
    return set_cell_size(word, cells)


def headline(poll: Poll | None, ballots: Sequence[Ballot]) -> str:
    """The vote in one line: `3 of 8: 42 · 1: 40 · 4: thinking`."""
    if poll is None:
        running = sum(not ballot.over for ballot in ballots)
        if not running:
            return f"{len(ballots)} traces · nobody answered"
        return f"{len(ballots)} traces · nobody has answered yet"
    return " ".join(safe(tally(poll)).split())
