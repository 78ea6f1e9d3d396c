"""Several traces in the chat, in a real pseudo-terminal, on the built-in model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from e2e.terminal import Terminal
from ponder.history.store import History

QUESTION = "What is 17 * 23 + 4?"
ALT_K, ALT_T, CTRL_Q = "\x1bk", "\x1bt", "\x11"


@pytest.fixture
def chat(home: Path) -> Iterator[Terminal]:
    home.mkdir(exist_ok=True)
    terminal = Terminal(home, lines=24, columns=80)
    terminal.until(lambda text: "budget:" in text and "ponder-tiny" in text.split("\n")[0])
    terminal.until(lambda text: "loading" not in text.split("\n")[0])
    yield terminal
    with suppress(OSError):
        terminal.child.close(force=True)


def test_four_traces_vote_and_all_of_them_are_kept(chat: Terminal, home: Path) -> None:
    chat.send(ALT_T)
    chat.until(lambda text: "2 traces" in text)
    chat.send(ALT_T)
    chat.until(lambda text: "4 traces" in text)
    # The model is loaded again, with room for four; then it is asked.
    chat.send(QUESTION + "\r")
    chat.until(lambda text: " of 4: " in text and "thinking tokens" in text)
    chat.send(ALT_K)
    chat.until(lambda text: all(f" {number} " in text for number in (1, 2, 3, 4)) and "▸" in text)
    chat.send(CTRL_Q)
    assert chat.end() == 0
    with History(home / "history.db") as history:
        latest = history.latest()
        assert latest is not None
        (turn,) = history.turns(latest.id)
    assert turn.vote is not None
    assert turn.vote.traces == 4
    assert turn.vote.won
    assert all(one.trace is not None for one in turn.candidates)
    assert len({one.trace.sampling.seed for one in turn.candidates if one.trace is not None}) == 4
