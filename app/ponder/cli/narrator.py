"""Events of one question as text: the thinking to stderr, the answer to stdout.

So a terminal shows both, in order, and a pipe gets the answer alone. What ponder put into
the model's mouth is tinted, or bracketed where there is no colour.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import groupby

from rich.text import Text as Styled

from ponder.cli.terminal import Screen
from ponder.events import Event, Finished, Prefilled, Rebudgeted, Started, Text, Trimmed
from ponder.explaining import words
from ponder.mathematics.formulas import Flow
from ponder.printable import safe
from ponder.receipt import truth
from ponder.types import Budget, BudgetChange, BudgetEvent, Channel, Span, Trace

_BATCH = 1 / 30
"""Seconds between writes: a write for every token would cost more than the token."""
_LONG_PROMPT = 1024
"""Prompts from this many tokens on show how far they have been read."""


class Narrator:
    """Prints one question's events.

    Args:
        budget: what was asked for, to say where it was not possible.
        quiet: print the answer and nothing else.
        clock: seconds, for batching.
        latex: show formulas as Unicode, where a terminal shows them.
    """

    def __init__(
        self,
        budget: Budget,
        quiet: bool = False,
        clock: Callable[[], float] = time.monotonic,
        latex: bool = True,
    ) -> None:
        self._budget = budget
        self._quiet = quiet
        self._clock = clock
        self._out = Screen(highlight=False, soft_wrap=True)
        self._err = Screen(stderr=True, highlight=False, soft_wrap=True)
        self._spans: list[Span] = []
        self._wrote = 0.0
        self._last = ""
        self._marked = False
        self._blank = ""
        self._channel: Channel | None = None
        self._forced = False
        self._latex = latex
        self._flow = Flow()

    def note(self, text: str) -> None:
        """A line of narration."""
        if not self._quiet:
            self._err.print(Styled(safe(text), style="cyan"))

    def take(self, event: Event) -> None:
        """Print what an event says."""
        match event:
            case Trimmed(messages=count):
                self.note(f"{count} earlier messages were left out: the context is full")
            case Started():
                self._started(event)
            case Prefilled(done=done, total=total):
                if total >= _LONG_PROMPT and self._err.is_terminal and not self._quiet:
                    end = "\r" if done < total else "\n"
                    self._err.print(f"reading the prompt: {done:,} of {total:,}", end=end)
            case Rebudgeted(decision=decision) if decision.change is BudgetChange.DEADLINE:
                self._deadline(decision)
            case Text(span=span):
                self._spans.append(span)
                if self._clock() - self._wrote >= _BATCH:
                    self.flush()
            case Finished(trace=trace):
                self._finished(trace)
            case _:
                self.flush()

    def flush(self) -> None:
        """Write what was gathered."""
        spans, self._spans = self._spans, []
        for (channel, forced), run in groupby(spans, lambda span: (span.channel, span.forced)):
            self._write(Span(channel, "".join(span.text for span in run), forced))
        self._out.file.flush()
        self._err.file.flush()
        self._wrote = self._clock()

    def _started(self, event: Started) -> None:
        cap = self._budget.cap
        if event.limited_by == "none":
            self.note("this model does not think: it answers at once")
        elif event.limited_by == "off" and self._budget.thinking and cap != 0:
            self.note("too little to think with: answering without thinking")
        elif event.limited_by == "context" and cap is not None:
            self.note(f"the context leaves {event.budget:,} of the {cap:,} thinking tokens asked")

    def _deadline(self, decision: BudgetEvent) -> None:
        """Once: what a deadline comes to, where that is known before a word was thought."""
        if "tokens" in decision.figures and self._channel is None and not self._spans:
            self.note(words(decision))

    def _write(self, span: Span) -> None:
        if span.channel is not self._channel:
            self._turn(span.channel)
        if span.forced is not self._forced:
            self._put(self._flow.end())
            self._forced = span.forced
        console = self._console
        if self._quiet and console is self._err:
            return
        text = safe(span.text)
        self._put(self._flow.feed(text) if self._latex and console.is_terminal else text)

    @property
    def _console(self) -> Screen:
        return self._out if self._channel is Channel.ANSWER else self._err

    def _put(self, text: str) -> None:
        """Print text of the channel and the author that are at it."""
        if not text:
            return
        console = self._console
        if console.color_system is None or console.no_color:
            text, style = self._bracketed(text, self._forced), ""
        elif self._forced:
            style = "yellow"
        else:
            style = "dim" if self._channel is Channel.THOUGHT else ""
        console.print(Styled(text, style=style), end="")
        self._last = text or self._last

    def _bracketed(self, text: str, forced: bool) -> str:
        """Forced words in brackets, blank space around them left outside."""
        if not forced:
            closing = "⟧" if self._marked else ""
            text, self._marked, self._blank = closing + self._blank + text, False, ""
            return text
        words = text.rstrip()
        if not words:
            self._blank += text
            return ""
        start = len(words) - len(words.lstrip())
        lead = self._blank + words[:start] + ("" if self._marked else "⟦")
        self._marked, self._blank = True, text[len(words) :]
        return lead + words[start:]

    def _turn(self, channel: Channel | None) -> None:
        """Leave one channel for the other, with an empty line between them."""
        self._put(self._flow.end())
        self._forced = False
        if self._marked and not (self._quiet and self._channel is Channel.THOUGHT):
            (self._out if self._channel is Channel.ANSWER else self._err).print("⟧", end="")
        self._marked, self._blank = False, ""
        if self._channel is Channel.THOUGHT and not self._quiet:
            self._err.print("" if self._last.endswith("\n") else "\n")
        elif self._channel is Channel.ANSWER:
            self._out.print("\n" if channel else "")
        self._channel = channel
        self._last = ""

    def _finished(self, trace: Trace) -> None:
        self.flush()
        self._turn(None)
        if not self._quiet:
            self._err.print(Styled(truth(trace), style="bold"))
