"""A thought on its sheet: rows of a width, some of its steps folded to one row each.

Says which step and which row of the text stand in a row of the sheet, and the other way round, in
time that hardly grows with the thought; what is added at the end moves nothing above it. Knows
text, rows and steps; knows no widget and no colour.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

from ponder.passages import Passages
from ponder.printable import safe
from ponder.tui.wrapping import Wrapped
from ponder.types import Author


class Place(NamedTuple):
    """What stands in one row of the sheet."""

    step: int
    row: int
    """The row of the text; of a folded step its first one, for all of them."""
    first: bool
    """Whether the step begins here."""
    folded: bool


class Sheet:
    """One thought, as it grows."""

    def __init__(self) -> None:
        self.wrapped = Wrapped()
        self.passages = Passages()
        self._folded: set[int] = set()
        self._tops = [0]
        """For the first steps, the rows of the sheet that they begin in; known from the top on as
        far as somebody asked."""

    # -- what it holds --------------------------------------------------------------------

    @property
    def text(self) -> str:
        """All of it, as a screen may show it."""
        return self.wrapped.text

    @property
    def steps(self) -> int:
        """How many steps there are."""
        return len(self.passages.steps)

    def append(self, text: str, author: Author = Author.MODEL) -> None:
        """Add text at the end; control characters are shown, not obeyed."""
        self.passages.append(text, author is not Author.MODEL)
        self.wrapped.append(safe(text), author)

    def resize(self, width: int) -> None:
        """Wrap everything to another width."""
        self.wrapped.resize(width)
        self._tops = [0]

    # -- folding --------------------------------------------------------------------------

    def is_folded(self, step: int) -> bool:
        """Whether a step is one row."""
        return step in self._folded

    def fold(self, step: int, folded: bool) -> bool:
        """Fold or unfold a step; false if it was so already."""
        if folded is (step in self._folded):
            return False
        self._folded ^= {step}
        del self._tops[step + 1 :]
        return True

    # -- where things are -----------------------------------------------------------------

    @property
    def height(self) -> int:
        """Its rows, without empty ones at the end."""
        return self.top(self.steps - 1) + self._height(self.steps - 1) if self.steps else 0

    def lines(self, step: int) -> int:
        """Rows of the text that a step has, folded or not, without empty ones at its end."""
        first, end = self._rows(step)
        while end > first and not self.wrapped.rows[end - 1]:
            end -= 1
        return end - first

    def top(self, step: int) -> int:
        """The row of the sheet that a step begins in."""
        tops = self._tops
        while len(tops) <= step:
            tops.append(tops[-1] + self._height(len(tops) - 1))
        return tops[step]

    def bottom(self, step: int) -> int:
        """The row behind a step."""
        return self.top(step) + self._height(step)

    def place(self, y: int) -> Place:
        """What stands in a row of the sheet.

        Raises:
            IndexError: there is no such row.
        """
        if not 0 <= y < self.height:
            raise IndexError(y)
        step = bisect_right(self._tops, y) - 1
        below = y - self._tops[step]
        return Place(step, self._rows(step)[0] + below, not below, step in self._folded)

    def y_of(self, at: int) -> int:
        """The row of the sheet in which a character stands, or its step if that is folded."""
        step = self.passages.step_at(at)
        if step in self._folded:
            return self.top(step)
        return self.top(step) + max(0, self.wrapped.row_of(at) - self._rows(step)[0])

    def _rows(self, step: int) -> tuple[int, int]:
        """The first row of the text that belongs to a step, and the one behind its last."""
        starts = self.passages.steps
        first = self.wrapped.row_of(starts[step])
        if step + 1 < len(starts):
            return first, self.wrapped.row_of(starts[step + 1])
        return first, max(first, self.wrapped.height)

    def _height(self, step: int) -> int:
        first, end = self._rows(step)
        return min(1, end - first) if step in self._folded else end - first
