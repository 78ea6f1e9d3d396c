"""All bank files together, as they come with ponder.

Knows where they lie, and reads them once. Refuses to draw.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from ponder.errors import InputError
from ponder.evaluation.bank import lexicon, phrases
from ponder.evaluation.bank.blocks import Block, Mistake, Theme
from ponder.evaluation.bank.language import Reader
from ponder.evaluation.bank.lexicon import Lexicon
from ponder.evaluation.bank.phrases import Phrases

LEXICON = "lexicon.txt"
SUFFIX = ".bank"


@dataclass(frozen=True, slots=True)
class Bank:
    """Everything that questions are drawn from."""

    lexicon: Lexicon
    problems: tuple[Block, ...]
    themes: tuple[Theme, ...]
    phrases: Phrases


@cache
def bank() -> Bank:
    """Return the bank that comes with ponder.

    Raises:
        InputError: a file of it cannot be read; it lists every mistake.
    """
    folder = files("ponder.evaluation.bank")
    return read(
        {
            file.name: file.read_text("utf-8")
            for file in folder.iterdir()
            if file.name.endswith((SUFFIX, ".txt"))
        }
    )


def read(texts: Mapping[str, str]) -> Bank:
    """Return a bank of files, told by name.

    Raises:
        InputError: a file cannot be read; it lists every mistake.
    """
    known, wrong = lexicon.parse(texts[LEXICON])
    mistakes = [Mistake(LEXICON, line, message) for line, message in wrong]
    said: Phrases = {}
    for name in phrases.SLOTS:
        found, strange = phrases.parse(name, texts[name])
        said |= found
        mistakes += strange
    problems: list[Block] = []
    themes: list[Theme] = []
    for name in sorted(texts):
        if name.endswith(SUFFIX):
            reader = Reader(name)
            reader.read(texts[name])
            mistakes += reader.mistakes
            problems += reader.problems
            themes += reader.themes
    if mistakes:
        raise InputError(
            f"The question bank has {len(mistakes)} mistakes.",
            "\n".join(map(str, sorted(mistakes))),
        )
    return Bank(known, tuple(problems), tuple(themes), said)
