"""Words looked for in a text that grows: only what is new is looked through.

Upper and lower case are one, unless an upper-case letter is asked for; a blank stands for any.
Knows characters, and no widget.
"""

from __future__ import annotations

import re
from bisect import bisect_left


class Finder:
    """The places of some words, as the text grows.

    Args:
        words: what is looked for, at least one character.
    """

    def __init__(self, words: str) -> None:
        exact = any(char.isupper() for char in words)
        pattern = "".join(r"\s" if char.isspace() else re.escape(char) for char in words)
        self._pattern = re.compile(pattern, 0 if exact else re.IGNORECASE)
        self.size = len(words)
        """Characters of each hit."""
        self.hits: list[int] = []
        """The first character of each hit, in order; no two overlap."""
        self._rest = ""
        """The end of the text, in which a hit may have begun."""
        self._length = 0

    def append(self, text: str) -> bool:
        """Look through more text; whether there was a hit."""
        window = self._rest + text
        base = self._length - len(self._rest)
        before = len(self.hits)
        self.hits += [base + found.start() for found in self._pattern.finditer(window)]
        self._length += len(text)
        start = max(0, len(window) - self.size + 1)
        if self.hits:
            start = max(start, self.hits[-1] + self.size - base)
        self._rest = window[start:]
        return len(self.hits) > before

    def within(self, start: int, end: int) -> list[int]:
        """The hits of which some character lies in a range, by their numbers."""
        first = bisect_left(self.hits, start - self.size + 1)
        return list(range(first, bisect_left(self.hits, end)))
