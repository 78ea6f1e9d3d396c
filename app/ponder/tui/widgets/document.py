"""Markdown as an answer has it: Textual's, with formulas that have lines of their own.

Imported late: Markdown takes as long to import as a tenth of the time to the first paint.
"""

from __future__ import annotations

from markdown_it.token import Token
from textual.content import Content
from textual.widgets import Markdown
from textual.widgets.markdown import MarkdownBlock

from ponder.tui.widgets.formula import BLOCK


class FormulaBlock(MarkdownBlock):
    """A formula, in as many rows as it takes."""

    def __init__(self, markdown: Markdown, token: Token) -> None:
        super().__init__(markdown, token)
        self.set_content(Content(token.content))

    async def _update_from_block(self, block: MarkdownBlock) -> None:
        if isinstance(block, FormulaBlock):
            self.set_content(block._content)
            self._copy_context(block)
        else:
            await super()._update_from_block(block)


class Document(Markdown):
    """An answer's Markdown."""

    def unhandled_token(self, token: Token) -> MarkdownBlock | None:
        """A formula; nothing else is left over."""
        return FormulaBlock(self, token) if token.type == BLOCK else None
