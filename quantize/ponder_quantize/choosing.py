"""Which tensor gets which type: llama.cpp's choice, tensor for tensor.

Knows src/llama-quant.cpp: names, shapes and a few of the model's numbers in, types out. Pure: no
file, no weight, no ggml.

A type is chosen in three steps: some tensors are never quantized; of the others each has a role
(by its name), and `rules` may lift it above the recipe's base type or lower it below; last, rows
that the type's blocks do not divide get a type that fits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

from ponder_quantize.recipes import Model, Recipe
from ponder_quantize.rules import Rules, layer_of

Type = GGMLQuantizationType


class Shaped(Protocol):
    """What the rules ask of a tensor."""

    @property
    def name(self) -> str:
        """Its GGUF name."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Outermost dimension first."""

    @property
    def type(self) -> Type:
        """What it is now."""


Tensor = TypeVar("Tensor", bound=Shaped)


@dataclass(frozen=True, slots=True)
class Choice:
    """What becomes of a tensor."""

    type: Type
    wanted: Type
    """What the recipe meant it to be; another one where its rows do not divide into that."""
    needs_importance: bool
    """Whether it is garbage without an importance matrix."""


def in_order(tensors: Iterable[Tensor]) -> list[Tensor]:
    """As llama.cpp writes them: what is in no layer first, then layer by layer, by name."""
    return sorted(tensors, key=lambda tensor: (layer_of(tensor.name), tensor.name.encode()))


def choose(
    recipe: Recipe, model: Model, tensors: Sequence[Shaped], has_importance: bool
) -> list[Choice]:
    """A type for each tensor.

    Args:
        recipe: which mixture.
        model: whose tensors they are.
        tensors: all of them, `in_order`: the rules count.
        has_importance: whether there is an importance matrix, whatever it holds.

    Raises:
        NotAModel: an expert's tensor is in no layer that there is.
    """
    roles = [_role(tensor.name) for tensor in tensors]
    rules = Rules(
        recipe, model, has_importance, tied="output" not in roles, values=roles.count("value")
    )
    choices = []
    for tensor, role in zip(tensors, roles, strict=True):
        kind = wanted = tensor.type
        if _is_quantized_at_all(tensor):
            kind = wanted = recipe.base
            if recipe.quantizes:
                wanted = rules.type_of(tensor.name, tensor.shape[-1], role)
                kind = _that_fits(wanted, tensor.shape[-1])
        choices.append(Choice(kind, wanted, _is_garbage(role, kind, recipe)))
    return choices


_NEVER = (
    "_norm.weight", "ffn_gate_inp.weight", "ffn_gate_tid2eid.weight", "altup", "laurel",
    "per_layer_model_proj", "ssm_conv1d", "shortconv.conv.weight", "indexer.k_proj.weight",
    "indexer.q_proj.weight", "time_mix_first.weight", "time_mix_w0.weight", "time_mix_w1.weight",
    "time_mix_w2.weight", "time_mix_v0.weight", "time_mix_v1.weight", "time_mix_v2.weight",
    "time_mix_a0.weight", "time_mix_a1.weight", "time_mix_a2.weight", "time_mix_g1.weight",
    "time_mix_g2.weight", "time_mix_decay_w1.weight", "time_mix_decay_w2.weight",
    "time_mix_lerp_fused.weight", "attn_rel_b.weight", ".position_embd", "sam.pos_embd",
    "sam.neck.", "sam.net_", ".rel_pos", ".patch_embd", ".patch_merger", "a.rvq.codebook",
    "mm.a.code_embd",
)  # fmt: skip
"""A tensor with one of these in its name stays what it is: small, or too delicate."""


def _is_quantized_at_all(tensor: Shaped) -> bool:
    name = tensor.name
    return (
        any(size > 1 for size in tensor.shape[:-1])
        and name.endswith("weight")
        and name not in ("position_embd.weight", "token_types.weight")
        and not any(part in name for part in _NEVER)
    )


_ROLES = (
    ("attn_qkv.weight", "value"), ("attn_kv_b.weight", "value"), ("attn_v.weight", "value"),
    ("attn_k.weight", "key"), ("attn_q.weight", "query"), ("attn_output.weight", "joining"),
    ("ffn_up", "up"), ("ffn_gate", "gate"), ("ffn_down", "down"),
)  # fmt: skip
"""What a name holds -> what the tensor is there for; the first that is found. Tensors that hold
values among others count as values: these are what suffers most."""


def _role(name: str) -> str:
    if name == "output.weight":
        return "output"
    if name in ("token_embd.weight", "per_layer_token_embd.weight"):
        return "embedding"
    return next((role for part, role in _ROLES if part in name), "")


_FITTING = {
    Type.Q2_K: Type.Q4_0, Type.Q3_K: Type.Q4_0, Type.Q4_K: Type.Q5_0, Type.Q5_K: Type.Q5_1,
    Type.Q6_K: Type.Q8_0,
} | {
    GGMLQuantizationType[name]: Type.IQ4_NL
    for name in ("IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "IQ4_XS")
}  # fmt: skip
"""In place of types with blocks of 256: types with blocks of 32."""


def _that_fits(kind: Type, columns: int) -> Type:
    for fitting in (kind, _FITTING.get(kind, kind)):
        if columns % GGML_QUANT_SIZES[fitting][0] == 0:
            return fitting
    return Type.F16


_GARBAGE = frozenset(
    GGMLQuantizationType[name]
    for name in ("IQ3_XXS", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ1_M", "IQ1_S")
)


def _is_garbage(role: str, kind: Type, recipe: Recipe) -> bool:
    """Whether it would be, without importances."""
    if role in ("output", "embedding"):
        return False
    return kind in _GARBAGE or (kind == Type.Q2_K and recipe.name == "Q2_K_S")
