"""How much memory llama.cpp takes to run a model the way ponder runs it, before it is asked to.

Knows the shapes of caches and of the largest tensors in llama.cpp's graphs, and the sizes that
the engine asks llama.cpp for. Arithmetic alone: no file, no machine, no name. Layer counts are
llama.cpp's (`n_gpu_layers`), bytes are bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

KV_BITS = {
    "f32": 32, "f16": 16, "bf16": 16, "q8_0": 8.5, "q5_1": 6, "q5_0": 5.5, "q4_1": 5, "q4_0": 4.5,
}  # fmt: skip
"""Types that a KV cache can have, with the bits of one value."""
DEFAULT_CONTEXT = 32_768
"""Tokens of context where nothing else is asked for: what DeepSeek evaluates R1 with."""
SMALLEST_CONTEXT = 2048
"""Tokens of context below which none is chosen by itself, however little memory there is."""
MAX_SEQUENCES = 256
"""LLAMA_MAX_SEQ (llama-cparams.h)."""
GPU_MARGIN = 1 << 30
"""Bytes of GPU memory left for graphs and for whoever else uses the device."""
_CELLS = 256
"""llama.cpp makes room for a multiple of so many tokens (llama-context.cpp)."""
_FLOAT = 4
"""Bytes of a value between two operations."""

Facts = Mapping[str, int | float | str]
Lists = Mapping[str, Sequence[int | float]]


@dataclass(frozen=True, slots=True)
class Latent:
    """Multi-head latent attention, widths in values (DeepSeek-V2, arXiv:2405.04434)."""

    rank: int
    """The latent row that is cached."""
    key: int
    """A head's key before it is made latent: the parts without and with positions."""
    rope: int
    """The part with positions, cached beside the latent row."""


@dataclass(frozen=True, slots=True)
class Outline:
    """What decides a model's memory beside its weights; widths in values."""

    architecture: str
    hidden: int
    heads: int
    ffn: int
    vocabulary: int
    context: int
    """Tokens it was trained for."""
    keys: tuple[int, ...]
    """Of each layer: the width of the keys that are cached for one token."""
    values: tuple[int, ...]
    """The same for values; 0 with latent attention, whose keys hold both."""
    queries: int
    """Width of one token's queries, all heads together."""
    latent: Latent | None = None
    experts: int = 0
    """Routed experts in a layer; 0 for a dense model."""
    used: int = 0
    """Of them, those that one token goes through."""
    expert_ffn: int = 0
    """Width of one."""

    @property
    def layers(self) -> int:
        """How many there are."""
        return len(self.keys)


@dataclass(frozen=True, slots=True)
class Room:
    """What the engine asks of a context."""

    n_ctx: int
    """Tokens one sequence may hold."""
    n_seqs: int
    """Sequences that may be open at once."""
    slice_size: int
    """Prompt tokens read in one step."""
    type_k: str = "f16"
    type_v: str = "f16"
    flash: bool = True
    """Whether attention goes without a matrix of every query with every key."""

    @property
    def cells(self) -> int:
        """Tokens the KV cache has room for: one cache for all sequences."""
        return -(-self.n_ctx * self.n_seqs // _CELLS) * _CELLS

    @property
    def slots(self) -> int:
        """Sequences llama.cpp keeps apart."""
        return slots(self.n_seqs)

    @property
    def batch(self) -> int:
        """Tokens in one decode, at most."""
        return batch(self.slice_size, self.n_seqs)


def slots(n_seqs: int) -> int:
    """Sequences that llama.cpp keeps apart for so many open ones.

    Closed sequences stay as cached prefixes, so there are more slots than open sequences.
    """
    return min(MAX_SEQUENCES, 2 * n_seqs + 2)


def batch(slice_size: int, n_seqs: int) -> int:
    """Tokens of one decode: a slice of a prompt, and a token of every sequence."""
    return max(slice_size, 32) + n_seqs


def slice_size(parameters: int, on_gpu: bool, threads: int) -> int:
    """Prompt tokens that take about a quarter of a second, from the model's size.

    Estimated and not measured, so that the same question is read in the same slices, and
    answered with the same tokens, every time: 2 operations a weight and token, 30 GFLOP/s a
    core as small AVX2 machines do.
    """
    if on_gpu:
        return 512
    rate = threads * 30e9 / (2 * max(parameters, 1))
    return min(512, max(32, 1 << max(0, int(rate / 4)).bit_length()))


def kv_bytes(outline: Outline, cells: int, type_k: str, type_v: str) -> tuple[int, ...]:
    """Bytes of the KV cache, layer by layer: cells x (keys + values)."""
    k, v = KV_BITS[type_k], KV_BITS[type_v]
    return tuple(
        int(cells * (key * k + value * v) / 8)
        for key, value in zip(outline.keys, outline.values, strict=True)
    )


def output_bytes(outline: Outline, room: Room) -> int:
    """Bytes of the logits that llama.cpp hands out: a row for every slot."""
    return _FLOAT * outline.vocabulary * room.slots


def compute_bytes(outline: Outline, room: Room) -> int:
    """Bytes of llama.cpp's compute buffer: what is alive at once in the graph of one decode.

    The largest of three moments, each with the mask of which token sees which: a layer's
    attention, its feed-forward network, and the logits, a row for every slot. The factors are
    those that ggml's allocator comes to with llama.cpp's graphs (src/llama-graph.cpp,
    ggml/src/ggml-alloc.c); a test holds them against what it really takes.
    """
    decoded = min(room.cells, room.batch)
    # A batch is laid out as equal shares of all slots, rounded up: by less than one each. Taken
    # at its most, so that another trace never seems to need less.
    tokens = decoded + room.slots - 1
    outputs = min(decoded, room.slots)
    mask = room.cells * tokens * (2 if room.flash else _FLOAT)
    attention = mask + _FLOAT * tokens * _attention(outline, room)
    if outline.latent is not None and not room.flash:
        # The values are read out of the cached latent rows, transposed, as 16-bit numbers.
        attention += 2 * room.cells * outline.latent.rank
    # Quantized caches hold rotated rows, which are turned back: one more row is alive.
    rows = 2 if max(KV_BITS[room.type_k], KV_BITS[room.type_v]) >= 16 else 3
    return max(
        _FLOAT * outputs * (outline.vocabulary + rows * outline.hidden),
        attention,
        mask + _FLOAT * tokens * _feed_forward(outline),
    )


def _attention(outline: Outline, room: Room) -> int:
    """Values alive for each token of the batch while a layer attends."""
    scores = 0 if room.flash else room.cells * outline.heads
    hidden, latent = outline.hidden, outline.latent
    if latent is not None:
        # The queries three times: as they come, made latent, and joined with their positions.
        head = (latent.key + latent.rope) + latent.rank + (latent.rank + latent.rope)
        return scores + outline.heads * head + 5 * hidden + 2 * latent.rank
    wide, narrow = max(hidden, outline.queries), min(hidden, outline.queries)
    rows = max(outline.keys) + max(outline.values)
    return scores + 3 * wide + 2 * narrow + rows


def _feed_forward(outline: Outline) -> int:
    """Values alive for each token of the batch in a layer's feed-forward network."""
    dense = 3 * outline.ffn + 4 * outline.hidden
    if not outline.experts:
        return dense
    routed = outline.used * outline.expert_ffn
    gathered = 2 * outline.used * outline.hidden + routed + 3 * outline.hidden
    return max(dense, 3 * routed + 4 * outline.hidden, gathered)


def outline_of(facts: Facts, lists: Lists, vocabulary: int) -> Outline | None:
    """The outline in a GGUF's metadata; None where the file does not tell enough.

    Args:
        facts: metadata of one value.
        lists: metadata with a number for each layer.
        vocabulary: rows of the embedding.
    """
    prefix = f"{facts.get('general.architecture', '?')}."

    def number(name: str) -> int:
        value = facts.get(prefix + name)
        if not isinstance(value, str) and value is not None:
            return int(value)
        return int(max(lists.get(prefix + name, (0,))))

    layers, hidden = number("block_count"), number("embedding_length")
    heads = number("attention.head_count")
    # Layers that predict further tokens are in the file, and llama.cpp leaves them there.
    layers -= number("nextn_predict_layers")
    if layers < 1 or hidden < 1 or heads < 1:
        return None
    key = number("attention.key_length") or hidden // heads
    value = number("attention.value_length") or hidden // heads
    kv_heads = lists.get(f"{prefix}attention.head_count_kv", ())
    each = [int(n) for n in kv_heads[:layers]]
    if len(each) < layers:
        each = [number("attention.head_count_kv") or heads] * layers
    mla_key, mla_value = number("attention.key_length_mla"), number("attention.value_length_mla")
    latent = None
    if mla_key and mla_value:
        rank = number("attention.kv_lora_rank")
        latent = Latent(rank, mla_key, number("rope.dimension_count"))
    experts = number("expert_count")
    return Outline(
        architecture=prefix[:-1],
        hidden=hidden,
        heads=heads,
        ffn=number("feed_forward_length"),
        vocabulary=vocabulary,
        context=number("context_length"),
        keys=tuple(n * key for n in each),
        values=(0,) * layers if latent else tuple(n * value for n in each),
        queries=heads * key,
        latent=latent,
        experts=experts,
        used=number("expert_used_count"),
        expert_ffn=(number("expert_feed_forward_length") or number("feed_forward_length"))
        if experts
        else 0,
    )
