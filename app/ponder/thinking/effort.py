"""Budgets a person can say: "medium", "2k", "off".

Knows words and numbers, and how they become a budget in a context. Decides nothing while a
model thinks, and knows no model: one word means the same tokens for all of them.

Source of the numbers: the thinking budgets that hosted models give to these words (Gemini's
OpenAI compatibility layer: low 1,024, medium 8,192, high 24,576 tokens).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from math import inf
from types import MappingProxyType
from typing import Literal

from ponder.errors import BudgetError
from ponder.types import Budget

EFFORTS: Mapping[str, int | None] = MappingProxyType(
    {"off": 0, "low": 1_024, "medium": 8_192, "high": 24_576, "max": None}
)
"""Thinking tokens by effort, the least first; None is as many as the context holds."""

KILO = 1_024
"""What a k stands for, as in the sizes of contexts: 1k, 8k and 24k are low, medium and high."""

FORMS = "Say a number of tokens (512, 2k, 8_192), or an effort: off, low, medium, high, max."
"""What `parse` accepts, for hints."""

_ALSO_OFF = ("no", "none")
_NUMBER = re.compile(
    r"(?P<number>[0-9]{1,18}|[0-9]{1,3}(?:[,_][0-9]{3}){1,5})(?:\s*tokens?)?", re.ASCII
)
_KILOS = re.compile(r"(?P<number>[0-9]{1,12}(?:\.[0-9]{1,12})?)\s*k(?:\s*tokens?)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Wish:
    """How long somebody wants a model to think: an effort, or exactly so many tokens."""

    effort: str | None = None
    """One of `EFFORTS`; None where the tokens are given."""
    tokens: int | None = None
    """Exact thinking tokens; None where the effort says it."""

    def __post_init__(self) -> None:
        if (self.effort is None) == (self.tokens is None):
            raise BudgetError("A budget is either an effort or a number of tokens.", FORMS)
        if self.effort is not None and self.effort not in EFFORTS:
            raise BudgetError(f"There is no effort called {self.effort!r}.", FORMS)
        if self.tokens is not None and self.tokens < 0:
            raise _negative(str(self.tokens))

    @property
    def label(self) -> str:
        """A few characters for a person: "medium", "512 tokens"; `parse` reads it back."""
        if self.effort is not None:
            return self.effort
        return f"{self.tokens:,} token{'' if self.tokens == 1 else 's'}"

    def budget(self, base: Budget, n_ctx: int) -> Budget:
        """This wish on top of a base, whose limits on the answer stay as they are.

        An effort is a manner of speaking and never more than the context; exact tokens stay
        exact, and are refused later where they cannot be had. The base's floor yields to a
        lower cap.
        """
        if self.effort == "off":
            return replace(base, cap=None, floor=0, thinking=False)
        if self.effort is None:
            cap = self.tokens
        else:
            tokens = EFFORTS[self.effort]
            cap = None if tokens is None else min(tokens, n_ctx)
        floor = base.floor if cap is None else min(base.floor, cap)
        return replace(base, cap=cap, floor=floor, thinking=True)


def parse(text: str) -> Wish:
    """What somebody typed as a budget.

    An effort may be cut short while it is still the only one: "med" is medium.

    Raises:
        BudgetError: it is none, or one below zero; the hint lists what is.
    """
    said = text.strip().lower()
    if number := _NUMBER.fullmatch(said):
        return Wish(tokens=int(re.sub("[,_]", "", number["number"])))
    if kilos := _KILOS.fullmatch(said):
        return Wish(tokens=int(Fraction(kilos["number"]) * KILO))
    if said in _ALSO_OFF:
        return Wish("off")
    meant = [effort for effort in EFFORTS if said and effort.startswith(said)]
    if len(meant) == 1:
        return Wish(meant[0])
    if said.startswith("-") and (_NUMBER.fullmatch(said[1:]) or _KILOS.fullmatch(said[1:])):
        raise _negative(said)
    raise BudgetError(f"{text.strip()!r} is no budget." if said else "The budget is empty.", FORMS)


def steps(wish: Wish, by: Literal[1, -1]) -> Wish:
    """The next effort up or down, round and round; from exact tokens, the next one beyond them."""
    efforts = list(EFFORTS)
    if wish.effort is not None:
        return Wish(efforts[(efforts.index(wish.effort) + by) % len(efforts)])
    assert wish.tokens is not None
    sizes = [(inf if tokens is None else tokens, effort) for effort, tokens in EFFORTS.items()]
    if by > 0:
        return Wish(next(effort for size, effort in sizes if size > wish.tokens))
    return Wish(next((e for size, e in reversed(sizes) if size < wish.tokens), efforts[-1]))


def _negative(said: str) -> BudgetError:
    return BudgetError(f"A budget of {said} tokens means nothing.", FORMS)
