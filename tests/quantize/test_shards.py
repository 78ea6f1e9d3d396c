"""Headers of safetensors files, from whole ones to noise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ponder.errors import BadCheckpoint
from ponder_quantize.shards import ShardHeader, Shards, header_length
from quantize import checkpoints

TENSORS = {
    "b": checkpoints.Tensor("F32", (2, 3), np.arange(6, dtype=np.float32).tobytes()),
    "a": checkpoints.Tensor("BF16", (4,), bytes(range(8))),
}


def _head(tmp_path: Path) -> bytes:
    path = tmp_path / "whole.safetensors"
    checkpoints.write_shard(path, TENSORS)
    content = path.read_bytes()
    return content[: header_length("whole", content)]


def _packed(header: Any) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text


def _entry(begin: int, end: int, shape: list[int], dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def test_a_header_tells_where_the_bytes_are(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    checkpoints.write_shard(path, TENSORS)
    header = ShardHeader.of(path)
    assert header == ShardHeader.parse("m.safetensors", path.read_bytes()[: header.length])
    assert list(header.tensors) == ["a", "b"], "the converter goes by name"
    shards = Shards([header], lambda file: tmp_path / file)
    for name, tensor in TENSORS.items():
        stored = header.tensors[name]
        assert (stored.dtype, stored.shape) == (tensor.dtype, tensor.shape)
        assert shards.rows(stored, 0, 1, stored.size).tobytes() == tensor.data
    assert shards.rows(header.tensors["b"], 1, 2, 12).tobytes() == TENSORS["b"].data[12:]


@pytest.mark.parametrize(
    "header",
    [
        {"a": _entry(0, 8, [1])},
        {"a": _entry(0, 4, [1]), "b": _entry(2, 6, [1])},
        {"a": _entry(0, 4, [1]), "b": _entry(8, 12, [1])},
        {"a": _entry(4, 0, [1])},
        {"a": _entry(-4, 0, [1])},
        {"a": _entry(0, 4, [-1])},
        {"a": _entry(0, 1 << 62, [1 << 60])},
        {"a": _entry(0, 0, [1 << 63, 1 << 63])},
        {"a": _entry(0, 4, [1], "F33")},
        {"a": {"dtype": "F32"}},
        {"a": 7},
        {"__metadata__": 7, "a": _entry(0, 4, [1])},
        [],
        b"not JSON at all",
        b"[" * 5000,
        b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},'
        b'"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
        b"\xff\xfe{}",
    ],
)
def test_a_header_that_cannot_be_is_refused(header: Any) -> None:
    with pytest.raises(BadCheckpoint):
        ShardHeader.parse("m.safetensors", _packed(header))


def test_a_length_is_not_believed() -> None:
    for length in (0, 1, 1 << 40, (1 << 64) - 1):
        with pytest.raises(BadCheckpoint, match="no safetensors file"):
            header_length("m.safetensors", length.to_bytes(8, "little"))


def _holds(head: bytes) -> None:
    """Either it is refused, or all that it says lies within the file it speaks of."""
    try:
        header = ShardHeader.parse("m.safetensors", head)
    except BadCheckpoint:
        return
    for tensor in header.tensors.values():
        assert header.length <= tensor.start <= tensor.start + tensor.size <= header.size


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None
)
@given(data=st.data())
def test_bytes_changed_anywhere(tmp_path: Path, data: st.DataObject) -> None:
    head = bytearray(_head(tmp_path))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(head) - 1))
        head[at] = data.draw(st.integers(0, 255))
    _holds(bytes(head[: data.draw(st.integers(0, len(head)))]))
    _holds(bytes(head))


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)
_ENTRIES = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F32", "BF16", "F8_E4M3", "I64", "F4"]) | _JSON,
        "shape": st.lists(st.integers(-2, 1 << 40), max_size=4) | _JSON,
        "data_offsets": st.lists(st.integers(-2, 1 << 50), min_size=1, max_size=3) | _JSON,
    }
)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.text(max_size=8) | st.just("__metadata__"), _ENTRIES | _JSON))
def test_headers_of_any_content(header: dict[str, Any]) -> None:
    _holds(_packed(header))
