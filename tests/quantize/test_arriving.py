"""Files of a source that come while it is quantized, and are given back when they are done with."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ponder.errors import BadCheckpoint
from ponder_quantize.events import Event
from ponder_quantize.pipeline import still_needed
from ponder_quantize.plan import plan
from ponder_quantize.recipes import RECIPES
from quantize.made import Made, quantized, weights

Q4 = RECIPES["Q4_K_M"]


class Stop(Exception):
    """Somebody has had enough."""


def sharded() -> Made:
    """Four tensors in three files; one is in two of them, one file has only a norm."""
    return Made(
        {
            "blk.0.ffn_up.weight": weights(64),
            "blk.0.ffn_down.weight": weights(48),
            "blk.0.ffn_norm.weight": weights(1)[0],
            "output.weight": weights(32),
        },
        {
            "blk.0.ffn_up.weight": ["a", "b"],
            "blk.0.ffn_down.weight": ["b"],
            "blk.0.ffn_norm.weight": ["c"],
            "output.weight": ["a"],
        },
    )


@pytest.mark.parametrize("order", ["abc", "cba", "bca"])
def test_files_are_used_as_they_come_and_given_back(tmp_path: Path, order: str) -> None:
    expected, out = tmp_path / "expected.gguf", tmp_path / "out.gguf"
    quantized(sharded(), Q4, expected, identity="")
    source, free = sharded(), queue.Queue[str]()
    here: set[str] = set()
    for tensor in source.tensors:
        for part in tensor.parts:
            part.present = here

    def arriving() -> Iterator[str]:
        for number, name in enumerate(order):
            here.add(name)
            yield name
            if name == "c" or (number and name in "ab" and here >= {"a", "b"}):
                # The next one comes when this one, or both, are done with.
                assert free.get(timeout=60) in order

    def release(name: str) -> None:
        assert name in here
        free.put(name)
        released.append(name)

    released: list[str] = []
    quantized(source, Q4, out, identity="", arriving=arriving(), release=release)
    assert sorted(released) == ["a", "b", "c"]
    assert out.read_bytes() == expected.read_bytes()


def test_files_of_an_earlier_run_are_given_back_at_once(tmp_path: Path) -> None:
    out = tmp_path / "out.gguf"
    given: list[str] = []

    def lost() -> Iterator[str]:
        yield "b"
        yield "c"
        while not given:
            threading.Event().wait(0.01)
        raise Stop

    with pytest.raises(Stop):
        quantized(sharded(), Q4, out, identity="", arriving=lost(), release=given.append)
    assert given == ["c"] or sorted(given) == ["b", "c"]
    planned = plan(sharded(), Q4, "")
    needed = still_needed(planned, out)
    assert "a" in needed
    assert "c" not in needed
    again: list[str] = []
    quantized(sharded(), Q4, out, identity="", arriving=iter("ab"), release=again.append)
    assert again[0] in ("b", "c")
    assert sorted(again) == ["a", "b", "c"]


def test_who_is_told_may_end_it_while_nothing_comes(tmp_path: Path) -> None:
    """A network may be silent for minutes."""
    over, told = threading.Event(), 0

    def silent() -> Iterator[str]:
        yield "c"
        over.wait(60)

    def tell(_event: Event) -> None:
        nonlocal told
        told += 1
        if told > 20:
            raise Stop

    try:
        with pytest.raises(Stop):
            quantized(
                sharded(), Q4, tmp_path / "out.gguf", identity="", arriving=silent(), tell=tell
            )
        assert not over.is_set()
    finally:
        over.set()


def test_a_file_that_never_comes_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadCheckpoint, match="a has not come"):
        quantized(sharded(), Q4, tmp_path / "out.gguf", identity="", arriving=iter("bc"))
