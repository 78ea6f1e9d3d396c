"""A question and everything that is known of it: how it is answered, and in which words.

Knows the shape. Refuses to know how it came about.
"""

from __future__ import annotations

from dataclasses import dataclass

from ponder.evaluation.arithmetic import Step, Verdict


@dataclass(frozen=True, slots=True)
class Exchange:
    """An earlier turn."""

    question: str
    answer: str
    """The sentence, its answer in a box."""


@dataclass(frozen=True, slots=True)
class Draft:
    """The words of a question and the steps that answer it."""

    text: str
    """The question alone."""
    steps: tuple[Step, ...]
    verdict: Verdict | None
    """Set where the answer is a name, or yes or no; else the last step's result is the answer."""
    says: str
    """The answer sentence, with `{answer}` where the boxed answer stands."""
    form: str
    """number, money:$ (or £, €; money: where a word follows the amount), clock, name, yes/no."""
    answer: str
    """What stands in the box: 23, 7/3, 4.50, $4.50, 9:05, Mia, yes."""
    kind: str
    earlier: tuple[Exchange, ...] = ()
    guess: str | None = None
    """What the asker believes, where the question is whether that is right."""
