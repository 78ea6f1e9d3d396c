"""A field of one line whose text a terminal only shows. Knows characters alone."""

from __future__ import annotations

from textual.widgets import Input

from ponder.printable import safe


class Field(Input):
    """An input; a pasted control character becomes a picture of itself."""

    def validate_value(self, value: str) -> str:
        """What it may hold."""
        return safe(value)
