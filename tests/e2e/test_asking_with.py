"""Files and an editor in a real terminal, as people use them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.terminal import Terminal

ALT_A, ALT_V, ESC, CTRL_Q = "\x1ba", "\x1bv", "\x1b", "\x11"


@pytest.fixture
def chat(home: Path, tmp_path: Path) -> Iterator[Terminal]:
    editor = tmp_path / "editor"
    editor.write_text(
        '#!/bin/sh\ngrep -q fail "$1" && exit 3\nprintf "lent\\n"\nprintf " and 4" >> "$1"\n'
    )
    editor.chmod(0o755)
    terminal = Terminal(home, VISUAL=str(editor))
    terminal.until(lambda text: "budget:" in text and "loading" not in text.split("\n")[0])
    yield terminal
    terminal.child.close(force=True)


def test_a_file_is_attached_and_told_with_its_tokens(chat: Terminal, tmp_path: Path) -> None:
    (tmp_path / "numbers.txt").write_text("17 and 23\n")
    chat.send(ALT_A)
    chat.until("Attach text files")
    chat.send(f"{tmp_path}/numbers.txt\r")
    chat.until("attached: 1")
    chat.send(ESC)
    chat.until(lambda text: "1 file · " in text and "left for thinking" in text)
    chat.send("Add them.\r")
    chat.until("tok/s")
    assert "numbers.txt" in chat.text
    assert "17 and 23" not in chat.text
    chat.send(CTRL_Q)
    assert chat.end() == 0
    assert chat.is_restored()


def test_a_question_is_written_in_an_editor(chat: Terminal) -> None:
    chat.send("What is 3")
    chat.until("What is 3")
    chat.send(ALT_V)
    chat.until("What is 3 and 4")
    chat.send(" or fail")
    chat.until("or fail")
    chat.send(ALT_V)
    chat.until("failed (3)")
    assert "What is 3 and 4 or fail" in chat.text
    chat.send(CTRL_Q)
    assert chat.end() == 0
    assert chat.is_restored()
