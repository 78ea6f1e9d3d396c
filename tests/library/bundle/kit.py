"""Bundles to be tried: small models of every form, archives taken apart and put together."""

from __future__ import annotations

import hashlib
import os
import random
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import msgspec

from ponder.catalogue import catalogue
from ponder.library import bundle
from ponder.library import lock as locks
from ponder.library.bundle import form, layout
from ponder.library.bundle.signing import PublicKey, SigningKey
from ponder.library.lock import Lock, Part

OWN = """
[models.mine]
title = "Mine"
dialect = "plain"
parameters = 1
context = 64
licences = ["MIT"]
sampling = { temperature = 1, top_p = 1 }
"""
WHEEL = "ponder-9.9-py3-none-any.whl"
ENGINE = "llama_cpp_python-0.3.40-cp311-cp311-linux_x86_64.whl"


def content(size: int, seed: int = 0) -> bytes:
    """Bytes that begin like a GGUF."""
    return b"GGUF" + random.Random(seed).randbytes(size - 4)


@contextmanager
def at(home: Path) -> Iterator[Path]:
    """Another PONDER_HOME; gives its models folder."""
    with mock.patch.dict(os.environ, {"PONDER_HOME": str(home)}):
        yield home / "models"


def stock(home: Path, scale: int = 1) -> None:
    """Three models: one file; three parts; a checkpoint, which is locked. And a catalogue."""
    models = home / "models"
    (models / "check").mkdir(parents=True)
    (models / "one.gguf").write_bytes(content(5000 * scale, 1))
    for part in (1, 2, 3):
        name = f"two-Q4_K_M-{part:05d}-of-00003.gguf"
        (models / name).write_bytes(content(1500 * scale + part, 10 + part))
    parts = []
    for name, data in (
        ("model.safetensors", content(3000 * scale, 20)),
        ("config.json", b"{}"),
        ("tokenizer_config.json", b"{}"),
    ):
        (models / "check" / name).write_bytes(data)
        parts.append(Part(file=f"check/{name}", size=len(data), sha256=sha256(data), fetched=True))
    with at(home):
        locks.write(
            Lock(
                name="check",
                kind="import",
                form="safetensors",
                parts=tuple(parts),
                repository="a/check",
                revision="0" * 40,
                source="/somewhere/else",
                how="copy",
            )
        )
    (home / "models.toml").write_text(OWN)


def wheels(folder: Path) -> Path:
    """A folder with two wheels that are none."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / WHEEL).write_bytes(b"wheel" * 100)
    (folder / "engine").mkdir(exist_ok=True)
    (folder / "engine" / ENGINE).write_bytes(b"engine" * 200)
    return folder


def pack(
    home: Path,
    target: Path,
    names: Sequence[str] = (),
    *,
    wheels: Path | None = None,
    split: int | None = None,
    key: SigningKey | None = None,
) -> Path:
    """A bundle of what is at a home."""
    with at(home):
        bundle.create(target, names, catalogue(), wheels=wheels, split=split, key=key)
    return target


def install(archive: Path, home: Path, key: PublicKey | None = None) -> bundle.Installed:
    """Install a bundle at a home."""
    with at(home), bundle.open_bundle(archive, key) as opened:
        return bundle.install(bundle.plan(opened))


def finals(archive: Path, home: Path) -> dict[Path, str]:
    """Where the files of a bundle go, and their sha256; locks are left out."""
    with at(home), bundle.open_bundle(archive) as opened:
        planned = bundle.Installation(opened, frozenset(), 0)
        return {
            planned.final(entry.path): entry.sha256
            for entry in opened.manifest.files
            if not entry.path.endswith(form.LOCK_SUFFIX)
        }


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def faults(home: Path, right: dict[Path, str]) -> list[str]:
    """What a home has that it must not have: files under their names with wrong bytes, files
    that nobody told of, models that are registered and not complete."""
    found = []
    for path in home.rglob("*"):
        if not path.is_file() or ".installing" in path.parts or path.suffix == ".tmp":
            continue
        if path.name.startswith("ponder-bundle.") or path == home / "models.toml":
            continue
        if path.name.endswith(form.LOCK_SUFFIX):
            continue
        if right.get(path) != sha256(path.read_bytes()):
            found.append(f"wrong: {path}")
    with at(home):
        for lock in locks.read_all().values():
            for part in lock.parts:
                place = lock.place(part)
                if not place.is_file() or sha256(place.read_bytes()) != part.sha256:
                    found.append(f"locked and not there: {place}")
    for first in (home / "models").glob("*-00001-of-00003.gguf"):
        if not all(Path(str(first).replace("-00001-", f"-0000{n}-")).is_file() for n in (2, 3)):
            found.append(f"half: {first}")
    return found


def is_complete(home: Path, right: dict[Path, str]) -> bool:
    """Whether all of a bundle is there, and nothing else is left."""
    with at(home):
        named = set(locks.read_all())
    return (
        not faults(home, right)
        and all(path.is_file() for path in right)
        and named == {"one", "two-Q4_K_M", "check"}
        and not (home / "models" / ".installing").exists()
    )


@dataclass
class Archive:
    """A bundle's members, to be changed and put together again."""

    manifest: dict[str, object]
    members: list[tuple[bytes, bytes]]
    """Header and content of what follows the manifest."""

    @classmethod
    def of(cls, path: Path) -> Archive:
        data = path.read_bytes()
        with bundle.open_bundle(path) as opened:
            members = [(place.head, data[place.data : place.end]) for place in opened.layout.files]
            manifest = msgspec.json.decode(opened.raw)
        return cls(manifest, members)

    def write(self, path: Path) -> Path:
        raw = msgspec.json.format(msgspec.json.encode(self.manifest), indent=1) + b"\n"
        sums = form.checksum(raw)
        first = [(form.MANIFEST, raw), (form.CHECKSUM, sums)]
        blocks = [(layout.header(name, len(data)), data) for name, data in first] + self.members
        path.write_bytes(b"".join(h + c + bytes(-len(c) % 512) for h, c in blocks) + bytes(1024))
        return path

    @property
    def files(self) -> list[dict[str, object]]:
        files = self.manifest["files"]
        assert isinstance(files, list)
        return files

    def number(self, ending: str) -> int:
        """Which member has a path that ends so."""
        return next(n for n, f in enumerate(self.files) if str(f["path"]).endswith(ending))

    def insert(self, at: int, path: str, data: bytes, kind: bytes = tarfile.REGTYPE) -> None:
        """Add a member that the manifest does not tell of."""
        self.members.insert(at, (raw_header(path, len(data), kind), data))

    def add(self, at: int, path: str, data: bytes) -> None:
        """Add a member, and tell of it."""
        self.members.insert(at, (layout.header(path, len(data)), data))
        self.files.insert(at, {"path": path, "size": len(data), "sha256": sha256(data)})


def raw_header(path: str, size: int, kind: bytes = tarfile.REGTYPE, link: str = "") -> bytes:
    """A header as tar writes it."""
    info = tarfile.TarInfo(path)
    info.size, info.type, info.linkname = size, kind, link
    return info.tobuf(tarfile.USTAR_FORMAT)
