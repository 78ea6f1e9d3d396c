"""The command: what it decides for real, and how it behaves around a build.

A tiny script stands in for pip and the compiler: the real build takes minutes.
"""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import llama_wheel
import pytest
from compilers import Compiler, Cpu, Decision, Machine
from llama_wheel import PIN, Plan, SetupError, main, obtain, pinned, pip_command

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "packaging" / "llama_wheel.py"

FAKE_PIP = """\
import pathlib, sys, time
folder, mark, go = (pathlib.Path(word) for word in sys.argv[1:])
with mark.open("a") as marks:
    marks.write("built\\n")
for n in range(1, 11):
    print(f"  [{n}/10] c++ -c x.cpp", flush=True)
    while n == 5 and not go.exists():
        time.sleep(0.02)
(folder / "llama_cpp_python-0.3.36-py3-none-any.whl").write_bytes(b"wheel")
"""

DRIVER = """\
import sys
sys.path.insert(0, sys.argv[1])
import llama_wheel
llama_wheel.pip_command = lambda version, folder: [
    sys.executable, "-c", sys.argv[2], str(folder), *sys.argv[3:]
]
sys.exit(llama_wheel.main([]))
"""


def start(house: Path, mark: Path, go: Path) -> subprocess.Popen[str]:
    """The real command in a process of its own; its fake build marks its start, and awaits `go`."""
    return subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(SCRIPT.parent), FAKE_PIP, str(mark), str(go)],
        env=os.environ | {"PONDER_WHEELHOUSE": str(house)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def command(house: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *options],
        env=os.environ | {"PONDER_WHEELHOUSE": str(house)},
        capture_output=True,
        text=True,
    )


def wait_for(file: Path) -> None:
    for _ in range(400):
        if file.exists() and file.read_text():
            return
        time.sleep(0.05)
    raise AssertionError(f"{file} never came")


def test_the_pin_is_one_that_ponder_accepts() -> None:
    version = pinned(PIN.read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (wanted,) = [d for d in project["dependencies"] if d.startswith("llama-cpp-python")]
    bounds = re.fullmatch(r"llama-cpp-python>=([\d.]+),<([\d.]+)", wanted)
    assert bounds
    floor, chosen, below = (
        [int(part) for part in text.split(".")] for text in (bounds[1], version, bounds[2])
    )
    assert floor <= chosen < below


def test_pinned() -> None:
    assert pinned("# engine\nllama-cpp-python == 1.2.3\n") == "1.2.3"
    for text in ("", "llama-cpp-python>=1", "# llama-cpp-python==1"):
        with pytest.raises(SetupError):
            pinned(text)


def test_pip_neither_reuses_nor_stores_wheels(tmp_path: Path) -> None:
    words = pip_command("0.3.36", tmp_path)
    assert words[1:4] == ["-m", "pip", "wheel"]
    assert {"-v", "--no-deps", "--no-cache-dir"} <= set(words)
    assert words[words.index("--no-binary") + 1] == "llama-cpp-python"
    assert words[words.index("--wheel-dir") + 1] == str(tmp_path)
    assert words[-1] == "llama-cpp-python==0.3.36"


def test_explain_for_real(tmp_path: Path) -> None:
    done = command(tmp_path, "--explain", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert told["version"] == pinned(PIN.read_text())
    assert told["compiler"]["cxx"], "this machine has a C++ compiler"
    assert told["reason"]
    assert told["wheel"] is None
    assert Path(told["folder"]).parent == tmp_path
    assert command(tmp_path, "--where").stdout == told["folder"] + "\n"
    assert list(tmp_path.iterdir()) == [], "to look is not to touch"
    text = command(tmp_path, "--explain").stdout
    assert told["folder"] in text and told["compiler"]["cc"] in text and "not built yet" in text


def test_the_users_compiler_moves_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = command(tmp_path, "--where").stdout
    monkeypatch.setenv("CFLAGS", "-O1")
    assert command(tmp_path, "--where").stdout != before


def test_usage() -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--json"])
    assert stop.value.code == 2


def test_two_at_once_build_once(tmp_path: Path) -> None:
    house, mark, go = (tmp_path / name for name in ("house", "mark", "go"))
    first = start(house, mark, go)
    wait_for(mark)
    second = start(house, mark, go)
    assert second.stderr is not None
    assert "Another process is building" in second.stderr.readline()
    go.touch()
    (path, told), (other_path, other_told) = first.communicate(), second.communicate()
    assert (first.returncode, second.returncode) == (0, 0), told + other_told
    assert mark.read_text() == "built\n"
    assert path == other_path
    assert Path(path.strip()).read_bytes() == b"wheel"
    assert "Building" not in other_told
    assert "Building llama-cpp-python" in told and "100 %, 10 of 10" in told
    record = json.loads((Path(path.strip()).parent / "build.json").read_text())
    assert {"version", "compiler", "env", "date", "seconds", "sha256", "cpu"} <= set(record)
    third = start(house, mark, go)
    assert third.communicate() == (path, ""), "found at once, and nothing to say about it"


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_ends_the_build_and_leaves_no_half_wheel(
    tmp_path: Path, number: signal.Signals, status: int
) -> None:
    house, mark = tmp_path / "house", tmp_path / "mark"
    process = start(house, mark, tmp_path / "never")
    wait_for(mark)
    process.send_signal(number)
    path, _ = process.communicate(timeout=60)
    assert process.returncode == status
    assert path == ""
    left = {p.suffix for p in house.iterdir()}
    assert left <= {".lock", ".log"}


def plan(folder: Path) -> Plan:
    compiler = Compiler("/bin/gcc", "/bin/g++", "gcc", 12, "gcc 12.2.0")
    machine = Machine("linux", "x86_64", "glibc", Cpu("Xeon", frozenset()))
    decision = Decision(compiler, {}, "why", ("It is slow.", "To have it fast: this."))
    return Plan("0.3.36", machine, decision, dict(os.environ), folder)


def test_a_failure_is_told_with_its_last_words_and_a_hint(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "for n in range(50): print('line', n)\n"
        "print('g++: fatal error: Killed signal terminated program cc1plus')\n"
        "sys.exit(3)"
    )
    out = io.StringIO()
    with pytest.raises(SetupError) as caught:
        obtain(plan(tmp_path / "key"), lambda folder: [sys.executable, "-c", script], out)
    log = tmp_path / "key.failed.log"
    assert "exit status 3" in caught.value.message
    assert "CMAKE_BUILD_PARALLEL_LEVEL=1" in caught.value.hint
    assert str(log) in caught.value.hint
    assert "line 49" in out.getvalue() and "line 20\n" not in out.getvalue()
    assert "It is slow.\nTo have it fast: this.\n" in out.getvalue()
    assert "line 0\n" in log.read_text(), "the log is whole"
    assert not (tmp_path / "key").exists()


def test_a_command_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="could not be built"):
        obtain(plan(tmp_path / "key"), lambda folder: ["no-such-pip"], io.StringIO())


def test_errors_go_to_stderr_with_their_hint(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("PONDER_WHEELHOUSE", str(tmp_path))
    monkeypatch.setattr(llama_wheel, "PIN", tmp_path / "pin.txt")
    (tmp_path / "pin.txt").write_text("nothing\n")
    assert main(["--where"]) == 1
    streams = capsys.readouterr()
    assert streams.out == ""
    assert streams.err.startswith("error: pin.txt pins no version.\n")


def test_no_compiler_is_said_before_anything_is_fetched(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    bare = Plan("0.3.36", plan(tmp_path).machine, Decision(None), {}, tmp_path / "key")
    monkeypatch.setattr(llama_wheel, "make_plan", lambda env: bare)
    assert main([]) == 1
    assert "no C and C++ compiler" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
