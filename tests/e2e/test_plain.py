"""The chat by lines, in a real pseudo-terminal that only prints, as a screen reader has it."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pexpect
import pytest

from e2e.terminal import GUARD, PONDER, environment

QUESTION = "Mia has 38 marbles. She buys 47 more marbles. How many marbles does Mia have now?"
LONG = "[budget]\nfloor = 1400\n"


def chat(home: Path, *arguments: str, config: str = "", **more: str) -> pexpect.spawn[str]:
    home.mkdir(exist_ok=True)
    (home / "config.toml").write_text(config)
    child: pexpect.spawn[str] = pexpect.spawn(
        PONDER[0],
        [*PONDER[1:], "chat", *arguments],
        env=environment(home, **more),
        encoding="utf-8",
        timeout=GUARD,
    )
    child.expect_exact("question:\r\n")
    return child


def test_a_dumb_terminal_is_talked_to(home: Path) -> None:
    child = chat(home, TERM="dumb")
    child.sendline(QUESTION)
    child.expect(r"thinking, at most [\d,]+ tokens\r\n")
    child.expect(r"thought \d+ of [\d,]+ tokens, closed")
    thinking = child.before or ""
    child.expect_exact("answer:\r\n")
    child.expect_exact("question:\r\n")
    assert "[85]" in (child.before or "")
    child.sendline("/quit")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    assert not set("\x1b\x08") & set(thinking + (child.before or ""))
    assert not [line for line in thinking.split("\r\n") if "\r" in line]  # nothing is drawn over


def test_ctrl_c_stops_a_question_and_not_the_chat(home: Path) -> None:
    child = chat(home, "--plain", config=LONG)
    child.sendline(QUESTION)
    child.expect_exact("ponder adds: Wait")
    child.sendintr()
    child.expect_exact("stopped")
    child.expect_exact("question:\r\n")
    child.sendintr()
    child.expect_exact("/quit leaves")
    child.sendeof()
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGHUP])
def test_ended_in_the_middle_nothing_is_lost(home: Path, sign: signal.Signals) -> None:
    child = chat(home, "--plain", config=LONG)
    child.sendline(QUESTION)
    child.expect_exact("ponder adds: Wait")
    child.kill(sign)
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 128 + sign
    done = subprocess.run(
        [*PONDER, "history", "show", "last", "--json"],
        env=environment(home), capture_output=True, text=True, check=True,
    )  # fmt: skip
    (turn,) = json.loads(done.stdout)["turns"]
    assert turn["trace"]["finish"] == "cancelled"


def test_a_locale_of_ascii_is_no_end(home: Path) -> None:
    done = subprocess.run(
        [*PONDER, "chat", "--plain"],
        env=environment(home, LANG="C", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0"),
        input="What is 12 + 30 — naïve?\n".encode(),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert b"answer:" in done.stdout
