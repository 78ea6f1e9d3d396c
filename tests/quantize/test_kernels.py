"""ggml's functions, and that it is never called with what it would die of."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import ponder
import ponder_quantize
from ponder.errors import BuildBroken, InputError
from ponder_quantize import kernels as module
from ponder_quantize.kernels import PLAIN, TARGETS, Kernels, Type, finite, kernels, row_size

KINDS = sorted(TARGETS, key=lambda kind: kind.name)
COARSE = {"IQ1": 0.8, "IQ2": 0.5, "Q2_": 0.4, "IQ3": 0.3, "Q3_": 0.25, "IQ4": 0.15}


def rows(n: int = 3, columns: int = 512) -> module.Floats:
    return np.random.default_rng(5).normal(0, 0.3, (n, columns)).astype(np.float32)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_what_is_quantized_can_be_read_back(kind: GGMLQuantizationType) -> None:
    numbers, importance = rows(), np.ones(512, np.float32)
    made = kernels().quantize(kind, numbers, importance)
    assert made.shape == (3, row_size(kind, 512))
    assert kernels().valid(kind, made)
    back = kernels().to_float(kind, made)
    error = np.sqrt(np.mean((back - numbers) ** 2)) / 0.3
    assert error < COARSE.get(kind.name[:3], 0.1)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_rows_know_nothing_of_each_other(kind: GGMLQuantizationType) -> None:
    numbers, importance = rows(4), np.linspace(0, 2, 512, dtype=np.float32)
    whole = kernels().quantize(kind, numbers, importance)
    pieces = [kernels().quantize(kind, numbers[n : n + 1], importance) for n in range(4)]
    assert np.array_equal(whole, np.concatenate(pieces))


@given(
    st.sampled_from(PLAIN),
    arrays.arrays(np.uint8, st.integers(0, 40).map(lambda n: 4 * n)),
    st.booleans(),
)
def test_finite_is_what_numpy_says(
    kind: GGMLQuantizationType, data: np.ndarray, clean: bool
) -> None:
    if clean:  # mostly finite: the exponent's upper bits are cleared
        data = data & 0x3F
    numbers = kernels().to_float(kind, data.reshape(1, -1)) if data.size else np.zeros(0)
    assert finite(kind, data) == bool(np.isfinite(numbers).all())


@pytest.mark.parametrize("kind", PLAIN, ids=lambda kind: kind.name)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_value_among_many_is_seen(kind: GGMLQuantizationType, value: float) -> None:
    numbers = rows(2, 1000)
    assert finite(kind, kernels().quantize(kind, numbers))
    numbers[1, 777] = value
    assert not finite(kind, kernels().quantize(kind, numbers))


def test_what_ggml_would_die_of_is_refused() -> None:
    ggml, numbers = kernels(), rows()
    for kind, given_, importance, words in (
        (Type.Q4_K, rows(1, 288), None, "do not divide"),
        (Type.IQ2_XXS, numbers, None, "without an importance matrix"),
        (Type.IQ2_XXS, numbers, np.ones(256, np.float32), "256"),
        (Type.Q8_0, numbers.astype(np.float64), None, "float32"),
        (Type.Q8_0, numbers[:, ::2], None, "one row after the other"),
        (Type.Q8_0, numbers[0], None, "one row after the other"),
        (Type.I32, numbers, None, "I32"),
        (Type.Q8_K, numbers, None, "Q8_K"),
    ):
        with pytest.raises(InputError, match=words):
            ggml.quantize(kind, given_, importance)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="none of Q8_0"):
        ggml.to_float(Type.Q8_0, np.zeros((1, 33), np.uint8))
    with pytest.raises(InputError, match="I32 cannot be read"):
        ggml.to_float(Type.I32, np.zeros((1, 32), np.uint8))
    assert ggml.quantize(Type.Q4_K, rows(0)).shape == (0, row_size(Type.Q4_K, 512))


def test_another_library_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BuildBroken, match="cannot be used to quantize"):
        Kernels(tmp_path / "none.so")
    other = next(Path(ctypes.__file__).parents[1].glob("lib-dynload/_struct.*"), None)
    if other is not None:
        with pytest.raises(BuildBroken, match="ggml_quantize_chunk"):
            Kernels(other)


def test_another_table_of_types_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    library = Path(kernels_path())
    monkeypatch.setitem(GGML_QUANT_SIZES, Type.Q4_K, (256, 145))
    with pytest.raises(BuildBroken, match=r"table of types is another one \(Q4_K\)"):
        Kernels(library)
    monkeypatch.undo()

    class Shifted(ctypes.Structure):
        """A field more, as a later ggml might have."""

        _fields_ = (("added", ctypes.c_int64), *module._Traits._fields_)

    monkeypatch.setattr(module, "_Traits", Shifted)
    with pytest.raises(BuildBroken, match="table of types"):
        Kernels(library)


def kernels_path() -> str:
    child = (
        "from ponder_quantize import kernels\n"
        "kernels.Kernels = lambda path: path\n"
        "print(kernels.kernels())"
    )
    return in_a_child(child)


def test_llama_cpp_itself_stays_out() -> None:
    told = in_a_child(
        "import sys\n"
        "from ponder_quantize.kernels import kernels\n"
        "kernels()\n"
        "maps = open('/proc/self/maps').read() if sys.platform == 'linux' else ''\n"
        "print('llama_cpp' in sys.modules, 'libllama' in maps)"
    )
    assert told == "False False"


def test_a_library_that_is_not_there_is_told(tmp_path: Path) -> None:
    child = (
        "import importlib.util\n"
        "importlib.util.find_spec = lambda name: None\n"
        "from ponder.errors import BuildBroken\n"
        "from ponder_quantize.kernels import kernels\n"
        "try:\n    kernels()\nexcept BuildBroken as error:\n    print(error.message)"
    )
    assert "no libggml-base" in in_a_child(child, LLAMA_CPP_LIB_PATH=str(tmp_path))


def in_a_child(lines: str, **env: str) -> str:
    roots = [str(Path(package.__file__ or "").parents[1]) for package in (ponder, ponder_quantize)]
    done = subprocess.run(
        [sys.executable, "-c", lines],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(roots)} | env,
        capture_output=True,
        text=True,
        check=True,
    )
    assert not done.stderr
    return done.stdout.strip()
