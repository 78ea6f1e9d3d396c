"""Facts about this machine: cores, memory, processor. Measures nothing, changes nothing."""

from __future__ import annotations

import os
import platform
import sys
from functools import cache
from pathlib import Path

import psutil


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


def machine_key() -> str:
    """Changes with the machine: what was learned about one does not hold for another."""
    return f"{platform.system()} {platform.machine()} {processor()}"
