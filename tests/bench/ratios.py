"""Sides that take turns, and how much faster one is than another: medians over the rounds.

Knows seconds and bytes; not what is measured.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path


def timed(act: Callable[[], object]) -> float:
    """Seconds; what was written before is on the disk by then."""
    os.sync()
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def turned(names: Sequence[str], turn: int) -> list[str]:
    """The same sides, each round beginning with another one."""
    begin = turn % len(names)
    return [*names[begin:], *names[:begin]]


def settle(file: Path) -> None:
    """See to it that a file is on the disk."""
    descriptor = os.open(file, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def table(times: Mapping[str, Sequence[float]], size: int, against: Sequence[str]) -> str:
    """A line a side: MB/s, and its speed as a multiple of others', paired round by round.

    Args:
        times: seconds of each side, a number a round.
        size: bytes that each of them handles.
        against: sides that the others are compared with.
    """
    widest = max(len(name) for name in times) + 2
    columns = [max(14, len(name) + 5) for name in against]
    head = "".join(f"{'to ' + name:>{width}}" for name, width in zip(against, columns, strict=True))
    lines = [f"{'':<{widest}}{'MB/s':>8}{head}"]
    for name, found in times.items():
        ratios = "".join(
            f"{statistics.median(o / t for o, t in zip(times[other], found, strict=True)):>{w}.2f}"
            for other, w in zip(against, columns, strict=True)
        )
        lines.append(f"{name:<{widest}}{size / 1e6 / statistics.median(found):>8,.0f}{ratios}")
    return "\n".join(lines)
