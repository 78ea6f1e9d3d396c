"""Examples to tokens, each marked as learned or not.

Knows byte-level BPE and the rule for what is learned. Refuses to know rows, batches and the
network. A token and its mark share one signed integer: the top bit, the sign, says "learned",
so that a vocabulary up to 32,768 takes two bytes a token and a larger one four.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

if TYPE_CHECKING:
    from builtin_model.examples import Example

Marked = NDArray[Any]
"""Tokens with their marks: int16 or int32, one dimension."""


def container(vocabulary: int) -> np.dtype[Any]:
    """Return the smallest signed type that holds the ids of `vocabulary` and a mark."""
    return np.dtype(np.int16 if vocabulary <= 1 << 15 else np.int32)


def marked(ids: Sequence[int], learned: NDArray[np.bool_], dtype: np.dtype[Any]) -> Marked:
    """Join ids and marks."""
    top = np.iinfo(dtype).min
    return np.asarray(ids, dtype) | np.where(learned, top, 0).astype(dtype)


def ids_of(tokens: Marked) -> Marked:
    """Return the ids, marks taken off."""
    ids: Marked = tokens & np.iinfo(tokens.dtype).max
    return ids


def learned_of(tokens: Marked) -> NDArray[np.bool_]:
    """Return the marks."""
    return np.less(tokens, 0)


@dataclass(frozen=True, slots=True)
class Encoder:
    """Encodes for one vocabulary and one natural close of thinking."""

    tokenizer: Tokenizer
    """Byte-level BPE without a normalizer; tags are among its added tokens."""
    close: str
    """The natural end of thinking; learned."""
    _bytes: NDArray[np.int64]
    """How many bytes of text each id stands for."""
    dtype: np.dtype[Any]

    @classmethod
    def of(cls, tokenizer: Tokenizer, close: str) -> Encoder:
        """Make one; adds nothing to what is encoded, whatever the tokenizer's template says."""
        vocabulary = tokenizer.get_vocab_size(with_added_tokens=True)
        added = tokenizer.get_added_tokens_decoder()
        sizes = np.zeros(vocabulary, np.int64)
        for text, token in tokenizer.get_vocab(with_added_tokens=True).items():
            # Byte-level BPE writes one character for a byte; added tokens are plain text.
            sizes[token] = len(text.encode()) if token in added else len(text)
        return cls(tokenizer, close, sizes, container(vocabulary))

    def encode(self, examples: Sequence[Example]) -> list[Marked]:
        """Return the tokens of each example, prompt first.

        A token is learned if all of its text is. A cut keeps tokens of the thought up to the
        first that is not learned, never beyond: what is wrong there is put right only later.
        """
        prompts = self._ids([example.prompt for example in examples])
        thoughts = ["".join(piece.text for piece in example.thought) for example in examples]
        # Where it ends by itself, thought, close and answer are one text: the model writes all
        # of it. Where a budget ends it, each is written by somebody else.
        written = self._ids(
            [
                thought if example.cut else thought + self.close + example.answer
                for example, thought in zip(examples, thoughts, strict=True)
            ]
        )
        closes = iter(self._ids([e.cut.close for e in examples if e.cut]))
        answers = iter(self._ids([e.answer for e in examples if e.cut]))
        return [
            self._whole(prompt, self._marks(ids, example), ids)
            if example.cut is None
            else self._cut(prompt, ids, example, example.cut.at, next(closes), next(answers))
            for example, prompt, ids in zip(examples, prompts, written, strict=True)
        ]

    def _ids(self, texts: list[str]) -> list[list[int]]:
        found = self.tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return [encoding.ids for encoding in found]

    def _whole(self, prompt: list[int], marks: NDArray[np.bool_], ids: list[int]) -> Marked:
        unlearned = np.zeros(len(prompt), np.bool_)
        return marked(prompt + ids, np.concatenate((unlearned, marks)), self.dtype)

    def _cut(
        self,
        prompt: list[int],
        ids: list[int],
        example: Example,
        at: float,
        close: list[int],
        answer: list[int],
    ) -> Marked:
        marks = self._marks(ids, example)
        limit = len(ids) if marks.all() else int(marks.argmin())
        kept = int(at * limit)
        learned = np.ones(len(prompt) + kept + len(close) + len(answer), np.bool_)
        learned[: len(prompt)] = False
        learned[len(prompt) + kept : len(learned) - len(answer)] = False
        return marked(prompt + ids[:kept] + close + answer, learned, self.dtype)

    def _marks(self, ids: list[int], example: Example) -> NDArray[np.bool_]:
        """Tell which tokens of a thought, and of what follows it, are learned."""
        pieces = [piece for piece in example.thought if piece.text]
        if all(piece.learned for piece in pieces):
            return np.ones(len(ids), np.bool_)
        ends = self._bytes[ids].cumsum()
        starts = ends - self._bytes[ids]
        borders = list(accumulate(len(piece.text.encode()) for piece in pieces))
        # Unlearned pieces before each piece, and before what follows the thought.
        before = np.array([0, *accumulate(not piece.learned for piece in pieces)])
        before = np.append(before, before[-1])
        first = np.searchsorted(borders, starts, side="right")
        last = np.searchsorted(borders, ends - 1, side="right")
        marks: NDArray[np.bool_] = before[last + 1] == before[first]
        return marks
