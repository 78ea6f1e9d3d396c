"""A machine to pack on, a bundle of it, and a machine to install on."""

from __future__ import annotations

from pathlib import Path

import pytest

from library.bundle import kit


@pytest.fixture
def near(tmp_path: Path) -> Path:
    """A PONDER_HOME with three models."""
    home = tmp_path / "near"
    kit.stock(home)
    return home


@pytest.fixture
def far(tmp_path: Path) -> Path:
    """A PONDER_HOME that is not there yet."""
    return tmp_path / "far"


@pytest.fixture
def archive(near: Path, tmp_path: Path) -> Path:
    """A bundle of everything."""
    return kit.pack(near, tmp_path / "all.tar", wheels=kit.wheels(tmp_path / "wheels"))
