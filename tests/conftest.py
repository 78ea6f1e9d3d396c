"""What every room's tests share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own for every test: nobody's settings, nobody's caches."""
    place = tmp_path / "ponder-home"
    monkeypatch.setenv("PONDER_HOME", str(place))
    return place
