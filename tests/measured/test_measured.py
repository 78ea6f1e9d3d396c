"""What was measured is kept: whole, by weights and machine, by several ponders at once."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from ponder import measured, paths
from ponder.alone import alone
from ponder.measured import Memory, file_of, identity, machine
from ponder.thinking.learned import Learned
from ponder.types import AppliedAdapter

HERE = "this machine"


@pytest.fixture
def place() -> Path:
    return file_of("0123456789abcdef")


def taught(memory: Memory, lengths: int = 3, seconds: float = 0.01) -> Learned:
    for at in range(lengths):
        memory.learned.thinking.observe(100 + at, ended=True)
        memory.learned.answers.observe(20, ended=at % 2 == 0)
        memory.learned.steps.observe(seconds, 1, 100 * at)
    memory.learned.steps.read(seconds * 100, 100)
    return memory.learned


def test_what_was_learned_is_there_again(place: Path) -> None:
    memory = Memory(place, "r1-7b", HERE)
    learned = taught(memory)
    memory.keep()
    again = Memory(place, "r1-7b", HERE)
    assert again.learned == learned
    assert again.warning == ""
    ((path, record),) = measured.records()
    assert path == place
    assert record is not None
    assert (record.name, list(record.machines)) == ("r1-7b", [HERE])


def test_another_machine_has_another_pace_and_the_same_lengths(place: Path) -> None:
    memory = Memory(place, "r1-7b", HERE)
    learned = taught(memory)
    memory.keep()
    other = Memory(place, "r1-7b", "elsewhere")
    assert other.learned.thinking == learned.thinking
    assert not other.learned.steps.known
    taught(other, 2, 0.5)
    other.keep()
    assert Memory(place, "r1-7b", HERE).learned.steps == learned.steps
    assert Memory(place, "r1-7b", HERE).learned.thinking.traces == 5


def test_two_ponders_add_to_the_same_file(place: Path) -> None:
    one, other = Memory(place, "m", HERE), Memory(place, "m", HERE)
    taught(one, 3)
    taught(other, 4)
    one.keep()
    other.keep()
    assert Memory(place, "m", HERE).learned.thinking.traces == 7
    one.keep()  # nothing new
    taught(one, 2)
    one.keep()
    assert one.learned.thinking.traces == Memory(place, "m", HERE).learned.thinking.traces == 9


def test_nothing_is_written_where_nothing_was_learned(place: Path) -> None:
    memory = Memory(place, "m", HERE)
    memory.keep()
    assert not place.exists()


def test_while_another_writes_it_waits_for_the_next_time(place: Path) -> None:
    memory = Memory(place, "m", HERE)
    taught(memory)
    with alone(place.with_suffix(".lock"), "measuring"):
        memory.keep()
    assert not place.exists()
    memory.keep()
    assert Memory(place, "m", HERE).learned.thinking.traces == 3


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b'{"version": 2, "name": "m"}',
        b'{"version": 1, "name": "m", "thinking": {"ended": [1.0], "cut": []}}',
        b'{"version": 1, "name": "m", "machines": {"this machine": {"weights": [1, "x"]}}}',
        b'{"version": 1, "name": "m", "machines": {"this machine": {"ratios": [-1.0]}}}',
    ],
)
def test_a_damaged_file_costs_a_warning_and_nothing_else(place: Path, damage: bytes) -> None:
    place.parent.mkdir(parents=True)
    place.write_bytes(damage)
    memory = Memory(place, "m", HERE)
    assert "measured anew" in memory.warning
    assert memory.learned == Learned()
    assert [record for _, record in measured.records()] == [None]
    taught(memory)
    memory.keep()
    assert Memory(place, "m", HERE).warning == ""
    assert json.loads(place.read_bytes())["version"] == 1


def test_a_folder_that_cannot_be_written_to_stops_nothing(place: Path) -> None:
    paths.measured_dir().parent.mkdir(parents=True)
    paths.measured_dir().write_text("a file where the folder would be")
    memory = Memory(place, "m", HERE)
    taught(memory)
    memory.keep()
    assert memory.learned.thinking.traces == 3


def test_a_full_disk_leaves_the_old_file_as_it_is(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = Memory(place, "m", HERE)
    taught(memory)
    memory.keep()
    before = place.read_bytes()
    taught(memory)
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError("no space")))
    memory.keep()
    assert place.read_bytes() == before
    assert [path.name for path in place.parent.iterdir()] == [place.name]
    monkeypatch.undo()
    memory.keep()
    assert Memory(place, "m", HERE).learned.thinking.traces == 6


def test_weights_are_told_apart_by_what_is_in_them(tmp_path: Path) -> None:
    weights = tmp_path / "a.gguf"
    weights.write_bytes(bytes(range(256)) * 20_000)
    key = identity(weights)
    moved = weights.rename(tmp_path / "b.gguf")
    assert identity(moved) == key
    adapter = AppliedAdapter("fine.gguf", "ab" * 32, 1.0)
    assert identity(moved, [adapter]) not in (key, identity(moved, [adapter, adapter]))
    data = bytearray(moved.read_bytes())
    data[-1] ^= 1
    moved.write_bytes(data)
    assert identity(moved) != key
    moved.write_bytes(data + b"\0")
    assert identity(moved) != key
    moved.write_bytes(b"")
    assert identity(moved)


def test_a_machine_is_another_where_it_runs_otherwise() -> None:
    ways = [(2, 0, ("f16", "f16")), (4, 0, ("f16", "f16")), (2, 9, ("f16", "f16"))]
    ways.append((2, 0, ("q8_0", "f16")))
    assert len({machine(*way) for way in ways}) == len(ways)


def test_forgetting(place: Path) -> None:
    memory = Memory(place, "m", HERE)
    taught(memory)
    memory.keep()
    assert measured.forget(place)
    assert not measured.forget(place)
    assert measured.records() == []
