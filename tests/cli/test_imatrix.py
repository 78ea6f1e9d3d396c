"""`ponder imatrix` in this process, with the built-in model."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from history.traces import ANSWER, THOUGHT
from ponder import paths
from ponder.cli import run
from ponder.history.store import History
from ponder.types import Budget, Sampling, Span
from ponder_quantize.calibration import NAME
from ponder_quantize.imatrix_file import read

Capture = pytest.CaptureFixture[str]
WORDS = "Mia has 7 apples and buys 5 more, so that she has 12 of them. " * 16
CHUNK = ("--chunk", "64")
FEW = (*CHUNK, "--chunks", "4")


def test_a_text_gives_a_matrix(tmp_path: Path, capfd: Capture) -> None:
    text, file = tmp_path / "words.txt", tmp_path / "tiny.gguf"
    text.write_text(WORDS)
    assert run(["imatrix", "ponder-tiny", str(text), "-o", str(file), *FEW, "--json"]) == 0
    told = json.loads(capfd.readouterr().out)
    matrix = read(file)
    assert (told["chunks"], told["chunk_size"], told["text"]) == (4, 64, str(text))
    assert told["entries"] == len(matrix.entries) == 56
    assert (matrix.chunk_count, matrix.datasets) == (4, (str(text),))
    # What is there is not overwritten, unless one says so.
    before = file.read_bytes()
    assert run(["imatrix", "ponder-tiny", "-o", str(file), *FEW]) == 2
    assert "--force" in capfd.readouterr().err
    assert file.read_bytes() == before
    assert run(["imatrix", "ponder-tiny", "-o", str(file), *FEW, "--force"]) == 0
    out, err = capfd.readouterr()
    assert out == ""
    assert "reading: 4 of 4" in err
    assert read(file).datasets == (NAME,)


def test_stdin_and_the_older_form(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    file = tmp_path / "tiny.dat"
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(WORDS.encode())))
    assert run(["imatrix", "ponder-tiny", "-", "-o", str(file), *FEW, "--quiet"]) == 0
    assert capfd.readouterr() == ("", "")
    assert file.read_bytes()[:4] != b"GGUF"
    assert read(file).datasets == ("stdin",)


def test_a_model_s_own_traces(tmp_path: Path, capfd: Capture) -> None:
    file = tmp_path / "own.gguf"
    wanted = ["imatrix", "ponder-tiny", "--from-history", "-o", str(file), *CHUNK]
    assert run(wanted) == 2
    assert "nothing of ponder-tiny" in capfd.readouterr().err
    with History(paths.history_file()) as history:
        number = history.new_conversation("Apples", "ponder-tiny", "", 1.7e9)
        for model in ("ponder-tiny", "another"):
            turn = history.begin_turn(number, "How many?", model, Budget(), Sampling(), 1.7e9)
            history.append(turn, [Span(THOUGHT, WORDS), Span(ANSWER, "12")])
    assert run(wanted) == 0
    same, text = tmp_path / "same.gguf", tmp_path / "same.txt"
    text.write_text(f"How many?\n\n{WORDS.strip()}\n\n12")
    assert run(["imatrix", "ponder-tiny", str(text), "-o", str(same), *CHUNK]) == 0
    own, other = read(file), read(same)
    assert (own.datasets, own.chunk_count) == (("ponder history",), other.chunk_count)
    for name, entry in own.entries.items():
        assert np.allclose(entry.sums, other.entries[name].sums, rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nobody"], "no model called 'nobody'"),
        (["ponder-tiny", "none.txt"], "none.txt cannot be read"),
        (["ponder-tiny", "latin.txt"], "latin.txt is not UTF-8 text: byte 0xfc at position 1"),
        (["ponder-tiny", "short.txt"], "two chunks of 512"),
        (["ponder-tiny", "short.txt", "--from-history"], "a text of its own"),
        (["ponder-tiny", "-o", "none/tiny.gguf"], "There is no folder none"),
    ],
)
def test_what_cannot_be_used_is_refused(
    arguments: list[str],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: Capture,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("latin.txt").write_bytes("für".encode("latin1"))
    Path("short.txt").write_text("Short.")
    assert run(["imatrix", *arguments, *([] if "-o" in arguments else ["-o", "m.gguf"])]) == 2
    assert told in capfd.readouterr().err
    assert not Path("m.gguf").exists()
