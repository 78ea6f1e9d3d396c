r"""Formulas in an answer's Markdown: two rules for its parser, and the block that shows one.

Nothing in a formula is Markdown, and its lines are no lists. Knows markdown-it's states and
Textual's blocks; what a formula is, and how it reads, is the business of `ponder.mathematics`.
"""

from __future__ import annotations

import re

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline

from ponder.mathematics import formulas

BLOCK = "formula"
"""The token of a formula that has lines of its own."""
_BEGINS = re.compile(r"\\\[|\$\$|\\begin\{")


def taught(parser: MarkdownIt) -> MarkdownIt:
    """A parser that knows formulas."""
    parser.block.ruler.before(
        "fence", BLOCK, _block, {"alt": ["paragraph", "reference", "blockquote", "list"]}
    )
    parser.inline.ruler.before("escape", BLOCK, _inline)
    return parser


def _inline(state: StateInline, silent: bool) -> bool:
    if state.src[state.pos] not in "$\\":
        return False
    found = formulas.at(state.src, state.pos)
    if not isinstance(found, formulas.Formula):
        return False
    if not silent:
        if found.boxed:
            state.push("strong_open", "strong", 1)
        state.push("text", "", 0).content = found.told(rows=False)
        if found.boxed:
            state.push("strong_close", "strong", -1)
    state.pos = found.end
    return True


def _block(state: StateBlock, first: int, last: int, silent: bool) -> bool:
    start = state.bMarks[first] + state.tShift[first]
    if not _BEGINS.match(state.src, start) or state.is_code_block(first):
        return False
    line = first + 1
    while line < last and not state.isEmpty(line) and state.sCount[line] >= state.blkIndent:
        line += 1
    text = state.getLines(first, line, state.blkIndent, False).lstrip()
    found = formulas.at(text, 0)
    if isinstance(found, formulas.Formula):
        rest = text[found.end :]
        if rest.partition("\n")[0].strip(" \t.,;:"):
            return False  # a paragraph that begins with a formula
        line = first + 1 + text[: found.end].count("\n")
        tail = rest.partition("\n")[0].strip()
    elif isinstance(found, formulas.Open) and line >= state.lineMax:
        tail = ""  # it has not come to its end yet, and what has come is no list
    else:
        return False
    if silent:
        return True
    token = state.push(BLOCK, "", 0)
    told = found.told(rows=True) if isinstance(found, formulas.Formula) else text.rstrip()
    token.content = told + tail
    token.map = [first, line]
    state.line = line
    return True
