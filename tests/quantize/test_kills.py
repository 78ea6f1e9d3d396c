"""However often it is killed, the same call goes on, and the file comes out right."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

import ponder
import ponder_quantize
from ponder_quantize import journal
from ponder_quantize.gguf_source import GgufSource
from ponder_quantize.recipes import RECIPES
from quantize import shapes
from quantize.made import quantized

KILLS = 20
PATIENCE = 120.0
RECIPE = "Q5_K_M"
CHILD = """
import sys
from pathlib import Path
from ponder_quantize import pipeline, plan
from ponder_quantize.gguf_source import GgufSource
from ponder_quantize.recipes import RECIPES

# Small pieces, written down at once, so that a small model is much work.
plan.UNIT = 16384
pipeline._KEPT = pipeline._OFTEN = 0.005
source, out, recipe = sys.argv[1:]
tell = lambda event: print(type(event).__name__, flush=True)
planned = plan.plan(GgufSource(Path(source)), RECIPES[recipe], "same")
pipeline.quantize(planned, Path(out), threads=2, tell=tell)
"""


def start(source: Path, out: Path) -> subprocess.Popen[str]:
    roots = [str(Path(package.__file__ or "").parents[1]) for package in (ponder, ponder_quantize)]
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(source), str(out), RECIPE],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(roots)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline().strip() == "Planned"
    return child


def end(child: subprocess.Popen[str]) -> int:
    child.communicate(timeout=PATIENCE)
    return child.returncode


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_it_is_killed_and_killed_and_finishes(tmp_path: Path) -> None:
    source = shapes.write(tmp_path / "model.gguf", "small")
    expected, out = tmp_path / "expected.gguf", tmp_path / "out.gguf"
    began = time.monotonic()
    assert end(start(source, expected)) == 0
    span = time.monotonic() - began
    whole = expected.read_bytes()
    went_on = 0
    for _ in range(KILLS):
        child = start(source, out)
        time.sleep(random.uniform(0, span / 3))
        child.kill()
        end(child)
        if out.exists():
            assert out.read_bytes() == whole
            out.unlink()
        else:
            text = journal.journal_of(out).read_bytes() if journal.journal_of(out).exists() else b""
            went_on += b"-" in text.partition(b"\n")[2]
    assert went_on
    quantized(GgufSource(source), RECIPES[RECIPE], out, identity="same", force=True)
    assert out.read_bytes() == whole
    out.unlink()
    assert end(start(source, out)) == 0
    assert out.read_bytes() == whole
    assert {path.name for path in tmp_path.glob("out.*")} <= {"out.gguf", "out.gguf.part.lock"}
