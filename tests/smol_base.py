"""A base as small as can be, with what the real one has: llama's graph, SmolLM's tokenizer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from builtin_model.smol.adapter import Adapter, Pair
from builtin_model.smol.base import Shape
from gguf import GGUFWriter, TokenType
from llama_cpp import Llama
from numpy.typing import NDArray
from tokenizers import pre_tokenizers

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
MERGES = (("t", "h"), ("i", "n"), ("Ġ", "t"), ("Ġt", "h"), ("in", "k"))
_ALPHABET = sorted(pre_tokenizers.ByteLevel.alphabet())
WORDS = (*SPECIAL, *_ALPHABET, *("".join(merge) for merge in MERGES))
SHAPE = Shape(
    layers=2,
    hidden=128,
    heads=4,
    kv_heads=2,
    ffn=160,
    vocabulary=len(WORDS),
    context=512,
    rope_theta=10000.0,
    epsilon=1e-5,
)


def weights(seed: int = 1) -> dict[str, NDArray[np.float32]]:
    """Random ones, of a size that makes every layer matter."""
    dice = np.random.default_rng(seed)

    def drawn(*size: int, scale: float) -> NDArray[np.float32]:
        return (dice.standard_normal(size) * scale).astype(np.float32)

    made = {
        "token_embd.weight": drawn(SHAPE.vocabulary, SHAPE.hidden, scale=0.3),
        "output_norm.weight": 1 + drawn(SHAPE.hidden, scale=0.1),
    }
    for layer in range(SHAPE.layers):
        for name, (rows, columns) in SHAPE.projections.items():
            made[f"blk.{layer}.{name}.weight"] = drawn(rows, columns, scale=columns**-0.5)
        for name in ("attn_norm", "ffn_norm"):
            made[f"blk.{layer}.{name}.weight"] = 1 + drawn(SHAPE.hidden, scale=0.1)
    return made


def adapter(seed: int = 2, rank: int = 32) -> Adapter:
    """Random as well, about as large as the weights it is added to."""
    dice = np.random.default_rng(seed)
    pairs = {
        f"blk.{layer}.{name}.weight": Pair(
            (dice.standard_normal((rank, columns)) * columns**-0.5).astype(np.float32),
            (dice.standard_normal((rows, rank)) * 0.1).astype(np.float32),
        )
        for layer in range(SHAPE.layers)
        for name, (rows, columns) in SHAPE.projections.items()
    }
    return Adapter(64.0, pairs)


def write(
    path: Path, tensors: Mapping[str, NDArray[np.float32]], architecture: str = "llama"
) -> Path:
    """Write a GGUF of them."""
    writer = GGUFWriter(path, architecture)
    writer.add_name("Made")
    writer.add_block_count(SHAPE.layers)
    writer.add_context_length(SHAPE.context)
    writer.add_embedding_length(SHAPE.hidden)
    writer.add_feed_forward_length(SHAPE.ffn)
    writer.add_head_count(SHAPE.heads)
    writer.add_head_count_kv(SHAPE.kv_heads)
    writer.add_rope_freq_base(SHAPE.rope_theta)
    writer.add_rope_dimension_count(SHAPE.head)
    writer.add_layer_norm_rms_eps(SHAPE.epsilon)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(list(WORDS))
    writer.add_token_types(
        [TokenType.CONTROL if word in SPECIAL else TokenType.NORMAL for word in WORDS]
    )
    writer.add_token_merges([" ".join(merge) for merge in MERGES])
    writer.add_eos_token_id(WORDS.index("<|im_end|>"))
    writer.add_add_bos_token(False)
    for name, tensor in tensors.items():
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def logits(model: Path, ids: list[int], lora: Path | None = None) -> NDArray[np.float32]:
    """What llama.cpp says after each of the ids: positions x vocabulary."""
    llama = Llama(
        str(model),
        lora_path=None if lora is None else str(lora),
        n_ctx=64,
        n_threads=1,
        n_threads_batch=1,
        logits_all=True,
        verbose=False,
    )
    llama.eval(ids)
    said: NDArray[np.float32] = llama.scores[: len(ids)].copy()
    llama.close()
    return said


def distance(found: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    """How far apart, beside how large."""
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))
