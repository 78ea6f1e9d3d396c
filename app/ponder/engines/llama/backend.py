"""The llama.cpp library itself: its log, its build, its devices. No model is known here.

llama.cpp says why a model would not load only in its log, so the log is kept (the last
lines of it) instead of being shown.
"""

from __future__ import annotations

import ctypes
import re
from collections import deque
from dataclasses import dataclass
from typing import Any

import llama_cpp.llama_cpp as lib
from llama_cpp import __version__ as binding_version

_log: deque[tuple[int, str]] = deque(maxlen=400)
_DEBUG, _WARNING, _ERROR, _CONTINUED = 1, 3, 4, 5
"""GGML_LOG_LEVEL_DEBUG, _WARN, _ERROR and _CONT, which goes on with the line before (ggml.h)."""
_GPU_TYPES = (1, 2)
"""GGML_BACKEND_DEVICE_TYPE_GPU and _IGPU (ggml-backend.h)."""


@lib.llama_log_callback  # type: ignore[untyped-decorator]
def _keep(level: int, text: bytes, _user_data: Any) -> None:
    global _level
    if level != _CONTINUED:
        _level = level
    # A line for every tensor of a large model: it would push out what is looked for here.
    if _level != _DEBUG:
        _log.append((_level, text.decode("utf-8", "replace")))


_level = 0
_started = False


def start() -> None:
    """Initialise llama.cpp, once, and keep its log."""
    global _started
    lib.llama_log_set(_keep, ctypes.c_void_p(0))
    if not _started:
        lib.llama_backend_init()
        _started = True


def forget_log() -> None:
    """Begin a new log: what follows belongs to one job."""
    _log.clear()


def complaints() -> str:
    """What llama.cpp warned of, or called an error, since `forget_log`.

    Not the rest: a file's own metadata is in it, and may hold any words.
    """
    return "".join(text for level, text in _log if level in (_WARNING, _ERROR))


def log_cause() -> str:
    """The line of the log that says what went wrong, as far as llama.cpp says it."""
    lines = "".join(text for level, text in _log if level == _ERROR).splitlines()
    told = [line.strip() for line in lines if line.strip()]
    if not told:
        return ""
    # The first complaint is the cause, what follows are its consequences.
    return told[0].split(": ", 1)[-1].rstrip(".")


@dataclass(frozen=True, slots=True)
class Device:
    """One device llama.cpp can put layers on."""

    name: str
    description: str
    gpu: bool
    free: int
    """Bytes."""
    total: int
    """Bytes."""


def devices() -> list[Device]:
    """All devices of this build, the CPU included; empty if the build does not tell."""
    try:
        from llama_cpp._ggml import libggml as ggml

        count, get = ggml.ggml_backend_dev_count, ggml.ggml_backend_dev_get
        name, about = ggml.ggml_backend_dev_name, ggml.ggml_backend_dev_description
        memory, kind = ggml.ggml_backend_dev_memory, ggml.ggml_backend_dev_type
    except (ImportError, AttributeError):
        return []
    count.restype = ctypes.c_size_t
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    for text in (name, about):
        text.restype, text.argtypes = ctypes.c_char_p, [ctypes.c_void_p]
    memory.restype = None
    memory.argtypes = [ctypes.c_void_p, *[ctypes.POINTER(ctypes.c_size_t)] * 2]
    kind.restype, kind.argtypes = ctypes.c_int, [ctypes.c_void_p]
    found = []
    for index in range(count()):
        device = get(index)
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        memory(device, ctypes.byref(free), ctypes.byref(total))
        found.append(
            Device(
                name=name(device).decode(),
                description=about(device).decode(),
                gpu=kind(device) in _GPU_TYPES,
                free=free.value,
                total=total.value,
            )
        )
    return found


def version() -> str:
    """llama-cpp-python's version."""
    return str(binding_version)


def build() -> str:
    """llama.cpp's version and commit, as far as this build tells, and the features it uses here."""
    told = [lib.llama_version().decode()] if hasattr(lib, "llama_version") else []
    try:
        from llama_cpp._ggml import libggml as ggml

        ggml.ggml_commit.restype = ctypes.c_char_p
        told.append(ggml.ggml_commit().decode())
    except (ImportError, AttributeError):
        pass
    used = re.findall(r"(\w+) = 1", system_info())
    return " ".join([*told, *used])


def system_info() -> str:
    """The instruction sets and features that this build uses here."""
    return str(lib.llama_print_system_info().decode().strip())
