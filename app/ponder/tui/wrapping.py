"""Text that grows, wrapped to a width as it does.

A trace of a hundred thousand characters gets a few more thirty times a second: only the row
that they land on is wrapped again. Knows cells and authors, and no widget.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from rich.cells import cell_len

from ponder.types import Author


class Piece(NamedTuple):
    """Some text of one author."""

    text: str
    author: Author
    named: bool = False
    """Whether its author is told before it: the first words of what the model did not say."""


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
        self._unnamed = False
        """Whether what is not the model's goes on, and had no words yet."""
        self._end = 0
        """Characters that have been laid."""

    @property
    def text(self) -> str:
        """Everything, as it came."""
        if len(self._pieces) > 1:
            self._pieces = list(_joined(self._pieces))
        return "".join(piece.text for piece in self._pieces)

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

    def append(self, text: str, author: Author = Author.MODEL) -> None:
        """Add text at the end."""
        if not text:
            return
        if not self._pieces or self._pieces[-1].author is not author:
            self._unnamed = author is not Author.MODEL
        if self._unnamed and (words := text.lstrip()):
            self._unnamed = False
            self._add(Piece(text[: -len(words)], author))
            self._add(Piece(words, author, named=True))
        else:
            self._add(Piece(text, author))

    def resize(self, width: int) -> None:
        """Wrap everything again."""
        self.width = max(1, width)
        self.rows, self.starts, self._end = [[]], [0], 0
        self._pieces = list(_joined(self._pieces))
        for piece in self._pieces:
            self._lay(piece)

    def _add(self, piece: Piece) -> None:
        if piece.text:
            self._pieces.append(piece)
            self._lay(piece)

    def _lay(self, piece: Piece) -> None:
        text = piece.text
        if self._end == self.starts[0]:
            kept = text.lstrip("\n")
            self._end += len(text) - len(kept)
            self.starts[0] = self._end
            text = kept
        first, *more = text.split("\n")
        self._extend(piece._replace(text=first))
        for line in more:
            self._end += 1
            self.rows.append([])
            self.starts.append(self._end)
            self._extend(Piece(line, piece.author))

    def _extend(self, piece: Piece) -> None:
        if not piece.text:
            return
        row = [*self.rows.pop(), piece]
        begin = self.starts.pop()
        line = "".join(piece.text for piece in row)
        cuts = breaks(line, self.width, _names(row, self.width))
        for start, end in zip(cuts, [*cuts[1:], len(line)], strict=True):
            self.rows.append(list(_joined(_cut(row, start, end))))
            self.starts.append(begin + start)
        self._end += len(piece.text)


def cells(text: str) -> int:
    """How wide it is shown."""
    return cell_len(text.replace("\t", TAB))


def name(piece: Piece, width: int) -> str:
    """What stands before a piece in a row of a width, and is no part of the text: its author.

    Nothing where that would leave no room for the words.
    """
    shown = f"⟦{piece.author}⟧ " if piece.named else ""
    return shown if len(shown) + 2 <= width else ""


def breaks(line: str, width: int, names: Mapping[int, int] | None = None) -> list[int]:
    """Where the rows of a line begin: between words, inside a word only if it is too long.

    `names`: how many cells are taken before a character.
    """
    if not names and line.isascii() and line.isprintable():
        return _breaks_of_cells(line, width)
    return _breaks_of_words(line, width, names or {})


def _breaks_of_cells(line: str, width: int) -> list[int]:
    """Of a line whose characters are a cell each: it is looked at where its rows end."""
    starts = [0]
    end = len(line.rstrip())
    while (limit := starts[-1] + width) < end:
        if line[limit] == " ":
            while line[limit] == " ":
                limit += 1
            starts.append(limit)
        else:
            starts.append((line.rfind(" ", starts[-1], limit) + 1) or limit)
    return starts


def _breaks_of_words(line: str, width: int, names: Mapping[int, int]) -> list[int]:
    """Of any line, word by word."""
    starts = [0]
    at = 0
    for match in _WORD.finditer(line):
        word = match.group().rstrip()
        wide = cells(word)
        blank = cells(match.group()) - wide
        wide += sum(size for place, size in names.items() if match.start() <= place < match.end())
        if at and at + wide > width:
            starts.append(match.start())
            at = 0
        if wide > width:
            for offset, char in enumerate(word, match.start()):
                size = cell_len(char) + names.get(offset, 0)
                if at and at + size > width:
                    starts.append(offset)
                    at = 0
                at += size
        else:
            at += wide
        at += blank
    return starts


def _names(row: Iterable[Piece], width: int) -> dict[int, int]:
    """For each piece of a row that is named: its first character, and the cells of the name."""
    found: dict[int, int] = {}
    at = 0
    for piece in row:
        if piece.named:
            found[at] = len(name(piece, width))
        at += len(piece.text)
    return found


def _cut(row: Iterable[Piece], start: int, end: int) -> Iterable[Piece]:
    """The characters from start to end of a row, with their authors."""
    at = 0
    for text, author, named in row:
        part = text[max(0, start - at) : max(0, end - at)]
        if part:
            yield Piece(part, author, named and start <= at)
        at += len(text)


def _joined(pieces: Iterable[Piece]) -> Iterable[Piece]:
    """Neighbours of one author as one, but for a beginning that has a name."""
    held: list[Piece] = []
    for piece in pieces:
        if held and (piece.author is not held[0].author or piece.named):
            yield held[0]._replace(text="".join(one.text for one in held))
            held = []
        held.append(piece)
    if held:
        yield held[0]._replace(text="".join(one.text for one in held))
