"""Llama 3: the Llama distills of DeepSeek-R1, SmolLM2.

llama.cpp rotates neighbours, Hugging Face's Llama halves: queries and keys are permuted back.
What Llama 3.1 does to its frequencies is a tensor of its own in the GGUF.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from gguf import MODEL_ARCH, GGUFWriter, LlamaFileType

from ponder.errors import BadCheckpoint
from ponder_quantize.architectures.base import (
    Architecture,
    Find,
    Output,
    Shape,
    dense,
    head_size,
)
from ponder_quantize.config import Config
from ponder_quantize.weights import Computed, Interleaved, Layout, Weights

_SMOLLM = 49152
"""Tokens; the converter thinks of Granite."""


class Llama(Architecture):
    """LlamaForCausalLM."""

    arch = MODEL_ARCH.LLAMA
    defaults: ClassVar[dict[str, Any]] = {
        "max_position_embeddings": 2048,
        "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0,
    }

    def __init__(self, raw: dict[str, Any]) -> None:
        """Args:
        raw: config.json.
        """
        super().__init__(raw)
        self.head = head_size(self.config, self.hidden, self.heads)
        # transformers fills it in, and so the converter writes the lengths of keys and values.
        self.config.raw["head_dim"] = self.head

    def layer(self, index: int) -> Iterator[tuple[str, Shape]]:
        """The tensors of a layer, without their prefix, and their shapes."""
        del index
        bias = self.config.flag("attention_bias")
        queries, keys = self.heads * self.head, self.kv_heads * self.head
        yield "input_layernorm.weight", (self.hidden,)
        for part, tall, wide in (
            ("q", queries, self.hidden),
            ("k", keys, self.hidden),
            ("v", keys, self.hidden),
            ("o", self.hidden, queries),
        ):
            yield f"self_attn.{part}_proj.weight", (tall, wide)
            if bias:
                yield f"self_attn.{part}_proj.bias", (tall,)
        yield "post_attention_layernorm.weight", (self.hidden,)
        wide = self.config.count("intermediate_size")
        for name, shape in dense(self.hidden, wide):
            yield name, shape
            if self.config.flag("mlp_bias"):
                yield name.replace(".weight", ".bias"), shape[:1]

    def outputs(self, names: Sequence[str], find: Find) -> Iterator[Output]:
        """The tensors of the GGUF, first the factors of the frequencies."""
        if self.rope.raw.get("rope_type") == "llama3":
            factors = frequency_factors(self.rope, self.head)
            yield "rope_freqs.weight", factors.shape, (Computed(factors),)
        yield from super().outputs(names, find)

    def layout(self, name: str, weights: Weights) -> Layout:
        """Queries and keys interleaved, all else as stored."""
        if name.endswith((".q_proj.weight", ".q_proj.bias")):
            return Interleaved(weights, self.heads)
        if name.endswith((".k_proj.weight", ".k_proj.bias")):
            return Interleaved(weights, self.kv_heads)
        return super().layout(name, weights)

    def parameters(self, writer: GGUFWriter, file_type: LlamaFileType) -> None:
        """Record the keys of the family, in the converter's order."""
        super().parameters(writer, file_type)
        writer.add_vocab_size(self.vocabulary)
        writer.add_rope_dimension_count(self.head)

    def space_before(self, tokenizer: dict[str, Any]) -> bool | None:
        """What tokenizer_config.json says."""
        found = tokenizer.get("add_prefix_space")
        return found if isinstance(found, bool) else None

    def bos_before(self) -> bool | None:
        """None for a vocabulary of SmolLM's size, as the converter has it."""
        return False if self.vocabulary == _SMOLLM else None


def frequency_factors(rope: Config, size: int) -> npt.NDArray[np.float32]:
    """By what Llama 3.1 divides each frequency (conversion/llama.py, `generate_extra_tensors`).

    In float32 step by step, as torch has it. torch's own power is sometimes off by a last
    place, and differently by processor; here it is rounded right, which is what torch gives
    for Llama's base and head sizes on all of them.

    Args:
        rope: rope_scaling of config.json, with rope_theta.
        size: numbers in a head.

    Returns:
        Shape (size / 2,).
    """
    f32 = np.float32
    base = f32(rope.number("rope_theta"))
    factor = rope.number("factor") if rope.has("factor") else 8.0
    low = rope.number("low_freq_factor") if rope.has("low_freq_factor") else 1.0
    high = rope.number("high_freq_factor") if rope.has("high_freq_factor") else 4.0
    key = "original_max_position_embeddings"
    context = rope.count(key) if rope.has(key) else 8192
    if not (base > 0 and factor > 0 and 0 < low < high):
        raise BadCheckpoint("The rope_scaling in config.json is not one that Llama 3 can have.")
    exponents = np.arange(0, size, 2, dtype=f32) / f32(size)
    powers = np.power(float(base), exponents.astype(np.float64)).astype(f32)
    # Where torch divides a number by a tensor, it multiplies with the reciprocal.
    wavelengths = f32(1) / (f32(1) / powers) * f32(2 * math.pi)
    smooth = (f32(1) / wavelengths * f32(context) - f32(low)) / f32(high - low)
    between = f32(1) / ((f32(1) - smooth) / f32(factor) + smooth)
    # Compared as torch compares with a Python number: the number is rounded first.
    found = np.where(wavelengths > f32(context / low), f32(factor), between)
    return np.where(wavelengths < f32(context / high), f32(1), found).astype(f32)
