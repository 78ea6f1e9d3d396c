"""A terminal that can be read: a real pseudo-terminal, and what a person would see in it."""

from __future__ import annotations

import os
import re
import struct
import sys
import termios
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pexpect
import pyte
import pytest

from ponder import builtin

PONDER = [sys.executable, "-m", "ponder"]
GUARD = 30.0
"""Seconds after which a test that waits is ended; nothing here is measured."""

ENDLESS = 1 << 16
"""Tokens of context that nobody fills while a test goes on. Beyond the built-in model's own 2,048
it writes nonsense, and it goes on writing."""


def endless_model(folder: Path) -> Path:
    """The built-in model in a file that claims to have been trained for more context than it was.

    With a floor near `ENDLESS` it thinks until somebody ends it, however fast the machine is.
    """
    (source,) = Path(builtin.__path__[0]).glob("ponder-tiny-*.gguf")
    data = bytearray(source.read_bytes())
    key = b"qwen2.context_length"
    # The key, its type (4: u32), its value.
    struct.pack_into("<II", data, data.index(key) + len(key), 4, ENDLESS)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "ponder-tiny.gguf"
    path.write_bytes(data)
    return path


def environment(home: Path, **more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("NO_COLOR", "COLUMNS"))}
    return {
        **kept,
        "PYTHONPATH": ":".join(p for p in sys.path if p),
        "PONDER_HOME": str(home),
        "TERM": "xterm-256color",
        "LANG": "C.UTF-8",
        **more,
    }


class Terminal:
    """ponder in a pseudo-terminal of so many lines and columns, under another command if asked."""

    def __init__(
        self,
        home: Path,
        *arguments: str,
        lines: int = 24,
        columns: int = 80,
        under: Sequence[str] = (),
        **more: str,
    ) -> None:
        command = [*under, *PONDER, *arguments]
        self.child: pexpect.spawn[bytes] = pexpect.spawn(
            command[0],
            command[1:],
            env=environment(home, **more),
            timeout=GUARD,
            dimensions=(lines, columns),
        )
        self.before = termios.tcgetattr(self.child.child_fd)
        self._screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self._screen)
        self.raw = b""

    def send(self, keys: str) -> None:
        self.child.send(keys)

    def paste(self, text: str) -> None:
        self.child.send(f"\x1b[200~{text}\x1b[201~")

    def resize(self, lines: int, columns: int) -> None:
        self.child.setwinsize(lines, columns)
        self._screen.resize(lines, columns)

    def read(self) -> bool:
        """Take what has been written; False when nothing will be written any more."""
        try:
            data = self.child.read_nonblocking(1 << 16, 0.05)
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        self.raw += data
        # Questions to the terminal, which pyte would print; and 24-bit colour is all the same.
        self._stream.feed(re.sub(rb"\x1b\[[?>=][0-9;$]*[a-zA-Z]|\x1bP.*?\x1b\\", b"", data))
        return True

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self._screen.display)

    def until(self, seen: str | Callable[[str], bool]) -> str:
        """Wait until a text, or a screen that satisfies, is there; gives the screen."""
        wanted = (lambda text: seen in text) if isinstance(seen, str) else seen
        began = time.monotonic()
        while not wanted(self.text):
            alive = self.read()
            if not wanted(self.text) and (not alive or time.monotonic() - began > GUARD):
                pytest.fail(f"{seen!r} did not come; the screen:\n{self.text}")
        return self.text

    def end(self) -> int | None:
        """Wait for its end; gives the exit status, None where a signal ended it."""
        began = time.monotonic()
        while self.read():
            if time.monotonic() - began > GUARD:
                pytest.fail(f"it does not end; the screen:\n{self.text}")
        self.child.close()
        return self.child.exitstatus

    def is_restored(self) -> bool:
        """Whether the terminal was left as it was found."""
        last = max(self.raw.rfind(b"\x1b[?1049h"), 0)
        return b"\x1b[?1049l" in self.raw[last:] and b"\x1b[?25h" in self.raw[last:]
