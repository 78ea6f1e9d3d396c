"""Memory is measured once for a machine, and what was measured is kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ponder import hardware
from ponder.library import bandwidth


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Measurements that are yet to be made, in place of real ones."""
    results = [20e9, 10e9]
    monkeypatch.setattr(bandwidth, "measure", lambda: results.pop())
    return results


def test_a_measurement_is_plausible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bandwidth, "_SECONDS", 0.01)
    monkeypatch.setattr(bandwidth, "_MOST", 64 << 20)
    # From the slowest memory that is still about to the fastest cache.
    assert 1e8 < bandwidth.measure() < 1e14


def test_it_is_measured_once(home: Path, measured: list[float]) -> None:
    assert bandwidth.bandwidth() == bandwidth.bandwidth() == 10e9
    assert measured == [20e9]
    (file,) = (home / "cache").iterdir()
    assert list(json.loads(file.read_text()).values()) == [10e9]


def test_another_machine_is_measured_anew(
    measured: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bandwidth.bandwidth() == 10e9
    own = hardware.machine_key()
    monkeypatch.setattr(hardware, "machine_key", lambda: "another")
    assert bandwidth.bandwidth() == 20e9
    monkeypatch.setattr(hardware, "machine_key", lambda: own)
    assert bandwidth.bandwidth() == 10e9


@pytest.mark.parametrize("text", ["", "[1]", "{", '{"a": "fast"}', "\ud800"])
def test_a_damaged_file_is_measured_over(home: Path, measured: list[float], text: str) -> None:
    (home / "cache").mkdir(parents=True)
    (home / "cache" / "bandwidth.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    assert bandwidth.bandwidth() == 10e9
    assert bandwidth.bandwidth() == 10e9


def test_a_cache_that_cannot_be_written_costs_a_measurement(
    home: Path, measured: list[float]
) -> None:
    home.mkdir()
    (home / "cache").write_text("in the way")
    assert bandwidth.bandwidth() == 10e9
    assert bandwidth.bandwidth() == 20e9
