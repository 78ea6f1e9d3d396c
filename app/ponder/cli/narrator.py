"""Events of one question as text: the thinking to stderr, the answer to stdout.

So a terminal shows both, in order, and a pipe gets the answer alone. What ponder put into
the model's mouth is bracketed and named, and tinted where there are colours.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import groupby

from rich.text import Text as Styled

from ponder.cli.terminal import FORCED, Screen
from ponder.events import Event, Finished, Prefilled, Rebudgeted, Started, Text, Trimmed
from ponder.explaining import words
from ponder.mathematics.formulas import Flow
from ponder.printable import safe
from ponder.receipt import truth
from ponder.types import Author, Budget, BudgetChange, BudgetEvent, Channel, Span, Trace

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
        self._marked: Author | None = None
        self._blank = ""
        self._channel: Channel | None = None
        self._author = Author.MODEL
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
        for (channel, author), run in groupby(spans, lambda span: (span.channel, span.author)):
            self._write(Span(channel, "".join(span.text for span in run), author))
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
        if span.author is not self._author:
            self._put(self._flow.end())
            self._author = span.author
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
        if self._author is Author.MODEL:
            style = "dim" if self._channel is Channel.THOUGHT else ""
            said = Styled().append(self._closed(), FORCED).append(text, style)
        else:
            said = Styled(self._bracketed(text, self._author), style=FORCED)
        self._console.print(said, end="")
        self._last = said.plain or self._last

    def _bracketed(self, text: str, author: Author) -> str:
        """Words that the model did not say in brackets, blank space around them left outside."""
        closed = self._closed() if self._marked not in (None, author) else ""
        words = text.rstrip()
        if not words:
            self._blank += text
            return closed
        start = len(words) - len(words.lstrip())
        lead = self._blank + words[:start] + (f"⟦{author}: " if self._marked is None else "")
        self._marked, self._blank = author, text[len(words) :]
        return closed + lead + words[start:]

    def _closed(self) -> str:
        """The end of a bracket, if one is open, and the blank space that it kept."""
        closed = ("" if self._marked is None else "⟧") + self._blank
        self._marked, self._blank = None, ""
        return closed

    def _turn(self, channel: Channel | None) -> None:
        """Leave one channel for the other, with an empty line between them."""
        self._put(self._flow.end())
        self._author = Author.MODEL
        if self._marked and not (self._quiet and self._channel is Channel.THOUGHT):
            console = self._out if self._channel is Channel.ANSWER else self._err
            console.print(Styled("⟧", style=FORCED), end="")
        self._marked, self._blank = None, ""
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
