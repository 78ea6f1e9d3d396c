"""Reading and writing at a position of a file, from several threads at once.

Knows file descriptors. Where the system has no such calls (Windows), the position is moved
under a lock.
"""

from __future__ import annotations

import os
import threading

import numpy as np

from ponder_quantize.source import Bytes

if hasattr(os, "pread"):

    def _read(descriptor: int, size: int, at: int) -> bytes:
        return os.pread(descriptor, size, at)

    def _write(descriptor: int, data: memoryview, at: int) -> int:
        return os.pwrite(descriptor, data, at)

else:
    _moving = threading.Lock()

    def _read(descriptor: int, size: int, at: int) -> bytes:
        with _moving:
            os.lseek(descriptor, at, os.SEEK_SET)
            return os.read(descriptor, size)

    def _write(descriptor: int, data: memoryview, at: int) -> int:
        with _moving:
            os.lseek(descriptor, at, os.SEEK_SET)
            return os.write(descriptor, data)


def read_at(descriptor: int, size: int, at: int) -> Bytes:
    """So many bytes from there, or fewer where the file ends.

    Raises:
        OSError: it cannot be read.
    """
    data = _read(descriptor, size, at)
    while len(data) < size:
        more = _read(descriptor, size - len(data), at + len(data))
        if not more:
            break
        data += more
    return np.frombuffer(data, np.uint8)


def write_at(descriptor: int, data: bytes | Bytes, at: int) -> None:
    """All of it, there.

    Raises:
        OSError: it cannot be written.
    """
    left = memoryview(data if isinstance(data, bytes) else data.data).cast("B")
    while left:
        done = _write(descriptor, left, at)
        at += done
        left = left[done:]
