"""Under which conditions questions are asked: how long the thinking may be, what extends it.

Knows budgets in a person's words and how often an end is withdrawn. Data: nothing here asks
anything. Refuses to know questions.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ponder.errors import BudgetError, InputError
from ponder.thinking.effort import FORMS, Wish, parse
from ponder.thinking.lengths import LengthModel
from ponder.thinking.stopping import OFF
from ponder.thinking.stopping import parse as parse_rule
from ponder.types import Budget, Sampling

NATURAL = "natural"
"""What a model thinks if it is let, as far as the context goes."""
DEFAULT = (NATURAL, "low", "medium", "high")
"""Budgets that say something of every model: its own quantiles, once they are known."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One way to ask."""

    wish: Wish | None = None
    """How long it may think; None: as long as it likes."""
    waits: int = 0
    """How many ends of its thinking are withdrawn and become "Wait"."""
    stop: str = OFF
    """The rule by which a thought may end early, as `thinking.stopping.parse` reads it."""
    traces: int = 1
    """How many think at once about a question and vote; their tokens are added up."""
    samples: int = 1
    """How often each question is asked, each time with another seed."""
    temperature: float | None = None
    """In place of the model's own; 0 is greedy."""
    landing: bool | None = None
    """In place of the settings': whether a cut may come at a sentence's end before it."""

    @property
    def name(self) -> str:
        """What it is called in results and tables; the same name is the same condition."""
        parts = []
        if self.wish is not None:
            exact = self.wish.tokens is not None
            parts.append(f"budget {self.wish.tokens}" if exact else self.wish.label)
        if self.waits:
            parts.append(f"{self.waits} x Wait")
        if self.stop != OFF:
            parts.append(f"stop {self.stop}")
        if self.traces > 1:
            parts.append(f"{self.traces} traces")
        parts = parts or [NATURAL]
        if self.temperature is not None:
            parts.append(f"T {self.temperature:g}")
        if self.landing is not None:
            parts.append("landing" if self.landing else "no landing")
        return ", ".join(parts)

    def budget(self, base: Budget, n_ctx: int, lengths: LengthModel | None = None) -> Budget:
        """What a question may use.

        Args:
            base: what holds for every condition.
            n_ctx: tokens of context.
            lengths: how long this model thinks, which gives an effort its meaning.
        """
        free = replace(base, cap=None, floor=0, within=None, stop=self.stop)
        if self.landing is not None:
            free = replace(free, landing=self.landing)
        return free if self.wish is None else self.wish.budget(free, n_ctx, lengths)

    def sampling(self, base: Sampling) -> Sampling:
        """How tokens are drawn."""
        return base if self.temperature is None else replace(base, temperature=self.temperature)


def conditions(
    budgets: str | None = None,
    waits: str | None = None,
    traces: str | None = None,
    stops: Sequence[str] = (),
    samples: int = 1,
) -> tuple[Condition, ...]:
    """The conditions that somebody typed, in that order; the first is what others are held to.

    Args:
        budgets: with commas between them: `natural`, tokens, times, efforts. None: the natural
            one, and the efforts unless something else is asked for.
        waits: counts with commas between them.
        traces: counts of traces that vote, with commas between them.
        stops: rules by which thoughts end early.
        samples: of each question.

    Raises:
        InputError: one of them is none.
    """
    said = _listed(budgets) if budgets is not None else [NATURAL]
    if budgets is None and waits is None and traces is None and not stops:
        said = list(DEFAULT)
    found = [Condition(_wish(word)) for word in said]
    found += [Condition(waits=count) for count in _counts("Waits", waits)]
    for rule in stops:
        parse_rule(rule)
        found.append(Condition(stop=rule.strip()))
    found += [Condition(traces=count) for count in _counts("traces", traces)]
    if not found:
        raise InputError("There is no condition to ask under.", "Say --budgets natural,64,128.")
    return tuple(dict.fromkeys(replace(one, samples=samples) for one in found))


def _counts(what: str, said: str | None) -> list[int]:
    for word in _listed(said or ""):
        if not re.fullmatch(r"[1-9][0-9]?", word, re.ASCII):
            raise InputError(
                f"{word!r} is no number of {what}.", "Say numbers from 1 to 99, such as 1,2,4."
            )
    return [int(word) for word in _listed(said or "")]


def _listed(said: str) -> list[str]:
    return [word.strip() for word in said.split(",") if word.strip()]


def _wish(word: str) -> Wish | None:
    if word.casefold() == NATURAL:
        return None
    try:
        return parse(word)
    except BudgetError as error:
        raise BudgetError(error.message, f"natural, or: {FORMS[:1].lower()}{FORMS[1:]}") from None


def capped(found: Sequence[Condition]) -> tuple[Condition, ...]:
    """Those that bound the thinking in tokens: what s1's Control is about."""
    return tuple(one for one in found if one.wish is not None and one.wish.seconds is None)
