"""A turn of the past, asked again as it was asked, and compared token by token.

The same messages, prompt, sampler, seed and budget, and whatever befell the trace from outside at
the same tokens. Knows turns and sessions; what a model is loaded with is its caller's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date

from ponder.errors import InputError
from ponder.events import Finished, Text
from ponder.history.records import Turn
from ponder.provenance import Difference, Provenance, differences
from ponder.runner import Stream
from ponder.session import Session
from ponder.thinking.beginning import Beginning
from ponder.thinking.planning import NOTHING, Request
from ponder.thinking.retracing import interventions, retraceable, without_clock
from ponder.types import AnswerEnd, Author, BudgetChange, Message, Trace
from ponder.vocabulary import Vocabulary

_SHOWN = 16
"""Tokens of each continuation that are told where two traces part."""


@dataclass(frozen=True, slots=True)
class Parting:
    """Where two traces are not the same any more."""

    at: int
    """Tokens that they share."""
    then: str
    """How the kept one goes on."""
    now: str
    """How the new one goes on."""


def repeatable(turn: Turn) -> tuple[Trace, Provenance]:
    """The trace of a turn and what it came from.

    Raises:
        InputError: it cannot be asked again as it was asked; says why.
    """
    if turn.trace is None:
        raise InputError(f"Turn {turn.id} has no finished trace.", "There is nothing to compare.")
    if turn.provenance is None or not retraceable(turn.trace):
        raise InputError(
            f"Turn {turn.id} is older than receipts: what it came from was not written down.",
            f"`ponder history receipt {turn.id}` says what is known of it.",
        )
    return turn.trace, turn.provenance


def decisive(then: Provenance, now: Provenance) -> list[Difference]:
    """What is not as it was; the prompt is not known before it is asked.

    Raises:
        InputError: with some of it, another trace would be no wonder; names each.
    """
    found = differences(then, replace(now, prompt=then.prompt))
    named = [f"{one.what}: {one.then} then, {one.now} now" for one in found if one.decisive]
    if named:
        raise InputError(
            "This turn came from something else. " + "; ".join(named) + ".",
            "Give what it was asked with: --model FILE, --lora FILE, --template FILE.",
        )
    return found


def repeat(session: Session, before: Sequence[Turn], turn: Turn) -> Iterator[Trace | int]:
    """Ask a turn again: how many tokens there are so far, at last the trace.

    Args:
        session: with the model, and nobody else's questions.
        before: the turns on the path that leads to it, in order.
        turn: the turn, as `repeatable` lets it pass.

    Raises:
        InputError: its prompt comes out otherwise.
    """
    trace, provenance = repeatable(turn)
    own = Session(
        session.runner,
        session.template,
        trim=True,
        today=lambda: date.fromtimestamp(turn.asked),
        adapters=session.adapters,
        provenance=session.provenance,
    )
    own.messages = [m for m in session.messages if m.role == "system"]
    for earlier in before:
        told = earlier.trace
        if told is not None and told.answer_end is not AnswerEnd.CANCELLED:
            own.messages.append(Message("user", earlier.question))
            own.messages.append(Message("assistant", told.answer))
    runner = session.runner
    stream = Stream(runner, runner.number())

    def ask(prompt: tuple[int, ...], boxed: bool) -> None:
        request = Request(
            stream.question,
            prompt,
            without_clock(turn.budget, trace),
            trace.sampling,
            boxed,
            beginning=_begun(trace),
            interventions=interventions(trace, turn.budget),
        )
        runner.ask(stream, (request,))

    own.put(turn.question, ask)
    if own.provenance is not None and own.provenance.prompt != provenance.prompt:
        stream.cancel()
        for _ in stream:
            pass
        raise InputError(
            f"The prompt of turn {turn.id} comes out otherwise than it did.",
            "Its conversation, its template or its tokenizer is not what it was.",
        )
    return _followed(stream)


def parting(then: Trace, now: Trace, vocab: Vocabulary) -> Parting | None:
    """Where two traces part; None: they are the same to the token."""
    if then.tokens == now.tokens and then.forced == now.forced:
        return None
    old = list(zip(then.tokens, then.forced, strict=True))
    new = list(zip(now.tokens, now.forced, strict=True))
    shared = next(
        (at for at, pair in enumerate(zip(old, new, strict=False)) if pair[0] != pair[1]),
        min(len(old), len(new)),
    )
    return Parting(shared, _said(then, shared, vocab), _said(now, shared, vocab))


def _followed(stream: Stream) -> Iterator[Trace | int]:
    for event in stream:
        if isinstance(event, Finished):
            yield event.trace
        elif isinstance(event, Text):
            yield event.think_tokens + event.answer_tokens


def _begun(trace: Trace) -> Beginning:
    """What an edited thought began with."""
    told = [e.figures for e in trace.budget_events if e.change is BudgetChange.BEGUN]
    if not told:
        return NOTHING
    count = int(sum(told[0].values()))
    written = trace.user or (False,) * count
    authors = tuple(
        Author.USER if user else Author.PONDER if forced else Author.MODEL
        for forced, user in zip(trace.forced[:count], written[:count], strict=True)
    )
    return Beginning(trace.tokens[:count], authors)


def _said(trace: Trace, at: int, vocab: Vocabulary) -> str:
    pieces = (vocab.piece(token) for token in trace.tokens[at : at + _SHOWN])
    return b"".join(pieces).decode("utf-8", "replace")
