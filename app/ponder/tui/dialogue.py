"""One conversation, without its widgets: whom it asks, what was said, what is written down.

Every question is written to the history before it is asked, and every batch before it is
shown. Knows sessions and the recorder; knows no widget and no event loop.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ponder.attachments import split
from ponder.errors import EngineError, InputError, PonderError
from ponder.events import Finished, Text
from ponder.history.records import Vote
from ponder.poll import Counted, Polled
from ponder.receipt import named
from ponder.tui.path import Path, Said
from ponder.tui.pump import Told
from ponder.types import Budget, Message, Sampling, Span, Trace

if TYPE_CHECKING:
    from ponder.assembly import Assembled
    from ponder.history.recorder import Recorder, Slot
    from ponder.history.records import Turn
    from ponder.polling import Polling
    from ponder.session import Answering, Forecast
    from ponder.thinking.beginning import Beginning
    from ponder.thinking.lengths import LengthModel

TITLE = 60
"""Characters of a question that name its conversation."""


@dataclass(slots=True)
class Asked:
    """A question on its way."""

    question: str
    answering: Answering | Polling
    slot: Slot
    spans: list[Span] = field(default_factory=list)
    """What it has said so far."""
    vote: Vote | None = None
    """How its traces vote, where these are several."""
    numbers: dict[int, int] = field(default_factory=dict)
    """Which trace each of their questions is, from 1 up."""
    traces: dict[int, Trace] = field(default_factory=dict)
    """Those of them that are over."""


def _fresh_seed() -> int:
    # Imported late: sessions bring Jinja, which the first paint does not need.
    from ponder.session import fresh_seed

    return fresh_seed()


class Dialogue:
    """A conversation that can change its model, be left and be taken up again.

    Args:
        recorder: writes it down.
        now: the time of day, Unix seconds.
        seed: for questions; a new one each.
    """

    def __init__(
        self,
        recorder: Recorder,
        now: Callable[[], float] = time.time,
        seed: Callable[[], int] = _fresh_seed,
    ) -> None:
        self.recorder = recorder
        self.assembled: Assembled | None = None
        self.path = Path()
        """The turns that are shown."""
        self.running: Asked | None = None
        self._hashed: Assembled | None = None
        """Whose weights were hashed, or are being hashed."""
        self.system: str | None = None
        """The system prompt of conversations that begin from here on; None leaves the model's."""
        self.sampling: Sampling | None = None
        """How tokens are drawn from here on; None leaves the model's."""
        self._measuring = threading.Lock()
        """Held while prompts are measured: a model that is measured with is not taken away."""
        self._now = now
        self._seed = seed
        self._conversation: Slot | None = None
        self._taken_up: Turn | None = None
        """The last turn of a conversation of the past, until it is known who answers next."""

    # -- whom it asks -------------------------------------------------------------------

    def attach(self, assembled: Assembled) -> None:
        """Ask this model from now on; what was said before is said to it as well."""
        self.assembled = assembled
        self.sampling = None

    def detach(self) -> None:
        """Let the model go; its memory is free when this returns."""
        with self._measuring:
            assembled, self.assembled = self.assembled, None
        if assembled is not None:
            assembled.session.runner.close()

    @property
    def messages(self) -> list[Message]:
        """What has been said, system prompt aside; an answer without its thinking."""
        return self.path.messages()

    @property
    def lengths(self) -> LengthModel | None:
        """How long its model thinks, as far as that was measured."""
        return self.assembled.session.runner.learned.thinking if self.assembled else None

    # -- which conversation it is ---------------------------------------------------------

    @property
    def conversation(self) -> int | None:
        """Its number in the history, once it has one."""
        return self._conversation.id if self._conversation else None

    def renew(self) -> None:
        """Begin another conversation; this one stays in the history."""
        self._conversation = self._taken_up = None
        self.path = Path()

    def resume(self, conversation: int, turns: Sequence[Turn]) -> None:
        """Take up a conversation of the past."""
        self._conversation = self.recorder.existing(conversation)
        self._taken_up = turns[-1] if turns else None
        self.path = Path([self._said(turn) for turn in turns])

    def _said(self, turn: Turn) -> Said:
        slot = self.recorder.existing_turn(turn.id)
        said = Said(slot, turn.question, turn.model, turn.budget)
        if turn.trace is not None and (turn.vote is None or turn.vote.won):
            said.answered(turn.trace)
        if turn.id in turn.siblings:
            said.place, said.of = turn.siblings.index(turn.id) + 1, len(turn.siblings)
        return said

    def change(self) -> str:
        """Who answered last and who will answer next, where that is not the same; told once, and
        not before there is a model."""
        last, now = self._taken_up, self.assembled
        if last is None or now is None:
            return ""
        self._taken_up = None
        then = last.trace.adapters if last.trace is not None else now.adapters
        if (last.model, then) == (now.name, now.adapters):
            return ""
        was, will = named(last.model, then), named(now.name, now.adapters)
        if was == will:
            return f"The files of the adapters of {will} are not those that answered last here."
        return f"{was} answered last here; {will} will answer next."

    # -- asking ---------------------------------------------------------------------------

    def ask(
        self,
        question: str,
        budget: Budget,
        at: int | None = None,
        beginning: Beginning | None = None,
        vote: Vote | None = None,
    ) -> Asked:
        """Ask; at once written down, and from here on to be told what happens by `record`.

        Args:
            question: what is asked.
            budget: how long it may be thought about.
            at: in the place of which turn of the path, so that what is said there and after it
                is a branch of its own from now on; None: after the last one.
            beginning: what the thinking begins with.
            vote: of how many traces, and how these vote; None or one: of one.

        Raises:
            InputError: it cannot be asked like this; nothing has been written.
            EngineError: there is no model.
        """
        from ponder.thinking.planning import NOTHING

        session = self._loaded.session
        place = len(self.path.turns) if at is None else at
        session.messages = self.sent(at)
        sampling = replace(self.sampling or self._loaded.sampling, seed=self._seed())
        after = self.path.before(place)
        if vote is None or vote.traces == 1:
            begun = beginning or NOTHING
            answering = session.ask(question, budget, sampling, begun, revisable=True)
            slot = self._begin(question, budget, sampling, after)
            self.running = Asked(question, answering, slot)
        else:
            # Imported late: it brings what compares answers, which one trace does not need.
            from ponder.polling import Polling, Terms

            terms = Terms(vote.traces, pool=vote.pool, weigh=vote.weigh)
            polling = Polling(session, question, budget, sampling, terms)
            slot = self._begin(question, budget, sampling, after, vote)
            self.running = Asked(question, polling, slot, vote=vote, numbers=polling.numbers)
        self.path.branch(place, Said(slot, question, self._loaded.name, budget))
        return self.running

    def foretelling(
        self, question: str, budget: Budget, at: int | None = None
    ) -> Callable[[], Forecast] | None:
        """Finds out, on whichever thread, what would be sent for a question; None without a
        model."""
        loaded = self.assembled
        if loaded is None:
            return None
        messages = self.sent(at)

        def look() -> Forecast:
            with self._measuring:
                if self.assembled is not loaded:
                    raise EngineError("The model has been taken away.")
                return loaded.session.foretell(question, budget, messages)

        return look

    def tokens(self, text: str) -> int:
        """How many tokens a text takes, on whichever thread; 0 without a model."""
        with self._measuring:
            return 0 if self.assembled is None else self.assembled.session.tokens(text)

    def sent(self, at: int | None = None) -> list[Message]:
        """What goes before a question at a place of the path, the system prompt first."""
        place = len(self.path.turns) if at is None else at
        system = [m for m in self._loaded.session.messages if m.role == "system"]
        if self.system is not None and self._conversation is None:
            system = [Message("system", self.system)] if self.system else []
        return [*system, *self.path.messages(place)]

    def go_on(self, at: int, trace: Trace, text: str, more: int = 0) -> Asked:
        """Have a turn of the path go on from its thinking as somebody edited it.

        Args:
            at: which turn.
            trace: what was thought there.
            text: the thinking, from its beginning to where the model is to go on.
            more: thinking tokens beyond the budget that the turn had.

        Raises:
            InputError: another model thought it, or it cannot be gone on with like this.
            EngineError: there is no model.
        """
        from ponder.thinking.beginning import beginning

        said, loaded = self.path.turns[at], self._loaded
        if said.model != loaded.name:
            raise InputError(
                f"{said.model} thought this, and its tokens are not those of {loaded.name}.",
                "Load that model with ctrl+o, then edit it again.",
            )
        budget = said.budget
        if budget.cap is not None:
            budget = replace(budget, cap=budget.cap + more)
        protocol = loaded.session.runner.protocol
        return self.ask(said.question, budget, at, beginning(trace, text, protocol))

    @property
    def _loaded(self) -> Assembled:
        if self.assembled is None:
            raise EngineError("No model is loaded.", "Choose one with ctrl+o.")
        return self.assembled

    def _begin(
        self,
        question: str,
        budget: Budget,
        sampling: Sampling,
        after: Slot | None,
        vote: Vote | None = None,
    ) -> Slot:
        assert self.assembled is not None
        if self._conversation is None:
            system = (m.content for m in self.assembled.session.messages if m.role == "system")
            self._conversation = self.recorder.conversation(
                title(question), self.assembled.name, "".join(system), self._now()
            )
        return self.recorder.begin(
            self._conversation,
            question,
            self.assembled.name,
            budget,
            sampling,
            self._now(),
            after=after,
            provenance=self.assembled.session.provenance,
            vote=vote,
        )

    def record(self, asked: Asked, events: Sequence[Told]) -> None:
        """Write down what happened."""
        said: dict[int, list[Span]] = {}
        for event in events:
            if isinstance(event, Text):
                said.setdefault(asked.numbers.get(event.question, 0), []).append(event.span)
        for number, spans in said.items():
            if asked.vote is None:
                asked.spans += spans
            self.recorder.append(asked.slot, spans, number)
        for event in events:
            match event:
                case Finished(question, trace) if asked.vote is not None:
                    asked.traces[asked.numbers[question]] = trace
                    self.recorder.finish_trace(asked.slot, asked.numbers[question], trace)
                case Finished(trace=trace):
                    self.recorder.finish(asked.slot, trace)
                    self._remember(asked, trace)
                    self._over()
                case Counted(poll=poll) if asked.vote is not None:
                    asked.vote = replace(asked.vote, poll=poll)
                    self.recorder.count(asked.slot, asked.vote)
                case Polled(question, poll) if asked.vote is not None:
                    shown = asked.numbers[question]
                    asked.vote = replace(asked.vote, poll=poll, shown=shown)
                    self.recorder.finish_vote(asked.slot, asked.vote, asked.traces)
                    if asked.vote.won:
                        self._remember(asked, asked.traces[shown])
                    self._over()

    def _over(self) -> None:
        self.running = None
        self._hash()

    def _hash(self) -> None:
        """Find out the sha256 of the weights, for receipts, while nobody asks anything."""
        loaded = self.assembled
        if loaded is None or loaded is self._hashed or loaded.session.provenance is None:
            return
        # Imported late: nobody waits for it.
        from ponder.library.hashes import learn_aside

        self._hashed = loaded
        learn_aside(loaded.session.provenance.files, lambda: self.running is not None)

    def failed(self, asked: Asked, error: PonderError) -> None:
        """Write down that the engine died of something."""
        self.recorder.fail(asked.slot, error.message)
        self.running = None

    def close(self) -> None:
        """End what runs and write it down; let the model go. Waits for both."""
        asked = self.running
        if asked is not None:
            asked.answering.cancel()
            try:
                self.record(asked, list(asked.answering))
            except PonderError as error:
                self.failed(asked, error)
        self.detach()

    def _remember(self, asked: Asked, trace: Trace) -> None:
        for said in self.path.turns:
            if said.slot is asked.slot:
                said.answered(trace)


def title(question: str) -> str:
    """What a conversation is called: how its first question begins."""
    files, asked = split(question)
    lines = [*asked.splitlines(), *(name for name, _ in files)]
    first = next((line.strip() for line in lines if line.strip()), "")
    if len(first) <= TITLE:
        return first
    return first[: TITLE - 1].rsplit(" ", 1)[0].rstrip(",;:. ") + "…"
