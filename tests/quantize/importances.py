"""Importance matrices out of the air, seeded, as arrays and as a file of llama.cpp's older form."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ponder_quantize.plan import Importance
from ponder_quantize.source import SourceTensor

DATASET = "calibration.txt"
CHUNKS = 7


def made_up(tensors: Iterable[SourceTensor], file: str) -> Importance:
    """For all matrices but the embeddings."""
    rng = np.random.default_rng(3)
    entries = {}
    for tensor in tensors:
        if len(tensor.shape) < 2 or tensor.name == "token_embd.weight":
            continue
        matrices = tensor.shape[-3] if len(tensor.shape) > 2 else 1
        values = rng.random(tensor.shape[-1] * matrices) ** 4 * 10 + 1e-3
        entries[tensor.name] = values.astype(np.float32)
    return Importance(file, [DATASET], CHUNKS, entries)


def write(path: Path, importance: Importance) -> None:
    """As `llama-imatrix` wrote them before they were GGUFs; each counts one call."""
    data = struct.pack("<i", len(importance.entries))
    for name, values in importance.entries.items():
        data += struct.pack("<i", len(name)) + name.encode()
        data += struct.pack("<ii", 1, len(values)) + values.tobytes()
    data += struct.pack("<ii", importance.chunks, len(DATASET)) + DATASET.encode()
    path.write_bytes(data)
