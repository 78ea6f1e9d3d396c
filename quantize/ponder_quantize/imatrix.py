"""Computing an importance matrix: which inputs of each weight matrix a text makes strong.

Reads the inputs of a model's matrix products while llama.cpp computes them, and adds up their
squares in the order and the precision of llama-imatrix (tools/imatrix/imatrix.cpp), so that
the same activations give the same matrix to the last bit. Knows nothing of where the text
comes from.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ponder.errors import EngineError
from ponder_quantize.imatrix_file import Counts, Floats, Imatrix, Statistics
from ponder_quantize.logits import CHUNK, Reader, Running
from ponder_quantize.tensors import F32, Tensor, graphs

_LEAST_ROWS = 16
"""Products with fewer tokens are passed over, as llama-imatrix does."""


@dataclass(frozen=True, slots=True)
class Read:
    """So many chunks of the text have been read; told after each decode, and before the first."""

    done: int
    chunks: int


def compute(
    model: Path,
    text: str,
    dataset: str,
    *,
    running: Running | None = None,
    chunk: int = CHUNK,
    most: int | None = None,
    special: bool = False,
    tell: Callable[[Read], None] = lambda _: None,
) -> Imatrix:
    """Run a model over a text, and see what its weights are multiplied with.

    Args:
        model: a GGUF of high precision.
        text: what to read; tokens that do not fill a chunk are left out.
        dataset: what to call the text in the matrix.
        running: how to run it.
        chunk: tokens of a chunk.
        most: chunks to read, where the text has more.
        special: whether tags such as `<think>` are read as the tokens they name.
        tell: told how far it is. What it raises ends the work.

    Raises:
        InputError: the text is too short.
        ModelError: the model cannot be run.
        EngineError: it failed while it ran, or its activations are not finite.
    """
    collector = Collector()
    with Reader(model, running, chunk, collector.take) as reader:
        chunks = reader.chunks(reader.encode(text, special), most)
        tell(Read(0, len(chunks)))
        for done, _ in reader.read(chunks):
            tell(Read(done.stop, len(chunks)))
    return collector.imatrix(dataset, chunk)


class Collector:
    """Adds up squared activations, product by product."""

    def __init__(self) -> None:
        self._graphs = graphs()
        self._sums: dict[str, Floats] = {}
        """By weight: shape (matrices, channels)."""
        self._counts: dict[str, Counts] = {}

    def take(self, node: Any, ask: bool) -> bool:
        """For `Reader`: which products to wait for, and their inputs once they are there."""
        product = Tensor.from_address(ctypes.cast(node, ctypes.c_void_p).value or 0)
        if product.op == self._graphs.mul_mat_id:
            if not ask:
                self._take_experts(product)
            return True
        if product.op != self._graphs.mul_mat:
            return False
        given = product.src[1].contents
        name = _weight(product)
        if given.ne[1] < _LEAST_ROWS or given.type != F32 or not name.startswith("blk."):
            return False
        if not ask:
            self._take_dense(product, name)
        return True

    def _take_dense(self, product: Tensor, name: str) -> None:
        weight = product.src[0].contents
        given = self._graphs.array(product.src[1].contents, np.float32)
        outer, inner = weight.ne[3], weight.ne[2]
        sums = self._entry(name, outer * inner, given.shape[-1], 1)
        if outer * inner == 1:
            _add(sums[0], given.reshape(-1, given.shape[-1]))
        else:
            for i3 in range(given.shape[0]):
                for i2 in range(given.shape[1]):
                    _add(sums[i3 % outer * inner + i2 % inner], given[i3, i2])
        self._counts[name] += given[..., 0].size // (outer * inner)
        self._check(name)

    def _take_experts(self, product: Tensor) -> None:
        name = _weight(product)
        experts = product.src[0].contents.ne[2]
        given = self._graphs.array(product.src[1].contents, np.float32)[0]
        ids = self._graphs.array(product.src[2].contents, np.int32)[0, 0]
        sums = self._entry(name, experts, given.shape[-1], experts)
        tokens, used = ids.shape
        # The order of llama-imatrix: all tokens' first expert, then all their second one.
        chosen = ids.T.ravel()
        # Where all experts are given the same, it is there once.
        slots = np.repeat(np.arange(used) % given.shape[1], tokens)
        rows = np.tile(np.arange(tokens), used)
        for expert in np.unique(chosen):
            picked = chosen == expert
            _add(sums[expert], given[rows[picked], slots[picked]])
        self._counts[name] += np.bincount(chosen, minlength=experts)
        self._check(name)

    def _entry(self, name: str, matrices: int, channels: int, counts: int) -> Floats:
        if name not in self._sums:
            self._sums[name] = np.zeros((matrices, channels), np.float32)
            self._counts[name] = np.zeros(counts, np.int64)
        return self._sums[name]

    def _check(self, name: str) -> None:
        if not np.isfinite(self._sums[name]).all():
            raise EngineError(
                f"What {name} is multiplied with is infinite or not a number.",
                "The model is damaged, or its type is too small for its weights: try BF16.",
            )

    def imatrix(self, dataset: str, chunk: int) -> Imatrix:
        """What has been added up so far.

        Raises:
            EngineError: nothing.
        """
        if not self._sums:
            raise EngineError("No matrix product of this model could be seen.")
        entries = {
            name: Statistics(self._sums[name].reshape(-1), self._counts[name])
            for name in sorted(self._sums)
        }
        tokens = max(int(entry.counts.max()) for entry in entries.values())
        return Imatrix(entries, (dataset,), tokens // chunk, chunk)


def _weight(product: Tensor) -> str:
    """The name of a product's weights; a backend may call its copy `CUDA0#name#0`."""
    name = product.src[0].contents.name.decode("utf-8", "replace")
    return name.split("#")[1] if "#" in name else str(name)


def _add(sums: Floats, rows: Floats) -> None:
    """Add the squares of rows to sums, one row after the other, in F32."""
    if len(rows):
        squares = np.square(rows)
        squares[0] += sums
        np.add.reduce(squares, axis=0, out=sums)
