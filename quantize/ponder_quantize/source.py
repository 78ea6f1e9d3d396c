"""What is quantized: a model as llama.cpp's converter would have written it down, unwritten.

A `Source` knows the metadata and the tensors of that GGUF in full before a single weight is
read. Its tensors give the bytes of their rows on demand. Where they come from (a checkpoint's
shards, another GGUF) is the business of whoever makes one; what becomes of them is the
pipeline's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from gguf import GGMLQuantizationType, GGUFValueType

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Entry:
    """One key of a GGUF's metadata."""

    key: str
    value: Any
    """A Python number, string or boolean, or a list of one kind of them."""
    kind: GGUFValueType
    """ARRAY for lists."""
    element: GGUFValueType | None = None
    """Of lists: the kind of what is in them."""


class Part(Protocol):
    """Consecutive rows of a tensor that come from the same place: one expert's, or all."""

    @property
    def rows(self) -> int:
        """How many."""

    @property
    def needs(self) -> frozenset[str]:
        """Names of the files that have to be here before it can be read."""

    def read(self, start: int, stop: int) -> Bytes:
        """Rows `start` to `stop` of this part, in the encoding of the tensor's type.

        Called from several threads at once.

        Returns:
            Shape (stop - start, bytes of a row), contiguous; a view where that costs nothing.

        Raises:
            BadCheckpoint: the file is not what its header said.
        """


class SourceTensor(Protocol):
    """One tensor of the GGUF that is quantized."""

    @property
    def name(self) -> str:
        """Its GGUF name: `blk.0.attn_q.weight`."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Outermost dimension first; the last is the length of a row."""

    @property
    def type(self) -> GGMLQuantizationType:
        """As the converter stores it: F32, F16 or BF16; of a GGUF, whatever it is."""

    @property
    def parts(self) -> Sequence[Part]:
        """All its rows, the outer dimensions flattened, in order."""


class Source(Protocol):
    """A model before it is quantized."""

    @property
    def metadata(self) -> Sequence[Entry]:
        """In the order in which the converter writes it; `general.architecture` is the first."""

    @property
    def tensors(self) -> Sequence[SourceTensor]:
        """In any order: the output has llama.cpp's own."""

    @property
    def files(self) -> Sequence[str]:
        """Names of the files that `needs` speaks of, in the order in which they are best had."""
