"""A GGUF, or the parts of a split one, as a source.

Knows the format (ggml/docs/gguf.md). The header has been walked before (`ponder.gguf_header`);
what llama.cpp's own reader insists on beyond that is checked here. Metadata is decoded by hand:
the package `gguf` makes an object of every string, which takes 7 s and 500 MB for Qwen's
vocabulary.
"""

from __future__ import annotations

import mmap
import os
import struct
import weakref
from dataclasses import dataclass
from math import prod
from pathlib import Path

from gguf import (
    GGML_QUANT_SIZES,
    GGUF_DEFAULT_ALIGNMENT,
    GGMLQuantizationType,
    GGUFValueType,
)

from ponder.errors import BadCheckpoint, NotAModel, UnsupportedModel
from ponder.gguf_header import parts, read_header
from ponder_quantize.positions import read_at
from ponder_quantize.source import Bytes, Entry, Part
from ponder_quantize.writing import FORMS

Kind = GGUFValueType

_LONGEST_NAME = 63
"""Bytes of a tensor's name; GGML_MAX_NAME (ggml.h) less the zero."""


class _File:
    """An open file, as long as somebody may read from it."""

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self.descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        weakref.finalize(self, os.close, self.descriptor)


@dataclass(frozen=True, slots=True)
class _Rows:
    """All rows of a tensor, in one file."""

    file: _File
    at: int
    rows: int
    row_size: int

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({self.file.name})

    def read(self, start: int, stop: int) -> Bytes:
        size = (stop - start) * self.row_size
        try:
            data = read_at(self.file.descriptor, size, self.at + start * self.row_size)
        except OSError as error:
            raise BadCheckpoint(f"{self.file.name} cannot be read: {error.strerror}.") from error
        if len(data) < size:
            raise BadCheckpoint(
                f"{self.file.name} has become shorter while it was read.",
                "Leave it alone meanwhile.",
            )
        return data.reshape(stop - start, self.row_size)


@dataclass(frozen=True, slots=True)
class _Tensor:
    """One tensor of the file."""

    name: str
    shape: tuple[int, ...]
    type: GGMLQuantizationType
    parts: tuple[Part, ...]


class GgufSource:
    """An opened GGUF."""

    def __init__(self, path: Path) -> None:
        """Open it, and read its header; of a split one, any part's name will do.

        Raises:
            NotAModel: it is missing, no GGUF, damaged, or not complete.
            UnsupportedModel: it has types or shapes that llama.cpp cannot take.
        """
        self.paths = parts(path)
        self.metadata: tuple[Entry, ...] = ()
        self.tensors: tuple[_Tensor, ...] = ()
        for number, one in enumerate(self.paths):
            read_header(one)
            metadata, tensors = _read(one, _File(one))
            values = {entry.key: entry.value for entry in metadata}
            if len(self.paths) > 1 or values.get("split.count", 1) not in (0, 1):
                _check_split(one, number, len(self.paths), values)
            self.metadata = self.metadata or metadata
            self.tensors += tensors
        self.files = tuple(one.name for one in self.paths)
        if not self.tensors:
            raise NotAModel(f"{path.name} has no tensors.", "Is it a vocabulary only?")


def _check_split(path: Path, number: int, count: int, values: dict[str, object]) -> None:
    announced, own = values.get("split.count"), values.get("split.no")
    if announced != count or own != number:
        told = own + 1 if isinstance(own, int) else own
        raise NotAModel(
            f"{path.name} is part {told} of {announced}, and {count} are here.",
            "Put all parts of a split model in one folder, under the names that they came with.",
        )


def _read(path: Path, file: _File) -> tuple[tuple[Entry, ...], tuple[_Tensor, ...]]:
    with mmap.mmap(file.descriptor, 0, access=mmap.ACCESS_READ) as data:
        size = len(data)
        try:
            walk = _Walk(data)
            n_tensors, n_keys = walk.numbers("<QQ")
            metadata = tuple(walk.entry() for _ in range(n_keys))
            infos = [walk.info() for _ in range(n_tensors)]
        except (struct.error, OverflowError, ValueError, MemoryError) as error:
            raise _damaged(path, f"its header cannot be read ({error})") from error
        end = walk.at
    for names in ([entry.key for entry in metadata], [name for name, *_ in infos]):
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise _damaged(path, f"it has {twice} twice")
    pad = _alignment(path, metadata)
    start = -(-end // pad) * pad
    return metadata, tuple(_tensor(path, file, info, start, pad, size) for info in infos)


def _alignment(path: Path, metadata: tuple[Entry, ...]) -> int:
    for entry in metadata:
        if entry.key == "general.alignment":
            pad = entry.value
            if entry.kind != Kind.UINT32 or pad < 1 or pad & (pad - 1):
                raise _damaged(path, f"its tensors are aligned to {pad}")
            return int(pad)
    return GGUF_DEFAULT_ALIGNMENT


def _tensor(
    path: Path,
    file: _File,
    info: tuple[str, tuple[int, ...], int, int],
    start: int,
    pad: int,
    size: int,
) -> _Tensor:
    name, shape, number, offset = info
    try:
        kind = GGMLQuantizationType(number)
    except ValueError:
        raise UnsupportedModel(
            f"The tensor {name} of {path.name} is of a type that is not known ({number}).",
            "It was made for another llama.cpp, or is damaged.",
        ) from None
    block, width = GGML_QUANT_SIZES[kind]
    columns = shape[-1]
    if len(name.encode(errors="surrogateescape")) > _LONGEST_NAME or not name:
        raise _damaged(path, f"a tensor is called {name[:80]!r}")
    if not all(shape) or columns % block:
        raise _damaged(path, f"its tensor {name} has the shape {shape} in {kind.name}")
    rows, row_size = prod(shape[:-1]), columns // block * width
    if offset % pad or start + offset + rows * row_size > size:
        raise _damaged(path, f"its tensor {name} lies outside of it")
    part = _Rows(file, start + offset, rows, row_size)
    return _Tensor(name, shape, kind, (part,))


class _Walk:
    """A position in a header."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self.at = 8

    def numbers(self, form: str) -> tuple[int, ...]:
        found = struct.unpack_from(form, self._data, self.at)
        self.at += struct.calcsize(form)
        return found

    def string(self) -> str:
        (length,) = self.numbers("<Q")
        start, self.at = self.at, self.at + length
        if self.at > len(self._data):
            raise ValueError("it ends in a string")
        return self._data[start : self.at].decode(errors="surrogateescape")

    def entry(self) -> Entry:
        key = self.string()
        kind = Kind(self.numbers("<I")[0])
        if kind != Kind.ARRAY:
            value = self.string() if kind == Kind.STRING else self.numbers(f"<{FORMS[kind]}")[0]
            return Entry(key, value, kind)
        number, count = self.numbers("<IQ")
        element = Kind(number)
        if element == Kind.STRING:
            return Entry(key, [self.string() for _ in range(count)], kind, element)
        if element not in FORMS:
            raise ValueError(f"a list of {element.name}")
        return Entry(key, list(self.numbers(f"<{count}{FORMS[element]}")), kind, element)

    def info(self) -> tuple[str, tuple[int, ...], int, int]:
        name = self.string()
        (n_dims,) = self.numbers("<I")
        dims = self.numbers(f"<{n_dims}Q")
        number, offset = self.numbers("<IQ")
        return name, dims[::-1] or (1,), number, offset


def _damaged(path: Path, why: str) -> NotAModel:
    return NotAModel(
        f"{path.name} is damaged or incomplete: {why}.",
        "Compare its size and sha256 with its source, and get it again.",
    )
