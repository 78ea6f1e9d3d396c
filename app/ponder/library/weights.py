"""How many bytes a model's weights have, layer by layer: exactly from a GGUF, or about, from
the catalogue's shape and a quant's recipe.

Reads headers, never weights. What llama.cpp needs beside them is `ponder.sizing`'s business.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ponder import lora
from ponder.catalogue import Model, Shape
from ponder.errors import UnsupportedModel
from ponder.gguf_header import Tensor, parts, read_header
from ponder.sizing import Latent, Outline, outline_of

_F16, _Q8_0, _Q6_K, _Q5_K, _Q4_K = 16.0, 8.5, 6.5625, 5.5, 4.5
"""Bits of one weight, scales included (ggml-common.h)."""
_MIXES = {"Q5_K_M": (_Q5_K, 0.5), "Q4_K_M": (_Q4_K, 0.5)}
"""Quants in which this share of the value and down projections, and the output, are Q6_K
(llama-quant.cpp): the bits of the rest, and that share."""
QUANTS = {
    "F16": _F16, "Q8_0": _Q8_0, "Q6_K": _Q6_K, "Q5_K_M": 5.7, "Q4_K_M": 4.85, "IQ4_XS": 4.3,
    "Q3_K_M": 3.9, "Q2_K": 3.0,
}  # fmt: skip
"""Quants that are advised on, the largest first, with their bits of one weight on average."""
_FILE_TYPES = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K",
    11: "Q3_K_S", 12: "Q3_K_M", 13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S",
    17: "Q5_K_M", 18: "Q6_K", 19: "IQ2_XXS", 20: "IQ2_XS", 21: "Q2_K_S", 22: "IQ3_XS",
    23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL", 26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S",
    29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16",
}  # fmt: skip
"""`general.file_type` (llama_ftype in llama.h)."""
_WIDTHS = {"f32": 4, "bf16": 2, "f16": 2, "fp8": 1}
"""Bytes of one weight of a checkpoint, by how the catalogue calls its precision."""
_LAYER = re.compile(r"blk\.(\d+)\.")


@dataclass(frozen=True, slots=True)
class Weights:
    """Bytes of a model's weights, where llama.cpp would put them."""

    embedding: int
    """Stays in the machine's memory, whatever is on a GPU."""
    output: int
    """What is in no layer; goes to a GPU first."""
    tied: bool
    """Whether the embedding is the output layer too: a GPU then gets a copy of it."""
    layers: tuple[int, ...]
    active: tuple[int, ...]
    """Of each layer, what one token goes through; less than all of it with experts."""
    largest: int
    """The largest tensor of any layer."""
    parameters: int
    quant: str
    exact: bool
    """Read from a file rather than reckoned."""

    @property
    def total(self) -> int:
        """All of them."""
        return self.embedding + self.output + sum(self.layers)

    @property
    def head(self) -> int:
        """What every token is multiplied with after the last layer."""
        return self.output + (self.embedding if self.tied else 0)


def of_file(path: Path) -> tuple[Outline, Weights]:
    """Of a GGUF, all its parts together.

    Raises:
        NotAModel: missing, unreadable, no GGUF, or damaged.
        UnsupportedModel: it does not tell its shape, or has no weights.
    """
    first = read_header(path)
    tensors = list(first.tensors)
    for part in parts(path):
        if part != path:
            tensors += read_header(part).tensors
    table = next((t for t in tensors if t.name == "token_embd.weight"), None)
    rows = table.shape[-1] if table is not None and table.shape else 0
    outline = outline_of(first.facts, first.lists, rows)
    if outline is None or not rows:
        raise UnsupportedModel(
            f"{path.name} does not say how it is built, so what it needs is not known.",
            "It is a vocabulary, an adapter or the later part of a split model: give the model, "
            "or its first part.",
        )
    kind = first.facts.get("general.file_type")
    quant = _FILE_TYPES.get(int(kind), "?") if isinstance(kind, int) else "?"
    return outline, _gathered(tensors, outline, quant)


def _gathered(tensors: list[Tensor], outline: Outline, quant: str) -> Weights:
    layers, active = [0] * outline.layers, [0.0] * outline.layers
    embedding = output = parameters = largest = 0
    untied = False
    used = outline.used / outline.experts if outline.experts else 1.0
    for tensor in tensors:
        place = _LAYER.match(tensor.name)
        count = 1
        for length in tensor.shape:
            count *= length
        if place is None:
            untied = untied or tensor.name == "output.weight"
            if tensor.name.startswith("token_embd"):
                embedding += tensor.size
            else:
                output += tensor.size
        elif (layer := int(place[1])) < outline.layers:
            layers[layer] += tensor.size
            largest = max(largest, tensor.size)
            active[layer] += tensor.size * (used if "_exps." in tensor.name else 1.0)
        else:
            continue  # llama.cpp leaves layers that predict further tokens where they are
        parameters += count
    return Weights(
        embedding,
        output,
        not untied,
        tuple(layers),
        tuple(int(size) for size in active),
        largest,
        parameters,
        quant,
        exact=True,
    )


def with_adapter(weights: Weights, path: Path) -> Weights:
    """The same weights with a LoRA adapter's beside them, layer by layer: llama.cpp keeps both.

    Raises:
        NotAModel: missing, unreadable, damaged, or no adapter.
        UnsupportedModel: an adapter of a kind that is not applied.
    """
    layers, active, output = list(weights.layers), list(weights.active), weights.output
    for tensor in lora.header_of(path).tensors:
        place = _LAYER.match(tensor.name)
        if place is not None and int(place[1]) < len(layers):
            layers[int(place[1])] += tensor.size
            active[int(place[1])] += tensor.size
        else:
            output += tensor.size
    return replace(weights, layers=tuple(layers), active=tuple(active), output=output)


def of_shape(shape: Shape, context: int, quant: str) -> tuple[Outline, Weights]:
    """Of a shape of the catalogue, as one of `QUANTS`: about."""
    outline = outline_of_shape(shape, context)
    per_weight, share = _MIXES.get(quant, (QUANTS[quant], 0.0))
    mixed = per_weight + share * (_Q6_K - per_weight)
    # The output layer of the mixed ones is Q6_K too; of a tied one, so is the embedding.
    large = _Q6_K if quant in _MIXES else per_weight
    layers, active, parameters, largest = [], [], 0, 0.0
    for layer in range(shape.layers):
        size = through = 0.0
        for name, count, used in _matrices(shape, layer):
            is_mixed = name in ("v", "down")
            bits = mixed if is_mixed else 32.0 if name == "norm" else per_weight
            size += count * bits / 8
            through += count * used * bits / 8
            # A share of the mixed ones is all large.
            largest = max(largest, count * (large if is_mixed else bits) / 8)
            parameters += count
        layers.append(int(size))
        active.append(int(through))
    table = shape.vocabulary * shape.hidden
    return outline, Weights(
        embedding=int(table * (large if shape.tied_embeddings else per_weight) / 8),
        output=shape.hidden * 4 + (0 if shape.tied_embeddings else int(table * large / 8)),
        tied=shape.tied_embeddings,
        layers=tuple(layers),
        active=tuple(active),
        largest=int(largest),
        parameters=parameters + table * (1 if shape.tied_embeddings else 2) + shape.hidden,
        quant=quant,
        exact=False,
    )


def of_checkpoint(model: Model) -> int:
    """Bytes of a model's checkpoint, about; 0 where its precision is none that is known."""
    if model.serving is not None:
        return int(model.serving.disk_gb * 1e9)
    width = _WIDTHS.get(model.precision.partition(" ")[0].lower(), 0)
    return int(model.parameters * 1e9) * width


def _matrices(shape: Shape, layer: int) -> Iterator[tuple[str, int, float]]:
    """A layer's tensors: a name, how many weights, and the share that one token goes through."""
    hidden, heads, mla, experts = shape.hidden, shape.heads, shape.mla, shape.experts
    yield "norm", 2 * hidden, 1.0
    if mla is not None:
        yield "norm", mla.q_lora + mla.kv_lora, 1.0
        yield "q", hidden * mla.q_lora + mla.q_lora * heads * (mla.nope + mla.rope), 1.0
        yield "kv", hidden * (mla.kv_lora + mla.rope), 1.0
        yield "k", heads * mla.kv_lora * mla.nope, 1.0
        yield "v", heads * mla.kv_lora * mla.value, 1.0
        yield "o", heads * mla.value * hidden, 1.0
    else:
        wide, narrow = heads * shape.head_dim, shape.kv_heads * shape.head_dim
        yield "q", hidden * wide, 1.0
        yield "k", hidden * narrow, 1.0
        yield "v", hidden * narrow, 1.0
        yield "o", wide * hidden, 1.0
        if shape.architecture == "qwen2":
            yield "norm", wide + 2 * narrow, 1.0  # biases
    if experts is None or layer < experts.dense_layers:
        yield "gate", hidden * shape.ffn, 1.0
        yield "up", hidden * shape.ffn, 1.0
        yield "down", hidden * shape.ffn, 1.0
        return
    yield "norm", (hidden + 1) * experts.count, 1.0  # the router
    one, used = hidden * experts.ffn, experts.used / experts.count
    for count, through in ((experts.count, used), (experts.shared, 1.0)):
        yield "gate", one * count, through
        yield "up", one * count, through
        yield "down", one * count, through


def outline_of_shape(shape: Shape, context: int) -> Outline:
    """The outline of a model of the catalogue."""
    mla, experts = shape.mla, shape.experts
    if mla is not None:
        cached = mla.kv_lora + mla.rope
        keys, values, queries = cached, 0, shape.heads * cached
        latent = Latent(mla.kv_lora, mla.nope + mla.rope, mla.rope)
    else:
        keys = values = shape.kv_heads * shape.head_dim
        queries, latent = shape.heads * shape.head_dim, None
    return Outline(
        architecture=shape.architecture,
        hidden=shape.hidden,
        heads=shape.heads,
        ffn=shape.ffn,
        vocabulary=shape.vocabulary,
        context=context,
        keys=(keys,) * shape.layers,
        values=(values,) * shape.layers,
        queries=queries,
        latent=latent,
        experts=experts.count if experts else 0,
        used=experts.used if experts else 0,
        expert_ffn=experts.ffn if experts else 0,
    )
