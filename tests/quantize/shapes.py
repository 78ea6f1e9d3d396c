"""Small models in awkward shapes, seeded, and a GGUF of each as llama.cpp's converter writes it."""

from __future__ import annotations

from pathlib import Path

import msgspec

from library import gguf_files
from ponder.catalogue.schema import Experts, Mla, Shape

QWEN = Shape(
    "qwen2", "Qwen2ForCausalLM", hidden=256, layers=3, heads=4, kv_heads=2, head_dim=64,
    ffn=512, vocabulary=320, rope_theta=1e6,
)  # fmt: skip
TIED = Shape(
    "qwen2", "Qwen2ForCausalLM", hidden=512, layers=4, heads=8, kv_heads=2, head_dim=64,
    ffn=768, vocabulary=288, rope_theta=1e6, tied_embeddings=True,
)  # fmt: skip
ODD = Shape(
    "llama", "LlamaForCausalLM", hidden=288, layers=2, heads=9, kv_heads=3, head_dim=32,
    ffn=336, vocabulary=160, rope_theta=5e5, tied_embeddings=True,
)  # fmt: skip
"""Rows that blocks of 256 do not divide, and rows that blocks of 32 do not divide either."""
MIXTRAL = Shape(
    "llama", "MixtralForCausalLM", hidden=256, layers=2, heads=4, kv_heads=1, head_dim=64,
    ffn=256, vocabulary=192, rope_theta=1e6, experts=Experts(count=8, used=2, shared=1, ffn=256),
)  # fmt: skip
DEEPSEEK = Shape(
    "deepseek2", "DeepseekV3ForCausalLM", hidden=256, layers=3, heads=4, ffn=512, vocabulary=192,
    rope_theta=1e4, mla=Mla(q_lora=256, kv_lora=128, nope=64, rope=32, value=64),
    experts=Experts(count=6, used=2, shared=1, ffn=256, dense_layers=1),
)  # fmt: skip
DEEP = Shape(
    "qwen2", "Qwen2ForCausalLM", hidden=256, layers=80, heads=4, kv_heads=1, head_dim=64,
    ffn=256, vocabulary=64, rope_theta=1e6,
)  # fmt: skip
"""As deep as a 70B."""
DEEP_LLAMA = Shape(
    "llama", "LlamaForCausalLM", hidden=256, layers=80, heads=4, kv_heads=2, head_dim=64,
    ffn=256, vocabulary=64, rope_theta=1e6,
)  # fmt: skip

SMALL = Shape(
    "qwen2", "Qwen2ForCausalLM", hidden=256, layers=8, heads=4, kv_heads=1, head_dim=64,
    ffn=256, vocabulary=64, rope_theta=1e6,
)  # fmt: skip
"""Small enough to be quantized by every recipe, deep enough for the rules that count layers."""
TINY = msgspec.structs.replace(SMALL, layers=2)
"""For the recipes that take longest."""
EIGHT = Shape(
    "llama", "MixtralForCausalLM", hidden=256, layers=1, heads=4, kv_heads=1, head_dim=64,
    ffn=256, vocabulary=64, rope_theta=1e6, experts=Experts(count=8, used=2, shared=1, ffn=256),
)  # fmt: skip

SHAPES = {
    "small": SMALL, "tiny": TINY, "eight": EIGHT,
    "qwen": QWEN, "tied": TIED, "odd": ODD, "mixtral": MIXTRAL, "deepseek": DEEPSEEK,
    "deep": DEEP, "deep-llama": DEEP_LLAMA,
}  # fmt: skip


def write(path: Path, name: str, quant: str = "BF16", sparse: bool = False) -> Path:
    """The model of that name in that type."""
    gguf_files.write(path, SHAPES[name], quant, sparse=sparse)
    return path
