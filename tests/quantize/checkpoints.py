"""Tiny Hugging Face checkpoints, the same bytes every time, made without PyTorch.

Each has something that a converter can get wrong: shards that part a layer, tied embeddings,
grouped heads, scaled rope, FP8 blocks that do not divide the matrix, a layer for multi-token
prediction, rows that no block size divides, a vocabulary shorter than its embedding.

    PYTHONPATH=tests python -m quantize.checkpoints NAME DIRECTORY [KEY=VALUE ...]

writes one; a KEY of config.json changes its shape (`num_hidden_layers=80`).
"""

from __future__ import annotations

import json
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from quantize import tokenizer_files

Shapes = Iterator[tuple[str, tuple[int, ...]]]
Config = dict[str, Any]

_QWEN2 = {
    "architectures": ["Qwen2ForCausalLM"],
    "model_type": "qwen2",
    "hidden_act": "silu",
    "hidden_size": 256,
    "intermediate_size": 512,
    "num_hidden_layers": 3,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "max_position_embeddings": 131072,
    "rms_norm_eps": 1e-6,
    "rope_theta": 10000,
    "tie_word_embeddings": False,
    "sliding_window": 4096,
    "use_sliding_window": False,
    "vocab_size": 320,
}
_LLAMA = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "attention_bias": False,
    "hidden_act": "silu",
    "hidden_size": 512,
    "intermediate_size": 768,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 131072,
    "mlp_bias": False,
    "rms_norm_eps": 1e-5,
    "rope_theta": 500000.0,
    "rope_scaling": {
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
        "rope_type": "llama3",
    },
    "tie_word_embeddings": False,
    "vocab_size": 320,
}
_DEEPSEEK = {
    "architectures": ["DeepseekV3ForCausalLM"],
    "model_type": "deepseek_v3",
    "attention_bias": False,
    "first_k_dense_replace": 1,
    "hidden_act": "silu",
    "hidden_size": 256,
    "intermediate_size": 384,
    "kv_lora_rank": 256,
    "max_position_embeddings": 163840,
    "moe_intermediate_size": 256,
    "moe_layer_freq": 1,
    "n_group": 2,
    "n_routed_experts": 4,
    "n_shared_experts": 1,
    "norm_topk_prob": True,
    "num_attention_heads": 4,
    "num_experts_per_tok": 2,
    "num_hidden_layers": 3,
    "num_key_value_heads": 4,
    "num_nextn_predict_layers": 1,
    "q_lora_rank": 96,
    "qk_nope_head_dim": 64,
    "qk_rope_head_dim": 32,
    "rms_norm_eps": 1e-6,
    "rope_scaling": {
        "beta_fast": 32,
        "beta_slow": 1,
        "factor": 40,
        "mscale": 1.0,
        "mscale_all_dim": 1.0,
        "original_max_position_embeddings": 4096,
        "type": "yarn",
    },
    "rope_theta": 10000,
    "routed_scaling_factor": 2.5,
    "scoring_func": "sigmoid",
    "tie_word_embeddings": False,
    "topk_group": 1,
    "topk_method": "noaux_tc",
    "v_head_dim": 64,
    "vocab_size": 320,
}
_FP8 = {
    "activation_scheme": "dynamic",
    "fmt": "e4m3",
    "quant_method": "fp8",
    "weight_block_size": [128, 128],
}
_CARD = """---
license: mit
library_name: transformers
base_model:
- Tiny/Tiny-Base-1B
datasets:
- Tiny/questions
language:
- en
- no
tags:
- reasoning
pipeline_tag: text-generation
---
# A tiny model
"""


def _qwen2(c: Config) -> Shapes:
    h, ff, head = c["hidden_size"], c["intermediate_size"], c["hidden_size"]
    kv = head // c["num_attention_heads"] * c["num_key_value_heads"]
    yield "model.embed_tokens.weight", (c["vocab_size"], h)
    for i in range(c["num_hidden_layers"]):
        at = f"model.layers.{i}."
        yield at + "input_layernorm.weight", (h,)
        for part, width in (("q", h), ("k", kv), ("v", kv)):
            yield f"{at}self_attn.{part}_proj.weight", (width, h)
            yield f"{at}self_attn.{part}_proj.bias", (width,)
        yield at + "self_attn.o_proj.weight", (h, h)
        yield at + "post_attention_layernorm.weight", (h,)
        yield from _dense(at, h, ff)
    yield "model.norm.weight", (h,)
    if not c["tie_word_embeddings"]:
        yield "lm_head.weight", (c["vocab_size"], h)


def _llama(c: Config) -> Shapes:
    for name, shape in _qwen2(c):
        if not name.endswith("_proj.bias") or c["attention_bias"]:
            yield name, shape
    if c["attention_bias"]:
        for i in range(c["num_hidden_layers"]):
            yield f"model.layers.{i}.self_attn.o_proj.bias", (c["hidden_size"],)


def _deepseek(c: Config) -> Shapes:
    h, heads, experts = c["hidden_size"], c["num_attention_heads"], c["n_routed_experts"]
    query = heads * (c["qk_nope_head_dim"] + c["qk_rope_head_dim"])
    wide = c["moe_intermediate_size"]
    yield "model.embed_tokens.weight", (c["vocab_size"], h)
    n = c["num_hidden_layers"]
    for i in range(n + c["num_nextn_predict_layers"]):
        at = f"model.layers.{i}."
        yield at + "input_layernorm.weight", (h,)
        yield at + "post_attention_layernorm.weight", (h,)
        if c["q_lora_rank"]:
            yield at + "self_attn.q_a_proj.weight", (c["q_lora_rank"], h)
            yield at + "self_attn.q_a_layernorm.weight", (c["q_lora_rank"],)
            yield at + "self_attn.q_b_proj.weight", (query, c["q_lora_rank"])
        else:
            yield at + "self_attn.q_proj.weight", (query, h)
        both = c["kv_lora_rank"] + c["qk_rope_head_dim"]
        yield at + "self_attn.kv_a_proj_with_mqa.weight", (both, h)
        yield at + "self_attn.kv_a_layernorm.weight", (c["kv_lora_rank"],)
        out = heads * (c["qk_nope_head_dim"] + c["v_head_dim"])
        yield at + "self_attn.kv_b_proj.weight", (out, c["kv_lora_rank"])
        yield at + "self_attn.o_proj.weight", (h, heads * c["v_head_dim"])
        if i < c["first_k_dense_replace"]:
            yield from _dense(at, h, c["intermediate_size"])
        else:
            yield at + "mlp.gate.weight", (experts, h)
            yield at + "mlp.gate.e_score_correction_bias", (experts,)
            for e in range(experts):
                yield from _dense(f"{at}mlp.experts.{e}.", h, wide, "")
            yield from _dense(at + "mlp.shared_experts.", h, wide * c["n_shared_experts"], "")
        if i >= n:
            yield at + "embed_tokens.weight", (c["vocab_size"], h)
            yield at + "enorm.weight", (h,)
            yield at + "hnorm.weight", (h,)
            yield at + "eh_proj.weight", (h, 2 * h)
            yield at + "shared_head.norm.weight", (h,)
            yield at + "shared_head.head.weight", (c["vocab_size"], h)
    yield "model.norm.weight", (h,)
    if not c["tie_word_embeddings"]:
        yield "lm_head.weight", (c["vocab_size"], h)


def _dense(at: str, h: int, wide: int, under: str = "mlp.") -> Shapes:
    yield f"{at}{under}gate_proj.weight", (wide, h)
    yield f"{at}{under}up_proj.weight", (wide, h)
    yield f"{at}{under}down_proj.weight", (h, wide)


@dataclass(frozen=True)
class Recipe:
    """How one of the checkpoints is made."""

    config: Config
    shapes: Callable[[Config], Shapes]
    vocabulary: Callable[[], tokenizer_files.Files]
    dtype: str
    shards: int = 1
    changes: Mapping[str, Any] = field(default_factory=dict)
    card: str = ""


RECIPES = {
    "qwen2-bf16": Recipe(_QWEN2, _qwen2, tokenizer_files.qwen2, "BF16", 3, card=_CARD),
    "qwen2-tied": Recipe(
        _QWEN2, _qwen2, tokenizer_files.distill, "BF16", changes={"tie_word_embeddings": True}
    ),
    "qwen2-f16": Recipe(_QWEN2, _qwen2, tokenizer_files.qwen2, "F16"),
    "qwen2-f32": Recipe(_QWEN2, _qwen2, tokenizer_files.qwen2, "F32", 2),
    "qwen2-odd": Recipe(
        _QWEN2,
        _qwen2,
        tokenizer_files.qwen2,
        "BF16",
        changes={
            "hidden_size": 160,
            "num_attention_heads": 5,
            "num_key_value_heads": 1,
            "intermediate_size": 328,
        },
    ),
    "llama-bf16": Recipe(_LLAMA, _llama, tokenizer_files.llama3, "BF16", 2, card=_CARD),
    "llama-tied": Recipe(
        _LLAMA,
        _llama,
        tokenizer_files.distill,
        "F16",
        changes={
            "tie_word_embeddings": True,
            "attention_bias": True,
            "head_dim": 128,
            "rope_scaling": {"type": "linear", "factor": 2.0},
        },
    ),
    "deepseek-fp8": Recipe(
        _DEEPSEEK,
        _deepseek,
        tokenizer_files.deepseek,
        "F8_E4M3",
        4,
        changes={"quantization_config": _FP8},
        card=_CARD,
    ),
    "deepseek-bf16": Recipe(
        _DEEPSEEK,
        _deepseek,
        tokenizer_files.deepseek,
        "BF16",
        changes={"q_lora_rank": None, "num_nextn_predict_layers": 0, "rope_scaling": None},
    ),
}


def write(name: str, directory: Path, *, shards: int | None = None, **changes: Any) -> Path:
    """Write that checkpoint into the directory, which need not be there.

    Args:
        name: of `RECIPES`.
        directory: where.
        shards: how many, where not as many as the recipe has.
        changes: keys of config.json, for another shape.

    Returns:
        The directory.
    """
    recipe = RECIPES[name]
    files = recipe.vocabulary()
    config = {**recipe.config, **files.ids, **recipe.changes, **changes}
    directory.mkdir(parents=True, exist_ok=True)
    for file, content in {
        "config.json": config,
        "generation_config.json": {
            "do_sample": True, "temperature": 0.6, "top_p": 0.95, "top_k": 20,
            "repetition_penalty": 1.05,
        },
        "tokenizer.json": files.tokenizer,
        "tokenizer_config.json": files.config,
    }.items():  # fmt: skip
        (directory / file).write_text(json.dumps(content, ensure_ascii=False, indent=1))
    if recipe.card:
        (directory / "README.md").write_text(recipe.card)
    write_shards(directory, dict(_tensors(recipe, config)), shards or recipe.shards)
    return directory


@dataclass(frozen=True)
class Tensor:
    """What a shard holds under a name."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes


def write_shards(directory: Path, tensors: Mapping[str, Tensor], shards: int) -> None:
    """Part them by size, in their order, as `save_pretrained` does."""
    total = sum(len(t.data) for t in tensors.values())
    parts: list[dict[str, Tensor]] = [{} for _ in range(shards)]
    so_far = 0
    for name, tensor in tensors.items():
        parts[so_far * shards // total][name] = tensor
        so_far += len(tensor.data)
    if shards == 1:
        write_shard(directory / "model.safetensors", parts[0])
        return
    names = [f"model-{i + 1:05}-of-{shards:05}.safetensors" for i in range(shards)]
    for file, part in zip(names, parts, strict=True):
        write_shard(directory / file, part)
    index = {
        "metadata": {"total_size": total},
        "weight_map": {t: f for f, part in zip(names, parts, strict=True) for t in part},
    }
    (directory / "model.safetensors.index.json").write_text(json.dumps(index, indent=1))


def write_shard(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """One safetensors file: a length, a JSON header padded to eight bytes, the data."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, tensor in tensors.items():
        end = at + len(tensor.data)
        header[name] = {"dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [at, end]}
        at = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for tensor in tensors.values():
            file.write(tensor.data)


def _tensors(recipe: Recipe, config: Config) -> Iterator[tuple[str, Tensor]]:
    for name, shape in recipe.shapes(config):
        values = _values(name, shape)
        if recipe.dtype != "F8_E4M3":
            yield name, Tensor(recipe.dtype, shape, _encoded(values, recipe.dtype))
        elif name.endswith(("_proj.weight", "_with_mqa.weight")):
            codes, scales = _blocks_of_fp8(values)
            yield name, Tensor("F8_E4M3", shape, codes.tobytes())
            yield name + "_scale_inv", Tensor("F32", scales.shape, scales.tobytes())
        else:
            # As in DeepSeek-R1: what is not a block matrix is BF16, the router's bias F32.
            kind = "F32" if name.endswith("e_score_correction_bias") else "BF16"
            yield name, Tensor(kind, shape, _encoded(values, kind))


def _values(name: str, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    values = rng.normal(0, 0.02, shape).astype(np.float32)
    return values + np.float32(1) if "norm" in name else values


def _encoded(values: npt.NDArray[np.float32], dtype: str) -> bytes:
    if dtype == "F32":
        return values.tobytes()
    if dtype == "F16":
        return values.astype(np.float16).tobytes()
    bits = values.view(np.uint32)
    return ((bits + (0x7FFF + (bits >> 16 & 1))) >> 16).astype(np.uint16).tobytes()


def _blocks_of_fp8(
    values: npt.NDArray[np.float32], side: int = 128
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    rows, columns = values.shape
    scales = np.empty((-(-rows // side), -(-columns // side)), np.float32)
    codes = np.empty(values.shape, np.uint8)
    positive = _e4m3(np.arange(127))
    for i in range(scales.shape[0]):
        for j in range(scales.shape[1]):
            here = slice(i * side, (i + 1) * side), slice(j * side, (j + 1) * side)
            scales[i, j] = np.abs(values[here]).max() / 448
            steps = np.abs(values[here]) / scales[i, j]
            nearest = np.searchsorted((positive[1:] + positive[:-1]) / 2, steps)
            codes[here] = nearest | np.where(values[here] < 0, 0x80, 0)
    return codes, scales


def _e4m3(codes: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    exponent, mantissa = codes >> 3, codes & 7
    return np.where(exponent == 0, mantissa * 2.0**-9, (8 + mantissa) * 2.0 ** (exponent - 10.0))


def main(name: str, directory: str, *changes: str) -> None:
    """Write one checkpoint; the changes are KEY=JSON."""
    pairs = (change.split("=", 1) for change in changes)
    write(name, Path(directory), **{key: json.loads(value) for key, value in pairs})


if __name__ == "__main__":
    main(*sys.argv[1:])
