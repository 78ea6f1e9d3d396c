"""GGUF files with random weights, or with none at all, in shapes of our choosing.

A sparse file announces tensors that are never written: llama.cpp can be asked what it would
allocate for a model that no test machine could hold.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFWriter

from ponder.catalogue import Shape

F32, F16 = GGMLQuantizationType.F32, GGMLQuantizationType.F16
BF16 = GGMLQuantizationType.BF16


def write(
    path: Path, shape: Shape, quant: str, context: int = 131_072, sparse: bool = False
) -> None:
    """Write a model of that shape.

    Args:
        quant: a ggml type, which every matrix gets whose rows it divides; the others are F16.
        sparse: whether the weights are left out, a hole in the file.
    """
    arch = shape.architecture
    writer = GGUFWriter(str(path), arch)
    _facts(writer, shape, context)
    rng = np.random.default_rng(7)
    sizes = []
    for name, dims in tensors(shape):
        kind = GGMLQuantizationType[quant] if len(dims) > 1 and "gate_inp" not in name else F32
        block, width = GGML_QUANT_SIZES[kind]
        if dims[-1] % block:
            kind = F16
            block, width = GGML_QUANT_SIZES[kind]
        size = math.prod(dims) // block * width
        sizes.append(size)
        if kind in (F32, F16):
            dtype = np.dtype(np.float32 if kind == F32 else np.float16)
            if sparse:
                writer.add_tensor_info(name, dims, dtype, size)
            else:
                writer.add_tensor(name, rng.normal(0, 0.02, dims).astype(dtype))
            continue
        rows = (*dims[:-1], dims[-1] // block * width)
        if kind == BF16 and not sparse:
            bits = rng.normal(0, 0.02, dims).astype(np.float32).view(np.uint32) >> 16
            writer.add_tensor(name, bits.astype(np.uint16).view(np.uint8), raw_dtype=kind)
            continue
        if sparse:
            writer.add_tensor_info(name, rows, np.dtype(np.uint8), size, raw_dtype=kind)
            continue
        blocks = rng.integers(0, 256, (size // width, width), dtype=np.uint8)
        # The scale is the first number of a block; any bits may be infinite there.
        blocks[:, :2] = np.frombuffer(np.float16(1e-3).tobytes(), np.uint8)
        writer.add_tensor(name, blocks.reshape(rows), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    if not sparse:
        writer.write_tensors_to_file()
        writer.close()
        return
    writer.write_ti_data_to_file()
    assert writer.fout is not None
    writer.fout[0].flush()
    end = writer.fout[0].tell()
    writer.close()
    for size in (0, *sizes):
        end += size + -(end + size) % 32
    os.truncate(path, end)


def _facts(writer: GGUFWriter, shape: Shape, context: int) -> None:
    prefix = f"{shape.architecture}."
    writer.add_context_length(context)
    writer.add_embedding_length(shape.hidden)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.ffn)
    writer.add_head_count(shape.heads)
    writer.add_rope_freq_base(shape.rope_theta)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_vocab_size(shape.vocabulary)
    numbers: dict[str, int] = {}
    if shape.mla is not None:
        mla = shape.mla
        writer.add_head_count_kv(1)
        writer.add_rope_dimension_count(mla.rope)
        numbers |= {
            "attention.q_lora_rank": mla.q_lora,
            "attention.kv_lora_rank": mla.kv_lora,
            "attention.key_length": mla.kv_lora + mla.rope,
            "attention.value_length": mla.kv_lora,
            "attention.key_length_mla": mla.nope + mla.rope,
            "attention.value_length_mla": mla.value,
        }
    else:
        writer.add_head_count_kv(shape.kv_heads)
        writer.add_key_length(shape.head_dim)
        writer.add_value_length(shape.head_dim)
    if shape.experts is not None:
        experts = shape.experts
        writer.add_float32(f"{prefix}expert_weights_scale", 2.5)
        writer.add_bool(f"{prefix}expert_weights_norm", True)
        numbers |= {
            "leading_dense_block_count": experts.dense_layers,
            "expert_feed_forward_length": experts.ffn,
            "expert_count": experts.count,
            "expert_used_count": experts.used,
            "expert_shared_count": experts.shared,
            "expert_gating_func": 2,
        }
    for name, number in numbers.items():
        writer.add_uint32(prefix + name, number)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([f"t{n}" for n in range(shape.vocabulary)])
    writer.add_token_merges(["t 0"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)


def tensors(shape: Shape) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Names and shapes as llama.cpp's converter writes them, rows first."""
    wide, hidden, mla, experts = shape.vocabulary, shape.hidden, shape.mla, shape.experts
    yield "token_embd.weight", (wide, hidden)
    yield "output_norm.weight", (hidden,)
    if not shape.tied_embeddings:
        yield "output.weight", (wide, hidden)
    for layer in range(shape.layers):
        for name, dims in _layer(shape, experts is not None and layer >= experts.dense_layers):
            yield f"blk.{layer}.{name}", dims
    assert (mla is None) == (shape.architecture != "deepseek2")


def _layer(shape: Shape, routed: bool) -> Iterator[tuple[str, tuple[int, ...]]]:
    hidden, heads, mla = shape.hidden, shape.heads, shape.mla
    yield "attn_norm.weight", (hidden,)
    yield "ffn_norm.weight", (hidden,)
    if mla is not None:
        yield "attn_q_a_norm.weight", (mla.q_lora,)
        yield "attn_kv_a_norm.weight", (mla.kv_lora,)
        yield "attn_q_a.weight", (mla.q_lora, hidden)
        yield "attn_q_b.weight", (heads * (mla.nope + mla.rope), mla.q_lora)
        yield "attn_kv_a_mqa.weight", (mla.kv_lora + mla.rope, hidden)
        yield "attn_k_b.weight", (heads, mla.kv_lora, mla.nope)
        yield "attn_v_b.weight", (heads, mla.value, mla.kv_lora)
        yield "attn_output.weight", (hidden, heads * mla.value)
    else:
        wide, narrow = heads * shape.head_dim, shape.kv_heads * shape.head_dim
        for name, rows in (("q", wide), ("k", narrow), ("v", narrow)):
            yield f"attn_{name}.weight", (rows, hidden)
            if shape.architecture == "qwen2":
                yield f"attn_{name}.bias", (rows,)
        yield "attn_output.weight", (hidden, wide)
    if not routed or shape.experts is None:
        yield "ffn_gate.weight", (shape.ffn, hidden)
        yield "ffn_up.weight", (shape.ffn, hidden)
        yield "ffn_down.weight", (hidden, shape.ffn)
        return
    experts = shape.experts
    count, one, shared = experts.count, experts.ffn, experts.ffn * experts.shared
    yield "ffn_gate_inp.weight", (count, hidden)
    yield "exp_probs_b.bias", (count,)
    yield "ffn_gate_exps.weight", (count, one, hidden)
    yield "ffn_up_exps.weight", (count, one, hidden)
    yield "ffn_down_exps.weight", (count, hidden, one)
    yield "ffn_gate_shexp.weight", (shared, hidden)
    yield "ffn_up_shexp.weight", (shared, hidden)
    yield "ffn_down_shexp.weight", (hidden, shared)
