"""Adapters by name, and which of them are refused before llama.cpp sees them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lora_files as files
from ponder import lora
from ponder.errors import InputError, ModelError, NotAModel, UnsupportedModel
from ponder.gguf_header import read_header
from ponder.library.local import builtin_path
from ponder.lora import Adapter, parse

# -- names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "path", "scale"),
    [
        ("x.gguf", "x.gguf", 1.0),
        ("x.gguf:0.5", "x.gguf", 0.5),
        ("a/b/x.gguf:-2", "a/b/x.gguf", -2.0),
        ("x.gguf:0", "x.gguf", 0.0),
        ("x.gguf:1e-2", "x.gguf", 0.01),
        (r"C:\x.gguf", r"C:\x.gguf", 1.0),
        (r"C:\x.gguf:0.5", r"C:\x.gguf", 0.5),
        ("C:/models/x.gguf:2", "C:/models/x.gguf", 2.0),
        ("c:x.gguf", "c:x.gguf", 1.0),
        ("here/adapter", "here/adapter", 1.0),
        ("my:adapter", "my:adapter", 1.0),
        (":x.gguf", ":x.gguf", 1.0),
    ],
)
def test_a_file_and_its_scale(said: str, path: str, scale: float) -> None:
    assert parse(said) == Adapter(Path(path), scale)


def test_a_home_is_somebodys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert parse("~/x.gguf:2") == Adapter(tmp_path / "x.gguf", 2.0)
    assert parse("~nobody-at-all/x.gguf:2") == Adapter(Path("~nobody-at-all/x.gguf"), 2.0)


def test_a_file_of_exactly_that_name_is_meant_before_a_scale(tmp_path: Path) -> None:
    odd = tmp_path / "x.gguf:0.5"
    odd.touch()
    assert parse(str(odd)) == Adapter(odd)
    assert parse(f"{odd}:2") == Adapter(odd, 2.0)


@pytest.mark.parametrize("word", ["half", "", "0,5", "nan", "inf", "-inf", "101", "1e30", "0.5x"])
def test_what_is_no_scale_is_told(word: str) -> None:
    with pytest.raises(InputError, match=r"is no scale for x\.gguf") as refused:
        parse(f"x.gguf:{word}")
    assert "x.gguf:0.5" in refused.value.hint


@pytest.mark.parametrize("said", ["", "  "])
def test_nothing_is_no_adapter(said: str) -> None:
    with pytest.raises(InputError, match="No adapter"):
        parse(said)


@given(st.floats(-100, 100), st.sampled_from(["x.gguf", r"D:\a b\x.gguf", "/a:b/x.gguf"]))
def test_every_scale_comes_back(scale: float, name: str) -> None:
    assert parse(f"{name}:{scale!r}") == Adapter(Path(name), scale)


@pytest.mark.parametrize("scale", [float("nan"), float("inf"), 100.5])
def test_an_adapter_never_has_another_scale(scale: float) -> None:
    with pytest.raises(InputError, match="is no scale"):
        Adapter(Path("x.gguf"), scale)


def test_one_file_is_named_once(tmp_path: Path) -> None:
    file = tmp_path / "x.gguf"
    file.touch()
    link = tmp_path / "link.gguf"
    link.symlink_to(file)
    with pytest.raises(InputError, match="named twice") as refused:
        lora.distinct([Adapter(file, 0.5), Adapter(link, 0.25)])
    assert ":0.75" in refused.value.hint


# -- files ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "base.gguf"
    return files.write_model(path, files.weights(1))


def refusal(adapter: Path, model: Path) -> ModelError:
    with pytest.raises(ModelError) as refused:
        lora.check([Adapter(adapter)], model, read_header(model))
    assert refused.value.message
    assert refused.value.hint
    return refused.value


def test_an_adapter_that_fits_is_let_through(model: Path, tmp_path: Path) -> None:
    pairs = files.pairs(files.weights(1), 2)
    adapter = files.write_adapter(tmp_path / "a.gguf", pairs)
    lora.check([Adapter(adapter)], model, read_header(model))


def test_a_missing_file(model: Path, tmp_path: Path) -> None:
    error = refusal(tmp_path / "gone.gguf", model)
    assert isinstance(error, NotAModel)
    assert "gone.gguf" in error.message
    assert "config.toml" in error.hint


def test_no_gguf(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "adapter_model.safetensors"
    path.write_bytes(b"{}" * 100)
    assert "is not a GGUF file" in refusal(path, model).message


def test_a_whole_model_is_no_adapter(model: Path) -> None:
    tiny = builtin_path("ponder-tiny-Q4_K_M.gguf")
    error = refusal(tiny, model)
    assert "is no LoRA adapter" in error.message
    assert "qwen2" in error.message
    assert f"--model {tiny}" in error.hint


def test_another_architectures(model: Path, tmp_path: Path) -> None:
    pairs = files.pairs(files.weights(1), 2)
    adapter = files.write_adapter(tmp_path / "a.gguf", pairs, "qwen2", base="Qwen of theirs")
    error = refusal(adapter, model)
    assert isinstance(error, UnsupportedModel)
    assert "a.gguf is an adapter for a qwen2 model, and base.gguf is a llama model" in error.message
    assert "Qwen of theirs" in error.hint


def widened(pairs: files.Pairs) -> files.Pairs:
    name = "blk.1.ffn_up.weight"
    a, b = pairs[name]
    return pairs | {name: (np.concatenate([a, a], axis=1), b)}


def longer(pairs: files.Pairs) -> files.Pairs:
    name = "output.weight"
    a, b = pairs[name]
    return pairs | {name: (a, b[:-1])}


def deeper(pairs: files.Pairs) -> files.Pairs:
    return pairs | {"blk.2.attn_q.weight": pairs["blk.1.attn_q.weight"]}


def unpaired(pairs: files.Pairs) -> files.Pairs:
    name = "blk.0.attn_k.weight"
    a, b = pairs[name]
    return pairs | {name: (a[:-1], b)}


def whole_numbers(pairs: files.Pairs) -> files.Pairs:
    name = "blk.0.attn_k.weight"
    a, b = pairs[name]
    return pairs | {name: (a.astype(np.int32), b)}


def layered(pairs: files.Pairs) -> files.Pairs:
    name = "blk.0.attn_k.weight"
    a, b = pairs[name]
    return pairs | {name: (np.stack([a, a]), np.stack([b, b]))}


def rows(pairs: files.Pairs) -> files.Pairs:
    name = "blk.0.attn_k.weight"
    a, b = pairs[name]
    return pairs | {name: (a[0], b[0])}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (widened, r"blk\.1\.ffn_up\.weight of 128 x 96, and that model's is 64 x 96"),
        (longer, r"output\.weight of 64 x \d+, and that model's is 64 x \d+"),
        (layered, r"does not fit base\.gguf"),
        (deeper, r"blk\.2\.attn_q\.weight, which base\.gguf has not"),
        (unpaired, "do not go together"),
        (whole_numbers, "whole numbers"),
        (rows, "no matrices"),
        (lambda _pairs: {}, "has no weights"),
    ],
)
def test_another_shape(
    model: Path, tmp_path: Path, change: Callable[[files.Pairs], files.Pairs], told: str
) -> None:
    pairs = change(files.pairs(files.weights(1), 2))
    error = refusal(files.write_adapter(tmp_path / "a.gguf", pairs), model)
    assert "a.gguf" in error.message
    import re

    assert re.search(told, error.message), error.message


def test_half_a_pair_and_what_is_none(model: Path, tmp_path: Path) -> None:
    half = {"blk.0.attn_q.weight.lora_a": np.zeros((4, 64), np.float32)}
    adapter = files.write_adapter(tmp_path / "half.gguf", {}, more=half)
    assert "only half" in refusal(adapter, model).message
    norm = {"blk.0.attn_norm.weight": np.ones(64, np.float32)}
    adapter = files.write_adapter(tmp_path / "norm.gguf", {}, more=norm)
    error = refusal(adapter, model)
    assert "blk.0.attn_norm.weight outright" in error.message
    assert "Merge" in error.hint


def test_other_kinds_of_adapters(model: Path, tmp_path: Path) -> None:
    pairs = files.pairs(files.weights(1), 2)
    other = files.write_adapter(tmp_path / "other.gguf", pairs, kind="ia3")
    assert "'ia3'" in refusal(other, model).message
    activated = files.write_adapter(tmp_path / "alora.gguf", pairs, invocation=[5, 6])
    assert "aLoRA" in refusal(activated, model).message


def test_the_embedding_of_a_tied_model_is_left_alone(tmp_path: Path) -> None:
    base = files.weights(1, tied=True)
    model = files.write_model(tmp_path / "tied.gguf", base)
    pairs = files.pairs(base, 2, ["token_embd.weight"])
    adapter = files.write_adapter(tmp_path / "a.gguf", pairs)
    assert "output layer of tied.gguf too" in refusal(adapter, model).message
