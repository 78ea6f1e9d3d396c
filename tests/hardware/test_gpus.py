"""GPUs are those that a driver tells of; no driver, or one that fails, is no error."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from ponder import hardware
from ponder.hardware import Gpu

GIB = 1 << 30


class NVMLError(Exception):
    pass


def fails(*_: object) -> None:
    raise NVMLError


def nvml(**changed: Callable[..., object]) -> SimpleNamespace:
    """A driver with two GPUs."""
    working = {
        "NVMLError": NVMLError,
        "nvmlInit": lambda: None,
        "nvmlShutdown": lambda: None,
        "nvmlDeviceGetCount": lambda: 2,
        "nvmlDeviceGetHandleByIndex": lambda index: index,
        "nvmlDeviceGetMemoryInfo": lambda _: SimpleNamespace(free=70 * GIB, total=80 * GIB),
        "nvmlDeviceGetName": lambda index: f"H100 {index}",
    }
    return SimpleNamespace(**(working | changed))


@pytest.fixture(autouse=True)
def no_amd(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty sysfs."""
    monkeypatch.setattr(hardware, "_DRM", tmp_path / "drm")
    return tmp_path / "drm"


def test_nvidias_driver_tells_name_and_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", nvml())
    assert hardware.gpus() == [Gpu(f"H100 {n}", 70 * GIB, 80 * GIB) for n in (0, 1)]


@pytest.mark.parametrize(
    ("changed", "known"),
    [
        ({"nvmlInit": fails}, 0),
        ({"nvmlDeviceGetCount": fails}, 0),
        ({"nvmlDeviceGetMemoryInfo": fails}, 0),
        ({"nvmlShutdown": fails}, 2),
    ],
)
def test_a_driver_that_fails_is_no_error(
    changed: dict[str, Callable[..., object]], known: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", nvml(**changed))
    assert len(hardware.gpus()) == known


def test_neither_is_no_binding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert hardware.gpus() == []


def test_amds_driver_tells_memory(no_amd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    for card, vendor, total in (
        ("card0", "0x1002", 24 * GIB),
        ("card1", "0x1002", GIB // 2),  # part of a processor
        ("card2", "0x8086", 24 * GIB),
        ("card3", "0x1002", None),
        ("renderD128", "0x1002", 24 * GIB),
    ):
        folder = no_amd / card / "device"
        folder.mkdir(parents=True)
        (folder / "vendor").write_text(f"{vendor}\n")
        if total is not None:
            (folder / "mem_info_vram_total").write_text(f"{total}\n")
            (folder / "mem_info_vram_used").write_text(f"{GIB}\n")
    assert hardware.gpus() == [Gpu("AMD GPU", 23 * GIB, 24 * GIB)]


@pytest.mark.parametrize(
    ("total", "limit", "share"),
    [(24, 0, 16), (64, 0, 48), (64, 56 << 10, 56)],
)
def test_apples_share_the_machines_memory(
    total: int, limit: int, share: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    monkeypatch.setattr(hardware, "total_memory", lambda: total * GIB)
    monkeypatch.setattr(hardware, "free_memory", lambda: 20 * GIB)
    monkeypatch.setattr(hardware, "_sysctl", lambda _: limit)
    (gpu,) = hardware.gpus()
    assert gpu.unified
    assert (gpu.free, gpu.total) == (min(share, 20) * GIB, share * GIB)
