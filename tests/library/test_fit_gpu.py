"""What is predicted is what llama.cpp took of a GPU: read out of its log there, written down here.

NVIDIA H100 80GB, driver 580, llama.cpp of llama-cpp-python 0.3.36 built for sm_90, 2026-11-24.
NVML's own count agreed with the log within 6 MiB each time.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from library.gguf_files import write
from library.test_fit_llama import ALLOWED, MIB
from ponder.catalogue import shipped
from ponder.hardware import Gpu
from ponder.library import fit
from ponder.library.fit import Machine, Wish
from ponder.library.weights import of_file

SIXTEEN_CORES = 16
CONTEXTS = ((4096, 1, "f16"), (32_768, 1, "f16"), (8192, 8, "q8_0"))
READ = {
    ("r1-1.5b", 28, "Q4_0"): {29: (1006.6, 1818.8, 1922.2), 14: (581.5, 980.7, 1086.4)},
    ("r1-1.5b", 28, "Q8_0"): {29: (1742.7, 2554.9, 2658.2), 14: (990.5, 1386.1, 1487.7)},
    ("r1-8b", 32, "Q4_0"): {33: (4651.7, 8263.9, 8732.8), 16: (2402.4, 4142.7, 4644.2)},
    ("r1-8b", 32, "Q8_0"): {33: (8230.2, 11842.4, 12311.3), 16: (4240.9, 6025.2, 6386.6)},
    ("r1-7b", 28, "Q4_0"): {29: (4155.1, 5751.4, 5920.0), 14: (2206.7, 2956.1, 3126.1)},
    ("r1-7b", 28, "Q8_0"): {29: (7526.5, 9122.7, 9291.3), 14: (3899.2, 4678.2, 4837.7)},
    ("r1-671b", 5, "Q4_0"): {6: (14203.9, 14389.7, 14629.7), 2: (8983.9, 9010.3, 9052.1)},
}
"""MiB on the GPU by model, layers of it, type of its matrices; by layers on the GPU; by context."""


@pytest.mark.parametrize("key", READ, ids=lambda key: f"{key[0]}-{key[2]}")
def test_what_a_gpu_holds(key: tuple[str, int, str], tmp_path: Path) -> None:
    name, layers, quant = key
    shape = shipped().models[name].shape
    assert shape is not None
    path = tmp_path / "m.gguf"
    write(path, msgspec.structs.replace(shape, layers=layers, mtp_layers=0), quant, sparse=True)
    outline, weights = of_file(path)
    for gpu_layers, row in READ[key].items():
        for (n_ctx, n_seqs, kind), real in zip(CONTEXTS, row, strict=True):
            room = fit.room_for(
                weights, Wish(n_ctx, n_seqs, kind, kind), n_ctx, True, SIXTEEN_CORES
            )
            need = fit.needed(outline, weights, room, gpu_layers).gpu / MIB
            least, share = ALLOWED
            assert abs(need - real) <= max(least / MIB, share * real), (gpu_layers, n_ctx, n_seqs)


def test_all_of_it_may_fit_where_all_but_one_layer_does_not(tmp_path: Path) -> None:
    shape = shipped().models["r1-671b"].shape
    assert shape is not None
    path = tmp_path / "m.gguf"
    write(path, msgspec.structs.replace(shape, layers=5, mtp_layers=0), "Q4_0", sparse=True)
    outline, weights = of_file(path)
    wish = Wish(4096)
    room = fit.room_for(weights, wish, 4096, True, SIXTEEN_CORES)
    whole, but_one = (fit.needed(outline, weights, room, n).gpu for n in (6, 5))
    # An expert tensor that is brought there is half as large as a layer with three of them.
    assert whole - but_one < weights.layers[0]
    gpu = Gpu("GPU", whole + (2 << 30), whole + (2 << 30))
    machine = Machine(1 << 40, 1 << 40, (gpu,), SIXTEEN_CORES)
    assert fit.placed(outline, weights, wish, 4096, machine)[0] == "gpu"
