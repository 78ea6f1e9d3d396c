"""A GGUF before its weights: header bytes and where each tensor lies, as llama.cpp writes them.

Knows the format (ggml/docs/gguf.md, ggml/src/gguf.cpp) and which keys llama-quantize sets and
removes. No file and no weight.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from gguf import (
    GGML_QUANT_VERSION,
    GGUF_DEFAULT_ALIGNMENT,
    GGUF_MAGIC,
    GGUF_VERSION,
    GGMLQuantizationType,
    GGUFValueType,
)

from ponder.errors import NotAModel
from ponder_quantize.kernels import row_size
from ponder_quantize.source import Entry

Kind = GGUFValueType

FORMS = {
    Kind.UINT8: "B", Kind.INT8: "b", Kind.UINT16: "H", Kind.INT16: "h", Kind.UINT32: "I",
    Kind.INT32: "i", Kind.FLOAT32: "f", Kind.UINT64: "Q", Kind.INT64: "q", Kind.FLOAT64: "d",
    Kind.BOOL: "?",
}  # fmt: skip
"""Kinds of numbers as struct formats."""
_SPLIT = frozenset({"split.no", "split.count", "split.tensors.count"})
_MOST_OF_A_STRING = 127
"""Bytes; llama.cpp cuts what a command line says about an importance matrix."""


@dataclass(frozen=True, slots=True)
class Info:
    """A tensor of the output."""

    name: str
    shape: tuple[int, ...]
    """Outermost dimension first."""
    type: GGMLQuantizationType

    @property
    def columns(self) -> int:
        """Values in a row."""
        return self.shape[-1]

    @property
    def row_size(self) -> int:
        """Bytes of a row."""
        return row_size(self.type, self.columns)

    @property
    def rows(self) -> int:
        """How many, the outer dimensions flattened."""
        n = 1
        for size in self.shape[:-1]:
            n *= size
        return n

    @property
    def size(self) -> int:
        """Bytes."""
        return self.rows * self.row_size


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything lies in the file."""

    header: bytes
    """All before the first tensor, padding included."""
    offsets: tuple[int, ...]
    """Of the tensors, from the beginning of the file."""
    size: int
    """Bytes of the file, padding included."""


def quantized_metadata(
    metadata: Iterable[Entry],
    file_type: int,
    imatrix: tuple[str, Sequence[str], int, int] | None = None,
) -> list[Entry]:
    """The keys of the output: the source's, and those that say what was done, at the end.

    Args:
        metadata: the source's.
        file_type: the recipe's.
        imatrix: what is to be said of an importance matrix: its file, its data sets, how many
            tensors and how many chunks of text it is of.
    """
    added = [
        Entry("general.quantization_version", GGML_QUANT_VERSION, Kind.UINT32),
        Entry("general.file_type", file_type, Kind.UINT32),
    ]
    if imatrix is not None:
        file, datasets, entries, chunks = imatrix
        added.append(Entry("quantize.imatrix.file", _cut(file), Kind.STRING))
        if datasets:
            added.append(Entry("quantize.imatrix.dataset", _cut(datasets[0]), Kind.STRING))
        added.append(Entry("quantize.imatrix.entries_count", entries, Kind.UINT32))
        if chunks > 0:
            added.append(Entry("quantize.imatrix.chunks_count", chunks, Kind.UINT32))
    gone = _SPLIT | {entry.key for entry in added}
    return [entry for entry in metadata if entry.key not in gone] + added


def layout(metadata: Sequence[Entry], tensors: Sequence[Info]) -> Layout:
    """Header and offsets of a file of these tensors, in this order.

    The alignment is what `general.alignment` says; llama-quantize then keeps the key and aligns
    to 32 all the same, which nothing can load.
    """
    pad = next((e.value for e in metadata if e.key == "general.alignment"), GGUF_DEFAULT_ALIGNMENT)
    packed = bytearray(struct.pack("<IIQQ", GGUF_MAGIC, GGUF_VERSION, len(tensors), len(metadata)))
    for entry in metadata:
        packed += _entry(entry)
    at = 0
    starts = []
    for tensor in tensors:
        # Outer dimensions of one are not written.
        dims = list(tensor.shape[::-1])
        while len(dims) > 1 and dims[-1] == 1:
            dims.pop()
        packed += _string(tensor.name)
        packed += struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, tensor.type, at)
        starts.append(at)
        at += _padded(tensor.size, pad)
    header = bytes(packed).ljust(_padded(len(packed), pad), b"\0")
    return Layout(header, tuple(len(header) + start for start in starts), len(header) + at)


def _padded(size: int, pad: int) -> int:
    return -(-size // pad) * pad


def _cut(text: str) -> str:
    return text.encode(errors="surrogateescape")[:_MOST_OF_A_STRING].decode(
        errors="surrogateescape"
    )


def _entry(entry: Entry) -> bytes:
    key = _string(entry.key)
    if entry.kind != Kind.ARRAY:
        return key + struct.pack("<I", entry.kind) + _value(entry.key, entry.kind, entry.value)
    if entry.element is None:
        raise NotAModel(f"The list {entry.key} does not say what it is of.", "")
    head = key + struct.pack("<IIQ", entry.kind, entry.element, len(entry.value))
    if entry.element in FORMS:
        form = f"<{len(entry.value)}{FORMS[entry.element]}"
        return head + _packed(entry.key, form, *entry.value)
    return head + b"".join(_value(entry.key, entry.element, value) for value in entry.value)


def _value(key: str, kind: GGUFValueType, value: Any) -> bytes:
    return _string(value) if kind == Kind.STRING else _packed(key, f"<{FORMS[kind]}", value)


def _packed(key: str, form: str, *values: Any) -> bytes:
    try:
        return struct.pack(form, *values)
    except struct.error as error:
        raise NotAModel(
            f"The metadata {key} has a value that its type cannot hold: {error}.", ""
        ) from error


def _string(text: str) -> bytes:
    # llama.cpp hands strings on as C does, so a zero ends them.
    data = text.encode(errors="surrogateescape").split(b"\0", 1)[0]
    return struct.pack("<Q", len(data)) + data
