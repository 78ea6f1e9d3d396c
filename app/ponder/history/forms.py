"""The forms that conversations are exported in, by name. Knows which module writes which."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Literal

from ponder.history.records import Conversation, Turn

Form = Literal["md", "json", "html"]
FORMS: dict[Form, str] = {
    "md": "Markdown to read",
    "json": "JSON to compute with; nothing is left out",
    "html": "a page on which thinking and steps fold; needs nothing else",
}
"""What each is for."""


def text(
    read: Sequence[tuple[Conversation, Sequence[Turn]]], form: Form, thinking: bool = True
) -> str:
    """Conversations with their turns as one document; `thinking` False leaves the thinking out."""
    # Imported late: each is needed alone.
    if form == "html":
        from ponder.history.page import page

        return page(read, thinking)
    from ponder.history.export import as_json, markdown

    if form == "json":
        return json.dumps([as_json(*pair, thinking=thinking) for pair in read], indent=1) + "\n"
    return "\n---\n\n".join(markdown(*pair, thinking=thinking) for pair in read)
