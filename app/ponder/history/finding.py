"""What somebody looks for -> what the index is asked, and what is shown of a match.

Every word is a literal: no operator, no wildcard. Knows the words and the texts; the
database only narrows down which texts to look at. Words match in any case, anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

from ponder.history.codec import plain
from ponder.history.records import Place

PHRASE = re.compile(r'"([^"]+)"|(\S+)')
"""A phrase in double quotes, or a word."""
_TRIGRAM = 3
"""Characters that the index knows together; shorter words it cannot find."""
_ENOUGH = 64
"""Trigrams that the index is asked for: more would not narrow it down any further."""
_BEFORE, _LENGTH = 50, 160
"""Characters of an excerpt: before the first match, and in all."""
_OTHER_CASES = "\u0130\u0131\u017f\u212a"
"""Letters beyond ASCII that are another case of one of its letters: dotted and dotless i, long s,
the Kelvin sign."""
_PLACES: tuple[Place, ...] = ("question", "answer", "thinking")
"""Where the eye would look first."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody looks for: phrases that must all occur in a turn."""

    phrases: tuple[str, ...]
    """As they were typed, quotes aside."""
    patterns: tuple[re.Pattern[str], ...]
    """Finds each of them."""

    @property
    def match(self) -> str:
        """The full-text query: all trigrams of all phrases; empty where all are too short."""
        parts = dict.fromkeys(
            phrase[i : i + _TRIGRAM]
            for phrase in self.phrases
            for i in range(len(phrase) - _TRIGRAM + 1)
        )
        return " ".join('"' + part.replace('"', '""') + '"' for part in list(parts)[:_ENOUGH])

    @property
    def likes(self) -> list[list[str]]:
        """For each phrase, LIKE patterns of which one must match (ESCAPE is a backslash).

        Only for phrases too short for the index. LIKE knows the cases of ASCII alone: the
        others are spelled out.
        """
        return [["%" + _escaped(word) + "%" for word in _cases(p)] for p in self.phrases]

    def found(self, texts: Mapping[Place, str]) -> tuple[Place, str, tuple[tuple[int, int], ...]]:
        """Where, an excerpt and its marks; an empty excerpt if not all of them occur.

        `texts` are the parts that are looked at, all or some.
        """
        counts = {place: 0 for place in _PLACES if place in texts}
        for phrase, pattern in zip(self.phrases, self.patterns, strict=True):
            places = [place for place in counts if _occurs(phrase, pattern, texts[place])]
            if not places:
                return "question", "", ()
            for place in places:
                counts[place] += 1
        # The first of those that have most.
        where = max(counts, key=lambda place: counts[place])
        return where, *self._excerpt(texts[where])

    def _excerpt(self, text: str) -> tuple[str, tuple[tuple[int, int], ...]]:
        first = min(match.span() for p in self.patterns if (match := p.search(text)))
        start = max(0, first[0] - _BEFORE)
        end = min(len(text), max(start + _LENGTH, first[1]))
        start = max(0, min(start, end - _LENGTH))
        while text[start].isspace() and start < first[0]:
            start += 1
        while text[end - 1].isspace() and end > first[1]:
            end -= 1
        lead = "…" if text[:start].strip() else ""
        tail = "…" if text[end:].strip() else ""
        # One character for one, so that the marks stay where they are.
        shown = re.sub(r"\s", " ", text[start:end])
        moved = len(lead) - start
        spans = sorted(
            (match.start() + moved, match.end() + moved)
            for pattern in self.patterns
            for match in pattern.finditer(text, start, end)
        )
        return lead + shown + tail, _joined(spans)


def wanted(query: str) -> Wanted:
    """The phrases of a query: words, or several words between double quotes.

    Nothing to look for gives no phrases.
    """
    phrases = [plain(quoted or word) for quoted, word in PHRASE.findall(query)]
    phrases = list(dict.fromkeys(phrase for phrase in phrases if phrase.strip()))
    patterns = [re.compile(re.escape(phrase), re.IGNORECASE) for phrase in phrases]
    return Wanted(tuple(phrases), tuple(patterns))


def _occurs(phrase: str, pattern: re.Pattern[str], text: str) -> bool:
    # Many texts that the index names have all the trigrams, and not the word. To look for bytes
    # says the same as the pattern, many times as fast, where the letters are ASCII's.
    if phrase.isascii():
        if phrase.lower().encode() in text.encode("utf-8", "surrogatepass").lower():
            return True
        if text.isascii() or not any(letter in text for letter in _OTHER_CASES):
            return False
    return pattern.search(text) is not None


def _cases(word: str) -> list[str]:
    """A short word with each letter beyond ASCII in either case."""
    letters = [
        {c, *(other for other in (c.lower(), c.upper()) if len(other) == 1)}
        if ord(c) > 127
        else {c}
        for c in word
    ]
    return ["".join(choice) for choice in product(*letters)]


def _escaped(word: str) -> str:
    return re.sub(r"([\\%_])", r"\\\1", word)


def _joined(spans: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Sorted ranges, those that touch made one."""
    joined: list[tuple[int, int]] = []
    for start, end in spans:
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return tuple(joined)
