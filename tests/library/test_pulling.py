"""A pull brings what is pinned, or what the hub said first, whole and checked, into the cache."""

from __future__ import annotations

import hashlib
import socket
from pathlib import Path

import pytest
from huggingface_hub import hf_hub_download, scan_cache_dir

from library.conftest import content
from library.hub_server import Hub
from library.pulls import ANY, DATA, FILE, SHIPPED, Pulls, pinned, sha256
from ponder.catalogue import Catalogue
from ponder.errors import (
    HubUnreachable,
    WrongBytes,
)
from ponder.library import lock as locks
from ponder.library.local import entries, find
from ponder.library.watching import Checked, Planned, Receiving, Waiting, Wrong


@pytest.fixture
def pulls(hub: Hub) -> Pulls:
    return Pulls()


# -- what comes ---------------------------------------------------------------------------


def test_a_model_of_the_catalogue_comes_and_has_its_name(
    hub: Hub, pulls: Pulls, cache: Path
) -> None:
    commit = hub.add(ANY, {FILE: DATA, "README.md": b"words"})
    known = pinned()
    lock = pulls("small", known)
    assert lock.path.read_bytes() == DATA
    assert lock.revision == commit
    assert locks.read(lock.name) == lock
    assert find("small", known).path == lock.path
    assert find("small:q4_k_m", known).path == lock.path
    assert lock.path.is_relative_to(cache)
    # Nothing but the one file was fetched, and every byte of it once.
    assert hub.sent() == len(DATA)
    assert pulls.of(Planned) == [Planned(lock.name, ANY, commit, 1, len(DATA), 0)]
    assert pulls.of(Checked) == [Checked(FILE, sha256(lock.path))]
    assert pulls.of(Receiving)[-1] == Receiving(FILE, len(DATA), len(DATA))


def test_other_tools_find_it_where_they_look(hub: Hub, pulls: Pulls, cache: Path) -> None:
    hub.add(ANY, {FILE: DATA})
    lock = pulls("small", pinned())
    sent = hub.sent()
    path = hf_hub_download(ANY, FILE, cache_dir=cache, endpoint=hub.url)
    assert Path(path) == lock.path
    # Without a network too.
    offline = hf_hub_download(ANY, FILE, cache_dir=cache, local_files_only=True)
    assert Path(offline) == lock.path
    assert hub.sent() == sent
    report = scan_cache_dir(cache)
    assert not report.warnings
    assert report.size_on_disk == len(DATA)


def test_what_another_tool_fetched_is_checked_and_not_fetched(
    hub: Hub, pulls: Pulls, cache: Path
) -> None:
    hub.add(ANY, {FILE: DATA})
    hf_hub_download(ANY, FILE, cache_dir=cache, endpoint=hub.url)
    sent = hub.sent()
    lock = pulls("small", pinned())
    assert hub.sent() == sent
    assert lock.path.read_bytes() == DATA
    assert not lock.parts[0].fetched
    assert pulls.of(Checked)


def test_a_second_pull_asks_nobody(hub: Hub, pulls: Pulls) -> None:
    hub.add(ANY, {FILE: DATA})
    first = pulls("small", pinned())
    asked = len(hub.asked)
    assert pulls("small", pinned()) == first
    assert len(hub.asked) == asked


def test_split_files_come_in_all_parts(hub: Hub, pulls: Pulls) -> None:
    parts = {f"Q8_0/big-Q8_0-0000{n}-of-00003.gguf": content(50_000, n) for n in (1, 2, 3)}
    hub.add(ANY, parts | {"big-Q4_0.gguf": b"GGUF", "mmproj-big-Q8_0.gguf": b"GGUF"})
    lock = pulls(f"{ANY}:q8_0")
    assert [part.file for part in lock.parts] == list(parts)
    assert [lock.place(part).read_bytes() for part in lock.parts] == list(parts.values())
    entry = find(f"{ANY}:Q8_0", SHIPPED)
    assert entry.path == lock.place(lock.parts[0])
    assert find("big-Q8_0", SHIPPED).path == entry.path
    assert [e.name for e in entries(SHIPPED) if e.origin == "pulled"] == ["big-Q8_0"]


def test_a_quant_that_is_not_pinned_is_looked_for_where_the_others_are(
    hub: Hub, pulls: Pulls
) -> None:
    other = content(1000, 7)
    hub.add(ANY, {FILE: DATA, "small-Q8_0.gguf": other})
    lock = pulls("small:Q8_0", pinned())
    assert lock.path.read_bytes() == other
    # The first answer is written down.
    assert lock.parts[0].sha256 == hashlib.sha256(other).hexdigest()


def test_a_file_that_is_no_lfs_file_is_checked_by_gits_hash(hub: Hub, pulls: Pulls) -> None:
    hub.add(ANY, {FILE: DATA}, small=frozenset({FILE}))
    lock = pulls(f"{ANY}:{FILE}")
    assert lock.path.read_bytes() == DATA
    assert lock.parts[0].sha256 == sha256(lock.path)
    assert len(lock.parts[0].etag) == 40


def test_a_revision_can_be_named(hub: Hub, pulls: Pulls) -> None:
    old = hub.add(ANY, {FILE: content(1000, 1)}, ref="v1")
    hub.add(ANY, {FILE: DATA})
    assert pulls(f"{ANY}@v1:Q4_K_M").revision == old
    assert pulls(f"{ANY}:Q4_K_M", name="latest").path.read_bytes() == DATA


def test_two_files_of_one_name_have_two_names(hub: Hub, pulls: Pulls) -> None:
    other = content(1000, 1)
    hub.add(ANY, {FILE: DATA})
    hub.add("else/small-GGUF", {FILE: other})
    assert pulls(f"{ANY}:Q4_K_M").name == "small-Q4_K_M"
    lock = pulls("else/small-GGUF:Q4_K_M")
    assert lock.name == "small-Q4_K_M@else"
    assert find(lock.name, SHIPPED).path == lock.path


def test_a_file_put_there_by_hand_is_taken_for_what_it_is(
    hub: Hub, pulls: Pulls, home: Path
) -> None:
    (home / "models").mkdir(parents=True)
    mine = home / "models" / FILE
    mine.write_bytes(DATA)
    lock = pulls("small", pinned())
    assert lock.path == mine
    assert not lock.parts[0].fetched
    assert hub.asked == []


def test_a_file_put_there_by_hand_that_is_another_stays(hub: Hub, pulls: Pulls, home: Path) -> None:
    hub.add(ANY, {FILE: DATA})
    (home / "models").mkdir(parents=True)
    mine = home / "models" / FILE
    mine.write_bytes(b"GGUF of mine")
    lock = pulls("small", pinned())
    assert lock.path.read_bytes() == DATA
    assert mine.read_bytes() == b"GGUF of mine"
    assert find("small", pinned()).path == lock.path


# -- what goes wrong on the way -----------------------------------------------------------


def test_a_cut_connection_is_gone_on_from(hub: Hub, pulls: Pulls) -> None:
    hub.add(ANY, {FILE: DATA})
    hub.fault("/cdn/", cut=100_000, times=4)
    assert pulls("small", pinned()).path.read_bytes() == DATA
    starts = [asked.start for asked in hub.bodies()]
    assert starts == [0, 100_000, 200_000, 300_000, 400_000]
    assert hub.sent() == len(DATA)


def test_a_hub_that_always_cuts_is_given_up_and_gone_on_from_later(
    hub: Hub, pulls: Pulls, cache: Path
) -> None:
    hub.add(ANY, {FILE: DATA})
    hub.fault("/cdn/", cut=50_000)
    hub.fault("/cdn/", cut=0, times=99)
    with pytest.raises(HubUnreachable, match=r"cannot be reached|ended") as given_up:
        pulls("small", pinned())
    assert "goes on from here" in given_up.value.hint
    assert len(pulls.slept) == 4
    assert find_incomplete(cache).stat().st_size == 50_000
    hub.faults.clear()
    assert pulls("small", pinned()).path.read_bytes() == DATA
    assert hub.sent() == len(DATA)
    assert pulls.of(Planned)[-1].have == 50_000  # type: ignore[union-attr]


def find_incomplete(cache: Path) -> Path:
    (path,) = cache.glob("models--*/blobs/*.incomplete")
    return path


def test_a_hub_that_cannot_go_on_in_the_middle_begins_anew(hub: Hub, pulls: Pulls) -> None:
    hub.add(ANY, {FILE: DATA})
    hub.ranges = False
    hub.fault("/cdn/", cut=100_000)
    assert pulls("small", pinned()).path.read_bytes() == DATA


def test_damaged_bytes_are_fetched_again_and_only_that_file(hub: Hub, pulls: Pulls) -> None:
    parts = {f"big-0000{n}-of-00002.gguf": content(50_000, n) for n in (1, 2)}
    hub.add(ANY, parts)
    bad = hashlib.sha256(parts["big-00002-of-00002.gguf"]).hexdigest()
    hub.fault(bad, wrong=True, method="GET")
    lock = pulls(f"{ANY}:big")
    assert [lock.place(part).read_bytes() for part in lock.parts] == list(parts.values())
    assert [event.file for event in pulls.of(Wrong)] == ["big-00002-of-00002.gguf"]  # type: ignore[union-attr]
    assert hub.sent() == 150_000


def test_bytes_that_are_always_wrong_are_refused(hub: Hub, pulls: Pulls, cache: Path) -> None:
    hub.add(ANY, {FILE: DATA})
    hub.fault("/cdn/", wrong=True, times=99)
    with pytest.raises(WrongBytes, match=FILE) as refused:
        pulls("small", pinned())
    assert hashlib.sha256(DATA).hexdigest() in refused.value.message
    assert hub.sent() == 2 * len(DATA)
    # Nothing of it is left to be taken for the model.
    assert not list(cache.rglob("*.gguf"))
    assert not list(cache.glob("models--*/blobs/*"))
    assert find_none("small", pinned())


def find_none(name: str, known: Catalogue) -> bool:
    return next(e for e in entries(known) if e.name == name).path is None


def test_a_damaged_file_of_the_cache_is_replaced(hub: Hub, pulls: Pulls, cache: Path) -> None:
    hub.add(ANY, {FILE: DATA})
    path = Path(hf_hub_download(ANY, FILE, cache_dir=cache, endpoint=hub.url))
    blob = path.resolve()
    blob.write_bytes(DATA[:-1] + b"!")
    assert pulls("small", pinned()).path.read_bytes() == DATA
    assert blob.read_bytes() == DATA


def test_what_was_received_and_damaged_on_disk_is_fetched_anew(
    hub: Hub, pulls: Pulls, cache: Path
) -> None:
    hub.add(ANY, {FILE: DATA})
    hub.fault("/cdn/", cut=50_000)
    hub.fault("/cdn/", cut=0, times=9)
    with pytest.raises(HubUnreachable):
        pulls("small", pinned())
    hub.faults.clear()
    find_incomplete(cache).write_bytes(b"\0" * 50_000)
    assert pulls("small", pinned()).path.read_bytes() == DATA


@pytest.mark.parametrize("where", ["/api/models/", "/resolve/", "/cdn/"])
@pytest.mark.parametrize("status", [429, 500, 503])
def test_trouble_that_passes_is_waited_for(hub: Hub, pulls: Pulls, where: str, status: int) -> None:
    hub.add(ANY, {FILE: DATA})
    hub.fault(where, status=status, times=2, headers={"Retry-After": "7"})
    assert pulls("small", pinned()).path.read_bytes() == DATA
    assert pulls.slept == [7.0, 7.0]
    assert [event.seconds for event in pulls.of(Waiting)] == [7.0, 7.0]  # type: ignore[union-attr]


@pytest.mark.parametrize("status, words", [(429, "fewer questions"), (503, "trouble of its own")])
def test_trouble_that_does_not_pass_is_told(
    hub: Hub, pulls: Pulls, status: int, words: str
) -> None:
    hub.add(ANY, {FILE: DATA})
    hub.fault("/api/models/", status=status, times=99)
    with pytest.raises(HubUnreachable, match=words):
        pulls("small", pinned())
    assert pulls.slept == [1.0, 2.0, 4.0, 8.0]


def test_a_hub_that_asks_for_an_hour_is_not_waited_for(hub: Hub, pulls: Pulls) -> None:
    hub.add(ANY, {FILE: DATA})
    hub.fault("/cdn/", status=429, times=99, headers={"Retry-After": "3600"})
    with pytest.raises(HubUnreachable, match="429"):
        pulls("small", pinned())
    assert pulls.slept == []


def test_nobody_there_is_told(hub: Hub, pulls: Pulls, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{port}")
    with pytest.raises(HubUnreachable, match=f"127.0.0.1:{port} cannot be reached") as told:
        pulls("small", pinned())
    assert "HF_ENDPOINT" in told.value.hint
    assert len(pulls.slept) == 4


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"id": "x"}', b'{"siblings": 3}'])
def test_something_that_is_no_hub_is_told(hub: Hub, pulls: Pulls, body: bytes) -> None:
    hub.fault("/api/models/", status=200, body=body)
    with pytest.raises(HubUnreachable, match="does not answer like a hub"):
        pulls("small", pinned())
