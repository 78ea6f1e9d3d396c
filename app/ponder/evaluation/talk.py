"""What people type where nothing is to be calculated, and what a small model says to that.

Knows greetings, thanks, questions about the model, and questions that it cannot answer
(`bank/talk.txt`). Refuses to know arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from ponder.errors import InputError
from ponder.evaluation.bank import templates
from ponder.evaluation.bank.blocks import Mistake
from ponder.evaluation.bank.collection import bank
from ponder.evaluation.bank.lexicon import Lexicon
from ponder.evaluation.bank.templates import Slot, Template, TemplateError
from ponder.evaluation.dice import Dice
from ponder.evaluation.spelling import misspell

FILE = "talk.txt"

_SHARES = {"greeting": 14, "thanks": 14, "self": 26, "other": 46}
_LISTS = ("topic", "language")
_SLOTS = frozenset({"city", "name", "number", "model", *_LISTS})
_MISSPELLED = 0.12


@dataclass(frozen=True, slots=True)
class Talk:
    """One thing that somebody types, what goes through the model's head, and what it says."""

    text: str
    thought: str
    answer: str
    """One sentence, without a box."""
    kind: str
    """greeting, thanks, self or other."""


@dataclass(frozen=True, slots=True)
class Lines:
    """What the file says."""

    texts: dict[str, list[Template]]
    thoughts: dict[str, list[Template]]
    answers: dict[str, list[Template]]
    lists: dict[str, list[str]]


def talks(seed: int, model: str) -> Iterator[Talk]:
    """Return endless small talk with a model of that name; the same seed gives the same.

    Raises:
        InputError: the file that it is drawn from cannot be read.
    """
    # Read here and not in the generator: an error belongs to the call that caused it.
    return _draw(Dice(seed), _lines(), bank().lexicon, model)


def _draw(dice: Dice, lines: Lines, lexicon: Lexicon, model: str) -> Iterator[Talk]:
    while True:
        kind = dice.weighted(tuple(_SHARES), tuple(_SHARES.values()))
        filled: dict[str, str] = {"model": model}

        def fill(slot: Slot, filled: dict[str, str] = filled) -> str:
            if slot.name not in filled:
                filled[slot.name] = _fill(dice, lines, lexicon, slot.name)
            return filled[slot.name]

        text, thought, answer = (
            dice.pick(listed[kind]).write(dice, fill)
            for listed in (lines.texts, lines.thoughts, lines.answers)
        )
        if dice.chance(_MISSPELLED):
            text = misspell(dice, text)
        yield Talk(text, thought, answer, kind)


def _fill(dice: Dice, lines: Lines, lexicon: Lexicon, slot: str) -> str:
    match slot:
        case "number":
            return str(dice.between(2, 20))
        case "name":
            return lexicon.person(dice, frozenset()).name
        case "city":
            return lexicon.word(dice, "cities", frozenset()).one
        case _:
            return dice.pick(lines.lists[slot])


@cache
def _lines() -> Lines:
    text = (files("ponder.evaluation.bank") / FILE).read_text("utf-8")
    lines, mistakes = parse(FILE, text)
    if mistakes:
        raise InputError(f"{FILE} has {len(mistakes)} mistakes.", "\n".join(map(str, mistakes)))
    return lines


def parse(file: str, text: str) -> tuple[Lines, list[Mistake]]:
    """Return what a file of small talk says, and what is wrong with it."""
    found = Lines({}, {}, {}, {})
    mistakes: list[Mistake] = []
    for at, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        key, _, written = line.partition(":")
        what, _, kind = key.rpartition(" ")
        into = {"": found.texts, "think": found.thoughts, "answer": found.answers}.get(what)
        if key in _LISTS:
            found.lists[key] = [word.strip() for word in written.split(",") if word.strip()]
        elif into is None or kind not in _SHARES:
            known = ", ".join(f"{key}:" for key in (*_SHARES, *_LISTS))
            mistakes.append(
                Mistake(file, at, f"a line begins with think, answer or one of {known}")
            )
        else:
            try:
                template = templates.parse(written.strip())
            except TemplateError as error:
                mistakes.append(Mistake(file, at, str(error)))
                continue
            strange = sorted({slot.name for slot in template.slots()} - _SLOTS)
            mistakes += [Mistake(file, at, f"there is no slot {{{name}}}") for name in strange]
            into.setdefault(kind, []).append(template)
    for kind in _SHARES:
        if not all(kind in listed for listed in (found.texts, found.thoughts, found.answers)):
            mistakes.append(Mistake(file, 1, f"{kind} wants texts, thoughts and answers"))
    missing = [name for name in _LISTS if name not in found.lists]
    mistakes += [Mistake(file, 1, f"there is no {name}: line") for name in missing]
    return found, mistakes
