"""DeepSeek-V3 and R1: latent attention, experts, layers for multi-token prediction.

llama.cpp keeps keys and values apart and the keys transposed, so that queries can absorb
them; the experts of a layer are one tensor, here of one part each, so that an expert can be
quantized as soon as its shard is there; the layers beyond the last are left out
(conversion/deepseek.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from gguf import MODEL_ARCH, GGUFWriter, LlamaFileType

from ponder.errors import BadCheckpoint
from ponder_quantize.architectures.base import Architecture, Find, Output, Shape, dense
from ponder_quantize.weights import AsStored, Taken, Turned

_MOST_EXPERTS = 1024
"""LLAMA_MAX_EXPERTS (llama-hparams.h)."""
_EXPERT = re.compile(r"(model\.layers\.\d+\.mlp\.experts)\.0\.(.+)")


class DeepseekV3(Architecture):
    """DeepseekV3ForCausalLM."""

    arch = MODEL_ARCH.DEEPSEEK2
    defaults: ClassVar[dict[str, Any]] = {
        "first_k_dense_replace": 3,
        "kv_lora_rank": 512,
        "max_position_embeddings": 4096,
        "moe_intermediate_size": 2048,
        "n_group": 8,
        "n_routed_experts": 256,
        "n_shared_experts": 1,
        "norm_topk_prob": True,
        "num_experts_per_tok": 8,
        "q_lora_rank": 1536,
        "qk_nope_head_dim": 128,
        "qk_rope_head_dim": 64,
        "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0,
        "routed_scaling_factor": 2.5,
        "topk_group": 4,
        "v_head_dim": 128,
    }

    def __init__(self, raw: dict[str, Any]) -> None:
        """Args:
        raw: config.json.
        """
        super().__init__(raw)
        count = self.config.count
        self.rank = count("kv_lora_rank")
        self.plain, self.turned = count("qk_nope_head_dim"), count("qk_rope_head_dim")
        self.value = count("v_head_dim")
        self.n_experts = count("n_routed_experts", _MOST_EXPERTS)
        self.shared = count("n_shared_experts", _MOST_EXPERTS, 0)
        self.first = count("first_k_dense_replace", least=0)
        self.wide = count("moe_intermediate_size")
        if self.kv_heads != self.heads:
            raise BadCheckpoint(
                f"num_key_value_heads in config.json is {self.kv_heads}: with latent attention "
                f"there are as many as num_attention_heads, {self.heads}."
            )

    def layer(self, index: int) -> Iterator[tuple[str, Shape]]:
        """The tensors of a layer, without their prefix, and their shapes."""
        hidden, heads = self.hidden, self.heads
        queries = heads * (self.plain + self.turned)
        bias = self.config.flag("attention_bias")
        yield "input_layernorm.weight", (hidden,)
        if self.config.has("q_lora_rank"):
            rank = self.config.count("q_lora_rank")
            yield "self_attn.q_a_proj.weight", (rank, hidden)
            if bias:
                yield "self_attn.q_a_proj.bias", (rank,)
            yield "self_attn.q_a_layernorm.weight", (rank,)
            yield "self_attn.q_b_proj.weight", (queries, rank)
        else:
            yield "self_attn.q_proj.weight", (queries, hidden)
        yield "self_attn.kv_a_proj_with_mqa.weight", (self.rank + self.turned, hidden)
        if bias:
            yield "self_attn.kv_a_proj_with_mqa.bias", (self.rank + self.turned,)
        yield "self_attn.kv_a_layernorm.weight", (self.rank,)
        yield "self_attn.kv_b_proj.weight", (heads * (self.plain + self.value), self.rank)
        yield "self_attn.o_proj.weight", (hidden, heads * self.value)
        if bias:
            yield "self_attn.o_proj.bias", (hidden,)
        yield "post_attention_layernorm.weight", (hidden,)
        if index < self.first:
            yield from dense(hidden, self.config.count("intermediate_size"))
            return
        yield "mlp.gate.weight", (self.n_experts, hidden)
        yield "mlp.gate.e_score_correction_bias", (self.n_experts,)
        for expert in range(self.n_experts):
            yield from dense(hidden, self.wide, f"mlp.experts.{expert}.")
        if self.shared:
            yield from dense(hidden, self.wide * self.shared, "mlp.shared_experts.")

    def spare(self) -> Iterator[tuple[str, Shape]]:
        """None: a tied output layer is left out."""
        yield from ()

    def dropped(self, name: str) -> bool:
        """Whether the converter leaves it out: a tied output layer, a layer beyond the last."""
        layer = re.match(r"model\.layers\.(\d+)\.", name)
        beyond = layer is not None and int(layer[1]) >= self.layers
        tied = self.tied and name in ("lm_head.weight", "model.lm_head.weight")
        return beyond or tied or super().dropped(name)

    def renamed(self, name: str) -> str:
        """llama.cpp's name of a stored tensor."""
        return super().renamed(name.replace("e_score_correction_bias", "e_score_correction.bias"))

    def outputs(self, names: Sequence[str], find: Find) -> Iterator[Output]:
        """The tensors of the GGUF: experts merged, keys and values parted."""
        plain = []
        for name in names:
            if name.endswith(".kv_b_proj.weight"):
                weights, both = find(name), self.plain + self.value
                keys = name.replace("kv_b_proj", "k_b_proj")
                values = name.replace("kv_b_proj", "v_b_proj")
                shape = (self.heads, self.rank, self.plain)
                yield self.renamed(keys), shape, (Turned(weights, both, self.plain),)
                shape = (self.heads, self.value, self.rank)
                part = Taken(weights, both, self.plain, self.value)
                yield self.renamed(values), shape, (part,)
            elif first := _EXPERT.fullmatch(name):
                each = [find(f"{first[1]}.{expert}.{first[2]}") for expert in range(self.n_experts)]
                merged = self.renamed(f"{first[1]}.{first[2]}")
                yield merged, (len(each), *each[0].shape), [AsStored(w) for w in each]
            elif ".mlp.experts." not in name:
                plain.append(name)
        yield from super().outputs(plain, find)

    def written_kv_heads(self) -> int:
        """One: latent attention is multi-query attention with larger heads."""
        return 1

    def lengths(self, writer: GGUFWriter) -> None:
        """Record how long keys and values are as latent attention has them."""
        writer.add_key_length(self.rank + self.turned)
        writer.add_value_length(self.rank)

    def parameters(self, writer: GGUFWriter, file_type: LlamaFileType) -> None:
        """Record the keys of the family, in the converter's order."""
        config = self.config
        super().parameters(writer, file_type)
        writer.add_leading_dense_block_count(self.first)
        writer.add_vocab_size(self.vocabulary)
        if config.has("q_lora_rank"):
            writer.add_q_lora_rank(config.count("q_lora_rank"))
        writer.add_kv_lora_rank(self.rank)
        writer.add_key_length_mla(self.plain + self.turned)
        writer.add_value_length_mla(self.value)
        writer.add_expert_feed_forward_length(self.wide)
        writer.add_expert_shared_count(self.shared)
        writer.add_expert_weights_scale(config.number("routed_scaling_factor"))
        if config.flag("norm_topk_prob"):
            writer.add_expert_weights_norm(True)
        writer.add_rope_dimension_count(self.turned)
        if self.rope.has("mscale_all_dim"):
            writer.add_rope_scaling_yarn_log_mul(0.1 * self.rope.number("mscale_all_dim"))
