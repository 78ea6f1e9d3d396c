"""The main job in a real pseudo-terminal, as its user meets it: start, stop, kill, pipe."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path

import pexpect
import pytest

from e2e.terminal import ENDLESS, Terminal, endless_model

PONDER = [sys.executable, "-m", "ponder"]
QUESTION = "Mia has 38 marbles. She buys 47 more marbles. How many marbles does Mia have now?"

Endless = Callable[[int], list[str]]


@pytest.fixture
def endless(tmp_path: Path) -> Endless:
    """Options with which it thinks until somebody ends it, in so many tokens of context."""

    def options(ctx: int) -> list[str]:
        model = str(endless_model(tmp_path / "weights"))
        limits = ["--floor", str(ctx - 2048), "--no-loops", "--ctx", str(ctx)]
        return ["--model", model, *limits, "--seed", "1"]

    return options


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


def spawn(home: Path, *arguments: str, **more: str) -> pexpect.spawn[str]:
    return pexpect.spawn(
        PONDER[0],
        [*PONDER[1:], *arguments],
        env=environment(home, **more),
        encoding="utf-8",
        timeout=60,
        dimensions=(24, 80),
    )


def finish(child: pexpect.spawn[str]) -> str:
    child.expect(pexpect.EOF)
    child.close()
    return child.before or ""


def test_a_question_is_thought_about_and_answered(home: Path) -> None:
    child = spawn(home, "ask", "--budget", "30", "--seed", "1", QUESTION)
    shown = finish(child)
    assert child.exitstatus == 0
    assert "everyday arithmetic" in shown
    assert "\x1b[2m" in shown  # the thinking is dimmed
    assert "\x1b[33m" in shown  # ponder's words are tinted
    assert "⟦closing: Considering" in shown
    assert "/30 tokens" in shown
    assert shown.index("Considering") < shown.index("[85]") < shown.index("finish: cap")


def test_without_colour_nothing_is_coloured(home: Path) -> None:
    child = spawn(home, "ask", "--budget", "30", "--seed", "1", QUESTION, NO_COLOR="1")
    shown = finish(child)
    assert "\x1b[33m" not in shown
    assert "⟦closing: Considering" in shown


def test_a_dumb_terminal_is_served_plainly(home: Path) -> None:
    child = spawn(home, "ask", "--budget", "30", "--seed", "1", QUESTION, TERM="dumb")
    shown = finish(child)
    assert "\x1b" not in shown
    assert "[85]" in shown  # a terminal is shown \\boxed{85} like this


def test_ctrl_c_ends_a_stream_and_tells_how_far_it_came(home: Path, endless: Endless) -> None:
    child = spawn(home, "ask", *endless(ENDLESS), QUESTION)
    before = termios.tcgetattr(child.child_fd)
    child.expect("Wait")
    child.sendintr()
    shown = finish(child)
    assert child.exitstatus == 130
    assert "finish: cancelled" in shown
    assert "Traceback" not in shown
    assert before[3] & termios.ECHO


@pytest.mark.parametrize(
    ("sign", "status"), [(signal.SIGTERM, 128 + signal.SIGTERM), (signal.SIGKILL, None)]
)
def test_killed_in_the_middle_nothing_is_lost(
    home: Path, endless: Endless, sign: signal.Signals, status: int | None
) -> None:
    child = spawn(home, "ask", *endless(ENDLESS), QUESTION)
    child.expect("Wait")
    child.kill(sign)
    shown = finish(child)
    assert "Traceback" not in shown
    if status is None:
        assert child.signalstatus == sign
    else:
        assert child.exitstatus == status
    assert not [path for path in home.rglob("*") if path.name.endswith(".tmp")]
    again = spawn(home, "ask", "--seed", "1", QUESTION)
    assert "[85]" in finish(again)
    assert again.exitstatus == 0


def test_a_closed_pipe_is_no_error(home: Path, endless: Endless) -> None:
    child = subprocess.Popen(
        [*PONDER, "ask", "--json", *endless(ENDLESS), QUESTION],
        env=environment(home),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stderr is not None
    assert child.stdout.readline().startswith("{")
    child.stdout.close()
    err = child.stderr.read()
    child.stderr.close()
    assert child.wait(60) == 141
    assert err == ""


def test_a_full_disk_is_told(home: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*PONDER, "ask", "--seed", "1", QUESTION],
            env=environment(home),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode != 0
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr


def test_traces_vote_in_one_line_and_the_winner_is_told(home: Path) -> None:
    terminal = Terminal(home, "ask", "--traces", "8", "--seed", "1", QUESTION, lines=40)
    assert terminal.end() == 0
    lines = terminal.text.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("thinking "))
    assert "[85]" in terminal.text
    assert " of 8: 85" in "".join(lines[at:])
    # The line of progress was there, and is gone.
    assert b"traces run" in terminal.raw
    assert "traces run" not in terminal.text
    assert terminal.text.count("[85]") == 1


def test_ctrl_c_ends_all_traces_and_tells_who_had_answered(home: Path, endless: Endless) -> None:
    child = spawn(home, "ask", "--traces", "4", *endless(ENDLESS // 4), QUESTION)
    child.expect("4 traces run")
    child.sendintr()
    shown = finish(child)
    assert child.exitstatus == 130
    assert "4 of 4: not finished" in shown
    assert "cancelled before it was decided" in shown
    assert "Traceback" not in shown
    assert shown.count("\x1b[?25h") >= 1  # the cursor is back
