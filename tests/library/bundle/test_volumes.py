"""Bundles in volumes: cut anywhere, put together again, and every way to get that wrong."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from library.bundle import kit
from ponder.errors import BadBundle, InputError, LibraryError
from ponder.library import bundle
from ponder.library.bundle.form import PRINT
from ponder.library.bundle.volumes import Volumes, volumes_of

MIB = 1 << 20


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A PONDER_HOME with some megabytes of models."""
    home = tmp_path / "large"
    kit.stock(home, scale=450)
    return home


@pytest.fixture
def volumes(large: Path, tmp_path: Path) -> list[Path]:
    """Its bundle in volumes."""
    (tmp_path / "stick").mkdir()
    kit.pack(large, tmp_path / "stick/all.tar", split=MIB)
    return sorted((tmp_path / "stick").iterdir())


def test_the_pieces_are_below_the_size_and_make_one_archive(
    volumes: list[Path], tmp_path: Path, far: Path
) -> None:
    assert [path.name for path in volumes] == [f"all.tar.{n:03d}" for n in range(1, 7)]
    assert all(path.stat().st_size == MIB - 512 for path in volumes[:-1])
    whole = tmp_path / "whole.tar"
    whole.write_bytes(b"".join(path.read_bytes() for path in volumes))
    for name in (volumes[0], volumes[3], volumes[0].with_name("all.tar"), whole):
        with bundle.open_bundle(name) as opened:
            assert bundle.verify(opened) == []
    kit.install(volumes[2], far)
    assert kit.is_complete(far, kit.finals(whole, far))


def test_what_fits_into_one_is_one_file(near: Path, tmp_path: Path) -> None:
    kit.pack(near, tmp_path / "small.tar", split=4 << 30)
    assert [path.name for path in tmp_path.glob("small*")] == ["small.tar"]


def test_a_missing_volume_is_named(volumes: list[Path], far: Path) -> None:
    for number in (0, 2, len(volumes) - 1):
        aside = volumes[number].with_name("aside")
        volumes[number].rename(aside)
        for name in (volumes[1], volumes[0].with_name("all.tar")):
            with pytest.raises(BadBundle, match=f"all.tar.{number + 1:03d}.* cannot be found"):
                kit.install(name, far)
        aside.rename(volumes[number])
    for path in volumes[1:]:
        path.unlink()
    with pytest.raises(BadBundle, match=r"all.tar.002, .* to all.tar.006 cannot be found"):
        kit.install(volumes[0], far)
    # Also when it has lost its number.
    volumes[0].rename(volumes[0].with_name("first.tar"))
    with pytest.raises(BadBundle, match="cannot be found"):
        kit.install(volumes[0].with_name("first.tar"), far)
    assert not far.exists()


def test_a_volume_that_is_cut_is_named(volumes: list[Path], far: Path) -> None:
    for number in (1, len(volumes) - 1):
        data = volumes[number].read_bytes()
        volumes[number].write_bytes(data[:-100])
        with pytest.raises(BadBundle, match=f"{volumes[number].name} is cut short"):
            kit.install(volumes[0], far)
        volumes[number].write_bytes(data + b"x")
        with pytest.raises(BadBundle, match=f"{volumes[number].name} is too long"):
            kit.install(volumes[0], far)
        volumes[number].write_bytes(data)
    assert not far.exists()


def test_a_foreign_volume_is_named_before_anything_is_written(
    volumes: list[Path], tmp_path: Path, far: Path
) -> None:
    other = tmp_path / "other"
    kit.stock(other, scale=450)
    for number in (1, 2, 3):
        name = f"two-Q4_K_M-{number:05d}-of-00003.gguf"
        size = (other / "models" / name).stat().st_size
        (other / "models" / name).write_bytes(kit.content(size, 100 + number))
    (tmp_path / "others").mkdir()
    kit.pack(other, tmp_path / "others/all.tar", split=MIB)
    theirs = sorted((tmp_path / "others").iterdir())
    assert len(theirs) == len(volumes)
    pairs = enumerate(zip(theirs, volumes, strict=True))
    different = [n for n, (a, b) in pairs if a.read_bytes()[:PRINT] != b.read_bytes()[:PRINT]]
    assert len(different) > 2
    for number in different[1:]:
        mine = volumes[number].read_bytes()
        shutil.copy(theirs[number], volumes[number])
        with pytest.raises(BadBundle, match=f"{volumes[number].name} is of another bundle"):
            kit.install(volumes[0], far)
        volumes[number].write_bytes(mine)
    # Two of one bundle that have changed places.
    volumes[1].rename(tmp_path / "aside")
    volumes[2].rename(volumes[1])
    (tmp_path / "aside").rename(volumes[2])
    with pytest.raises(BadBundle, match="in another place"):
        kit.install(volumes[0], far)
    assert not far.exists()


def test_a_volume_too_many(volumes: list[Path], far: Path) -> None:
    volumes[-1].with_name("all.tar.007").write_bytes(b"x")
    with pytest.raises(BadBundle, match=r"all.tar.007 does not belong"):
        kit.install(volumes[0], far)
    assert not far.exists()


def test_damage_is_named_with_its_volume(volumes: list[Path], far: Path) -> None:
    data = bytearray(volumes[1].read_bytes())
    data[PRINT + 100] ^= 1
    volumes[1].write_bytes(data)
    with bundle.open_bundle(volumes[0]) as opened:
        (problem,) = bundle.verify(opened)
    assert "all.tar.00" in problem.where
    with pytest.raises(BadBundle, match=r"is damaged, in all\.tar\.00"):
        kit.install(volumes[0], far)
    assert kit.faults(far, kit.finals(volumes[0], far)) == []


def test_an_older_bundles_volumes_are_in_the_way(large: Path, volumes: list[Path]) -> None:
    volumes[0].unlink()
    with pytest.raises(InputError, match=r"all.tar.002 is already there"):
        kit.pack(large, volumes[0].with_name("all.tar"))


def test_too_many_pieces(large: Path) -> None:
    with pytest.raises(InputError, match="more than 999 volumes") as told:
        list(volumes_of(10**12, MIB))
    assert told.value.hint == "Take larger ones: --split 956m"
    assert len(list(volumes_of(10**12, 955 * MIB))) == 998


@pytest.mark.parametrize("size", [MIB, MIB + 1, MIB + 511, MIB + 513, 3 * MIB + 77])
def test_any_size(large: Path, tmp_path: Path, far: Path, size: int) -> None:
    target = kit.pack(large, tmp_path / "any.tar", split=size)
    with Volumes(target) as found:
        assert max(found.sizes) < size
    kit.install(target, far)
    assert kit.is_complete(far, kit.finals(target, far))


def test_bytes_across_volumes(tmp_path: Path) -> None:
    data = kit.content(1000)
    for number in range(10):
        (tmp_path / f"x.{number + 1:03d}").write_bytes(data[number * 100 : number * 100 + 100])
    with Volumes(tmp_path / "x") as found:
        for at, size in ((0, 1000), (50, 100), (99, 2), (100, 100), (950, 500), (1000, 1)):
            assert found.read(at, size) == data[at : at + size]
        assert found.where(50, 60) == ", in x.001"
        assert found.where(50, 160) == ", in x.001 to x.002"
    with Volumes(tmp_path / "x") as found:
        (tmp_path / "x.005").unlink()
        with pytest.raises(LibraryError, match="cannot be read"):
            found.read(0, 1000)
