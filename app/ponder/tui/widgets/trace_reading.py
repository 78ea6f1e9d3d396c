"""Going through a trace: a cursor over its steps, places that are jumped to, words looked for.

What stands in the way of a place is unfolded: for good where somebody went there, for as long as
it is shown where a search did. Knows steps and characters; knows nothing of budgets, nor how a
trace came to be as it is.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from textual.binding import BindingType
from textual.containers import ScrollableContainer, Vertical
from textual.message import Message

from ponder.passages import Mark, Passages
from ponder.tui import clipboard
from ponder.tui.screens import bindings
from ponder.tui.widgets.trace_text import TraceText


class Here(NamedTuple):
    """A step of a trace, and where it is; all counts from the start of the thought."""

    step: int
    """Its number, from 0."""
    at: int
    """Its first character."""
    end: int
    """The first character behind it."""
    token: int
    """About how many tokens the model had thought when it began: exact only where the text came
    token by token."""


class Reading(Vertical):
    """A trace with a cursor. Whoever shows one says how it is unfolded and folded as a whole."""

    BINDINGS: ClassVar[list[BindingType]] = bindings.TRACE

    class Left(Message):
        """Somebody is through with it."""

    def __init__(self) -> None:
        super().__init__()
        self._text = TraceText()
        self._cursor: int | None = None
        self._counted: list[tuple[int, int]] = [(0, 0)]
        """How many characters there were when so many tokens had been thought."""
        self._lent: int | None = None
        """The folded step that is unfolded as long as a hit in it is shown."""

    # -- to be said by whoever shows it ----------------------------------------------------

    def open_up(self) -> None:
        """Unfold the trace: somebody goes through it."""
        raise NotImplementedError

    def lend(self, unfolded: bool) -> None:
        """Unfold the trace for as long as a hit is shown, or have it again as it was."""
        raise NotImplementedError

    def toggle(self) -> None:
        """Fold or unfold the trace by hand."""
        raise NotImplementedError

    def take_focus(self) -> None:
        """Have the keys go to it, and nothing move."""
        raise NotImplementedError

    # -- what there is ----------------------------------------------------------------------

    @property
    def text(self) -> str:
        """What was thought so far."""
        return self._text.text

    @property
    def passages(self) -> Passages:
        """Its steps and pivots, as they are known so far."""
        return self._text.passages

    @property
    def marks(self) -> Sequence[Mark]:
        """Its pivots, in order; there are more as it goes on."""
        return self.passages.marks

    @property
    def here(self) -> Here | None:
        """The step under the cursor; None where there is none, or nothing to go through."""
        return self.describe(self._cursor) if self._cursor is not None else None

    def describe(self, step: int) -> Here:
        """Where a step is."""
        at = self.passages.steps[step]
        return Here(step, at, self.passages.end(step), self.token_at(at))

    def token_at(self, at: int) -> int:
        """About how many tokens had been thought when a character came."""
        place = bisect_left(self._counted, (at, 0))
        if place == len(self._counted):
            return self._counted[-1][1]
        (before, low), (after, high) = self._counted[max(0, place - 1)], self._counted[place]
        return low + (high - low) * (at - before) // max(1, after - before)

    def line_at(self, at: int) -> str:
        """The rest of the line from a character on, at most as much as a line may show."""
        return self.text[at : at + 200].split("\n", 1)[0]

    def step_text(self, step: int) -> str:
        """The text of a step."""
        return self.text[self.passages.steps[step] : self.passages.end(step)]

    # -- the cursor -------------------------------------------------------------------------

    def on_descendant_focus(self) -> None:
        """The cursor is seen."""
        self._text.cursor = self._cursor

    def on_descendant_blur(self) -> None:
        """The cursor is hidden, and stays where it is."""
        self._text.cursor = None

    def count(self, tokens: int) -> None:
        """What there is came with so many tokens."""
        self._counted.append((self.passages.length, tokens))

    def enter(self) -> None:
        """Begin to go through it: with its heading, or with the first step in sight."""
        self.take_focus()
        area = self._area
        if area is not None and self._text.display and self._text.limit is None:
            top = area.region.y - self._text.region.y
            step = self._text.step_in_sight(top, top + area.region.height)
            if step is not None:
                self._set_cursor(step)

    def go(self, at: int) -> None:
        """Set the cursor to the step of a character, and bring that character into sight."""
        step = self.passages.step_at(at)
        self._text.fold(step, False)
        self._set_cursor(step)
        self.call_after_refresh(self._bring, at, at + 1)

    def action_cursor(self, by: int) -> None:
        """So many steps on; above the first one is the heading."""
        steps = len(self.passages.steps)
        if not steps:
            return
        # Before the first one: the heading. It stands behind the last one as well.
        before = self._cursor if self._cursor is not None else -1 if by > 0 else steps
        self._to(before + by)

    def action_cursor_end(self, last: bool) -> None:
        """To the first step, or the last one."""
        if self.passages.steps:
            self._to(len(self.passages.steps) - 1 if last else 0)

    def _to(self, step: int) -> None:
        if step < 0:
            self._cursor = self._text.cursor = None
            self.call_after_refresh(self._show_rows, -1, 0)
            return
        step = min(step, len(self.passages.steps) - 1)
        self._set_cursor(step)
        here = self.describe(step)
        self.call_after_refresh(self._bring, here.at, here.end)

    def _set_cursor(self, step: int) -> None:
        self.open_up()
        self._cursor = step
        self._text.cursor = step

    def action_fold_here(self) -> None:
        """Fold or unfold the step under the cursor; the trace, if there is none."""
        if self._cursor is None:
            self.toggle()
        else:
            self._fold_by_hand(self._cursor)

    def on_trace_text_pointed(self, message: TraceText.Pointed) -> None:
        """The cursor goes where the mouse is."""
        message.stop()
        self._set_cursor(message.step)
        if message.fold:
            self._fold_by_hand(message.step)
        self.take_focus()

    def _fold_by_hand(self, step: int) -> None:
        if step == self._lent:
            self._lent = None
        self._text.fold(step, not self._text.sheet.is_folded(step))

    def action_fold_steps(self) -> None:
        """Fold every step, or unfold them if they all are."""
        sheet = self._text.sheet
        folded = not all(sheet.is_folded(step) for step in range(sheet.steps))
        self._lent = None
        self.open_up()
        self._text.fold_all(folded)
        if self._cursor is not None:
            self._to(self._cursor)

    def action_leave(self) -> None:
        """Back to where one writes."""
        self.post_message(self.Left())

    # -- copying ----------------------------------------------------------------------------

    def action_copy_step(self) -> None:
        """The step under the cursor; the whole trace, if there is none."""
        if self._cursor is None:
            self.action_copy_trace()
        else:
            clipboard.copy(self.app, self.step_text(self._cursor), f"step {self._cursor + 1}")

    def action_copy_trace(self) -> None:
        """All of it."""
        clipboard.copy(self.app, self.text, "the thinking")

    # -- words that are looked for ------------------------------------------------------------

    @property
    def hits(self) -> Sequence[int]:
        """Where the words are that are looked for: the first character of each hit."""
        return self._text.hits

    def find(self, words: str) -> None:
        """Look for words, also in what is still to come; empty looks for nothing."""
        self.hide_hit()
        self._text.find(words)

    def show_hit(self, number: int) -> None:
        """Bring a hit into sight, and let it stand out."""
        at = self.hits[number]
        step = self.passages.step_at(at)
        if self._lent is not None and self._lent != step:
            self._give_back()
        if self._text.sheet.is_folded(step):
            self._lent = step
            self._text.fold(step, False)
        self.lend(True)
        self._text.show_hit(number)
        self.call_after_refresh(self._bring, at, at + 1)

    def hide_hit(self) -> None:
        """No hit is shown any more: what was unfolded for it is folded again."""
        self._give_back()
        self.lend(False)
        self._text.show_hit(None)

    def _give_back(self) -> None:
        if self._lent is not None:
            self._text.fold(self._lent, True)
            self._lent = None

    # -- into sight ---------------------------------------------------------------------------

    @property
    def _area(self) -> ScrollableContainer | None:
        """What it is scrolled in."""
        return next((n for n in self.ancestors if isinstance(n, ScrollableContainer)), None)

    def _bring(self, start: int, end: int) -> None:
        """Characters, as many as there is room for, the first one in any case."""
        last = start + max(1, len(self.text[start:end].rstrip())) - 1
        self._show_rows(self._text.row_of(start), self._text.row_of(last) + 1)

    def _show_rows(self, top: int, bottom: int) -> None:
        """Rows of the text; -1 is the heading."""
        area = self._area
        if area is None or not self.is_mounted:
            return
        begin = self._text.region.y - area.region.y + round(area.scroll_y)
        room = area.scrollable_content_region.height
        first, last = begin + top, begin + bottom
        y = round(area.scroll_y)
        if first < y or last - first > room:
            y = first
        elif last > y + room:
            y = last - room
        if y != round(area.scroll_y):
            area.release_anchor()
            area.scroll_to(y=y, animate=False, immediate=True)
            if area.scroll_y >= area.max_scroll_y:
                area.anchor()
