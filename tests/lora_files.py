"""Small F32 models, LoRA adapters for them, and the same models with adapters merged by hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from gguf import GGUFReader, GGUFValueType, GGUFWriter

from ponder.library.local import builtin_path

Weights = dict[str, np.ndarray]
Pairs = dict[str, tuple[np.ndarray, np.ndarray]]
"""By tensor: A of (rank, in) and B of (out, rank), as PEFT has them; B A is what is added."""
HIDDEN, HEADS, KV_HEADS, FFN, LAYERS = 64, 4, 2, 96, 2
RANK, ALPHA = 4, 8.0
MATRICES = tuple(
    f"{name}.weight"
    for name in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
)


def weights(seed: int = 0, *, tied: bool = False) -> Weights:
    """A llama model's, drawn by a seed; its vocabulary is the built-in model's."""
    draw = np.random.default_rng(seed)
    narrow = HIDDEN // HEADS * KV_HEADS
    shapes: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (_vocabulary(), HIDDEN),
        "output_norm.weight": (HIDDEN,),
    }
    if not tied:
        shapes["output.weight"] = (_vocabulary(), HIDDEN)
    for layer in range(LAYERS):
        shapes |= {
            f"blk.{layer}.{name}": shape
            for name, shape in {
                "attn_norm.weight": (HIDDEN,),
                "ffn_norm.weight": (HIDDEN,),
                "attn_q.weight": (HIDDEN, HIDDEN),
                "attn_k.weight": (narrow, HIDDEN),
                "attn_v.weight": (narrow, HIDDEN),
                "attn_output.weight": (HIDDEN, HIDDEN),
                "ffn_gate.weight": (FFN, HIDDEN),
                "ffn_up.weight": (FFN, HIDDEN),
                "ffn_down.weight": (HIDDEN, FFN),
            }.items()
        }
    return {
        name: (
            1 + draw.normal(0, 0.1, shape) if len(shape) == 1 else draw.normal(0, 0.2, shape)
        ).astype(np.float32)
        for name, shape in shapes.items()
    }


def pairs(base: Weights, seed: int, names: Iterable[str] | None = None) -> Pairs:
    """An adapter's matrices; without names, for every matrix of the layers and the output."""
    draw = np.random.default_rng(seed)
    if names is None:
        names = [name for name in base if name.endswith(MATRICES) or name == "output.weight"]
    found = {}
    for name in names:
        out, into = base[name].shape
        a, b = draw.normal(0, 0.1, (RANK, into)), draw.normal(0, 0.1, (out, RANK))
        found[name] = (a.astype(np.float32), b.astype(np.float32))
    return found


def merged(base: Weights, *adapters: tuple[Pairs, float]) -> Weights:
    """W + scale * alpha / rank * B A, in double precision."""
    result = {name: array.astype(np.float64) for name, array in base.items()}
    for found, scale in adapters:
        for name, (a, b) in found.items():
            result[name] += scale * ALPHA / RANK * (b.astype(np.float64) @ a.astype(np.float64))
    return {name: array.astype(np.float32) for name, array in result.items()}


def write_model(path: Path, tensors: Mapping[str, np.ndarray], architecture: str = "llama") -> Path:
    """A model of these weights."""
    writer = GGUFWriter(path, architecture)
    for name, field in GGUFReader(builtin_path("ponder-tiny-Q4_K_M.gguf")).fields.items():
        if name.startswith("tokenizer."):
            inner = field.types[1] if field.types[0] == GGUFValueType.ARRAY else None
            writer.add_key_value(name, field.contents(), field.types[0], inner)
    writer.add_type("model")
    writer.add_context_length(2048)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FFN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_rope_dimension_count(HIDDEN // HEADS)
    writer.add_rope_freq_base(10000.0)
    writer.add_layer_norm_rms_eps(1e-6)
    return _written(writer, path, tensors)


def write_adapter(
    path: Path,
    found: Pairs,
    architecture: str = "llama",
    *,
    kind: str = "lora",
    invocation: list[int] | None = None,
    more: Mapping[str, np.ndarray] | None = None,
    base: str = "",
) -> Path:
    """An adapter as llama.cpp's convert_lora_to_gguf.py writes it.

    Args:
        path: where.
        found: its matrices.
        architecture: of the model that it is for.
        kind: `adapter.type`.
        invocation: tokens that make it an aLoRA.
        more: further tensors, as they are.
        base: the name of the model that it says it belongs to.
    """
    writer = GGUFWriter(path, architecture)
    writer.add_type("adapter")
    writer.add_string("adapter.type", kind)
    writer.add_float32("adapter.lora.alpha", ALPHA)
    if base:
        writer.add_base_model_count(1)
        writer.add_base_model_name(0, base)
    if invocation is not None:
        writer.add_key_value(
            "adapter.alora.invocation_tokens", invocation, GGUFValueType.ARRAY, GGUFValueType.UINT32
        )
    tensors: dict[str, np.ndarray] = {}
    for name, (a, b) in found.items():
        # A row of the embedding is looked up in B, so the two change places there.
        first, second = (b, a.T) if name == "token_embd.weight" else (a, b)
        tensors |= {f"{name}.lora_a": first, f"{name}.lora_b": second}
    return _written(writer, path, tensors | dict(more or {}))


def _written(writer: GGUFWriter, path: Path, tensors: Mapping[str, np.ndarray]) -> Path:
    for name, array in tensors.items():
        writer.add_tensor(name, np.ascontiguousarray(array))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _vocabulary() -> int:
    fields = GGUFReader(builtin_path("ponder-tiny-Q4_K_M.gguf")).fields
    return len(fields["tokenizer.ggml.tokens"].contents())


def adapter_of(path: Path, model: Path, seed: int, size: float = 0.02) -> Path:
    """A small adapter for any model: two matrices of its first layer."""
    found = {}
    draw = np.random.default_rng(seed)
    reader = GGUFReader(model)
    for tensor in reader.tensors:
        if tensor.name in ("blk.0.attn_q.weight", "blk.0.ffn_down.weight"):
            into, out = (int(n) for n in tensor.shape[:2])
            a, b = draw.normal(0, size, (RANK, into)), draw.normal(0, size, (out, RANK))
            found[tensor.name] = (a.astype(np.float32), b.astype(np.float32))
    return write_adapter(path, found, str(reader.fields["general.architecture"].contents()))
