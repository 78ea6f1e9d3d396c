"""Text that grows, wrapped to a width as it does.

A trace of a hundred thousand characters gets a few more thirty times a second: only the row
that they land on is wrapped again. Knows cells and authors, and no widget.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from rich.cells import cell_len

Piece = tuple[str, bool]
"""Some text, and whether ponder put it there."""

_WORD = re.compile(r"\S+\s*|\s+")


class Wrapped:
    """Rows of pieces; a row holds all its characters but the line break that ended it.

    Blank space at the end of a row may hang over the width: it is cut when it is shown.
    """

    def __init__(self, width: int = 80) -> None:
        self.width = width
        self.rows: list[list[Piece]] = [[]]
        self._pieces: list[Piece] = []

    @property
    def text(self) -> str:
        """Everything, as it came."""
        return "".join(text for text, _ in self._pieces)

    @property
    def height(self) -> int:
        """Rows, without the empty ones at the end."""
        rows = len(self.rows)
        while rows and not self.rows[rows - 1]:
            rows -= 1
        return rows

    def append(self, text: str, forced: bool) -> None:
        """Add text at the end."""
        self._pieces.append((text, forced))
        self._lay(text, forced)

    def resize(self, width: int) -> None:
        """Wrap everything again."""
        self.width = max(1, width)
        self.rows = [[]]
        self._pieces = list(_joined(self._pieces))
        for text, forced in self._pieces:
            self._lay(text, forced)

    def _lay(self, text: str, forced: bool) -> None:
        first, *more = text.replace("\t", "    ").split("\n")
        self._extend(first, forced)
        for line in more:
            self.rows.append([])
            self._extend(line, forced)

    def _extend(self, text: str, forced: bool) -> None:
        if not text:
            return
        row = [*self.rows.pop(), (text, forced)]
        line = "".join(piece for piece, _ in row)
        starts = breaks(line, self.width)
        for start, end in zip(starts, [*starts[1:], len(line)], strict=True):
            self.rows.append(list(_joined(_cut(row, start, end))))


def breaks(line: str, width: int) -> list[int]:
    """Where the rows of a line begin: between words, inside a word only if it is too long."""
    starts = [0]
    at = 0
    for match in _WORD.finditer(line):
        word = match.group().rstrip()
        cells = cell_len(word)
        if at and at + cells > width:
            starts.append(match.start())
            at = 0
        if cells > width:
            for offset, char in enumerate(word, match.start()):
                size = cell_len(char)
                if at and at + size > width:
                    starts.append(offset)
                    at = 0
                at += size
        else:
            at += cells
        at += cell_len(match.group()) - cells
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
