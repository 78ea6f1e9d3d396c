"""What a recipe means a tensor to be, by the role that it has in its layer.

Knows llama.cpp's rules (llama_tensor_get_type_impl, src/llama-quant.cpp): tensors that errors
show in more get more bits, the more so in the first and the last layers. They count what they
have seen, so they are asked in order. Neither files nor weights, and no ggml.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

from ponder.errors import NotAModel
from ponder_quantize.recipes import Model, Recipe

Type = GGMLQuantizationType

_LAYER = re.compile(r"blk\.\s*([+-]?\d+)", re.ASCII)


def layer_of(name: str) -> int:
    """Which layer's a tensor is; -1 if it is in none."""
    found = _LAYER.match(name)
    return int(found[1]) if found else -1


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
class Rules:
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

    def type_of(self, name: str, columns: int, role: str) -> Type:
        """What the recipe means this tensor to be; called for one after the other, in order.

        Args:
            name: the tensor's.
            columns: length of its rows.
            role: what it is there for.

        Raises:
            NotAModel: an expert's tensor is in no layer that there is.
        """
        if role == "output" or (role == "embedding" and self.tied):
            return self._output(columns)
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
            at = self._place(name, role)
            chosen = self._down(at) if role == "down" else self._gate_or_up(at)
        else:
            chosen = self._attention(role)
        self._seen[role] += 1
        return chosen

    def _place(self, name: str, role: str) -> int:
        """Which layer's it is; experts' tensors come several to a layer, so these are asked."""
        if self.model.experts <= 1:
            return self._seen[role]
        layer = layer_of(name)
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
