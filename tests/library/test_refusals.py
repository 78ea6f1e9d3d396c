"""What a pull refuses, what it is refused, and what it says about that."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from library.conftest import content
from library.hub_server import Asked, Hub
from library.pulls import ANY, DATA, FILE, Pulls, pinned
from ponder.errors import (
    HubRefused,
    HubUnreachable,
    InputError,
    LibraryError,
    NoRoom,
    OfflineError,
    UnknownName,
    WrongBytes,
)
from ponder.library import lock as locks


@pytest.fixture
def pulls(hub: Hub) -> Pulls:
    return Pulls()


# -- refusals -----------------------------------------------------------------------------


def test_an_unknown_name_lists_the_nearest(hub: Hub, pulls: Pulls) -> None:
    with pytest.raises(UnknownName) as refused:
        pulls("smal", pinned())
    assert "Did you mean small?" in refused.value.hint
    assert "owner/repo" in refused.value.hint
    assert hub.asked == []


def test_a_quant_that_is_not_there_lists_those_that_are(hub: Hub, pulls: Pulls) -> None:
    hub.add(ANY, {FILE: DATA, "small-Q8_0.gguf": DATA, "mmproj-F16.gguf": DATA})
    with pytest.raises(UnknownName) as refused:
        pulls("small:Q5_K_M", pinned())
    assert "Q4_K_M" in refused.value.hint
    assert "Q8_0" in refused.value.hint
    assert "F16" not in refused.value.hint


def test_several_files_ask_for_a_choice(hub: Hub, pulls: Pulls) -> None:
    hub.add(ANY, {FILE: DATA, "small-Q8_0.gguf": DATA})
    with pytest.raises(InputError) as refused:
        pulls(f"{ANY}:")
    assert f"{ANY}:Q4_K_M" in refused.value.hint
    with pytest.raises(InputError):
        pulls(ANY)


def test_missing_parts_are_told(hub: Hub, pulls: Pulls) -> None:
    hub.add(ANY, {"big-Q8_0-00001-of-00003.gguf": DATA})
    with pytest.raises(InputError, match="2 are missing"):
        pulls(f"{ANY}:Q8_0")


def test_a_repository_without_ggufs_is_told(hub: Hub, pulls: Pulls) -> None:
    hub.add(ANY, {"model.safetensors": DATA})
    with pytest.raises(InputError, match="has no GGUF"):
        pulls(f"{ANY}:Q8_0")


def test_the_built_in_model_is_not_pulled(hub: Hub, pulls: Pulls) -> None:
    with pytest.raises(InputError, match="ships with ponder"):
        pulls("ponder-tiny")


def test_a_gated_repository_says_how(
    hub: Hub, pulls: Pulls, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    hub.add(ANY, {FILE: DATA}, gated=True, token="hf_right")
    with pytest.raises(HubRefused, match="gated") as refused:
        pulls("small", pinned())
    for words in (f"{hub.url}/{ANY}", "HF_TOKEN", "hf auth login"):
        assert words in refused.value.hint
    assert not cache.exists()
    monkeypatch.setenv("HF_TOKEN", "hf_other")
    with pytest.raises(HubRefused, match="gated") as refused:
        pulls("small", pinned())
    assert "let in" in refused.value.hint
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    assert pulls("small", pinned()).path.read_bytes() == DATA
    # The token is for the hub, and not for where it keeps its files.
    assert all("Authorization" not in asked.headers for asked in hub.bodies())


@pytest.mark.parametrize("token, words", [("", "HF_TOKEN"), ("hf_other", "settings/tokens")])
def test_a_private_repository_says_how(
    hub: Hub, pulls: Pulls, monkeypatch: pytest.MonkeyPatch, token: str, words: str
) -> None:
    hub.add(ANY, {FILE: DATA}, token="hf_right")
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(HubRefused) as refused:
        pulls("small", pinned())
    assert words in refused.value.hint


def test_a_repository_a_revision_a_file_that_are_not_there(hub: Hub, pulls: Pulls) -> None:
    hub.add(ANY, {FILE: DATA})
    with pytest.raises(HubRefused, match="no repository no/where"):
        pulls("no/where:Q8_0")
    with pytest.raises(HubRefused, match="no revision v9"):
        pulls(f"{ANY}@v9:Q4_K_M")
    hub.fault("/resolve/", status=404, headers={"X-Error-Code": "EntryNotFound"})
    with pytest.raises(HubRefused, match=f"no file {FILE}"):
        pulls("small", pinned())
    assert pulls.slept == []


@pytest.mark.parametrize("name", ["HF_HUB_OFFLINE", "PONDER_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_a_switch_forbids_it_before_anybody_is_asked(
    hub: Hub, pulls: Pulls, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    hub.add(ANY, {FILE: DATA})
    monkeypatch.setenv(name, "1")
    with pytest.raises(OfflineError, match=name):
        pulls("small", pinned())
    assert hub.asked == []


def test_what_is_here_needs_no_network(
    hub: Hub, pulls: Pulls, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add(ANY, {FILE: DATA})
    lock = pulls("small", pinned())
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert pulls("small", pinned()) == lock


# -- lies ---------------------------------------------------------------------------------


def test_a_mirror_that_has_another_file_than_is_pinned_is_refused(hub: Hub, pulls: Pulls) -> None:
    hub.add(ANY, {FILE: DATA})
    with pytest.raises(WrongBytes, match="the catalogue pins") as refused:
        pulls("small", pinned(sha256="0" * 64))
    assert "HF_ENDPOINT" in refused.value.hint
    assert hub.sent() == 0


def test_a_mirror_that_changes_what_is_locked_is_refused(
    hub: Hub, pulls: Pulls, cache: Path
) -> None:
    hub.add(ANY, {FILE: DATA})
    lock = pulls(f"{ANY}:Q4_K_M")
    shutil.rmtree(cache)
    hub.etags[FILE] = "f" * 64
    with pytest.raises(WrongBytes, match="has to be"):
        pulls(f"{ANY}:Q4_K_M")
    assert locks.read(lock.name) == lock
    hub.etags.clear()
    assert pulls(f"{ANY}:Q4_K_M").path.read_bytes() == DATA


@pytest.mark.parametrize("told", [1, 600_001, 599_999])
def test_two_sizes_for_one_file_are_refused(hub: Hub, pulls: Pulls, told: int) -> None:
    hub.add(ANY, {FILE: DATA})
    hub.linked_sizes[FILE] = told
    with pytest.raises(WrongBytes, match="contradicts itself"):
        pulls("small", pinned())
    assert hub.sent() == 0


@pytest.mark.parametrize("told", [500_000, 700_000])
def test_a_size_that_is_told_everywhere_and_wrong_is_refused(
    hub: Hub, pulls: Pulls, told: int
) -> None:
    hub.add(ANY, {FILE: DATA})
    hub.sizes[FILE] = told
    with pytest.raises(WrongBytes, match="bytes"):
        pulls("small", pinned())


@pytest.mark.parametrize("told", [500_000, 700_000])
def test_after_a_mirror_that_lied_there_is_a_way_on(hub: Hub, pulls: Pulls, told: int) -> None:
    hub.add(ANY, {FILE: DATA})
    hub.sizes[FILE] = told
    with pytest.raises(WrongBytes, match="gives 600,000"):
        pulls(f"{ANY}:Q4_K_M")
    hub.sizes.clear()  # as another mirror would have it
    with pytest.raises(WrongBytes, match="contradicts itself, or what was said before") as refused:
        pulls(f"{ANY}:Q4_K_M")
    assert "ponder pull --update" in refused.value.hint
    assert pulls(f"{ANY}:Q4_K_M", update=True).path.read_bytes() == DATA


def test_a_hub_that_names_a_way_out_of_the_cache_is_refused(hub: Hub, pulls: Pulls) -> None:
    hub.add(ANY, {"../../../evil-Q4_K_M.gguf": DATA})
    with pytest.raises(LibraryError, match="evil"):
        pulls(f"{ANY}:Q4_K_M")


def test_a_branch_that_moves_in_the_middle_does_not_mix_two_revisions(
    hub: Hub, pulls: Pulls
) -> None:
    parts = {f"big-0000{n}-of-00002.gguf": content(50_000, n) for n in (1, 2)}
    moved = {name: content(50_000, 10 + n) for n, name in enumerate(parts)}
    commit = hub.add(ANY, parts)

    def move(asked: Asked) -> None:
        if asked.path.startswith("/cdn/") and len(hub.repositories[ANY].commits) == 1:
            hub.add(ANY, moved)

    hub.before = move
    lock = pulls(f"{ANY}:big")
    assert lock.revision == commit
    assert [lock.place(part).read_bytes() for part in lock.parts] == list(parts.values())
    # The later one is taken when somebody says so.
    later = pulls(f"{ANY}:big", update=True)
    assert [later.place(part).read_bytes() for part in later.parts] == list(moved.values())


def test_a_pull_that_was_interrupted_goes_on_with_the_commit_it_began_with(
    hub: Hub, pulls: Pulls
) -> None:
    commit = hub.add(ANY, {FILE: DATA})
    hub.fault("/cdn/", cut=50_000)
    hub.fault("/cdn/", cut=0, times=9)
    with pytest.raises(HubUnreachable):
        pulls(f"{ANY}:Q4_K_M")
    hub.faults.clear()
    hub.add(ANY, {FILE: content(1000, 9)})
    lock = pulls(f"{ANY}:Q4_K_M")
    assert (lock.revision, lock.path.read_bytes()) == (commit, DATA)


# -- disks --------------------------------------------------------------------------------


def test_no_room_is_told_before_the_first_byte(
    hub: Hub, pulls: Pulls, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    hub.add(ANY, {FILE: DATA})
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=599_999))
    with pytest.raises(NoRoom) as refused:
        pulls("small", pinned())
    assert "HF_HUB_CACHE" in refused.value.hint
    assert hub.sent() == 0
    assert not cache.exists()


def test_what_has_come_already_needs_no_room(
    hub: Hub, pulls: Pulls, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add(ANY, {FILE: DATA})
    hub.fault("/cdn/", cut=400_000)
    hub.fault("/cdn/", cut=0, times=9)
    with pytest.raises(HubUnreachable):
        pulls("small", pinned())
    hub.faults.clear()
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=200_000))
    assert pulls("small", pinned()).path.read_bytes() == DATA


def blocked(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("a file where a folder has to be")


@pytest.mark.parametrize(
    "where", [lambda root: root / "hf" / "hub", lambda root: root / "ponder-home" / "models"]
)
def test_a_place_that_cannot_be_written_is_told(
    hub: Hub, pulls: Pulls, tmp_path: Path, where: Callable[[Path], Path]
) -> None:
    hub.add(ANY, {FILE: DATA})
    blocked(where(tmp_path))
    with pytest.raises(LibraryError, match="cannot be written") as refused:
        pulls("small", pinned())
    assert "HF_HUB_CACHE" in refused.value.hint


def test_a_lock_that_cannot_be_read_is_told(hub: Hub, pulls: Pulls, home: Path) -> None:
    hub.add(ANY, {FILE: DATA})
    (home / "models").mkdir(parents=True)
    (home / "models" / "small-Q4_K_M.lock.json").write_text('{"name": "../../x"}')
    with pytest.raises(LibraryError, match="no lock file") as refused:
        pulls("small", pinned())
    assert "Remove it" in refused.value.hint
