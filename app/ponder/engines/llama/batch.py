"""The one `llama_batch` that an engine fills again and again, without allocating."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import llama_cpp.llama_cpp as lib


class Batch:
    """Tokens of several sequences for one decode.

    Args:
        size: the most tokens it can hold.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._token = (ctypes.c_int32 * size)()
        self._pos = (ctypes.c_int32 * size)()
        self._n_seq_id = (ctypes.c_int32 * size)(*([1] * size))
        self._seq = (ctypes.c_int32 * size)()
        row, start = ctypes.POINTER(ctypes.c_int32), ctypes.addressof(self._seq)
        width = ctypes.sizeof(ctypes.c_int32)
        self._seq_id = (row * size)(*(ctypes.cast(start + at * width, row) for at in range(size)))
        self._logits = (ctypes.c_int8 * size)()
        self.c = lib.llama_batch(
            n_tokens=0,
            token=ctypes.cast(self._token, lib.llama_batch._fields_[1][1]),
            embd=None,
            pos=ctypes.cast(self._pos, lib.llama_batch._fields_[3][1]),
            n_seq_id=ctypes.cast(self._n_seq_id, lib.llama_batch._fields_[4][1]),
            seq_id=ctypes.cast(self._seq_id, lib.llama_batch._fields_[5][1]),
            logits=ctypes.cast(self._logits, lib.llama_batch._fields_[6][1]),
        )
        """The struct that `llama_decode` takes; the arrays live as long as this object."""

    def __len__(self) -> int:
        return int(self.c.n_tokens)

    def clear(self) -> None:
        """Begin again."""
        self.c.n_tokens = 0

    def fill(self, rows: list[tuple[int, int, int]]) -> None:
        """Replace everything by one token of each slot, (slot, position, token), with logits."""
        token, pos, seq, logits = self._token, self._pos, self._seq, self._logits
        for at, (slot, position, one) in enumerate(rows):
            token[at], pos[at], seq[at], logits[at] = one, position, slot, 1
        self.c.n_tokens = len(rows)

    def add(self, slot: int, position: int, tokens: Sequence[int], logits: bool) -> int:
        """Append tokens of one slot from a position on.

        Returns:
            The row of the last one, which is where its logits will be, if asked for.
        """
        start = self.c.n_tokens
        if len(tokens) == 1:
            self._token[start] = tokens[0]
            self._pos[start] = position
            self._seq[start] = slot
            self._logits[start] = logits
            self.c.n_tokens = start + 1
            return int(start)
        end = start + len(tokens)
        self._token[start:end] = list(tokens)
        self._pos[start:end] = list(range(position, position + len(tokens)))
        self._seq[start:end] = [slot] * len(tokens)
        self._logits[start:end] = [0] * len(tokens)
        self._logits[end - 1] = logits
        self.c.n_tokens = end
        return int(end - 1)
