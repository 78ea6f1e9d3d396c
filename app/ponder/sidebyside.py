"""Two thinkings that were aligned, as lines for a terminal: side by side, or one after the other.

What is the same is dim, what differs is underlined, and a sign at the edge says so without either:
`=` the same, `~` changed, `<` only left, `>` only right; one after the other, what changed is told
as left and right. Words of ponder's stand in ⟦⟧. Knows
widths and rich's texts, and neither a command nor a screen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby, zip_longest

from rich.console import Console
from rich.text import Text

from ponder.alignment import Kind, Ranges, Row, Sentence, differing
from ponder.printable import safe

WIDE = 100
"""Columns from which on the two stand side by side."""
_SIGNS = {Kind.SAME: "=", Kind.CHANGED: "~", Kind.LEFT: "<", Kind.RIGHT: ">"}
_BETWEEN = " │ "
_CONSOLE = Console(width=WIDE, color_system=None)
"""Only measures; nothing is printed on it."""


def lines(rows: Sequence[Row], width: int, beside: bool) -> list[Text]:
    """All rows, wrapped to so many columns.

    `beside` says whether both stand side by side, or the right one below the left one.
    """
    if not beside:
        return [line for row in rows for line in _unified(row, width)]
    room = (width - len(_BETWEEN)) // 2
    found: list[Text] = []
    for pair in _paired(rows):
        columns = [_wrapped(text, room, sign) for sign, text in pair]
        for mine, theirs in zip_longest(*columns, fillvalue=Text()):
            line = mine.copy()
            line.pad_right(room - mine.cell_len)
            found.append(Text.assemble(line, (_BETWEEN, "dim"), theirs))
    return found


_Cell = tuple[str, Text | None]


def _paired(rows: Sequence[Row]) -> Iterator[tuple[_Cell, _Cell]]:
    """What stands beside what: stretches that one side has alone beside those of the other."""
    for alone, run in groupby(rows, lambda row: row.kind in (Kind.LEFT, Kind.RIGHT)):
        if not alone:
            for row in run:
                sign = _SIGNS[row.kind]
                left, right = _texts(row)
                yield (sign, left), (sign, right)
            continue
        sides: tuple[list[Text], list[Text]] = ([], [])
        for row in run:
            for side, text in zip(sides, _texts(row), strict=True):
                if text is not None:
                    side.append(text)
        for mine, theirs in zip_longest(*sides):
            yield (_SIGNS[Kind.LEFT], mine), (_SIGNS[Kind.RIGHT], theirs)


def _unified(row: Row, width: int) -> Iterator[Text]:
    left, right = _texts(row)
    if row.kind is Kind.SAME:
        yield from _wrapped(left, width, _SIGNS[row.kind])
        return
    yield from _wrapped(left, width, _SIGNS[Kind.LEFT])
    yield from _wrapped(right, width, _SIGNS[Kind.RIGHT])


def _texts(row: Row) -> tuple[Text | None, Text | None]:
    """Both sides; a word that the other side has otherwise is underlined."""
    if row.left is not None and row.right is not None and row.kind is Kind.CHANGED:
        mine, theirs = differing(safe(row.left.text), safe(row.right.text))
        return _text(row.left, mine), _text(row.right, theirs)
    style = "dim" if row.kind is Kind.SAME else ""
    left = None if row.left is None else _text(row.left, (), style)
    return left, None if row.right is None else _text(row.right, (), style)


def _text(sentence: Sentence, ranges: Ranges, style: str = "") -> Text:
    text = Text(safe(sentence.text), style)
    for start, end in ranges:
        text.stylize("bold underline", start, end)
    for start, end in reversed(sentence.forced):
        parts = text.divide([start, end])
        parts[1].stylize("italic yellow")
        text = Text.assemble(parts[0], "⟦", parts[1], "⟧", *parts[2:])
    return text


def _wrapped(text: Text | None, width: int, sign: str) -> list[Text]:
    """A text in lines, the first one behind its sign."""
    if text is None:
        return []
    wrapped = text.wrap(_CONSOLE, max(1, width - 2))
    return [
        Text.assemble((f"{sign if at == 0 else ' '} ", "bold"), line)
        for at, line in enumerate(wrapped)
    ]
