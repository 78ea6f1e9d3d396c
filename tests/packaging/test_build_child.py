"""A build's log as progress and as hints."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from subprocess import CalledProcessError

import pytest
from build_child import Progress, hint_for, last_words, minutes, parse_step, run_build

# From a real `pip wheel -v`; commands cut short.
LOG = """\
Looking in indexes: https://pypi.org/simple
Collecting llama-cpp-python==0.3.36
  Downloading llama_cpp_python-0.3.36.tar.gz (76.6 MB)
     ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━ 76.6/76.6 MB 219.5 MB/s eta 0:00:00
  Installing build dependencies: started
  Installing build dependencies: finished with status 'done'
  Preparing metadata (pyproject.toml): started
Building wheels for collected packages: llama-cpp-python
  *** Configuring CMake...
  -- ggml version: 0.25.3
  *** Building project with Ninja...
  [1/193] /usr/bin/clang++-19 -DGGML_BUILD -DGGML_SHARED -c ggml.cpp
  [2/193] /usr/bin/clang-19 -DGGML_BUILD -DGGML_SHARED -c ggml.c
  /tmp/ggml.c:12:3: warning: [3/4] is not progress
  [97/193] : && /usr/bin/clang++-19 -fPIC -O3 -DNDEBUG -shared -o bin/libllama.so
  [193/193] : && /usr/bin/clang++-19 -shared -o bin/libmtmd.so
  *** Making wheel...
Successfully built llama-cpp-python
"""


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_steps_of_ninja_and_of_make() -> None:
    steps = [step for line in LOG.splitlines() if (step := parse_step(line))]
    assert steps == [(1, 193), (2, 193), (97, 193), (193, 193)]
    assert parse_step("  [ 12%] Building C object ggml.c.o") == (12, 100)
    assert parse_step("[100%] Built target llama") == (100, 100)


@pytest.mark.parametrize(
    "line", ["", "[0/0] x", "[5/3] x", "[notice] new pip", "x [1/2] y", "[1/2]", "[  0%] x"]
)
def test_what_is_no_step(line: str) -> None:
    assert parse_step(line) is None


def test_a_line_every_tenth_where_there_is_no_terminal() -> None:
    out = io.StringIO()
    progress = Progress(out, Clock())
    for n in range(1, 194):
        progress.read(f"  [{n}/193] /usr/bin/c++ -c x.cpp\n")
        progress.tick()
    progress.close()
    lines = out.getvalue().splitlines()
    assert len(lines) == 10
    assert lines[0].startswith("llama.cpp:  10 %, 20 of 193")
    assert lines[-1].startswith("llama.cpp: 100 %, 193 of 193")


def test_phases_and_time_left() -> None:
    clock = Clock()
    progress = Progress(io.StringIO(), clock)
    said = []
    for line in LOG.splitlines():
        progress.read(line)
        clock.now += 10
        said.append(progress.text())
    for phase in ("fetching the source", "fetching the build tools", "unpacking", "configuring"):
        assert any(phase in text for text in said), phase
    at_97 = next(text for text in said if "97 of 193" in text)
    # 40 seconds since the first of them, 97 done: 96 more take 39.6.
    assert at_97 == "llama.cpp:  50 %, 97 of 193, 2:30 so far, about 0:39 left"
    assert "packing" in said[-1]


def test_one_line_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    out = Terminal()
    progress = Progress(out, Clock())
    for line in LOG.splitlines():
        progress.read(line)
    progress.close()
    text = out.getvalue()
    assert text.count("\n") == 1 and text.endswith("\n")
    drawn = text.rstrip("\n").split("\r")
    assert max(len(line) for line in drawn) < 40
    assert "\x1b" not in text


def test_minutes() -> None:
    assert [minutes(s) for s in (0, 59.9, 60, 3725)] == ["0:00", "0:59", "1:00", "62:05"]


def test_last_words_are_the_telling_ones() -> None:
    log = "".join(f"line {n}\n\n  -- Installing: x{n}\n" for n in range(50)) + "y" * 500
    words = last_words(log)
    assert len(words) == 30
    assert words[0] == "line 21"
    assert len(words[-1]) == 240 and words[-1].endswith("...")
    assert last_words("") == []


@pytest.mark.parametrize(
    ("log", "hint"),
    [
        ("fatal error: error writing to x: No space left on device", "disk"),
        ("ERROR: No matching distribution found for llama-cpp-python==0.3.36", "index"),
        ("c++: fatal error: Killed signal terminated program cc1plus", "PARALLEL_LEVEL"),
        ("  No CMAKE_CXX_COMPILER could be found.", "apt install build-essential"),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'ninja'", "apt install"),
    ],
)
def test_hints(log: str, hint: str) -> None:
    assert hint in hint_for(log, "apt install build-essential")


def test_no_hint_where_nothing_is_known() -> None:
    assert hint_for("error: expected ';'", "apt install build-essential") == ""


def test_a_child_is_logged_watched_and_kept_apart(tmp_path: Path) -> None:
    script = (
        "import os, tempfile; print('[1/1] x'); print(tempfile.gettempdir()); "
        "print(os.environ.get('MAKEFLAGS'), os.environ['CC'], b'\\xff')"
    )
    out, log = io.StringIO(), tmp_path / "log"
    env = dict(os.environ) | {"MAKEFLAGS": "k", "CC": "clang-19"}
    run_build([sys.executable, "-c", script], env, log, Progress(out))
    step, scratch, told = log.read_text().splitlines()
    assert step == "[1/1] x"
    assert "ponder-build-" in scratch and not Path(scratch).exists()
    assert told.startswith("None clang-19")
    assert "100 %" in out.getvalue()


def test_a_child_that_fails(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; sys.exit('no')"]
    with pytest.raises(CalledProcessError):
        run_build(command, os.environ, tmp_path / "log", Progress(io.StringIO()))
    assert (tmp_path / "log").read_text() == "no\n"
