"""Accuracy against thinking tokens, drawn in characters. Knows numbers and a width.

One letter a condition, the same as in the table. Where two would stand on each other, the later
one goes to the right. What the bars of a page would tell, the table's bounds do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ponder.evaluation.reports.words import label
from ponder.evaluation.summary import Summary

_HEIGHT = 12
_LEFT = 7
"""Characters for the numbers of the accuracy."""


def curve(summary: Summary, width: int = 80) -> list[str]:
    """The lines of a plot, none wider than `width`; none of fewer than two conditions."""
    rows = summary.rows
    if len(rows) < 2:
        return []
    xs, ys = [row.tokens.think for row in rows], [100 * row.accuracy for row in rows]
    wide = max(20, width - _LEFT - 2)
    low, high = math.floor(min(ys) / 10) * 10, math.ceil(max(ys) / 10) * 10
    high = high if high > low else low + 10
    grows = min(xs) > 0 and max(xs) / min(xs) > 10
    place = math.log if grows else float
    first = place(min(xs)) if grows else 0.0
    last = place(max(xs)) if place(max(xs)) > first else first + 1
    cells = [[" "] * wide for _ in range(_HEIGHT)]
    for at, (x, y) in enumerate(zip(xs, ys, strict=True)):
        across = round((place(x) - first) / (last - first) * (wide - 1))
        row = cells[_HEIGHT - 1 - round((y - low) / (high - low) * (_HEIGHT - 1))]
        free = [*range(across, wide), *range(across, -1, -1)]
        row[next(cell for cell in free if row[cell] == " ")] = label(at)
    lines = [
        f"{_height(at, low, high):>{_LEFT - 1}} │{''.join(row).rstrip()}"
        for at, row in enumerate(cells)
    ]
    ends = (min(xs) if grows else 0.0, max(xs))
    scale = ", by powers" if grows else ""
    told = f"thinking tokens a question, mean{scale}"
    below = _below(wide, f"{ends[0]:,.0f}", f"{ends[1]:,.0f}", told)
    return [
        "right %",
        *lines,
        f"{' ' * _LEFT}└{'─' * wide}",
        f"{' ' * (_LEFT + 1)}{below}".rstrip(),
    ]


def _height(at: int, low: float, high: float) -> str:
    """The accuracy at the top, in the middle and at the bottom."""
    marked: Sequence[tuple[int, float]] = (
        (0, high),
        (_HEIGHT - 1, low),
    )
    return next((f"{value:.0f}" for row, value in marked if row == at), "")


def _below(wide: int, left: str, right: str, told: str) -> str:
    room = wide - len(left) - len(right)
    return f"{left}{told:^{room}}{right}" if len(told) + 2 <= room else f"{left}{right:>{room}}"
