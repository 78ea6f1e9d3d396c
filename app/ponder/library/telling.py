"""Weights in words: amounts, advice, what happens to files. For the shell and the chat alike.

Plain text, as short as a table or a line of progress wants it. Knows what is told, and neither
terminals nor colours.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from ponder.library.watching import (
    Checked,
    Event,
    Hashing,
    Heading,
    Noted,
    Planned,
    Receiving,
    Waiting,
    Wrong,
)

if TYPE_CHECKING:
    from ponder.library.fit import Advice

_GIB = 1 << 30
_LEAST_OFFERED = 1024
"""Tokens; a smaller context is no use to a model that thinks."""


# -- advice -------------------------------------------------------------------------------------


def verdict(advice: Advice) -> str:
    """Where a model goes; where it goes nowhere, the largest context with which it would."""
    if advice.verdict == "gpu":
        return "GPU"
    if advice.verdict == "partly":
        return f"GPU {advice.need.gpu_layers}/{advice.layers}"
    if advice.verdict == "cpu":
        return "CPU"
    if advice.largest_ctx >= _LEAST_OFFERED:
        return f"no ({context(advice.largest_ctx)} does)"
    return "no"


def speed(advice: Advice, bandwidth: float) -> str:
    """Tokens a second at most, at first and with a full context; empty where it is not known.

    Args:
        advice: of one model.
        bandwidth: bytes a second; 0 where it was not measured.
    """
    found = advice.tokens_per_second(bandwidth) if bandwidth else None
    if found is None:
        return ""
    first, full = (f"{rate:.0f}" if rate >= 10 else f"{rate:.1f}" for rate in found)
    return first if first == full else f"{first}-{full}"


def total(advice: Advice) -> str:
    """Memory that it takes, with ~ where that is reckoned from the model's shape."""
    return about(advice) + memory(advice.need.total)


def about(advice: Advice) -> str:
    """What stands before a figure that was reckoned."""
    return "" if advice.exact else "~"


def context(tokens: int) -> str:
    """Tokens of context, in thousands (of 1,024) where that is what they are."""
    return f"{tokens // 1024}k" if tokens >= 1024 else f"{tokens}"


def memory(count: int) -> str:
    """Bytes of memory: 4.4G is GiB, 512M is MiB."""
    return f"{count / _GIB:.1f}G" if count >= _GIB else f"{count / (1 << 20):.0f}M"


# -- files --------------------------------------------------------------------------------------


def size(count: float) -> str:
    """Bytes of a file: 4.7 GB."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def left(seconds: float) -> str:
    """A duration: 1:05 h, 3:20 min, 12 s."""
    whole = int(seconds + 0.5)
    if whole >= 3600:
        return f"{whole // 3600}:{whole % 3600 // 60:02d} h"
    return f"{whole // 60}:{whole % 60:02d} min" if whole >= 60 else f"{whole} s"


def doing(event: Receiving | Hashing) -> str:
    """What is done to a file."""
    return "fetching" if isinstance(event, Receiving) else "checking"


def sentence(event: Event) -> str:
    """An event that is told once; empty for one that only counts bytes."""
    match event:
        case Planned():
            files = "1 file" if event.files == 1 else f"{event.files} files"
            have = f", {size(event.have)} of them are here" if event.have else ""
            return (
                f"{event.name}: {files}, {size(event.size)}{have} "
                f"({event.repository} at {event.revision[:12]})"
            )
        case Heading():
            return f"the headers of {event.done} of {event.shards} shards are here"
        case Checked():
            return f"{event.file}: sha256 {event.sha256} is right"
        case Wrong():
            return f"{event.file} is damaged ({event.found[:12]}…): it is fetched again"
        case Waiting():
            told = "." if event.seconds is None else f"; trying again in {event.seconds:g} s."
            return f"{event.why.rstrip('.')}{', waiting' if event.seconds is None else ''}{told}"
        case Noted():
            return event.text
    return ""


class Rates:
    """How fast something is done, from what is told of it.

    Args:
        clock: seconds, steady.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begun: dict[str, tuple[float, int]] = {}

    def rate(self, what: str, done: int) -> float:
        """Bytes a second since it was begun; what was done before is no part of it. 0 where it
        cannot be told yet.

        Args:
            what: is done: the same words each time.
            done: bytes so far.
        """
        now = self._clock()
        began, first = self._begun.setdefault(what, (now, done))
        if done < first:
            # From the beginning again.
            self._begun[what] = began, first = now, done
        return (done - first) / (now - began) if now > began else 0.0
