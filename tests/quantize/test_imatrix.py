"""Importance matrices of real models, against what llama-imatrix made of the same text."""

from __future__ import annotations

import json
import signal
import threading
from pathlib import Path

import numpy as np
import pytest

from ponder.errors import EngineError, InputError, NotAModel, UnsupportedModel
from ponder.library.local import builtin_path
from ponder_quantize import imatrix
from ponder_quantize.imatrix import Collector, Read, compute
from ponder_quantize.imatrix_file import Imatrix, read, write
from ponder_quantize.logits import Reader
from ponder_quantize.tensors import Tensor
from quantize.small_models import mixture

TINY = builtin_path("ponder-tiny-Q4_K_M.gguf")
TEXT = Path(__file__).with_name("questions.txt").read_text("utf-8").strip()
"""Questions and answers of the built-in model's first edition."""
GOLDEN = Path(__file__).with_name("llama-imatrix.json")
"""Of each entry: its counts, the sum of its sums, and that of its sums times their places. Made by

    llama-imatrix -m MODEL -f TEXT -o FILE

with `TEXT` in a file, and `digest` of FILE.
"""


def digest(matrix: Imatrix) -> dict[str, list[float]]:
    told = {}
    for name, entry in matrix.entries.items():
        sums = entry.sums.astype(np.float64)
        places = np.arange(1, len(sums) + 1)
        told[name] = [*entry.counts.tolist(), float(sums.sum()), float((sums * places).sum())]
    return told


@pytest.mark.parametrize("name", ["ponder-tiny", "mixture"])
def test_it_is_what_llama_imatrix_computes(name: str, tmp_path: Path) -> None:
    model = TINY if name == "ponder-tiny" else mixture(tmp_path / "mixture.gguf")
    told: list[Read] = []
    matrix = compute(model, TEXT, "questions", tell=told.append)
    golden = json.loads(GOLDEN.read_text("utf-8"))[name]
    found = digest(matrix)
    assert found.keys() == golden.keys()
    for entry, numbers in golden.items():
        assert found[entry] == pytest.approx(numbers, rel=1e-3), entry
    # Whole numbers, and so not only nearly the same.
    assert [found[entry][:-2] for entry in golden] == [golden[entry][:-2] for entry in golden]
    chunks = matrix.chunk_count
    assert (matrix.datasets, matrix.chunk_size) == (("questions",), 512)
    assert told[0] == Read(0, chunks)
    assert told[-1] == Read(chunks, chunks)
    file = tmp_path / "one.gguf"
    write(file, matrix)
    assert digest(read(file)) == found


def test_every_weight_of_a_layer_has_an_entry(tmp_path: Path) -> None:
    model = mixture(tmp_path / "mixture.gguf", layers=2)
    matrix = compute(model, TEXT, "questions", most=2, chunk=64)
    with Reader(model) as reader:
        tokens = 2 * 64
        assert len(reader.encode(TEXT)) > tokens
    for entry, statistics in matrix.entries.items():
        if "_exps" in entry:
            # Each token goes to two of the four experts.
            assert statistics.counts.sum() == 2 * tokens
            assert len(statistics.counts) == 4
        else:
            assert statistics.counts.tolist() == [tokens]
        heads = {"attn_k_b": 2 * 32, "attn_v_b": 2 * 64}
        for part, width in heads.items():
            if part in entry:
                assert statistics.sums.shape == (width,)
    for kind in ("attn_q_a", "attn_output", "ffn_down_exps", "ffn_gate_inp", "ffn_up_shexp"):
        assert f"blk.1.{kind}.weight" in matrix.entries


def test_tags_are_tokens_only_where_that_is_asked_for() -> None:
    with Reader(TINY) as reader:
        tag = reader.encode("<｜end▁of▁sentence｜>", special=True)
        assert len(reader.encode("<｜end▁of▁sentence｜>")) > len(tag)
    text = "Hm.<｜end▁of▁sentence｜>\n" * 200
    plain = compute(TINY, text, "tags", most=2, chunk=64)
    tags = compute(TINY, text, "tags", most=2, chunk=64, special=True)
    assert digest(plain) != digest(tags)


def test_a_text_that_is_too_short_is_refused() -> None:
    with pytest.raises(InputError, match="two chunks of 512"):
        compute(TINY, "Too short.", "short")
    with pytest.raises(InputError, match="Chunks of 4,096"):
        compute(TINY, TEXT, "long", chunk=4096)


def test_files_that_are_no_model_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.gguf").write_text("no model")
    write(tmp_path / "matrix.gguf", compute(TINY, TEXT, "questions", most=2, chunk=64))
    for name in ("none.gguf", "text.gguf", "matrix.gguf"):
        with pytest.raises((NotAModel, UnsupportedModel)) as caught:
            compute(tmp_path / name, TEXT, "questions")
        assert caught.value.hint


class Stop(Exception):
    """What a caller may raise."""


def test_what_the_caller_raises_ends_the_work() -> None:
    def tell(at: Read) -> None:
        if at.done:
            raise Stop

    with pytest.raises(Stop):
        compute(TINY, TEXT, "questions", tell=tell)


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="no signals to threads here")
def test_ctrl_c_ends_a_decode_in_the_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    main = threading.main_thread().ident
    assert main is not None
    seen: list[int] = []

    class Interrupted(Collector):
        def take(self, node: int, ask: bool) -> bool:
            wanted = super().take(node, ask)
            if wanted and not ask:
                seen.append(node)
                if len(seen) == 3:
                    signal.pthread_kill(main or 0, signal.SIGINT)
                    threading.Event().wait(0.2)
            return wanted

    monkeypatch.setattr(imatrix, "Collector", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        compute(TINY, TEXT, "questions")
    # One decode has far more products than that.
    assert len(seen) < 56


def test_activations_that_are_not_finite_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Spoilt(Collector):
        def _take_dense(self, product: Tensor, name: str) -> None:
            super()._take_dense(product, name)
            self._sums[name][0, 0] = np.inf
            self._check(name)

    monkeypatch.setattr(imatrix, "Collector", Spoilt)
    with pytest.raises(EngineError, match=r"blk\.0\.attn_q\.weight is multiplied"):
        compute(TINY, TEXT, "questions")
