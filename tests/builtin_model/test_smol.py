"""Teaching an adapter, small: the network is llama.cpp's, and rows keep their sequences apart.

Needs torch, which ponder does without: `make test-training` brings it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from builtin_model.encoding import Marked, marked  # noqa: E402
from builtin_model.smol import adapter as adapters  # noqa: E402
from builtin_model.smol import rows as packed  # noqa: E402
from builtin_model.smol.base import Base  # noqa: E402
from builtin_model.smol.llama import Llama  # noqa: E402
from builtin_model.smol.tuning import Tuner, Tuning  # noqa: E402
from builtin_model.training import Plan  # noqa: E402

import smol_base  # noqa: E402

FIRST = (1, 50, 51)
"""What every sequence begins with here."""


@pytest.fixture
def base(tmp_path: Path) -> Base:
    return Base(smol_base.write(tmp_path / "base.gguf", smol_base.weights()))


def sequence(dice: np.random.Generator, length: int) -> Marked:
    ids = [*FIRST, *dice.integers(60, smol_base.SHAPE.vocabulary, length - len(FIRST))]
    learned = np.arange(length) >= len(FIRST) + 2
    return marked(ids, learned, np.dtype(np.int32))


def row(sequences: list[Marked], length: int) -> Marked:
    """As the packer leaves it: what is left over is filled with what is not learned."""
    filled = np.full(length, 2, np.int32)
    filled[: sum(map(len, sequences))] = np.concatenate(sequences)
    return filled


def tuner(base: Base) -> Tuner:
    plan = Plan(short=96, long=96, long_share=0, batch=2, adam_rate=3e-3, warmup=1, compile=False)
    return Tuner(base, Tuning(attention="dense"), FIRST, plan, say=lambda _: None)


def test_the_network_is_llama_cpps(base: Base, tmp_path: Path) -> None:
    adapters.write(smol_base.adapter(), tmp_path / "adapter.gguf", {})
    learned = adapters.read(tmp_path / "adapter.gguf")
    ids = [1, 40, 41, 70, 71, 7, 100, 2, 30, 260]
    model = Llama(base, rank=32, alpha=64.0, context=64)

    with torch.inference_mode():
        hidden = model.hidden(torch.tensor([ids]), None, torch.float32)
        plain = model.logits(hidden)[0].numpy()
        model.settle(learned, torch.float32)
        hidden = model.hidden(torch.tensor([ids]), None, torch.float32)
        taught = model.logits(hidden)[0].numpy()

    path = tmp_path / "base.gguf"
    assert smol_base.distance(plain, smol_base.logits(path, ids)) < 2e-3
    expected = smol_base.logits(path, ids, lora=tmp_path / "adapter.gguf")
    assert smol_base.distance(taught, plain) > 0.5
    assert smol_base.distance(taught, expected) < 0.05


def test_what_is_learned_is_what_is_written(base: Base, tmp_path: Path) -> None:
    model = Llama(base, rank=32, alpha=64.0, context=64)
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(std=0.05)
    ids = torch.randint(60, smol_base.SHAPE.vocabulary, (1, 12))
    adapters.write(model.adapter(), tmp_path / "adapter.gguf", {})
    with torch.inference_mode():
        taught = model.logits(model.hidden(ids, None, torch.float32))[0].numpy()
    said = smol_base.logits(tmp_path / "base.gguf", ids[0].tolist(), lora=tmp_path / "adapter.gguf")
    assert smol_base.distance(taught, said) < 0.05


def test_sequences_in_one_row_know_nothing_of_each_other(base: Base) -> None:
    dice = np.random.default_rng(3)
    sequences = [sequence(dice, length) for length in (30, 41, 20)]
    together = tuner(base)
    loss = together._gradients(torch.from_numpy(row(sequences, 97)[None]))
    apart = tuner(base)
    alone = np.stack([row([one], 97) for one in sequences])
    expected = apart._gradients(torch.from_numpy(alone))

    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    for (name, one), (_, other) in zip(
        together.model.named_parameters(), apart.model.named_parameters(), strict=True
    ):
        assert torch.allclose(one.grad, other.grad, atol=1e-5), name
        assert one.grad.any() == name.endswith(".b"), name


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
def test_blocks_hide_what_the_mask_hides(base: Base) -> None:
    dice = np.random.default_rng(4)
    rows = np.stack([row([sequence(dice, n) for n in (50, 150, 40)], 257) for _ in range(2)])
    ids, _ = packed.split(torch.from_numpy(rows))
    numbers = packed.sequences(ids, torch.tensor(FIRST))
    assert numbers.amax(1).tolist() == [3, 3]
    model = Llama(base, rank=32, alpha=64.0, context=256)
    with torch.no_grad():
        dense = model.hidden(ids, packed.dense(numbers), torch.float32)
        sparse = model.hidden(ids, packed.sparse(numbers), torch.float32)
    assert torch.allclose(sparse, dense, atol=1e-4)


def test_reading_on_from_the_cache_changes_nothing(base: Base) -> None:
    model = Llama(base, rank=32, alpha=64.0, context=64)
    model.settle(smol_base.adapter(), torch.float32)
    ids = torch.randint(0, smol_base.SHAPE.vocabulary, (3, 40))
    with torch.inference_mode():
        whole = model.hidden(ids, None, torch.float32)
        _, cache = model.prefill(ids[:, :30], 64)
        for position in range(30, 40):
            at = torch.full((3,), position)
            read = model.step(ids[:, position], at, cache, 64)
            assert torch.allclose(read, whole[:, position], atol=1e-4)


def test_an_adapter_learns_and_its_base_stays(base: Base) -> None:
    dice = np.random.default_rng(5)
    rows = torch.from_numpy(np.stack([row([sequence(dice, 60)], 97) for _ in range(2)]))
    learner = tuner(base)
    before = {name: part.base.clone() for name, part in learner.model.projections()}
    losses = []
    for _ in range(40):
        losses.append(learner._gradients(rows).item())
        learner._optimizer.step(1.0, 0.0)
    assert losses[-1] < losses[0] / 2
    assert all(torch.equal(part.base, before[name]) for name, part in learner.model.projections())
