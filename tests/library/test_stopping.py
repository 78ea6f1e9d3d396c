"""Work with files that somebody ends from another thread: at once, and to be gone on from."""

from __future__ import annotations

from pathlib import Path

import pytest
from huggingface_hub.utils import WeakFileLock

from library.hub_server import Hub
from library.pulls import ANY, DATA, FILE, Pulls, pinned
from ponder import paths
from ponder.errors import Stopped
from ponder.library import hashing
from ponder.library import lock as locks
from ponder.library.checking import check
from ponder.library.local import entry_of
from ponder.library.pulling import pull
from ponder.library.stopping import Stop
from ponder.library.watching import Event, Receiving, Waiting


@pytest.fixture
def pulls(hub: Hub) -> Pulls:
    hub.add(ANY, {FILE: DATA})
    return Pulls()


def test_a_pull_that_is_stopped_goes_on_from_there(
    hub: Hub, pulls: Pulls, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashing, "_OFTEN", 0.0)
    stop: Stop[Event] = Stop(
        lambda event: stop() if isinstance(event, Receiving) and event.done else None
    )
    with pytest.raises(Stopped):
        pull("small", pinned(), stop.tell, sleep=stop.sleep)
    (partial,) = cache.rglob("*.incomplete")
    came = partial.read_bytes()
    assert 0 < len(came) < len(DATA)
    assert DATA.startswith(came)
    assert entry_of("small", pinned()).path is None
    before = len(hub.bodies())
    lock = pulls("small", pinned())
    assert lock.path.read_bytes() == DATA
    assert [asked.start for asked in hub.bodies()[before:]] == [len(came)]


def test_while_it_waits_for_the_hub(hub: Hub, pulls: Pulls) -> None:
    hub.fault("/cdn/", times=3, status=503, headers={"Retry-After": "50"})
    stop: Stop[Event] = Stop(lambda event: stop() if isinstance(event, Waiting) else None)
    with pytest.raises(Stopped):
        pull("small", pinned(), stop.tell, sleep=stop.sleep)


def test_while_it_waits_for_another_pull(pulls: Pulls) -> None:
    told: list[Event] = []

    def tell(event: Event) -> None:
        told.append(event)
        stop()

    stop = Stop(tell)
    name = Path(FILE).stem
    held = paths.cache_dir() / "pulls" / f"{name}.lock"
    held.parent.mkdir(parents=True)
    with WeakFileLock(held), pytest.raises(Stopped):
        pull("small", pinned(), stop.tell, sleep=stop.sleep)
    assert told == [Waiting(f"{name}: another pull is at it")]


def test_while_it_hashes(pulls: Pulls) -> None:
    lock = pulls("small", pinned())
    stop: Stop[Event] = Stop(lambda _event: stop())
    with pytest.raises(Stopped):
        check(lock.name, pinned(), stop.tell)
    assert locks.read(lock.name) == lock
