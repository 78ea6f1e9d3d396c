"""`ponder pull` as a child process that is killed at a byte or at an event of one's choice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ponder
from library.hub_server import PIECE, Hub

WINDOW = 128 * 1024
"""Bytes that a server may be ahead of what has reached the disk."""
PATIENCE = 60.0
"""Seconds for anything to happen at all."""


@dataclass
class Child:
    """A pull that runs; its events as they come."""

    process: subprocess.Popen[str]
    errors: list[str] = field(default_factory=list)

    def events(self) -> Iterator[dict[str, Any]]:
        """What it tells, until it ends."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            yield json.loads(line)

    def end(self) -> int:
        """Wait for its end; gives the exit code."""
        for _ in self.events():
            pass
        assert self.process.stderr is not None
        self.errors.append(self.process.stderr.read())
        self.process.wait(PATIENCE)
        self.process.stdout.close()  # type: ignore[union-attr]
        self.process.stderr.close()
        return self.process.returncode


def start(said: str, *options: str, env: dict[str, str] | None = None) -> Child:
    """Begin a pull."""
    source = str(Path(ponder.__file__).parents[1])
    environment = os.environ | {"PYTHONPATH": source, "HF_HUB_DISABLE_TELEMETRY": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "ponder", "pull", said, "--json", *options],
        env=environment | (env or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    return Child(process)


def killed_at_byte(
    hub: Hub, said: str, partial: Path, at: int, how: signal.Signals = signal.SIGKILL
) -> Child:
    """A pull that is killed when the server is about to send a byte; gives its remains.

    The server waits for the disk, so that what lies in the kernel's buffers is no part of it.
    """
    child: list[Child] = []
    ready, done = threading.Event(), threading.Event()

    def pieces(path: str, position: int) -> None:
        if done.is_set() or not path.startswith("/cdn/"):
            return
        keep_pace(partial, position)
        if position + PIECE > at:
            done.set()
            ready.wait(PATIENCE)
            child[0].process.send_signal(how)
            child[0].process.wait(PATIENCE)

    hub.pieces = pieces
    child.append(start(said))
    ready.set()
    child[0].end()
    hub.pieces = lambda _path, _at: None
    assert done.is_set(), child[0].errors
    return child[0]


def keep_pace(partial: Path, position: int) -> None:
    """Wait until most of what was sent is on the disk."""
    limit = time.monotonic() + PATIENCE
    while time.monotonic() < limit:
        try:
            if partial.stat().st_size >= position - WINDOW:
                return
        except FileNotFoundError:
            if position <= WINDOW or partial.with_suffix("").exists():
                return
        time.sleep(0.0005)


def killed_at_event(said: str, kind: str, **fields: object) -> bool:
    """A pull that is killed when it tells of something; whether it came to that."""
    child = start(said)
    hit = False
    for event in child.events():
        if event["event"] == kind and fields.items() <= event.items():
            child.process.kill()
            hit = True
            break
    child.end()
    return hit
