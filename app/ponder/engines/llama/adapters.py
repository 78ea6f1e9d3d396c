"""LoRA adapters of one loaded model. Knows llama.cpp's calls for them; whether they fit was seen.

They are loaded between model and context, as llama.cpp wants it, and stay what they are as long as
the engine lives: all that lies in its KV cache was computed with the same ones. llama.cpp frees
them with the model.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from typing import Any

import llama_cpp.llama_cpp as lib

from ponder.engines.llama import backend
from ponder.errors import EngineError
from ponder.lora import Adapter


def load(model: Any, adapters: Sequence[Adapter]) -> list[Any]:
    """The `llama_adapter_lora *` of each.

    Args:
        model: a `llama_model *` without any context yet.
        adapters: files that were checked against it.

    Raises:
        EngineError: llama.cpp cannot load one.
    """
    handles = []
    for adapter in adapters:
        backend.forget_log()
        handle = lib.llama_adapter_lora_init(model, os.fsencode(adapter.path))
        if not handle:
            raise EngineError(
                f"llama.cpp could not load the adapter {adapter.path.name}: "
                f"{backend.log_cause() or 'it gave no reason'}.",
                "Get its file again, or choose fewer GPU layers if memory is short.",
            )
        handles.append(handle)
    return handles


def apply(context: Any, adapters: Sequence[Adapter], handles: Sequence[Any]) -> None:
    """Have everything that a context decodes go through its adapters.

    Raises:
        EngineError: llama.cpp refuses them.
    """
    count = len(handles)
    if not count:
        return
    pointers = (lib.llama_adapter_lora_p_ctypes * count)(*handles)
    scales = (ctypes.c_float * count)(*(adapter.scale for adapter in adapters))
    if lib.llama_set_adapters_lora(context, pointers, count, scales):
        raise EngineError("llama.cpp does not apply these adapters.", "Choose others, or none.")
