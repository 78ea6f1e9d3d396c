"""Answers as they are read: formulas, lists, code and tables, at any width, while they stream."""

from __future__ import annotations

import pytest
from textual.app import App, ComposeResult

from ponder.tui.widgets.answer import AnswerView
from ponder.tui.widgets.document import FormulaBlock
from ponder.types import Channel, Span
from tui.play import Play, painted, playing
from tui.stage import Opener, staged


def rows(play: Play) -> list[str]:
    return [row.strip() for row in painted(play.app).splitlines()]


async def test_formulas_are_shown_and_what_was_said_is_kept_as_it_was() -> None:
    answer = r"""So $x^2 \le 4$ costs $5 or $7, and `$code$` stays.

\[
\begin{pmatrix} a & b \\ c & d \end{pmatrix}
- x
= \frac{1}{2}
\]

1. first \(\alpha\)
2. **\boxed{17}**, not $\unknown{x}$
"""
    opener = Opener(answer=answer)
    async with playing(staged(opener), opener, (100, 40)) as play:
        await play.ask()
        told = rows(play)
        assert "So x² ≤ 4 costs $5 or $7, and $code$ stays." in told
        assert "⎛ a  b ⎞ - x = 1/2" in told
        assert "⎝ c  d ⎠" in told
        assert any(row.endswith("first α") for row in told)
        assert any(row.endswith(r"[17], not $\unknown{x}$") for row in told)
        assert play.app.dialogue.messages[-1].content == answer.strip()


class Page(App[None]):
    """An answer alone, where it can be written piece by piece."""

    CSS = "Screen { overflow-y: auto; }"

    def __init__(self) -> None:
        super().__init__()
        self.answer = AnswerView()

    def compose(self) -> ComposeResult:
        yield self.answer

    async def write(self, text: str, size: int = 1 << 20) -> None:
        for at in range(0, len(text), size):
            await self.answer.write(Span(Channel.ANSWER, text[at : at + size]))


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
async def test_a_formula_is_the_same_however_it_comes(size: int) -> None:
    page = Page()
    async with page.run_test(size=(80, 40)):
        await page.write(
            "One\n\n\\[\na_1 b\n- c\n\\]\n\n- \\(x^2\\)\n\n"
            "\\begin{align}\na &= b\n\\end{align}\n\n$$\n never *closed*\n",
            size,
        )
        blocks = page.query(FormulaBlock)
        assert [block.source for block in blocks][:1] == ["\\[\na_1 b\n- c\n\\]\n"]
        told = [str(block.render()) for block in blocks]
        assert told == ["a₁ b - c", "a = b", "$$\n never *closed*"]
