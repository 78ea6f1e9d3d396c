"""The header of a GGUF file: what it says, and whether llama.cpp could be shown it.

llama.cpp answers most damage with an error, but asserts, and so kills the process, on some
of it: two tokens with the same text, a number of layers that it has no room for. And it
believes lengths before it has compared them with the file. So the header is walked first.
Knows the format (ggml/docs/gguf.md) and nothing of models beyond what would kill; no
llama.cpp here.
"""

from __future__ import annotations

import mmap
import struct
from bisect import bisect_left
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
_AS_WIDE = frozenset({"qwen2", "qwen2moe", "qwen2vl", "phi3", "phimoe"})
"""Architectures whose queries llama.cpp takes to be as wide as the embedding, and then cuts into
heads without comparing the two (models/qwen2.cpp); of others it checks the width itself."""
LEAST_CONTEXT = 16
"""Tokens; in less than it has sequences, llama.cpp fails an assertion."""
_WRONG_SHAPE = "The file is damaged, or was converted wrongly: download it again."
_STRING, _ARRAY = 8, 9
_SCALARS = {
    0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?",
    10: "<Q", 11: "<q", 12: "<d",
}  # fmt: skip
"""gguf_type (gguf.h) as struct formats."""
_TOKENS = "tokenizer.ggml.tokens"
_ALIGNMENT = 32
"""Bytes; GGUF_DEFAULT_ALIGNMENT (gguf.h), where the file names no other."""


Facts = dict[str, int | float | str]
Lists = dict[str, tuple[int | float, ...]]


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor as the header announces it."""

    name: str
    shape: tuple[int, ...]
    """ggml's order: the length of a row comes first."""
    type: int
    """ggml_type (ggml.h)."""
    size: int
    """Bytes it takes in the file, padding included; never below zero."""


@dataclass(frozen=True, slots=True)
class Header:
    """What the header says."""

    version: int
    facts: Facts
    """What has one value."""
    lists: Lists
    """What has a number for each layer."""
    tensors: tuple[Tensor, ...]
    """In the order of the file."""

    @property
    def n_tensors(self) -> int:
        """How many tensors there are."""
        return len(self.tensors)


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


def parts(path: Path) -> list[Path]:
    """The files of a split GGUF (name-00001-of-00003.gguf), or the one file."""
    stem, found, count = path.stem.rpartition("-of-")
    if not found or not count.isdigit() or stem[-6:-5] != "-":
        return [path]
    siblings = sorted(path.parent.glob(f"{stem[:-6]}-?????-of-{count}{path.suffix}"))
    return siblings or [path]


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
            facts, lists = _metadata(walk, n_keys)
            tensors = _tensors(walk, n_tensors, facts.get("general.alignment", _ALIGNMENT))
    except _Damaged as why:
        raise NotAModel(
            f"{path.name} is damaged or incomplete: {why}.",
            "Compare its size and sha256 with its source, and download it again.",
        ) from None
    _check_shape(path, facts)
    return Header(version, facts, lists, tensors)


def _metadata(walk: _Walk, n_keys: int) -> tuple[Facts, Lists]:
    facts: Facts = {}
    lists: Lists = {}
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
            _array(walk, key, lists)
        else:
            raise _Damaged(f"the metadata key {key[:80]!r} is of the unknown type {kind}")
    return facts, lists


def _array(walk: _Walk, key: str, lists: Lists) -> None:
    kind = int(walk.number("<I"))
    if kind in _SCALARS:
        form = _SCALARS[kind]
        width = struct.calcsize(form)
        n = walk.count(f"values of {key[:80]}", walk.size // width)
        start = walk.skip(n * width)
        if n in _LAYERS:
            lists[key] = struct.unpack_from(f"<{n}{form[1]}", walk.data, start)
    elif kind == _STRING:
        n = walk.count(f"values of {key[:80]}", min(_MOST_STRINGS, walk.size // 8))
        if key == _TOKENS:
            walk.tokens(n)
        else:
            walk.strings(n)
    else:
        raise _Damaged(f"the metadata key {key[:80]!r} is an array of the unknown type {kind}")


def _tensors(walk: _Walk, n_tensors: int, alignment: int | float | str) -> tuple[Tensor, ...]:
    """What the file announces; dimensions and offsets llama.cpp checks against it itself.

    A tensor's size is what lies between it and the next one: no table of types is needed, and
    what a newer ggml invents has a size too.
    """
    found: list[tuple[str, tuple[int, ...], int, int]] = []
    for _ in range(n_tensors):
        name = walk.string().decode("utf-8", "replace")
        n = int(walk.number("<I"))
        if n > _MOST_DIMENSIONS:
            raise _Damaged(f"it claims a tensor of {n:,} dimensions")
        start = walk.skip(8 * n + 4 + 8)
        *shape, kind, offset = struct.unpack_from(f"<{n}QIQ", walk.data, start)
        found.append((name, tuple(shape), kind, offset))
    pad = alignment if isinstance(alignment, int) and alignment > 0 else _ALIGNMENT
    data = -(-walk.at // pad) * pad
    starts = sorted({offset for *_, offset in found})
    # A file that was cut short ends before its last tensors begin.
    ends = [*starts[1:], max(walk.size - data, *starts[-1:], 0)]
    return tuple(
        Tensor(name, shape, kind, ends[bisect_left(starts, offset)] - offset)
        for name, shape, kind, offset in found
    )


def _check_shape(path: Path, facts: Facts) -> None:
    """Values of the right type that fail an assertion further down."""
    architecture = facts.get("general.architecture")
    shape = f"{architecture}."
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
                _WRONG_SHAPE,
            )
    heads, length, hidden = (
        facts.get(shape + name)
        for name in ("attention.head_count", "attention.key_length", "embedding_length")
    )
    if (
        architecture in _AS_WIDE
        and isinstance(heads, int) and isinstance(length, int) and isinstance(hidden, int)
        and heads * length != hidden
    ):  # fmt: skip
        raise UnsupportedModel(
            f"{path.name} says that its {shape}attention.head_count is {heads:,}, of {length:,} "
            f"each, in an embedding of {hidden:,}, which llama.cpp cannot run.",
            _WRONG_SHAPE,
        )
