"""An answer as it streams: the model's Markdown, and ponder's own words tinted between.

Markdown is laid out block by block as it comes. Model output is untrusted: nothing in it is
obeyed, no link is opened by a click, HTML is shown as text.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from ponder.printable import safe
from ponder.types import Span

if TYPE_CHECKING:
    # Imported late: Markdown takes as long to import as a tenth of the time to the first paint.
    from markdown_it import MarkdownIt
    from textual.widgets import Markdown


@cache
def parser() -> MarkdownIt:
    r"""Markdown without HTML, and with backslashes kept: `\(` and `\[` are mathematics here.

    One for all pieces of all answers: to make one takes longer than to read a piece with it.
    """
    from markdown_it import MarkdownIt

    return MarkdownIt("gfm-like", {"html": False}).disable("escape")


def prepare() -> None:
    """Import and compile what the first answer would have to wait for; on any thread."""
    from textual.widgets import Markdown  # noqa: F401 - imported to have been imported

    parser().parse("www.example.org")


class AnswerView(Vertical):
    """Shows one answer."""

    def __init__(self) -> None:
        super().__init__()
        self.display = False

    async def write(self, span: Span) -> None:
        """Add a piece of it."""
        from textual.widgets import Markdown

        text = safe(span.text)
        last = self.children[-1] if self.children else None
        if span.forced:
            if text.strip():
                self.display = True
                await self.mount(Static(Content(text.strip()), classes="forced"))
            return
        if not isinstance(last, Markdown):
            text = text.lstrip()
            if not text:
                return
            self.display = True
            last = Markdown(parser_factory=parser, open_links=False)
            await self.mount(last)
        await last.append(text)

    def on_markdown_link_clicked(self, message: Markdown.LinkClicked) -> None:
        """A link out of a model's mouth is shown, never followed."""
        message.stop()
        self.notify(safe(message.href), title="Link", markup=False)
