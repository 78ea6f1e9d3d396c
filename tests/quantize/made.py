"""Sources out of arrays, and a model quantized in one call."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from gguf import GGMLQuantizationType, GGUFValueType

from ponder_quantize.pipeline import quantize
from ponder_quantize.plan import Importance, Plan, plan
from ponder_quantize.recipes import Recipe
from ponder_quantize.source import Bytes, Entry, Source

Type = GGMLQuantizationType


def quantized(
    source: Source,
    recipe: Recipe,
    out: Path,
    identity: str = "",
    importance: Importance | None = None,
    requantize: bool = False,
    **options: Any,
) -> Plan:
    """Plan it and carry it out."""
    planned = plan(source, recipe, identity, importance, requantize)
    quantize(planned, out, **options)
    return planned


class Made:
    """A source out of arrays; each tensor's rows are in the files that are named."""

    def __init__(self, tensors: dict[str, np.ndarray], files: dict[str, list[str]]) -> None:
        self.metadata = [
            Entry("general.architecture", "qwen2", GGUFValueType.STRING),
            Entry("qwen2.block_count", 1, GGUFValueType.UINT32),
        ]
        self.files = sorted({file for names in files.values() for file in names})
        self.tensors = [
            SimpleNamespace(
                name=name,
                shape=data.shape,
                type=Type.F32,
                parts=[
                    _Part(piece, file)
                    for piece, file in zip(
                        np.array_split(data.reshape(-1, data.shape[-1]), len(files[name])),
                        files[name],
                        strict=True,
                    )
                ],
            )
            for name, data in tensors.items()
        ]


class _Part:
    def __init__(self, data: np.ndarray, file: str) -> None:
        self.rows = len(data)
        self.needs = frozenset({file})
        self._data = np.ascontiguousarray(data).view(np.uint8)
        self.present: set[str] | None = None

    def read(self, start: int, stop: int) -> Bytes:
        assert self.present is None or self.needs <= self.present
        return self._data[start:stop]


def made(**kinds: np.ndarray) -> Made:
    return Made(kinds, {name: ["a"] for name in kinds})


def weights(rows: int = 64, columns: int = 256) -> np.ndarray:
    return np.random.default_rng(1).normal(0, 0.1, (rows, columns)).astype(np.float32)
