"""Markdown that streams: a paragraph that needs no more rows is painted, and nothing laid out.

To lay the screen out was measured to take two thirds of what a word of an answer costs. Knows
Textual's Markdown from the inside, and nothing else.
"""

from __future__ import annotations

from typing import ClassVar

from textual.visual import VisualType
from textual.widgets import Markdown
from textual.widgets._markdown import MarkdownParagraph
from textual.widgets.markdown import MarkdownBlock


class Paragraph(MarkdownParagraph):
    """A paragraph that knows whether it has grown."""

    def update(self, content: VisualType = "", *, layout: bool = True) -> None:
        """Show other content."""
        super().update(content, layout=False)
        width, rows = self.content_size
        # Inside a list, others may have to make room for its width.
        free = rows > 0 and self.parent is self._markdown
        if layout and not (free and self.visual.get_height(self.styles, width) == rows):
            self.refresh(layout=True)


class StreamingMarkdown(Markdown):
    """Markdown whose paragraphs are those above."""

    BLOCKS: ClassVar[dict[str, type[MarkdownBlock]]] = {
        **Markdown.BLOCKS,
        "paragraph_open": Paragraph,
    }
