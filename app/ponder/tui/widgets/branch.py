"""Which of several turns that were asked in one place this is. Knows two numbers."""

from __future__ import annotations

from textual.app import RenderResult
from textual.content import Content
from textual.widget import Widget


class BranchLine(Widget):
    """`2/3`, and how to come to the others; nothing where there is no other."""

    ALLOW_SELECT = False

    def __init__(self, place: int = 1, of: int = 1) -> None:
        super().__init__()
        self.place, self.of = place, of
        self.display = of > 1

    def render(self) -> RenderResult:
        """The keys give way."""
        count = f"{self.place}/{self.of}"
        keys = "  alt+left alt+right: the others" if self.size.width >= 40 else ""
        return Content.assemble((f"branch {count}", "bold"), keys)
