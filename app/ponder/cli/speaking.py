"""Events of a conversation as lines of words, for screen readers and for terminals that only print.

New text comes at the end and nowhere else; every change of state is a sentence on a line of its
own; nothing is drawn, coloured or taken back. Knows events, and one stream to write to.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TextIO

from ponder.errors import PonderError
from ponder.events import (
    Closed,
    Event,
    Finished,
    Prefilled,
    Rebudgeted,
    Started,
    Text,
    Trimmed,
)
from ponder.explaining import words
from ponder.mathematics.formulas import Flow
from ponder.printable import safe
from ponder.receipt import FINISHES, duration, remarks, used
from ponder.types import BudgetChange, Channel, Finish, Trace

if TYPE_CHECKING:
    from ponder.session import Answering

SILENCE = 10.0
"""Seconds after which a thinking that is not read out says how far it is."""
PAUSE = 1 / 20
"""Seconds between two looks at what a model says."""
LONG_PROMPT = 1024
"""Prompts from this many tokens on are told to be read."""
_SENTENCE = re.compile(r"[.!?:;,]\s+|\n")


class Voice:
    """Says what happens.

    Args:
        out: where to.
        thinking: whether thinking is read out, or only its length told.
        latex: whether formulas are said as Unicode.
        clock: seconds, steady.
    """

    def __init__(
        self,
        out: TextIO,
        thinking: bool,
        latex: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.thinking = thinking
        self._out = out
        self._latex = latex
        self._clock = clock
        self._lock = threading.RLock()
        self._flow = Flow()
        self._held = ""
        """What is not a sentence yet."""
        self._line = True
        """Whether the next character begins a line."""
        self._at: tuple[Channel, bool] | None = None
        """Whose words are being said: of the thinking or the answer, ponder's or the model's."""
        self._think = 0
        """Thinking tokens so far, and of how many."""
        self._budget: int | None = None
        self._spoke = 0.0

    # -- sentences ----------------------------------------------------------------------

    def say(self, *sentences: str) -> None:
        """A line each, after what was being said."""
        with self._lock:
            self._break()
            for sentence in sentences:
                if sentence:
                    self._write(f"{safe(sentence)}\n")
            self._out.flush()

    def tell(self, error: PonderError) -> None:
        """What went wrong, and what to do."""
        self.say(f"error: {error.message}", f"hint: {error.hint}" if error.hint else "")

    # -- events -------------------------------------------------------------------------

    def take(self, events: Sequence[Event]) -> None:
        """Say what happened."""
        with self._lock:
            for event in events:
                self._take(event)
            self._out.flush()

    def _take(self, event: Event) -> None:
        match event:
            case Trimmed(messages=count):
                self.say(f"{count} earlier messages are left out: the context is full")
            case Prefilled(done=0, total=total) if total >= LONG_PROMPT:
                self.say(f"reading the prompt, {total:,} tokens")
            case Started():
                self.say(_started(event))
                self._think, self._budget, self._spoke = 0, event.budget, self._clock()
            case Rebudgeted(decision=decision):
                self._budget = event.budget
                if decision.change is BudgetChange.WITHDRAWN:
                    return  # the word that it became follows, and says so
                self.say(f"at {decision.at:,} thinking tokens: {words(decision)}")
            case Text(span=span):
                self._think = event.think_tokens
                self._text(span.channel, span.forced, span.text)
            case Closed(finish=finish) if finish not in (Finish.OFF, Finish.NONE):
                tokens = used(self._think, self._budget).replace("/", " of ")
                why = "" if finish is Finish.CANCELLED else f": {FINISHES[finish]}"
                self.say(f"thought {tokens} tokens, {finish.value}{why}")
            case Finished(trace=trace):
                self.say(*_finished(trace))

    def _text(self, channel: Channel, forced: bool, text: str) -> None:
        if channel is Channel.THOUGHT and not self.thinking:
            if self._clock() - self._spoke >= SILENCE:
                self._spoke = self._clock()
                self.say(f"still thinking, {self._think:,} tokens")
            return
        if (channel, forced) != self._at:
            if not text.strip():
                return  # blank space at a border belongs to nobody
            before, text = self._at, text.lstrip()
            self._break()
            self._at = (channel, forced)
            if forced:
                self._write("ponder adds: ")
            elif before is None or before[0] is not channel:
                self._write("answer:\n" if channel is Channel.ANSWER else "thinking:\n")
            else:
                self._write("it goes on: ")
        text = safe(text)
        self._held += self._flow.feed(text) if self._latex else text
        # Whole sentences: what is said in halves is read in halves.
        ends = [found.end() for found in _SENTENCE.finditer(self._held)]
        if ends:
            self._write(self._held[: ends[-1]])
            self._held = self._held[ends[-1] :]

    def _break(self) -> None:
        """Say what was held back, and begin a line."""
        self._held += self._flow.end()
        self._write(self._held.rstrip())
        self._held, self._at = "", None
        if not self._line:
            self._write("\n")

    def _write(self, text: str) -> None:
        if text:
            self._out.write(text)
            self._line = text.endswith("\n")


def _started(event: Started) -> str:
    if event.budget is None:
        return "this model does not think" if event.limited_by == "none" else "not thinking"
    return f"thinking, at most {event.budget:,} tokens"


def _finished(trace: Trace) -> list[str]:
    usage = trace.usage
    speed = usage.tokens_per_second
    cancelled = trace.finish is Finish.CANCELLED
    parts = [
        "stopped" if cancelled else f"answered {usage.answer:,} tokens",
        f"{speed:,.0f} tokens a second" if speed else "",
        f"in {duration(usage.seconds)}",
    ]
    return [", ".join(filter(None, parts)), *remarks(trace)]


def batches(answering: Answering) -> Iterator[list[Event]]:
    """What has happened to a question, in pieces that are worth a write.

    Raises:
        PonderError: what the engine died of, after everything that came before.
    """
    for event in answering:
        events = [event]
        try:
            while answering.ready():
                events.append(next(answering))
        except StopIteration:
            yield events
            return
        except PonderError:
            yield events
            raise
        yield events
        time.sleep(PAUSE)
