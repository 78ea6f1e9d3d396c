"""The other commands, the help, and what an unknown word gets."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ponder.cli import run
from ponder.printable import safe


def test_help_names_every_command(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    out = capfd.readouterr().out
    for command in ("chat", "ask", "history", "models", "doctor", "config", "completion"):
        assert command in out
        assert run([command, "--help"]) == 0


def test_an_unknown_command_lists_the_right_ones(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["modles"]) == 2
    assert "Did you mean models?" in capfd.readouterr().err


def test_an_unknown_option_is_a_usage_error(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["ask", "--bugdet", "3"]) == 2
    assert "--budget" in capfd.readouterr().err


def test_models_lists_what_is_here_and_how_to_get_the_rest(
    capfd: pytest.CaptureFixture[str], home: Path
) -> None:
    (home / "models").mkdir(parents=True)
    (home / "models" / "mine.gguf").write_bytes(b"GGUF")
    assert run(["models"]) == 0
    out, err = capfd.readouterr()
    assert "ponder-tiny" in out
    assert "mine" in out
    assert "r1-70b" in out
    assert "curl" in err
    assert run(["models", "--json"]) == 0
    listed = {entry["name"]: entry for entry in json.loads(capfd.readouterr().out)}
    assert listed["mine"]["here"]
    assert not listed["r1-7b"]["here"]
    assert len(listed["r1-7b"]["sha256"]) == 64
    assert listed["r1-7b"]["url"] in listed["r1-7b"]["fetch"]


def test_doctor_runs_the_builtin_model(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--json"]) == 0
    facts = json.loads(capfd.readouterr().out)
    assert facts["llama_cpp"]["works"]
    assert facts["llama_cpp"]["devices"]
    assert facts["tokens_per_second"] > 0
    assert run(["doctor"]) == 0
    assert "llama.cpp" in capfd.readouterr().out


def test_doctor_finds_unreadable_settings(capfd: pytest.CaptureFixture[str], home: Path) -> None:
    home.mkdir()
    (home / "config.toml").write_text("= 3")
    assert run(["doctor"]) == 1
    assert "BAD  settings" in capfd.readouterr().out


def test_config_shows_what_is_set(capfd: pytest.CaptureFixture[str], home: Path) -> None:
    home.mkdir()
    (home / "config.toml").write_text("[budget]\ncap = 77\n")
    assert run(["config"]) == 0
    out = capfd.readouterr().out
    assert "cap = 77" in out
    assert str(home) in out
    assert run(["config", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["settings"]["budget"]["cap"] == 77


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_printed(capfd: pytest.CaptureFixture[str], shell: str) -> None:
    if shell == "bash":
        # click asks bash for its version, and says so on stderr where it is too old.
        assert run(["completion", shell]) == 0
    else:
        assert run(["completion", shell]) == 0
    assert "_PONDER_COMPLETE" in capfd.readouterr().out


def test_the_shell_completes_commands_and_models() -> None:
    def complete(words: str, at: int) -> str:
        child = subprocess.run(
            [sys.executable, "-m", "ponder"],
            env={
                "_PONDER_COMPLETE": "bash_complete",
                "COMP_WORDS": words,
                "COMP_CWORD": str(at),
                "PYTHONPATH": ":".join(sys.path),
            },
            capture_output=True,
            text=True,
            check=True,
        )
        return child.stdout

    assert "plain,doctor" in complete("ponder do", 1)
    assert "plain,ponder-tiny" in complete("ponder ask --model ponder", 3)
    assert "plain,--budget" in complete("ponder ask --bud", 2)


@given(st.text())
def test_whatever_a_model_says_a_terminal_only_shows_it(text: str) -> None:
    shown = safe(text)
    assert len(shown) == len(text)
    for char in shown:
        code = ord(char)
        assert code >= 0x20 or char in "\n\t"
        assert not 0x7F <= code < 0xA0
        assert not (0x202A <= code <= 0x202E or 0x2066 <= code <= 0x2069)


def test_ordinary_text_is_left_alone() -> None:
    text = "Wärme: 3 × 4 = 12 → 🙂\n\tπ"
    assert safe(text) == text
