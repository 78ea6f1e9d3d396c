"""A program in a real pseudo-terminal, timed by the bytes that it writes.

No screen is kept: what reads it takes next to nothing from what is measured. Knows bytes and
clocks; knows nothing of what is measured.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

GUARD = 120.0
"""Seconds after which a program that does not say what it should is given up."""
HALF = 400
"""Bytes that anything waited for is shorter than."""


def environment(home: Path) -> dict[str, str]:
    """What a user's shell would set, on a terminal with all colours."""
    apart = ("NO_COLOR", "COLUMNS", "LINES", "PYTHON")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(apart)}
    own = {"PONDER_HOME": str(home), "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    return kept | own | {"LANG": "C.UTF-8"}


class Pty:
    """A child in a pseudo-terminal of 24 lines and 80 columns; a context manager that ends it.

    Args:
        arguments: after the interpreter's name.
        env: its environment.
    """

    def __init__(self, arguments: Sequence[str], env: dict[str, str]) -> None:
        command = [sys.executable, *arguments]
        self.began = time.perf_counter()
        """When it was started."""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            try:
                fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
                os.execve(command[0], command, env)
            finally:
                os._exit(127)
        self.raw = bytearray()
        """Everything it wrote."""
        self.status: int | None = None

    def send(self, keys: str) -> float:
        """Type; gives the moment before."""
        at = time.perf_counter()
        os.write(self.fd, keys.encode())
        return at

    def read(self, timeout: float) -> float | None:
        """Take what it writes within so many seconds; gives the moment it came, if it did.

        Raises:
            EOFError: it has ended.
        """
        if not select.select([self.fd], [], [], max(0.0, timeout))[0]:
            return None
        try:
            data = os.read(self.fd, 1 << 16)
        except OSError:  # Linux's way to say that nobody writes any more
            data = b""
        at = time.perf_counter()
        if not data:
            raise EOFError
        self.raw += data
        return at

    def until(self, pattern: bytes, since: int | None = None) -> float:
        """Wait for a regular expression in what it writes from now on, or since a byte.

        Gives the moment at which it was there.

        Raises:
            EOFError: it ended without writing that.
            TimeoutError: it does not write that.
        """
        looked = len(self.raw) if since is None else since
        wanted = re.compile(pattern)
        at = time.perf_counter()
        limit = at + GUARD
        while not wanted.search(self.raw, looked):
            # What has been looked through is not looked through again, a possible half aside.
            looked = max(looked, len(self.raw) - HALF)
            at = self.read(1.0) or at
            if time.perf_counter() > limit:
                raise TimeoutError(f"{pattern!r} does not come, but {bytes(self.raw[-2000:])!r}")
        return at

    def settle(self, seconds: float) -> None:
        """Take what it writes for so long."""
        limit = time.perf_counter() + seconds
        while (left := limit - time.perf_counter()) > 0:
            self.read(left)

    def end(self, keys: str = "") -> float:
        """Wait for its end, typing first; gives the moment of its end."""
        if keys:
            self.send(keys)
        with suppress(EOFError):
            while True:
                self.read(GUARD)
        self._reap(0)
        return time.perf_counter()

    def _reap(self, number: int) -> None:
        if self.status is None:
            if number:
                os.kill(self.pid, number)
            self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
            os.close(self.fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: object, __: TracebackType | None
    ) -> None:
        self._reap(signal.SIGKILL)
