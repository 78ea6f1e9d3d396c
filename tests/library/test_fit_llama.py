"""What is predicted is what llama.cpp allocates, read out of its own log.

Small files are really loaded. The shapes of the catalogue are announced in files with holes for
weights, and llama.cpp goes through loading them without allocating (`no_alloc`).
"""

from __future__ import annotations

import re
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import llama_cpp.llama_cpp as lib
import msgspec
import pytest

from library.gguf_files import write
from ponder import hardware
from ponder.catalogue import Experts, Mla, Shape, shipped
from ponder.engines.llama import LlamaConfig, backend
from ponder.engines.llama import load as loading
from ponder.library import fit
from ponder.library.fit import Need, Wish
from ponder.library.weights import of_file
from ponder.sizing import KV_BITS, Room, compute_bytes, kv_bytes, output_bytes

MIB = 1 << 20
ALLOWED = 64 * MIB, 0.05
"""Bytes, or a share: the larger of the two."""
QUANTS = ("F16", "Q8_0", "Q4_0")


def dense(architecture: str, **facts: Any) -> Shape:
    return Shape(architecture=architecture, checkpoint="?", rope_theta=10_000.0, **facts)


SMALL = {
    "qwen2, as the built-in model": dense(
        "qwen2", hidden=256, layers=8, heads=4, kv_heads=2, head_dim=64, ffn=1024,
        vocabulary=2048, tied_embeddings=True,
    ),
    "qwen2, a slice of a 0.5B": dense(
        "qwen2", hidden=896, layers=2, heads=14, kv_heads=2, head_dim=64, ffn=2432,
        vocabulary=8192,
    ),
    "qwen2, wide and flat": dense(
        "qwen2", hidden=512, layers=3, heads=8, kv_heads=1, head_dim=64, ffn=3072,
        vocabulary=8192,
    ),
    "llama with GQA": dense(
        "llama", hidden=512, layers=4, heads=8, kv_heads=2, head_dim=64, ffn=1536,
        vocabulary=16_384,
    ),
    "llama, tied": dense(
        "llama", hidden=576, layers=6, heads=9, kv_heads=3, head_dim=64, ffn=1536,
        vocabulary=12_288, tied_embeddings=True,
    ),
    "llama, wide heads, no GQA": dense(
        "llama", hidden=256, layers=4, heads=4, kv_heads=4, head_dim=128, ffn=512,
        vocabulary=4096,
    ),
    "deepseek2": dense(
        "deepseek2", hidden=256, layers=4, heads=8, ffn=1024, vocabulary=4096,
        mla=Mla(q_lora=96, kv_lora=64, nope=32, rope=32, value=32),
        experts=Experts(count=8, used=2, shared=1, ffn=128, dense_layers=1),
    ),
    "deepseek2, more heads and experts": dense(
        "deepseek2", hidden=384, layers=3, heads=16, ffn=512, vocabulary=8192,
        mla=Mla(q_lora=192, kv_lora=128, nope=64, rope=32, value=64),
        experts=Experts(count=16, used=4, shared=2, ffn=256, dense_layers=1),
    ),
}  # fmt: skip
TRUE = {
    name: msgspec.structs.replace(model.shape, layers=min(4, model.shape.layers), mtp_layers=0)
    for name, model in shipped().models.items()
    if model.shape is not None and name not in ("r1-14b", "s1-32b", "s1.1-32b", "r1-zero-671b")
}
"""The catalogue's own, a few layers of each, and none that is as wide as another one: all layers
of a kind are alike."""


@dataclass(frozen=True)
class Told:
    """Bytes that llama.cpp says it has allocated, or would."""

    model: int
    repacked: int
    kv: int
    compute: int
    output: int


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[deque[tuple[int, str]]]:
    """llama.cpp's log of all that a test loads."""
    kept: deque[tuple[int, str]] = deque()
    monkeypatch.setattr(backend, "_log", kept)
    monkeypatch.setattr(backend, "forget_log", lambda: None)
    yield kept


def told(log: deque[tuple[int, str]]) -> Told:
    text = "".join(line for _, line in log)
    log.clear()

    def total(pattern: str) -> int:
        return round(sum(float(n) for n in re.findall(pattern, text)) * MIB)

    return Told(
        model=total(r"(?:CPU|CPU_Mapped) model buffer size = +([\d.]+) MiB"),
        repacked=total(r"(?:CPU_REPACK|AMX) model buffer size = +([\d.]+) MiB"),
        kv=total(r"llama_kv_cache: size = +([\d.]+) MiB"),
        compute=total(r"compute buffer size = +([\d.]+) MiB"),
        output=total(r"output buffer size = +([\d.]+) MiB"),
    )


def loaded(path: Path, config: LlamaConfig, log: deque[tuple[int, str]]) -> Told:
    found = loading.load(path, config, None)
    lib.llama_free(found.context)
    lib.llama_model_free(found.model)
    return told(log)


def predicted(path: Path, config: LlamaConfig) -> Need:
    outline, weights = of_file(path)
    wish = Wish(
        config.n_ctx,
        config.n_seqs,
        config.kv_type_k,
        config.kv_type_v,
        config.flash_attention != "off",
    )
    assert config.n_ctx is not None
    room = fit.room_for(weights, wish, config.n_ctx, False, hardware.prefill_threads())
    return fit.needed(outline, weights, room, 0)


def near(predicted: int, real: int, slack: float = 0.05, least: float = 64 * MIB) -> bool:
    return abs(predicted - real) <= max(least, slack * real)


@pytest.mark.parametrize("quant", QUANTS)
@pytest.mark.parametrize("name", SMALL)
def test_what_a_small_model_takes(
    name: str, quant: str, tmp_path: Path, log: deque[tuple[int, str]]
) -> None:
    path = tmp_path / "small.gguf"
    write(path, SMALL[name], quant)
    assert path.stat().st_size < 80e6
    for n_ctx, n_seqs, flash, kind in (
        (512, 1, "auto", "f16"), (2048, 4, "auto", "q8_0"), (8192, 2, "off", "f16"),
    ):  # fmt: skip
        config = LlamaConfig(
            n_ctx=n_ctx, n_seqs=n_seqs, gpu_layers=0, flash_attention=flash,  # type: ignore[arg-type]
            kv_type_k=kind, kv_type_v=kind, extra_buffers=False,
        )  # fmt: skip
        need, real = predicted(path, config), loaded(path, config, log)
        report(name, quant, config, need, real)
        total = real.model + real.kv + real.compute + real.output
        assert near(need.total, total)
        # The promise is generous for files as small as these, so it is kept part by part.
        assert abs(need.weights - real.model) < 0.02 * MIB
        assert abs(need.kv - real.kv) < 0.02 * MIB
        assert near(need.compute, real.compute + real.output, 0.05, 2.5 * MIB), (need, real)
    path.unlink()


@pytest.mark.parametrize("name", TRUE)
def test_what_the_models_of_the_catalogue_would_take(
    name: str, tmp_path: Path, log: deque[tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    defaults = lib.llama_model_default_params

    def simulated() -> Any:
        params = defaults()
        params.no_alloc = True
        return params

    monkeypatch.setattr(lib, "llama_model_default_params", simulated)
    path = tmp_path / "true.gguf"
    write(path, TRUE[name], "Q4_0", sparse=True)
    for n_ctx, n_seqs, flash, kind in (
        (4096, 1, "auto", "f16"), (32_768, 1, "auto", "f16"), (8192, 4, "auto", "q8_0"),
        (32_768, 8, "auto", "f16"), (8192, 2, "off", "f16"),
    ):  # fmt: skip
        config = LlamaConfig(
            n_ctx=n_ctx, n_seqs=n_seqs, gpu_layers=0, flash_attention=flash,  # type: ignore[arg-type]
            kv_type_k=kind, kv_type_v=kind, mmap=False, slice_size=512, extra_buffers=False,
        )  # fmt: skip
        outline, weights = of_file(path)
        room = Room(n_ctx, n_seqs, 512, kind, kind, flash != "off")
        cache = sum(kv_bytes(outline, room.cells, kind, kind))
        compute, handed = compute_bytes(outline, room), output_bytes(outline, room)
        real = loaded(path, config, log)
        need = Need(0, weights.total, cache, compute + handed, 0, 0)
        report(name, "Q4_0", config, need, real)
        assert abs(cache - real.kv) < 0.02 * MIB
        # Weights and cache are exact, so the promise for the whole is kept by this part alone.
        assert near(compute, real.compute), (compute / MIB, real.compute / MIB)


@pytest.mark.parametrize("quant", ["Q4_0", "Q8_0"])
def test_what_is_repacked_is_counted_once(
    quant: str, tmp_path: Path, log: deque[tuple[int, str]]
) -> None:
    path = tmp_path / "small.gguf"
    write(path, SMALL["llama with GQA"], quant)
    config = LlamaConfig(n_ctx=512, gpu_layers=0, extra_buffers=True)
    need, real = predicted(path, config), loaded(path, config, log)
    # The file is mapped as a whole; what is copied out of it, to be repacked, is part of it.
    assert real.repacked <= need.weights * 1.05
    assert real.model <= need.weights + 0.02 * MIB
    assert real.model + real.repacked >= need.weights - 0.02 * MIB


def test_every_kv_type_is_one_that_llama_cpp_has() -> None:
    assert set(KV_BITS) == set(loading.KV_TYPES)


def report(name: str, quant: str, config: LlamaConfig, need: Need, real: Told) -> None:
    """A line of the table that `-s` shows."""
    total = (real.model or need.weights) + real.kv + real.compute + real.output
    error = need.total - total
    compute = need.compute - real.compute - real.output
    sys.stdout.write(
        f"{name:36} {quant:5} {config.n_ctx:6} x{config.n_seqs} {config.kv_type_k:5}"
        f" fa {config.flash_attention:4} real {total / MIB:9.1f} MiB"
        f" error {error / MIB:7.2f} MiB {100 * error / total:6.2f} %"
        f" compute {real.compute / MIB:8.2f} error {compute / MIB:7.2f}\n"
    )
