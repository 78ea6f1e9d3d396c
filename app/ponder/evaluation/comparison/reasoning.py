"""Two models are asked the same questions: do they answer alike, think as long, get stuck?

What perplexity does not see. Knows sessions and traces; how a model is opened, and which two
they are, is the caller's business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median

import numpy as np

from ponder.equality import read_answer, same_answer
from ponder.evaluation.questions import Question
from ponder.events import Finished
from ponder.session import Session
from ponder.types import Budget, Finish, Message, Sampling, Trace

_LONGEST_PERIOD = 256
"""Tokens of what is repeated: a paragraph or so."""
_TIMES = 4
_LEAST = 64
"""Tokens that a loop covers at least: a row of zeros is no loop yet."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one question."""

    answer: str | None
    """As it was read from the text; None if there is none."""
    right: bool
    think: int
    """Thinking tokens."""
    finish: Finish
    loops: bool
    """Whether it said the same again and again."""


@dataclass(frozen=True, slots=True)
class ReasoningFigures:
    """Two models on the same questions."""

    questions: tuple[str, ...]
    base: tuple[Outcome, ...]
    other: tuple[Outcome, ...]

    @property
    def base_right(self) -> float:
        """Share of questions that the base answers rightly."""
        return _share(outcome.right for outcome in self.base)

    @property
    def other_right(self) -> float:
        """Share of questions that the other answers rightly."""
        return _share(outcome.right for outcome in self.other)

    @property
    def agreement(self) -> float:
        """Share of questions to which both give the same answer, right or wrong."""
        return _share(
            b.answer is not None and same_answer(a.answer, b.answer)
            for a, b in zip(self.base, self.other, strict=True)
        )

    @property
    def length_ratio(self) -> float | None:
        """Thinking tokens of the other over those of the base, all questions together."""
        base = sum(outcome.think for outcome in self.base)
        return sum(outcome.think for outcome in self.other) / base if base else None

    @property
    def median_length_ratio(self) -> float | None:
        """The median over questions of the same ratio; None if the base never thinks."""
        pairs = zip(self.base, self.other, strict=True)
        ratios = [b.think / a.think for a, b in pairs if a.think]
        return median(ratios) if ratios else None

    @property
    def base_loops(self) -> float:
        """Share of questions over which the base gets stuck in a loop."""
        return _share(outcome.loops for outcome in self.base)

    @property
    def other_loops(self) -> float:
        """Share of questions over which the other gets stuck in a loop."""
        return _share(outcome.loops for outcome in self.other)


def _share(flags: Iterable[bool]) -> float:
    held = list(flags)
    return sum(held) / len(held) if held else 0.0


def ask(
    session: Session,
    questions: Sequence[Question],
    budget: Budget,
    sampling: Sampling,
    tell: Callable[[int, int], None] = lambda _done, _of: None,
) -> tuple[Outcome, ...]:
    """Ask each question in a conversation of its own; as many at once as the engine can.

    Args:
        session: with the model, and nothing said in it but a system prompt.
        questions: what to ask.
        budget: the same for each.
        sampling: its seed is that of the first question; each next one has the next seed, so
            that another model is asked with the same ones.
        tell: told (answered, of how many).

    Raises:
        PonderError: the engine failed, or a question does not fit.
    """
    streams = []
    for at, question in enumerate(questions):
        prompt = session.prompt([*session.messages, *_messages(question)])
        seeded = replace(sampling, seed=(sampling.seed or 0) + at)
        streams.append(session.runner.submit(prompt, budget, seeded))
    found = []
    tell(0, len(streams))
    try:
        for question, stream in zip(questions, streams, strict=True):
            for event in stream:
                if isinstance(event, Finished):
                    found.append(outcome(question, event.trace))
            tell(len(found), len(streams))
    except BaseException:
        for stream in streams:
            stream.cancel()
        raise
    return tuple(found)


def _messages(question: Question) -> Iterator[Message]:
    for exchange in question.earlier:
        yield Message("user", exchange.question)
        yield Message("assistant", exchange.answer)
    yield Message("user", question.text)


def outcome(question: Question, trace: Trace) -> Outcome:
    """Judge one trace."""
    answer = read_answer(trace.answer)
    return Outcome(
        answer,
        same_answer(answer, question.answer),
        trace.usage.think,
        trace.finish,
        loops(trace.tokens),
    )


def loops(tokens: Sequence[int]) -> bool:
    """Whether somewhere the same tokens follow each other at least four times in a row."""
    held = np.asarray(tokens)
    for period in range(1, min(_LONGEST_PERIOD, len(held) // _TIMES) + 1):
        same = held[period:] == held[:-period]
        needed = max((_TIMES - 1) * period, _LEAST - period)
        # Where a run of equal ones begins and ends.
        edges = np.flatnonzero(np.diff(same, prepend=False, append=False))
        if len(edges) and (edges[1::2] - edges[::2]).max() >= needed:
            return True
    return False
