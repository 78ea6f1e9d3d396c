"""Small GGUFs with seeded weights, in shapes and types that the built-in model has not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, GGUFReader, GGUFValueType, GGUFWriter
from gguf.quants import dequantize, quantize

from ponder.library.local import builtin_path


def mixture(path: Path, layers: int = 2, experts: int = 4, used: int = 2) -> Path:
    """DeepSeek-V2: latent attention with a matrix a head, one dense layer, then experts, F32."""
    hidden, heads, q_rank, kv_rank, plain, turned, value = 64, 2, 32, 64, 32, 16, 32
    dense, small = 96, 48
    writer = GGUFWriter(path, "deepseek2")
    vocabulary = _copy_vocabulary(writer)
    writer.add_context_length(4096)
    writer.add_embedding_length(hidden)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(dense)
    writer.add_head_count(heads)
    writer.add_head_count_kv(1)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(turned)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_leading_dense_block_count(1)
    writer.add_expert_feed_forward_length(small)
    writer.add_expert_count(experts)
    writer.add_expert_used_count(used)
    writer.add_expert_shared_count(1)
    writer.add_expert_weights_scale(1.0)
    writer.add_expert_weights_norm(True)
    writer.add_q_lora_rank(q_rank)
    writer.add_kv_lora_rank(kv_rank)
    writer.add_key_length(kv_rank + turned)
    writer.add_value_length(kv_rank)
    writer.add_key_length_mla(plain + turned)
    writer.add_value_length_mla(value)
    shapes: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (vocabulary, hidden),
        "output.weight": (vocabulary, hidden),
        "output_norm.weight": (hidden,),
    }
    for layer in range(layers):
        b = f"blk.{layer}."
        shapes |= {
            b + "attn_norm.weight": (hidden,),
            b + "ffn_norm.weight": (hidden,),
            b + "attn_q_a_norm.weight": (q_rank,),
            b + "attn_kv_a_norm.weight": (kv_rank,),
            b + "attn_q_a.weight": (q_rank, hidden),
            b + "attn_q_b.weight": (heads * (plain + turned), q_rank),
            b + "attn_kv_a_mqa.weight": (kv_rank + turned, hidden),
            b + "attn_k_b.weight": (heads, kv_rank, plain),
            b + "attn_v_b.weight": (heads, value, kv_rank),
            b + "attn_output.weight": (hidden, heads * value),
        }
        if layer:
            shapes |= {
                b + "ffn_gate_inp.weight": (experts, hidden),
                b + "ffn_gate_exps.weight": (experts, small, hidden),
                b + "ffn_up_exps.weight": (experts, small, hidden),
                b + "ffn_down_exps.weight": (experts, hidden, small),
                b + "ffn_gate_shexp.weight": (small, hidden),
                b + "ffn_up_shexp.weight": (small, hidden),
                b + "ffn_down_shexp.weight": (hidden, small),
            }
        else:
            shapes |= {
                b + "ffn_gate.weight": (dense, hidden),
                b + "ffn_up.weight": (dense, hidden),
                b + "ffn_down.weight": (hidden, dense),
            }
    for seed, (name, shape) in enumerate(shapes.items()):
        writer.add_tensor(name, _weights(seed, shape))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _weights(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    """Norms near one, matrices of small numbers; drawn by hand, so that no numpy changes them."""
    at = np.arange(int(np.prod(shape)), dtype=np.uint64) + np.uint64(seed * 1_000_003 + 1)
    at = (at ^ (at >> np.uint64(7))) * np.uint64(0x9E3779B97F4A7C15)
    at = (at ^ (at >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    uniform = (at >> np.uint64(40)).astype(np.float32) / np.float32(1 << 23) - np.float32(1)
    return (1 + uniform / 4 if len(shape) == 1 else uniform / 4).reshape(shape)


def _copy_vocabulary(writer: GGUFWriter) -> int:
    fields = GGUFReader(builtin_path("ponder-tiny-Q4_K_M.gguf")).fields
    for name, field in fields.items():
        if name.startswith("tokenizer."):
            inner = field.types[1] if field.types[0] == GGUFValueType.ARRAY else None
            writer.add_key_value(name, field.contents(), field.types[0], inner)
    return len(fields["tokenizer.ggml.tokens"].contents())


def four_bits(path: Path) -> Path:
    """The built-in model with its matrices as Q4_0, by the `gguf` package's own quantizer."""
    source = GGUFReader(builtin_path("ponder-tiny-Q4_K_M.gguf"))
    writer = GGUFWriter(path, "")
    for name, field in source.fields.items():
        if not name.startswith("GGUF."):
            inner = field.types[1] if field.types[0] == GGUFValueType.ARRAY else None
            writer.add_key_value(name, field.contents(), field.types[0], inner)
    for tensor in source.tensors:
        kind = tensor.tensor_type
        if kind != GGMLQuantizationType.F32:
            weights = dequantize(tensor.data, kind)
            kind = GGMLQuantizationType.Q4_0
            writer.add_tensor(tensor.name, quantize(weights, kind), raw_dtype=kind)
        else:
            writer.add_tensor(tensor.name, tensor.data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
