"""What comes out of the history: conversations, turns, and what a search found.

Plain frozen words, as `ponder.types` has them. Times are Unix seconds. Nothing here knows a
database.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ponder.poll import Poll
from ponder.provenance import Provenance
from ponder.types import Budget, Sampling, Span, Trace

Place = Literal["question", "thinking", "answer"]
"""Where in a turn a text stands."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation, without its turns."""

    id: int
    """Its number; never given twice, not even after it was deleted."""
    title: str
    """What lists call it."""
    model: str
    """The model it began with."""
    system: str
    """Its system prompt; empty for none."""
    created: float
    """When it began."""
    updated: float
    """When its last question was asked."""
    turns: int
    """How many questions were asked in it."""
    pinned: bool = False
    """Whether it stands before all others."""
    deleted: float | None = None
    """When it was put into the trash; None where it is not in it."""


@dataclass(frozen=True, slots=True)
class Vote:
    """That a question was asked of several traces, and what came of it."""

    traces: int
    """How many."""
    pool: int | None = None
    """Thinking tokens for all of them together; None: each had its own budget."""
    weigh: bool = False
    """Whether a ballot weighed what its trace was sure of."""
    poll: Poll | None = None
    """Who said what, and what decided, as it was counted last; None before anybody answered."""
    shown: int | None = None
    """The trace whose text is the turn's: the winner, or one of them where nobody won. None until
    all are over: then the turn has no text of its own."""

    @property
    def won(self) -> bool:
        """Whether there is an answer."""
        return self.shown is not None and self.poll is not None and self.poll.winner is not None


@dataclass(frozen=True, slots=True)
class Candidate:
    """One of several traces of a turn."""

    number: int
    """From 1 up, in the order in which they were asked."""
    spans: tuple[Span, ...]
    """Its text: the trace's, or as much as was written down of it."""
    trace: Trace | None
    """None where it never came to its end."""
    folded: bool | None
    """Whether somebody folded its thinking away; None if nobody chose."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One question and what became of it.

    Without a trace and without an error it is unfinished: the process ended in the middle,
    or another ponder is still at it.
    """

    id: int
    """Its number; never given twice."""
    conversation: int
    """The conversation it belongs to."""
    position: int
    """Its place on the path that leads to it, from 0."""
    asked: float
    """When it was asked."""
    question: str
    """What was asked."""
    model: str
    """Who was asked."""
    budget: Budget
    """How long it was allowed to think."""
    sampling: Sampling
    """How its tokens were to be drawn."""
    spans: tuple[Span, ...]
    """Its text: the trace's, or as much as was written down of it."""
    trace: Trace | None
    """The finished trace, exactly as it was handed over."""
    error: str
    """What it failed with; empty if it did not."""
    folded: bool | None
    """Whether somebody folded its thinking away; None if nobody chose."""
    vote: Vote | None = None
    """How several traces voted on the answer; None where there was one."""
    provenance: Provenance | None = None
    """What it came from; None for turns from before it was written down."""
    others: tuple[Candidate, ...] = ()
    """The traces beside the one whose text is the turn's, by number."""
    parent: int | None = None
    """The turn that it follows; None for a first one."""
    siblings: tuple[int, ...] = ()
    """The turns that were asked in the same place, in order, this one among them."""

    @property
    def branch(self) -> str:
        """Which it is of those asked in the same place, as `branch 2 of 3`; empty for the only
        one."""
        if len(self.siblings) < 2:
            return ""
        return f"branch {self.siblings.index(self.id) + 1} of {len(self.siblings)}"

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """All traces of a vote, by number; those of which nothing was written down are empty."""
        if self.vote is None:
            return ()
        known = {one.number: one for one in self.others}
        if self.vote.shown is not None:
            own = Candidate(self.vote.shown, self.spans, self.trace, self.folded)
            known[own.number] = own
        return tuple(
            known.get(number, Candidate(number, (), None, None))
            for number in range(1, self.vote.traces + 1)
        )


@dataclass(frozen=True, slots=True)
class Branch:
    """A turn as it stands in the tree of its conversation."""

    id: int
    """The turn's number."""
    depth: int
    """Turns before it on its path."""
    siblings: tuple[int, ...]
    """The turns asked in the same place, this one among them."""
    asked: float
    """When it was asked."""
    question: str
    """How the question begins."""
    answer: str
    """How its answer begins."""
    finish: str
    """How its thinking ended; empty where it never did."""
    chosen: bool
    """Whether it is on the path that was chosen last."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One turn that a search found."""

    conversation: Conversation
    """The conversation of the turn."""
    turn: int
    """The turn's number."""
    where: Place
    """The part of the turn that holds most of what was looked for."""
    excerpt: str
    """Some text around the first match there, on one line."""
    marks: tuple[tuple[int, int], ...]
    """Where in the excerpt the matches are: first character, and the one after the last."""
    trace: int | None = None
    """Which of several traces said it; None where it stands in the turn's own text."""
