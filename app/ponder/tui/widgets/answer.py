"""An answer as it streams: the model's Markdown, and ponder's own words tinted between.

Markdown is laid out block by block as it comes. Model output is untrusted: nothing in it is
obeyed, no link is opened by a click, HTML is shown as text.
"""

from __future__ import annotations

from markdown_it import MarkdownIt
from textual import on
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Markdown, Static

from ponder.printable import safe
from ponder.types import Span


def parser() -> MarkdownIt:
    r"""Markdown without HTML, and with backslashes kept: `\(` and `\[` are mathematics here."""
    return MarkdownIt("gfm-like", {"html": False}).disable("escape")


class AnswerView(Vertical):
    """Shows one answer."""

    def __init__(self) -> None:
        super().__init__()
        self.display = False

    async def write(self, span: Span) -> None:
        """Add a piece of it."""
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

    @on(Markdown.LinkClicked)
    def tell_link(self, message: Markdown.LinkClicked) -> None:
        """A link out of a model's mouth is shown, never followed."""
        message.stop()
        self.notify(safe(message.href), title="Link", markup=False)
