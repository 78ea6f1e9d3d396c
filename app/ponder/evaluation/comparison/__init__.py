"""Two files of one model, a higher precision and a quant of it: how far apart are they?

    divergence.py   logits -> figures: perplexity, KL divergence, top-1 agreement
    texts.py        both read a text
    reasoning.py    both are asked questions
    page.py         the report as a page

A report is made of plain numbers. None of these knows a terminal.
"""

from __future__ import annotations

from dataclasses import dataclass

from ponder.evaluation.comparison.divergence import TextFigures
from ponder.evaluation.comparison.reasoning import ReasoningFigures


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two files."""

    name: str
    size: int
    """Bytes."""


@dataclass(frozen=True, slots=True)
class Report:
    """All that a comparison found; what was not asked for is None."""

    base: Side
    """Of the higher precision: what the other is held against."""
    other: Side
    text: TextFigures | None
    reasoning: ReasoningFigures | None
    note: str = ""
    """Why a part is missing; empty where nobody would ask."""
