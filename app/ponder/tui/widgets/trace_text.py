"""The text of a trace: plain, wrapped, what the model did not say tinted and named; its steps whole
or folded.

Grows thirty times a second without laying out what is already there. Knows text, its authors, its
steps, and words that are looked for; knows nothing of tokens or budgets, nor who folds a trace.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, NamedTuple

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.cache import LRUCache
from textual.geometry import Region, Size
from textual.message import Message
from textual.selection import Selection
from textual.strip import Strip
from textual.widget import Widget

from ponder.passages import Passages
from ponder.printable import safe
from ponder.tui.finding import Finder
from ponder.tui.sheet import Place, Sheet
from ponder.tui.wrapping import TAB, Piece, name
from ponder.types import Author

PAINTED = 256
"""Rows that are kept as they were painted: a tail that moves up is then hardly any work."""
GUTTER = 2
"""Cells left of the text, for the marks of steps."""


class _Look(NamedTuple):
    """How rows look; worked out once a paint."""

    width: int = 0
    plain: Style = Style()
    forced: Style = Style()
    mark: Style = Style()
    hit: Style = Style()
    current: Style = Style()


class _Row(NamedTuple):
    """What a row was painted of: another one is painted anew."""

    pieces: list[Piece]
    mark: str
    hits: tuple[tuple[int, int, bool], ...]
    """From which character of the row to which, and whether it is the one that is shown."""
    told: str
    """What stands at the end of a folded step."""

    def same(self, other: _Row) -> bool:
        """Whether it looks the same: a row of text that changes is another list."""
        return self.pieces is other.pieces and self[1:] == other[1:]


class TraceText(Widget):
    """Shows a trace; its height is that of its rows."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "trace--forced", "trace--mark", "trace--hit", "trace--hit-shown",
    }  # fmt: skip

    class Pointed(Message):
        """Somebody clicked on a step, and perhaps wants it folded or unfolded."""

        def __init__(self, step: int, fold: bool) -> None:
            super().__init__()
            self.step = step
            self.fold = fold

    class Found(Message):
        """There are more hits than before."""

    def __init__(self) -> None:
        super().__init__()
        self.sheet = Sheet()
        self._limit: int | None = None
        self._cursor: int | None = None
        self._finder: Finder | None = None
        self._shown_hit: int | None = None
        self._look = _Look()
        self._painted: LRUCache[int, tuple[_Row, Strip]] = LRUCache(PAINTED)

    @property
    def text(self) -> str:
        """What it shows."""
        return self.sheet.text

    @property
    def passages(self) -> Passages:
        """Its steps and pivots."""
        return self.sheet.passages

    @property
    def is_blank(self) -> bool:
        """Whether there is nothing to show yet."""
        return not self.sheet.height

    @property
    def limit(self) -> int | None:
        """Only so many of the last rows are shown; None shows all."""
        return self._limit

    @limit.setter
    def limit(self, rows: int | None) -> None:
        self._limit = rows
        self.refresh(layout=True)

    def append(self, text: str, author: Author = Author.MODEL) -> None:
        """Add text at the end; control characters are shown, not obeyed."""
        hidden, height, steps = self._hidden, self._height, self.sheet.steps
        self.sheet.append(text, author)
        if self._finder is not None and self._finder.append(safe(text)):
            self.post_message(self.Found())
        if self._height != height:
            self.refresh(layout=True)
        elif height and (self._hidden, self.sheet.steps) == (hidden, steps):
            self.refresh(Region(0, height - 1, self.size.width, 1))
        else:
            self.refresh()

    # -- steps ----------------------------------------------------------------------------

    @property
    def cursor(self) -> int | None:
        """The step that is marked, if one is."""
        return self._cursor

    @cursor.setter
    def cursor(self, step: int | None) -> None:
        self._cursor = step
        self.refresh()

    def fold(self, step: int, folded: bool) -> None:
        """Fold a step to one row, or unfold it."""
        if self.sheet.fold(step, folded):
            self.refresh(layout=True)

    def fold_all(self, folded: bool) -> None:
        """Fold or unfold every step that there is."""
        for step in reversed(range(self.sheet.steps)):
            self.sheet.fold(step, folded)
        self.refresh(layout=True)

    def rows_of(self, step: int) -> tuple[int, int]:
        """The first row that it shows of a step, and the one behind the last."""
        sheet = self.sheet
        return sheet.top(step) - self._hidden, sheet.bottom(step) - self._hidden

    def row_of(self, at: int) -> int:
        """The row that shows a character; negative if that is above the rows shown."""
        return self.sheet.y_of(at) - self._hidden

    def step_in_sight(self, top: int, bottom: int) -> int | None:
        """The first step that begins in some of its rows, or the one that fills them.

        None where they begin with rows above it, or it has none there.
        """
        first, last = self._hidden + top, min(self._hidden + bottom, self.sheet.height)
        if top < 0 or first >= last:
            return None
        place = self.sheet.place(first)
        whole = place.first or self.sheet.bottom(place.step) >= last
        return place.step if whole else place.step + 1

    # -- words that are looked for ---------------------------------------------------------

    @property
    def hits(self) -> list[int]:
        """Where the words are that are looked for: the first character of each hit."""
        return self._finder.hits if self._finder is not None else []

    def find(self, words: str) -> None:
        """Look for words, also in what is still to come; empty looks for nothing."""
        self._shown_hit = None
        self._finder = Finder(words) if words else None
        if self._finder is not None:
            self._finder.append(self.text)
        self.refresh()

    def show_hit(self, number: int | None) -> None:
        """Let one hit stand out."""
        self._shown_hit = number
        self.refresh()

    # -- painting -------------------------------------------------------------------------

    @property
    def _height(self) -> int:
        rows = self.sheet.height
        return rows if self._limit is None else min(rows, self._limit)

    @property
    def _hidden(self) -> int:
        """Rows above those that are shown."""
        return self.sheet.height - self._height

    def _resized(self, width: int) -> None:
        if width > GUTTER and width - GUTTER != self.sheet.wrapped.width:
            self.sheet.resize(width - GUTTER)
            self._painted.clear()

    def get_content_width(self, container: Size, viewport: Size) -> int:
        """As wide as it may be."""
        return container.width

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """The rows at that width."""
        self._resized(width)
        return self._height

    def render_lines(self, crop: Region) -> list[Strip]:
        """The visible rows."""
        self._resized(self.size.width)
        style = self.get_component_rich_style
        colourless = self.app.no_color
        look = _Look(
            self.size.width - GUTTER,
            self.rich_style,
            style("trace--forced") + Style(underline=colourless or None),
            style("trace--mark"),
            style("trace--hit") + Style(reverse=colourless or None),
            style("trace--hit-shown") + Style(reverse=colourless or None, bold=True),
        )
        if look != self._look:
            self._look = look
            self._painted.clear()
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        """One visible row."""
        look = self._look
        if not 0 <= y < self._height:
            return Strip.blank(self.size.width, look.plain)
        place = self.sheet.place(self._hidden + y)
        row = self._row(place)
        selection = self.text_selection
        painted = self._painted.get(place.row)
        if painted is not None and painted[0].same(row) and selection is None:
            return painted[1]
        text = self._strip(row, place.row)
        if selection is not None and (span := selection.get_span(place.row)) is not None:
            chosen = self.screen.get_component_rich_style("screen--selection")
            text = Strip(_selected(text, *span, chosen))
        text = text.crop_extend(0, look.width, look.plain)
        mark = Strip([Segment(row.mark.ljust(GUTTER), look.plain + look.mark)], GUTTER)
        strip = Strip.join([mark, text])
        if selection is None:
            self._painted[place.row] = (row, strip)
        return strip

    def _row(self, place: Place) -> _Row:
        """What a row is painted of."""
        pieces = self.sheet.wrapped.rows[place.row]
        return _Row(pieces, self._mark(place), self._hits(place), self._told(place))

    def _mark(self, place: Place) -> str:
        if place.step == self._cursor:
            return "❯" if place.first else "│"
        return "▸" if place.folded else ""

    def _told(self, place: Place) -> str:
        """Of a folded step: how long it is, and what happens in it."""
        if not place.folded:
            return ""
        lines = self.sheet.lines(place.step)
        told = [f"{lines} line{'s' * (lines != 1)}", *self.passages.pivots(place.step)]
        while len(told) > 1 and cell_len(" · ".join(told)) > self._look.width // 2:
            told.pop()
        return " · ".join(told)

    def _hits(self, place: Place) -> tuple[tuple[int, int, bool], ...]:
        if self._finder is None:
            return ()
        starts = self.sheet.wrapped.starts
        begin = starts[place.row]
        length = sum(len(piece.text) for piece in self.sheet.wrapped.rows[place.row])
        found = self._finder
        return tuple(
            (found.hits[n] - begin, found.hits[n] - begin + found.size, n == self._shown_hit)
            for n in found.within(begin, begin + length)
        )

    def _strip(self, row: _Row, number: int) -> Strip:
        """The text of a row, as wide as it is; each segment knows where in the text it begins, so
        that what is selected is text alone."""
        look = self._look
        strip = Strip(self._segments(row, number))
        if not row.told:
            return strip
        room = max(0, look.width - cell_len(row.told) - 3)
        cut = strip.cell_length > room
        told = Segment(f"{'…' if cut else ' '}  {row.told}", look.plain + look.mark)
        return Strip.join([strip.crop_extend(0, room, look.plain), Strip([told])])

    def _segments(self, row: _Row, number: int) -> Iterable[Segment]:
        look = self._look
        at = x = 0
        for piece in row.pieces:
            own = look.plain if piece.author is Author.MODEL else look.plain + look.forced
            # One by one: no place in a name is a place in the text.
            for char in name(piece, look.width):
                yield Segment(char, look.plain + look.mark + _offset(x, number))
            for start, end, style in _cut(at, at + len(piece.text), row.hits, look):
                shown = piece.text[start - at : end - at].replace("\t", TAB)
                yield Segment(shown, own + style + _offset(x, number))
                x += len(shown)
            at += len(piece.text)

    # -- the mouse ------------------------------------------------------------------------

    def on_click(self, event: events.Click) -> None:
        """On the margin: fold the step there; on a folded step: unfold it."""
        y = self._hidden + event.y
        if 0 <= y < self.sheet.height and self.text_selection is None:
            event.stop()
            place = self.sheet.place(y)
            self.post_message(self.Pointed(place.step, event.x < GUTTER or place.folded))

    @property
    def allow_select(self) -> bool:
        """Its text can be selected with the mouse."""
        return True

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """The selected text, by rows as they are shown."""
        rows = ("".join(piece.text for piece in row) for row in self.sheet.wrapped.rows)
        return selection.extract("\n".join(row.replace("\t", TAB) for row in rows)), "\n"


def _cut(
    start: int, end: int, hits: tuple[tuple[int, int, bool], ...], look: _Look
) -> Iterable[tuple[int, int, Style]]:
    """A range of characters in parts that look the same, with what a hit adds to their look."""
    for first, last, shown in hits:
        if first >= end or last <= start:
            continue
        if first > start:
            yield start, first, Style()
        yield max(start, first), min(end, last), look.current if shown else look.hit
        start = min(end, last)
    if start < end:
        yield start, end, Style()


def _offset(x: int, y: int) -> Style:
    """Where in the rows of text something stands, as Textual looks for it under the mouse."""
    return Style.from_meta({"offset": (x, y)})


def _selected(strip: Strip, start: int, end: int, chosen: Style) -> Iterable[Segment]:
    """A row with its characters from start to end selected; -1 is to its end."""
    for segment in strip:
        text, style, _ = segment
        if style is None or "offset" not in style.meta:
            yield segment
            continue
        x, y = style.meta["offset"]
        first = min(max(0, start - x), len(text))
        last = len(text) if end == -1 else min(max(first, end - x), len(text))
        yield Segment(text[:first], style)
        yield Segment(text[first:last], style + chosen + _offset(x + first, y))
        yield Segment(text[last:], style + _offset(x + last, y))
