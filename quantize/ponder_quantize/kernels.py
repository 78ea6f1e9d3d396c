"""ggml's own quantizers, called through ctypes: rows of weights in, rows of blocks out.

Knows the functions of libggml-base (ggml.h) as llama-cpp-python brings it, and what they would
assert on, and so kill the process: that is checked here first. Knows no tensor's name, no
recipe and no file. This library is loaded alone, not llama.cpp with it: nothing is printed and
no backend wakes up. Calls let go of Python's lock, so threads run side by side.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

from ponder.errors import BuildBroken, InputError
from ponder_quantize.source import Bytes

Type = GGMLQuantizationType
Floats = npt.NDArray[np.float32]

PLAIN = (Type.F32, Type.F16, Type.BF16)
"""Types whose values stand alone, not in blocks."""
TARGETS = frozenset(PLAIN) | {
    GGMLQuantizationType[name]
    for name in (
        "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K",
        "IQ4_NL", "IQ4_XS", "IQ3_S", "IQ3_XXS", "IQ2_S", "IQ2_XS", "IQ2_XXS", "IQ1_S", "IQ1_M",
    )
}  # fmt: skip
"""What rows can be made into here."""
_INFINITY = {Type.F32: 0x7F80_0000, Type.F16: 0x7C00, Type.BF16: 0x7F80}
"""Its bits; those of a NaN are above it, the sign aside."""
_TO_FLOAT = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)


class _Traits(ctypes.Structure):
    """ggml_type_traits (ggml.h)."""

    _fields_ = (
        ("type_name", ctypes.c_char_p),
        ("blck_size", ctypes.c_int64),
        ("blck_size_interleave", ctypes.c_int64),
        ("type_size", ctypes.c_size_t),
        ("is_quantized", ctypes.c_bool),
        ("to_float", _TO_FLOAT),
        ("from_float_ref", ctypes.c_void_p),
    )


class Kernels:
    """One loaded libggml-base, checked."""

    def __init__(self, path: Path) -> None:
        """Load it.

        Raises:
            BuildBroken: it cannot be loaded, or is built otherwise than this module knows.
        """
        try:
            library = ctypes.CDLL(str(path))
            self._quantize = library.ggml_quantize_chunk
            self._validate = library.ggml_validate_row_data
            self._traits = library.ggml_get_type_traits
            self._requires = library.ggml_quantize_requires_imatrix
            self._rows = {
                Type.F16: library.ggml_fp16_to_fp32_row,
                Type.BF16: library.ggml_bf16_to_fp32_row,
            }
        except (OSError, AttributeError) as error:
            raise _broken(path, str(error)) from error
        self._quantize.argtypes = [
            ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p,
            ctypes.c_int64, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p,
        ]  # fmt: skip
        self._quantize.restype = ctypes.c_size_t
        self._validate.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t]
        self._validate.restype = ctypes.c_bool
        self._traits.argtypes = [ctypes.c_int]
        self._traits.restype = ctypes.POINTER(_Traits)
        self._requires.argtypes = [ctypes.c_int]
        self._requires.restype = ctypes.c_bool
        for function in self._rows.values():
            function.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64]
            function.restype = None
        self._check(path)
        self._blocks = {
            kind: self._traits(kind).contents.to_float
            for kind in Type
            if kind not in PLAIN and self._traits(kind).contents.is_quantized
        }

    def _check(self, path: Path) -> None:
        """Whether the library means by types what `gguf` does, and lays its tables out as here."""
        for kind in sorted(TARGETS):
            told = self._traits(kind).contents
            block, size = GGML_QUANT_SIZES[kind]
            expected = (kind.name.lower(), block, size, kind not in PLAIN)
            # A name is a pointer: it is followed only where all numbers beside it are right.
            numbers = (told.blck_size, told.type_size, told.is_quantized)
            if numbers != expected[1:] or (told.type_name or b"").decode().lower() != expected[0]:
                raise _broken(path, f"its table of types is another one ({kind.name})")
        row = np.linspace(-1, 1, 256, dtype=np.float32)[None]
        made = self.quantize(Type.Q8_0, row)
        self._blocks = {Type.Q8_0: self._traits(Type.Q8_0).contents.to_float}
        if abs(self.to_float(Type.Q8_0, made) - row).max() > 0.01:
            raise _broken(path, "its quantizers give something else")

    def needs_importance(self, kind: Type) -> bool:
        """Whether rows cannot be made into that type without importances."""
        return bool(self._requires(kind))

    def can_read(self, kind: Type) -> bool:
        """Whether rows of that type can be made into numbers."""
        return kind in PLAIN or bool(self._blocks.get(kind))

    def to_float(self, kind: Type, rows: Bytes) -> Floats:
        """Rows as numbers, shape (n, columns).

        Args:
            kind: the rows' type.
            rows: shape (n, bytes of a row), contiguous.
        """
        block, size = GGML_QUANT_SIZES[kind]
        if rows.dtype != np.uint8 or rows.ndim != 2 or not rows.flags.c_contiguous:
            raise InputError("Rows are bytes, one row after the other.")
        if rows.shape[1] % size:
            raise InputError(f"A row of {rows.shape[1]} bytes is none of {kind.name}.")
        if kind == Type.F32:
            if rows.ctypes.data % 4:
                rows = rows.copy()
            return rows.view(np.float32)
        convert = self._rows.get(kind) or self._blocks.get(kind)
        if not convert:
            raise InputError(f"{kind.name} cannot be read as numbers.")
        out = np.empty((rows.shape[0], rows.shape[1] // size * block), np.float32)
        convert(rows.ctypes.data, out.ctypes.data, out.size)
        return out

    def quantize(self, kind: Type, rows: Floats, importance: Floats | None = None) -> Bytes:
        """Rows as blocks, shape (n, bytes of a row).

        Args:
            kind: what they become; one of `TARGETS`.
            rows: shape (n, columns), contiguous; finite, or the iq types abort.
            importance: shape (columns,): how much an error in each column counts.

        Raises:
            InputError: rows that ggml would assert on.
        """
        block, size = GGML_QUANT_SIZES[kind]
        if kind not in TARGETS:
            raise InputError(f"Nothing is made into {kind.name} here.")
        if rows.dtype != np.float32 or rows.ndim != 2 or not rows.flags.c_contiguous:
            raise InputError("Rows are float32, one row after the other.")
        n, columns = rows.shape
        if columns % block:
            raise InputError(f"Rows of {columns} do not divide into the {block} of {kind.name}.")
        if importance is None:
            if self.needs_importance(kind):
                raise InputError(f"{kind.name} cannot be made without an importance matrix.")
        elif importance.dtype != np.float32 or importance.shape != (columns,):
            raise InputError(f"{importance.shape} importances are none for {columns} columns.")
        elif not importance.flags.c_contiguous:
            importance = np.ascontiguousarray(importance)
        out = np.empty((n, columns // block * size), np.uint8)
        weight = None if importance is None else importance.ctypes.data
        if out.size:
            self._quantize(kind, rows.ctypes.data, out.ctypes.data, 0, n, columns, weight)
        return out

    def valid(self, kind: Type, rows: Bytes) -> bool:
        """Whether all scales in there are finite. ggml says on stderr what it found."""
        return bool(self._validate(kind, rows.ctypes.data, rows.size))


def finite(kind: Type, rows: Bytes) -> bool:
    """Whether all values are: no NaN, no infinity. A pass over the bits, without a copy.

    Args:
        kind: one of `PLAIN`.
        rows: their bytes.
    """
    width = GGML_QUANT_SIZES[kind][1]
    flat = rows.reshape(-1)
    if not flat.size:
        return True
    # As signed words, the largest positive number is the maximum; as unsigned ones, the most
    # negative number is, its sign bit the highest.
    signed: int = flat.view(f"<i{width}").max()
    unsigned: int = flat.view(f"<u{width}").max()
    infinity = _INFINITY[kind]
    return bool(signed < infinity and unsigned < (1 << (8 * width - 1)) + infinity)


def row_size(kind: Type, columns: int) -> int:
    """Bytes of a row; columns are a multiple of the type's block."""
    block, size = GGML_QUANT_SIZES[kind]
    return columns // block * size


@cache
def kernels() -> Kernels:
    """Those of the installed llama-cpp-python.

    Raises:
        BuildBroken: it is not there, or another one than this module knows.
    """
    # Found without importing it: that would load all of llama.cpp, and its backends.
    found = importlib.util.find_spec("llama_cpp")
    folders = [Path(place) / "lib" for place in (found and found.submodule_search_locations) or ()]
    if "LLAMA_CPP_LIB_PATH" in os.environ:
        folders.insert(0, Path(os.environ["LLAMA_CPP_LIB_PATH"]))
    names = {"win32": ("ggml-base.dll", "libggml-base.dll"), "darwin": ("libggml-base.dylib",)}
    for folder in folders:
        for name in names.get(sys.platform, ("libggml-base.so",)):
            if (folder / name).is_file():
                return Kernels(folder / name)
    where = ", ".join(map(str, folders)) or "no llama_cpp package"
    raise BuildBroken(
        "There is no libggml-base beside llama-cpp-python, which quantizes.",
        f"Looked in: {where}. `ponder doctor` tells about the build.",
    )


def _broken(path: Path, why: str) -> BuildBroken:
    return BuildBroken(
        f"{path.name} of this llama-cpp-python cannot be used to quantize: {why}.",
        "Install the version of llama-cpp-python that ponder asks for.",
    )
