"""Safetensors shards: what their headers say, and the bytes of their tensors.

Knows the format (https://github.com/huggingface/safetensors, "Format") and that a file may
not be here yet: a header can be had before its data, and what is read is read from wherever
the file lies at that moment. The `safetensors` package judges the header; ponder adds what it
does not tell, which is where the bytes lie. Knows nothing of models.
"""

from __future__ import annotations

import json
import math
import os
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from ponder.errors import BadCheckpoint
from ponder_quantize.source import Bytes

WIDTHS = {"F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1}
"""Bytes of a number, of the types that are read."""
_LENGTH = 8
"""Bytes of the number at the start that says how long the header is."""
_LONGEST = 100_000_000
"""Bytes of a header; the limit of the safetensors package."""
_LARGEST = 1 << 44
"""Bytes of a shard; more is damage, and more than many file systems can hold."""
_AGAIN = "Fetch that file again, whole."


@dataclass(frozen=True, slots=True)
class Stored:
    """A tensor as a shard holds it."""

    name: str
    dtype: str
    """As in the header: "BF16". Not only what `WIDTHS` lists."""
    shape: tuple[int, ...]
    file: str
    """Name of the shard."""
    start: int
    """Bytes from the start of the file."""
    size: int
    """Bytes."""


@dataclass(frozen=True, slots=True)
class ShardHeader:
    """What a shard holds, known without its data."""

    file: str
    size: int
    """Bytes of the whole file."""
    length: int
    """Bytes of the header, its length included."""
    digest: bytes
    """SHA-256 of these bytes: data that comes later has to begin with them."""
    tensors: Mapping[str, Stored]
    """By name, sorted: the order in which llama.cpp's converter walks a shard."""

    @classmethod
    def parse(cls, file: str, head: bytes) -> ShardHeader:
        """The header from the first bytes of a file.

        Args:
            file: the shard's name.
            head: at least `header_length` bytes.

        Raises:
            BadCheckpoint: damaged, or it contradicts itself.
        """
        length = header_length(file, head)
        if len(head) < length:
            raise BadCheckpoint(
                f"The header of {file} has {length:,} bytes and ends after {len(head):,}.", _AGAIN
            )
        head = head[:length]
        raw = _json(file, head[_LENGTH:])
        size = length + _end(file, raw)
        names = _judged(file, head, size)
        tensors = {name: _stored(file, name, raw[name], length) for name in sorted(names)}
        return cls(file, size, length, sha256(head).digest(), tensors)

    @classmethod
    def of(cls, path: Path) -> ShardHeader:
        """The header of a file that is here, whose size is checked against it.

        Raises:
            BadCheckpoint: missing, cut short, damaged.
        """
        try:
            with path.open("rb") as file:
                head = file.read(_LENGTH)
                head += file.read(header_length(path.name, head) - _LENGTH)
                size = os.fstat(file.fileno()).st_size
        except OSError as error:
            raise BadCheckpoint(
                f"{path} cannot be read: {error.strerror}.",
                "Every file that the index names has to lie beside it.",
            ) from error
        header = cls.parse(path.name, head)
        _whole(header, size)
        return header


def header_length(file: str, head: bytes) -> int:
    """Bytes from the start of a file to its data, by its first eight bytes.

    Raises:
        BadCheckpoint: there are fewer, or they say something impossible.
    """
    if len(head) < _LENGTH:
        raise BadCheckpoint(f"{file} is cut short: it has no header.", _AGAIN)
    length = int.from_bytes(head[:_LENGTH], "little")
    if not 2 <= length <= _LONGEST:
        raise BadCheckpoint(
            f"{file} is no safetensors file: its header would have {length:,} bytes.",
            "A pointer file of Git LFS looks like this: fetch the file itself."
            if head.startswith(b"version ")
            else _AGAIN,
        )
    return _LENGTH + length


class Shards:
    """The data of shards whose headers are known.

    Nothing is kept open: a file can be deleted as soon as nobody needs its tensors.
    """

    def __init__(self, headers: Sequence[ShardHeader], locate: Callable[[str], Path]) -> None:
        """Args:
        headers: of all shards.
        locate: where the file of that name lies when it is asked for.
        """
        self.headers = {header.file: header for header in headers}
        self._locate = locate
        self._known: set[str] = set()
        self._lock = threading.Lock()

    def rows(self, tensor: Stored, start: int, stop: int, width: int) -> Bytes:
        """Bytes of rows of a tensor, mapped, not copied.

        Args:
            width: bytes of a row.

        Returns:
            Shape (stop - start, width), read-only.

        Raises:
            BadCheckpoint: the file is not there, or not what its header said.
        """
        path = self._locate(tensor.file)
        try:
            self._check(tensor.file, path)
            if start == stop or width == 0:
                return np.empty((stop - start, width), np.uint8)
            mapped = np.memmap(
                path, np.uint8, "r", tensor.start + start * width, (stop - start, width)
            )
        except (OSError, ValueError) as error:
            raise BadCheckpoint(f"{path} cannot be read: {error}.", _AGAIN) from error
        return np.asarray(mapped)

    def _check(self, file: str, path: Path) -> None:
        if file in self._known:
            return
        header = self.headers[file]
        with path.open("rb") as opened:
            head = opened.read(header.length)
            _whole(header, os.fstat(opened.fileno()).st_size)
        if sha256(head).digest() != header.digest:
            raise BadCheckpoint(f"{file} is another file than its header was taken from.", _AGAIN)
        with self._lock:
            self._known.add(file)


def _whole(header: ShardHeader, size: int) -> None:
    if size < header.size:
        raise BadCheckpoint(
            f"{header.file} is cut short: {size:,} of {header.size:,} bytes.", _AGAIN
        )
    if size > header.size:
        raise BadCheckpoint(
            f"{header.file} has {size - header.size:,} bytes more than its header speaks of.",
            _AGAIN,
        )


def _json(file: str, text: bytes) -> dict[str, Any]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise BadCheckpoint(f"The header of {file} has {twice!r} twice.", _AGAIN)
        return found

    try:
        raw = json.loads(text.decode(), object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        raise BadCheckpoint(f"The header of {file} is damaged: no JSON ({error}).", _AGAIN) from (
            error
        )
    if not isinstance(raw, dict):
        raise BadCheckpoint(f"The header of {file} is damaged: no JSON object.", _AGAIN)
    return raw


def _end(file: str, raw: dict[str, Any]) -> int:
    """Bytes of the data, as far as the header can be believed before it is judged."""
    end = 0
    for entry in raw.values():
        offsets = entry.get("data_offsets") if isinstance(entry, dict) else None
        if isinstance(offsets, list):
            end = max(end, *(n for n in offsets if type(n) is int), 0)
    if end > _LARGEST:
        raise BadCheckpoint(f"The header of {file} speaks of {end:,} bytes of data.", _AGAIN)
    return end


def _judged(file: str, head: bytes, size: int) -> list[str]:
    """Names of the tensors, if the safetensors package finds nothing wrong.

    It wants a whole file. A hole of the size that the header promises is one, and takes no
    room.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="ponder-header-") as place:
            path = Path(place) / "header.safetensors"
            with path.open("wb") as hole:
                hole.write(head)
                hole.truncate(size)
            with safe_open(path, "numpy") as opened:
                return list(opened.keys())
    except SafetensorError as error:
        raise BadCheckpoint(f"The header of {file} is damaged: {error}.", _AGAIN) from error
    except OSError as error:
        raise BadCheckpoint(
            f"The header of {file} cannot be checked: {error}.",
            "The folder for temporary files has to hold files with holes; TMPDIR names another.",
        ) from error


def _stored(file: str, name: str, entry: dict[str, Any], length: int) -> Stored:
    start, stop = entry["data_offsets"]
    dtype, shape = entry["dtype"], tuple(entry["shape"])
    if dtype in WIDTHS and math.prod(shape) * WIDTHS[dtype] != stop - start:
        raise BadCheckpoint(f"The size of {name!r} in {file} is not that of its shape.", _AGAIN)
    return Stored(name, dtype, shape, file, length + start, stop - start)
