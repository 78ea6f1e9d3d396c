"""What architectures have in common: tensors wanted, tensors given, keys of the metadata.

An architecture knows which tensors its config promises, what llama.cpp calls them, in which
layout it wants them, and which keys it reads, in the converter's order (conversion/base.py).
Nothing here reads a weight.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

from gguf import (
    MODEL_ARCH,
    MODEL_ARCH_NAMES,
    ExpertGatingFuncType,
    GGUFWriter,
    LlamaFileType,
    RopeScalingType,
    get_tensor_name_map,
)

from ponder.errors import BadCheckpoint, UnsupportedModel
from ponder_quantize.config import Config
from ponder_quantize.weights import AsStored, Layout, Weights

Shape = tuple[int, ...]
Find = Callable[[str], Weights]
"""The stored tensor of that name."""
Output = tuple[str, Shape, Sequence[Layout]]
"""A tensor of the GGUF: name, shape, and its rows in parts, without a type."""

_MOST_LAYERS = 512
"""LLAMA_MAX_LAYERS (llama-hparams.h)."""
_GATES = {"sigmoid": ExpertGatingFuncType.SIGMOID, "softmax": ExpertGatingFuncType.SOFTMAX}


class Architecture(ABC):
    """One model of a family, by its config."""

    arch: ClassVar[MODEL_ARCH]
    """gguf's name of the family."""
    defaults: ClassVar[dict[str, Any]]
    """What transformers, and so the converter, takes for keys that config.json does not have."""

    def __init__(self, raw: dict[str, Any]) -> None:
        """Args:
        raw: config.json.

        Raises:
            BadCheckpoint: a key is missing, or impossible.
        """
        self.config = Config(raw, self.defaults)
        self.layers = self.config.count("num_hidden_layers", _MOST_LAYERS)
        self.hidden = self.config.count("hidden_size")
        self.heads = self.config.count("num_attention_heads")
        if not self.config.has("num_key_value_heads"):
            self.config.raw["num_key_value_heads"] = self.heads
        self.kv_heads = self.config.count("num_key_value_heads")
        self.vocabulary = self.config.count("vocab_size")
        self.tied = self.config.flag("tie_word_embeddings")
        self.rope = self._rope()
        self._names = get_tensor_name_map(self.arch, self.layers)

    @property
    def name(self) -> str:
        """llama.cpp's name of the family, the prefix of its keys."""
        return MODEL_ARCH_NAMES[self.arch]

    @abstractmethod
    def layer(self, index: int) -> Iterator[tuple[str, Shape]]:
        """The tensors of a layer, without their prefix, and their shapes."""

    def wanted(self) -> Iterator[tuple[str, Shape]]:
        """Every tensor that the checkpoint has to hold, and its shape."""
        yield "model.embed_tokens.weight", (self.vocabulary, self.hidden)
        for index in range(self.layers):
            for name, shape in self.layer(index):
                yield f"model.layers.{index}.{name}", shape
        yield "model.norm.weight", (self.hidden,)
        if not self.tied:
            yield "lm_head.weight", (self.vocabulary, self.hidden)

    def spare(self) -> Iterator[tuple[str, Shape]]:
        """Tensors that it may hold, and that are then written."""
        if self.tied:
            yield "lm_head.weight", (self.vocabulary, self.hidden)

    def dropped(self, name: str) -> bool:
        """Whether the converter leaves a tensor of that name out."""
        return name.endswith((".attention.masked_bias", ".attention.bias", ".rotary_emb.inv_freq"))

    def outputs(self, names: Sequence[str], find: Find) -> Iterator[Output]:
        """The tensors of the GGUF.

        Args:
            names: of the stored tensors to be written: wanted, or spare and there.
        """
        for name in names:
            weights = find(name)
            yield self.renamed(name), weights.shape, (self.layout(name, weights),)

    def layout(self, name: str, weights: Weights) -> Layout:
        """How the rows of a stored tensor are laid out."""
        del name
        return AsStored(weights)

    def renamed(self, name: str) -> str:
        """llama.cpp's name of a stored tensor."""
        found = self._names.get_name(name, try_suffixes=(".weight", ".bias"))
        if found is None:
            raise UnsupportedModel(f"llama.cpp has no name for {name!r}.")
        return found

    def parameters(self, writer: GGUFWriter, file_type: LlamaFileType) -> None:
        """Record the keys of the family, in the converter's order."""
        config = self.config
        writer.add_block_count(self.layers)
        writer.add_context_length(config.count("max_position_embeddings"))
        writer.add_embedding_length(self.hidden)
        writer.add_feed_forward_length(config.count("intermediate_size"))
        writer.add_head_count(self.heads)
        writer.add_head_count_kv(self.written_kv_heads())
        self._write_rope(writer)
        writer.add_layer_norm_rms_eps(config.number("rms_norm_eps"))
        if config.has("n_routed_experts"):
            self._write_experts(writer)
        self.lengths(writer)
        writer.add_file_type(file_type)

    def space_before(self, tokenizer: dict[str, Any]) -> bool | None:
        """What the family tells of a space before a text; `tokenizer` is tokenizer_config.json."""
        del tokenizer
        return None

    def bos_before(self) -> bool | None:
        """Whether a text begins with BOS, where the family overrules the tokenizer."""
        return None

    def written_kv_heads(self) -> int:
        """Heads of keys and values, as llama.cpp sees them."""
        return self.kv_heads

    def lengths(self, writer: GGUFWriter) -> None:
        """Record how long keys and values are, where the config says it."""
        if self.config.has("head_dim"):
            writer.add_key_length(self.config.count("head_dim"))
            writer.add_value_length(self.config.count("head_dim"))

    def _rope(self) -> Config:
        key = "rope_parameters" if self.config.has("rope_parameters") else "rope_scaling"
        rope = self.config.part(key)
        rope.raw.setdefault("rope_theta", self.config.raw.get("rope_theta"))
        if rope.has("type"):
            # transformers lets the older word win.
            rope.raw["rope_type"] = rope.raw["type"]
        return rope

    def _write_experts(self, writer: GGUFWriter) -> None:
        config = self.config
        writer.add_expert_count(config.count("n_routed_experts"))
        writer.add_expert_used_count(config.count("num_experts_per_tok"))
        writer.add_expert_group_count(config.count("n_group"))
        writer.add_expert_group_used_count(config.count("topk_group"))
        if config.has("scoring_func"):
            gate = config.text("scoring_func")
            if gate not in _GATES:
                raise UnsupportedModel(
                    f"The experts of this model are chosen by {gate!r}.",
                    f"Known: {', '.join(_GATES)}.",
                )
            writer.add_expert_gating_func(_GATES[gate])

    def _write_rope(self, writer: GGUFWriter) -> None:
        rope = self.rope
        kind = rope.text("rope_type") if rope.has("rope_type") else "default"
        if kind == "linear":
            writer.add_rope_scaling_type(RopeScalingType.LINEAR)
            writer.add_rope_scaling_factor(rope.number("factor"))
        elif kind == "yarn":
            writer.add_rope_scaling_type(RopeScalingType.YARN)
            writer.add_rope_scaling_factor(rope.number("factor"))
            writer.add_rope_scaling_orig_ctx_len(rope.count("original_max_position_embeddings"))
            for keys, add in (
                (("extrapolation_factor",), writer.add_rope_scaling_yarn_ext_factor),
                (("attention_factor", "attn_factor"), writer.add_rope_scaling_yarn_attn_factor),
                (("beta_fast",), writer.add_rope_scaling_yarn_beta_fast),
                (("beta_slow",), writer.add_rope_scaling_yarn_beta_slow),
            ):
                for key in keys:
                    if rope.has(key):
                        add(rope.number(key))
                        break
        elif kind not in ("default", "llama3"):
            raise UnsupportedModel(
                f"This {self.name} scales its rope by {kind!r}.",
                "Known: default, linear, llama3, yarn.",
            )
        if rope.has("rope_theta"):
            writer.add_rope_freq_base(rope.number("rope_theta"))


def dense(hidden: int, wide: int, prefix: str = "mlp.") -> Iterator[tuple[str, Shape]]:
    """The three matrices of a gated feed-forward."""
    yield f"{prefix}gate_proj.weight", (wide, hidden)
    yield f"{prefix}up_proj.weight", (wide, hidden)
    yield f"{prefix}down_proj.weight", (hidden, wide)


def head_size(config: Config, hidden: int, heads: int) -> int:
    """Numbers in a head, by the config or by division.

    Raises:
        BadCheckpoint: the division leaves a rest, or the halves of a head are no halves.
    """
    if config.has("head_dim"):
        size = config.count("head_dim")
    elif hidden % heads:
        raise BadCheckpoint(f"{heads} heads do not divide a hidden_size of {hidden}.")
    else:
        size = hidden // heads
    if size % 2:
        raise BadCheckpoint(f"A head of {size} numbers has no halves to rotate.")
    return size
