"""One conversation: messages to a prompt, the prompt to the runner, its events to the caller.

Knows turns. Earlier thinking is never sent back: a turn is remembered by its answer alone.
What does not fit into the context is refused, or trimmed with a word about it, never
silently dropped.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TypeVar

from ponder.attachments import split
from ponder.errors import PromptTooLong
from ponder.events import Event, Finished, Trimmed
from ponder.provenance import Provenance, digest
from ponder.runner import Runner, Stream
from ponder.thinking.beginning import Beginning
from ponder.thinking.planning import NOTHING, Request, plan
from ponder.thinking.template import ChatTemplate, without_thinking
from ponder.types import AnswerEnd, AppliedAdapter, Budget, Message, Sampling

Asked = TypeVar("Asked")


@dataclass(frozen=True, slots=True)
class Forecast:
    """What would be sent."""

    prompt: int
    """Tokens."""
    n_ctx: int
    """Tokens that the context holds."""
    left_out: int
    """Earlier messages that would not be sent."""
    fits: bool = True
    """Whether it could be asked at all."""

    @property
    def left(self) -> int:
        """Tokens for thinking and answer."""
        return max(0, self.n_ctx - self.prompt)


class Session:
    """A conversation with one model.

    Args:
        runner: runs the questions.
        template: the model's chat template.
        system: system prompt; empty for none.
        trim: leave out the oldest turns when the context is full, instead of refusing.
        today: for templates that tell the model the date.
        adapters: what the runner's engine applies; told with every trace.
        provenance: what its traces come from, the prompt aside; None where nobody wants to know.
    """

    def __init__(
        self,
        runner: Runner,
        template: ChatTemplate,
        system: str = "",
        trim: bool = False,
        today: Callable[[], date] = date.today,
        adapters: tuple[AppliedAdapter, ...] = (),
        provenance: Provenance | None = None,
    ) -> None:
        self.runner = runner
        self.template = template
        self.trim = trim
        self.adapters = adapters
        self.provenance = provenance
        """What the question that was put last came from, and before any: the prompt aside."""
        self.messages: list[Message] = [Message("system", system)] if system else []
        self._today = today

    def prompt(self, messages: list[Message]) -> tuple[int, ...]:
        """A conversation as ids, exactly as the vendor's template renders it."""
        dialect = self.runner.protocol.dialect
        bare = [
            replace(m, content=without_thinking(m.content, dialect)) if m.role == "assistant" else m
            for m in messages
        ]
        return self.template.tokens(bare, self._today())

    def ask(
        self,
        text: str,
        budget: Budget,
        sampling: Sampling,
        beginning: Beginning = NOTHING,
        revisable: bool = False,
    ) -> Answering:
        """Ask the next question; it is remembered once it is answered.

        Args:
            text: the question.
            budget: how long it may think, what it begins with included.
            sampling: how its tokens are drawn.
            beginning: what its thinking begins with.
            revisable: whether somebody may want to go on from a part of its thinking.

        Raises:
            InputError: a bad budget, or no room in the context.
        """
        stream, left_out = self.put(
            text,
            lambda prompt, boxed: self.runner.submit(
                prompt, budget, sampling, boxed, beginning, revisable
            ),
        )
        return Answering(self, stream, text, left_out)

    def put(self, text: str, ask: Callable[[tuple[int, ...], bool], Asked]) -> tuple[Asked, int]:
        """Put a question to the runner, as the next one of this conversation.

        Args:
            text: the question.
            ask: asks a prompt, and is told whether it calls for a box. Tried again with an
                earlier turn less as long as the prompt is too long, if turns may be left out.

        Returns:
            What `ask` gave, and how many messages were left out.

        Raises:
            InputError: whatever `ask` refuses.
        """
        put, prompt, left_out = self._fitted(text, self.messages, ask)
        if self.provenance is not None:
            self.provenance = replace(self.provenance, prompt=digest(prompt), left_out=left_out)
        return put, left_out

    def foretell(self, text: str, budget: Budget, messages: Sequence[Message]) -> Forecast:
        """What would be sent if a question were asked after these messages; asks nothing.

        Raises:
            InputError: a bad budget, or a conversation that the template refuses.
        """
        protocol, n_ctx = self.runner.protocol, self.runner.engine.n_ctx
        tried = 0

        def fit(prompt: tuple[int, ...], boxed: bool) -> int:
            nonlocal tried
            tried = len(prompt)
            # With what opens the thinking, as it is decoded.
            request = Request(0, prompt, budget, Sampling(), boxed)
            return len(plan(request, protocol, n_ctx).opening)

        try:
            opening, _, left_out = self._fitted(text, messages, fit)
        except PromptTooLong:
            return Forecast(tried, n_ctx, 0, fits=False)
        return Forecast(opening, n_ctx, left_out)

    def tokens(self, text: str) -> int:
        """How many tokens a text takes in a prompt."""
        return len(self.runner.engine.vocab.encode(text, special=True))

    def _fitted(
        self,
        text: str,
        messages: Sequence[Message],
        ask: Callable[[tuple[int, ...], bool], Asked],
    ) -> tuple[Asked, tuple[int, ...], int]:
        """Have a prompt asked that is short enough; what that gave, it, and messages left out."""
        asked = [*messages, Message("user", text)]
        # A box that an earlier question asked for was for that question alone, and what is in a
        # file is no question.
        ruling = [split(text)[1], *(m.content for m in messages if m.role == "system")]
        boxed = any("\\boxed" in words for words in ruling)
        left_out = 0
        while True:
            prompt = self.prompt(asked)
            try:
                return ask(prompt, boxed), prompt, left_out
            except PromptTooLong:
                first = next((i for i, m in enumerate(asked) if m.role != "system"), len(asked))
                if not self.trim or first + 2 >= len(asked):
                    raise
                # A turn is a question and its answer: both go, so that roles still alternate.
                del asked[first : first + 2]
                left_out += 2

    def remember(self, question: str, answer: str) -> None:
        """Keep a turn for the prompts to come."""
        self.messages += [Message("user", question), Message("assistant", answer)]


class Answering(Iterator[Event]):
    """The events of one question of a session; see `Stream` for what can be done with it."""

    def __init__(self, session: Session, stream: Stream, question: str, left_out: int) -> None:
        self.stream = stream
        self._session = session
        self._question = question
        self._first: Event | None = Trimmed(stream.question, left_out) if left_out else None

    def __next__(self) -> Event:
        if self._first is not None:
            event, self._first = self._first, None
            return event
        event = next(self.stream)
        if isinstance(event, Finished):
            trace = replace(event.trace, adapters=self._session.adapters)
            if trace.answer_end is not AnswerEnd.CANCELLED:
                self._session.remember(self._question, trace.answer)
            return replace(event, trace=trace)
        return event

    def ready(self) -> bool:
        """Whether `next` would return, or raise, at once."""
        return self._first is not None or self.stream.ready()

    def cancel(self) -> None:
        """End the question where it stands; nothing of it is remembered."""
        self.stream.cancel()


def fresh_seed() -> int:
    """A seed for a question that names none; told with the trace, so that it can be repeated."""
    return secrets.randbits(31)
