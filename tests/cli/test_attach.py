"""`ponder ask --attach` in this process, on the built-in model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ponder.cli import run


def test_files_go_before_the_question_and_their_room_is_told(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folder = tmp_path / "numbers"
    folder.mkdir()
    (folder / "a.txt").write_text("3 and 4\n")
    (folder / "b.bin\x1b[2J").write_bytes(b"\0")
    given = ["--attach", str(folder), "-b", "8", "--temperature", "0"]
    assert run(["ask", *given, "Add them."]) == 0
    _, err = capfd.readouterr()
    assert "attached: numbers/a.txt" in err
    assert "left out: b.bin␛[2J: it is binary" in err
    assert "\x1b" not in err
    left = next(line for line in err.splitlines() if line.startswith("prompt: "))
    assert run(["ask", "--json", *given, "Add them."]) == 0
    usage = json.loads(capfd.readouterr().out.splitlines()[-1])["trace"]["usage"]
    assert left.startswith(f"prompt: {usage['prompt']} tokens, ")


@pytest.mark.parametrize("name", ["nowhere.txt", "b.bin"])
def test_what_cannot_be_attached_is_told_before_a_model_is_loaded(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, name: str
) -> None:
    (tmp_path / "b.bin").write_bytes(b"\0")
    assert run(["ask", "-m", "r1-7b", "--attach", str(tmp_path / name), "hi"]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert f"{name} cannot be attached" in err


def test_files_that_do_not_fit_are_refused_with_their_tokens(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "long.txt").write_text("one two three\n" * 3000)
    assert run(["ask", "--attach", str(tmp_path / "long.txt"), "hi"]) == 2
    assert "no room is left for an answer" in capfd.readouterr().err
