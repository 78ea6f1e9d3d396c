"""The other commands, the help, and what an unknown word gets."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ponder.cli import _COMMANDS, run
from ponder.printable import safe


def test_help_names_every_command(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    out = capfd.readouterr().out
    for command in _COMMANDS:
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
    assert "ponder pull" in err
    assert run(["models", "--json"]) == 0
    listed = {entry["name"]: entry for entry in json.loads(capfd.readouterr().out)}
    assert listed["mine"]["here"]
    assert not listed["r1-7b"]["here"]
    assert len(listed["r1-7b"]["sha256"]) == 64
    assert listed["r1-7b"]["fetch"] == "ponder pull r1-7b"


def scalars(node: object) -> Iterator[object]:
    if isinstance(node, dict | list):
        for value in node.values() if isinstance(node, dict) else node:
            yield from scalars(value)
    else:
        yield node


def test_models_tells_all_that_is_known_of_one(capfd: pytest.CaptureFixture[str]) -> None:
    for name in ("r1-671b", "r1-7b", "s1-32b"):
        assert run(["models", name, "--json"]) == 0
        facts = json.loads(capfd.readouterr().out)
        assert facts["name"] == name
        assert facts["shape"]["layers"] > 0
        assert run(["models", name]) == 0
        told = capfd.readouterr().out.replace(",", "")
        for value in scalars(facts):
            if value and value is not True:
                form = f"{value:.10g}" if isinstance(value, float) else str(value)
                assert form.replace(",", "") in told, (name, value)
    assert run(["models", "r1-7"]) == 2
    assert "Did you mean r1-7b" in capfd.readouterr().err


OWN = """
[models.mine]
title = "Mine"
dialect = "tiny"
parameters = 3
context = 8192
licences = ["MIT"]
sampling = { temperature = 1, top_p = 1 }
"""


def test_models_and_doctor_tell_what_a_users_own_catalogue_does(
    capfd: pytest.CaptureFixture[str], home: Path
) -> None:
    home.mkdir()
    (home / "models.toml").write_text(OWN + OWN.replace("mine", "r1-7b").replace("Mine", "Ours"))
    assert run(["models"]) == 0
    out, err = capfd.readouterr()
    assert "Mine (your own)" in out
    assert "Ours (your own)" in out
    assert f"{home / 'models.toml'}: r1-7b." in err
    assert run(["doctor", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["catalogue_problem"] == ""

    (home / "models.toml").write_text(OWN.replace("context", "contxt"))
    assert run(["models"]) == 0
    out, err = capfd.readouterr()
    assert "r1-7b" in out
    assert "Mine" not in out
    assert f"{home / 'models.toml'}, line 6: models.mine.contxt" in err
    assert run(["models", "mine"]) == 2
    assert "line 6" in capfd.readouterr().err
    assert run(["doctor"]) == 1
    assert "BAD  own models" in capfd.readouterr().out
    assert run(["ask", "--no-think", "What is 1 + 2?"]) == 0
    assert "models.mine.contxt" in capfd.readouterr().err


def test_fit_tells_what_this_machine_can_run(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ponder.library.bandwidth.measure", lambda: 30e9)
    assert run(["fit", "--json", "--traces", "2"]) == 0
    told = json.loads(capfd.readouterr().out)
    assert told["machine"]["total"] > 0
    models = {model["name"]: model for model in told["models"]}
    assert models["ponder-tiny"]["exact"]
    assert models["ponder-tiny"]["verdict"] != "no"
    assert not models["r1-70b"]["exact"]
    for model in models.values():
        need = model["need"]
        assert need["gpu"] + need["ram"] == model["total"]
        assert (model["tokens_per_second"] is not None) == (model["verdict"] in ("cpu", "partly"))

    assert run(["fit"]) == 0
    out, err = capfd.readouterr()
    assert "r1-671b" in out
    assert "GiB memory free" in err

    assert run(["fit", "r1-7b", "--ctx", "4096", "--kv-type", "q8_0"]) == 0
    out, err = capfd.readouterr()
    assert all(quant in out for quant in ("F16", "Q4_K_M", "Q2_K"))
    assert "~" in out
    assert "reckoned" in err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["fit", "r1-7"], "Did you mean r1-7b"),
        (["fit", "ponder-tiny", "--ctx", "4096"], "at most 2,048"),
        (["fit", "--kv-type", "f17"], "q8_0"),
        (["fit", "--traces", "200"], "1 to 128"),
        (["fit", "--traces", "0"], "--traces"),
    ],
)
def test_fit_refuses_what_cannot_be(
    capfd: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    assert run(words) == 2
    assert told in capfd.readouterr().err


def test_fit_reads_a_file(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(["fit", str(tmp_path / "gone.gguf")]) == 1
    assert "There is no file" in capfd.readouterr().err


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
