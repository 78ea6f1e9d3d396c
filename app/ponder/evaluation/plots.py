"""Plots as SVG: bars, a line, dots, a curve with intervals.

Knows numbers and pixels; colours are the page's.

An axis of powers of ten where numbers span many. Every plot says in words what it shows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape
from typing import NamedTuple

_WIDTH, _HEIGHT = 640, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 12, 12, 44
_DECADE = 10.0
"""Times by which numbers have to differ for an axis of powers."""

Scale = Callable[[float], float]


def bars(title: str, across: str, up: str, edges: Sequence[float], counts: Sequence[int]) -> str:
    """A histogram; the bins' bounds are shown as powers of ten."""
    low, high = math.log10(edges[0]), math.log10(edges[-1])
    x = _scale(low, high, _LEFT, _WIDTH - _RIGHT)
    top = max(*counts, 1)
    y = _scale(0, top, _HEIGHT - _BOTTOM, _TOP)
    marks = []
    for at, count in enumerate(counts):
        left, right = x(math.log10(edges[at])), x(math.log10(edges[at + 1]))
        marks.append(
            f'<rect class="other" x="{left + 0.5:.1f}" y="{y(count):.1f}" '
            f'width="{right - left - 1:.1f}" height="{y(0) - y(count):.1f}">'
            f"<title>{edges[at]:.1e} to {edges[at + 1]:.1e}: {count:,}</title></rect>"
        )
    powers = range(math.ceil(low), math.floor(high) + 1, 2)
    below = [(x(power), _power(power)) for power in powers]
    return _plot(title, across, up, below, _ticks(0, top, y), marks)


def line(title: str, across: str, up: str, values: Sequence[float]) -> str:
    """One value after the other, with a line at zero."""
    low, high = min(0.0, *values), max(0.0, *values)
    if low == high:
        high = low + 1
    x = _scale(1, max(2, len(values)), _LEFT, _WIDTH - _RIGHT)
    y = _scale(low, high, _HEIGHT - _BOTTOM, _TOP)
    points = " ".join(f"{x(at):.1f},{y(value):.1f}" for at, value in enumerate(values, 1))
    marks = [
        f'<path class="grid" d="M{_LEFT} {y(0):.1f}H{_WIDTH - _RIGHT}"/>',
        f'<polyline class="other" points="{points}"/>',
    ]
    below = _ticks(1, max(2, len(values)), x)
    return _plot(title, across, up, below, _ticks(low, high, y), marks)


def dots(title: str, across: str, up: str, pairs: Sequence[tuple[float, float]]) -> str:
    """Pairs of numbers from 0 on, and the diagonal on which they would be equal."""
    most = max((max(pair) for pair in pairs), default=0) or 1
    x = _scale(0, most, _LEFT, _WIDTH - _RIGHT)
    y = _scale(0, most, _HEIGHT - _BOTTOM, _TOP)
    marks = [f'<path class="grid" d="M{x(0):.1f} {y(0):.1f}L{x(most):.1f} {y(most):.1f}"/>']
    for one, two in pairs:
        marks.append(
            f'<circle class="other" cx="{x(one):.1f}" cy="{y(two):.1f}" r="4">'
            f"<title>{one:,.0f} and {two:,.0f}</title></circle>"
        )
    return _plot(title, across, up, _ticks(0, most, x), _ticks(0, most, y), marks)


class Mark(NamedTuple):
    """A point of a curve."""

    x: float
    y: float
    low: float
    """Where the bar through it begins."""
    high: float
    label: str
    """A character or two, above the bar."""
    told: str
    """What a pointer is told."""


def curve(title: str, across: str, up: str, marks: Sequence[Mark]) -> str:
    """Labelled points with bars, from left to right; the lower axis by powers where it spans many.

    Args:
        title: in words what it shows.
        across: what the lower axis is.
        up: what the other is.
        marks: at least one.
    """
    xs = [mark.x for mark in marks]
    grows = min(xs) > 0 and max(xs) / min(xs) > _DECADE
    place: Scale = math.log10 if grows else float
    left, right = (place(x) for x in ((min(xs), max(xs)) if grows else (0.0, max(xs) or 1.0)))
    room = (right - left) * 0.05 or 0.5
    x = _scale(left - room if grows else left, right + room, _LEFT, _WIDTH - _RIGHT)
    low, high = min(mark.low for mark in marks), max(mark.high for mark in marks)
    y = _scale(low, high if high > low else low + 1, _HEIGHT - _BOTTOM, _TOP)
    at = sorted((x(place(mark.x)), mark) for mark in marks)
    drawn = [
        f'<path class="bar" d="M{across:.1f} {y(mark.low):.1f}V{y(mark.high):.1f}"/>'
        for across, mark in at
    ]
    drawn += [
        f'<circle class="other" cx="{across:.1f}" cy="{y(mark.y):.1f}" r="5">'
        f"<title>{escape(mark.told)}</title></circle>"
        f'<text x="{across:.1f}" y="{max(_TOP - 1, y(mark.high) - 4):.1f}" text-anchor="middle">'
        f"{escape(mark.label)}</text>"
        for across, mark in at
    ]
    if grows:
        powers = range(math.ceil(left * 3), math.floor(right * 3) + 1)
        told = [(1, 2, 5)[power % 3] * 10 ** (power // 3) for power in powers]
        below = [(x(math.log10(number)), f"{number:,.6g}") for number in told]
    else:
        below = _ticks(left, right, x)
    return _plot(title, across, up, below, _ticks(low, high if high > low else low + 1, y), drawn)


def _plot(
    title: str,
    across: str,
    up: str,
    below: Sequence[tuple[float, str]],
    beside: Sequence[tuple[float, str]],
    marks: Sequence[str],
) -> str:
    floor = _HEIGHT - _BOTTOM
    texts = [
        f'<text x="{at:.1f}" y="{floor + 16}" text-anchor="middle">{told}</text>'
        for at, told in below
    ]
    texts += [
        f'<path class="grid" d="M{_LEFT} {at:.1f}H{_WIDTH - _RIGHT}"/>'
        f'<text x="{_LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{told}</text>'
        for at, told in beside
    ]
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    texts.append(
        f'<text x="{middle}" y="{_HEIGHT - 8}" text-anchor="middle">{escape(across)}</text>'
        f'<text transform="translate(12 {(_TOP + floor) / 2}) rotate(-90)" '
        f'text-anchor="middle">{escape(up)}</text>'
    )
    return (
        f'<figure><figcaption>{escape(title)}</figcaption><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'role="img" aria-label="{escape(title)}">{"".join(texts)}{"".join(marks)}</svg></figure>'
    )


def _scale(low: float, high: float, start: float, end: float) -> Scale:
    return lambda value: start + (value - low) / (high - low) * (end - start)


def _ticks(low: float, high: float, place: Scale) -> list[tuple[float, str]]:
    """Up to six round numbers between two, and where they go."""
    rough = (high - low) / 5
    power: float = 10 ** math.floor(math.log10(rough))
    step = next(power * nice for nice in (1, 2, 5, 10) if power * nice >= rough)
    first = math.ceil(low / step)
    numbers = [at * step for at in range(first, math.floor(high / step) + 1)]
    return [(place(number), f"{number:,.6g}") for number in numbers]


def _power(exponent: int) -> str:
    return f'10<tspan dy="-4" font-size="75%">{exponent}</tspan>'
