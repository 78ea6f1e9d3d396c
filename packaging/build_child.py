"""A long build as a child process: started, watched, ended; its log made into progress and hints.

Knows what pip, cmake and ninja print. Refuses to know which compiler is used and where the wheel
goes. Standard library only.
"""

from __future__ import annotations

import os
import queue
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TextIO

GRACE = 10.0
"""Seconds that an interrupted build has to clean up behind itself."""

PHASES = (
    ("Collecting llama-cpp-python", "fetching the source"),
    ("Installing build dependencies", "fetching the build tools"),
    ("Preparing metadata", "unpacking"),
    ("Configuring CMake", "configuring"),
    ("*** Making wheel", "packing"),
)
HINTS = (
    (r"No space left on device", "The disk is full: a build needs about 1 GB for a while."),
    (
        r"No matching distribution found|Could not fetch URL|NewConnectionError|Name or service",
        "The package index could not be reached, or has not got it: look at `pip config list`.",
    ),
    (
        r"Killed|internal compiler error|cannot allocate memory|out of memory",
        "Memory may have run out: try again with CMAKE_BUILD_PARALLEL_LEVEL=1.",
    ),
    (
        r"No CMAKE_C(XX)?_COMPILER|is not able to compile a simple test|CMAKE_MAKE_PROGRAM is not"
        r"|not find CMake|No such file or directory: '(cmake|ninja|make)'",
        "A C++ compiler, make or cmake is missing or broken: {install}",
    ),
)
NOISE = re.compile(r"WARNING: Location|Looking in (indexes|links)|-- Installing:|^\s*$|\[notice\]")


class Progress:
    """pip's log as progress: one live line on a terminal, a line every 10 % elsewhere."""

    def __init__(self, out: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._out = out
        self._clock = clock
        self._live = out.isatty()
        self._began = clock()
        self._compiling_since: float | None = None
        self._phase = "starting"
        self._done = self._total = 0
        self._told = 0
        self._width = 0

    def read(self, line: str) -> None:
        """Take one line of the log."""
        if step := parse_step(line):
            self._done, self._total = step
            self._phase = "compiling"
            if self._compiling_since is None:
                self._compiling_since = self._clock()
            tenth = 10 * self._done // self._total
            if not self._live and tenth > self._told:
                self._told = tenth
                print(self.text(), file=self._out, flush=True)
        else:
            for mark, phase in PHASES:
                if mark in line:
                    self._phase = phase
        self.tick()

    def tick(self) -> None:
        """Redraw: time has passed."""
        if self._live:
            columns = shutil.get_terminal_size().columns
            text = self.text()[: max(columns - 1, 1)]
            self._out.write(f"\r{text:<{min(self._width, columns - 1)}}")
            self._out.flush()
            self._width = len(text)

    def close(self) -> None:
        """Leave the live line behind."""
        if self._live and self._width:
            self._out.write("\n")
            self._out.flush()

    def text(self) -> str:
        """What the line says now."""
        now = self._clock()
        elapsed = minutes(now - self._began)
        if self._phase != "compiling" or self._compiling_since is None:
            return f"llama.cpp: {self._phase}, {elapsed} so far"
        percent = 100 * self._done // self._total
        text = f"llama.cpp: {percent:3} %, {self._done} of {self._total}, {elapsed} so far"
        spent = now - self._compiling_since
        if spent >= 5 and self._done < self._total:
            text += f", about {minutes(spent / self._done * (self._total - self._done))} left"
        return text


def parse_step(line: str) -> tuple[int, int] | None:
    """How far the compiler is: ninja says `[12/193]`, make says `[ 12%]`."""
    match = re.match(r"\s*\[\s*(\d+)(?:/(\d+)|%)\] ", line)
    if not match:
        return None
    done, total = int(match[1]), int(match[2] or 100)
    return (done, total) if 0 < done <= total else None


def minutes(seconds: float) -> str:
    """As `2:05`, of minutes and seconds."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def run_build(
    command: Sequence[str], env: Mapping[str, str], log: Path, progress: Progress
) -> None:
    """Run a build as a child: its words to `log` and `progress`. Dies with us, leaves no litter."""
    with (
        tempfile.TemporaryDirectory(prefix="ponder-build-", ignore_cleanup_errors=True) as scratch,
        log.open("w", encoding="utf-8") as out,
        subprocess.Popen(
            command,
            env=_child_env(env, scratch),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,  # Ctrl-C reaches us alone, and the whole family is ours to end
        ) as child,
    ):
        lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        assert child.stdout is not None
        threading.Thread(target=_pump, args=(child.stdout, lines), daemon=True).start()
        try:
            while True:
                try:
                    line = lines.get(timeout=0.5)
                except queue.Empty:
                    progress.tick()
                    continue
                if line is None:
                    break
                out.write(line)
                progress.read(line)
            status = child.wait()
        finally:
            progress.close()
            _end(child)
    if status:
        raise subprocess.CalledProcessError(status, list(command))


def _child_env(env: Mapping[str, str], scratch: str) -> dict[str, str]:
    """Its litter where we sweep; and a make above us does not steer the make below us."""
    kept = {k: v for k, v in env.items() if k not in {"MAKEFLAGS", "MFLAGS", "MAKELEVEL"}}
    return kept | dict.fromkeys(("TMPDIR", "TEMP", "TMP"), scratch)


def _pump(stream: TextIO, lines: queue.SimpleQueue[str | None]) -> None:
    for line in stream:
        lines.put(line)
    lines.put(None)


def _end(child: subprocess.Popen[str]) -> None:
    """Make sure that a child and all that it started are gone. pip cleans up on an interrupt."""
    if child.poll() is not None:
        return
    _signal(child, signal.SIGINT)
    with suppress(subprocess.TimeoutExpired):
        child.wait(GRACE)
    _signal(child, getattr(signal, "SIGKILL", signal.SIGTERM))
    child.wait()


def _signal(child: subprocess.Popen[str], number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(child.pid, number)
        else:
            child.terminate()


def last_words(log: str, count: int = 30) -> list[str]:
    """The last lines of a log that mean something, each short enough to read."""
    telling = [line.rstrip() for line in log.splitlines() if not NOISE.search(line)]
    return [line if len(line) <= 240 else line[:237] + "..." for line in telling[-count:]]


def hint_for(log: str, install: str) -> str:
    """What to do about a build that failed; "" where the log says nothing known.

    `install` says how compilers are installed here.
    """
    for pattern, hint in HINTS:
        if re.search(pattern, log):
            return hint.format(install=install)
    return ""
