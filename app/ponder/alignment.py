"""Two thinkings side by side: which sentences they share, and where they part.

Sentences are matched as difflib does (the longest run that both have, then what is left of it and
right of it), blank space aside; between runs, sentences that have most of their words in common
are told as one that changed, with the words that differ. Knows sentences and steps; no screen.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum

from ponder.passages import passages
from ponder.types import Span

_SENTENCE = re.compile(r".+?(?:[.!?…][\"'”’)\]*]*(?=\s)|[。！？]|\n|$)\s*", re.DOTALL)
_WORD = re.compile(r"\w+|[^\w\s]|\s+")
_ALIKE = 0.6
"""Of two sentences, the share of words in common from which one is told as the other changed."""
_MANY = 2_500
"""Pairs between two runs from which on none are looked for: it would take seconds."""

Ranges = tuple[tuple[int, int], ...]
"""Parts of a text: first character, and the one after the last."""


class Kind(StrEnum):
    """How a row stands in both; the word that a person reads."""

    SAME = "same"
    CHANGED = "changed"
    LEFT = "only left"
    RIGHT = "only right"


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of a thinking."""

    text: str
    """Without blank space around it."""
    step: int
    """The step that it is in, from 1."""
    forced: Ranges = ()
    """What of it ponder put there."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the comparison; a side that has nothing to it is None."""

    kind: Kind
    left: Sentence | None = None
    right: Sentence | None = None


def sentences(spans: Iterable[Span]) -> list[Sentence]:
    """The thinking of a trace in sentences, in order."""
    found = []
    for number, step in enumerate(passages(spans), 1):
        forced = []
        at = 0
        for span in step.spans:
            if span.forced:
                forced.append((at, at + len(span.text)))
            at += len(span.text)
        for match in _SENTENCE.finditer(step.text):
            text = match[0].strip()
            start = match.start() + match[0].find(text)
            inside = [(max(0, a - start), min(len(text), b - start)) for a, b in forced]
            if text:
                found.append(Sentence(text, number, tuple(r for r in inside if r[0] < r[1])))
    return found


def aligned(left: Sequence[Sentence], right: Sequence[Sentence]) -> list[Row]:
    """Rows in which every sentence of both stands once, in its order."""
    rows: list[Row] = []
    # Without "junk": in long thinkings the sentences that matter are said again and again.
    matcher = SequenceMatcher(None, _keys(left), _keys(right), autojunk=False)
    for tag, a, b, c, d in matcher.get_opcodes():
        if tag == "equal":
            rows += [Row(Kind.SAME, x, y) for x, y in zip(left[a:b], right[c:d], strict=True)]
        else:
            rows += _parted(left[a:b], right[c:d])
    return rows


def agreement(rows: Iterable[Row]) -> str:
    """How much of two thinkings is the same, in a line."""
    counts = dict.fromkeys(Kind, 0)
    for row in rows:
        counts[row.kind] += 1
    same = counts.pop(Kind.SAME)
    rest = " · ".join(f"{count} {kind}" for kind, count in counts.items() if count)
    told = "1 sentence the same" if same == 1 else f"{same} sentences the same"
    return f"{told} · {rest}" if rest else told


def differing(left: str, right: str) -> tuple[Ranges, Ranges]:
    """The words of two sentences that the other one does not have there."""
    words = _WORD.findall(left), _WORD.findall(right)
    mine: list[tuple[int, int]] = []
    theirs: list[tuple[int, int]] = []
    ends = [[0], [0]]
    for known, own in zip(ends, words, strict=True):
        for word in own:
            known.append(known[-1] + len(word))
    for tag, a, b, c, d in SequenceMatcher(None, *words, autojunk=False).get_opcodes():
        if tag != "equal":
            if b > a:
                mine.append((ends[0][a], ends[0][b]))
            if d > c:
                theirs.append((ends[1][c], ends[1][d]))
    return tuple(mine), tuple(theirs)


def _keys(side: Sequence[Sentence]) -> list[str]:
    return [" ".join(sentence.text.split()) for sentence in side]


def _parted(left: Sequence[Sentence], right: Sequence[Sentence]) -> list[Row]:
    """A stretch that both have otherwise: what changed, and what only one of them has."""
    pairs: list[tuple[int, int]] = []
    if len(left) * len(right) <= _MANY:
        after = 0
        for at, mine in enumerate(left):
            likeness = [(_likeness(mine, right[to]), -to) for to in range(after, len(right))]
            best, place = max(likeness, default=(0.0, 0))
            if best >= _ALIKE:
                pairs.append((at, -place))
                after = 1 - place
    rows: list[Row] = []
    a = b = 0
    for at, to in [*pairs, (len(left), len(right))]:
        rows += [Row(Kind.LEFT, mine) for mine in left[a:at]]
        rows += [Row(Kind.RIGHT, None, theirs) for theirs in right[b:to]]
        if at < len(left):
            rows.append(Row(Kind.CHANGED, left[at], right[to]))
        a, b = at + 1, to + 1
    return rows


def _likeness(left: Sentence, right: Sentence) -> float:
    return SequenceMatcher(
        None, left.text.lower().split(), right.text.lower().split(), autojunk=False
    ).ratio()
