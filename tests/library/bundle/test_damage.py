"""Whatever is done to an archive, no file ever has its final name with wrong bytes."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from library.bundle import kit
from library.bundle.kit import Archive
from ponder.errors import PonderError
from ponder.library import bundle

SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of everything."""
    folder = tmp_path_factory.mktemp("damage")
    kit.stock(folder / "near")
    return kit.pack(folder / "near", folder / "all.tar", wheels=kit.wheels(folder / "wheels"))


@pytest.fixture(scope="module")
def paths(whole: Path) -> dict[Path, str]:
    """Where everything goes, from a home, and its sha256."""
    home = whole.parent / "home"
    return {path.relative_to(home): sha for path, sha in kit.finals(whole, home).items()}


def tried(data: bytes, paths: dict[Path, str]) -> bool:
    """Install it; whether it was taken. Nothing wrong may be there either way."""
    with tempfile.TemporaryDirectory() as folder:
        archive, far = Path(folder) / "it.tar", Path(folder) / "far"
        archive.write_bytes(data)
        taken = True
        try:
            kit.install(archive, far)
        except PonderError as error:
            assert error.hint
            taken = False
        right = {far / path: sha for path, sha in paths.items()}
        assert kit.faults(far, right) == []
        assert taken == kit.is_complete(far, right)
        try:
            with bundle.open_bundle(archive) as opened:
                assert (bundle.verify(opened) == []) == taken
        except PonderError:
            assert not taken
    return taken


@SLOW
@given(data=st.data())
def test_flipped(data: st.DataObject, whole: Path, paths: dict[Path, str]) -> None:
    good = whole.read_bytes()
    bad = bytearray(good)
    for at in data.draw(st.lists(st.integers(0, len(good) - 1), min_size=1, max_size=3)):
        bad[at] ^= data.draw(st.integers(1, 255))
    assert tried(bytes(bad), paths) == (bytes(bad) == good)


@SLOW
@given(data=st.data())
def test_cut_and_filled(data: st.DataObject, whole: Path, paths: dict[Path, str]) -> None:
    good = whole.read_bytes()
    start = data.draw(st.integers(0, len(good)))
    end = data.draw(st.integers(start, len(good)))
    fill = data.draw(st.sampled_from([b"", bytes(end - start), good[: end - start], b"x"]))
    bad = good[:start] + fill + good[end:]
    assert tried(bad, paths) == (bad == good)


@SLOW
@given(data=st.data())
def test_blocks_moved(data: st.DataObject, whole: Path, paths: dict[Path, str]) -> None:
    good = whole.read_bytes()
    blocks = [good[at : at + 512] for at in range(0, len(good), 512)]
    number = st.integers(0, len(blocks) - 1)
    for _ in range(data.draw(st.integers(1, 3))):
        match data.draw(st.sampled_from(["insert", "duplicate", "remove", "swap"])):
            case "insert":
                blocks.insert(data.draw(number), data.draw(st.binary(min_size=512, max_size=512)))
            case "duplicate":
                at = data.draw(number)
                blocks.insert(at, blocks[at])
            case "remove":
                blocks.pop(data.draw(number) % len(blocks))
            case _:
                one, other = (data.draw(number) % len(blocks) for _ in range(2))
                blocks[one], blocks[other] = blocks[other], blocks[one]
    bad = b"".join(blocks)
    assert tried(bad, paths) == (bad == good)


@SLOW
@given(data=st.data())
def test_members_moved(data: st.DataObject, whole: Path, paths: dict[Path, str]) -> None:
    archive = Archive.of(whole)
    good = list(archive.members)
    number = st.integers(0, len(good) - 1)
    for _ in range(data.draw(st.integers(1, 3))):
        at, to = data.draw(number), data.draw(number)
        match data.draw(st.sampled_from(["insert", "duplicate", "remove", "move", "content"])):
            case "insert":
                path = data.draw(st.sampled_from(["../evil", "/evil", "models/evil.gguf", "x"]))
                archive.insert(at % (len(archive.members) + 1), path, b"evil")
            case "duplicate":
                archive.members.insert(to, archive.members[at % len(archive.members)])
            case "remove":
                archive.members.pop(at % len(archive.members))
            case "move":
                archive.members.insert(to, archive.members.pop(at % len(archive.members)))
            case _:
                one = at % len(archive.members)
                other = archive.members[to % len(archive.members)]
                archive.members[one] = archive.members[one][0], other[1]
    with tempfile.TemporaryDirectory() as folder:
        bad = archive.write(Path(folder) / "bad.tar").read_bytes()
    same = archive.members == good or (
        all(a == b for a, b in zip(archive.members, good, strict=False))
        and len(archive.members) == len(good)
    )
    assert tried(bad, paths) == same


def remains(data: st.DataObject, far: Path, right: dict[Path, str]) -> Iterator[Path]:
    """What an earlier install may have left where files grow: right, wrong, short, long."""
    staging = far / "models" / ".installing"
    staging.mkdir(parents=True)
    for path, sha in right.items():
        kind = data.draw(st.sampled_from(["no", "short", "wrong", "long", "other"]))
        if kind == "no":
            continue
        place = staging / f"{sha}.part"
        size = data.draw(st.integers(0, 5000))
        place.write_bytes(kit.content(size + 4, size))
        if kind != "other":
            whole = bytearray(path.read_bytes())
            if kind == "short":
                del whole[min(size, len(whole)) :]
            if kind == "wrong" and whole:
                whole[size % len(whole)] ^= 1
            if kind == "long":
                whole += b"more"
            place.write_bytes(whole)
        yield place


@SLOW
@given(data=st.data())
def test_whatever_was_left_is_never_believed(
    data: st.DataObject, whole: Path, paths: dict[Path, str]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        done, far = Path(folder) / "done", Path(folder) / "far"
        kit.install(whole, done)
        list(remains(data, far, {done / path: sha for path, sha in paths.items()}))
        # And some of it has arrived.
        for path in paths:
            if data.draw(st.booleans()):
                (far / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(done / path, far / path)
        kit.install(whole, far)
        assert kit.is_complete(far, {far / path: sha for path, sha in paths.items()})
