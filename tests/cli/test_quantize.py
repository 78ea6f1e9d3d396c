"""quantize from the command line: words, exit codes, streams, a terminal, a signal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest

import ponder
import ponder_quantize
from ponder.cli import run
from ponder_quantize.gguf_source import GgufSource
from ponder_quantize.recipes import RECIPES
from quantize import checkpoints, importances, shapes
from quantize.golden import FILE, IMATRIX, file_hash
from quantize.made import quantized

Captured = pytest.CaptureFixture[str]
GOLDEN = json.loads(FILE.read_text())["files"]
ROOTS = [str(Path(package.__file__ or "").parents[1]) for package in (ponder, ponder_quantize)]
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join(ROOTS), "TERM": "xterm-256color"}


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return shapes.write(tmp_path / "small-BF16.gguf", "small")


def test_a_gguf_is_quantized_and_called_after_its_source(model: Path, capfd: Captured) -> None:
    assert run(["quantize", str(model)]) == 0
    out, err = capfd.readouterr()
    assert out == "small-Q4_K_M.gguf\n"
    assert "quantizing small-Q4_K_M.gguf: " in err
    assert "bits a weight: " in err
    assert file_hash(Path(out.strip())) == GOLDEN["small Q4_K_M"]


def test_the_recipe_may_stand_behind_the_source(model: Path, capfd: Captured) -> None:
    assert run(["quantize", f"{model}:q8_0", "--quiet"]) == 0
    assert capfd.readouterr().out == "small-Q8_0.gguf\n"
    assert run(["quantize", f"{model}:q8_0", "Q6_K"]) == 2
    assert "q8_0 and Q6_K are two recipes" in capfd.readouterr().err
    assert run(["quantize", "nothing.gguf:q8_0"]) == 1
    assert "nothing.gguf" in capfd.readouterr().err


def test_a_checkpoint_is_quantized_in_one_go(model: Path, capfd: Captured) -> None:
    folder = checkpoints.write("qwen2-bf16", model.parent / "checkpoint")
    assert run(["quantize", str(folder), "bf16", "-o", "whole.gguf", "--quiet"]) == 0
    assert run(["quantize", str(folder), "q8_0", "-o", "once.gguf", "--quiet"]) == 0
    assert run(["quantize", "whole.gguf", "Q8_0", "-o", "twice.gguf", "--quiet"]) == 0
    out, err = capfd.readouterr()
    assert out.split() == ["whole.gguf", "once.gguf", "twice.gguf"]
    assert not err
    assert Path("once.gguf").read_bytes() == Path("twice.gguf").read_bytes()
    assert run(["quantize", str(folder), "--pre", "nope"]) == 2
    assert "nope" in capfd.readouterr().err


def test_an_importance_matrix_is_used_and_told_of(model: Path, capfd: Captured) -> None:
    importances.write(Path(IMATRIX), importances.made_up(GgufSource(model).tensors, IMATRIX))
    assert run(["quantize", str(model), "q4_0", "--imatrix", IMATRIX]) == 0
    assert file_hash(Path("small-Q4_0.gguf")) == GOLDEN["small Q4_0 imatrix"]
    assert run(["quantize", str(model), "IQ4_XS", "--imatrix", "none.imatrix"]) == 1
    assert "no file none.imatrix" in capfd.readouterr().err


def test_a_dry_run_says_what_would_be_written(model: Path, capfd: Captured) -> None:
    assert run(["quantize", str(model), "IQ4_XS", "--dry-run"]) == 0
    out, err = capfd.readouterr()
    assert "BF16 -> IQ4_XS" in out
    assert "bits a weight" in err
    assert run(["quantize", str(model), "Q5_K_M", "--dry-run", "--json"]) == 0
    told = json.loads(capfd.readouterr().out)
    assert [path.name for path in model.parent.glob("*.gguf*")] == [model.name]
    assert run(["quantize", str(model), "Q5_K_M", "--quiet"]) == 0
    assert Path(told["path"]).stat().st_size == told["size"] == told["need"]
    kinds = {tensor.name: tensor.type.name for tensor in GgufSource(Path(told["path"])).tensors}
    assert {tensor["name"]: tensor["type"] for tensor in told["tensors"]} == kinds


def test_json_tells_all(model: Path, capfd: Captured) -> None:
    assert run(["quantize", str(model), "Q8_0", "--json"]) == 0
    first, *middle, last = map(json.loads, capfd.readouterr().out.splitlines())
    assert first["event"] == "planned"
    assert {event["event"] for event in middle} == {"quantizing"}
    assert middle[-1]["done"] == middle[-1]["size"] == first["size"]
    assert last == {
        "event": "done", "path": "small-Q8_0.gguf", "size": Path("small-Q8_0.gguf").stat().st_size,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["Q4_K_X"], 2, "Did you mean Q4_K_S?"),
        (["IQ1_S"], 2, "needs an importance matrix"),
        (["--pre", "qwen2"], 2, "Leave out --pre"),
        (["-o", "small-BF16.gguf"], 2, "is the source itself"),
        (["-o", "small-BF16.gguf", "--force"], 2, "is the source itself"),
        (["-o", "none/x.gguf"], 2, "no folder"),
    ],
)
def test_what_cannot_be_is_told(
    model: Path, capfd: Captured, arguments: list[str], code: int, words: str
) -> None:
    before = model.read_bytes()
    assert run(["quantize", str(model), *arguments]) == code
    assert words in capfd.readouterr().err
    assert run(["quantize", str(model), *arguments, "--json"]) == code
    assert json.loads(capfd.readouterr().out)["event"] == "error"
    assert model.read_bytes() == before
    assert [path.name for path in model.parent.glob("*.gguf*")] == [model.name]


def test_a_source_that_is_none_is_told(model: Path, capfd: Captured) -> None:
    assert run(["quantize", "nothing.gguf"]) == 1
    assert "no file nothing.gguf" in capfd.readouterr().err
    (model.parent / "empty").mkdir()
    assert run(["quantize", "empty"]) == 1
    assert "error: " in capfd.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_was_interrupted_is_gone_on_with(model: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "ponder", "quantize", str(model), "Q6_K", "--json"]
    with subprocess.Popen(
        [*command, "--threads", "1"],
        env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as child:  # fmt: skip
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.readline()
        child.send_signal(number)
        child.stdout.read()
        said = child.stderr.read()
    assert child.returncode == 128 + number
    assert "say the same again" in said
    assert not Path("small-Q6_K.gguf").exists()
    subprocess.run(command, env=ENVIRONMENT, check=True, capture_output=True)
    expected = model.parent / "expected.gguf"
    quantized(GgufSource(model), RECIPES["Q6_K"], expected)
    assert Path("small-Q6_K.gguf").read_bytes() == expected.read_bytes()
    assert not list(model.parent.glob("*.part*"))


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals")
def test_a_terminal_is_shown_a_bar(model: Path) -> None:
    child = pexpect.spawn(
        sys.executable,
        ["-m", "ponder", "quantize", str(model), "Q4_0"],
        env=ENVIRONMENT,
        encoding="utf-8",
        timeout=60,
        dimensions=(24, 120),
    )
    child.expect(pexpect.EOF)
    shown = child.before or ""
    child.close()
    assert child.exitstatus == 0
    assert "quantizing" in shown
    assert "━" in shown
    assert "small-Q4_0.gguf" in shown
