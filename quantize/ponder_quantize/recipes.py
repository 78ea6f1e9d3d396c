"""Recipes: which tensor gets which type. Q4_K_M is a recipe, Q4_K a type that it uses.

Knows llama.cpp's choices (src/llama-quant.cpp) by tensor name, shape and a few of the model's
numbers, so that the types are the same, tensor for tensor. Pure: no file, no weight, no ggml.

A type is chosen in three steps: some tensors are never quantized; of the others each has a role
(by its name), and the role's rule may lift it above the recipe's base type or lower it below;
last, rows that the type's blocks do not divide get a type that fits.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, LlamaFileType

from ponder.errors import NotAModel, UnknownName, UnsupportedModel

Type = GGMLQuantizationType


@dataclass(frozen=True, slots=True)
class Recipe:
    """A name for a mixture of types."""

    name: str
    base: Type
    """What a tensor gets that no rule says anything else about."""

    @property
    def file_type(self) -> int:
        """The number under which a GGUF names it (`general.file_type`)."""
        return int(_file_type(self.name))

    @property
    def quantizes(self) -> bool:
        """Whether it makes blocks, and not another width of the same numbers."""
        return self.base not in (Type.F32, Type.F16, Type.BF16)


def _file_type(name: str) -> LlamaFileType:
    return LlamaFileType.ALL_F32 if name == "F32" else LlamaFileType[f"MOSTLY_{name}"]


_BASES = {
    "F32": "F32", "F16": "F16", "BF16": "BF16", "Q8_0": "Q8_0", "Q6_K": "Q6_K",
    "Q5_K_M": "Q5_K", "Q5_K_S": "Q5_K", "Q5_1": "Q5_1", "Q5_0": "Q5_0",
    "Q4_K_M": "Q4_K", "Q4_K_S": "Q4_K", "Q4_1": "Q4_1", "Q4_0": "Q4_0",
    "IQ4_NL": "IQ4_NL", "IQ4_XS": "IQ4_XS",
    "Q3_K_L": "Q3_K", "Q3_K_M": "Q3_K", "Q3_K_S": "Q3_K", "Q2_K": "Q2_K", "Q2_K_S": "Q2_K",
    "IQ3_M": "IQ3_S", "IQ3_S": "IQ3_S", "IQ3_XS": "IQ3_S", "IQ3_XXS": "IQ3_XXS",
    "IQ2_M": "IQ2_S", "IQ2_S": "IQ2_XS", "IQ2_XS": "IQ2_XS", "IQ2_XXS": "IQ2_XXS",
    "IQ1_M": "IQ1_M", "IQ1_S": "IQ1_S",
}  # fmt: skip
RECIPES = {name: Recipe(name, GGMLQuantizationType[base]) for name, base in _BASES.items()}
"""All of them by name, larger ones first."""
_ALIASES = {"Q3_K": "Q3_K_M", "Q4_K": "Q4_K_M", "Q5_K": "Q5_K_M"}


def recipe(name: str) -> Recipe:
    """The recipe of that name, upper case or lower.

    Raises:
        UnknownName: there is none; lists those that there are.
    """
    upper = name.upper()
    found = RECIPES.get(_ALIASES.get(upper, upper))
    if found is None:
        raise UnknownName("recipe", name, RECIPES)
    return found


@dataclass(frozen=True, slots=True)
class Model:
    """What the rules ask of a model."""

    architecture: str
    layers: int
    """Those that predict further tokens (MTP) among them."""
    heads: int
    kv_heads: int
    """Of the first layer, both."""
    experts: int = 0
    extra_layers: int = 0
    """How many layers predict further tokens."""

    @property
    def sharing(self) -> int:
        """Query heads to a key and value head."""
        return self.heads // self.kv_heads if self.kv_heads else 0

    @property
    def is_70b(self) -> bool:
        """Whether llama.cpp takes it for a 70B, by its depth alone (src/models/*.cpp)."""
        depth = self.layers - self.extra_layers
        if self.architecture == "llama":
            return depth == 80 and self.experts != 8 and self.heads != self.kv_heads
        return depth == _DEPTH_OF_70B.get(self.architecture)

    @classmethod
    def of(cls, metadata: Mapping[str, Any]) -> Model:
        """Out of a GGUF's keys and values.

        Raises:
            NotAModel: something is missing.
            UnsupportedModel: llama.cpp has rules for this architecture that are not known here.
        """
        architecture = metadata.get("general.architecture")
        if not isinstance(architecture, str):
            raise NotAModel(
                "It does not say which architecture it is.", "Is it a model, and complete?"
            )
        if architecture in _OTHER_RULES:
            raise UnsupportedModel(
                f"llama.cpp quantizes {architecture} by rules of its own, which ponder does not "
                "know.",
                "Use llama-quantize for it.",
            )

        def number(key: str, default: int | None = None) -> int:
            value = metadata.get(f"{architecture}.{key}", default)
            if isinstance(value, list) and value:
                value = value[0]
            if not isinstance(value, int):
                raise NotAModel(
                    f"It does not say its {architecture}.{key}.", "Is it a model, and complete?"
                )
            return value

        heads = number("attention.head_count", 0)
        return cls(
            architecture,
            number("block_count"),
            heads,
            number("attention.head_count_kv", heads),
            number("expert_count", 0),
            number("nextn_predict_layers", 0),
        )


_DEPTH_OF_70B = {"qwen2": 80, "deci": 80, "olmo": 80, "jais2": 68}
_OTHER_RULES = frozenset({"falcon", "glm5-next"})


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


_LAYER = re.compile(r"blk\.\s*([+-]?\d+)", re.ASCII)


def in_order(tensors: Iterable[Tensor]) -> list[Tensor]:
    """As llama.cpp writes them: what is in no layer first, then layer by layer, by name."""
    return sorted(tensors, key=lambda tensor: (_layer(tensor.name), tensor.name.encode()))


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
    rules = _Rules(
        recipe, model, has_importance, tied="output" not in roles, values=roles.count("value")
    )
    choices = []
    for tensor, role in zip(tensors, roles, strict=True):
        kind = wanted = tensor.type
        if _is_quantized_at_all(tensor):
            kind = wanted = recipe.base
            if recipe.quantizes:
                wanted = rules.type_of(tensor, role)
                kind = _that_fits(wanted, tensor.shape[-1])
        choices.append(Choice(kind, wanted, _is_garbage(role, kind, recipe)))
    return choices


def _layer(name: str) -> int:
    found = _LAYER.match(name)
    return int(found[1]) if found else -1


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


_LOWEST = frozenset({"IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ2_M"})
"""Recipes around two bits, which have rules of their own."""
_TWO_AND_A_HALF = ("IQ2_S", "IQ2_M")
_EMBEDDING = dict.fromkeys(("IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS"), Type.Q2_K) | dict.fromkeys(
    ("IQ2_S", "IQ2_M", "IQ3_XXS"), Type.IQ3_S
)
_KEY_AND_QUERY = {"IQ3_XS": Type.IQ3_XXS, "IQ3_XXS": Type.IQ2_S}
_JOINING = {
    "Q2_K": Type.Q3_K, "IQ3_XXS": Type.IQ3_S, "Q3_K_M": Type.Q4_K, "Q3_K_L": Type.Q5_K,
    "IQ3_M": Type.Q4_K,
}  # fmt: skip
_JOINING_OF_EIGHT = dict.fromkeys(
    (
        "Q2_K", "IQ3_XS", "IQ3_XXS", "Q3_K_S", "Q3_K_M", "IQ4_NL", "Q4_K_S", "Q4_K_M", "IQ3_S",
        "IQ3_M", "IQ4_XS",
    ),
    Type.Q5_K,
)  # fmt: skip
"""In models with eight experts (Mixtral), where it is a small share of the whole."""


def _gets_more(at: int, of: int) -> bool:
    """The first and the last eighth of the layers, and every third one between them."""
    eighth = of // 8
    return at < eighth or at >= 7 * of // 8 or (at - eighth) % 3 == 2


@dataclass(slots=True)
class _Rules:
    """One pass over a model's tensors."""

    recipe: Recipe
    model: Model
    has_importance: bool
    tied: bool
    """Whether the embeddings are the output too."""
    values: int
    """Tensors with values in them."""
    _seen: Counter[str] = field(default_factory=Counter)
    """By role, those that are behind us."""

    def type_of(self, tensor: Shaped, role: str) -> Type:
        if role == "output" or (role == "embedding" and self.tied):
            return self._output(tensor.shape[-1])
        if role == "embedding":
            return _EMBEDDING.get(self.recipe.name, self.recipe.base)
        if self.recipe.name in _LOWEST:
            lowest: Mapping[str, Callable[[], Type]] = {
                "value": self._lowest_value,
                "key": self._lowest_key,
                "down": self._lowest_down,
                "joining": self._lowest_joining,
            }
            chosen = lowest.get(role, lambda: self.recipe.base)()
        elif role in ("down", "gate", "up"):
            at = self._place(tensor.name, role)
            chosen = self._down(at) if role == "down" else self._gate_or_up(at)
        else:
            chosen = self._attention(role)
        self._seen[role] += 1
        return chosen

    def _place(self, name: str, role: str) -> int:
        """Which layer's it is; experts' tensors come several to a layer, so these are asked."""
        if self.model.experts <= 1:
            return self._seen[role]
        layer = _layer(name)
        if not 0 <= layer < self.model.layers:
            raise NotAModel(
                f"The tensor {name} is in none of the {self.model.layers} layers.",
                "The file is damaged, or was converted wrongly.",
            )
        return layer

    def _output(self, columns: int) -> Type:
        base = self.recipe.base
        if columns % GGML_QUANT_SIZES[base][0]:
            return Type.Q8_0
        if self.recipe.name in _LOWEST or self.recipe.name == "IQ3_XXS":
            return Type.Q5_K
        return base if base == Type.Q8_0 else Type.Q6_K

    def _lowest_value(self) -> Type:
        if self.model.sharing >= 4 or self.model.experts >= 4:
            return Type.Q4_K
        return Type.IQ3_S if self.recipe.name in _TWO_AND_A_HALF else Type.Q2_K

    def _lowest_key(self) -> Type:
        return Type.Q4_K if self.model.experts == 8 else self.recipe.base

    def _lowest_down(self) -> Type:
        if self._seen["down"] >= self.model.layers // 8:
            return self.recipe.base
        return Type.IQ3_S if self.recipe.name in _TWO_AND_A_HALF else Type.Q2_K

    def _lowest_joining(self) -> Type:
        if self.model.experts == 8:
            return Type.Q5_K
        if self.recipe.name in _TWO_AND_A_HALF:
            return Type.IQ3_S
        return Type.IQ2_XXS if self.recipe.name in ("IQ1_S", "IQ1_M") else self.recipe.base

    def _attention(self, role: str) -> Type:
        eight = self.model.experts == 8
        match role:
            case "value":
                return Type.Q8_0 if eight else self._value()
            case "key" if eight:
                return Type.Q8_0
            case "key" | "query":
                table = _KEY_AND_QUERY
            case "joining":
                table = _JOINING_OF_EIGHT if eight else _JOINING
            case _:
                table = {}
        return table.get(self.recipe.name, self.recipe.base)

    def _value(self) -> Type:
        chosen = self._value_by_recipe()
        # There each value head serves eight query heads: better ones cost next to nothing.
        if self.model.is_70b and chosen in (Type.Q3_K, Type.Q4_K):
            return Type.Q5_K
        return chosen

    def _value_by_recipe(self) -> Type:
        base, at, shared = self.recipe.base, self._seen["value"], self.model.sharing >= 4
        match self.recipe.name:
            case "Q2_K":
                return Type.Q4_K if shared else Type.Q3_K
            case "Q2_K_S" | "IQ3_XS" | "IQ3_S" if shared:
                return Type.Q4_K
            case "IQ3_XXS" if shared:
                return Type.Q4_K
            case "IQ3_XXS" if not self.has_importance:
                return Type.IQ3_S
            case "IQ3_M":
                return Type.Q4_K
            case "Q3_K_M":
                return Type.Q5_K if at < 2 else Type.Q4_K
            case "Q3_K_L":
                return Type.Q5_K
            case "IQ4_NL" | "IQ4_XS" if shared:
                return Type.Q5_K
            case "Q4_K_M" | "Q5_K_M" if _gets_more(at, self.values):
                return Type.Q6_K
            case "Q4_K_S" if at < 4:
                return Type.Q5_K
        return base

    def _down(self, at: int) -> Type:
        base, of = self.recipe.base, self.model.layers
        first = at < of // 8
        match self.recipe.name:
            case "Q2_K":
                return Type.Q3_K
            case "Q2_K_S" if first:
                return Type.Q4_K
            case "IQ3_XXS" if not self.has_importance:
                return Type.Q4_K if first else Type.Q3_K
            case "Q3_K_M":
                return Type.Q5_K if at < of // 16 else Type.Q4_K
            case "IQ3_M" if first or (self.model.experts == 8 and _gets_more(at, of)):
                return Type.Q4_K
            case "Q3_K_L":
                return Type.Q5_K
            case "Q4_K_M" | "Q5_K_M" if _gets_more(at, of):
                return Type.Q6_K
            case "IQ4_NL" | "IQ4_XS" if first and not self.has_importance:
                return Type.Q5_K
            case "Q4_K_S" if first:
                return Type.Q5_K
            # Without importances the types with an offset go astray here, so they stay out.
            case "Q4_0" if first and self.has_importance:
                return Type.Q4_1
            case "Q5_0" if first and self.has_importance:
                return Type.Q5_1
        return base

    def _gate_or_up(self, at: int) -> Type:
        of = self.model.layers
        if self.recipe.name == "IQ3_XS" and of // 8 <= at < 7 * of // 8:
            return Type.IQ3_XXS
        return self.recipe.base
