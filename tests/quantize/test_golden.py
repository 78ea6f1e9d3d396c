"""The same bytes as llama-quantize gave when `golden.json` was made (see golden.py)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ponder.errors import InputError
from ponder_quantize.gguf_source import GgufSource
from ponder_quantize.plan import Importance, plan
from ponder_quantize.recipes import RECIPES
from ponder_quantize.source import Source
from quantize import importances, shapes
from quantize.golden import FILE, IMATRIX, file_hash, key, tensor_hashes, types_hash
from quantize.made import quantized

GOLDEN = json.loads(FILE.read_text())
Opened = Callable[[str], Path]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Opened:
    """A small model's GGUF, made once."""
    folder = tmp_path_factory.mktemp("models")

    def made(name: str) -> Path:
        path = folder / f"{name}.gguf"
        return path if path.exists() else shapes.write(path, name)

    return made


def importance(source: Source, wanted: bool) -> Importance | None:
    return importances.made_up(source.tensors, IMATRIX) if wanted else None


@pytest.mark.parametrize("called", GOLDEN["files"])
def test_whole_files_are_the_same(model: Opened, tmp_path: Path, called: str) -> None:
    name, recipe, *imatrix = called.split()
    source = GgufSource(model(name))
    out = tmp_path / "out.gguf"
    quantized(source, RECIPES[recipe], out, importance=importance(source, bool(imatrix)))
    hashes = tensor_hashes(out, name, bool(imatrix))
    assert {tensor: GOLDEN["tensors"].get(tensor) for tensor in hashes} == hashes
    assert file_hash(out) == GOLDEN["files"][called]


@pytest.mark.parametrize("name", shapes.SHAPES)
@pytest.mark.parametrize("with_imatrix", [False, True], ids=["plain", "imatrix"])
def test_types_are_the_same(tmp_path: Path, name: str, with_imatrix: bool) -> None:
    source = GgufSource(shapes.write(tmp_path / "model.gguf", name, sparse=True))
    for recipe in RECIPES.values():
        try:
            planned = plan(source, recipe, "", importance(source, with_imatrix))
        except InputError as error:
            assert not with_imatrix
            assert "needs an importance matrix" in error.message
            assert key(name, recipe.name, False) not in GOLDEN["files"]
            continue
        types = {work.info.name: work.info.type.name for work in planned.tensors}
        assert types_hash(types) == GOLDEN["types"][key(name, recipe.name, with_imatrix)], recipe


def test_threads_and_the_size_of_the_pieces_make_no_difference(
    model: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ponder_quantize.plan.UNIT", 3000)
    monkeypatch.setattr("ponder_quantize.rows.SLAB", 700)
    for name, threads in (("small", 1), ("eight", 5)):
        out = tmp_path / f"{name}.gguf"
        source = GgufSource(model(name))
        quantized(
            source,
            RECIPES["Q4_K_M"],
            out,
            identity="",
            threads=threads,
            importance=importance(source, True),
        )
        assert file_hash(out) == GOLDEN["files"][f"{name} Q4_K_M imatrix"]
