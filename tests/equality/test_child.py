"""The child that does algebra is limited, killed, started again, and leaves nothing behind.

All with real processes; programs of a line stand in for libraries that hang or break.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from ponder.equality.child import Child, Overrun, Unusable

MEGABYTE = 1 << 20
TOWER = "9^{9^{9^9}}"


def program(answer: str) -> list[str]:
    """A child that comes up and then does this for an answer."""
    return [
        sys.executable,
        "-c",
        "import os, sys, time\n"
        "print('true', flush=True)\n"
        "for line in sys.stdin:\n"
        f"    {answer}\n"
        "    print('true', flush=True)",
    ]


@pytest.fixture
def child() -> Iterator[Child]:
    one = Child(3.0, 512 * MEGABYTE)
    yield one
    one.close()


def test_algebra_that_hangs_is_killed_and_the_next_question_answered(child: Child) -> None:
    assert child.starts == 0
    assert child.ask("x+1", "1+x")
    with pytest.raises(Overrun, match="no answer in 3 seconds"):
        child.ask(TOWER, "1")
    assert child.ask(r"\sqrt{8}", r"2\sqrt{2}")
    assert not child.ask(r"\sqrt{8}", r"2\sqrt{3}")
    assert child.starts == 2


def test_memory_is_watched() -> None:
    hungry = Child(
        600, 100 * MEGABYTE, program("hoard = [bytearray(1 << 20) for _ in iter(int, 1)]")
    )
    with pytest.raises(Overrun, match="out of memory"):
        hungry.ask("x")


def test_the_system_holds_the_real_child_to_its_memory() -> None:
    """In case it grows faster than anybody looks; on Linux alone."""
    child = Child(60, 150 * MEGABYTE)
    try:
        # A gigabyte, and then four: killed when seen, else refused by the system.
        for power in (33, 35):
            try:
                assert not child.ask(f"2^{{2^{{{power}}}}}", "5")
            except Overrun as overrun:
                assert "memory" in str(overrun)
        assert child.ask("x+x", "2x")
    finally:
        child.close()


@pytest.mark.parametrize(
    "answer",
    [
        "os._exit(3)",
        "os.abort()",
        "print('perhaps')",
        "os.write(1, bytes([255, 10]))",
        "os.close(1); time.sleep(99)",
    ],
)
def test_a_child_that_dies_or_raves_is_no_answer(answer: str) -> None:
    child = Child(60, 512 * MEGABYTE, program(answer))
    for start in (1, 2):
        with pytest.raises(Overrun):
            child.ask("x", "y")
        assert child.starts == start
    child.close()


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ([sys.executable, "-c", "import no_such_library"], "does not come up"),
        (["/no/such/python"], "cannot be started"),
    ],
)
def test_a_child_that_never_comes_up_says_why(command: list[str], why: str) -> None:
    with pytest.raises(Unusable, match=why):
        Child(1, MEGABYTE, command).ask("x")


def test_the_folder_one_works_in_is_not_searched_for_libraries(
    child: Child, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("sympy", "math_verify", "json"):
        (tmp_path / f"{name}.py").write_text("import os; os._exit(1)", encoding="utf-8")
    assert child.ask("x+1", "1+x")


def test_no_child_outlives_a_parent_that_is_killed() -> None:
    source = (
        "import threading, time\n"
        "from ponder.equality.child import Child\n"
        "child = Child(0.5, 1 << 29)\n"
        "child.ask('x')\n"
        "print(child._process.pid, flush=True)\n"
        "child._watch = lambda *_: None\n"
        f"child.ask({TOWER!r}, '1')\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", source], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        orphan = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    orphan.wait(timeout=60)
    assert not orphan.is_running()


def test_closing_twice_and_before_anything_is_nothing(child: Child) -> None:
    child.close()
    assert child.ask("x")
    child.close()
    child.close()
    assert child.ask("x")
    assert child.starts == 2
