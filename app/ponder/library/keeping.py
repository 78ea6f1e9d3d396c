"""What is here: is it still what it has to be, and how does it go away again.

Knows locks, and what in the Hugging Face cache is ponder's to delete: a file that ponder
fetched, that no other lock stands for. Deletes through huggingface_hub's own strategy, which
keeps what other revisions use. Everything else on this disk is somebody else's.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ponder import paths
from ponder.errors import LibraryError
from ponder.library import hfcache
from ponder.library import lock as locks
from ponder.library.fetching import unwritable
from ponder.library.hashing import digests
from ponder.library.hub import library
from ponder.library.lock import Lock, Part
from ponder.library.watching import Tell, nothing

_BLOB = re.compile(r"^(?:sha256-)?([0-9a-f]{64})$")
"""What a store calls a file by its content: the Hugging Face cache, Ollama."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one file stands."""

    name: str
    """Of the model."""
    path: Path
    expected: str
    """sha256; empty if nobody knows what it has to be."""
    found: str
    """sha256; empty if the file is not there or cannot be read."""
    why: str = ""
    """What kept it from being read."""

    @property
    def right(self) -> bool:
        """Whether it is what it has to be, as far as anybody knows."""
        return bool(self.found) and self.expected in ("", self.found)

    @property
    def about(self) -> str:
        """What else is to be said of it; empty where all is well."""
        if self.why:
            return self.why
        if not self.right:
            return f"sha256 is {self.found}, and has to be {self.expected}"
        if not self.expected:
            return f"nobody says what it has to be; its sha256 is {self.found}"
        return ""


def verify(lock: Lock, tell: Tell = nothing) -> list[Verdict]:
    """Hash all files of a model, and write down what was found.

    Raises:
        OSError: the lock cannot be written.
    """
    verdicts = []
    for part in lock.parts:
        verdict = judged(lock.name, lock.place(part), part.sha256, tell)
        verdicts.append(verdict)
        checked = verdict.path.stat().st_mtime_ns if verdict.right and verdict.expected else 0
        if checked != part.checked:
            lock = lock.with_part(msgspec.structs.replace(part, checked=checked))
    if lock != locks.read(lock.name):
        with contextlib.suppress(PermissionError):  # somebody else's: the verdict is still one
            locks.write(lock)
    return verdicts


def judged(name: str, path: Path, expected: str = "", tell: Tell = nothing) -> Verdict:
    """Hash one file; where nobody says what it has to be, a store may call it by its hash."""
    try:
        real = path.resolve()
        by_name = _BLOB.match(real.name)
        expected = expected or (by_name[1] if by_name else "")
        found, _ = digests(path, path.name, tell)
    except OSError as error:
        return Verdict(name, path, expected, "", error.strerror or str(error))
    return Verdict(name, path, expected, found)


@dataclass(frozen=True, slots=True)
class Removal:
    """What goes away with a model, and what stays."""

    lock: Lock
    goes: tuple[Part, ...]
    stays: tuple[tuple[Path, str], ...]
    """Files that are left alone, and why."""

    @property
    def size(self) -> int:
        """Bytes of what goes; another revision may share them and keep them."""
        return sum(part.size for part in self.goes)

    def lines(self) -> list[str]:
        """What a user has to know before it is done, file by file."""
        told = [str(self.lock.place(part)) for part in self.goes]
        told += [f"{path} stays: {why}" for path, why in self.stays]
        if self.lock.kind == "hub" and self.goes:
            told.append(
                "It is in the Hugging Face cache: other programs that use it would have to fetch "
                "it again."
            )
        return told


def removal(lock: Lock) -> Removal:
    """What removing a model means; nothing is done yet."""
    goes, stays = [], []
    others = {
        other.place(part): other.name
        for other in locks.read_all().values()
        if other.name != lock.name
        for part in other.parts
    }
    for part in lock.parts:
        place = lock.place(part)
        if not place.exists() and not place.is_symlink():
            continue
        if place in others:
            stays.append((place, f"{others[place]} is the same file"))
        elif lock.kind == "hub" and not part.fetched:
            stays.append((place, "it was in the Hugging Face cache before ponder came"))
        elif lock.kind == "import" and not part.fetched:
            stays.append((place, "ponder did not put it there"))
        else:
            goes.append(part)
    return Removal(lock, tuple(goes), tuple(stays))


def remove(plan: Removal) -> None:
    """Do it.

    Raises:
        LibraryError: something cannot be deleted; the lock stays.
    """
    lock = plan.lock
    try:
        if lock.kind == "hub":
            _forget_partials(lock)
            _from_cache(lock, plan.goes)
        else:
            for part in plan.goes:
                lock.place(part).unlink(missing_ok=True)
            if lock.form == "safetensors" and lock.path.is_dir() and not any(lock.path.iterdir()):
                lock.path.rmdir()
        locks.remove(lock.name)
    except OSError as error:
        raise unwritable(error, paths.models_dir()) from error


def _from_cache(lock: Lock, parts: tuple[Part, ...]) -> None:
    if not parts:
        return
    library()
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    places = {lock.place(part) for part in parts}
    try:
        found = scan_cache_dir(lock.cache)
    except CacheNotFound:
        return
    ours = [repo for repo in found.repos if repo.repo_id == lock.repository]
    files = [
        file
        for repo in ours
        for revision in repo.revisions
        for file in revision.files
        if file.file_path in places
    ]
    if len(files) < len(places):
        raise LibraryError(
            f"The Hugging Face cache in {lock.cache} is damaged around {lock.repository}.",
            "`hf cache verify` may say more; nothing was deleted.",
        )
    everything = {file.file_path for repo in ours for r in repo.revisions for file in r.files}
    if everything == places:
        # Nothing else of that repository is here: its folder goes with it.
        found.delete_revisions(*(r.commit_hash for repo in ours for r in repo.revisions)).execute()
    else:
        found.delete_files(*files).execute()


def _forget_partials(lock: Lock) -> None:
    for part in lock.parts:
        if part.etag and part.fetched:
            partial = hfcache.incomplete(Path(lock.cache), lock.repository, part.etag)
            partial.unlink(missing_ok=True)
