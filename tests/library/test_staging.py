"""A checkpoint is staged shard by shard: two on the disk, each checked, none twice."""

from __future__ import annotations

import json
import random
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from library.hub_server import Hub as Server
from ponder.errors import Busy, HubUnreachable, InputError, WrongBytes
from ponder.library.hub import Hub
from ponder.library.staging import Arrivals, Staging
from ponder.library.watching import Event, Planned

REPOSITORY = "someone/Small-Model"


def shard(number: int, size: int = 40_000) -> bytes:
    """A safetensors file with one tensor."""
    told = {f"t{number}": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}
    header = json.dumps(told).encode()
    return struct.pack("<Q", len(header)) + header + random.Random(number).randbytes(size)


NAMES = tuple(f"model-{n:05d}-of-00005.safetensors" for n in range(1, 6))
SHARDS = {name: shard(n) for n, name in enumerate(NAMES)}
BESIDE = {
    "config.json": b"{}",
    "tokenizer.json": b"{}",
    "chat_template.jinja": b"{{ x }}",
    "model.safetensors.index.json": b"{}",
    "README.md": b"# Small",
}
OTHERS = {"original/consolidated.00.pth": b"x", "figures/a.png": b"png", "onnx/model.json": b"{}"}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PONDER_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


class Stage:
    """A staging, with what was told."""

    def __init__(self, revision: str = "main", update: bool = False) -> None:
        self.told: list[Event] = []
        self.slept: list[float] = []
        hub = Hub(self.told.append, self.slept.append)
        self.staging = Staging(REPOSITORY, revision, hub, self.told.append, update)
        self.staging.prepare()

    def arrivals(self, keep: bool = False, pending: tuple[str, ...] = NAMES) -> Arrivals:
        return self.staging.arrivals(pending, keep)

    def here(self) -> list[str]:
        return sorted(path.name for path in self.staging.folder.glob("model-*.safetensors"))


def commit(hub: Server, **what: object) -> str:
    small = frozenset(BESIDE)
    return hub.add(REPOSITORY, SHARDS | BESIDE | OTHERS, small=small, **what)  # type: ignore[arg-type]


def test_everything_but_the_shards_is_here_before(hub: Server) -> None:
    revision = commit(hub)
    stage = Stage()
    assert stage.staging.commit == revision
    assert stage.staging.shards == NAMES
    assert stage.staging.folder.name == "Small-Model"
    here = {path.name: path.read_bytes() for path in stage.staging.folder.iterdir()}
    assert here == BESIDE
    # The index and the words beside it, never a weight.
    assert hub.sent() == 0


def test_headers_come_without_their_weights(hub: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    commit(hub)
    monkeypatch.setattr("ponder.library.staging._USUAL_HEADER", 8)
    stage = Stage()
    headers = [stage.staging.header(name) for name in NAMES]
    for header, data in zip(headers, SHARDS.values(), strict=True):
        length = struct.unpack("<Q", data[:8])[0]
        assert header == data[: 8 + length]
    assert hub.sent() == sum(8 + len(header) for header in headers)
    asked = len(hub.asked)
    assert [stage.staging.header(name) for name in NAMES] == headers
    assert len(hub.asked) == asked


def test_shards_come_in_order_and_go_when_they_are_released(hub: Server) -> None:
    commit(hub)
    stage = Stage()
    seen = []
    with stage.arrivals() as arrivals:
        for name in arrivals:
            assert (stage.staging.folder / name).read_bytes() == SHARDS[name]
            seen.append(name)
            arrivals.release(name)
    assert tuple(seen) == NAMES
    assert stage.here() == []
    assert hub.sent() >= sum(map(len, SHARDS.values()))


def test_no_more_than_two_shards_are_on_the_disk(hub: Server) -> None:
    commit(hub)
    stage = Stage()
    most = 0
    lock = threading.Lock()

    def look(path: str, _at: int) -> None:
        nonlocal most
        if path.startswith("/cdn/"):
            folder = stage.staging.folder
            whole = list(folder.glob("model-*.safetensors"))
            growing = list(folder.glob(".model-*.incomplete"))
            with lock:
                most = max(most, len(whole) + len(growing))

    for name in NAMES:
        stage.staging.header(name)
    hub.pieces = look
    with stage.arrivals() as arrivals:
        held: list[str] = []
        for name in arrivals:
            held.append(name)
            # A tensor that lies in two shards: the first goes when the second has come.
            if len(held) == 2:
                arrivals.release(held.pop(0))
    assert most == 2


def test_a_third_comes_when_nothing_goes_on_without_it(hub: Server) -> None:
    commit(hub)
    stage = Stage()
    with stage.arrivals() as arrivals:
        come = [next(arrivals), next(arrivals)]
        for _ in NAMES[2:]:
            arrivals.starved(len(come) - 1)  # one that has come was not seen yet
            assert len(stage.here()) == len(come)
            arrivals.starved(len(come))
            come.append(next(arrivals))
    assert come == list(NAMES)
    assert stage.here() == list(NAMES)


def test_shards_that_are_kept_stay(hub: Server) -> None:
    commit(hub)
    stage = Stage()
    with stage.arrivals(keep=True) as arrivals:
        for name in arrivals:
            arrivals.release(name)
    assert stage.here() == list(NAMES)


def test_only_what_is_needed_is_fetched(hub: Server) -> None:
    commit(hub)
    stage = Stage()
    stage.staging.announce("small", NAMES[3:])
    assert [event for event in stage.told if isinstance(event, Planned)] == [
        Planned(
            "small",
            REPOSITORY,
            stage.staging.commit,
            2,
            sum(map(len, list(SHARDS.values())[3:])),
            0,
        )
    ]
    with stage.arrivals(pending=NAMES[3:]) as arrivals:
        assert list(arrivals) == list(NAMES[3:])


def test_it_goes_on_where_it_was_cut(hub: Server) -> None:
    commit(hub)
    stage = Stage()
    for name in NAMES:
        stage.staging.header(name)
    before = hub.sent()
    hub.fault("/cdn/", cut=20_000, times=5)
    with pytest.raises(HubUnreachable), stage.arrivals() as arrivals:
        # Five connections in a row that bring nothing more.
        hub.fault("/cdn/", cut=0, times=100)
        list(arrivals)
    hub.faults.clear()
    again = Stage()
    with again.arrivals(keep=True) as arrivals:
        assert list(arrivals) == list(NAMES)
    assert hub.sent() - before == sum(map(len, SHARDS.values()))


def test_the_commit_that_was_begun_with_is_kept_to(hub: Server) -> None:
    first = commit(hub)
    assert Stage().staging.commit == first
    second = hub.add(REPOSITORY, {**SHARDS, **BESIDE, "config.json": b'{"a": 1}'})
    assert Stage().staging.commit == first
    updated = Stage(update=True)
    assert updated.staging.commit == second
    assert (updated.staging.folder / "config.json").read_bytes() == b'{"a": 1}'
    updated.staging.discard()
    assert Stage().staging.commit == second


def test_a_shard_with_other_bytes_is_fetched_again(hub: Server) -> None:
    commit(hub)
    stage = Stage()
    hub.fault("/cdn/", wrong=True)
    with stage.arrivals(keep=True) as arrivals:
        for name in arrivals:
            assert (stage.staging.folder / name).read_bytes() == SHARDS[name]


@pytest.mark.parametrize("first", [b"\xff" * 8, b"\0" * 8, b"short"])
def test_what_does_not_begin_like_a_shard_is_refused(hub: Server, first: bytes) -> None:
    hub.add(REPOSITORY, {"model.safetensors": first, "config.json": b"{}"})
    stage = Stage()
    with pytest.raises(WrongBytes, match="does not begin like"):
        stage.staging.header("model.safetensors")


def test_pickles_are_refused(hub: Server) -> None:
    hub.add(REPOSITORY, {"pytorch_model.bin": b"x", "config.json": b"{}"})
    with pytest.raises(InputError, match="pickles"):
        Stage()


def test_two_at_once_are_told_apart(hub: Server) -> None:
    commit(hub)
    one, other = Stage(), Stage()
    with one.staging.alone(), pytest.raises(Busy), other.staging.alone():
        pass
    with other.staging.alone():
        pass


@pytest.fixture
def slow(hub: Server) -> Iterator[threading.Event]:
    """Bytes do not come until it is set."""
    go = threading.Event()
    hub.pieces = lambda path, _at: go.wait() if path.startswith("/cdn/") else None  # type: ignore[assignment]
    yield go
    go.set()


def test_leaving_does_not_wait_for_a_hub_that_says_nothing(
    hub: Server, slow: threading.Event
) -> None:
    commit(hub)
    stage = Stage()
    with stage.arrivals():
        pass
    assert stage.here() == []
