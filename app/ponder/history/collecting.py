"""Turns -> lines of a file that a model is fine-tuned on: s1K's columns, or messages.

What is kept is what the model thought by itself to its own end: a thinking that was cut, or that
holds words of ponder's, would teach it to break off, and is left out unless it is asked for.
Nothing is left out without a reason that is counted. Knows records and dialects; no file.

s1K (huggingface.co/datasets/simplescaling/s1K, arXiv 2501.19393) has the columns `solution`,
`question`, `cot_type`, `source_type`, `metadata`, `cot`, `thinking_trajectories` and `attempt`. Its
solution is a reference that somebody checked: there is none here, so it is empty.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ponder.dialect import Dialect
from ponder.history.records import Conversation, Turn
from ponder.types import AnswerEnd, Finish, Trace

Form = Literal["s1k", "messages"]
FORMS: tuple[Form, ...] = ("s1k", "messages")


@dataclass(frozen=True, slots=True)
class Terms:
    """Which turns are wanted."""

    any_finish: bool = False
    """Also a thinking that was cut, or ended by anything but the model."""
    forced: bool = False
    """Also a thinking that holds words of ponder's; they are named in the metadata."""


@dataclass(slots=True)
class Collected:
    """Lines of the file, and what became of all turns that were looked at."""

    lines: list[dict[str, Any]] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    """How many, by reason."""

    @property
    def told(self) -> str:
        """What was left out and why, in a line; empty if nothing was."""
        reasons = [f"{count} {reason}" for reason, count in self.left_out.most_common()]
        return f"Left out: {', '.join(reasons)}." if reasons else ""


def collect(
    read: Iterable[tuple[Conversation, Sequence[Turn]]],
    form: Form,
    dialect_of: Callable[[str], Dialect],
    terms: Terms | None = None,
) -> Collected:
    """The lines of all turns that are wanted.

    Args:
        read: conversations with their turns.
        form: `s1k` has a question that stands by itself, so that later turns of a conversation are
            left out; `messages` has what was said before as well, without its thinking, as chat
            templates have it.
        dialect_of: how a model opens and closes its thinking, by the model's name.
        terms: which turns are wanted.
    """
    wanted = terms or Terms()
    found = Collected()
    for conversation, turns in read:
        before: list[dict[str, str]] = []
        if conversation.system.strip():
            before.append({"role": "system", "content": conversation.system})
        for turn in turns:
            reason = _against(turn, form, wanted)
            if reason:
                found.left_out[reason] += 1
            elif turn.trace is not None and form == "s1k":
                found.lines.append(_s1k(turn, turn.trace))
            elif turn.trace is not None:
                found.lines.append(_messages(turn, turn.trace, before, dialect_of(turn.model)))
            if turn.trace is not None and turn.trace.answer_end is not AnswerEnd.CANCELLED:
                before += _exchange(turn.question, turn.trace.answer)
    return found


def text(collected: Collected) -> str:
    """The file: an object a line."""
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in collected.lines)


def _against(turn: Turn, form: Form, terms: Terms) -> str:
    """Why a turn is left out; empty if it is not."""
    trace = turn.trace
    if trace is None:
        return "unfinished"
    if trace.answer_end is not AnswerEnd.STOP:
        return "with an answer that was cut"
    if not trace.thought.strip():
        return "without thinking"
    if not trace.answer:
        return "without an answer"
    if trace.finish is not Finish.CLOSED and not terms.any_finish:
        return "with a thinking that the model did not end itself"
    if any(span.forced and span.text.strip() for span in trace.spans) and not terms.forced:
        return "with words of ponder's"
    if form == "s1k" and turn.position:
        return "that go on with an earlier question"
    return ""


def _s1k(turn: Turn, trace: Trace) -> dict[str, Any]:
    return {
        "solution": "",
        "question": turn.question,
        "cot_type": "",
        "source_type": "ponder",
        # A string of JSON; s1K has one of Python's here.
        "metadata": json.dumps(_facts(turn, trace), ensure_ascii=False),
        "cot": None,
        "thinking_trajectories": [trace.thought.strip("\n")],
        "attempt": trace.answer,
    }


def _messages(
    turn: Turn, trace: Trace, before: Sequence[dict[str, str]], dialect: Dialect
) -> dict[str, Any]:
    thought = trace.thought.strip("\n")
    said = f"{dialect.open.rstrip()}\n{thought}\n{dialect.close.lstrip()}{trace.answer}"
    asked, answered = _exchange(turn.question, said)
    return {"messages": [*before, asked, answered], "metadata": _facts(turn, trace)}


def _exchange(question: str, answer: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


def _facts(turn: Turn, trace: Trace) -> dict[str, Any]:
    """Where a line comes from, and what is to be known of it."""
    forced = [span.text for span in trace.spans if span.forced and span.text.strip()]
    return {
        "conversation": turn.conversation,
        "turn": turn.position + 1,
        "model": turn.model,
        "finish": trace.finish.value,
        "thinking_tokens": trace.usage.think,
        "seed": trace.sampling.seed,
        **({"forced": forced} if forced else {}),
    }
