"""Importance matrices on disk: both forms, and whatever else a file may hold."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ponder.errors import BadImatrix
from ponder.library.local import builtin_path
from ponder_quantize.imatrix_file import Floats, Imatrix, Statistics, read, write

fuzzed = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def some() -> Imatrix:
    """A dense matrix, experts of which one saw nothing, and one that nobody multiplied with."""

    def squares(n: int) -> Floats:
        roots = (np.arange(n) * 389 % 1009).astype(np.float32) / np.float32(3)
        return roots * roots

    experts = squares(4 * 24)
    experts[24:48] = 0
    return Imatrix(
        {
            "blk.0.attn_q.weight": Statistics(squares(32), np.array([2048])),
            "blk.1.ffn_up_exps.weight": Statistics(experts, np.array([1500, 0, 700, 1896])),
            "blk.10.attn_q.weight": Statistics(np.zeros(32, np.float32), np.array([0])),
        },
        ("wiki.txt", "数学.txt"),
        4,
        512,
    )


# Of `some()` as GGUF, put through the reference (MODEL is any model at all):
#   llama-imatrix -m MODEL --in-file some.gguf -o FILE [--output-format dat]
GOLDEN = {
    ".gguf": "b3ae159b84bafdb0bcaca0773c25a1f69364b51317f022bb94ae2f0453b40893",
    ".dat": "53416bdd77783a40aa5a710b3f682e9599c78ecbadc3c68d6380f3cc6423fa73",
}


@pytest.mark.parametrize("form", GOLDEN)
def test_files_are_llama_imatrix_s_byte_for_byte(form: str, tmp_path: Path) -> None:
    file = tmp_path / f"some{form}"
    write(file, some())
    assert hashlib.sha256(file.read_bytes()).hexdigest() == GOLDEN[form]
    assert [entry.name for entry in tmp_path.iterdir()] == [file.name]


def test_both_forms_give_the_weights_of_llama_quantize(tmp_path: Path) -> None:
    matrix = some()
    for name in ("some.gguf", "some.dat"):
        write(tmp_path / name, matrix)
    new, old = read(tmp_path / "some.gguf"), read(tmp_path / "some.dat")
    assert (new.datasets, new.chunk_count, new.chunk_size) == (matrix.datasets, 4, 512)
    # The older form knows one text, and no size of a chunk.
    assert (old.datasets, old.chunk_count, old.chunk_size) == (("数学.txt",), 4, 0)
    assert list(new.entries) == list(matrix.entries)
    assert list(old.entries) == list(matrix.entries)[:2]
    dense, experts = (new.entries[name] for name in list(new.entries)[:2])
    assert np.array_equal(dense.weights(), dense.sums / np.float32(2048))
    assert experts.weights().dtype == np.float32
    assert np.array_equal(experts.weights()[24:48], np.ones(24, np.float32))
    assert np.array_equal(experts.weights()[48:72], experts.sums[48:72] / np.float32(700))
    for name, entry in old.entries.items():
        assert np.allclose(entry.weights(), new.entries[name].weights(), rtol=3e-7, atol=0)


def test_without_calls_the_older_form_means_what_it_says(tmp_path: Path) -> None:
    file = tmp_path / "calls.dat"
    file.write_bytes(struct.pack("<ii3sii2f", 1, 3, b"a.b", 0, 2, 0.5, 7))
    found = read(file)
    assert found.entries["a.b"].weights().tolist() == [0.5, 7]
    assert (found.chunk_count, found.datasets) == (0, ())


names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=10)


@st.composite
def matrices(draw: st.DrawFn) -> Imatrix:
    entries = {}
    for name in draw(st.lists(names, min_size=1, max_size=4, unique=True)):
        experts, width = draw(st.integers(1, 4)), draw(st.integers(1, 9))
        numbers = st.floats(0, 2.0**99, width=32)
        counts = st.lists(st.integers(0, 1 << 24), min_size=experts, max_size=experts)
        entries[name] = Statistics(
            draw(arrays(np.float32, experts * width, elements=numbers)), np.array(draw(counts))
        )
    datasets = tuple(draw(st.lists(names, min_size=1, max_size=3)))
    return Imatrix(entries, datasets, draw(st.integers(0, 1 << 30)), draw(st.integers(1, 4096)))


@fuzzed
@given(matrices())
def test_what_is_written_is_read(tmp_path: Path, matrix: Imatrix) -> None:
    file = tmp_path / "one.gguf"
    write(file, matrix)
    found = read(file)
    assert found.entries.keys() == matrix.entries.keys()
    for name, entry in matrix.entries.items():
        assert np.array_equal(found.entries[name].sums, entry.sums)
        assert np.array_equal(found.entries[name].counts, entry.counts)
    assert (found.datasets, found.chunk_count, found.chunk_size) == (
        matrix.datasets, matrix.chunk_count, matrix.chunk_size,
    )  # fmt: skip


def read_or_refuse(file: Path, data: bytes) -> Imatrix | None:
    """What is in it, if that is a possible matrix; nothing but BadImatrix is raised."""
    file.write_bytes(data)
    try:
        found = read(file)
    except BadImatrix as error:
        assert error.message
        assert error.hint
        return None
    for entry in found.entries.values():
        assert len(entry.sums) == len(entry.weights())
        assert np.isfinite(entry.weights()).all()
        assert (entry.weights() >= 0).all()
    return found


@fuzzed
@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(tmp_path: Path, data: bytes) -> None:
    read_or_refuse(tmp_path / "any", data)
    assert read_or_refuse(tmp_path / "any", b"GGUF" + data) is None


@fuzzed
@given(st.sampled_from([".gguf", ".dat"]), st.data())
def test_damaged_files_are_read_or_refused(tmp_path: Path, form: str, data: st.DataObject) -> None:
    whole = tmp_path / f"whole{form}"
    if not whole.exists():
        write(whole, some())
    hurt = bytearray(whole.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(hurt) - 8))
        wild = st.sampled_from([0xFF, 1 << 31, (1 << 32) - 1, (1 << 63) - 1, (1 << 64) - 1])
        value = data.draw(st.integers(0, (1 << 64) - 1) | wild)
        width = data.draw(st.sampled_from([1, 4, 8]))
        hurt[at : at + width] = value.to_bytes(8, "little")[:width]
    read_or_refuse(tmp_path / f"hurt{form}", bytes(hurt))


@pytest.mark.parametrize("form", [".gguf", ".dat"])
def test_a_file_that_was_cut_short_is_refused(tmp_path: Path, form: str) -> None:
    whole = tmp_path / f"whole{form}"
    write(whole, some())
    data = whole.read_bytes()
    # The older form may end after its entries, and after the number of chunks.
    trailer = len(struct.pack("<ii", 4, 9)) + len("数学.txt".encode())
    ends = {len(data) - trailer, len(data) - trailer + 4} if form == ".dat" else set()
    # The newer one ends in padding.
    last = len(data) if form == ".dat" else len(data) - 28
    for length in range(last):
        found = read_or_refuse(tmp_path / f"cut{form}", data[:length])
        assert (found is None) == (length not in ends), length


def test_a_missing_an_empty_and_a_foreign_file_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "text").write_text("It was the best of chunks, it was the worst of chunks.")
    for file, told in (
        (tmp_path / "none", "no file"),
        (tmp_path / "empty", "empty"),
        (tmp_path / "text", "damaged"),
        (tmp_path, "cannot be read"),
        (builtin_path("ponder-tiny-Q4_K_M.gguf"), r"another kind \(qwen2\)"),
    ):
        with pytest.raises(BadImatrix, match=told) as caught:
            read(file)
        assert caught.value.hint


@pytest.mark.parametrize("number", [np.nan, -np.nan, np.inf, -np.inf, -1.0])
@pytest.mark.parametrize("form", [".gguf", ".dat"])
def test_numbers_that_no_squares_add_up_to_are_refused(
    tmp_path: Path, form: str, number: float
) -> None:
    matrix, file = some(), tmp_path / f"odd{form}"
    matrix.entries["blk.0.attn_q.weight"].sums[5] = number
    write(file, matrix)
    with pytest.raises(BadImatrix, match=r"blk\.0\.attn_q\.weight holds"):
        read(file)


def test_a_name_that_llama_cpp_could_not_read_is_not_written(tmp_path: Path) -> None:
    file = tmp_path / "long.gguf"
    with pytest.raises(BadImatrix, match="longer"):
        write(file, Imatrix({"x" * 60: next(iter(some().entries.values()))}))
    assert not file.exists()
