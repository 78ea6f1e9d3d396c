"""Checkpoints against what llama.cpp's converter made of them: every key, every byte.

The golden results are in `converted/`; `reference.py` says how they were made.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGUFReader

from ponder.errors import BadCheckpoint
from ponder_quantize.checkpoint import Checkpoint, checkpoint_of, open_checkpoint, shard_names
from ponder_quantize.shards import ShardHeader, header_length
from ponder_quantize.source import Entry, Source
from quantize import checkpoints, reference, tokenizer_files


def _told(source: Source, slab: int) -> dict[str, Any]:
    return {
        "metadata": [_entry(entry) for entry in source.metadata],
        "tensors": sorted(
            [t.name, t.type.name, list(t.shape), _digest(t.parts, slab)] for t in source.tensors
        ),
    }


def _entry(entry: Entry) -> list[Any]:
    kinds = [kind.name for kind in (entry.kind, entry.element) if kind is not None]
    value = entry.value
    if kinds == ["FLOAT32"]:
        value = float(np.float32(value))
    return [entry.key, kinds, reference.brief(value)]


def _digest(parts: Any, slab: int) -> str:
    found = hashlib.sha256()
    for part in parts:
        for start in range(0, part.rows, slab):
            found.update(part.read(start, min(part.rows, start + slab)).tobytes())
    return found.hexdigest()


@pytest.mark.parametrize("name", checkpoints.RECIPES)
def test_every_key_and_byte_is_the_converters(name: str, tmp_path: Path) -> None:
    directory = checkpoints.write(name, tmp_path / name)
    golden = json.loads((reference.GOLDEN / f"{name}.json").read_text())
    # No height of a slab that divides a head or a block: rows meet across all borders.
    assert _told(open_checkpoint(directory), slab=37) == golden


def test_headers_are_enough_and_data_may_come_later(tmp_path: Path) -> None:
    whole = checkpoints.write("deepseek-fp8", tmp_path / "deepseek-fp8")
    staging = tmp_path / "staging"
    shutil.copytree(whole, staging, ignore=shutil.ignore_patterns("*.safetensors"))
    headers = []
    for file in shard_names(staging):
        with (whole / file).open("rb") as remote:
            head = remote.read(8)
            head += remote.read(header_length(file, head) - 8)
        headers.append(ShardHeader.parse(file, head))
    arrived: dict[str, Path] = {}
    source = checkpoint_of(staging, headers, lambda file: arrived[file], name=whole.name)
    golden = json.loads((reference.GOLDEN / "deepseek-fp8.json").read_text())
    assert [_entry(entry) for entry in source.metadata] == golden["metadata"]
    digests = {name: digest for name, _, _, digest in golden["tensors"]}
    done = _read_as_shards_come(source, arrived, whole)
    assert done == digests


def _read_as_shards_come(
    source: Checkpoint, arrived: dict[str, Path], whole: Path
) -> dict[str, str]:
    """Each tensor's parts as soon as their shards are there, two shards at a time."""
    read: dict[str, dict[int, bytes]] = {t.name: {} for t in source.tensors}
    for file in source.files:
        arrived[file] = whole / file
        while len(arrived) > 2:
            del arrived[next(iter(arrived))]
        for tensor in source.tensors:
            for at, part in enumerate(tensor.parts):
                if at not in read[tensor.name] and part.needs <= arrived.keys():
                    read[tensor.name][at] = part.read(0, part.rows).tobytes()
    return {
        name: hashlib.sha256(b"".join(parts[at] for at in sorted(parts))).hexdigest()
        for name, parts in read.items()
    }


def test_an_expert_needs_its_own_shard_only(tmp_path: Path) -> None:
    source = open_checkpoint(checkpoints.write("deepseek-fp8", tmp_path / "m"))
    merged = [t for t in source.tensors if "_exps" in t.name]
    assert all(len(t.parts) == t.shape[0] for t in merged)
    assert any(len({part.needs for part in t.parts}) > 1 for t in merged), "no layer is parted"


def test_a_shard_of_what_is_left_out_is_not_needed(tmp_path: Path) -> None:
    directory = checkpoints.write(
        "deepseek-fp8", tmp_path / "m", num_hidden_layers=1, num_nextn_predict_layers=3
    )
    source = open_checkpoint(directory)
    assert set(source.files) < set(shard_names(directory))
    assert not any(t.name.startswith("blk.1") for t in source.tensors)


def test_data_that_is_not_its_headers_is_refused_when_read(tmp_path: Path) -> None:
    directory = checkpoints.write("qwen2-tied", tmp_path / "m")
    header = ShardHeader.of(directory / "model.safetensors")
    source = checkpoint_of(directory, [header], lambda file: directory / file)
    part = next(t for t in source.tensors if len(t.shape) > 1).parts[0]
    path = directory / "model.safetensors"
    content = bytearray(path.read_bytes())
    path.write_bytes(content[:-1])
    with pytest.raises(BadCheckpoint, match="cut short"):
        part.read(0, 1)
    content[40] ^= 1
    path.write_bytes(content)
    with pytest.raises(BadCheckpoint, match="another file"):
        part.read(0, 1)
    path.unlink()
    with pytest.raises(BadCheckpoint, match="cannot be read"):
        part.read(0, 1)


def test_real_vocabularies_are_recognized_by_what_they_make_of_the_text(tmp_path: Path) -> None:
    packed = Path(__file__).parent.parent / "data" / "r1-distill-qwen-7b.vocab.gguf.xz"
    (tmp_path / "r1.gguf").write_bytes(lzma.decompress(packed.read_bytes()))
    fields = GGUFReader(tmp_path / "r1.gguf").fields
    tokens, kinds, merges = (
        fields[f"tokenizer.ggml.{key}"].contents() for key in ("tokens", "token_type", "merges")
    )
    directory = checkpoints.write("qwen2-odd", tmp_path / "m", vocab_size=len(tokens))
    config = json.loads((directory / "tokenizer_config.json").read_text())
    del config["tokenizer.ggml.pre"]
    real = tokenizer_files.qwen2_of(tokens, kinds, merges)
    (directory / "tokenizer.json").write_text(json.dumps(real))
    for changes, pre in (
        (
            {"tokenizer_class": "Qwen2Tokenizer", "eos_token": "<|EOT|>",
             "pad_token": "<|EOT|>", "unk_token": None},
            "qwen2",
        ),
        (
            {"tokenizer_class": "LlamaTokenizerFast", "add_bos_token": True,
             "bos_token": "<｜begin▁of▁sentence｜>", "eos_token": "<｜end▁of▁sentence｜>",
             "pad_token": None, "unk_token": None},
            "deepseek-r1-qwen",
        ),
    ):  # fmt: skip
        (directory / "tokenizer_config.json").write_text(json.dumps({**config, **changes}))
        found = {entry.key: entry.value for entry in open_checkpoint(directory).metadata}
        assert found["tokenizer.ggml.pre"] == pre
        assert found["tokenizer.ggml.tokens"] == tokens
        assert found["tokenizer.ggml.token_type"] == kinds
        assert found["tokenizer.ggml.merges"] == merges
