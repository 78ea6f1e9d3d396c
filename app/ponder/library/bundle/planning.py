"""What installing a bundle means on this machine; nothing is done yet.

Knows where the files of a bundle go, what of them is here already, and what is in their way:
all that can be refused before a byte is written. Nothing that somebody else put here is ever
to be written over.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from ponder import paths
from ponder.errors import InputError, LibraryError, NoRoom
from ponder.library import lock as locks
from ponder.library import telling
from ponder.library.bundle import form, staging
from ponder.library.bundle.events import Tell, nothing, of_hashing
from ponder.library.bundle.opening import Bundle
from ponder.library.hashing import digests

_SPARE = 1 << 20
"""Bytes for folders and locks."""


@dataclass(frozen=True, slots=True)
class Installation:
    """What installing a bundle means here; nothing is done yet."""

    bundle: Bundle
    here: frozenset[str]
    """Paths inside the archive of files that are here already, and right."""
    have: int
    """Bytes of the others that an interrupted install has left."""

    @property
    def size(self) -> int:
        """Bytes to be written, those of an interrupted install included."""
        return sum(e.size for e in self.bundle.manifest.files if e.path not in self.here)

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the models that are not here yet."""
        found = self.bundle.manifest.models
        return tuple(m.name for m in found if not {m.lock, *m.files} <= self.here)

    @property
    def folder(self) -> Path:
        """Where goes what is no model: a folder of this bundle's own."""
        return paths.models_dir().parent / "bundles" / self.bundle.id[:12]

    def final(self, path: str) -> Path:
        """Where a file goes, by its path inside the archive."""
        first, _, rest = path.partition("/")
        return paths.models_dir() / rest if first == "models" else self.folder / path


def plan(bundle: Bundle, tell: Tell = nothing) -> Installation:
    """See what is here already, and whether the rest can be put here.

    Raises:
        InputError: something else has a name that the bundle needs.
        NoRoom: it does not fit.
        LibraryError: something that is here cannot be read.
    """
    empty = Installation(bundle, frozenset(), 0)
    entries, keys = bundle.entries, keys_of(bundle.manifest)
    here: set[str] = set()
    try:
        for model in bundle.manifest.models:
            here |= _model_here(empty, model, entries, tell)
        for entry in bundle.manifest.files:
            place = empty.final(entry.path)
            if not entry.path.startswith("models/") and _is(place, entry, tell):
                here.add(entry.path)
        missing = [entry for path, entry in entries.items() if path not in here]
        have = sum(min(entry.size, staging.grown(keys[entry.path])) for entry in missing)
        _room(sum(entry.size for entry in missing) - have)
    except OSError as error:
        raise LibraryError(
            f"{error.filename or paths.models_dir()} cannot be read: {error.strerror}.",
            "See to its permissions.",
        ) from error
    return Installation(bundle, frozenset(here), have)


def keys_of(manifest: form.Manifest) -> dict[str, str]:
    """What each file is called while it grows, by its path inside the archive."""
    keys: dict[str, str] = {}
    seen: Counter[str] = Counter()
    for entry in manifest.files:
        again = seen[entry.sha256]
        keys[entry.path] = f"{entry.sha256}-{again + 1}" if again else entry.sha256
        seen[entry.sha256] += 1
    return keys


def _model_here(
    planned: Installation, model: form.Bundled, entries: dict[str, form.Entry], tell: Tell
) -> set[str]:
    """What of a model is here already.

    Raises:
        InputError: something else has its name, or that of one of its files.
    """
    lock = locks.read(model.name)
    wanted = [(entries[path].size, entries[path].sha256) for path in model.files]
    if lock is not None and [(part.size, part.sha256) for part in lock.parts] != wanted:
        raise InputError(
            f"{model.name} is another model here already.",
            f"`ponder rm {model.name}` makes room for it, if you want that one gone.",
        )
    same = lock is not None and [f"models/{part.file}" for part in lock.parts] == [*model.files]
    if lock is not None and (lock.kind == "hub" or not same):
        if not lock.here:
            raise InputError(
                f"{model.name} is known here, and not complete.",
                f"`ponder rm {model.name}` forgets it.",
            )
        # In the Hugging Face cache, or under other names: what is here need not be here twice.
        return {model.lock, *model.files}
    known = {f"models/{part.file}": part for part in lock.parts} if lock is not None else {}
    here: set[str] = set()
    for path in model.files:
        entry, final, part = entries[path], planned.final(path), known.get(path)
        if final.parent.is_symlink() and final.parent != paths.models_dir():
            raise InputError(
                f"{final.parent} is a link.", "Move it away: nothing is put behind it."
            )
        settled = part is not None and part.checked and _stamp(final) == (part.size, part.checked)
        if settled or _is(final, entry, tell):
            here.add(path)
        else:
            see_free(final, part)
    if lock is not None and here.issuperset(model.files):
        here.add(model.lock)
    return here


def see_free(final: Path, part: locks.Part | None) -> None:
    """See that nothing of somebody else's is where a file goes.

    Raises:
        InputError: something is.
    """
    # What ponder put there itself, and is not right any more, is written again.
    if os.path.lexists(final) and (part is None or not part.fetched or final.is_symlink()):
        raise InputError(
            f"{final} is in the way: it is another file.",
            "Move it away, or give it a name: `ponder import --name`.",
        )


def _is(place: Path, entry: form.Entry, tell: Tell) -> bool:
    """Whether a file is there, and right."""
    if _stamp(place)[0] != entry.size or not place.is_file():
        return False
    return digests(place, place.name, of_hashing(tell))[0] == entry.sha256


def _stamp(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return -1, -1
    return stat.st_size, stat.st_mtime_ns


def _room(missing: int) -> None:
    place = paths.models_dir()
    while not place.exists() and place != place.parent:
        place = place.parent
    free = shutil.disk_usage(place).free
    if missing > 0 and missing + _SPARE > free:
        raise NoRoom(
            f"{telling.size(missing)} are to be installed, and {paths.models_dir()} has room for "
            f"{telling.size(free)}.",
            "Make room (`ponder rm`), or let PONDER_HOME name another disk.",
        )
