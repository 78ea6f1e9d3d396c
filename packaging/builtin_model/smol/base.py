"""The base that is taught: a llama GGUF's shape, weights and tokenizer, as llama.cpp reads them.

Knows the GGUF of SmolLM2-135M-Instruct and any other of its architecture and tokenizer. Keeps
llama.cpp's own order of the rows of queries and keys, in which pairs that turn together are
neighbours: what is learned over it needs no reordering either. Refuses to know what is learned.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGMLQuantizationType, GGUFReader, TokenType
from gguf.quants import dequantize
from numpy.typing import NDArray
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

_ARCHITECTURE, _SPLITTER = "llama", "smollm"

_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)"
"""How llama.cpp splits for `smollm` once every digit stands alone (src/llama-vocab.cpp)."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What the metadata says of a llama model."""

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    ffn: int
    vocabulary: int
    context: int
    rope_theta: float
    epsilon: float
    """Of the root mean square."""

    @property
    def head(self) -> int:
        """Width of one head."""
        return self.hidden // self.heads

    def shortened(self, context: int) -> Shape:
        """Return the shape of a model that reads no more than `context` positions."""
        return replace(self, context=min(context, self.context))

    @property
    def projections(self) -> dict[str, tuple[int, int]]:
        """Rows and columns of every linear layer of a block, by llama.cpp's name for it."""
        kv = self.kv_heads * self.head
        return {
            "attn_q": (self.hidden, self.hidden),
            "attn_k": (kv, self.hidden),
            "attn_v": (kv, self.hidden),
            "attn_output": (self.hidden, self.hidden),
            "ffn_gate": (self.ffn, self.hidden),
            "ffn_up": (self.ffn, self.hidden),
            "ffn_down": (self.hidden, self.ffn),
        }


class Base:
    """A GGUF of architecture llama, with tied embeddings and SmolLM's tokenizer.

    Args:
        path: the file; it is mapped, not read whole.

    Raises:
        OSError: it cannot be read.
        ValueError: no GGUF, or none of this kind; says what it is instead.
    """

    def __init__(self, path: Path) -> None:
        self._reader = GGUFReader(path)
        self._tensors = {tensor.name: tensor for tensor in self._reader.tensors}
        self._demand(path, "general.architecture", _ARCHITECTURE)
        self._demand(path, "tokenizer.ggml.pre", _SPLITTER)
        if "output.weight" in self._tensors:
            raise ValueError(f"{path}: its output is not tied to its embeddings")
        self.name = str(self._fact("general.name"))

    def _demand(self, path: Path, key: str, wanted: str) -> None:
        if (found := self._fact(key)) != wanted:
            raise ValueError(f"{path}: {key} is {found!r}, not {wanted!r}")

    def _fact(self, key: str) -> Any:
        field = self._reader.get_field(key)
        return None if field is None else field.contents()

    @cached_property
    def shape(self) -> Shape:
        """Its dimensions."""

        def fact(key: str) -> Any:
            return self._fact(f"{_ARCHITECTURE}.{key}")

        return Shape(
            layers=fact("block_count"),
            hidden=fact("embedding_length"),
            heads=fact("attention.head_count"),
            kv_heads=fact("attention.head_count_kv"),
            ffn=fact("feed_forward_length"),
            vocabulary=int(self._tensors["token_embd.weight"].shape[1]),
            context=fact("context_length"),
            rope_theta=fact("rope.freq_base"),
            epsilon=fact("attention.layer_norm_rms_epsilon"),
        )

    @property
    def chat_template(self) -> str:
        """The Jinja program that makes a prompt of a conversation."""
        return str(self._fact("tokenizer.chat_template"))

    def weight(self, name: str) -> NDArray[np.float32]:
        """A tensor by llama.cpp's name, rows first, dequantized as llama.cpp does.

        Raises:
            KeyError: there is none of that name.
        """
        tensor = self._tensors[name]
        # Tensors in float32 come as they lie in the mapped file, which nobody may write to.
        return np.array(dequantize(tensor.data, GGMLQuantizationType(tensor.tensor_type)))

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """Text to ids as llama.cpp does it with special tokens parsed.

        Every digit is a token; tokens flagged as control are matched in the text first.
        """
        words: list[str] = self._fact("tokenizer.ggml.tokens")
        kinds: list[int] = self._fact("tokenizer.ggml.token_type")
        merges = [tuple(merge.split(" ")) for merge in self._fact("tokenizer.ggml.merges")]
        tokenizer = Tokenizer(models.BPE({word: i for i, word in enumerate(words)}, merges))
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(r"\p{N}"), "isolated"),
                pre_tokenizers.Split(Regex(_WORDS), "isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
        tokenizer.decoder = decoders.ByteLevel()
        tokenizer.add_special_tokens(
            [
                AddedToken(word, special=True, normalized=False)
                for word, kind in zip(words, kinds, strict=True)
                if kind == TokenType.CONTROL
            ]
        )
        return tokenizer
