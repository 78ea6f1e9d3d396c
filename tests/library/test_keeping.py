"""What is here can be checked, and removed; and only what ponder put there goes away."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from huggingface_hub import hf_hub_download, scan_cache_dir

from library.conftest import content
from library.hub_server import Hub
from ponder.catalogue import catalogue
from ponder.errors import InputError, LibraryError, NotAModel, UnknownName
from ponder.library import lock as locks
from ponder.library.checking import check, checkable, locked
from ponder.library.keeping import removal, remove, verify
from ponder.library.local import entries
from ponder.library.lock import Lock, Part
from ponder.library.pulling import pull

SHIPPED = catalogue()
ANY = "someone/small-GGUF"
FILE, OTHER = "small-Q4_K_M.gguf", "small-Q8_0.gguf"
DATA = content(100_000)


@pytest.fixture
def pulled(hub: Hub) -> Lock:
    """A model that was pulled."""
    hub.add(ANY, {FILE: DATA, OTHER: content(5000, 1), "config.json": b"{}"})
    return pull(f"{ANY}:Q4_K_M", SHIPPED)


def damage(path: Path) -> None:
    """One byte is another; size and time stay."""
    stat = path.stat()
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.resolve().write_bytes(data)
    import os

    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_what_is_right_is_right(pulled: Lock) -> None:
    (verdict,) = verify(pulled)
    assert verdict.right
    assert verdict.expected == verdict.found == pulled.parts[0].sha256
    assert locks.read(pulled.name) == pulled


def test_what_is_damaged_is_found_and_pulled_again(pulled: Lock, hub: Hub) -> None:
    damage(pulled.path)
    # A look at sizes and times cannot know it.
    assert pull(f"{ANY}:Q4_K_M", SHIPPED) == pulled
    (verdict,) = check(pulled.name, SHIPPED)
    assert not verdict.right
    sent = hub.sent()
    again = pull(f"{ANY}:Q4_K_M", SHIPPED)
    assert again.path.read_bytes() == DATA
    assert hub.sent() - sent == len(DATA)
    assert verify(again)[0].right


def test_what_is_gone_is_wrong(pulled: Lock) -> None:
    pulled.path.unlink()
    (verdict,) = check(pulled.name, SHIPPED)
    assert not verdict.right
    assert "No such file" in verdict.why


def test_what_can_be_checked(pulled: Lock, home: Path) -> None:
    (home / "models" / "own.gguf").write_bytes(b"GGUF")
    assert checkable(SHIPPED) == [pulled.name]
    (verdict,) = check("own", SHIPPED)
    assert verdict.right
    assert verdict.expected == ""


def test_removing_takes_the_file_and_leaves_the_rest_of_the_repository(
    pulled: Lock, hub: Hub, cache: Path
) -> None:
    other = Path(hf_hub_download(ANY, "config.json", cache_dir=cache, endpoint=hub.url))
    blob = pulled.path.resolve()
    remove(removal(pulled))
    assert not pulled.path.is_symlink()
    assert not blob.exists()
    assert other.read_bytes() == b"{}"
    assert locks.read_all() == {}
    assert not scan_cache_dir(cache).warnings
    assert all(e.origin != "pulled" for e in entries(SHIPPED))


def test_removing_the_only_file_takes_the_repository(pulled: Lock, cache: Path) -> None:
    remove(removal(pulled))
    assert not list(cache.glob("models--*"))


def test_what_was_there_before_stays(hub: Hub, cache: Path) -> None:
    hub.add(ANY, {FILE: DATA})
    path = Path(hf_hub_download(ANY, FILE, cache_dir=cache, endpoint=hub.url))
    lock = pull(f"{ANY}:Q4_K_M", SHIPPED)
    plan = removal(lock)
    assert plan.goes == ()
    assert "before ponder" in plan.stays[0][1]
    remove(plan)
    assert path.read_bytes() == DATA
    assert locks.read_all() == {}


def test_a_file_that_another_lock_stands_for_stays(pulled: Lock) -> None:
    twin = pull(f"{ANY}:Q4_K_M", SHIPPED, name="twin")
    remove(removal(pulled))
    assert twin.path.read_bytes() == DATA
    remove(removal(twin))
    assert not twin.path.exists()


def test_what_came_in_part_goes_too(hub: Hub, cache: Path) -> None:
    hub.add(ANY, {FILE: DATA})
    hub.fault("/cdn/", cut=10_000)
    hub.fault("/cdn/", cut=0, times=9)
    with pytest.raises(LibraryError):
        pull(f"{ANY}:Q4_K_M", SHIPPED, sleep=lambda _seconds: None)
    assert list(cache.rglob("*.incomplete"))
    remove(removal(locked("small-Q4_K_M", SHIPPED)))
    assert not list(cache.rglob("*.incomplete"))


def test_a_cache_that_is_damaged_is_left_alone(pulled: Lock, cache: Path) -> None:
    (cache / "models--someone--small-GGUF" / "snapshots" / "odd").write_text("a file")
    with pytest.raises(LibraryError, match="damaged around"):
        remove(removal(pulled))
    assert pulled.path.read_bytes() == DATA
    assert locks.read(pulled.name) == pulled


@pytest.mark.parametrize("name", ["own", "ponder-tiny"])
def test_what_ponder_did_not_fetch_is_not_removed(home: Path, name: str) -> None:
    (home / "models").mkdir(parents=True)
    (home / "models" / "own.gguf").write_bytes(b"GGUF")
    with pytest.raises(InputError, match="did not fetch"):
        locked(name, SHIPPED)


def test_unknown_names_are_told() -> None:
    with pytest.raises(UnknownName):
        check("nothing", SHIPPED)
    with pytest.raises(NotAModel):
        check("r1-7b", SHIPPED)


# -- locks --------------------------------------------------------------------------------

GOOD = {"name": "x", "kind": "import", "parts": [{"file": "x.gguf", "size": 1}]}


def written(home: Path, told: object) -> None:
    (home / "models").mkdir(parents=True, exist_ok=True)
    (home / "models" / "x.lock.json").write_text(json.dumps(told))


def test_a_lock_reads_as_it_was_written(home: Path) -> None:
    lock = Lock(name="x", kind="import", parts=(Part(file="x.gguf", size=1),))
    locks.write(lock)
    assert locks.read("x") == lock
    assert locks.read_all() == {"x": lock}
    written(home, GOOD)
    assert locks.read("x") == lock
    assert [path.name for path in (home / "models").iterdir()] == ["x.lock.json"]


def test_a_lock_that_is_no_text_is_refused_and_listed_by_nobody(home: Path) -> None:
    written(home, GOOD)
    path = locks.file_of("x")
    path.write_bytes(path.read_bytes().replace(b'"x"', b'"\xff"'))
    with pytest.raises(LibraryError, match="no lock file"):
        locks.read("x")
    assert locks.read_all() == {}


@pytest.mark.parametrize(
    "change",
    [
        {"name": "../x"},
        {"name": "y"},
        {"version": 2},
        {"parts": []},
        {"parts": [{"file": "../x", "size": 1}]},
        {"parts": [{"file": "a/../../x", "size": 1}]},
        {"parts": [{"file": "/etc/passwd", "size": 1}]},
        {"parts": [{"file": "a\\..\\x", "size": 1}]},
        {"parts": [{"file": "C:x", "size": 1}]},
        {"parts": [{"file": "x", "size": -1}]},
        {"parts": [{"file": "x", "size": 1, "sha256": "z"}]},
        {"parts": [{"file": "x", "size": 1, "etag": "../x"}]},
        {"repository": "../.."},
        {"repository": "a/b/c"},
        {"revision": "main"},
        {"asked": "../../x"},
        {"more": 1},
    ],
    ids=str,
)
def test_a_lock_that_leads_elsewhere_is_refused_and_listed_by_nobody(
    home: Path, change: dict[str, object]
) -> None:
    written(home, GOOD | change)
    with pytest.raises(LibraryError, match="no lock file"):
        locks.read("x")
    assert locks.read_all() == {}
