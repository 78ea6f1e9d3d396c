"""Text that grows, wrapped to a width as it does.

A trace of a hundred thousand characters gets a few more thirty times a second: only the row
that they land on is wrapped again. Knows cells and authors, and no widget.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable

from rich.cells import cell_len

Piece = tuple[str, bool]
"""Some text, and whether ponder put it there."""

TAB = "    "
"""What a tab is shown as."""

_WORD = re.compile(r"\S+\s*|\s+")


class Wrapped:
    """Rows of pieces; a row holds all its characters but the line break that ended it.

    Blank space at the end of a row may hang over the width: it is cut when it is shown. Empty
    lines before the first word are no rows.
    """

    def __init__(self, width: int = 80) -> None:
        self.width = width
        self.rows: list[list[Piece]] = [[]]
        self.starts = [0]
        """For each row, its first character, from the start of the text."""
        self._pieces: list[Piece] = []
        self._end = 0
        """Characters that have been laid."""

    @property
    def text(self) -> str:
        """Everything, as it came."""
        if len(self._pieces) > 1:
            self._pieces = list(_joined(self._pieces))
        return "".join(text for text, _ in self._pieces)

    @property
    def height(self) -> int:
        """Rows, without the empty ones at the end."""
        rows = len(self.rows)
        while rows and not self.rows[rows - 1]:
            rows -= 1
        return rows

    def row_of(self, at: int) -> int:
        """The row that a character is in, a line break in the one that it ends."""
        return max(0, bisect_right(self.starts, at) - 1)

    def append(self, text: str, forced: bool) -> None:
        """Add text at the end."""
        self._pieces.append((text, forced))
        self._lay(text, forced)

    def resize(self, width: int) -> None:
        """Wrap everything again."""
        self.width = max(1, width)
        self.rows, self.starts, self._end = [[]], [0], 0
        self._pieces = list(_joined(self._pieces))
        for text, forced in self._pieces:
            self._lay(text, forced)

    def _lay(self, text: str, forced: bool) -> None:
        if self._end == self.starts[0]:
            kept = text.lstrip("\n")
            self._end += len(text) - len(kept)
            self.starts[0] = self._end
            text = kept
        first, *more = text.split("\n")
        self._extend(first, forced)
        for line in more:
            self._end += 1
            self.rows.append([])
            self.starts.append(self._end)
            self._extend(line, forced)

    def _extend(self, text: str, forced: bool) -> None:
        if not text:
            return
        row = [*self.rows.pop(), (text, forced)]
        begin = self.starts.pop()
        line = "".join(piece for piece, _ in row)
        cuts = breaks(line, self.width)
        for start, end in zip(cuts, [*cuts[1:], len(line)], strict=True):
            self.rows.append(list(_joined(_cut(row, start, end))))
            self.starts.append(begin + start)
        self._end += len(text)


def cells(text: str) -> int:
    """How wide it is shown."""
    return cell_len(text.replace("\t", TAB))


def breaks(line: str, width: int) -> list[int]:
    """Where the rows of a line begin: between words, inside a word only if it is too long."""
    starts = [0]
    at = 0
    for match in _WORD.finditer(line):
        word = match.group().rstrip()
        wide = cells(word)
        if at and at + wide > width:
            starts.append(match.start())
            at = 0
        if wide > width:
            for offset, char in enumerate(word, match.start()):
                size = cell_len(char)
                if at and at + size > width:
                    starts.append(offset)
                    at = 0
                at += size
        else:
            at += wide
        at += cells(match.group()) - wide
    return starts


def _cut(row: Iterable[Piece], start: int, end: int) -> Iterable[Piece]:
    """The characters from start to end of a row, with their authors."""
    at = 0
    for text, forced in row:
        part = text[max(0, start - at) : max(0, end - at)]
        at += len(text)
        if part:
            yield part, forced


def _joined(pieces: Iterable[Piece]) -> Iterable[Piece]:
    """Neighbours of one author as one."""
    texts: list[str] = []
    author = False
    for text, forced in pieces:
        if texts and forced is not author:
            yield "".join(texts), author
            texts = []
        author = forced
        texts.append(text)
    if texts:
        yield "".join(texts), author
