"""The tensors of a graph that llama.cpp is computing, seen as arrays.

Knows `struct ggml_tensor` (ggml.h), which is nobody's interface: its layout is tried on
tensors made for that before it is believed. Knows nothing of what the tensors mean.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from llama_cpp._ctypes_extensions import load_shared_library
from llama_cpp._ggml import libggml_base_path

from ponder.errors import BuildBroken

F32, I32 = 0, 26
"""ggml_type (ggml.h)."""
_DIMENSIONS = 4


class Tensor(ctypes.Structure):
    """`struct ggml_tensor`; as it is laid out in ggml.h of llama-cpp-python 0.3.36."""


Tensor._fields_ = [
    ("type", ctypes.c_int),
    ("buffer", ctypes.c_void_p),
    ("ne", ctypes.c_int64 * _DIMENSIONS),
    ("nb", ctypes.c_size_t * _DIMENSIONS),
    ("op", ctypes.c_int),
    ("op_params", ctypes.c_int32 * 16),
    ("flags", ctypes.c_int32),
    ("src", ctypes.POINTER(Tensor) * 10),
    ("view_src", ctypes.POINTER(Tensor)),
    ("view_offs", ctypes.c_size_t),
    ("data", ctypes.c_void_p),
    ("name", ctypes.c_char * 64),
    ("extra", ctypes.c_void_p),
    ("padding", ctypes.c_char * 8),
]


class _InitParams(ctypes.Structure):
    """`struct ggml_init_params`."""

    _fields_ = (
        ("mem_size", ctypes.c_size_t),
        ("mem_buffer", ctypes.c_void_p),
        ("no_alloc", ctypes.c_bool),
    )


class Graphs:
    """What can be asked about a node of a graph; its struct has been checked.

    Raises:
        BuildBroken: this ggml lays its tensors out in another way.
    """

    def __init__(self) -> None:
        try:
            self._ggml = load_shared_library("ggml-base", libggml_base_path)
            self._declare()
            self.mul_mat, self.mul_mat_id = self._check()
        except (OSError, AttributeError, ValueError, AssertionError) as error:
            raise BuildBroken(
                "The activations of a model cannot be read through this llama-cpp-python"
                f"{f': {error}' if str(error) else ''}.",
                "ponder was written for release 0.3.36: install that one.",
            ) from error

    def _declare(self) -> None:
        tensor, size = ctypes.POINTER(Tensor), ctypes.c_size_t
        for name, result, arguments in (
            ("ggml_init", ctypes.c_void_p, [_InitParams]),
            ("ggml_free", None, [ctypes.c_void_p]),
            ("ggml_new_tensor", tensor, [ctypes.c_void_p, ctypes.c_int, ctypes.c_int,
                                         ctypes.POINTER(ctypes.c_int64)]),
            ("ggml_set_name", tensor, [tensor, ctypes.c_char_p]),
            ("ggml_mul_mat", tensor, [ctypes.c_void_p, tensor, tensor]),
            ("ggml_mul_mat_id", tensor, [ctypes.c_void_p, tensor, tensor, tensor]),
            ("ggml_nbytes", size, [tensor]),
            ("ggml_tensor_overhead", size, []),
            ("ggml_backend_buffer_is_host", ctypes.c_bool, [ctypes.c_void_p]),
            ("ggml_backend_tensor_get", None, [tensor, ctypes.c_void_p, size, size]),
        ):  # fmt: skip
            function = getattr(self._ggml, name)
            function.restype, function.argtypes = result, arguments

    def _check(self) -> tuple[int, int]:
        """Build two products and find everything where the struct says; their numbers as ops."""
        ggml = self._ggml
        if ggml.ggml_tensor_overhead() < ctypes.sizeof(Tensor):
            raise ValueError("its tensors are smaller")
        context = ggml.ggml_init(_InitParams(64 * ggml.ggml_tensor_overhead(), None, True))
        try:

            def make(name: bytes, kind: int, *shape: int) -> Any:
                sizes = (ctypes.c_int64 * len(shape))(*shape)
                return ggml.ggml_set_name(
                    ggml.ggml_new_tensor(context, kind, len(shape), sizes), name
                )

            experts, given = make(b"experts", F32, 32, 8, 5), make(b"given", F32, 32, 2, 7)
            weights, ids = make(b"weights", F32, 32, 8), make(b"ids", I32, 2, 7)
            some = ggml.ggml_mul_mat_id(context, experts, given, ids)
            plain = ggml.ggml_mul_mat(context, weights, given)
            for tensor, sources, name, kind, shape in (
                (given, (), b"given", F32, [32, 2, 7, 1]),
                (ids, (), b"ids", I32, [2, 7, 1, 1]),
                (some, (experts, given, ids), b"", F32, [8, 2, 7, 1]),
                (plain, (weights, given), b"", F32, [8, 2, 7, 1]),
            ):
                t = tensor.contents
                strides = [4 * int(np.prod(shape[:at])) for at in range(_DIMENSIONS)]
                found = [address(t.src[at]) for at in range(len(t.src))]
                wanted = [address(source) for source in sources]
                same = (
                    (t.type, t.name, list(t.ne), list(t.nb)) == (kind, name, shape, strides)
                    and found == wanted + [0] * (len(found) - len(wanted))
                    and (t.buffer, t.data, t.view_offs) == (None, None, 0)
                    and (t.op != 0) == bool(sources)
                )
                if not same:
                    raise ValueError("its tensors are laid out in another way")
            return plain.contents.op, some.contents.op
        finally:
            ggml.ggml_free(context)

    def array(self, tensor: Tensor, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """A tensor of plain numbers, outermost dimension first; a view where memory allows.

        What is not in this machine's memory is copied. The view is good until the graph goes on.
        """
        shape, strides = tuple(tensor.ne)[::-1], tuple(tensor.nb)[::-1]
        size = self._ggml.ggml_nbytes(ctypes.byref(tensor))
        if self._ggml.ggml_backend_buffer_is_host(tensor.buffer):
            data = (ctypes.c_uint8 * size).from_address(tensor.data)
        else:
            data = (ctypes.c_uint8 * size)()
            self._ggml.ggml_backend_tensor_get(ctypes.byref(tensor), data, 0, size)
        return np.ndarray(shape, dtype, data, strides=strides)


def address(pointer: Any) -> int:
    """Where a pointer points; 0 for none."""
    return ctypes.cast(pointer, ctypes.c_void_p).value or 0


@cache
def graphs() -> Graphs:
    """The one `Graphs` of this process, made when it is first asked for."""
    return Graphs()
