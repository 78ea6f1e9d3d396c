"""How fast this machine reads its memory, which is what bounds decoding on a CPU.

Measured once, all cores together, and kept in the cache directory for this machine. Knows
nothing of models.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from ponder import hardware, paths

_MOST = 512 << 20
"""Bytes read: more than any cache holds."""
_LEAST = 16 << 20
_SECONDS = 0.15
"""Reading goes on for at least so long."""


def bandwidth(measured: bool = True) -> float:
    """Bytes a second, from this machine's memory to all cores; 0 where it is not known.

    Args:
        measured: whether it is found out where it is not known. What else runs meanwhile is slowed
            down for half a second, and makes the figure too low.
    """
    file = paths.cache_dir() / "bandwidth.json"
    key = f"{hardware.machine_key()}, {hardware.cores()} cores"
    known = _read(file)
    if key not in known and measured:
        known[key] = measure()
        _write(file, known)
    return known.get(key, 0.0)


def measure() -> float:
    """Bytes a second: the best of three rounds in which every core looks for what is not there.

    memchr of the C library reads with the widest instructions there are and writes nothing;
    ctypes lets go of the interpreter while it does.
    """
    cores = hardware.cores()
    share = max(_LEAST, min(_MOST, hardware.free_memory() // 4) // cores)
    library = ctypes.cdll.msvcrt if sys.platform == "win32" else ctypes.CDLL(None)
    memchr = library.memchr
    memchr.restype = ctypes.c_void_p
    memchr.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
    held = [mmap.mmap(-1, share) for _ in range(cores)]
    views = [ctypes.c_char.from_buffer(memory) for memory in held]
    try:
        starts = [ctypes.addressof(view) for view in views]

        def read(start: int) -> None:
            memchr(start, 0, share)

        with ThreadPoolExecutor(cores) as pool:
            # Untouched pages are all the same one, and that is in the cache: fill them first.
            list(pool.map(lambda start: ctypes.memset(start, 1, share), starts))
            best = 0.0
            for _ in range(3):
                began, rounds = time.perf_counter(), 0
                while time.perf_counter() - began < _SECONDS / 3:
                    list(pool.map(read, starts))
                    rounds += 1
                best = max(best, rounds * share * cores / (time.perf_counter() - began))
            return best
    finally:
        views.clear()
        for memory in held:
            memory.close()


def _read(file: Path) -> dict[str, float]:
    try:
        read = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    known = read.items() if isinstance(read, dict) else ()
    return {str(key): float(n) for key, n in known if isinstance(n, int | float) and n > 0}


def _write(file: Path, known: dict[str, float]) -> None:
    """Keep it, or measure again next time: a full disk is no reason to fail."""
    partial = file.with_suffix(f".{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(known, indent=1), "utf-8")
        partial.replace(file)
    except OSError:
        with suppress(OSError):
            partial.unlink()
