"""What the tests of the chat share."""

from __future__ import annotations

import pytest

from ponder.tui import pump


@pytest.fixture(autouse=True)
def plain_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the terminal of whoever runs the tests wants, the chat here is in colour."""
    for name in ("NO_COLOR", "COLORTERM", "TEXTUAL", "TEXTUAL_ANIMATIONS", "TEXTUAL_COLOR_SYSTEM"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def painted_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine: what has come is painted with the next look."""
    monkeypatch.setattr(pump, "PATIENCE", 0.0)
