"""Stored weights as rows of numbers, in the layouts of llama.cpp, in the type it wants.

Knows FP8 blocks, the permutation that llama.cpp's rope asks for, and how the converter goes
from one float type to another. Reads a slab of rows at a time and keeps nothing. Knows no
architecture and no names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from gguf import GGMLQuantizationType
from gguf.quants import quantize

from ponder.errors import BadCheckpoint
from ponder_quantize.shards import WIDTHS, Shards, Stored
from ponder_quantize.source import Bytes

Numbers = npt.NDArray[np.generic]
"""Float32, float16, or the bits of bfloat16, for which numpy has no type."""
Index = npt.NDArray[np.int64]

_NUMPY: dict[str, np.dtype[np.generic]] = {
    "F32": np.dtype(np.float32),
    "F16": np.dtype(np.float16),
    "BF16": np.dtype(np.uint16),
    "F8_E4M3": np.dtype(np.uint8),
}
_ITSELF = {
    GGMLQuantizationType.F32: np.dtype(np.float32),
    GGMLQuantizationType.F16: np.dtype(np.float16),
    GGMLQuantizationType.BF16: np.dtype(np.uint16),
}


def _e4m3() -> npt.NDArray[np.float32]:
    """The 256 values of float8_e4m3fn: no infinities, one NaN of each sign.

    Source: Micikevicius and others, "FP8 formats for deep learning" (2022), table 1.
    """
    code = np.arange(256)
    exponent, mantissa = code >> 3 & 15, code & 7
    size = np.where(exponent == 0, mantissa * 2.0**-9, (8 + mantissa) * 2.0 ** (exponent - 10.0))
    size[code & 0x7F == 0x7F] = np.nan
    return np.where(code & 0x80, -size, size).astype(np.float32)


_E4M3 = _e4m3()


@dataclass(frozen=True, slots=True)
class Scales:
    """The scales of an FP8 matrix, one for each block."""

    stored: Stored
    block: tuple[int, int]
    """Rows and columns of a block."""


@dataclass(frozen=True, slots=True)
class Weights:
    """A stored tensor as a matrix. A vector is a matrix of one column."""

    shards: Shards
    stored: Stored
    scales: Scales | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """As stored."""
        return self.stored.shape

    @property
    def rows(self) -> int:
        """How many rows."""
        return self.stored.shape[0]

    @property
    def columns(self) -> int:
        """Numbers in a row."""
        return self.stored.shape[1] if len(self.stored.shape) > 1 else 1

    @property
    def needs(self) -> frozenset[str]:
        """The files it is read from."""
        files = {self.stored.file} | ({self.scales.stored.file} if self.scales else set())
        return frozenset(files)

    def read(self, start: int, stop: int) -> Numbers:
        """Rows, FP8 already as the float32 products of value and scale.

        Returns:
            Shape (stop - start, columns).
        """
        found = self._plain(self.stored, start, stop, self.columns)
        if self.stored.dtype != "F8_E4M3":
            return found
        values: npt.NDArray[np.float32] = _E4M3[found]
        if self.scales is not None:
            values *= self._scales(self.scales, start, stop)
        return values

    def _scales(self, scales: Scales, start: int, stop: int) -> npt.NDArray[np.float32]:
        tall, wide = scales.block
        first = start // tall
        stored = scales.stored
        found = self._plain(stored, first, -(-stop // tall), stored.shape[1])
        rows = np.arange(start, stop) // tall - first
        columns = np.arange(self.columns) // wide
        return floats(found)[rows[:, None], columns]

    def _plain(self, stored: Stored, start: int, stop: int, columns: int) -> Numbers:
        width = columns * WIDTHS[stored.dtype]
        found = self.shards.rows(stored, start, stop, width)
        if stored.start % WIDTHS[stored.dtype]:
            # No writer does this, the format allows it, and a C kernel may not.
            found = found.copy()
        return found.view(_NUMPY[stored.dtype])


class Layout(Protocol):
    """Rows of an output tensor, made of rows of stored ones."""

    @property
    def rows(self) -> int:
        """How many."""

    @property
    def needs(self) -> frozenset[str]:
        """The files that are read."""

    def read(self, start: int, stop: int) -> Numbers:
        """Rows `start` to `stop`."""


@dataclass(frozen=True, slots=True)
class AsStored:
    """Row for row."""

    weights: Weights

    @property
    def rows(self) -> int:
        """How many."""
        return 1 if len(self.weights.shape) < 2 else self.weights.rows

    @property
    def needs(self) -> frozenset[str]:
        """The files that are read."""
        return self.weights.needs

    def read(self, start: int, stop: int) -> Numbers:
        """Rows `start` to `stop`."""
        if len(self.weights.shape) < 2:
            return self.weights.read(0, self.weights.rows).reshape(1, -1)[start:stop]
        return self.weights.read(start, stop)


@dataclass(frozen=True, slots=True)
class Interleaved(AsStored):
    """The rows of each head in pairs: i and i + half of Hugging Face's become neighbours.

    That undoes what Hugging Face's Llama does to queries and keys: llama.cpp's rope turns
    neighbours (conversion/llama.py, `permute`). A bias is permuted within its one row.
    """

    heads: int

    def read(self, start: int, stop: int) -> Numbers:
        """Rows `start` to `stop`."""
        if len(self.weights.shape) < 2:
            whole = self.weights.read(0, self.weights.rows)
            return whole[self._order(0, self.weights.rows)].reshape(1, -1)[start:stop]
        return _picked(self.weights, self._order(start, stop))

    def _order(self, start: int, stop: int) -> Index:
        size = self.weights.rows // self.heads
        row = np.arange(start, stop)
        head, within = row // size, row % size
        return head * size + within % 2 * (size // 2) + within // 2


@dataclass(frozen=True, slots=True)
class Taken(AsStored):
    """Of every so many rows, a run of some: the values out of keys and values."""

    every: int
    skip: int
    take: int

    @property
    def rows(self) -> int:
        """How many."""
        return self.weights.rows // self.every * self.take

    def read(self, start: int, stop: int) -> Numbers:
        """Rows `start` to `stop`."""
        row = np.arange(start, stop)
        order = row // self.take * self.every + self.skip + row % self.take
        return _picked(self.weights, order)


@dataclass(frozen=True, slots=True)
class Turned(AsStored):
    """Of every so many rows, the first some, transposed: the keys that queries absorb."""

    every: int
    take: int

    @property
    def rows(self) -> int:
        """How many."""
        return self.weights.rows // self.every * self.weights.columns

    def read(self, start: int, stop: int) -> Numbers:
        """Rows `start` to `stop`."""
        columns = self.weights.columns
        found = []
        while start < stop:
            head, column = divmod(start, columns)
            end = min(columns, column + stop - start)
            first = head * self.every
            block = self.weights.read(first, first + self.take)
            found.append(block[:, column:end].T)
            start += end - column
        if not found:
            return self.weights.read(0, 0).reshape(0, -1)[:, : self.take]
        return np.concatenate(found)


@dataclass(frozen=True, slots=True)
class Computed:
    """A vector that no shard holds."""

    values: npt.NDArray[np.float32]

    @property
    def rows(self) -> int:
        """One."""
        return 1

    @property
    def needs(self) -> frozenset[str]:
        """No file."""
        return frozenset()

    def read(self, start: int, stop: int) -> Numbers:
        """Rows `start` to `stop`."""
        return self.values.reshape(1, -1)[start:stop]


@dataclass(frozen=True, slots=True)
class EncodedPart:
    """Rows in the type of their tensor: a `Part` of a `Source`."""

    layout: Layout
    type: GGMLQuantizationType

    @property
    def rows(self) -> int:
        """How many."""
        return self.layout.rows

    @property
    def needs(self) -> frozenset[str]:
        """Names of the files that have to be here before it can be read."""
        return self.layout.needs

    def read(self, start: int, stop: int) -> Bytes:
        """Rows `start` to `stop`, encoded."""
        return encoded(self.layout.read(start, stop), self.type)


@dataclass(frozen=True, slots=True)
class CheckpointTensor:
    """A tensor of the GGUF: a `SourceTensor`."""

    name: str
    shape: tuple[int, ...]
    type: GGMLQuantizationType
    parts: Sequence[EncodedPart]


def _picked(weights: Weights, order: Index) -> Numbers:
    """These rows in that order; those between them are mapped and not looked at."""
    if not len(order):
        return weights.read(0, 0)
    first = int(order.min())
    found: Numbers = weights.read(first, int(order.max()) + 1)[order - first]
    return found


def floats(numbers: Numbers) -> npt.NDArray[np.float32]:
    """As float32, exactly."""
    if numbers.dtype == np.uint16:
        return (numbers.astype(np.uint32) << 16).view(np.float32)
    return numbers.astype(np.float32, copy=False)


def encoded(numbers: Numbers, kind: GGMLQuantizationType) -> Bytes:
    """Bytes of the numbers in a float type of ggml, rounded as the converter does.

    Returns:
        Shape (rows, bytes of a row); a view where the type is theirs already.
    """
    if numbers.dtype == _ITSELF[kind]:
        return np.ascontiguousarray(numbers).view(np.uint8)
    wide = floats(numbers)
    with np.errstate(over="ignore"):
        # Beyond float16's range it is infinity, as in torch; whoever quantizes names it.
        return np.ascontiguousarray(quantize(wide, kind)).view(np.uint8)


def readable(stored: Stored) -> Stored:
    """The same, if it is of a type that can be read.

    Raises:
        BadCheckpoint: it is not.
    """
    if stored.dtype not in WIDTHS:
        raise BadCheckpoint(
            f"{stored.name!r} in {stored.file} is of type {stored.dtype}.",
            f"Known: {', '.join(sorted(WIDTHS))}.",
        )
    return stored
