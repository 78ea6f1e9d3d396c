"""LoRA adapters in llama.cpp, held against the same models with the adapters merged by hand.

In F32 throughout, cache and all, so that what differs is the order of sums.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import lora_files as files
from ponder.engines.llama import LlamaConfig, LlamaEngine
from ponder.errors import EngineError, NotAModel, PonderError
from ponder.lora import Adapter
from ponder.types import Sampling

GREEDY = Sampling(temperature=0)
PROMPT = tuple(range(10, 50))
CLOSE = 2e-4
"""Logits; an adapter changes them by whole numbers here."""


@dataclass(frozen=True)
class Files:
    """A model, two adapters for it, and their matrices."""

    folder: Path
    base: files.Weights
    model: Path
    first: Path
    second: Path
    pairs: tuple[files.Pairs, files.Pairs]

    def merged(self, *adapters: tuple[files.Pairs, float]) -> Path:
        return files.write_model(self.folder / "merged.gguf", files.merged(self.base, *adapters))


@pytest.fixture(scope="module", params=["own output layer", "tied embeddings"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("adapters")
    base = files.weights(1, tied=request.param == "tied embeddings")
    pairs = files.pairs(base, 2), files.pairs(base, 3)
    return Files(
        folder,
        base,
        files.write_model(folder / "base.gguf", base),
        files.write_adapter(folder / "first.gguf", pairs[0]),
        files.write_adapter(folder / "second.gguf", pairs[1]),
        pairs,
    )


@contextmanager
def engine(path: Path, *adapters: Adapter, n_seqs: int = 1) -> Iterator[LlamaEngine]:
    config = LlamaConfig(
        n_ctx=256,
        n_seqs=n_seqs,
        threads=1,
        flash_attention="off",
        kv_type_k="f32",
        kv_type_v="f32",
        adapters=adapters,
    )
    opened = LlamaEngine(path, config)
    try:
        yield opened
    finally:
        opened.shutdown()


def said(engine: LlamaEngine, tokens: tuple[int, ...], n: int) -> tuple[list[int], np.ndarray]:
    """Greedy tokens after a prompt, and for each of them all logits, less than the best."""
    seq = engine.open(tokens, GREEDY, watch=tuple(range(engine.vocab.size)))
    found: list[int] = []
    gaps: list[tuple[float, ...]] = []
    while len(found) < n:
        for chunk in engine.step({seq: 1}):
            found += chunk.tokens
            gaps += chunk.gaps
    engine.close(seq)
    return found, np.array(gaps)


def of(path: Path, *adapters: Adapter, n: int = 8) -> tuple[list[int], np.ndarray]:
    with engine(path, *adapters) as opened:
        return said(opened, PROMPT, n)


@pytest.mark.parametrize("scale", [1.0, 0.37, -0.5])
def test_an_adapter_is_what_merging_it_would_be(made: Files, scale: float) -> None:
    words, logits = of(made.model, Adapter(made.first, scale))
    wanted_words, wanted = of(made.merged((made.pairs[0], scale)))
    assert np.abs(logits - wanted).max() < CLOSE
    assert words == wanted_words
    # It changed something.
    plain_words, plain = of(made.model)
    assert words != plain_words
    assert np.abs(logits[0] - plain[0]).max() > 100 * CLOSE


def test_two_adapters_add_up(made: Files) -> None:
    both = of(made.model, Adapter(made.first, 0.5), Adapter(made.second, -0.8))
    wanted = of(made.merged((made.pairs[0], 0.5), (made.pairs[1], -0.8)))
    assert np.abs(both[1] - wanted[1]).max() < CLOSE
    assert both[0] == wanted[0]
    turned = of(made.model, Adapter(made.second, -0.8), Adapter(made.first, 0.5))
    assert np.abs(both[1] - turned[1]).max() < CLOSE


def test_a_scale_of_zero_and_no_adapter_are_the_same(made: Files) -> None:
    before = of(made.model)
    none = of(made.model, Adapter(made.first, 0.0))
    of(made.model, Adapter(made.first, 1.0))
    after = of(made.model)
    for words, logits in (none, after):
        assert words == before[0]
        assert np.array_equal(logits, before[1])


def test_two_engines_of_one_file_do_not_share_their_adapters(made: Files) -> None:
    plain, changed = of(made.model), of(made.model, Adapter(made.first))
    with engine(made.model) as one, engine(made.model, Adapter(made.first)) as other:
        # In turns: neither finds what the other has read, nor is changed by it.
        for _ in range(2):
            assert np.abs(said(one, PROMPT, 8)[1] - plain[1]).max() < CLOSE
            assert np.abs(said(other, PROMPT, 8)[1] - changed[1]).max() < CLOSE


def test_forks_and_cached_prompts_go_through_the_adapter(made: Files) -> None:
    wanted, _ = of(made.model, Adapter(made.first))
    with engine(made.model, Adapter(made.first), n_seqs=3) as opened:
        whole = opened.open(PROMPT, GREEDY)
        tokens: dict[object, list[int]] = {whole: []}
        while len(tokens[whole]) < 3:
            for chunk in opened.step({whole: 1}):
                tokens[whole] += chunk.tokens
        fork, beside = opened.fork(whole), opened.open(PROMPT, GREEDY)
        tokens |= {fork: list(tokens[whole]), beside: []}
        cached = 0
        while any(len(found) < 8 for found in tokens.values()):
            for chunk in opened.step({seq: 1 for seq, found in tokens.items() if len(found) < 8}):
                tokens[chunk.seq] += chunk.tokens
                cached += chunk.cached
        assert cached == len(PROMPT) - 1
        assert list(tokens.values()) == [wanted] * 3


def test_an_adapter_of_the_embedding_is_what_merging_it_would_be(tmp_path: Path) -> None:
    base = files.weights(4)
    pairs = files.pairs(base, 5, ["token_embd.weight"])
    model = files.write_model(tmp_path / "base.gguf", base)
    adapter = files.write_adapter(tmp_path / "adapter.gguf", pairs)
    merged = files.write_model(tmp_path / "merged.gguf", files.merged(base, (pairs, 0.7)))
    words, logits = of(model, Adapter(adapter, 0.7))
    wanted_words, wanted = of(merged)
    assert np.abs(logits - wanted).max() < CLOSE
    assert words == wanted_words


def test_an_adapter_is_no_model(made: Files) -> None:
    with pytest.raises(NotAModel, match="is an adapter") as refused:
        LlamaEngine(made.first)
    assert f"--lora {made.first}" in refused.value.hint


def test_a_cut_file_ends_in_an_error_with_llama_cpps_own_words(made: Files) -> None:
    whole = made.first.read_bytes()
    cut = made.folder / "cut.gguf"
    cut.write_bytes(whole[: len(whole) - 5000])
    with pytest.raises(EngineError, match=r"could not load the adapter cut\.gguf: .+") as refused:
        of(made.model, Adapter(cut))
    assert "it gave no reason" not in refused.value.message


@pytest.mark.parametrize("share", [0.01, 0.2, 0.5, 0.9])
def test_no_cut_file_kills_the_process(made: Files, share: float) -> None:
    whole = made.second.read_bytes()
    cut = made.folder / "cut.gguf"
    cut.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(PonderError):
        of(made.model, Adapter(cut))
