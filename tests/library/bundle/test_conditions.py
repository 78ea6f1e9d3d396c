"""What the machine, or somebody at it, is in the way of: told, and nothing half done."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from library.bundle import kit
from ponder.alone import alone
from ponder.catalogue import catalogue
from ponder.errors import Busy, InputError, LibraryError, NoRoom, NotAModel, UnknownName
from ponder.library import bundle
from ponder.library import lock as locks
from ponder.library.bundle import form, staging


def test_no_room(archive: Path, far: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(NoRoom, match="has room for"):
        kit.install(archive, far)
    assert not far.exists()


def test_the_disk_gets_full_meanwhile(
    archive: Path, far: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = staging.Growing.put
    calls = iter(range(100))

    def full(self: staging.Growing, chunk: memoryview) -> None:
        if next(calls) == 6:
            raise OSError(28, "No space left on device")
        put(self, chunk)

    with monkeypatch.context() as patch:
        patch.setattr(staging.Growing, "put", full)
        with pytest.raises(NoRoom, match="no room left") as told:
            kit.install(archive, far)
    assert "gone on from" in told.value.hint
    right = kit.finals(archive, far)
    assert kit.faults(far, right) == []
    kit.install(archive, far)
    assert kit.is_complete(far, right)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
def test_a_place_that_cannot_be_written(archive: Path, near: Path, far: Path) -> None:
    with pytest.raises(LibraryError, match=r"cannot be written|has room for"):
        kit.install(archive, Path("/proc/ponder"))
    with pytest.raises(LibraryError, match=r"cannot be written|has room for") as told:
        kit.pack(near, Path("/proc/bundle.tar"))
    assert told.value.hint


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_read_only(archive: Path, far: Path) -> None:
    (far / "models").mkdir(parents=True)
    (far / "models").chmod(0o555)
    with pytest.raises(LibraryError, match="cannot be written"):
        kit.install(archive, far)


def test_a_file_where_the_folder_should_be(archive: Path, far: Path) -> None:
    far.write_text("")
    with pytest.raises(LibraryError, match=r"cannot be (read|written)"):
        kit.install(archive, far)


def test_somebody_else_installs(archive: Path, far: Path) -> None:
    with kit.at(far), alone(staging.folder() / staging.LOCK, "installing"):
        with pytest.raises(Busy, match="Another ponder is installing") as told:
            kit.install(archive, far)
        assert told.value.hint
        assert [path.name for path in (far / "models").rglob("*")] == [".installing", "lock"]
    kit.install(archive, far)
    assert kit.is_complete(far, kit.finals(archive, far))


def test_something_else_has_the_name_of_a_file(archive: Path, far: Path) -> None:
    (far / "models").mkdir(parents=True)
    place = far / "models/two-Q4_K_M-00002-of-00003.gguf"
    for data in (b"", kit.content(1502, 5)):
        place.write_bytes(data)
        with pytest.raises(InputError, match="in the way"):
            kit.install(archive, far)
        assert place.read_bytes() == data
        assert [path.name for path in (far / "models").iterdir()] == [place.name]


def test_something_else_has_the_name_of_a_model(archive: Path, far: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    (other / "models").mkdir(parents=True)
    (other / "models/one.gguf").write_bytes(kit.content(10))
    kit.install(kit.pack(other, tmp_path / "other.tar"), far)
    with pytest.raises(InputError, match="another model here already"):
        kit.install(archive, far)
    assert (far / "models/one.gguf").read_bytes() == kit.content(10)
    assert sorted(path.name for path in (far / "models").iterdir()) == [
        "one.gguf",
        "one.lock.json",
    ]


@pytest.mark.skipif(os.name == "nt", reason="needs links")
def test_links_in_the_models_folder_lead_nowhere(archive: Path, far: Path, tmp_path: Path) -> None:
    (far / "models").mkdir(parents=True)
    outside = tmp_path / "outside"
    outside.mkdir()
    (far / "models/check").symlink_to(outside)
    with pytest.raises(InputError, match="is a link"):
        kit.install(archive, far)
    (far / "models/check").unlink()
    (far / "models/one.gguf").symlink_to(outside / "new")
    with pytest.raises(InputError, match="in the way"):
        kit.install(archive, far)
    (far / "models/one.gguf").unlink()
    # Not even where files grow.
    with kit.at(far):
        staging.folder().mkdir()
        key = kit.finals(archive, far)[far / "models/one.gguf"]
        staging.partial(key).symlink_to(outside / "new")
    with pytest.raises(LibraryError, match="cannot be written"):
        kit.install(archive, far)
    assert list(outside.iterdir()) == []


def test_a_lock_of_something_that_is_not_all_here(archive: Path, near: Path, far: Path) -> None:
    data = (near / "models/one.gguf").read_bytes()
    part = locks.Part(file="other.gguf", size=len(data), sha256=kit.sha256(data))
    with kit.at(far):
        locks.write(locks.Lock(name="one", kind="import", parts=(part,)))
    with pytest.raises(InputError, match="not complete"):
        kit.install(archive, far)


# -- packing ------------------------------------------------------------------------------


def test_packing_refuses(near: Path, tmp_path: Path, archive: Path) -> None:
    target = tmp_path / "new.tar"
    for names, error, words in (
        (["nobody"], UnknownName, "nobody"),
        (["r1-7b"], NotAModel, "not on this machine"),
        (["ponder-tiny"], InputError, "ships with ponder"),
        ([str(tmp_path / "gone.gguf")], NotAModel, "no file"),
        ([str(tmp_path / "near")], NotAModel, "a folder that ponder does not know"),
    ):
        with pytest.raises(error, match=words):
            kit.pack(near, target, names)
    with pytest.raises(InputError, match="already there"):
        kit.pack(near, archive)
    with pytest.raises(InputError, match="is a folder"):
        kit.pack(near, tmp_path)
    with pytest.raises(InputError, match="no folder"):
        kit.pack(near, tmp_path / "no" / "new.tar")
    with pytest.raises(InputError, match="name of a volume"):
        kit.pack(near, tmp_path / "new.001")
    with pytest.raises(InputError, match="too small"):
        kit.pack(near, target, split=1000)
    with pytest.raises(InputError, match="nothing to pack"):
        kit.pack(tmp_path / "empty", target)
    with pytest.raises(InputError, match="no wheels"):
        kit.pack(near, target, wheels=near / "models")
    with pytest.raises(InputError, match="no folder"):
        kit.pack(near, target, wheels=tmp_path / "no")
    (near / "models/two-Q4_K_M-00002-of-00003.gguf").unlink()
    with pytest.raises(NotAModel, match="00002"):
        kit.pack(near, target)
    assert not list(tmp_path.glob("*new.tar*"))


def test_wheels_of_one_name_or_of_none(near: Path, tmp_path: Path) -> None:
    folder = kit.wheels(tmp_path / "wheels")
    shutil.copy(folder / kit.WHEEL, folder / "engine" / kit.WHEEL)
    with pytest.raises(InputError, match="have one name"):
        kit.pack(near, tmp_path / "new.tar", wheels=folder)
    (folder / "engine" / kit.WHEEL).rename(folder / "odd.whl")
    with pytest.raises(InputError, match="not called like a wheel"):
        kit.pack(near, tmp_path / "new.tar", wheels=folder)


def test_a_model_that_is_not_what_it_was(near: Path, tmp_path: Path) -> None:
    place = near / "models/check/model.safetensors"
    place.write_bytes(kit.content(place.stat().st_size, 3))
    with pytest.raises(LibraryError, match="not what it was") as told:
        kit.pack(near, tmp_path / "new.tar")
    assert "ponder verify check" in told.value.hint
    assert not list(tmp_path.glob("*new.tar*"))


def test_two_models_of_one_name(near: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / "one.gguf"
    other.parent.mkdir()
    other.write_bytes(kit.content(10))
    with pytest.raises(InputError, match="both be called"):
        kit.pack(near, tmp_path / "new.tar", ["one", str(other)])


def test_somebody_else_packs(near: Path, tmp_path: Path) -> None:
    target = tmp_path / "new.tar"
    with alone(tmp_path / ".new.tar.creating.lock", "writing"), pytest.raises(Busy):
        kit.pack(near, target)
    # What a kill left is written over.
    (tmp_path / ".new.tar.creating").write_bytes(b"left" * 100_000)
    kit.pack(near, target)
    assert sorted(p.name for p in tmp_path.iterdir() if "new.tar" in p.name) == ["new.tar"]


def test_an_interrupted_packing_leaves_nothing(near: Path, tmp_path: Path) -> None:
    def interrupted(event: object) -> None:
        if getattr(event, "doing", "") == "packing":
            raise KeyboardInterrupt

    with kit.at(near), pytest.raises(KeyboardInterrupt):
        bundle.create(tmp_path / "new.tar", (), catalogue(), interrupted)
    assert not list(tmp_path.glob("*new.tar*"))


def test_no_room_for_a_bundle(near: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(NoRoom, match="has room for"):
        kit.pack(near, tmp_path / "new.tar")
    assert not list(tmp_path.glob("*new.tar*"))


@pytest.mark.skipif(os.name == "nt", reason="needs limits")
def test_a_file_system_that_takes_no_large_files(near: Path, tmp_path: Path) -> None:
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(NoRoom, match="no file as large") as told:
            kit.pack(near, tmp_path / "new.tar")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "--split 4g" in told.value.hint
    assert not list(tmp_path.glob("*new.tar*"))


def test_a_catalogue_is_enough_to_name_what_is_packed(near: Path, tmp_path: Path) -> None:
    with kit.at(near):
        made = bundle.create(tmp_path / "a.tar", ["one"], catalogue())
    assert made.paths == (tmp_path / "a.tar",)
    assert made.size == (tmp_path / "a.tar").stat().st_size
    assert msgspec.json.decode(form.encode(made.manifest), type=form.Manifest) == made.manifest
