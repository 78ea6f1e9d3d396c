"""What is told of a question while it runs, in order. Frozen, no behaviour.

Knows the words of `types`, and nothing of who tells them or who listens.
"""

from __future__ import annotations

from dataclasses import dataclass

from ponder.types import BudgetEvent, Finish, Limit, Span, Trace


@dataclass(frozen=True, slots=True)
class Started:
    """The question was admitted: its room in the context is reserved."""

    question: int
    prompt_tokens: int
    budget: int | None
    """Effective cap in thinking tokens; None where the model will not think."""
    limited_by: Limit
    """Which limit made the cap what it is."""


@dataclass(frozen=True, slots=True)
class Prefilled:
    """So much of the prompt has been read."""

    question: int
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Text:
    """New text of a trace."""

    question: int
    span: Span
    think_tokens: int
    """Thinking tokens sampled so far."""
    answer_tokens: int = 0
    """Answer tokens sampled so far."""


@dataclass(frozen=True, slots=True)
class Rebudgeted:
    """The budget changed while the question runs, or something was decided on it."""

    question: int
    decision: BudgetEvent
    budget: int
    """Thinking tokens it is allowed from now on, those already used included."""


@dataclass(frozen=True, slots=True)
class Closed:
    """The thinking is over."""

    question: int
    finish: Finish


@dataclass(frozen=True, slots=True)
class Finished:
    """The trace is complete; nothing follows for this question."""

    question: int
    trace: Trace


@dataclass(frozen=True, slots=True)
class Trimmed:
    """Earlier turns were left out of the prompt: the context could not hold them."""

    question: int
    messages: int


Event = Trimmed | Started | Prefilled | Text | Rebudgeted | Closed | Finished
