"""A vote between parallel traces, in plain words: how it stands, and how it came out.

Frozen, and told the same way on the command line and in histories. Knows neither traces nor
how answers are compared: traces are numbers, from 1 up in the order in which they were asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ponder.types import Figures

_LONGEST = 24
"""Characters of an answer in a tally."""


class Decision(StrEnum):
    """Why no more ballots were waited for; `ponder.thinking.votes` has the rules."""

    ALL = "all"
    """Nobody was left."""
    LOSSLESS = "lossless"
    """The ballots still to come could not change the winner."""
    BETA = "beta"
    """The leader is the majority's choice, as far as the ballots told."""
    SHORT = "short"
    """As many as were wanted had answered."""
    CANCELLED = "cancelled"
    """Somebody cancelled the vote before any of that."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer, and who gave it or an equal one."""

    answer: str
    """As the shortest of them says it."""
    traces: tuple[int, ...]
    """Their numbers, the shortest thinking first."""
    weight: float
    """What they weigh together; as many as they are where every trace has one vote."""


@dataclass(frozen=True, slots=True)
class Poll:
    """How a vote stands, or came out."""

    of: int
    """Traces that were asked."""
    choices: tuple[Choice, ...]
    """Answers, the best first."""
    silent: tuple[int, ...]
    """Traces that finished and gave no answer that could be read."""
    dropped: tuple[int, ...]
    """Traces that were ended before, because the tokens that they shared were short."""
    winner: int | None
    """The trace whose answer is the answer: the shortest of the first choice; where no answer
    could be read, the shortest of all that finished. None if nobody has."""
    stop: Decision | None
    """None while ballots are waited for."""
    figures: Figures
    """What that rests on: `lead` in weight, `live` (what the others can weigh at most), `beta`
    (the probability that the leader is the majority's choice), `votes`, `second`, `finished`."""

    @property
    def finished(self) -> int:
        """Ballots that were counted, empty ones included."""
        return len(self.silent) + sum(len(choice.traces) for choice in self.choices)


@dataclass(frozen=True, slots=True)
class Counted:
    """A trace of a vote has finished and was counted."""

    question: int
    """The trace, by its question's number."""
    poll: Poll


@dataclass(frozen=True, slots=True)
class Polled:
    """The vote is over, and every trace of it has ended; nothing follows."""

    question: int
    """The winner's number as a question; the first trace's where there is no winner."""
    poll: Poll


def standing(poll: Poll) -> list[tuple[int, str]]:
    """How many voted for what, the most first: `[(5, "42"), (2, "40"), (1, "no answer")]`."""
    groups = [(len(choice.traces), _short(choice.answer)) for choice in poll.choices]
    if poll.silent:
        groups.append((len(poll.silent), "no answer"))
    return groups


def tally(poll: Poll) -> str:
    """Who voted for what, in one line: `5 of 8: 42 · 2: 40 · 1: no answer`."""
    groups = standing(poll)
    if poll.dropped:
        groups.append((len(poll.dropped), "dropped"))
    missing = poll.of - poll.finished - len(poll.dropped)
    if missing:
        word = "not finished" if poll.stop in (None, Decision.CANCELLED) else "not needed"
        groups.append((missing, word))
    (first, said), *rest = groups
    return " · ".join([f"{first} of {poll.of}: {said}", *(f"{n}: {said}" for n, said in rest)])


def said(poll: Poll, trace: int) -> str:
    """What a trace voted for, in a few words; empty where its ballot was not counted."""
    if trace in poll.silent:
        return "no answer"
    return next((_short(choice.answer) for choice in poll.choices if trace in choice.traces), "")


def verdict(poll: Poll) -> str:
    """Why it was decided as it was, with the figures."""
    figures = poll.figures
    match poll.stop:
        case Decision.LOSSLESS:
            return f"decided: {figures['lead']:g} ahead with {figures['live']:g} to come"
        case Decision.BETA:
            return f"decided: the majority's answer with probability {figures['beta']:.2f}"
        case Decision.SHORT:
            return f"decided by the first {poll.finished}"
        case Decision.CANCELLED:
            return "cancelled before it was decided"
        case Decision.ALL if poll.winner is None:
            return "every trace was dropped: there is no answer"
        case Decision.ALL if not poll.choices:
            return "no answer could be read: the shortest trace is shown"
        case Decision.ALL if not figures["lead"]:
            return "a tie: the shortest trace decides"
        case Decision.ALL:
            return "all others have answered" if poll.dropped else "all have answered"
    return "not decided"


def _short(answer: str) -> str:
    flat = " ".join(answer.split())
    return flat if len(flat) <= _LONGEST else flat[: _LONGEST - 1] + "…"
