"""The built-in model, for tests that want a real engine."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from ponder.engines.llama import LlamaConfig, LlamaEngine
from ponder.engines.llama.vocab import LlamaVocabulary
from ponder.evaluation.questions import questions
from ponder.library.local import builtin_path


@pytest.fixture(scope="session")
def builtin() -> Path:
    return builtin_path("ponder-tiny-Q4_K_M.gguf")


@pytest.fixture(scope="session")
def engine(builtin: Path) -> Iterator[LlamaEngine]:
    """One engine with room for eight: what is opened in it, the test closes."""
    shared = LlamaEngine(builtin, LlamaConfig(n_seqs=8, n_ctx=512, threads=2, slice_size=64))
    yield shared
    shared.shutdown()


@pytest.fixture(scope="session")
def prompts(engine: LlamaEngine) -> list[tuple[int, ...]]:
    """Eight questions as the built-in model is asked them."""
    return [ask(engine.vocab, question.text) for question in islice(questions(11), 8)]


def ask(vocab: LlamaVocabulary, question: str) -> tuple[int, ...]:
    text = f"<｜begin▁of▁sentence｜><｜User｜>{question}<｜Assistant｜><think>\n"
    return tuple(vocab.encode(text, special=True))
