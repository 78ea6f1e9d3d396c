"""The architectures that can be converted: which tensors, in which layout, with which keys."""

from __future__ import annotations

from typing import Any

from ponder.errors import BadCheckpoint, UnsupportedModel
from ponder_quantize.architectures.base import Architecture
from ponder_quantize.architectures.deepseek import DeepseekV3
from ponder_quantize.architectures.llama import Llama
from ponder_quantize.architectures.qwen2 import Qwen2

__all__ = ["Architecture", "architecture_of"]

KNOWN: dict[str, type[Architecture]] = {
    "DeepseekV3ForCausalLM": DeepseekV3,
    "LlamaForCausalLM": Llama,
    "Qwen2ForCausalLM": Qwen2,
}
"""By the first name under `architectures` in config.json."""


def architecture_of(raw: dict[str, Any]) -> Architecture:
    """The architecture that a config.json speaks of.

    Raises:
        UnsupportedModel: not one of `KNOWN`.
        BadCheckpoint: it names none, or a key that it needs is missing or impossible.
    """
    names = raw.get("architectures")
    if not isinstance(names, list) or not names or not isinstance(names[0], str):
        raise BadCheckpoint("config.json names no architecture.", f"Known: {', '.join(KNOWN)}.")
    if names[0] not in KNOWN:
        raise UnsupportedModel(
            f"Checkpoints of {names[0]} cannot be converted here.",
            f"Known: {', '.join(KNOWN)}. For others use llama.cpp's convert_hf_to_gguf.py, "
            "and quantize the GGUF that it writes.",
        )
    return KNOWN[names[0]](raw)
