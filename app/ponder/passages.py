"""A thought as a document: its steps, and the pivots at which it turns.

A step is a paragraph. A line that begins with a pivot ("Wait, ...") begins a step as well, and so
does a line that ponder began; a displayed formula belongs to what leads to it, and code between
fences stays whole. A paragraph is never torn, however long it is.

Grows with the thought: a piece costs what it holds, and in which pieces a thought came changes
nothing. Which words are pivots is a matter of taste, not of science: English and Chinese ones, as
R1 and its distills use them. Knows characters and authors; knows no token and no screen.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from ponder.types import Channel, Span

REACH = 48
"""Characters within which a pivot is recognised."""
BACK = 16
"""Characters before a word that tell whether it begins a line or a sentence."""
NEAR = 64
"""A candidate so close behind another one is the same: "the answer is \\boxed{3}"."""


class Pivot(StrEnum):
    """What happens where a thought turns; the word that a person reads."""

    WAIT = "Wait"
    BUT = "But"
    ALTERNATIVELY = "Alternatively"
    HMM = "Hmm"
    CHECK = "check"
    """It is about to look at what it has once more."""
    CANDIDATE = "answer"
    """It says an answer, perhaps not its last one."""
    FORCED = "forced"
    """Here begin words that ponder put in."""


class Mark(NamedTuple):
    """One pivot of a thought."""

    at: int
    """The character that it begins with, from the start of the thought."""
    pivot: Pivot


_SENTENCES = {
    Pivot.WAIT: r"Wait|Hold on|等等|等一下",
    Pivot.BUT: r"But|However|但是?|不过|然而",
    Pivot.ALTERNATIVELY: r"Alternatively|On the other hand|"
    r"(?:Another|A different) (?:way|approach|method|idea)|或者|另一种",
    Pivot.HMM: r"[Hh]mm{0,6}|嗯",
    Pivot.CHECK: r"(?:(?:So|Now|Okay|OK),? )?[Ll]et(?: me|'s| us)(?: \w{1,6})? "
    r"(?:(?:double|cross|re)-?)?(?:check|verify|confirm|examine|test|make sure|redo|recount)"
    r"|让我(?:再|来)?(?:检查|验证|确认)",
}
"""What may begin a line or a sentence."""
_CANDIDATES = (
    r"[Aa]nswer(?: \w{1,8})? (?:is|would be|should be|must be)(?=\W)|(?:Final )?[Aa]nswer\*{0,2}:"
    r"|Final Answer\*\*|答案[是为]"
)
"""What may stand anywhere."""
_WORDS = "|".join(f"(?P<{pivot.name}>{words})" for pivot, words in _SENTENCES.items())
_FOUND = re.compile(
    # Looked for ahead, so that each place is judged by itself, whatever was found before it.
    rf"(?=(?<![A-Za-z0-9_])(?:{_WORDS})(?=[^A-Za-z0-9_'])"
    rf"|(?P<{Pivot.CANDIDATE.name}>\\boxed\{{|(?<![A-Za-z0-9_])(?:{_CANDIDATES})))"
)
_DECORATION = " \t>#*_-\"'“”‘’(（「"
_ENDS = ".!?…。！？:："
_UNDECIDED = ("\\", "$")
_FORMULA = ("\\[", "$$")
_FENCE = "```"


class Passages:
    """The steps and pivots of one thought, as it grows."""

    def __init__(self) -> None:
        self.length = 0
        """Characters so far."""
        self.steps: list[int] = []
        """The first character of each, from the start of the thought: always the first one of a
        line. A step ends where the next one begins."""
        self.marks: list[Mark] = []
        """In order of their places. A pivot is known once its word is complete."""
        self._forced: list[tuple[int, int]] = []
        """Where ponder's own words begin and end."""
        self._in_forced = False
        """Whether the latest words are ponder's own, and marked as such."""
        self._line = 0
        """Where the line begins."""
        self._window = ""
        """The end of the line so far."""
        self._head = ""
        """The first three characters of the line that are not blank."""
        self._begun = False
        """Whether there has been a line that is not blank."""
        self._after_blank = False
        self._leads = False
        """Whether the last line that was not blank ended in a colon."""
        self._fenced = False

    def append(self, text: str, forced: bool = False) -> None:
        """Take more of it; `forced` says whether ponder put it there."""
        if not text:
            return
        if not self.steps:
            self.steps.append(0)
        if forced and self._forced and self._forced[-1][1] == self.length:
            self._forced[-1] = (self._forced[-1][0], self.length + len(text))
        elif forced:
            self._forced.append((self.length, self.length + len(text)))
        self._in_forced = self._in_forced and forced
        *lines, rest = text.split("\n")
        for line in lines:
            self._grow(line + "\n", forced)
        if rest:
            self._grow(rest, forced)

    def step_at(self, at: int) -> int:
        """The number of the step that a character is in; the last one behind the end.

        Raises:
            IndexError: there is none yet.
        """
        if not self.steps:
            raise IndexError("there is no step yet")
        return max(0, bisect_right(self.steps, at) - 1)

    def end(self, step: int) -> int:
        """The first character behind a step."""
        return self.steps[step + 1] if step + 1 < len(self.steps) else self.length

    def pivots(self, step: int) -> list[Pivot]:
        """What happens in a step, each once, in order."""
        first = bisect_left(self.marks, self.steps[step], key=lambda mark: mark.at)
        last = bisect_left(self.marks, self.end(step), key=lambda mark: mark.at)
        return list(dict.fromkeys(mark.pivot for mark in self.marks[first:last]))

    # -- a line, as it grows --------------------------------------------------------------

    def _grow(self, part: str, forced: bool) -> None:
        """Take a part of one line, its line break included."""
        before = self.length
        self.length += len(part)
        known = len(self._window)
        self._window += part
        if forced and not self._in_forced and (inner := part.lstrip()):
            self._in_forced = True
            self._mark(Mark(before + len(part) - len(inner), Pivot.FORCED), not self._head)
        if len(self._head) < len(_FENCE):
            self._read_head(part)
        self._scan(max(0, known - REACH), self.length - len(self._window))
        if part.endswith("\n"):
            self._break()
        else:
            self._window = self._window[-REACH - BACK :]

    def _read_head(self, part: str) -> None:
        self._head = (self._head + part).lstrip()[: len(_FENCE)]
        whole = self._head and (self._head not in _UNDECIDED)
        joined = self._fenced or self._leads or self._head.startswith(_FORMULA)
        if whole and self._after_blank and not joined:
            self._begin()

    def _scan(self, start: int, window_at: int) -> None:
        """Look for pivots in the window, from a character of it on."""
        for found in _FOUND.finditer(self._window, start):
            at = found.start()
            pivot = Pivot[found.lastgroup or ""]
            place = self._place(at, window_at == self._line)
            if pivot is Pivot.CANDIDATE or place:
                self._mark(Mark(at + window_at, pivot), place == "line")

    def _place(self, at: int, whole: bool) -> str:
        """Whether a "line" or a "sentence" begins at a character of the window, or neither."""
        back = self._window[max(0, at - BACK) : at]
        rest = back.rstrip(_DECORATION)
        if not rest:
            return "line" if whole and at <= BACK else ""
        return "sentence" if rest.endswith(tuple(_ENDS)) else ""

    def _mark(self, mark: Mark, heads: bool) -> None:
        """Note a pivot; one that heads a line begins a step."""
        place = bisect_left(self.marks, mark.at, key=lambda known: known.at)
        if place < len(self.marks) and self.marks[place].at == mark.at:
            return
        if mark.pivot is not Pivot.FORCED and self._is_forced(mark.at):
            return
        if mark.pivot is Pivot.CANDIDATE and self._is_near(mark.at, place):
            return
        insort(self.marks, mark)
        if heads and mark.pivot is not Pivot.CANDIDATE:
            self._begin()

    def _is_near(self, at: int, place: int) -> bool:
        """Whether another candidate was told just before."""
        while place and at - self.marks[place - 1].at < NEAR:
            place -= 1
            if self.marks[place].pivot is Pivot.CANDIDATE:
                return True
        return False

    def _is_forced(self, at: int) -> bool:
        place = bisect_right(self._forced, at, key=lambda span: span[0]) - 1
        return place >= 0 and at < self._forced[place][1]

    def _begin(self) -> None:
        """A step begins with this line, unless the first one has hardly begun."""
        if self._begun and self._line > self.steps[-1]:
            self.steps.append(self._line)

    def _break(self) -> None:
        """The line is complete."""
        if self._head:
            if self._head == _FENCE:
                self._fenced = not self._fenced
            self._leads = self._window[-REACH:].rstrip().endswith((":", "："))
            self._begun = True
        self._after_blank = self._begun and not self._head
        self._window = self._head = ""
        self._line = self.length


# -- a thought that is over ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Passage:
    """One step of a thought that is over, for whoever writes it somewhere."""

    spans: tuple[Span, ...]
    """Its text, ponder's own words apart."""
    pivots: tuple[Pivot, ...]
    """What happens in it, in order."""

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(span.text for span in self.spans)


def passages(spans: Iterable[Span]) -> list[Passage]:
    """The thought of a trace in steps; what is answer is left out."""
    thought = [span for span in spans if span.channel is Channel.THOUGHT and span.text]
    known = Passages()
    for span in thought:
        known.append(span.text, span.forced)
    cut: list[list[Span]] = [[] for _ in known.steps]
    at = step = 0
    for span in thought:
        start = 0
        while start < len(span.text):
            if at + start >= known.end(step):
                step += 1
            end = min(len(span.text), known.end(step) - at)
            cut[step].append(Span(span.channel, span.text[start:end], span.author))
            start = end
        at += len(span.text)
    return [Passage(tuple(own), tuple(known.pivots(at))) for at, own in enumerate(cut)]
