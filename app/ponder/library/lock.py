"""Lock files: what was fetched or imported, from where, and what it has to hash to.

One JSON file a model in the models folder, `<name>.lock.json`. What nobody pinned is written
down here when it is first resolved, and checked from then on. Knows the form of the file and
where its parts are; fetches, hashes and deletes nothing. Locks may come from elsewhere, so a
path in one never leads out of its folder.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from ponder import paths
from ponder.errors import LibraryError
from ponder.library import hfcache

SUFFIX = ".lock.json"
_LARGEST = 1 << 20
"""Bytes; R1 in bf16 has 163 parts, which is 30 kB."""
_Name = Annotated[str, msgspec.Meta(pattern=r"^\w[\w.@+ -]*\Z", max_length=200)]
_Inside = Annotated[
    str, msgspec.Meta(pattern=r"^(?![/~])(?!(.*/)?\.\.?(/|$))[^\\\x00-\x1f:]+\Z", max_length=1000)
]
_Sha256 = Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{64})?\Z")]
_Etag = Annotated[str, msgspec.Meta(pattern=r"^([\w-]{1,128})?\Z")]


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of a model."""

    file: _Inside
    """Path inside the repository; of an import, inside the models folder."""
    size: Annotated[int, msgspec.Meta(ge=0)]
    """Bytes."""
    sha256: _Sha256 = ""
    """64 hexadecimal digits; empty until it has come, where the hub names another hash."""
    etag: _Etag = ""
    """What the hub calls its content, and the cache the blob: the sha256, or git's sha1."""
    fetched: bool = False
    """Whether ponder put the file there; what it found is not its to delete."""
    checked: int = 0
    """When the file was last changed, in ns since 1970, as it was when its hash was right; 0 if
    it was never right or is known to be wrong."""


class Lock(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One model in the models folder that ponder knows the origin of."""

    name: _Name
    """What it is called here."""
    kind: Literal["hub", "import"]
    """Where it came from."""
    parts: Annotated[tuple[Part, ...], msgspec.Meta(min_length=1)]
    """Its files; of a split GGUF the first part first."""
    form: Literal["gguf", "safetensors"] = "gguf"
    """What the files are."""
    version: Literal[1] = 1
    """Of this form of file."""
    repository: Annotated[str, msgspec.Meta(pattern=r"^(\w[\w.-]*/\w[\w.-]*)?\Z")] = ""
    """owner/name on the hub."""
    asked: Annotated[str, msgspec.Meta(pattern=r"^(?![/.])(?!.*\.\.)[\w./-]*\Z")] = ""
    """The branch, tag or commit that was asked for."""
    revision: Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{40})?\Z")] = ""
    """The commit that it was then."""
    endpoint: str = ""
    """The hub or mirror that was asked first."""
    cache: str = ""
    """The Hugging Face cache that the files are in."""
    source: str = ""
    """Of an import: the path it came from, or the checkpoint, owner/repo@commit."""
    how: Literal["", "copy", "symlink", "hardlink", "quantized"] = ""
    """Of an import: what was made of that path, or that ponder made it of a checkpoint."""

    def place(self, part: Part) -> Path:
        """Where a part is, or will be."""
        if self.kind == "hub":
            return hfcache.snapshot(Path(self.cache), self.repository, self.revision, part.file)
        return paths.models_dir() / part.file

    @property
    def path(self) -> Path:
        """What to load: the file, its first part, or the folder of a checkpoint."""
        first = self.place(self.parts[0])
        return first if self.form == "gguf" else paths.models_dir() / self.name

    @property
    def here(self) -> bool:
        """Whether all parts are there in their sizes."""
        return all(_size(self.place(part)) == part.size for part in self.parts)

    @property
    def size(self) -> int:
        """Bytes, of all parts."""
        return sum(part.size for part in self.parts)

    def with_part(self, part: Part) -> Lock:
        """This lock, with what is now known of one of its files."""
        parts = tuple(part if old.file == part.file else old for old in self.parts)
        return msgspec.structs.replace(self, parts=parts)


def file_of(name: str) -> Path:
    """Where the lock of that name is kept."""
    return paths.models_dir() / f"{name}{SUFFIX}"


def read(name: str) -> Lock | None:
    """The lock of that name; None where there is none.

    Raises:
        LibraryError: it cannot be read, or is none.
    """
    path = file_of(name)
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: no name of a file
        return None
    except OSError as error:
        raise LibraryError(
            f"{path} cannot be read: {error.strerror}.", "See to its permissions."
        ) from error
    try:
        lock = msgspec.json.decode(data, type=Lock)
        if lock.name != name:
            raise msgspec.ValidationError(f"it calls itself {lock.name}")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise LibraryError(
            f"{path} is no lock file that this ponder can read: {error}.",
            "Remove it and pull the model again: what is already here is not fetched twice.",
        ) from error
    return lock


def read_all() -> dict[str, Lock]:
    """All locks that can be read, by name. One that cannot is left out."""
    found = {}
    try:
        names = sorted(os.listdir(paths.models_dir()))  # noqa: PTH208
    except OSError:
        return {}
    for name in names:
        if name.endswith(SUFFIX) and not name.startswith("."):
            try:
                lock = read(name[: -len(SUFFIX)])
            except LibraryError:
                continue
            if lock is not None:
                found[lock.name] = lock
    return found


def write(lock: Lock) -> None:
    """Keep a lock: what was there before stays until the new one is complete.

    Raises:
        OSError: it cannot be written.
        LibraryError: what stands in it could not be read again.
    """
    data = msgspec.json.format(msgspec.json.encode(lock), indent=1) + b"\n"
    try:
        msgspec.json.decode(data, type=Lock)
    except msgspec.ValidationError as error:
        raise LibraryError(f"{lock.name} cannot be written down: {error}.") from error
    path = file_of(lock.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def remove(name: str) -> None:
    """Forget a lock; its files stay."""
    file_of(name).unlink(missing_ok=True)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1
