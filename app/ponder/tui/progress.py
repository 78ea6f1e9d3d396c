"""How far a job has come, out of what it tells.

At most two things are done at a time: files come and are checked, and something is made of them.
They are told of from two threads. Knows events; no job and no widget.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from ponder.library import watching
from ponder.library.telling import Rates, doing, sentence
from ponder.library.watching import Checked, Hashing, Heading, Planned, Receiving, Waiting
from ponder_quantize import events
from ponder_quantize.events import Quantizing

Told = watching.Event | events.Event
"""What jobs tell."""
_QUANTIZING = "quantizing"
OFTEN = 0.25
"""Seconds between two looks at work that only counts bytes."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One thing that is being done."""

    doing: str
    """What: fetching, checking, quantizing."""
    done: int
    size: int
    """Bytes of what is read: of all files that come, of one that is checked."""
    rate: float = 0.0
    """Bytes a second; 0 where it is not known."""
    file: int = 1
    """Which file it is."""
    files: int = 1
    """Of how many."""

    @property
    def makes(self) -> bool:
        """Whether something is made of files, and not the files looked after."""
        return self.doing == _QUANTIZING

    @property
    def over(self) -> bool:
        """Whether nothing of it is left."""
        return self.done >= self.size

    @property
    def share(self) -> float:
        """How much of it is done."""
        return self.done / self.size if self.size else 1.0


@dataclass(frozen=True, slots=True)
class Progress:
    """What is known of a job at one moment."""

    stages: tuple[Stage, ...] = ()
    """What is done at the moment; what something is made of comes before that."""
    note: str = ""
    """What was told last, in a sentence."""
    waiting: bool = False
    """Whether that sentence says what is waited for."""

    @property
    def last(self) -> Stage | None:
        """What the job is about; None before the first byte."""
        return self.stages[-1] if self.stages else None

    def at(self, stage: Stage) -> Progress:
        """That is how far one thing has come; nothing is said any more of another that is over."""
        other = [one for one in self.stages if one.makes != stage.makes and not one.over]
        return replace(self, stages=tuple(sorted([*other, stage], key=lambda one: one.makes)))


class Teller:
    """Sums up what happens, on whichever thread it does, and passes on some of it.

    Args:
        hand: takes what is known; not more often than can be looked at.
    """

    def __init__(self, hand: Callable[[Progress], None]) -> None:
        self._hand = hand
        self._lock = threading.Lock()
        self._progress = Progress()
        self._rates = Rates()
        self._last = float("-inf")
        self._planned: Planned | None = None
        self._come: dict[str, tuple[int, int]] = {}
        """Bytes of each file that were here when it was begun, and that are here now."""

    def __call__(self, event: Told) -> None:
        """That happened."""
        with self._lock:
            self._progress = self._after(event)
            last = self._progress.last
            counts = isinstance(event, Receiving | Hashing | Quantizing)
            if counts and last is not None and not last.over:
                now = time.monotonic()
                if now - self._last < OFTEN:
                    return
                self._last = now
            self._hand(self._progress)

    def _after(self, event: Told) -> Progress:
        known = self._progress
        match event:
            case Receiving():
                # The hub answers: it is not waited for any more.
                known = replace(known, note="", waiting=False) if known.waiting else known
                return known.at(self._received(event))
            case Hashing():
                return known.at(self._hashed(event))
            case Quantizing():
                rate = self._rates.rate(_QUANTIZING, event.source_done)
                return known.at(Stage(_QUANTIZING, event.source_done, event.source_size, rate))
            case Planned():  # the bar says it
                self._planned = event
            case Checked() | events.Planned():
                pass
            case events.Noted():
                return replace(known, note=event.text, waiting=False)
            case _:
                waiting = isinstance(event, Waiting | Heading)
                return replace(known, note=sentence(event), waiting=waiting)
        return known

    def _received(self, event: Receiving) -> Stage:
        """All files that are planned count as one."""
        first, _ = self._come.get(event.file, (event.done, 0))
        self._come[event.file] = first, event.done
        done = sum(now for _, now in self._come.values())
        rate = self._rates.rate(doing(event), sum(now - was for was, now in self._come.values()))
        size = self._planned.size if self._planned is not None else event.size
        return Stage(doing(event), done, size, rate, len(self._come), self._files)

    def _hashed(self, event: Hashing) -> Stage:
        """One file."""
        planned = event.file in self._come
        file, files = (len(self._come), self._files) if planned else (1, 1)
        if event.done == event.size:
            # Nothing else may be told of one that was here.
            self._come.setdefault(event.file, (event.size, event.size))
        rate = self._rates.rate(f"{doing(event)} {event.file}", event.done)
        return Stage(doing(event), event.done, event.size, rate, file, files)

    @property
    def _files(self) -> int:
        return self._planned.files if self._planned is not None else 1
