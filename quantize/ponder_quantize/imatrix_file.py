"""Importance matrices on disk, as llama.cpp's imatrix tool writes them; both its formats.

For each weight matrix, how strongly each of its input channels was used: sums of squared
activations, and over how many tokens. The current form is a GGUF (tools/imatrix/imatrix.cpp),
the older one a list of its own, by habit `.dat`. Knows nothing of models: whether a matrix
fits one is seen by whoever has both. No llama.cpp here.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from gguf import GGMLQuantizationType, GGUFReader, GGUFValueType, GGUFWriter

from ponder.errors import BadImatrix, NotAModel
from ponder.gguf_header import read_header

Floats = npt.NDArray[np.float32]
Counts = npt.NDArray[np.int64]

_SUMS, _COUNTS = ".in_sum2", ".counts"
_DATASETS, _CHUNK_COUNT, _CHUNK_SIZE = (
    "imatrix.datasets",
    "imatrix.chunk_count",
    "imatrix.chunk_size",
)
_LONGEST_NAME = 63
"""Bytes; GGML_MAX_NAME (ggml.h) less the zero."""
_AGAIN = "Compute it again: ponder imatrix MODEL.gguf -o FILE"


@dataclass(frozen=True, slots=True)
class Statistics:
    """What one weight matrix, or one stack of experts, was given to multiply with."""

    sums: Floats
    """Sum over tokens of each input channel's square; shape (matrices x channels,)."""
    counts: Counts
    """Tokens that each matrix saw: shape (experts,), or (1,) where all saw the same."""

    def weights(self) -> Floats:
        """The mean square of each channel, as llama-quantize uses it; the shape of `sums`.

        Channels of an expert that saw no token count as 1 each (load_imatrix,
        tools/quantize/quantize.cpp).
        """
        counts = self.counts.astype(np.float32)[:, None]
        sums = self.sums.reshape(len(counts), -1)
        means = np.ones(sums.shape, np.float32)
        np.divide(sums, counts, out=means, where=counts > 0)
        return means.reshape(-1)


@dataclass(frozen=True, slots=True)
class Imatrix:
    """One importance matrix."""

    entries: Mapping[str, Statistics]
    """By the name of the weight tensor: `blk.0.ffn_down.weight`."""
    datasets: tuple[str, ...] = ()
    """What was read to compute it: names of text files, as whoever computed it gave them."""
    chunk_count: int = 0
    """Chunks of text that were read; 0 where the file does not tell."""
    chunk_size: int = 0
    """Tokens of a chunk; 0 where the file does not tell: the older form never does."""


class _Damaged(Exception):
    """Why a file cannot be an importance matrix."""


def read(path: Path) -> Imatrix:
    """Read an importance matrix of either form; its arrays are views of the file.

    Raises:
        BadImatrix: missing, foreign, damaged, or with numbers that no squares add up to.
    """
    try:
        with path.open("rb") as file:
            start = file.read(4)
            if start == b"GGUF":
                found = _read_gguf(path)
            else:
                found = _read_legacy(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        for name, statistics in found.entries.items():
            _check(name, statistics)
    except _Damaged as why:
        raise BadImatrix(f"{path} is no importance matrix, or damaged: {why}.", _AGAIN) from None
    except FileNotFoundError:
        raise BadImatrix(f"There is no file {path}.", _AGAIN) from None
    except (OSError, ValueError) as error:
        if path.is_file() and not path.stat().st_size:
            raise BadImatrix(f"{path} is empty.", _AGAIN) from None
        cause = getattr(error, "strerror", None) or error
        raise BadImatrix(
            f"{path} cannot be read: {cause}.", "Check the path and its permissions."
        ) from error
    return found


def _check(name: str, statistics: Statistics) -> None:
    sums, counts = statistics.sums, statistics.counts
    if not len(sums) or not len(counts) or len(sums) % len(counts):
        raise _Damaged(f"{name[:80]} has {len(sums):,} sums and {len(counts):,} counts")
    # Of either kind of NaN and of both infinities, one of these two is not within bounds.
    least, most = float(sums.min()), float(sums.max())
    if not np.isfinite(least) or not np.isfinite(most):
        raise _Damaged(f"{name[:80]} holds NaN or infinity")
    if least < 0:
        raise _Damaged(f"{name[:80]} holds a sum of squares below zero")


def _read_gguf(path: Path) -> Imatrix:
    try:
        header = read_header(path)
    except NotAModel as error:
        raise _Damaged(error.message.rstrip(".")) from None
    kind = header.facts.get("general.type", "imatrix")
    chunks = [header.facts.get(key) for key in (_CHUNK_COUNT, _CHUNK_SIZE)]
    if kind != "imatrix" or not all(isinstance(value, int) for value in chunks):
        what = header.facts.get("general.architecture", kind)
        raise _Damaged(f"it is a GGUF of another kind ({what})")
    try:
        reader = GGUFReader(path)
    except (ValueError, KeyError, IndexError, OverflowError) as error:
        raise _Damaged(str(error)) from None
    field = reader.fields.get(_DATASETS)
    if field is None or field.types[:1] != [GGUFValueType.ARRAY]:
        raise _Damaged(f"the key {_DATASETS} is missing")
    datasets = field.contents()
    sums: dict[str, Floats] = {}
    counts: dict[str, Floats] = {}
    for tensor in reader.tensors:
        for suffix, known in ((_SUMS, sums), (_COUNTS, counts)):
            if tensor.name.endswith(suffix):
                if tensor.tensor_type != GGMLQuantizationType.F32:
                    raise _Damaged(f"{tensor.name[:80]} is not F32")
                known[tensor.name.removesuffix(suffix)] = np.asarray(tensor.data).reshape(-1)
    alone = sorted(sums.keys() ^ counts.keys())
    if alone:
        raise _Damaged(f"{alone[0][:80]} has sums without counts, or counts without sums")
    if not sums:
        raise _Damaged("it has no entries")
    return Imatrix(
        {name: Statistics(sums[name], _whole(name, counts[name])) for name in sorted(sums)},
        tuple(str(name) for name in datasets) if isinstance(datasets, list) else (),
        *(int(value) for value in chunks if value is not None),
    )


def _whole(name: str, counts: Floats) -> Counts:
    """Counts as numbers of tokens; llama.cpp stores them as F32."""
    # Beyond it not even the next token would have been counted.
    if not np.all(np.abs(counts) <= 2.0**53):
        raise _Damaged(f"{name[:80]} holds counts that are none")
    return np.rint(counts).astype(np.int64)


class _Walk:
    """A position in the bytes of a file, which never leaves them."""

    def __init__(self, data: mmap.mmap) -> None:
        self.data = data
        self.at = 0

    def skip(self, n: int) -> int:
        """Go on by n bytes; gives where they began."""
        start = self.at
        if not 0 <= n <= len(self.data) - start:
            raise _Damaged("it ends too early")
        self.at = start + n
        return start

    def number(self) -> int:
        """An int32."""
        value: int = struct.unpack_from("<i", self.data, self.skip(4))[0]
        return value

    def string(self) -> str:
        """A length and so many bytes; what follows a zero is nothing to C."""
        n = self.number()
        start = self.skip(n)
        try:
            return self.data[start : start + n].split(b"\0", 1)[0].decode("utf-8")
        except UnicodeDecodeError:
            raise _Damaged("it holds a name that is no text") from None

    @property
    def over(self) -> bool:
        """Whether nothing is left."""
        return self.at == len(self.data)


def _read_legacy(data: mmap.mmap) -> Imatrix:
    """The older form: sums are means times `calls`, the one count is `calls`."""
    walk = _Walk(data)
    n_entries = walk.number()
    if n_entries < 1:
        raise _Damaged("it has no entries")
    entries: dict[str, Statistics] = {}
    for _ in range(n_entries):
        name, calls, n = walk.string(), walk.number(), walk.number()
        if n < 1 or not name or name in entries:
            raise _Damaged(f"its entry {name[:80]!r} is not one")
        sums = np.frombuffer(data, "<f4", n, walk.skip(4 * n))
        # Without calls llama-quantize takes the values as they are.
        entries[name] = Statistics(sums, np.array([max(calls, 1)], np.int64))
    chunk_count = 0 if walk.over else walk.number()
    dataset = "" if walk.over else walk.string()
    if not walk.over:
        raise _Damaged("something follows its end")
    return Imatrix(entries, (dataset,) if dataset else (), chunk_count)


def write(path: Path, imatrix: Imatrix) -> None:
    """Write an importance matrix: the older form to a name that ends in `.dat`, else a GGUF.

    What was there before stays until the new one is complete. Byte for byte what llama-imatrix
    writes of the same numbers.

    Raises:
        OSError: it cannot be written.
        BadImatrix: llama.cpp could not read a name in it.
    """
    for name in imatrix.entries:
        if len((name + _SUMS).encode()) > _LONGEST_NAME:
            raise BadImatrix(f"{name} is longer than llama.cpp lets a name be.")
    whole = path.resolve()
    part = whole.with_name(f".{whole.name[:200]}.{os.getpid()}.tmp")
    try:
        if path.suffix == ".dat":
            part.write_bytes(_legacy(imatrix))
        else:
            _write_gguf(part, imatrix)
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(whole)
    finally:
        part.unlink(missing_ok=True)


def _write_gguf(path: Path, imatrix: Imatrix) -> None:
    writer = GGUFWriter(path, arch="")
    writer.add_type("imatrix")
    # The key has to be there for llama-quantize, and this package writes no empty list.
    writer.add_array(_DATASETS, imatrix.datasets or ("",))
    writer.add_uint32(_CHUNK_COUNT, imatrix.chunk_count)
    writer.add_uint32(_CHUNK_SIZE, imatrix.chunk_size)
    for name, entry in sorted(imatrix.entries.items()):
        experts = len(entry.counts)
        # ggml drops outer dimensions of one.
        shape = (experts,) if experts > 1 else ()
        writer.add_tensor(name + _SUMS, np.ascontiguousarray(entry.sums.reshape(*shape, -1)))
        counts = entry.counts.astype(np.float32).reshape(*shape, 1)
        writer.add_tensor(name + _COUNTS, counts)
    try:
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    finally:
        writer.close()


def _legacy(imatrix: Imatrix) -> bytes:
    size = max(imatrix.chunk_size, 1)
    seen = {name: e for name, e in imatrix.entries.items() if e.counts.max(initial=0) > 0}
    pieces = [struct.pack("<i", len(seen))]
    for name, entry in sorted(seen.items()):
        calls = -(-int(entry.counts.max()) // size)
        encoded = name.encode()
        pieces.append(struct.pack("<i", len(encoded)) + encoded)
        pieces.append(struct.pack("<ii", calls, len(entry.sums)))
        pieces.append((entry.weights() * np.float32(calls)).astype("<f4").tobytes())
    dataset = imatrix.datasets[-1].encode() if imatrix.datasets else b""
    pieces.append(struct.pack("<ii", imatrix.chunk_count, len(dataset)) + dataset)
    return b"".join(pieces)
