"""A low-rank adapter, and the GGUF that llama.cpp loads it from.

Knows names, shapes and metadata of such files (llama.cpp's src/llama-adapter.cpp). Refuses to
know how one is learned. Both matrices of a layer are in Q8_0, whose blocks are 32 numbers: a
rank that is no multiple of that has no such file.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, GGUFReader, GGUFType, GGUFWriter, Keys
from gguf.quants import dequantize, quantize
from numpy.typing import NDArray

_A, _B = ".lora_a", ".lora_b"
_TYPE = GGMLQuantizationType.Q8_0

Matrix = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Pair:
    """The adapter of one layer: its weight grows by alpha / rank times `b @ a`."""

    a: Matrix
    """Rank × inputs."""
    b: Matrix
    """Outputs × rank."""


@dataclass(frozen=True, slots=True)
class Adapter:
    """What is added to the layers of a model."""

    alpha: float
    pairs: Mapping[str, Pair]
    """By llama.cpp's name of the weight that each belongs to."""

    @property
    def rank(self) -> int:
        """Inner dimension, the same for all layers."""
        return len(next(iter(self.pairs.values())).a)


def write(adapter: Adapter, path: Path, about: Mapping[str, str]) -> int:
    """Write an adapter of a llama model; whole, or not at all.

    Args:
        adapter: what was learned.
        path: where.
        about: further metadata, `general.name` for one.

    Returns:
        its size in bytes.

    Raises:
        ValueError: a matrix does not divide into blocks of 32.
        OSError: it cannot be written.
    """
    part = path.with_name(path.name + ".part")
    writer = GGUFWriter(part, "llama")
    writer.add_type(GGUFType.ADAPTER)
    writer.add_string(Keys.Adapter.TYPE, "lora")
    writer.add_float32(Keys.Adapter.LORA_ALPHA, adapter.alpha)
    for key, value in about.items():
        writer.add_string(key, value)
    for name, pair in adapter.pairs.items():
        for suffix, matrix in ((_A, pair.a), (_B, pair.b)):
            if matrix.shape[-1] % 32:
                raise ValueError(f"{name}: rows of {matrix.shape[-1]} are no blocks of 32")
            data = quantize(np.ascontiguousarray(matrix, np.float32), _TYPE)
            writer.add_tensor(name + suffix, data, raw_dtype=_TYPE)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with part.open("rb+") as file:
        os.fsync(file.fileno())
    part.replace(path)
    return path.stat().st_size


def read(path: Path) -> Adapter:
    """Read what `write` wrote.

    Raises:
        ValueError: no GGUF, or no adapter.
        OSError: it cannot be read.
    """
    reader = GGUFReader(path)
    alpha = reader.get_field(Keys.Adapter.LORA_ALPHA)
    if alpha is None:
        raise ValueError(f"{path} is no adapter")
    found = {
        tensor.name: dequantize(tensor.data, GGMLQuantizationType(tensor.tensor_type))
        for tensor in reader.tensors
    }
    names = [name.removesuffix(_A) for name in found if name.endswith(_A)]
    return Adapter(
        float(alpha.contents()),
        {name: Pair(found[name + _A], found[name + _B]) for name in names},
    )
