"""When a thought has done its work, seen from looks at it: rules, the same live and in replay.

Knows what was seen at places of one thought, in order. Refuses to know how it was seen, what makes
two answers equal (they come in a normal form), and what follows from a stop: caps, floors and
deadlines are others' business.

Sources of the rules:
- margin: ThinkBrake: the gap between the best token and the end of thinking, at sentence ends.
- entropy: EAT (arXiv:2509.26522): the entropy of the token after a forked end of thinking has
  settled, by its exponentially weighted variance.
- converged: Dynasor (arXiv:2412.20993): several certain trial answers in a row are the same. Its
  package has two such rules, and the one in core/entropy.py stops on answers that differ as well;
  this is the one of core/cot.py.
- confident: DEER (arXiv:2504.15895): the model is sure of its trial answer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from functools import cache
from math import inf
from typing import Any, ClassVar, Literal, Protocol

from ponder.errors import BudgetError
from ponder.types import Figures

Need = Literal["margin", "entropy", "answer"]
"""What a rule goes by: the margin tells itself with the next token, the others need a fork."""


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen of a thought at one place."""

    think: int
    """Thinking tokens sampled until then."""
    margin: float | None = None
    """The best logit less that of the end of thinking, for the token that follows."""
    entropy: float | None = None
    """Nats, of the token that follows a forked end of thinking."""
    answer: str | None = None
    """The trial answer, in normal form; None if there was none, or one full of doubt."""
    confidence: float | None = None
    """Geometric mean of the probabilities of the trial answer's tokens."""
    tokens: int = 0
    """What it cost: tokens sampled and forced."""


class Watcher(Protocol):
    """Follows one thought."""

    def see(self, look: Look) -> Figures | None:
        """Take the next look; figures if the thinking may end there: what that rests on."""


class Rule(Protocol):
    """Says of any thought when it may end."""

    @property
    def needs(self) -> Need:
        """What its looks have to tell."""

    @property
    def every(self) -> int:
        """Thinking tokens between two looks, at least."""

    def begin(self) -> Watcher:
        """Watch a new thought."""


@dataclass(frozen=True, slots=True)
class Margin:
    """The end of thinking is nearly as likely as the best token, where a sentence has ended."""

    name: ClassVar = "margin"
    needs: ClassVar[Need] = "margin"
    margin: float = 1.0
    """Logits: the end may be e to the power of this times less likely than the best token."""
    every: int = 1

    def __post_init__(self) -> None:
        _check(self, margin=(0, inf), every=(1, inf))

    def begin(self) -> Watcher:
        """Watch a new thought."""
        return _Below(self.margin)


@dataclass(slots=True)
class _Below:
    most: float

    def see(self, look: Look) -> Figures | None:
        if look.margin is None or look.margin > self.most:
            return None
        return {"margin": look.margin, "at_most": self.most}


@dataclass(frozen=True, slots=True)
class Entropy:
    """What comes after the end of thinking no longer becomes clearer, or less clear."""

    name: ClassVar = "entropy"
    needs: ClassVar[Need] = "entropy"
    variance: float = 0.01
    """Nats squared: settled is what varies less."""
    timescale: float = 5.0
    """Looks over which the moving mean and variance forget; the rule waits for four times these."""
    every: int = 16

    def __post_init__(self) -> None:
        _check(self, variance=(0, inf), timescale=(2, inf), every=(1, inf))

    def begin(self) -> Watcher:
        """Watch a new thought."""
        return _Settling(self)


@dataclass(slots=True)
class _Settling:
    rule: Entropy
    looks: int = 0
    mean: float = 0.0
    variance: float = 0.0

    def see(self, look: Look) -> Figures | None:
        if look.entropy is None:
            return None
        # The first one is the mean: a mean that comes from nought would vary by itself.
        if not self.looks:
            self.mean = look.entropy
        self.looks += 1
        weight = 1 / self.rule.timescale
        self.mean += weight * (look.entropy - self.mean)
        self.variance += weight * ((look.entropy - self.mean) ** 2 - self.variance)
        if self.looks < 4 * self.rule.timescale or self.variance >= self.rule.variance:
            return None
        return {
            "entropy": look.entropy,
            "mean": self.mean,
            "variance": self.variance,
            "below": self.rule.variance,
            "looks": self.looks,
        }


@dataclass(frozen=True, slots=True)
class Converged:
    """So many trial answers in a row are the same."""

    name: ClassVar = "converged"
    needs: ClassVar[Need] = "answer"
    times: int = 3
    every: int = 64

    def __post_init__(self) -> None:
        _check(self, times=(2, inf), every=(1, inf))

    def begin(self) -> Watcher:
        """Watch a new thought."""
        return _Agreeing(self.times)


@dataclass(slots=True)
class _Agreeing:
    wanted: int
    answer: str | None = None
    times: int = 0
    since: int = 0

    def see(self, look: Look) -> Figures | None:
        if look.answer is None:
            self.answer, self.times = None, 0
            return None
        if look.answer != self.answer:
            self.answer, self.times, self.since = look.answer, 0, look.think
        self.times += 1
        if self.times < self.wanted:
            return None
        figures = {"agreed": self.times, "since": self.since}
        return figures if look.confidence is None else figures | {"confidence": look.confidence}


@dataclass(frozen=True, slots=True)
class Confident:
    """The model is so sure of its trial answer."""

    name: ClassVar = "confident"
    needs: ClassVar[Need] = "answer"
    confidence: float = 0.95
    every: int = 64

    def __post_init__(self) -> None:
        _check(self, confidence=(0, 1), every=(1, inf))

    def begin(self) -> Watcher:
        """Watch a new thought."""
        return _Sure(self.confidence)


@dataclass(slots=True)
class _Sure:
    least: float

    def see(self, look: Look) -> Figures | None:
        if look.answer is None or look.confidence is None or look.confidence < self.least:
            return None
        return {"confidence": look.confidence, "at_least": self.least}


RULES: dict[str, type[Margin | Entropy | Converged | Confident]] = {
    kind.name: kind for kind in (Margin, Entropy, Converged, Confident)
}
"""The rules by name."""
OFF = "off"


@cache
def parse(text: str) -> Rule | None:
    """What somebody typed as a rule: "converged", "converged:2", "entropy:0.02,every=32".

    A value without a name is the rule's own threshold. None for "off".

    Raises:
        BudgetError: it is none, or has values that mean nothing; the hint lists what is.
    """
    name, _, values = text.strip().lower().partition(":")
    if name == OFF and not values:
        return None
    kind = RULES.get(name)
    if kind is None:
        raise BudgetError(f"There is no rule called {name!r} for ending a thought.", forms())
    known = [field.name for field in fields(kind)]
    given: dict[str, Any] = {}
    for value in filter(None, values.split(",")):
        key, equals, number = value.partition("=")
        key, number = (key.strip(), number) if equals else (known[0], key)
        if key not in known or key in given:
            raise BudgetError(f"The rule {name!r} has no {value.strip()!r}.", forms())
        try:
            given[key] = int(number) if kind.__annotations__[key] == "int" else float(number)
        except ValueError:
            raise BudgetError(f"{number.strip()!r} is no {key} for {name!r}.", forms()) from None
    return kind(**given)


def forms() -> str:
    """What can be given as a rule, for a person."""
    written = ["off"]
    for name, kind in RULES.items():
        values = (f"{field.name}={field.default:g}" for field in fields(kind))
        written.append(f"{name}:{','.join(values)}")
    return f"Give one of: {'; '.join(written)}. Any value may be left out."


_DOUBTS = re.compile(r"\b(?:wait|hold|but|okay|no|hmm)\b", re.IGNORECASE)
"""Dynasor's words (core/cot.py): who says one of them in an answer has not made up its mind. The
answer "no" is one all the same."""


def trial_answer(text: str) -> str | None:
    """The answer in what a model wrote into a box that was opened for it.

    Returns:
        What stands before the brace that closes the box; None if it is empty, if the box was not
        closed, or if the model doubts it.
    """
    end = box_end(text)
    answer = "" if end is None else text[:end].strip()
    doubted = answer.lower() != "no" and _DOUBTS.search(answer)
    return None if not answer or doubted else answer


def box_end(text: str) -> int | None:
    """Where the brace is that closes a box whose content begins a text; None if there is none."""
    depth = 1
    for at, char in enumerate(text):
        depth += (char == "{") - (char == "}")
        if not depth:
            return at
    return None


def _check(rule: object, **bounds: tuple[float, float]) -> None:
    """Refuse values that mean nothing."""
    for name, (least, most) in bounds.items():
        value = getattr(rule, name)
        if not (least <= value <= most and value < inf):
            kind = type(rule).__name__.lower()
            raise BudgetError(f"A {name} of {value:g} means nothing to the rule {kind!r}.", forms())
