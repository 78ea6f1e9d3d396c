"""Sentences with alternatives and slots: `{A} [buys|gets] {n} {goods}.`

Knows how they are written, and puts one together from what a scene says of its slots. Refuses
to know what a slot means: that is the scene's word (`scene`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ponder.evaluation.dice import Dice

_TOKEN = re.compile(r"[\[\]|]|\{[^{}]*\}|[^\[\]{}|]+|.", re.DOTALL)
_SLOT = re.compile(
    r"\{(?P<found>=?)(?P<name>[A-Za-z]\w*)(?:\.(?P<form>[A-Za-z]+))?(?::(?P<format>[^{}]+))?\}"
)


class TemplateError(ValueError):
    """What is written there is no template."""


@dataclass(frozen=True, slots=True)
class Slot:
    """Something to be filled in: `{name}`, `{name.form}`, `{name:format}`, `{=name}`."""

    name: str
    form: str = ""
    format: str = ""
    answer: bool = False
    """Whether it is the answer, which stands in a box."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Alternatives; one of them is taken."""

    options: tuple[Template, ...]


@dataclass(frozen=True, slots=True)
class Template:
    """Text, slots and choices, one after the other."""

    parts: tuple[str | Slot | Choice, ...]

    def slots(self) -> Iterator[Slot]:
        """Return all slots, those of all alternatives too."""
        for part in self.parts:
            if isinstance(part, Slot):
                yield part
            elif isinstance(part, Choice):
                for option in part.options:
                    yield from option.slots()

    def literals(self) -> Iterator[str]:
        """Return all plain text, that of all alternatives too."""
        for part in self.parts:
            if isinstance(part, str):
                yield part
            elif isinstance(part, Choice):
                for option in part.options:
                    yield from option.literals()

    def write(self, dice: Dice, fill: Callable[[Slot], str]) -> str:
        """Return one of the sentences that this may be."""
        written: list[str] = []
        self._write(dice, fill, written)
        return "".join(written)

    def _write(self, dice: Dice, fill: Callable[[Slot], str], written: list[str]) -> None:
        for part in self.parts:
            if isinstance(part, str):
                written.append(part)
            elif isinstance(part, Slot):
                written.append(fill(part))
            else:
                dice.pick(part.options)._write(dice, fill, written)


def parse(text: str) -> Template:
    """Return the template that `text` is.

    Raises:
        TemplateError: brackets that do not fit, a bar outside of them, a slot that is none.
    """
    tokens = _TOKEN.findall(text)
    template, at = _sequence(tokens, 0, inside=False)
    if at < len(tokens):
        raise TemplateError(f"{tokens[at]!r} is too much; `[a|b]` wants both brackets")
    return template


def _sequence(tokens: list[str], at: int, *, inside: bool) -> tuple[Template, int]:
    parts: list[str | Slot | Choice] = []
    while at < len(tokens):
        token = tokens[at]
        if token == "]" or (token == "|" and inside):
            break
        if token == "[":
            choice, at = _choice(tokens, at + 1)
            parts.append(choice)
        elif token.startswith("{"):
            parts.append(_slot(token))
            at += 1
        elif token in "}|":
            raise TemplateError(f"{token!r} stands alone; `|` belongs between [ and ]")
        else:
            parts.append(token)
            at += 1
    return Template(tuple(parts)), at


def _choice(tokens: list[str], at: int) -> tuple[Choice, int]:
    options: list[Template] = []
    while True:
        option, at = _sequence(tokens, at, inside=True)
        options.append(option)
        if at == len(tokens):
            raise TemplateError("'[' has no ']'")
        if tokens[at] == "]":
            return Choice(tuple(options)), at + 1
        at += 1


def _slot(token: str) -> Slot:
    found = _SLOT.fullmatch(token)
    if found is None:
        raise TemplateError(f"{token} is no slot; slots look like {{n}}, {{A.he}}, {{p:money}}")
    form, how = found["form"] or "", found["format"] or ""
    return Slot(found["name"], form, how.strip(), bool(found["found"]))
