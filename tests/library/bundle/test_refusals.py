"""What no honest bundle has is refused before a byte is written, with what to do next."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from library.bundle import kit
from library.bundle.kit import Archive
from ponder.errors import BadBundle, InputError, LibraryError
from ponder.library import bundle
from ponder.library.bundle import form
from ponder.library.bundle.layout import header


def refused(archive: Path, far: Path, words: str) -> None:
    """Neither verified nor installed; nothing is left."""
    before = sorted(far.rglob("*"))
    with pytest.raises(LibraryError, match=words) as told:
        kit.install(archive, far)
    assert told.value.hint
    with pytest.raises(LibraryError, match=words), bundle.open_bundle(archive) as opened:
        for problem in bundle.verify(opened):
            raise problem.error
    assert sorted(far.rglob("*")) == before


# -- the manifest -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("../evil.gguf", "leads out"),
        ("models/../../evil.gguf", "leads out"),
        ("models/one/../../x.gguf", "leads out"),
        ("/etc/passwd", "absolute"),
        ("C:/evil.gguf", "drive letter"),
        ("models/C:evil.gguf", "drive letter"),
        ("models\\evil.gguf", "backslash"),
        ("models/a\nb.gguf", "cannot be shown"),
        ("models/\u202efugg.gguf", "cannot be shown"),
        ("models//x.gguf", "empty or hidden"),
        ("models/./x.gguf", "empty or hidden"),
        ("models/.installing/lock", "empty or hidden"),
        ("models/x/", "empty or hidden"),
        ("models/nul.gguf", "Windows"),
        ("models/x./y", "Windows"),
        ("models/" + "x" * 256, "too long"),
        ("config.toml", "nothing that belongs"),
        ("wheels/x.sh", "nothing that belongs"),
        ("wheels/deep/x.whl", "nothing that belongs"),
        ("catalogue/other.toml", "nothing that belongs"),
        ("models/stray.gguf", "belongs to no model"),
        ("models/one.gguf", "twice"),
        ("models/ONE.gguf", "twice"),
        ("models/one.gguf/x", "a file and a folder"),
    ],
)
def test_names(archive: Path, tmp_path: Path, far: Path, path: str, words: str) -> None:
    forged = Archive.of(archive)
    forged.add(len(forged.members), path, b"x")
    refused(forged.write(tmp_path / "forged.tar"), far, words)


def test_two_spellings_of_one_name(archive: Path, tmp_path: Path, far: Path) -> None:
    forged = Archive.of(archive)
    forged.add(0, "templates/caf\u00e9.jinja", b"x")
    forged.add(0, "templates/cafe\u0301.jinja", b"x")
    refused(forged.write(tmp_path / "forged.tar"), far, "twice|cannot be shown|belongs")


def models(forged: Archive) -> list[dict[str, object]]:
    found = forged.manifest["models"]
    assert isinstance(found, list)
    return found


def files(forged: Archive, n: int) -> list[str]:
    found = models(forged)[n]["files"]
    assert isinstance(found, list)
    return found


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda a: files(a, 0).append("models/one.lock.json"), "no file of the model"),
        (lambda a: files(a, 0).append("wheels/" + kit.WHEEL), "no file of the model"),
        (lambda a: files(a, 0).append("models/check/gone"), "is missing"),
        (lambda a: files(a, 0).append(files(a, 0)[0]), "one name, or one file"),
        (lambda a: models(a).append(models(a)[0]), "one name"),
        (lambda a: models(a).pop(), "belongs to no model"),
        (lambda a: models(a)[0].update(name="../x"), "cannot be read"),
        (lambda a: models(a)[0].update(name="other"), "no file of the model"),
        (lambda a: a.files[0].update(size=-1), "cannot be read"),
        (lambda a: a.files[0].update(size=1 << 60), "cannot be read"),
        (lambda a: a.files[0].update(size=1 << 30), "claims 1,073,741,824"),
        (lambda a: a.files[0].update(sha256="x"), "cannot be read"),
        (lambda a: a.files[0].update(sha256="A" * 64), "cannot be read"),
        (lambda a: a.manifest.update(version=2), "newer ponder"),
        (lambda a: a.manifest.update(version=2, files="other"), "newer ponder"),
        (lambda a: a.manifest.update(version=0), "cannot be read"),
        (lambda a: a.manifest.update(format="other"), "cannot be read"),
        (lambda a: a.manifest.update(extra=1), "cannot be read"),
        (lambda a: a.manifest.update(signer="me"), "cannot be read"),
        (lambda a: a.manifest.update(signer="SHA256:" + "0" * 64), "signature.* missing"),
        (lambda a: a.manifest.update(made_by="x" * 1000), "cannot be read"),
    ],
)
def test_manifests(
    archive: Path, tmp_path: Path, far: Path, change: Callable[[Archive], object], words: str
) -> None:
    forged = Archive.of(archive)
    change(forged)
    refused(forged.write(tmp_path / "forged.tar"), far, words)


def test_a_lock_after_its_files(archive: Path, tmp_path: Path, far: Path) -> None:
    forged = Archive.of(archive)
    at = forged.number("one.lock.json")
    forged.files.append(forged.files.pop(at))
    forged.members.append(forged.members.pop(at))
    refused(forged.write(tmp_path / "forged.tar"), far, "lock of one")


def test_too_many_members(archive: Path, tmp_path: Path, far: Path) -> None:
    forged = Archive.of(archive)
    empty = kit.sha256(b"")
    forged.files.extend(
        {"path": f"templates/{n}.jinja", "size": 0, "sha256": empty} for n in range(10_001)
    )
    refused(forged.write(tmp_path / "forged.tar"), far, "10,000 is the most")


def test_a_manifest_without_end(archive: Path, tmp_path: Path, far: Path) -> None:
    target = tmp_path / "forged.tar"
    target.write_bytes(kit.raw_header(form.MANIFEST, 1 << 32) + b"[" * 100_000)
    refused(target, far, "no ponder bundle|claims")
    for data in (b"[" * 100_000, b"\xff\xfe{}", b'{"x": "\xff"}', b"{}", b"null", b'{"format": 1'):
        sums = form.checksum(data)
        members = ((form.MANIFEST, data), (form.CHECKSUM, sums))
        target.write_bytes(
            b"".join(header(n, len(d)) + d + bytes(-len(d) % 512) for n, d in members)
        )
        refused(target, far, "cannot be read")
    target.write_bytes(header(form.MANIFEST, 1 << 23) + bytes(1 << 23))
    refused(target, far, "claims 8,388,608")
    target.write_bytes(header(form.MANIFEST, 1000) + bytes(10))
    refused(target, far, "not even its manifest")


# -- the members --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (tarfile.SYMTYPE, "is a link"),
        (tarfile.LNKTYPE, "is a link"),
        (tarfile.CHRTYPE, "is a device"),
        (tarfile.BLKTYPE, "is a device"),
        (tarfile.FIFOTYPE, "is a pipe"),
        (tarfile.DIRTYPE, "is a folder"),
        (tarfile.GNUTYPE_SPARSE, "is a sparse file"),
        (tarfile.GNUTYPE_LONGNAME, "is a GNU header"),
        (tarfile.XHDTYPE, "is an extended header"),
        (tarfile.XGLTYPE, "is a global header"),
        (b"9", "of the kind"),
    ],
)
def test_kinds(archive: Path, tmp_path: Path, far: Path, kind: bytes, words: str) -> None:
    forged = Archive.of(archive)
    at = forged.number("one.gguf")
    data = forged.members[at][1]
    head = kit.raw_header("models/one.gguf", len(data), kind, "/etc/passwd")
    forged.members[at] = head, data
    refused(forged.write(tmp_path / "forged.tar"), far, words)
    # And beside what is told of.
    forged = Archive.of(archive)
    forged.insert(at, "models/extra.gguf", b"", kind)
    refused(forged.write(tmp_path / "forged.tar"), far, words)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("../../evil", "leads out"),
        ("/evil", "absolute"),
        ("models/evil.gguf", "not in its manifest"),
        ("models/one.gguf", "comes twice"),
        ("models/check/config.json", "comes where|comes twice"),
    ],
)
@pytest.mark.parametrize("where", [0, 4, -1])
def test_members_that_the_manifest_does_not_tell_of(
    archive: Path, tmp_path: Path, far: Path, path: str, words: str, where: int
) -> None:
    forged = Archive.of(archive)
    forged.insert(len(forged.members) if where < 0 else where, path, b"data")
    refused(forged.write(tmp_path / "forged.tar"), far, f"{words}|comes where")


def test_members_that_are_missing_or_in_another_order(
    archive: Path, tmp_path: Path, far: Path
) -> None:
    last = len(Archive.of(archive).members) - 1
    for at in (0, 3, last):
        forged = Archive.of(archive)
        del forged.members[at]
        refused(forged.write(tmp_path / "gone.tar"), far, "missing|comes where|cut short")
    for one, other in ((0, 1), (2, last), (4, 5)):
        forged = Archive.of(archive)
        members = forged.members
        members[one], members[other] = members[other], members[one]
        refused(forged.write(tmp_path / "order.tar"), far, "comes where")


@pytest.mark.parametrize("more", [-100, -1, 1, 100, 10_000])
def test_sizes_that_are_not_those_of_the_manifest(
    archive: Path, tmp_path: Path, far: Path, more: int
) -> None:
    forged = Archive.of(archive)
    at = forged.number("one.gguf")
    data = forged.members[at][1]
    wrong = data[:more] if more < 0 else data + bytes(more)
    forged.members[at] = kit.raw_header("models/one.gguf", len(wrong)), wrong
    refused(forged.write(tmp_path / "forged.tar"), far, "another size")


def test_more_than_the_archive_has(archive: Path, tmp_path: Path, far: Path) -> None:
    """A petabyte claimed by some kilobytes."""
    forged = Archive.of(archive)
    at = forged.number("one.gguf")
    for claimed in (1 << 33, 1 << 50):
        forged.files[at]["size"] = claimed
        forged.members[at] = header("models/one.gguf", claimed), b"GGUF"
        refused(forged.write(tmp_path / "forged.tar"), far, "cut short|room")


def test_wrong_hashes_are_named_all_of_them(archive: Path, tmp_path: Path, far: Path) -> None:
    data = bytearray(archive.read_bytes())
    for name in (b"models/one.gguf", b"models/check/config.json"):
        data[data.rindex(name + b"\0") + 512] ^= 1
    bad = tmp_path / "bad.tar"
    bad.write_bytes(data)
    with bundle.open_bundle(bad) as opened:
        found = bundle.verify(opened)
    assert sorted(p.path for p in found) == ["models/check/config.json", "models/one.gguf"]
    with pytest.raises(BadBundle, match="damaged") as told:
        kit.install(bad, far)
    assert "Copy the bundle again" in told.value.hint
    assert kit.faults(far, kit.finals(archive, far)) == []
    # The right one goes on from there.
    kit.install(archive, far)
    assert kit.is_complete(far, kit.finals(archive, far))


def test_cut_anywhere(archive: Path, tmp_path: Path, far: Path) -> None:
    data = archive.read_bytes()
    cut = tmp_path / "cut.tar"
    for size in (0, 1, 511, 512, 700, 5000, len(data) // 2, len(data) - 1024, len(data) - 1):
        cut.write_bytes(data[:size])
        refused(cut, far, "cut short|no ponder bundle")


def test_what_follows_the_end(archive: Path, tmp_path: Path, far: Path) -> None:
    more = tmp_path / "more.tar"
    for tail in (b"\0", b"x", bytes(512), archive.read_bytes()):
        more.write_bytes(archive.read_bytes() + tail)
        refused(more, far, "after its end")


def test_a_damaged_manifest(archive: Path, tmp_path: Path, far: Path) -> None:
    good = archive.read_bytes()
    bad = tmp_path / "bad.tar"
    bad.write_bytes(good.replace(b'"ponder 0', b'"ponder 1', 1))
    refused(bad, far, "manifest .* is damaged")


def test_what_hides_in_the_padding(archive: Path, tmp_path: Path, far: Path) -> None:
    data = bytearray(archive.read_bytes())
    with bundle.open_bundle(archive) as opened:
        place = next(p for p in opened.layout.files if p.path == "models/one.gguf")
    data[place.next - 1] = 1
    bad = tmp_path / "bad.tar"
    bad.write_bytes(data)
    refused(bad, far, "something follows models/one.gguf")


def test_other_archives_are_none(tmp_path: Path, far: Path) -> None:
    other = tmp_path / "other.tar"
    with tarfile.open(other, "w") as made:
        made.addfile(tarfile.TarInfo("x"), io.BytesIO())
    refused(other, far, "no ponder bundle")
    other.write_bytes(b"PK\x03\x04" + bytes(2000))
    refused(other, far, "no ponder bundle")
    with pytest.raises(InputError, match="no file"):
        kit.install(tmp_path / "gone.tar", far)
    with pytest.raises(InputError, match="no plain file"):
        kit.install(tmp_path, far)
