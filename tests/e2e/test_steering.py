"""A thought edited and gone on with, a question asked again, in a real pseudo-terminal."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from e2e.test_chat import CTRL_Q, ESC, QUESTION, Open, history, open_chat, thinking
from e2e.test_chat import endless as endless

__all__ = ["endless", "open_chat"]

ALT_LEFT, ALT_R, F10, SHIFT_TAB = "\x1b[1;3D", "\x1br", "\x1b[21~", "\x1b[Z"
DONE = "closed: the model closed its thinking itself"


def test_edit_a_step_and_go_on(open_chat: Open, home: Path) -> None:
    chat = open_chat(lines=40)
    chat.send(QUESTION + "\r")
    chat.until(DONE)
    chat.send(SHIFT_TAB)
    chat.until("Steps")  # the line of keys has those of a trace now
    chat.send("e")
    chat.until("Edit this step")
    chat.send(" Now 38 + 47 is 99.\r")
    chat.until(lambda text: "branch 2/2" in text and DONE in text)
    chat.send(CTRL_Q)
    assert chat.end() == 0
    assert chat.is_restored()
    (turn,) = history(home, "show", "last")["turns"]
    mine = [span["text"] for span in turn["spans"] if span["author"] == "user"]
    assert "".join(mine).endswith("Now 38 + 47 is 99.")
    usage = turn["trace"]["usage"]
    assert usage["user"] == sum(turn["trace"]["user"]) > 0
    # What was kept was found in the KV cache, every token of it and of the prompt.
    assert usage["kept"] > 0
    assert usage["cached"] == usage["prompt"] + usage["kept"]
    first, second = history(home, "show", "last", "--branches")["turns"]
    assert second["id"] == turn["id"]
    kept = usage["kept"]
    assert first["trace"]["tokens"][:kept] == second["trace"]["tokens"][:kept]


def test_ask_again_and_walk_back(open_chat: Open, home: Path) -> None:
    chat = open_chat()
    chat.send(QUESTION + "\r")
    chat.until(DONE)
    chat.send(ALT_R)
    chat.until(lambda text: "branch 2/2" in text and DONE in text)
    chat.send(ALT_LEFT)
    chat.until(lambda text: "branch 1/2" in text and DONE in text)
    chat.send(F10)
    chat.until(lambda text: "Branches of this conversation" in text and "2/2" in text)
    chat.send(ESC)
    chat.until(lambda text: "Branches of this" not in text)
    chat.send(CTRL_Q)
    assert chat.end() == 0
    first, second = history(home, "show", "last", "--branches")["turns"]
    assert first["sampling"]["seed"] != second["sampling"]["seed"]
    (shown,) = history(home, "show", "last")["turns"]
    assert shown["id"] == first["id"]


@pytest.mark.parametrize("columns", [40, 200])
def test_the_budget_bar(open_chat: Open, endless: str, columns: int) -> None:
    chat = open_chat(config=endless, columns=columns, NO_COLOR="1")
    chat.send(QUESTION + "\r")
    chat.until(lambda text: thinking(text) > 20)
    chat.until(lambda text: bool(re.search(r"╌{4}╂?  \d[\d,]*/\d", text)))
    chat.send(ESC)
    chat.until("cancelled")
    # Of the context's gauge, which stands in the first line, it is told by its own.
    assert "╌╌" not in chat.text.partition("\n")[2]
