"""Recipes by name, and the few numbers of a model that they depend on.

Q4_K_M is a recipe, Q4_K a type that it uses. Which tensor gets which type, `choosing` knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gguf import GGMLQuantizationType, LlamaFileType

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
