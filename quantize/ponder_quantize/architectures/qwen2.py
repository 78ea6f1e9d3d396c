"""Qwen2 and Qwen2.5: the Qwen distills of DeepSeek-R1, s1, the built-in model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from gguf import MODEL_ARCH

from ponder_quantize.architectures.base import Architecture, Shape, dense, head_size


class Qwen2(Architecture):
    """Qwen2ForCausalLM."""

    arch = MODEL_ARCH.QWEN2
    defaults: ClassVar[dict[str, Any]] = {
        "max_position_embeddings": 32768,
        "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0,
    }

    def layer(self, index: int) -> Iterator[tuple[str, Shape]]:
        """The tensors of a layer, without their prefix, and their shapes."""
        del index
        size = head_size(self.config, self.hidden, self.heads)
        yield "input_layernorm.weight", (self.hidden,)
        for part, heads in (("q", self.heads), ("k", self.kv_heads), ("v", self.kv_heads)):
            yield f"self_attn.{part}_proj.weight", (heads * size, self.hidden)
            yield f"self_attn.{part}_proj.bias", (heads * size,)
        yield "self_attn.o_proj.weight", (self.hidden, self.heads * size)
        yield "post_attention_layernorm.weight", (self.hidden,)
        yield from dense(self.hidden, self.config.count("intermediate_size"))
