"""Phrases that stand around a question, read from text files: `key: phrase -> answer` a line.

Knows the files. Refuses to know what is asked.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from ponder.evaluation.bank import templates
from ponder.evaluation.bank.blocks import Mistake
from ponder.evaluation.bank.templates import Template, TemplateError


@dataclass(frozen=True, slots=True)
class Phrase:
    """One line."""

    text: Template
    says: Template | None = None
    """The answer sentence that belongs to it."""


Phrases = dict[str, tuple[Phrase, ...]]

CHECK = "check.txt"
TURNS = "turns.txt"
SLOTS: Mapping[str, Mapping[str, Collection[str]]] = {
    CHECK: {"expr": "e", "check": "qg", "right": "ge", "wrong": "ge", "request": "q"},
    TURNS: {"instead": ("old", "new"), "result": "e"},
}
"""For each file the keys of its lines, and which slots they may have: {e} is an expression,
{=e} the answer, {g} a guess, {q} the whole question."""


def parse(file: str, text: str) -> tuple[Phrases, list[Mistake]]:
    """Return the phrases of one of these files, and what is wrong with it."""
    wanted = SLOTS[file.rpartition("/")[2]]
    found: dict[str, list[Phrase]] = {key: [] for key in wanted}
    mistakes: list[Mistake] = []
    for at, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        key, _, written = line.partition(":")
        if key not in wanted:
            known = ", ".join(f"{key}:" for key in wanted)
            mistakes.append(Mistake(file, at, f"a line begins with one of {known}"))
            continue
        try:
            phrase = _phrase(written)
        except TemplateError as error:
            mistakes.append(Mistake(file, at, str(error)))
            continue
        mistakes += [Mistake(file, at, message) for message in _strange(phrase, wanted[key])]
        found[key].append(phrase)
    empty = [key for key, listed in found.items() if not listed]
    mistakes += [Mistake(file, 1, f"there is no {key}: line") for key in empty]
    return {key: tuple(listed) for key, listed in found.items()}, mistakes


def _phrase(written: str) -> Phrase:
    text, arrow, says = written.partition("->")
    answer = templates.parse(says.strip()) if arrow else None
    return Phrase(templates.parse(text.strip()), answer)


def _strange(phrase: Phrase, wanted: Collection[str]) -> list[str]:
    said = list(phrase.says.slots()) if phrase.says is not None else []
    strange = {slot.name for slot in [*phrase.text.slots(), *said]} - set(wanted)
    known = ", ".join(f"{{{slot}}}" for slot in wanted)
    return [f"there is no slot {{{name}}} here, only {known}" for name in sorted(strange)]
