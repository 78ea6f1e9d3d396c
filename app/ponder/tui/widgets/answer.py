"""An answer as it streams: the model's Markdown; what it did not say tinted and named between.

Markdown is laid out block by block as it comes. Model output is untrusted: nothing in it is
obeyed, no link is opened by a click, HTML is shown as text.
"""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING

from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Static

from ponder.printable import safe
from ponder.types import Span

if TYPE_CHECKING:
    # Imported late: Markdown takes as long to import as a tenth of the time to the first paint.
    from markdown_it import MarkdownIt
    from textual.widgets import Markdown


@cache
def parser(latex: bool = True) -> MarkdownIt:
    r"""Markdown without HTML, and with backslashes kept: `\(` and `\[` are mathematics here.

    One for all pieces of all answers: to make one takes longer than to read a piece with it.
    """
    from markdown_it import MarkdownIt

    from ponder.tui.widgets import formula

    made = MarkdownIt("gfm-like", {"html": False}).disable("escape")
    return formula.taught(made) if latex else made


def code_blocks(text: str) -> list[tuple[str, str]]:
    """The code blocks of an answer: what each is called, and its text."""
    fences = [token for token in parser().parse(text) if token.type in ("fence", "code_block")]
    return [
        (
            f"code block {n}" + (f", {info[0]}" if (info := fence.info.split()) else ""),
            fence.content,
        )
        for n, fence in enumerate(fences, 1)
    ]


def prepare() -> None:
    """Import and compile what the first answer would have to wait for; on any thread."""
    from ponder.tui.widgets import document  # noqa: F401 - imported to have been imported

    parser().parse("www.example.org $x$")


class Name(Static):
    """Whose the words beside it are; no part of the text that can be selected."""

    ALLOW_SELECT = False


class AnswerView(Vertical):
    """Shows one answer.

    Args:
        latex: whether its formulas are shown as Unicode.
    """

    def __init__(self, latex: bool = True) -> None:
        super().__init__()
        self.display = False
        self._parser = partial(parser, latex)

    async def write(self, span: Span) -> None:
        """Add a piece of it."""
        from ponder.tui.widgets.document import Document

        text = safe(span.text)
        last = self.children[-1] if self.children else None
        if span.forced:
            if text.strip():
                self.display = True
                name = Name(Content(f"⟦{span.author}⟧ "))
                words = Static(Content(text.strip()), classes="forced")
                await self.mount(Horizontal(name, words))
            return
        if not isinstance(last, Document):
            text = text.lstrip()
            if not text:
                return
            self.display = True
            last = Document(parser_factory=self._parser, open_links=False)
            await self.mount(last)
        await last.append(text)

    def on_markdown_link_clicked(self, message: Markdown.LinkClicked) -> None:
        """A link out of a model's mouth is shown, never followed."""
        message.stop()
        self.notify(safe(message.href), title="Link", markup=False)
