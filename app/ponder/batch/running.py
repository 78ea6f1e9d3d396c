"""Asks the questions of a file: all at once to the runner, their results down as they come.

Knows which questions are left, who is told, and what it looks like meanwhile. Refuses to know
whose turn it is: that is the scheduler's business.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from queue import Empty, SimpleQueue
from typing import Any

import msgspec

from ponder.batch.questions import Question
from ponder.batch.results import Result, Results
from ponder.equality import Comparer, read_answer
from ponder.errors import InputError, PonderError
from ponder.events import Closed, Event, Finished, Rebudgeted, Started, Text
from ponder.receipt import duration
from ponder.session import Session, fresh_seed
from ponder.thinking.planning import Request
from ponder.thinking.pool import Prospects, Terms
from ponder.types import AnswerEnd, Budget, BudgetChange, Message, Sampling, Trace

_REFRESH = 0.25
"""Seconds after which the screen is refreshed where nothing happens."""
_DEALT = (BudgetChange.GRANTED, BudgetChange.RESUMED)


@dataclass(slots=True)
class Standing:
    """A question that runs."""

    question: Question
    cap: int | None
    state: str = "reading"
    """reading, thinking, paused or answering."""
    think: int = 0
    """Thinking tokens."""
    dealt: int = 0
    """Out of the pool, the used ones included."""


@dataclass(slots=True)
class Progress:
    """How far a run has come."""

    of: int
    """Questions in all, those of earlier runs included."""
    pool: int | None
    """Thinking tokens for all of them, in all runs."""
    done: int = 0
    """Answered or refused, in all runs."""
    right: int = 0
    keyed: int = 0
    """Of those done, how many have a key and were answered."""
    refused: int = 0
    spent: int = 0
    """Thinking tokens of finished questions, looks included, and those that a kill cost."""
    running: dict[int, Standing] = field(default_factory=dict)
    waiting: int = 0
    """Questions that have not begun."""

    @property
    def think(self) -> int:
        """Thinking tokens so far."""
        return self.spent + sum(standing.think for standing in self.running.values())

    def count(self, result: Result) -> None:
        """A question is over."""
        self.done += 1
        self.refused += result.refused is not None
        if result.right is not None:
            self.keyed += 1
            self.right += result.right


@dataclass(frozen=True, slots=True)
class Asking:
    """How questions are asked."""

    session: Session
    budget: Callable[[Question], Budget]
    """The limits of one question, its deadline aside."""
    turn: float | None
    """Seconds from its start that one has which names no time; None: as long as it takes."""
    sampling: Sampling
    seed: int | None
    """Of the first line; each next one has the next. None: a fresh one for each."""
    settings: str
    """Digest of all that an answer depends on beside its question."""


def settings_digest(**told: Any) -> str:
    """A digest of what answers depend on."""
    return hashlib.sha256(msgspec.json.encode(told, order="sorted")).hexdigest()[:16]


def unfinished(questions: Sequence[Question], results: Results) -> list[Question]:
    """Those that are to be asked."""
    return [question for question in questions if question.digest not in results.done]


class Run:
    """Asks what is left; a second call of `ask` would find nothing to do.

    Args:
        asking: how.
        questions: all of the file.
        results: what is known of them.
        terms: what they share; of its tokens, what earlier runs spent is taken off.
    """

    def __init__(
        self, asking: Asking, questions: Sequence[Question], results: Results, terms: Terms
    ) -> None:
        self._asking = asking
        self._left = unfinished(questions, results)
        self._results = results
        self._terms = terms
        self._told: SimpleQueue[Event | PonderError] = SimpleQueue()
        self._asked: dict[int, tuple[Question, int]] = {}
        """By the runner's number: the question, and its seed."""
        self._comparer = Comparer()
        self.progress = Progress(len(questions), terms.tokens, spent=results.spent)
        for question in questions:
            if question.digest in results.done:
                self.progress.count(results.done[question.digest])

    def ask(
        self,
        finished: Callable[[Question, Result], None],
        refresh: Callable[[Progress], None] = lambda _: None,
    ) -> None:
        """Ask, and write down what comes, until all is done.

        Args:
            finished: told of each result after it was written down.
            refresh: told several times a second.

        Raises:
            PonderError: the engine failed; what was finished is written down.
            OSError: a result cannot be written.
            KeyboardInterrupt: what ran is cancelled, and written down as that.
        """
        tokens = self._terms.tokens
        if tokens is not None:
            tokens = max(0, tokens - self._results.spent)
        runner = self._asking.session.runner
        runner.share(replace(self._terms, tokens=tokens))
        with self._comparer:
            try:
                self._submit(finished)
                self._follow(finished, refresh)
            except (KeyboardInterrupt, SystemExit):
                self._stop()
                raise
        self._results.settle()

    def _submit(self, finished: Callable[[Question, Result], None]) -> None:
        """Ask all of them in one step, so that none starts before a more urgent one is known."""
        runner, requests = self._asking.session.runner, []
        for question in self._left:
            try:
                request, seed = self._request(question)
                runner.scheduler.planned(request)
            except InputError as error:
                self._over(question, self._refusal(question, error.message), finished)
                continue
            self._asked[request.id] = question, seed
            requests.append(request)
        self.progress.waiting = len(requests)
        runner.ask(self._told, requests)

    def _request(self, question: Question) -> tuple[Request, int]:
        """What is asked of the runner, and the seed.

        Raises:
            InputError: the question cannot be asked like that.
        """
        asking = self._asking
        seed = fresh_seed() if asking.seed is None else (asking.seed + question.line - 1) % 2**32
        budget = asking.budget(question)
        limits = (budget.within, question.within, self._terms.within)
        within = min((limit for limit in limits if limit is not None), default=None)
        named = budget.within is not None or question.within is not None
        own = asking.session.messages if question.system is None else []
        system = [Message("system", question.system)] if question.system else own
        boxed = any("\\boxed" in one.content for one in [*system, question.messages[-1]])
        request = Request(
            asking.session.runner.number(),
            asking.session.prompt([*system, *question.messages]),
            replace(budget, within=within),
            replace(asking.sampling, seed=seed),
            boxed,
            question.weight,
            turn=None if named else asking.turn,
        )
        return request, seed

    def _follow(
        self,
        finished: Callable[[Question, Result], None],
        refresh: Callable[[Progress], None],
    ) -> None:
        while self._asked:
            try:
                event = self._told.get(timeout=_REFRESH)
            except Empty:
                refresh(self.progress)
                continue
            if isinstance(event, PonderError):
                raise event
            self._take(event, finished)
            refresh(self.progress)

    def _take(self, event: Event, finished: Callable[[Question, Result], None]) -> None:
        if event.question not in self._asked:
            return
        running = self.progress.running
        question, seed = self._asked[event.question]
        match event:
            case Started(budget=cap):
                self.progress.waiting -= 1
                running[event.question] = Standing(question, cap)
            case Text(think_tokens=think, answer_tokens=answer):
                standing = running[event.question]
                standing.think = think
                if standing.state == "reading" and not answer:
                    standing.state = "thinking"
            case Closed():
                running[event.question].state = "answering"
            case Rebudgeted(decision=decision):
                standing = running[event.question]
                standing.think = max(standing.think, decision.at)
                if decision.change in _DEALT:
                    tokens = int(decision.figures["tokens"])
                    standing.dealt += tokens
                    if self._terms.tokens is not None:
                        self._results.dealt(question.digest, tokens)
                if decision.change is BudgetChange.PAUSED:
                    standing.state = "paused"
                elif decision.change is BudgetChange.RESUMED:
                    standing.state = "thinking"
            case Finished(trace=trace):
                if running.pop(event.question, None) is None:
                    self.progress.waiting -= 1
                del self._asked[event.question]
                self._over(question, self._result(question, seed, trace), finished)

    def _over(
        self, question: Question, result: Result, finished: Callable[[Question, Result], None]
    ) -> None:
        self._results.add(result)
        self.progress.spent += result.spent
        if result.over:
            self.progress.count(result)
            finished(question, result)

    def _stop(self) -> None:
        """Somebody wants it to end: what ran is cancelled, and its tokens are counted."""
        for number in list(self._asked):
            self._asking.session.runner.cancel(number)
        while self._asked:
            event = self._told.get()
            if isinstance(event, PonderError):
                return
            # Who never started has spent nothing, and leaves no line.
            if isinstance(event, Finished) and event.question not in self.progress.running:
                self._asked.pop(event.question, None)
            self._take(event, lambda _question, _result: None)
        self._results.settle()

    def _refusal(self, question: Question, why: str) -> Result:
        return Result(
            id=question.id,
            line=question.line,
            digest=question.digest,
            settings=self._asking.settings,
            answer=None,
            right=None,
            think=0,
            finish=None,
            answer_end=None,
            refused=why,
        )

    def _result(self, question: Question, seed: int, trace: Trace) -> Result:
        decisions = [asdict(event) for event in trace.budget_events]
        for event in trace.budget_events:
            if event.change is BudgetChange.REFUSED:
                left, needed = event.figures["seconds_left"], event.figures["seconds_needed"]
                why = (
                    f"Not even an answer would be there in time: {duration(max(0.0, left))} were "
                    f"left, and the shortest takes some {duration(needed)} here."
                )
                return msgspec.structs.replace(self._refusal(question, why), decisions=decisions)
        answered = trace.answer_end is not AnswerEnd.CANCELLED
        right = None
        if question.key is not None and answered:
            right = self._comparer.same(read_answer(trace.answer), question.key)
        return msgspec.structs.replace(
            self._refusal(question, ""),
            refused=None,
            answer=trace.answer if answered else None,
            right=right,
            think=trace.usage.think,
            finish=trace.finish.value if answered else "cancelled",
            answer_end=trace.answer_end.value,
            budget=trace.budget,
            seed=seed,
            last_resort=trace.last_resort,
            usage=asdict(trace.usage),
            decisions=decisions,
        )

    def seconds_left(self) -> float | None:
        """When all will be answered, by what is known of lengths and steps; None: not yet."""
        learned = self._asking.session.runner.learned
        steps, progress = learned.steps, self.progress
        if not steps.known:
            return None
        prospects = Prospects(learned.thinking)
        most = self._asking.session.runner.engine.n_ctx
        fresh = prospects.remaining(0, most)
        think = fresh * progress.waiting
        for standing in list(progress.running.values()):
            if standing.state != "answering":
                think += prospects.remaining(standing.think, standing.cap or 0)
        if progress.pool is not None:
            think = min(think, max(0, progress.pool - progress.think))
        missing = progress.waiting + len(progress.running)
        answers = learned.answer_tokens(Budget().answer_reserve) * missing
        width = max(1, min(self._terms.width, missing))
        return (think + answers) / width * steps.expected(width, 0)
