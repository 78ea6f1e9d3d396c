"""Budgets a person can say: "medium", "2k", "30s", "off".

Knows words and numbers, and how they become a budget in a context. Decides nothing while a
model thinks. An effort means what half, four fifths or nineteen twentieths of a model's traces
need to end by themselves; until enough of them was measured, it means the same tokens for all.

Source of those numbers: the thinking budgets that hosted models give to these words (Gemini's
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
from ponder.thinking.lengths import LengthModel
from ponder.types import Budget

EFFORTS: Mapping[str, int | None] = MappingProxyType(
    {"off": 0, "low": 1_024, "medium": 8_192, "high": 24_576, "max": None}
)
"""Thinking tokens by effort, the least first; None is as many as the context holds. They hold
until a model's own lengths are known."""

QUANTILES: Mapping[str, float] = MappingProxyType({"low": 0.5, "medium": 0.8, "high": 0.95})
"""The share of traces that an effort lets end by themselves."""

KILO = 1_024
"""What a k stands for, as in the sizes of contexts: 1k, 8k and 24k are low, medium and high."""

FORMS = (
    "Say a number of tokens (512, 2k, 8_192), a time (30s, 1.5s, 2m), or an effort: off, low, "
    "medium, high, max."
)
"""What `parse` accepts, for hints."""
TIMES = "Say a time: 30s, 1.5s, 500ms, 2m, 1m30s, or a number of seconds."
"""What `seconds` accepts, for hints."""

_ALSO_OFF = ("no", "none")
_NUMBER = re.compile(
    r"(?P<number>[0-9]{1,18}|[0-9]{1,3}(?:[,_][0-9]{3}){1,5})(?:\s*tokens?)?", re.ASCII
)
_PART = r"[0-9]{1,9}(?:\.[0-9]{1,6})?"
_TIME = re.compile(
    rf"(?:(?P<h>{_PART})\s*h)?\s*(?:(?P<m>{_PART})\s*m(?:in)?)?\s*(?:(?P<s>{_PART})\s*s(?:ec)?)?"
    rf"\s*(?:(?P<ms>{_PART})\s*ms)?",
    re.ASCII,
)
_UNITS = {"h": Fraction(3600), "m": Fraction(60), "s": Fraction(1), "ms": Fraction(1, 1000)}
_KILOS = re.compile(r"(?P<number>[0-9]{1,12}(?:\.[0-9]{1,12})?)\s*k(?:\s*tokens?)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Wish:
    """How long somebody wants a model to think: an effort, so many tokens, or so much time."""

    effort: str | None = None
    """One of `EFFORTS`; None where the tokens are given."""
    tokens: int | None = None
    """Exact thinking tokens."""
    seconds: float | None = None
    """From the asking to the end of the answer."""

    def __post_init__(self) -> None:
        if [self.effort, self.tokens, self.seconds].count(None) != 2:
            raise BudgetError("A budget is an effort, a number of tokens, or a time.", FORMS)
        if self.effort is not None and self.effort not in EFFORTS:
            raise BudgetError(f"There is no effort called {self.effort!r}.", FORMS)
        if self.tokens is not None and self.tokens < 0:
            raise _negative(str(self.tokens))
        if self.seconds is not None and not 0 < self.seconds < inf:
            raise BudgetError(f"A budget of {self.seconds:g} seconds means nothing.", FORMS)

    @property
    def label(self) -> str:
        """A few characters for a person: "medium", "512 tokens"; `parse` reads it back."""
        if self.effort is not None:
            return self.effort
        if self.seconds is not None:
            return f"{_digits(self.seconds)} s"
        return f"{self.tokens:,} token{'' if self.tokens == 1 else 's'}"

    @property
    def plain(self) -> dict[str, int | float | str]:
        """By the name that a budget has for it: `cap` for tokens and efforts, `within` for a time
        in seconds."""
        if self.seconds is not None:
            return {"within": self.seconds}
        return {"cap": self.effort or self.tokens or 0}

    def budget(self, base: Budget, n_ctx: int, lengths: LengthModel | None = None) -> Budget:
        """This wish on top of a base, whose limits on the answer stay as they are.

        An effort is a manner of speaking and never more than the context; exact tokens stay
        exact, and are refused later where they cannot be had. The base's floor yields to a
        lower cap, and of two deadlines the earlier one binds.

        Args:
            base: what is set otherwise.
            n_ctx: tokens of context.
            lengths: how long this model thinks, as far as that was measured.
        """
        if self.effort == "off":
            return replace(base, cap=None, floor=0, thinking=False)
        if self.seconds is not None:
            within = min(self.seconds, inf if base.within is None else base.within)
            return replace(base, cap=None, thinking=True, within=within)
        if self.effort is None:
            cap = self.tokens
        else:
            tokens = efforts(lengths)[self.effort]
            cap = None if tokens is None else min(tokens, n_ctx)
        floor = base.floor if cap is None else min(base.floor, cap)
        return replace(base, cap=cap, floor=floor, thinking=True)


def efforts(lengths: LengthModel | None = None) -> Mapping[str, int | None]:
    """What the efforts mean for a model: its own quantiles, once enough traces were measured."""
    if lengths is None or not lengths.enough:
        return EFFORTS
    return {**EFFORTS, **{name: lengths.quantile(share) for name, share in QUANTILES.items()}}


def seconds(text: str) -> float:
    """What somebody typed as a time: "30s", "1m30s", "2.5"; seconds.

    Raises:
        BudgetError: it is none, or none above zero; the hint lists what is.
    """
    said = text.strip().lower()
    found = _time(said)
    if found is None and re.fullmatch(_PART, said, re.ASCII):
        found = float(said)
    if not found:
        raise BudgetError(f"{text.strip()!r} is no time to answer in.", TIMES)
    return found


def _time(said: str) -> float | None:
    """Seconds, where units are given."""
    read = _TIME.fullmatch(said)
    if read is None or not any(read.groupdict().values()):
        return None
    parts = read.groupdict().items()
    return float(sum(Fraction(part) * _UNITS[unit] for unit, part in parts if part))


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
    if time := _time(said):
        return Wish(seconds=time)
    if said in _ALSO_OFF:
        return Wish("off")
    meant = [effort for effort in EFFORTS if said and effort.startswith(said)]
    if len(meant) == 1:
        return Wish(meant[0])
    if said.startswith("-") and (_NUMBER.fullmatch(said[1:]) or _KILOS.fullmatch(said[1:])):
        raise _negative(said)
    raise BudgetError(f"{text.strip()!r} is no budget." if said else "The budget is empty.", FORMS)


def steps(wish: Wish, by: Literal[1, -1], lengths: LengthModel | None = None) -> Wish:
    """The next effort up or down, round and round; from exact tokens, the next one beyond them.

    A time bounds no tokens, and so counts as the most of them.
    """
    names = list(EFFORTS)
    if wish.tokens is None:
        at = names.index(wish.effort or "max")
        return Wish(names[(at + by) % len(names)])
    meant = efforts(lengths).items()
    sizes = [(inf if tokens is None else tokens, effort) for effort, tokens in meant]
    if by > 0:
        return Wish(next(effort for size, effort in sizes if size > wish.tokens))
    return Wish(next((e for size, e in reversed(sizes) if size < wish.tokens), names[-1]))


def _digits(number: float) -> str:
    """A number in full, without an exponent."""
    return f"{number:.6f}".rstrip("0").rstrip(".")


def _negative(said: str) -> BudgetError:
    return BudgetError(f"A budget of {said} tokens means nothing.", FORMS)
