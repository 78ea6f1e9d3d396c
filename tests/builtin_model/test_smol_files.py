"""The base's tokenizer and the adapter's file, against llama.cpp, which reads both."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from builtin_model.smol.adapter import read, write
from builtin_model.smol.base import Base
from gguf import GGMLQuantizationType, quants
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

import smol_base
from real_vocab import smollm2

WORDS = st.sampled_from(
    [
        *("<|im_start|>", "<|im_end|>", "<|endoftext|>", "think", "answer\n", "Wait", "\\boxed{"),
        *("\n", "\n\n", " ", "   ", "\t", "\r\n", "\u00a0", "it's", "I'LL", " 're", "---", "..."),
        *("1,234.50", "$3", " 7", "½", "²", "Ⅷ", "१२", "é", "e\u0301", "日本語", "😀", "×", "÷"),
    ]
)


@pytest.fixture(scope="module")
def real(smollm: Path) -> Base:
    return Base(smollm)


@pytest.fixture(scope="module")
def tokenizer(real: Base) -> Tokenizer:
    return real.tokenizer


@given(st.lists(WORDS | st.text(max_size=8), max_size=12).map("".join))
@example("<|im_start|>user\nWhat is 12 + 30?<|im_end|>\n<|im_start|>assistant\n")
@settings(deadline=None)
def test_text_is_tokenized_as_llama_cpp_does(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    assert ids == list(smollm2().encode(text, special=True))


def test_every_mark_of_the_protocol_is_a_token_of_the_base(tokenizer: Tokenizer) -> None:
    from builtin_model.examples import SMOL

    vocabulary = smollm2()
    assert vocabulary.encode(SMOL.end, special=True) == [vocabulary.eos]
    begin, name, after = tokenizer.encode(SMOL.open).tokens
    assert (begin, name, after) == ("<|im_start|>", "think", "Ċ")
    assert tokenizer.encode(SMOL.close).tokens == ["Ċ", "<|im_start|>", "answer", "Ċ"]


def test_llama_cpp_adds_an_adapter_to_the_weights_it_was_learned_over(tmp_path: Path) -> None:
    weights, learned = smol_base.weights(), smol_base.adapter()
    base = smol_base.write(tmp_path / "base.gguf", weights)
    write(learned, tmp_path / "adapter.gguf", {"general.name": "made"})
    kept = read(tmp_path / "adapter.gguf")
    for name, pair in kept.pairs.items():
        weights[name] = weights[name] + kept.alpha / kept.rank * (pair.b @ pair.a)
    merged = smol_base.write(tmp_path / "merged.gguf", weights)
    ids = [1, 40, 41, 70, 71, 7, 100, 2, 30, 260]

    plain = smol_base.logits(base, ids)
    found = smol_base.logits(base, ids, lora=tmp_path / "adapter.gguf")
    expected = smol_base.logits(merged, ids)
    assert smol_base.distance(plain, expected) > 0.5
    # llama.cpp multiplies matrices in Q8_0 with activations in Q8_0.
    assert smol_base.distance(found, expected) < 0.05


def test_what_is_read_is_what_was_written_but_for_its_rounding(tmp_path: Path) -> None:
    learned = smol_base.adapter()
    size = write(learned, tmp_path / "adapter.gguf", {})
    kept = read(tmp_path / "adapter.gguf")
    assert size == (tmp_path / "adapter.gguf").stat().st_size
    assert (kept.alpha, kept.rank, kept.pairs.keys()) == (64.0, 32, learned.pairs.keys())
    kind = GGMLQuantizationType.Q8_0
    for name, pair in learned.pairs.items():
        assert np.array_equal(
            kept.pairs[name].a, quants.dequantize(quants.quantize(pair.a, kind), kind)
        )
        assert np.abs(kept.pairs[name].b - pair.b).max() < 0.01


def test_an_adapter_of_the_real_base_fits_the_wheel(real: Base, tmp_path: Path) -> None:
    shape = real.shape
    numbers = sum(32 * (rows + columns) for rows, columns in shape.projections.values())
    small = smol_base.adapter()
    written = write(small, tmp_path / "adapter.gguf", {})
    held = sum(pair.a.size + pair.b.size for pair in small.pairs.values())
    around = (written - held * 34 // 32) / len(small.pairs)
    layers = len(shape.projections) * shape.layers
    assert shape.layers * numbers * 34 // 32 + layers * around < 12_000_000


def test_a_rank_that_has_no_blocks_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="rows of 24"):
        write(smol_base.adapter(rank=24), tmp_path / "adapter.gguf", {})
    assert not list(tmp_path.iterdir())


def test_another_architecture_is_told_from_the_base(tmp_path: Path) -> None:
    path = smol_base.write(tmp_path / "other.gguf", {}, architecture="qwen2")
    with pytest.raises(ValueError, match="'qwen2', not 'llama'"):
        Base(path)


def test_a_model_is_no_adapter(tmp_path: Path) -> None:
    path = smol_base.write(tmp_path / "base.gguf", smol_base.weights())
    with pytest.raises(ValueError, match="no adapter"):
        read(path)
