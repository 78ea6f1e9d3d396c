"""GGUFs as sources: split ones, old ones, damaged ones."""

from __future__ import annotations

import struct
from pathlib import Path

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType, GGUFValueType
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ponder.errors import BadCheckpoint, NotAModel, PonderError, UnsupportedModel
from ponder_quantize.gguf_source import GgufSource
from ponder_quantize.plan import plan
from ponder_quantize.recipes import RECIPES
from quantize import shapes
from quantize.made import quantized


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shapes.write(tmp_path_factory.mktemp("models") / "odd.gguf", "odd")


def split(model: Path, folder: Path, cuts: list[int]) -> list[Path]:
    """The model in parts, as gguf-split makes them."""
    source = GgufSource(model)
    ends = [*cuts, len(source.tensors)]
    paths = []
    for number, (start, stop) in enumerate(zip([0, *cuts], ends, strict=True)):
        path = folder / f"m-{number + 1:05d}-of-{len(ends):05d}.gguf"
        writer = gguf.GGUFWriter(str(path), "llama")
        for entry in source.metadata[1:] if number == 0 else ():
            writer.add_key_value(entry.key, entry.value, entry.kind, entry.element)
        writer.add_uint16("split.no", number)
        writer.add_uint16("split.count", len(ends))
        writer.add_int32("split.tensors.count", len(source.tensors))
        for tensor in source.tensors[start:stop]:
            (part,) = tensor.parts
            rows = part.read(0, part.rows)
            if tensor.type == GGMLQuantizationType.BF16:
                shape = (*tensor.shape[:-1], rows.shape[-1])
                writer.add_tensor(tensor.name, rows.reshape(shape), raw_dtype=tensor.type)
            else:
                writer.add_tensor(tensor.name, rows.view(np.float32).reshape(tensor.shape))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        paths.append(path)
    return paths


def test_what_it_says_is_what_the_package_reads(model: Path) -> None:
    source, read = GgufSource(model), gguf.GGUFReader(model)
    told = {entry.key: entry.value for entry in source.metadata}
    fields = {k: f.contents() for k, f in read.fields.items() if not k.startswith("GGUF.")}
    assert told == fields
    assert list(told) == list(fields)
    for ours, theirs in zip(source.tensors, read.tensors, strict=True):
        assert (ours.name, ours.shape) == (theirs.name, tuple(map(int, theirs.shape[::-1])))
        (part,) = ours.parts
        assert part.read(0, part.rows).tobytes() == theirs.data.tobytes()
        assert part.read(1, 2).tobytes() == part.read(0, part.rows)[1:2].tobytes() or part.rows < 2
    del read


def test_a_split_model_is_one_model(model: Path, tmp_path: Path) -> None:
    parts = split(model, tmp_path, [3, 11])
    whole, pieces = tmp_path / "whole.gguf", tmp_path / "pieces.gguf"
    quantized(GgufSource(model), RECIPES["Q4_0"], whole)
    source = GgufSource(parts[1])
    assert source.files == tuple(path.name for path in parts)
    quantized(source, RECIPES["Q4_0"], pieces, arriving=iter(source.files[::-1]))
    assert pieces.read_bytes() == whole.read_bytes()


def test_a_part_that_is_missing_is_told(model: Path, tmp_path: Path) -> None:
    parts = split(model, tmp_path, [3, 11])
    parts[1].unlink()
    with pytest.raises(NotAModel, match="part 1 of 3, and 2 are here"):
        GgufSource(parts[0])
    parts[2].rename(tmp_path / "alone.gguf")
    with pytest.raises(NotAModel, match="part 3 of 3, and 1 are here"):
        GgufSource(tmp_path / "alone.gguf")


def test_a_file_that_shrinks_meanwhile_is_told(model: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.gguf"
    copy.write_bytes(model.read_bytes())
    source = GgufSource(copy)
    with copy.open("r+b") as file:
        file.truncate(copy.stat().st_size // 2)
    with pytest.raises(BadCheckpoint, match="has become shorter"):
        quantized(source, RECIPES["Q8_0"], tmp_path / "out.gguf")


def header(
    tensors: list[tuple[str, tuple[int, ...], int, int]], *entries: bytes, data: int = 4096
) -> bytes:
    told = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(entries)) + b"".join(entries)
    for name, dims, kind, offset in tensors:
        told += string(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, kind, offset)
    return told + bytes(-len(told) % 32 + data)


def string(text: str) -> bytes:
    return struct.pack("<Q", len(text)) + text.encode()


ARCH = string("general.architecture") + struct.pack("<I", GGUFValueType.STRING) + string("llama")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (header([("a", (32,), 0, 0), ("a", (32,), 0, 128)], ARCH), "it has a twice"),
        (header([("a", (32,), 0, 0)], ARCH, ARCH), "general.architecture twice"),
        (header([("a", (33,), 8, 0)], ARCH), r"shape \(33,\) in Q8_0"),
        (header([("a", (0, 3), 0, 0)], ARCH), r"shape \(3, 0\)"),
        (header([("a", (32,), 0, 16)], ARCH), "lies outside"),
        (header([("a", (2048,), 0, 0)], ARCH), "lies outside"),
        (header([("a", (1 << 62, 1 << 62), 0, 0)], ARCH), "lies outside"),
        (header([("a" * 64, (32,), 0, 0)], ARCH), "a tensor is called"),
        (header([], ARCH), "no tensors"),
        (
            header(
                [("a", (32,), 0, 0)], string("general.alignment") + struct.pack("<II", 4, 48), ARCH
            ),
            "aligned to 48",
        ),
    ],
)
def test_what_llama_cpp_would_not_take_is_refused(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(data)
    with pytest.raises(NotAModel, match=words):
        GgufSource(path)


def test_a_type_of_the_future_is_told(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(header([("a", (32,), 999, 0)], ARCH))
    with pytest.raises(UnsupportedModel, match="999"):
        GgufSource(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_damage_is_an_error_of_ours(model: Path, tmp_path: Path, data: st.DataObject) -> None:
    spoiled = bytearray(model.read_bytes()[:12000])
    spoiled += bytes(model.stat().st_size - len(spoiled))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(4, 6500))
        spoiled[at : at + 1] = data.draw(st.binary(min_size=0, max_size=9))
    path = tmp_path / "spoiled.gguf"
    path.write_bytes(spoiled[: data.draw(st.sampled_from([len(spoiled), 6000, 100_000]))])
    try:
        plan(GgufSource(path), RECIPES["Q4_K_M"], "")
    except PonderError as error:
        assert str(error)


def test_alignment_is_kept(model: Path, tmp_path: Path) -> None:
    aligned, out = tmp_path / "aligned.gguf", tmp_path / "out.gguf"
    writer = gguf.GGUFWriter(str(aligned), "llama")
    writer.add_custom_alignment(256)
    writer.add_block_count(1)
    data = np.random.default_rng(2).normal(0, 1, (3, 256)).astype(np.float32)
    writer.add_tensor("output_norm.weight", data[0, :7])
    writer.add_tensor("blk.0.ffn_up.weight", data)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    planned = quantized(GgufSource(aligned), RECIPES["Q8_0"], out)
    assert [work.at % 256 for work in planned.tensors] == [0, 0]
    assert gguf.GGUFReader(out).tensors[1].data_offset % 256 == 0
    assert len(GgufSource(out).tensors) == 2
