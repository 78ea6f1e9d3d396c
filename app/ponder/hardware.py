"""Facts about this machine: cores, memory, processor, GPUs. Measures nothing, changes nothing.

What a driver does not tell is left out; whether llama.cpp was built to use a GPU is not known
here.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil

_DRM = Path("/sys/class/drm")
_AMD = "0x1002"
"""PCI vendor."""
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU, as its driver tells of it."""

    name: str
    free: int
    """Bytes that can be taken now."""
    total: int
    """Bytes it has, or may have of the machine's memory."""
    unified: bool = False
    """Whether its memory is the machine's own."""


@cache
def cores() -> int:
    """Physical cores that this process may use."""
    physical = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    allowed = len(os.sched_getaffinity(0)) if sys.platform == "linux" else physical
    return max(1, min(physical, allowed))


def decode_threads() -> int:
    """Threads for decoding: one core is left to the interface where there are more than two."""
    return cores() - 1 if cores() > 2 else cores()


def prefill_threads() -> int:
    """Threads for reading prompts: every core."""
    return cores()


def free_memory() -> int:
    """Bytes that can be taken without swapping."""
    return int(psutil.virtual_memory().available)


def total_memory() -> int:
    """Bytes of memory in this machine."""
    return int(psutil.virtual_memory().total)


@cache
def processor() -> str:
    """The processor's own name, as far as the system tells it."""
    if sys.platform == "linux":
        for line in _cpuinfo():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


@cache
def instruction_sets() -> frozenset[str]:
    """The processor's flags, where the system lists them."""
    for line in _cpuinfo():
        if line.startswith(("flags", "Features")):
            return frozenset(line.partition(":")[2].split())
    return frozenset()


@cache
def _cpuinfo() -> tuple[str, ...]:
    try:
        return tuple(Path("/proc/cpuinfo").read_text().splitlines())
    except OSError:
        return ()


def gpus() -> list[Gpu]:
    """The GPUs that CUDA, Metal or ROCm could use; empty where no driver tells of any."""
    return _nvidia() + _apple() + _amd()


def _nvidia() -> list[Gpu]:
    """Through NVML, which comes with NVIDIA's driver."""
    try:
        import pynvml
    except ImportError:
        return []
    found = []
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return []
    try:
        for index in range(pynvml.nvmlDeviceGetCount()):
            device = pynvml.nvmlDeviceGetHandleByIndex(index)
            memory = pynvml.nvmlDeviceGetMemoryInfo(device)
            name = pynvml.nvmlDeviceGetName(device)
            found.append(Gpu(str(name), int(memory.free), int(memory.total)))
    except pynvml.NVMLError:
        # A device that was lost, or is partitioned: what is known of the others holds.
        pass
    finally:
        with suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()
    return found


def _apple() -> list[Gpu]:
    """Apple silicon: a share of the machine's memory, set by `iogpu.wired_limit_mb` or macOS.

    Left to itself macOS gives Metal two thirds of the memory, or three quarters where there is
    more than 36 GiB (MTLDevice.recommendedMaxWorkingSetSize, as seen on such machines).
    """
    if sys.platform != "darwin" or platform.machine() != "arm64":
        return []
    total = total_memory()
    share = _sysctl("iogpu.wired_limit_mb") * _MIB
    if not share:
        share = total * 3 // 4 if total > 36 << 30 else total * 2 // 3
    return [Gpu(processor(), min(share, free_memory()), share, unified=True)]


def _sysctl(name: str) -> int:
    """A number out of the kernel; 0 where there is none."""
    try:
        told = subprocess.run(
            ["/usr/sbin/sysctl", "-n", name], capture_output=True, text=True, check=True, timeout=5
        )
        return int(told.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return 0


def _amd() -> list[Gpu]:
    """Through what amdgpu tells in sysfs; integrated ones, with no memory to speak of, left out."""
    found = []
    for card in sorted(_DRM.glob("card[0-9]*/device")):
        try:
            if (card / "vendor").read_text().strip() != _AMD:
                continue
            total = int((card / "mem_info_vram_total").read_text())
            used = int((card / "mem_info_vram_used").read_text())
        except (OSError, ValueError):
            continue
        if total > 2 << 30:
            found.append(Gpu("AMD GPU", max(0, total - used), total))
    return found


def machine_key() -> str:
    """Changes with the machine: what was learned about one does not hold for another."""
    return f"{platform.system()} {platform.machine()} {processor()}"
