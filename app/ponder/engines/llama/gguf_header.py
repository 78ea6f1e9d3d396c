"""The header of a GGUF file, walked before llama.cpp sees it.

llama.cpp answers most damage with an error, but asserts, and so kills the process, on some
of it: two tokens with the same text, a number of layers that it has no room for. And it
believes lengths before it has compared them with the file. Knows the format
(ggml/docs/gguf.md) and nothing of models beyond what would kill; no llama.cpp here.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ponder.errors import NotAModel, UnsupportedModel

_MOST_KEYS = 1 << 16
_MOST_TENSORS = 1 << 20
_MOST_STRINGS = 1 << 22
"""More of any is damage: the largest models have 60 keys, 2,000 tensors, 300,000 strings."""
_LEAST_KEY = 8 + 1 + 4 + 1
"""Bytes: a length, a letter, a type, a value."""
_LEAST_TENSOR = 8 + 1 + 4 + 8 + 4 + 8
"""Bytes: a length, a letter, the number of dimensions, one of them, a type, an offset."""
_MOST_DIMENSIONS = 4
"""GGML_MAX_DIMS (ggml.h)."""
_LAYERS = range(1, 513)
"""LLAMA_MAX_LAYERS (llama-hparams.h); anything else fails an assertion."""
LEAST_CONTEXT = 16
"""Tokens; in less than it has sequences, llama.cpp fails an assertion."""
_STRING, _ARRAY = 8, 9
_SCALARS = {
    0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?",
    10: "<Q", 11: "<q", 12: "<d",
}  # fmt: skip
"""gguf_type (gguf.h) as struct formats."""
_TOKENS = "tokenizer.ggml.tokens"


@dataclass(frozen=True, slots=True)
class Header:
    """What the header says, as far as it has one value."""

    version: int
    n_tensors: int
    facts: dict[str, int | float | str]


class _Damaged(Exception):
    """Why the header cannot be walked on."""


class _Walk:
    """A position in the bytes of a file, which never leaves them."""

    def __init__(self, data: mmap.mmap) -> None:
        self.data = data
        self.size = len(data)
        self.at = 0

    def skip(self, n: int) -> int:
        """Go on by n bytes; gives where they began."""
        start = self.at
        if n > self.size - start:
            raise _Damaged("it ends inside its header")
        self.at = start + n
        return start

    def number(self, form: str) -> int | float:
        """One number."""
        start = self.skip(struct.calcsize(form))
        value: int | float = struct.unpack_from(form, self.data, start)[0]
        return value

    def count(self, what: str, most: int) -> int:
        """A number of things that cannot be more than `most`."""
        n = int(self.number("<Q"))
        if n > most:
            raise _Damaged(f"it claims {n:,} {what}")
        return n

    def string(self) -> bytes:
        """A length and so many bytes."""
        n = int(self.number("<Q"))
        start = self.skip(n)
        return self.data[start : start + n]

    def strings(self, n: int) -> list[tuple[int, int]]:
        """Pass over an array of strings, and tell where each lies.

        The long part of a header (R1's has 300,000), so kept tight.
        """
        length, data, at, last = struct.Struct("<Q").unpack_from, self.data, self.at, self.size - 8
        spans = []
        for _ in range(n):
            if at > last:
                raise _Damaged("it ends inside its header")
            start = at + 8
            at = start + length(data, at)[0]
            spans.append((start, at))
        if at > self.size:
            raise _Damaged("it ends inside its header")
        self.at = at
        return spans

    def tokens(self, n: int) -> None:
        """Pass over the vocabulary; llama.cpp asserts that no token is there twice."""
        base = self.at
        spans = self.strings(n)
        held = self.data[base : self.at]
        # llama.cpp reads up to the first zero, and gives the empty ones a name.
        texts = [held[start - base : end - base].split(b"\0", 1)[0] for start, end in spans]
        named = [text or b"[EMPTY_%d]" % token for token, text in enumerate(texts)]
        if len(set(named)) < n:
            first: dict[bytes, int] = {}
            one, other = next(
                (first[text], token)
                for token, text in enumerate(named)
                if first.setdefault(text, token) != token
            )
            raise _Damaged(f"its tokens {one} and {other} have the same text")


def read_header(path: Path) -> Header:
    """Walk a file's header from end to end.

    Raises:
        NotAModel: missing, unreadable, no GGUF, or damaged.
        UnsupportedModel: it has a shape that llama.cpp would die of.
    """
    try:
        if path.is_dir():
            raise NotAModel(
                f"{path} is a folder, not a GGUF file.", "Give the .gguf file inside it."
            )
        if path.exists() and not path.is_file():
            raise NotAModel(f"{path} is no plain file.", "Give the path of a .gguf file.")
        with path.open("rb") as file:
            version = _check_start(path, file.read(24))
            return _walk(path, file, version)
    except FileNotFoundError:
        raise NotAModel(
            f"There is no file {path}.", "Check the path; `ponder models` lists what is here."
        ) from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise NotAModel(
            f"{path} cannot be read: {why}.", "Check the path and its permissions."
        ) from error


def _check_start(path: Path, start: bytes) -> int:
    if start[:4] != b"GGUF":
        raise NotAModel(
            f"{path} is not a GGUF file.",
            "Its first four bytes should read GGUF. Checkpoints (safetensors) and older "
            "formats have to be converted first.",
        )
    if len(start) < 24:
        raise NotAModel(f"{path} ends inside its header.", "Download it again.")
    version = int.from_bytes(start[4:8], "little")
    if version not in (2, 3):
        # A version as large as that is a small one with its bytes the other way round.
        other = version > 0xFFFF and version & 0xFFFF == 0
        which = "for big-endian machines" if other else f"version {version}"
        raise NotAModel(
            f"{path} is GGUF {which}, which this llama.cpp cannot read.",
            "Convert the model again; versions 2 and 3 are read.",
        )
    return version


def _walk(path: Path, file: BinaryIO, version: int) -> Header:
    try:
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            walk = _Walk(data)
            walk.skip(8)
            n_tensors = walk.count("tensors", min(_MOST_TENSORS, walk.size // _LEAST_TENSOR))
            n_keys = walk.count("metadata keys", min(_MOST_KEYS, walk.size // _LEAST_KEY))
            facts = _metadata(walk, n_keys)
            _tensors(walk, n_tensors)
    except _Damaged as why:
        raise NotAModel(
            f"{path.name} is damaged or incomplete: {why}.",
            "Compare its size and sha256 with its source, and download it again.",
        ) from None
    _check_shape(path, facts)
    return Header(version, n_tensors, facts)


def _metadata(walk: _Walk, n_keys: int) -> dict[str, int | float | str]:
    facts: dict[str, int | float | str] = {}
    for _ in range(n_keys):
        key = walk.string().decode("utf-8", "replace")
        kind = walk.number("<I")
        if not key:
            raise _Damaged("a metadata key has no name")
        if kind == _STRING:
            facts[key] = walk.string().decode("utf-8", "replace")
        elif kind in _SCALARS:
            facts[key] = walk.number(_SCALARS[int(kind)])
        elif kind == _ARRAY:
            _array(walk, key)
        else:
            raise _Damaged(f"the metadata key {key[:80]!r} is of the unknown type {kind}")
    return facts


def _array(walk: _Walk, key: str) -> None:
    kind = int(walk.number("<I"))
    if kind in _SCALARS:
        width = struct.calcsize(_SCALARS[kind])
        n = walk.count(f"values of {key[:80]}", walk.size // width)
        walk.skip(n * width)
    elif kind == _STRING:
        n = walk.count(f"values of {key[:80]}", min(_MOST_STRINGS, walk.size // 8))
        if key == _TOKENS:
            walk.tokens(n)
        else:
            walk.strings(n)
    else:
        raise _Damaged(f"the metadata key {key[:80]!r} is an array of the unknown type {kind}")


def _tensors(walk: _Walk, n_tensors: int) -> None:
    for _ in range(n_tensors):
        walk.string()
        n = int(walk.number("<I"))
        if n > _MOST_DIMENSIONS:
            raise _Damaged(f"it claims a tensor of {n:,} dimensions")
        # Dimensions, type and offset: llama.cpp checks them against the file itself.
        walk.skip(8 * n + 4 + 8)


def _check_shape(path: Path, facts: dict[str, int | float | str]) -> None:
    """Values of the right type that fail an assertion further down."""
    shape = f"{facts.get('general.architecture')}."
    for key, value in facts.items():
        if isinstance(value, str) or not key.startswith(shape):
            continue
        impossible = (
            (key == f"{shape}block_count" and value not in _LAYERS)
            or (key == f"{shape}context_length" and value < LEAST_CONTEXT)
            or (key.endswith("_epsilon") and not value >= 0)
        )
        if impossible:
            raise UnsupportedModel(
                f"{path.name} says that its {key} is {value:,}, which llama.cpp cannot run.",
                "The file is damaged, or was converted wrongly: download it again.",
            )
