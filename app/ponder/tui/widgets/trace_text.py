"""The text of a trace: plain, wrapped, ponder's own words tinted; all of it or its last lines.

Grows thirty times a second without laying out what is already there. Knows text and its
authors; knows nothing of tokens, budgets or folding.
"""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from textual.geometry import Size
from textual.selection import Selection
from textual.strip import Strip
from textual.widget import Widget

from ponder.printable import safe
from ponder.tui.wrapping import Wrapped


class TraceText(Widget):
    """Shows a trace; its height is that of its rows."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"trace--forced"}

    def __init__(self) -> None:
        super().__init__()
        self._wrapped = Wrapped()
        self._limit: int | None = None

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
        before = self._height
        if not self._wrapped.height:
            text = text.lstrip("\n")
        self._wrapped.append(safe(text), forced)
        self.refresh(layout=self._height != before)

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

    def render_line(self, y: int) -> Strip:
        """One visible row."""
        width = self.size.width
        if width > 0 and width != self._wrapped.width:
            self._wrapped.resize(width)
        style = self.rich_style
        at = self._wrapped.height - self._height + y
        if not 0 <= y < self._height:
            return Strip.blank(width, style)
        forced = self.get_component_rich_style("trace--forced")
        if self.app.no_color:
            forced += forced.__class__(underline=True)
        strip = Strip(
            Segment(text, style + forced if is_forced else style)
            for text, is_forced in self._wrapped.rows[at]
        )
        selection = self.text_selection
        if selection is not None and (span := selection.get_span(at)) is not None:
            start, end = span
            end = strip.cell_length if end == -1 else end
            chosen = self.screen.get_component_rich_style("screen--selection")
            start, end = min(start, strip.cell_length), min(end, strip.cell_length)
            before, inside, after = strip.divide([start, end, strip.cell_length])
            strip = Strip.join([before, inside.apply_style(chosen), after])
        return strip.crop_extend(0, width, style).apply_offsets(0, at)

    @property
    def allow_select(self) -> bool:
        """Its text can be selected with the mouse."""
        return True

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """The selected text, by rows as they are shown."""
        rows = ("".join(text for text, _ in row) for row in self._wrapped.rows)
        return selection.extract("\n".join(rows)), "\n"
