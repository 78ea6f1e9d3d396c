"""What the tests of the chat share."""

from __future__ import annotations

import pytest

from ponder.library import bandwidth, fit
from ponder.library.fit import Machine
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


@pytest.fixture(autouse=True)
def laptop(monkeypatch: pytest.MonkeyPatch) -> None:
    """What fits is told for the same machine everywhere: 16 GiB, 12 of them free, no GPU."""
    machine = Machine(free=12 << 30, total=16 << 30, threads=4)
    monkeypatch.setattr(fit, "this_machine", lambda: machine)
    monkeypatch.setattr(bandwidth, "measure", lambda: 40e9)
