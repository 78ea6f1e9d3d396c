"""A vote between parallel traces as text: how it stands while they run, then the winner in full.

While traces think there is one line, on a terminal, that is written over. As soon as it is decided
the winner is told as a single trace would be, thinking to stderr and answer to stdout, and after it
who voted for what and what decided.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Self

from rich.cells import set_cell_size
from rich.live import Live
from rich.text import Text as Styled

from ponder.cli.narrator import Narrator
from ponder.cli.terminal import Screen
from ponder.events import Event, Finished, Prefilled, Rebudgeted, Started, Text, Trimmed
from ponder.poll import Counted, Poll, Polled, standing, tally, verdict
from ponder.polling import Polling
from ponder.printable import safe
from ponder.receipt import duration

_FRAME = 1 / 10
"""Seconds between two looks of the line."""


class Pollster:
    """Prints one vote's events; a context manager that leaves the terminal as it was.

    Args:
        polling: the vote.
        narrator: prints what is said of one trace.
        quiet: print the winner's answer and nothing else.
        clock: seconds.
    """

    def __init__(
        self,
        polling: Polling,
        narrator: Narrator,
        quiet: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._polling = polling
        self._narrator = narrator
        self._clock = clock
        self._began = clock()
        screen = Screen(stderr=True, highlight=False)
        shown = screen.is_terminal and not screen.is_dumb_terminal and not quiet
        self._line = Live(console=screen, auto_refresh=False, transient=True) if shown else None
        self._width = screen.width
        self._drawn = 0.0
        self._poll: Poll | None = None
        self._told = False
        """Whether the winner was told."""
        self._read: Prefilled | None = None
        self._thought: dict[int, int] = {}
        self._running: set[int] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._clear()

    def note(self, text: str) -> None:
        """A line of narration."""
        self._narrator.note(text)

    def take(self, event: Event | Counted | Polled) -> None:
        """Print what an event says."""
        match event:
            case Trimmed():
                self._narrator.take(event)
            case Started(question=question):
                self._running.add(question)
                self._thought[question] = 0
                self._say(event)
                return
            case Rebudgeted():
                self._say(event)
                return
            case Prefilled():
                if self._polling.number(event.question) == 1:
                    self._read = event
            case Text(question=question, think_tokens=tokens):
                self._thought[question] = tokens
            case Finished(question=question, trace=trace):
                self._running.discard(question)
                self._thought[question] = trace.usage.think
            case Counted(question=question, poll=poll):
                self._poll = poll
                if poll.stop is not None:
                    self._tell_winner(question, poll)
            case Polled():
                self._over(event)
                return
            case _:
                return
        self._draw()

    def _say(self, event: Started | Rebudgeted) -> None:
        """What is said of the first trace's budget, before it thinks, holds for all of them."""
        if self._polling.number(event.question) == 1 and not self._thought[event.question]:
            self._clear()
            self._narrator.take(event)

    def _draw(self) -> None:
        """The line, where it is time for it."""
        if self._line is None or self._told or not self._running:
            return
        if self._clock() - self._drawn < _FRAME:
            return
        self._drawn = self._clock()
        if not self._line.is_started:
            self._line.start()
        parts = [f"{len(self._running)} of {len(self._thought)} traces run"]
        tokens = sum(self._thought.values())
        if not tokens and self._read is not None:
            parts.append(f"reading the prompt: {self._read.done:,} of {self._read.total:,}")
        else:
            parts.append(f"{tokens:,} thinking tokens")
        if self._poll is not None:
            parts += [f"{votes}: {answer}" for votes, answer in standing(self._poll)]
        said = " · ".join(parts)
        line = set_cell_size(" ".join(safe(said).split()), self._width - 1).rstrip()
        self._line.update(Styled(line, style="cyan"), refresh=True)

    def _clear(self) -> None:
        """Take the line away."""
        if self._line is not None and self._line.is_started:
            self._line.stop()

    def _tell_winner(self, question: int, poll: Poll) -> None:
        """Tell the winner in full, once: what is left of the others takes none of it back."""
        if self._told or poll.winner is None:
            return
        self._told = True
        self._clear()
        trace = self._polling.traces[poll.winner]
        for span in trace.spans:
            self._narrator.take(Text(question, span, trace.usage.think))
        self._narrator.take(Finished(question, trace))

    def _over(self, event: Polled) -> None:
        self._clear()
        poll = event.poll
        self._tell_winner(event.question, poll)
        self.note(tally(poll))
        tokens = sum(trace.usage.think for trace in self._polling.traces.values())
        seconds = duration(self._clock() - self._began)
        self.note(f"{verdict(poll)} · {tokens:,} thinking tokens in {seconds}")
        if self._polling.trouble:
            self.note(f"answers were compared as text alone: {self._polling.trouble}")
