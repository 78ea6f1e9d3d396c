"""One question, several traces at once, one answer: reads ballots, counts them, ends the rest.

Beside a session: the traces are one turn of it, and its answer is the winner's. Knows traces,
how answers are read and compared, and the rules of votes; no engine and no screen.

Ballots are counted on the runner's thread, as each trace finishes and before the next step is
scheduled. So what is decided, and where the other traces are ended, rests on tokens alone: the
same seed gives the same vote. Comparing two answers takes microseconds, or a child process and
some milliseconds where it takes algebra; that is all that a step ever waits for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from queue import SimpleQueue

from ponder.equality import Comparer, read_answer
from ponder.errors import BudgetError, InputError, PonderError
from ponder.events import Event, Finished, Trimmed
from ponder.poll import Choice, Counted, Decision, Poll, Polled
from ponder.session import Session
from ponder.thinking.planning import Request
from ponder.thinking.purse import Purse
from ponder.thinking.votes import Ballot, Live, Result, Rules, vote
from ponder.types import AnswerEnd, Budget, BudgetChange, Finish, Sampling, Trace

_PATIENCE = 2.0
"""Seconds of algebra for one count; what is undecided then counts as different."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How a vote is held."""

    traces: int
    """How many are asked."""
    rules: Rules = field(default_factory=Rules)
    """When the vote is decided."""
    pool: int | None = None
    """Thinking tokens for all of them together; None: as many as their budgets come to."""
    weigh: bool = False
    """Whether a ballot weighs what its trace's confidence is; else each weighs 1."""


class Polling(Iterator[Event | Counted | Polled]):
    """The events of all traces of one question, as they happen; ends after `Polled`.

    Each event bears the number of its trace's question; `number` tells which trace that is.

    Args:
        session: is asked, and remembers the winner's answer.
        text: the question.
        budget: of each trace.
        sampling: of each trace, but for the seed: theirs are derived from this one's.
        terms: how the vote is held.
        comparer: sorts the answers; closed when the vote is over.

    Raises:
        InputError: a bad budget, no room in the context, or traces that would all be the same.
    """

    def __init__(
        self,
        session: Session,
        text: str,
        budget: Budget,
        sampling: Sampling,
        terms: Terms,
        comparer: Comparer | None = None,
    ) -> None:
        if terms.pool is not None and (terms.pool < 1 or not budget.thinking or budget.cap == 0):
            raise BudgetError(
                f"There is nothing to think with in a pool of {terms.pool:,} tokens."
                if terms.pool < 1
                else "With thinking off there is nothing to share a pool for.",
                "Give --pool a number of tokens from 1 up, or leave it out.",
            )
        if terms.traces > 1 and sampling.temperature == 0:
            raise InputError(
                f"At temperature 0 all {terms.traces} traces are the same, and so are their votes.",
                "Give a --temperature above 0, such as 0.6, or leave out --traces.",
            )
        self._session = session
        self._text = text
        self._terms = terms
        self._comparer = comparer or Comparer()
        self._queue: SimpleQueue[Event | Counted | Polled | PonderError] = SimpleQueue()
        self.on_event: Callable[[], None] | None = None
        """Called on the runner's thread after each event, as a stream's is."""
        self._over = False
        # From here on touched by the runner's thread alone, until the vote is over.
        self.traces: dict[int, Trace] = {}
        """Every trace that has ended, by its number; whole once the vote is over."""
        self._poll: Poll | None = None
        questions = [session.runner.number() for _ in range(terms.traces)]
        self.numbers = {question: at + 1 for at, question in enumerate(questions)}
        """Which trace the number of each question is, from 1 up."""
        runner = session.runner
        purse = None
        if terms.pool is not None:
            purse = Purse(terms.pool, runner.learned.thinking)
            # One of them can have all of it, and none more.
            budget = replace(
                budget, cap=terms.pool if budget.cap is None else min(terms.pool, budget.cap)
            )
        signals = runner.engine.capabilities.signals and (terms.weigh or purse is not None)
        drawn = [replace(sampling, seed=seed) for seed in seeds(sampling.seed, terms.traces)]

        def ask(prompt: tuple[int, ...], boxed: bool) -> None:
            runner.ask(
                self,
                [
                    Request(question, prompt, budget, own, boxed, signals=signals, purse=purse)
                    for question, own in zip(questions, drawn, strict=True)
                ],
            )

        _, left_out = session.put(text, ask)
        self._first: Event | None = Trimmed(questions[0], left_out) if left_out else None

    def number(self, question: int) -> int:
        """Which trace a question's number is, from 1 up."""
        return self.numbers[question]

    @property
    def stream(self) -> Polling:
        """What is pulled at to change its thinking while it runs: all of its traces at once."""
        return self

    @property
    def trouble(self) -> str:
        """Why answers could not be compared as mathematics; empty if they could, or need not."""
        return self._comparer.trouble

    def __next__(self) -> Event | Counted | Polled:
        if self._first is not None:
            first, self._first = self._first, None
            return first
        if self._over:
            raise StopIteration
        item = self._queue.get()
        if isinstance(item, PonderError):
            self._over = True
            raise item
        if isinstance(item, Polled):
            self._over = True
            if item.poll.winner is not None:
                self._session.remember(self._text, self.traces[item.poll.winner].answer)
        return item

    def ready(self) -> bool:
        """Whether `next` would return, or raise, at once."""
        return self._first is not None or self._over or not self._queue.empty()

    def cancel(self) -> None:
        """End every trace where it stands; `Polled` still follows, and nothing is remembered."""
        for question in self.numbers:
            self._session.runner.cancel(question)

    def answer_now(self) -> None:
        """End the thinking of every trace; their answers follow."""
        for question in self.numbers:
            self._session.runner.scheduler.answer_now(question)

    def extend(self, tokens: int) -> None:
        """Grant each trace more thinking."""
        for question in self.numbers:
            self._session.runner.scheduler.extend(question, tokens)

    def wait(self) -> None:
        """Withdraw the next end of thinking of every trace: it becomes "Wait"."""
        for question in self.numbers:
            self._session.runner.scheduler.wait(question)

    def hold(self) -> None:
        """Have every trace stand still, with all that it has."""
        for question in self.numbers:
            self._session.runner.scheduler.hold(question)
        self._session.runner.wake()

    def go_on(self) -> None:
        """Have every trace go on, after they have stood still."""
        for question in self.numbers:
            self._session.runner.scheduler.go_on(question)
        self._session.runner.wake()

    def hint(self, text: str) -> None:
        """Put a paragraph into the thinking of every trace, each where its next sentence ends.

        Raises:
            InputError: it holds the model's own end of thinking.
        """
        words = self._session.runner.protocol.paragraph(text)
        for question in self.numbers:
            self._session.runner.scheduler.hint(question, words)

    def drop(self, number: int) -> None:
        """End one trace where it stands; the others go on, and it has no vote."""
        (question,) = (asked for asked, own in self.numbers.items() if own == number)
        self._session.runner.scheduler.drop(question, BudgetChange.DISMISSED, {}, Finish.USER)

    # -- on the runner's thread ---------------------------------------------------------

    def put(self, item: Event | PonderError) -> None:
        """For the runner: take what happened to a trace."""
        if isinstance(item, PonderError):
            self._comparer.close()
            self._tell(item)
            return
        if not isinstance(item, Finished):
            self._tell(item)
            return
        trace = replace(item.trace, adapters=self._session.adapters)
        self._tell(replace(item, trace=trace))
        self.traces[self.numbers[item.question]] = trace
        if self._poll is None and not self._cancelled:
            self._count(item.question)
        if len(self.traces) == self._terms.traces:
            self._comparer.close()
            poll = self._poll or replace(self._standing(), winner=None, stop=Decision.CANCELLED)
            winner = 1 if poll.winner is None else poll.winner
            self._tell(Polled(min(self.numbers) + winner - 1, poll))

    def _tell(self, item: Event | Counted | Polled | PonderError) -> None:
        self._queue.put(item)
        bell = self.on_event  # read once: who waited may just be taking it away
        if bell is not None:
            bell()

    def _weight(self, trace: Trace) -> float:
        return trace.confidence if self._terms.weigh and trace.confidence is not None else 1.0

    @property
    def _cancelled(self) -> bool:
        return any(t.answer_end is AnswerEnd.CANCELLED for t in self.traces.values())

    def _count(self, question: int) -> None:
        """Count the ballots; if that decides the vote, end the traces that still run."""
        poll = self._standing()
        if _votes(self.traces[self.numbers[question]]):
            self._tell(Counted(question, poll))
        if not poll.stop:
            return
        self._poll = poll
        for other, number in self.numbers.items():
            if number not in self.traces:
                self._session.runner.scheduler.drop(other, BudgetChange.AGREED, poll.figures)

    def _standing(self) -> Poll:
        """The vote of the traces that have ended, by their answers."""
        voters = [number for number in sorted(self.traces) if _votes(self.traces[number])]
        answers = {number: read_answer(self.traces[number].answer) for number in voters}
        groups = self._comparer.clusters([answers[number] for number in voters], _PATIENCE)
        group_of = {voters[at]: group for group, members in enumerate(groups) for at in members}
        ballots = [
            Ballot(
                number,
                group_of.get(number),
                self.traces[number].usage.think,
                self._weight(self.traces[number]),
            )
            for number in voters
        ]
        thought = self._session.runner.scheduler.thought
        live = [
            Live(number, thought(question))
            for question, number in self.numbers.items()
            if number not in self.traces
        ]
        dropped = tuple(
            number
            for number, trace in sorted(self.traces.items())
            if trace.answer_end is AnswerEnd.DROPPED
        )
        result = vote(ballots, live, self._terms.rules)
        return _told(result, ballots, answers, dropped, self._terms.traces)


def seeds(seed: int, traces: int) -> list[int]:
    """A seed for each trace: the first has the question's own, the others hashes of it.

    More traces have the seeds of fewer, and some more.
    """
    derived = [seed]
    at = 0
    while len(derived) < traces:
        at += 1
        digest = hashlib.sha256(f"{seed} {at}".encode()).digest()
        one = int.from_bytes(digest[:4], "big") >> 1
        if one not in derived:
            derived.append(one)
    return derived


def _votes(trace: Trace) -> bool:
    """Whether a trace came to its answer."""
    return trace.answer_end not in (AnswerEnd.CANCELLED, AnswerEnd.DROPPED)


def _told(
    result: Result,
    ballots: Sequence[Ballot],
    answers: dict[int, str | None],
    dropped: tuple[int, ...],
    of: int,
) -> Poll:
    """A result in plain words."""
    choices = tuple(
        Choice(answers[one.traces[0]] or "", one.traces, float(one.weight))
        for one in result.standings
    )
    silent = tuple(ballot.trace for ballot in ballots if ballot.group is None)
    winner = result.winner.traces[0] if result.winner is not None else None
    if winner is None and ballots:
        winner = min(ballots, key=lambda ballot: (ballot.length, ballot.trace)).trace
    votes = [standing.votes for standing in result.standings] + [0, 0]
    figures = {
        "lead": float(result.lead),
        "live": float(result.pending),
        "beta": result.probability,
        "votes": float(votes[0]),
        "second": float(votes[1]),
        "finished": float(len(ballots)),
    }
    stop = None if result.stop is None else Decision(result.stop.value)
    return Poll(of, choices, silent, dropped, winner, stop, figures)
