"""A child process that does algebra: started when first asked, killed when it overruns.

Knows processes, time and memory. Refuses to know mathematics: that is `algebra`, which only
the child imports. The same on Linux, macOS and Windows: a Python of its own with pipes, no
fork, no signals. A child that is killed is started again for the next question.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

import psutil

STARTING = 60.0
"""Seconds in which the libraries have to be loaded: a cold disk, a busy machine."""
_LOOK = 0.05
"""Seconds between two looks at a child that computes."""
_MAPPED = 4
"""Address space per memory that is really used: on Linux the system itself holds the child to
this many times `memory`, since a big sum can outgrow `memory` between two looks."""


class Overrun(Exception):
    """The child took too long, or too much, or died; it is gone."""


class Unusable(Exception):
    """No child comes up: the libraries are missing or broken. Says why."""


class Child:
    """One process, one question at a time; threads wait for each other."""

    def __init__(self, seconds: float, memory: int, command: Sequence[str] = ()) -> None:
        """Start nothing yet.

        Args:
            seconds: for one question.
            memory: bytes the child may have resident.
            command: the program to run; `algebra` by this Python if empty.
        """
        self.seconds = seconds
        self.memory = memory
        self.starts = 0
        """How often a process was started."""
        self._command = list(command) or [
            sys.executable,
            "-P",  # the user's folder may hold a sympy.py
            "-m",
            "ponder.equality.algebra",
            str(memory * _MAPPED),
            # Its own guard only matters when this process is gone.
            str(2 * seconds),
        ]
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()

    def ask(self, *expressions: str) -> bool:
        """Ask about one expression (can it be read?) or two (are they equal?).

        Raises:
            Overrun: it took longer than `seconds` or more than `memory`, or died of it.
            Unusable: no process comes up.
        """
        with self._lock:
            process = self._process or self._start()
            try:
                return self._answer(process, json.dumps(expressions), self.seconds)
            except BaseException:
                self._end()
                raise

    def close(self) -> None:
        """End the process, if there is one; the next question starts another."""
        with self._lock:
            self._end()

    def _start(self) -> subprocess.Popen[str]:
        try:
            process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                encoding="ascii",
                errors="replace",
            )
        except OSError as error:
            raise Unusable(f"its process cannot be started: {error.strerror}") from error
        self.starts += 1
        self._process = process
        try:
            self._answer(process, None, STARTING)
        except Overrun as overrun:
            self._end()
            raise Unusable(f"its process does not come up: {overrun}") from overrun
        except BaseException:
            self._end()
            raise
        return process

    def _answer(self, process: subprocess.Popen[str], question: str | None, seconds: float) -> bool:
        assert process.stdin is not None and process.stdout is not None
        answered = threading.Event()
        trouble: list[str] = []
        watch = threading.Thread(
            target=self._watch, args=(process, seconds, answered, trouble), daemon=True
        )
        watch.start()
        try:
            with contextlib.suppress(OSError):  # a dead child is told by the empty line below
                if question is not None:
                    process.stdin.write(question + "\n")
                    process.stdin.flush()
            line = process.stdout.readline()
        finally:
            answered.set()
            watch.join()
        if line not in ("true\n", "false\n"):
            raise Overrun(trouble[0] if trouble else "it died")
        return line == "true\n"

    def _watch(
        self,
        process: subprocess.Popen[str],
        seconds: float,
        answered: threading.Event,
        trouble: list[str],
    ) -> None:
        """Kill a child that overruns, which ends the wait for its answer."""
        end = time.monotonic() + seconds
        while not answered.wait(_LOOK):
            if time.monotonic() > end:
                trouble.append(f"no answer in {seconds:g} seconds")
            elif _resident(process.pid) > self.memory:
                trouble.append("out of memory")
            if trouble:
                process.kill()
                return

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        # Closing flushes what the dead child did not read.
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        process.wait()


def _resident(pid: int) -> int:
    """Bytes that a process holds; 0 if it is gone."""
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0
