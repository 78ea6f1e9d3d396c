"""The text of a trace: plain, wrapped, ponder's own words tinted; all of it or its last lines.

Grows thirty times a second without laying out what is already there. Knows text and its
authors; knows nothing of tokens, budgets or folding.
"""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.cache import LRUCache
from textual.geometry import Region, Size
from textual.selection import Selection
from textual.strip import Strip
from textual.widget import Widget

from ponder.printable import safe
from ponder.tui.wrapping import Piece, Wrapped

PAINTED = 256
"""Rows that are kept as they were painted: a tail that moves up is then hardly any work."""


class TraceText(Widget):
    """Shows a trace; its height is that of its rows."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"trace--forced"}

    def __init__(self) -> None:
        super().__init__()
        self._wrapped = Wrapped()
        self._limit: int | None = None
        self._look = (0, Style(), Style())
        """Width and styles of all rows; worked out once a paint."""
        self._painted: LRUCache[int, tuple[list[Piece], Strip]] = LRUCache(PAINTED)
        """By row: what was painted, and how it looks. A row that changes is another list."""

    @property
    def text(self) -> str:
        """What it shows."""
        return self._wrapped.text

    @property
    def is_blank(self) -> bool:
        """Whether there is nothing to show yet."""
        return not self._wrapped.height

    @property
    def limit(self) -> int | None:
        """Only so many of the last rows are shown; None shows all."""
        return self._limit

    @limit.setter
    def limit(self, rows: int | None) -> None:
        self._limit = rows
        self.refresh(layout=True)

    def append(self, text: str, forced: bool = False) -> None:
        """Add text at the end; control characters are shown, not obeyed."""
        rows, height = self._wrapped.height, self._height
        if not rows:
            text = text.lstrip("\n")
        self._wrapped.append(safe(text), forced)
        if self._height != height:
            self.refresh(layout=True)
        elif self._wrapped.height == rows:
            self.refresh(Region(0, height - 1, self.size.width, 1))
        else:
            self.refresh()

    @property
    def _height(self) -> int:
        rows = self._wrapped.height
        return rows if self._limit is None else min(rows, self._limit)

    def get_content_width(self, container: Size, viewport: Size) -> int:
        """As wide as it may be."""
        return container.width

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """The rows at that width."""
        if width > 0 and width != self._wrapped.width:
            self._wrapped.resize(width)
        return self._height

    def render_lines(self, crop: Region) -> list[Strip]:
        """The visible rows."""
        width = self.size.width
        if width > 0 and width != self._wrapped.width:
            self._wrapped.resize(width)
        forced = self.get_component_rich_style("trace--forced")
        if self.app.no_color:
            forced += Style(underline=True)
        look = (width, self.rich_style, forced)
        if look != self._look:
            self._look = look
            self._painted.clear()
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        """One visible row."""
        width, style, forced = self._look
        at = self._wrapped.height - self._height + y
        if not 0 <= y < self._height:
            return Strip.blank(width, style)
        row = self._wrapped.rows[at]
        selection = self.text_selection
        painted = self._painted.get(at)
        if painted is not None and painted[0] is row and selection is None:
            return painted[1]
        strip = Strip(
            Segment(text, style + forced if is_forced else style) for text, is_forced in row
        )
        if selection is not None and (span := selection.get_span(at)) is not None:
            start, end = span
            end = strip.cell_length if end == -1 else end
            chosen = self.screen.get_component_rich_style("screen--selection")
            start, end = min(start, strip.cell_length), min(end, strip.cell_length)
            before, inside, after = strip.divide([start, end, strip.cell_length])
            strip = Strip.join([before, inside.apply_style(chosen), after])
        strip = strip.crop_extend(0, width, style).apply_offsets(0, at)
        if selection is None:
            self._painted[at] = (row, strip)
        return strip

    @property
    def allow_select(self) -> bool:
        """Its text can be selected with the mouse."""
        return True

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """The selected text, by rows as they are shown."""
        rows = ("".join(text for text, _ in row) for row in self._wrapped.rows)
        return selection.extract("\n".join(rows)), "\n"
