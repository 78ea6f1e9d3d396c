"""The chat in a real pseudo-terminal, on the built-in model, as its users have it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from e2e.terminal import ENDLESS, GUARD, PONDER, Terminal, endless_model, environment

QUESTION = "Mia has 38 marbles. She buys 47 more marbles. How many marbles does Mia have now?"
F2, F3, F4, F6, ESC = "\x1bOQ", "\x1bOR", "\x1bOS", "\x1b[17~", "\x1b"
CTRL_B, CTRL_N, CTRL_O, CTRL_Q, CTRL_R, CTRL_T = "\x02", "\x0e", "\x0f", "\x11", "\x12", "\x14"

Open = Callable[..., Terminal]


@pytest.fixture
def open_chat(home: Path) -> Iterator[Open]:
    opened: list[Terminal] = []

    def start(
        *arguments: str, config: str = "", lines: int = 24, columns: int = 80, **more: str
    ) -> Terminal:
        home.mkdir(exist_ok=True)
        (home / "config.toml").write_text(config)
        terminal = Terminal(home, *arguments, lines=lines, columns=columns, **more)
        opened.append(terminal)
        terminal.until(lambda text: "budget:" in text and "ponder-tiny" in text.split("\n")[0])
        terminal.until(lambda text: "loading" not in text.split("\n")[0])
        return terminal

    yield start
    for terminal in opened:
        with suppress(OSError):  # one of them has lost its terminal
            terminal.child.close(force=True)


@pytest.fixture
def endless(tmp_path: Path) -> str:
    """Settings with which it thinks until somebody ends it."""
    model = endless_model(tmp_path / "weights")
    # An answer to nonsense would be as long.
    limits = f"[budget]\nfloor = {ENDLESS - 2048}\nloops = false\nmax_answer = 64\n"
    return f'model = "{model}"\n{limits}[engine]\nctx = {ENDLESS}\n'


def history(home: Path, *arguments: str) -> Any:
    done = subprocess.run(
        [*PONDER, "history", *arguments, "--json"],
        env=environment(home),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def thinking(text: str) -> int:
    """Thinking tokens so far, as the heading tells them; 0 before."""
    found = re.search(r"thinking +([0-9,]+)/", text)
    return int(found[1].replace(",", "")) if found else 0


def trace_lines(text: str) -> list[str]:
    """The lines of the trace that are on the screen."""
    lines = text.split("\n")
    return [line for line in lines if re.match(r" {4}\S", line)]


def test_the_first_question(open_chat: Open) -> None:
    chat = open_chat()
    chat.send(QUESTION + "\r")
    shown = chat.until("closed: the model closed its thinking itself")
    assert "85" in shown
    assert re.search(r"▸ thought +\d+/[\d,]+ tokens +in .* closed", shown)
    chat.send(CTRL_Q)
    assert chat.end() == 0
    assert chat.is_restored()


def test_fold_and_unfold_while_it_streams(open_chat: Open, endless: str) -> None:
    chat = open_chat(config=endless)
    chat.send(QUESTION + "\r")
    chat.until(lambda text: "▾ thinking" in text and thinking(text) > 50)
    chat.send(CTRL_T)  # from the tail to all of it
    chat.until(lambda text: len(trace_lines(text)) > 8)
    chat.send(CTRL_T)  # and closed
    folded = chat.until("▸ thinking")
    assert not trace_lines(folded)
    later = chat.until(lambda text: "▸ thinking" in text and thinking(text) > thinking(folded))
    assert not trace_lines(later)
    chat.send(CTRL_T)
    chat.until(lambda text: len(trace_lines(text)) > 8)
    chat.send(ESC)
    chat.until("cancelled")
    assert trace_lines(chat.text)  # what was unfolded by hand stays so


def test_answer_now(open_chat: Open, endless: str, home: Path) -> None:
    chat = open_chat(config=endless)
    chat.send(QUESTION + "\r")
    chat.until(lambda text: thinking(text) > 20)
    chat.send(F2)
    chat.until("user: the answer was asked for")
    chat.send(CTRL_Q)
    assert chat.end() == 0
    (turn,) = history(home, "show", "last")["turns"]
    assert turn["trace"]["finish"] == "user"
    assert turn["trace"]["budget_events"][-1]["change"] == "answer now"
    assert turn["trace"]["usage"]["answer"] > 0


def test_cancel_and_ask_again(open_chat: Open, endless: str, home: Path) -> None:
    chat = open_chat(config=endless)
    chat.send(QUESTION + "\r")
    chat.until(lambda text: thinking(text) > 20)
    chat.send(ESC)
    chat.until("cancelled")
    chat.send("What is 12 + 30?\r")
    chat.until(lambda text: thinking(text) > 20)
    chat.send(F2)
    chat.until("user: the answer was asked for")
    chat.send(CTRL_Q)
    assert chat.end() == 0
    first, second = history(home, "show", "last")["turns"]
    assert first["trace"]["finish"] == "cancelled"
    assert first["spans"]
    assert second["trace"]["finish"] == "user"


def test_quit_and_reopen(open_chat: Open) -> None:
    chat = open_chat(lines=40)
    chat.send(QUESTION + "\r")
    first = chat.until("closed: the model closed its thinking itself")
    chat.send(CTRL_T)
    chat.until("▾ thought")
    chat.send(CTRL_Q)
    assert chat.end() == 0
    again = open_chat("--continue", lines=40)
    shown = again.until("closed: the model closed its thinking itself")
    again.until("▾ thought")  # folded as it was left

    def receipt(text: str) -> str:
        return next(line for line in text.split("\n") if "closed: the" in line)

    assert receipt(shown) == receipt(first)
    again.send("What is 12 + 30?\r")
    again.until(lambda text: "42" in text and text.count("closed: the") >= 1)


def test_levers_change_the_budget_of_a_question_that_runs(
    open_chat: Open, endless: str, home: Path
) -> None:
    chat = open_chat("--budget", str(ENDLESS - 2048), config=endless)
    chat.send(QUESTION + "\r")
    chat.until(lambda text: thinking(text) > 20)
    chat.send(F3)
    chat.until(f"/{ENDLESS - 2048 + 512:,}")
    chat.send(F4)
    chat.send(F2)
    chat.until("user: the answer was asked for")
    chat.send(CTRL_Q)
    assert chat.end() == 0
    (turn,) = history(home, "show", "last")["turns"]
    changes = [event["change"] for event in turn["trace"]["budget_events"]]
    assert {"extend", "wait"} <= set(changes)
    assert turn["trace"]["budget"] == ENDLESS - 2048 + 512


def test_the_budget_is_set_from_the_keyboard(open_chat: Open) -> None:
    chat = open_chat()
    chat.send(CTRL_B)
    chat.until("Thinking budget")
    chat.send("12 apples\r")
    chat.until("is no budget")
    for _ in "12 apples":
        chat.send("\x7f")
        chat.read()
    chat.until(lambda text: "12 apples  " not in text)
    chat.send("20\r")
    chat.until("budget: 20 tokens")
    chat.send(QUESTION + "\r")
    chat.until("cap: the thinking budget was spent")
    chat.until("/20 tokens")


def test_what_ends_a_thought_early_is_given_on_the_command_line(
    open_chat: Open, home: Path
) -> None:
    chat = open_chat("chat", "--within", "2m", "--stop", "confident:0,every=4")
    chat.until("within 2 min 00 s, stop confident:0,every=4")
    chat.send(QUESTION + "\r")
    chat.until(lambda text: "[85]" in text and "converged" in text)
    (found,) = history(home, "show", "1")["turns"]
    assert (found["trace"]["finish"], found["trace"]["within"]) == ("converged", 120)
    assert found["trace"]["usage"]["probe"] > 0


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_ended_in_the_middle_nothing_is_lost(
    open_chat: Open, endless: str, home: Path, sign: signal.Signals
) -> None:
    chat = open_chat(config=endless)
    chat.send(QUESTION + "\r")
    shown = chat.until(lambda text: thinking(text) > 100)
    chat.child.kill(sign)
    status = chat.end()
    assert b"Traceback" not in chat.raw
    if sign == signal.SIGKILL:
        assert chat.child.signalstatus == sign
    else:
        assert status == 128 + sign
        assert chat.is_restored()
    (turn,) = history(home, "show", "last")["turns"]
    assert turn["question"] == QUESTION
    kept = "".join(span["text"] for span in turn["spans"])
    tail = [line.strip() for line in shown.split("\n") if line.strip().startswith(("So ", "First"))]
    assert all(line in " ".join(kept.split()) for line in tail)
    assert len(kept) > 100
    again = open_chat("--continue")
    again.until("cancelled" if sign != signal.SIGKILL else "unfinished")


def test_a_terminal_that_goes_away_ends_it(open_chat: Open, endless: str, home: Path) -> None:
    chat = open_chat(config=endless)
    chat.send(QUESTION + "\r")
    chat.until(lambda text: thinking(text) > 50)
    pid = chat.child.pid
    assert pid is not None
    os.close(chat.child.child_fd)
    chat.child.closed = True
    chat.child.child_fd = -1
    began = time.monotonic()
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended or time.monotonic() - began > GUARD:
            break
        time.sleep(0.05)
    assert ended, "it does not end"
    assert os.WIFEXITED(status)
    (turn,) = history(home, "show", "last")["turns"]
    assert turn["trace"]["finish"] == "cancelled"


def test_resized_while_it_streams(open_chat: Open, endless: str) -> None:
    chat = open_chat(config=endless)
    chat.send(QUESTION + "\r")
    for lines, columns in ((50, 200), (10, 40), (24, 80), (5, 20), (30, 100)):
        chat.resize(lines, columns)
        chat.read()
    chat.until(lambda text: thinking(text) > 0 and "budget:" in text)
    chat.send(F2)
    chat.until("user: the answer was asked for")


def test_resized_again_and_again_while_it_streams(open_chat: Open, endless: str) -> None:
    chat = open_chat(config=endless)
    chat.send(QUESTION + "\r")
    chat.until(lambda text: thinking(text) > 0)
    sizes = [(24, 80), (50, 200), (8, 40), (30, 300), (3, 10)]
    for turn in range(40):
        chat.resize(*sizes[turn % len(sizes)])
        chat.read()  # waits for 50 ms at most
    chat.resize(24, 80)
    chat.send(F2)
    chat.until("user: the answer was asked for")
    chat.send(CTRL_Q)
    assert chat.end() == 0
    assert chat.is_restored()


@pytest.mark.parametrize(
    "terminal",
    [
        {"LANG": "C", "LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"TERM": "xterm", "COLORTERM": ""},
        {"TERM": "vt100", "COLORTERM": ""},
    ],
    ids=["ascii", "xterm", "vt100"],
)
def test_a_poor_terminal_is_enough(open_chat: Open, home: Path, terminal: dict[str, str]) -> None:
    chat = open_chat(**terminal)
    chat.send("What is 12 + 30 — naïve?\r")
    chat.until(lambda text: "closed" in text)
    chat.send(CTRL_Q)
    assert chat.end() == 0
    assert chat.is_restored()
    (turn,) = history(home, "show", "last")["turns"]
    assert turn["question"] == "What is 12 + 30 — naïve?"


def test_forty_columns_are_enough(open_chat: Open) -> None:
    chat = open_chat(columns=40)
    chat.send("What is 12 + 30?\r")
    shown = chat.until(lambda text: "closed" in text and "42" in text)
    assert "budget: max" in shown


def test_without_colour_nothing_is_coloured(open_chat: Open) -> None:
    chat = open_chat("--budget", "20", NO_COLOR="1")
    chat.send(QUESTION + "\r")
    chat.until("cap: the thinking budget was spent")
    coloured = {
        code
        for codes in re.findall(rb"\x1b\[([0-9;]*)m", chat.raw)
        for code in re.findall(rb"[34]8;2;(\d+;\d+;\d+)", codes)
    }
    assert all(len(set(code.split(b";"))) == 1 for code in coloured), coloured


@pytest.mark.parametrize("size", [1 << 20, 5_000_000])
def test_a_paste_of_megabytes(open_chat: Open, size: int) -> None:
    chat = open_chat()
    words = "Many words. " * (size // 12)
    chat.paste(words)
    chat.until(f"{len(words):,} characters]")
    chat.send("\r")
    chat.until("no room is")
    assert f"{len(words):,} characters]" in chat.text


def test_without_a_model_it_opens_and_says_what_to_do(home: Path) -> None:
    home.mkdir(exist_ok=True)
    (home / "config.toml").write_text('model = "nothing-of-that-name"\n')
    chat = Terminal(home)
    chat.until("There is no model called 'nothing-of-that-name'")
    chat.send("x\r")
    chat.until("No model is loaded.")
    chat.send(CTRL_O)
    chat.until("filter, the path")
    chat.send("ponder-tiny\r")
    chat.until(lambda text: text.split("\n")[0].rstrip().endswith("ponder-tiny"))
    chat.send(CTRL_Q)
    assert chat.end() == 0


def test_the_chat_needs_a_terminal(home: Path) -> None:
    done = subprocess.run(
        PONDER, env=environment(home), stdin=subprocess.DEVNULL, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "ponder ask" in done.stderr


def test_a_conversation_is_found_renamed_deleted_and_taken_back(
    open_chat: Open, home: Path
) -> None:
    chat = open_chat("--budget", "40", lines=30, columns=120)
    chat.send(QUESTION + "\r")
    chat.until("answer")
    chat.until(lambda text: "finish" in text or "cap:" in text or "closed:" in text)
    chat.send(CTRL_R)
    chat.until("Earlier conversations")
    chat.send("marbles in:question")
    chat.until("question: Mia has 38 marbles")
    chat.send("\x1b[B")
    chat.until("r Rename")
    chat.send("r")
    chat.until("Its title")
    chat.send(" of Mia\r")
    chat.until(lambda text: "Its title" not in text and "of Mia" in text)
    chat.send("x")
    chat.until("Nothing found.")
    assert history(home, "list") == []
    chat.send("u")
    chat.until("question: Mia has 38 marbles")
    chat.send("e")
    chat.until("ponder-1.md")
    chat.send(ESC)
    chat.until(lambda text: "ponder-1.md" not in text)
    chat.send(ESC)
    chat.until(lambda text: "Earlier conversations" not in text and "of Mia" in text.split("\n")[0])
    (entry,) = history(home, "list")
    assert entry["title"].endswith("of Mia")
    chat.send(CTRL_Q)
    assert chat.end() == 0
    assert chat.is_restored()


def test_a_trace_is_gone_through_from_the_keyboard(open_chat: Open) -> None:
    terminal = open_chat(config="[budget]\nfloor = 200\n")
    terminal.send(QUESTION + "\r")
    terminal.until(lambda text: "answer " in text and " tokens" in text and "thought" in text)
    terminal.send(F6)
    terminal.until(lambda text: "Outline: " in text and "forced" in text)
    terminal.send("\r")
    terminal.until(lambda text: "❯" in text and "Outline" not in text)
    terminal.send(" ")
    terminal.until(lambda text: bool(re.search(r"❯ .* lines? · ", text)))
    terminal.send("/")
    terminal.until(lambda text: "look for words" in text)
    terminal.send("answer")
    terminal.until(lambda text: bool(re.search(r"/ answer +1 of \d", text)))
    terminal.send("\r")
    terminal.until(lambda text: bool(re.search(r"/ answer +2 of \d", text)))
    terminal.send(ESC)
    terminal.until(lambda text: "/ answer" not in text)
