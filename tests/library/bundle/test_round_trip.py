"""What is packed is what is there afterwards, whoever unpacks it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import msgspec
import pytest

from library.bundle import kit
from ponder import paths
from ponder.catalogue import catalogue, source
from ponder.errors import BadBundle
from ponder.library import bundle
from ponder.library import lock as locks
from ponder.library.bundle.events import Moved
from ponder.library.keeping import removal, verify
from ponder.library.local import entries, find
from ponder.library.lock import Lock


def test_everything_arrives(archive: Path, near: Path, far: Path) -> None:
    done = kit.install(archive, far)
    assert sorted(done.models) == ["check", "one", "two-Q4_K_M"]
    right = kit.finals(archive, far)
    assert kit.is_complete(far, right)
    for folder in ("one.gguf", "two-Q4_K_M-00002-of-00003.gguf", "check/config.json"):
        assert (far / "models" / folder).read_bytes() == (near / "models" / folder).read_bytes()
    with kit.at(far):
        assert done.wheels is not None
        assert sorted(p.name for p in done.wheels.iterdir()) == sorted([kit.WHEEL, kit.ENGINE])
        assert done.catalogue == paths.user_catalogue()
        assert "mine" in catalogue().own
        assert (done.wheels.parent / "catalogue/models.toml").read_bytes() == source().read_bytes()
        here = {e.name: e for e in entries(catalogue()) if e.origin == "imported"}
        assert set(here) == {"one", "two-Q4_K_M", "check"}
        for lock in locks.read_all().values():
            assert all(v.right for v in verify(lock))
            assert len(removal(lock).goes) == len(lock.parts)
        check = locks.read("check")
        assert check is not None
        lock = check
        assert (lock.repository, lock.revision) == ("a/check", "0" * 40)
        assert lock.source == str(archive)
        assert lock.path == find("check", catalogue()).path


def test_nothing_of_the_machine_it_was_packed_on_is_in_it(archive: Path, near: Path) -> None:
    data = archive.read_bytes()
    assert str(near).encode() not in data
    assert b"/somewhere/else" not in data


def test_the_same_files_give_the_same_bundle(archive: Path, near: Path, tmp_path: Path) -> None:
    again = kit.pack(near, tmp_path / "again.tar", wheels=tmp_path / "wheels")
    assert again.read_bytes() == archive.read_bytes()


def test_python_and_tar_can_read_it(archive: Path, near: Path, tmp_path: Path) -> None:
    with tarfile.open(archive) as opened:
        names = opened.getnames()
        assert names[0] == "ponder-bundle.json"
        model = opened.extractfile("models/one.gguf")
        assert model is not None
        assert model.read() == (near / "models/one.gguf").read_bytes()
    with bundle.open_bundle(archive) as ours:
        assert names[2:] == [entry.path for entry in ours.manifest.files]
    if shutil.which("tar") is None:
        return
    done = subprocess.run(["tar", "tf", archive], capture_output=True, text=True, check=True)
    assert done.stdout.split() == names
    assert done.stderr == ""


def test_unpacked_by_hand_it_is_a_models_folder(archive: Path, tmp_path: Path) -> None:
    with tarfile.open(archive) as opened:
        opened.extractall(tmp_path / "hand", filter="data")
    with kit.at(tmp_path / "hand"):
        assert set(locks.read_all()) == {"one", "two-Q4_K_M", "check"}
        assert all(v.right for lock in locks.read_all().values() for v in verify(lock))
        # tar gives files the time 0, which vouches for nothing.
        (tmp_path / "hand/models/one.gguf").write_bytes(kit.content(5000, 99))
        os.utime(tmp_path / "hand/models/one.gguf", (0, 0))
        shutil.rmtree(tmp_path / "hand/bundles", ignore_errors=True)
        with bundle.open_bundle(archive) as ours:
            assert "models/one.gguf" not in bundle.plan(ours).here


def test_what_is_here_is_not_written_again(archive: Path, far: Path) -> None:
    first = kit.install(archive, far)
    assert first.written > 0
    stamps = {path: path.stat().st_mtime_ns for path in kit.finals(archive, far)}
    assert kit.install(archive, far).written == 0
    assert stamps == {path: path.stat().st_mtime_ns for path in stamps}
    with kit.at(far), bundle.open_bundle(archive) as opened:
        planned = bundle.plan(opened)
    assert (planned.size, planned.models) == (0, ())


def test_a_file_that_is_there_already_is_kept_and_stays_its_owners(
    archive: Path, near: Path, far: Path
) -> None:
    (far / "models").mkdir(parents=True)
    shutil.copy2(near / "models/one.gguf", far / "models/one.gguf")
    kit.install(archive, far)
    with kit.at(far):
        lock = locks.read("one")
        assert lock is not None
        assert not lock.parts[0].fetched
        assert removal(lock).goes == ()


def test_what_went_bad_since_is_written_again(archive: Path, far: Path) -> None:
    kit.install(archive, far)
    place = far / "models/two-Q4_K_M-00002-of-00003.gguf"
    place.write_bytes(kit.content(place.stat().st_size, 77))
    assert kit.install(archive, far).written == place.stat().st_size
    assert kit.is_complete(far, kit.finals(archive, far))


def test_some_models_by_name_and_by_path(near: Path, tmp_path: Path) -> None:
    path = str(near / "models/two-Q4_K_M-00001-of-00003.gguf")
    target = kit.pack(near, tmp_path / "some.tar", ["one", path, "one"])
    with bundle.open_bundle(target) as opened:
        assert [model.name for model in opened.manifest.models] == ["one", "two-Q4_K_M"]
        assert len(opened.manifest.models[1].files) == 3


def test_other_programs_files_are_packed_under_names_that_can_be_said(
    near: Path, tmp_path: Path, far: Path
) -> None:
    blob = tmp_path / "blobs" / f"sha256-{'a' * 64}"
    blob.parent.mkdir()
    blob.write_bytes(kit.content(2000, 5))
    odd = tmp_path / "odd é (1).gguf"
    odd.write_bytes(kit.content(2000, 6))
    target = kit.pack(near, tmp_path / "odd.tar", [str(blob), str(odd)])
    kit.install(target, far)
    with kit.at(far):
        assert set(locks.read_all()) == {f"sha256-{'a' * 64}", "odd é _1_"}


def test_a_content_that_is_there_twice_arrives_twice(near: Path, tmp_path: Path, far: Path) -> None:
    # The checkpoint's two JSON files are the same; and so are these.
    shutil.copy(near / "models/one.gguf", near / "models/same.gguf")
    target = kit.pack(near, tmp_path / "twice.tar")
    kit.install(target, far)
    assert (far / "models/same.gguf").read_bytes() == (far / "models/one.gguf").read_bytes()
    assert (far / "models/check/tokenizer_config.json").read_bytes() == b"{}"


def test_long_names_and_empty_files(near: Path, tmp_path: Path, far: Path) -> None:
    name = "a" * 140
    (near / f"models/{name}.gguf").write_bytes(b"")
    target = kit.pack(near, tmp_path / "long.tar", [name])
    kit.install(target, far)
    assert (far / f"models/{name}.gguf").read_bytes() == b""
    with tarfile.open(target) as opened:
        assert f"models/{name}.gguf" in opened.getnames()


def test_an_own_catalogue_is_not_replaced(archive: Path, far: Path) -> None:
    far.mkdir()
    (far / "models.toml").write_text("[models]\n")
    notes: list[str] = []
    with kit.at(far), bundle.open_bundle(archive) as opened:
        done = bundle.install(
            bundle.plan(opened), lambda e: notes.append(str(getattr(e, "text", "")))
        )
    assert done.catalogue is None
    assert (far / "models.toml").read_text() == "[models]\n"
    assert any("catalogue of your own" in note for note in notes)


def test_a_catalogue_that_cannot_be_used_is_not(archive: Path, tmp_path: Path, far: Path) -> None:
    forged = kit.Archive.of(archive)
    at = forged.number("user.toml")
    del forged.files[at], forged.members[at]
    forged.add(at, "catalogue/user.toml", b"[models.x]\n")
    done = kit.install(forged.write(tmp_path / "forged.tar"), far)
    assert done.catalogue is None
    assert not (far / "models.toml").exists()


def test_a_broken_catalogue_is_not_packed(near: Path, tmp_path: Path) -> None:
    (near / "models.toml").write_text("[models.x]\n")
    with bundle.open_bundle(kit.pack(near, tmp_path / "a.tar")) as opened:
        assert "catalogue/user.toml" not in opened.entries


def test_a_pulled_model_that_is_here_is_not_installed_again(
    archive: Path, near: Path, far: Path, tmp_path: Path
) -> None:
    with kit.at(far):
        lock = Lock(
            name="one",
            kind="hub",
            parts=_parts(near),
            repository="a/b",
            revision="1" * 40,
            cache=str(tmp_path / "hf"),
        )
        locks.write(lock)
        place = lock.place(lock.parts[0])
        place.parent.mkdir(parents=True)
        shutil.copy(near / "models/one.gguf", place)
    done = kit.install(archive, far)
    assert "one" in done.models
    assert not (far / "models/one.gguf").exists()
    with kit.at(far):
        assert locks.read("one") == lock


def _parts(near: Path) -> tuple[locks.Part, ...]:
    data = (near / "models/one.gguf").read_bytes()
    return (locks.Part(file="x/one.gguf", size=len(data), sha256=kit.sha256(data)),)


def test_progress_is_told_to_its_end(archive: Path, far: Path) -> None:
    events: list[Moved] = []
    with kit.at(far), bundle.open_bundle(archive) as opened:
        assert bundle.verify(opened, lambda e: events.append(e)) == []  # type: ignore[arg-type]
        assert (events[-1].done, events[-1].total) == (opened.manifest.size,) * 2
        bundle.install(bundle.plan(opened), lambda e: events.append(e))  # type: ignore[arg-type]
    assert events[-1].doing == "installing"
    assert events[-1].done == events[-1].total


def test_a_lock_vouches_for_a_file_that_has_not_changed(
    near: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with kit.at(near):
        lock = locks.read("check")
        assert lock is not None
        verify(lock)
    events: list[Moved] = []
    with kit.at(near):
        bundle.create(tmp_path / "a.tar", ["check"], catalogue(), events.append)  # type: ignore[arg-type]
    hashed = [e.total for e in events if e.doing == "hashing"]
    assert hashed and max(hashed) < 3000 + source().read_bytes().__len__()
    # And what it vouches for wrongly is found out on its way.
    place = near / "models/check/model.safetensors"
    stamp = place.stat().st_mtime_ns
    place.write_bytes(kit.content(place.stat().st_size, 3))
    os.utime(place, ns=(stamp, stamp))
    with pytest.raises(Exception, match="changed while it was packed"):
        kit.pack(near, tmp_path / "b.tar", ["check"])
    assert not list(tmp_path.glob("*b.tar*"))


def test_a_lock_that_contradicts_the_manifest_is_refused(
    archive: Path, tmp_path: Path, far: Path
) -> None:
    changes: list[dict[str, object]] = [
        {"name": "other"},
        {"kind": "hub"},
        {"parts": []},
        {"version": 2},
        {"x": 1},
    ]
    for change in changes:
        forged = kit.Archive.of(archive)
        at = forged.number("one.lock.json")
        data = msgspec.json.encode(msgspec.json.decode(forged.members[at][1]) | change)
        del forged.files[at], forged.members[at]
        forged.add(at, "models/one.lock.json", data)
        with pytest.raises(BadBundle, match=r"contradicts|no lock file"):
            kit.install(forged.write(tmp_path / "forged.tar"), far)
        assert not (far / "models/one.gguf").exists()
