"""Whatever ends a pull, the next one goes on; and two at once are one."""

from __future__ import annotations

import hashlib
import itertools
import random
import signal
import sys
import threading
from pathlib import Path

import pytest
from huggingface_hub import scan_cache_dir

from library.conftest import content
from library.hub_server import PIECE, Hub
from library.killing import (
    PATIENCE,
    WINDOW,
    killed_at_byte,
    killed_at_event,
    start,
)

ANY = "someone/small-GGUF"
FILE = "small-Q4_K_M.gguf"
SAID = f"{ANY}:Q4_K_M"
DATA = content(3_000_000)
CHUNK = WINDOW + 4 * PIECE
"""What may be fetched twice: what was on its way when the process died."""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals")


@pytest.fixture
def partial(cache: Path) -> Path:
    """Where the file grows."""
    blobs = cache / "models--someone--small-GGUF" / "blobs"
    return blobs / f"{hashlib.sha256(DATA).hexdigest()}.incomplete"


def finishes(hub: Hub, cache: Path) -> int:
    """One more pull brings the file as it has to be; gives the bytes that were fetched twice."""
    child = start(SAID)
    assert child.end() == 0, child.errors
    (file,) = cache.glob(f"models--*/snapshots/*/{FILE}")
    assert file.read_bytes() == DATA
    assert not list(cache.rglob("*.incomplete"))
    assert not scan_cache_dir(cache).warnings
    bodies = hub.bodies()
    return sum(
        max(0, before.start + before.sent - after.start)
        for before, after in itertools.pairwise(bodies)
    )


@pytest.mark.parametrize("at", [0, PIECE, random.randrange(len(DATA)), len(DATA) - PIECE])
def test_a_pull_that_is_killed_goes_on_from_where_it_was(
    hub: Hub, cache: Path, partial: Path, at: int
) -> None:
    hub.add(ANY, {FILE: DATA})
    child = killed_at_byte(hub, SAID, partial, at)
    assert child.process.returncode == -signal.SIGKILL
    assert not list(cache.rglob("*.gguf"))
    assert finishes(hub, cache) <= CHUNK


def test_a_pull_may_be_killed_again_and_again(hub: Hub, cache: Path, partial: Path) -> None:
    hub.add(ANY, {FILE: DATA})
    for at in sorted(random.sample(range(len(DATA)), 3)):
        killed_at_byte(hub, SAID, partial, at)
    assert finishes(hub, cache) <= 3 * CHUNK


@pytest.mark.parametrize("event", ["planned", "hashing", "checked"])
def test_a_pull_that_is_killed_between_two_steps_is_finished(
    hub: Hub, cache: Path, event: str
) -> None:
    hub.add(ANY, {FILE: DATA})
    assert killed_at_event(SAID, event)
    assert finishes(hub, cache) <= CHUNK
    assert hub.sent() <= len(DATA) + CHUNK


def test_ctrl_c_says_that_nothing_is_lost(hub: Hub, cache: Path, partial: Path) -> None:
    hub.add(ANY, {FILE: DATA})
    child = killed_at_byte(hub, SAID, partial, len(DATA) // 2, signal.SIGINT)
    assert child.process.returncode == 130
    assert "say the same again" in child.errors[0]
    assert "Traceback" not in child.errors[0]
    assert finishes(hub, cache) <= CHUNK


def test_two_pulls_at_once_are_one(hub: Hub, cache: Path) -> None:
    hub.add(ANY, {FILE: DATA})
    going, go = threading.Event(), threading.Event()

    def pieces(path: str, _position: int) -> None:
        if path.startswith("/cdn/"):
            going.set()
            go.wait(PATIENCE)

    hub.pieces = pieces
    first = start(SAID)
    try:
        assert going.wait(PATIENCE)
        second = start(SAID)
        told = next(event for event in second.events() if event["event"] == "waiting")
        assert "another pull is at it" in told["why"]
    finally:
        go.set()
    assert (first.end(), second.end()) == (0, 0), (first.errors, second.errors)
    assert hub.sent() == len(DATA)
    finishes(hub, cache)


def test_two_homes_that_share_a_cache_fetch_once(hub: Hub, cache: Path, tmp_path: Path) -> None:
    hub.add(ANY, {FILE: DATA})
    going, go = threading.Event(), threading.Event()

    def pieces(path: str, _position: int) -> None:
        if path.startswith("/cdn/"):
            going.set()
            go.wait(PATIENCE)

    hub.pieces = pieces
    first = start(SAID)
    try:
        assert going.wait(PATIENCE)
        second = start(SAID, env={"PONDER_HOME": str(tmp_path / "other")})
        told = next(event for event in second.events() if event["event"] == "waiting")
        assert told["why"].startswith(FILE)
    finally:
        go.set()
    assert (first.end(), second.end()) == (0, 0), (first.errors, second.errors)
    assert hub.sent() == len(DATA)
