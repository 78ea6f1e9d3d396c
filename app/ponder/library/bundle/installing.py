"""`ponder bundle install`: a bundle -> the models folder, each file right or not there.

Knows the order in which things are written. A file is hashed while it is written under another
name, and gets its own when its hash was right; a model's files get their names when all of them
are there, and then it is locked. Where files go, and what is in their way, `planning` knows.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from ponder import paths
from ponder.alone import alone
from ponder.catalogue import shipped
from ponder.errors import BadBundle, LibraryError, NoRoom
from ponder.library import lock as locks
from ponder.library import telling
from ponder.library.bundle import form, staging
from ponder.library.bundle.events import Tell, nothing
from ponder.library.bundle.layout import Place
from ponder.library.bundle.opening import Progress
from ponder.library.bundle.planning import Installation, keys_of, plan, see_free
from ponder.library.bundle.volumes import sync_folder
from ponder.library.lock import Lock
from ponder.library.watching import Noted


@dataclass(slots=True)
class Installed:
    """What was done."""

    models: list[str] = field(default_factory=list)
    """Names of the models that are here now, those that were here before too."""
    written: int = 0
    """Bytes; what an interrupted install had left is not among them."""
    wheels: Path | None = None
    """Where the wheels are; None if there are none."""
    catalogue: Path | None = None
    """The user's catalogue that came with it, if it is in use now."""


def install(planned: Installation, tell: Tell = nothing) -> Installed:
    """Do it; after any interruption the same goes on where it was.

    Raises:
        Busy: another ponder installs here.
        BadBundle: a file is damaged; what came before it is here and stays.
        NoRoom: the disk is full; what was written is gone on from.
        LibraryError: something cannot be read or written.
    """
    try:
        with _alone():
            # Whoever was here before may have done some of it, or something else.
            run = _Run(plan(planned.bundle, tell), tell)
            run.all()
            done = run.done
            _rest(planned, done, tell)
    except OSError as error:
        raise _unwritable(error) from error
    return done


class _Run:
    """One install, file after file in the order of the archive."""

    def __init__(self, planned: Installation, tell: Tell) -> None:
        self.planned = planned
        self.done = Installed()
        self._bundle = planned.bundle
        self._entries = planned.bundle.entries
        self._keys = keys_of(planned.bundle.manifest)
        self._locks: dict[str, Lock] = {}
        self._progress = Progress("installing", planned.size, tell)

    def all(self) -> None:
        """Everything."""
        models = self._bundle.manifest.models
        locked = {model.lock: model for model in models}
        left = {model.name: len(model.files) for model in models}
        owner = {path: model for model in models for path in model.files}
        for place in self._bundle.layout.files:
            if place.path in locked:
                model = locked[place.path]
                self._locks[model.name] = self._lock(place, model)
                continue
            if place.path not in self.planned.here:
                self._grow(place)
            if place.path in owner:
                model = owner[place.path]
                left[model.name] -= 1
                if not left[model.name]:
                    self._register(model)
            elif place.path not in self.planned.here:
                staging.place(self._keys[place.path], self.planned.final(place.path))
        self._progress.end()

    def _lock(self, place: Place, model: form.Bundled) -> Lock:
        """A model's lock, which has to agree with the manifest."""
        data = b"".join(bytes(chunk) for chunk in self._bundle.chunks(place))
        problem = self._bundle.problem(place, hashlib.sha256(data).hexdigest())
        if problem is not None:
            raise problem.error
        if place.path not in self.planned.here:
            self._progress.more(place.path, place.size)
        try:
            lock = msgspec.json.decode(data, type=Lock)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise BadBundle(
                f"{place.path} is no lock file that this ponder can read: {error}.",
                "Ask whoever packed it for another bundle.",
            ) from error
        told = tuple((f"models/{part.file}", part.size, part.sha256) for part in lock.parts)
        right = tuple((p, self._entries[p].size, self._entries[p].sha256) for p in model.files)
        if (lock.name, lock.kind, told) != (model.name, "import", right):
            raise BadBundle(
                f"{place.path} contradicts the manifest of its bundle.",
                "Do not use it. Ask whoever packed it for another.",
            )
        return lock

    def _grow(self, place: Place) -> None:
        """Write a file under its temporary name, and see that it is right."""
        key = self._keys[place.path]
        sha256 = hashlib.sha256()
        with staging.Growing(key) as file:
            for chunk in self._bundle.chunks(place):
                file.put(chunk)
                sha256.update(chunk)
                self._progress.more(place.path, len(chunk))
            problem = self._bundle.problem(place, sha256.hexdigest())
            if problem is None:
                file.settle()
        self.done.written += file.written
        if problem is not None:
            staging.forget(key)
            raise problem.error

    def _register(self, model: form.Bundled) -> None:
        """All files of a model are ready: give them their names, then lock it."""
        lock = self._locks[model.name]
        self.done.models.append(model.name)
        if {model.lock, *model.files} <= self.planned.here:
            return
        old = locks.read(model.name)
        before = {part.file: part for part in old.parts} if old is not None else {}
        parts = []
        # The first part last: it is what makes others take the rest for a model.
        for path, part in reversed(list(zip(model.files, lock.parts, strict=True))):
            final, key = self.planned.final(path), self._keys[path]
            known = before.get(part.file)
            if path not in self.planned.here:
                see_free(final, known)
                staging.mark(key)
                staging.place(key, final)
            ours = staging.is_marked(key) or (known is not None and known.fetched)
            checked = final.stat().st_mtime_ns
            parts.append(msgspec.structs.replace(part, fetched=ours, checked=checked))
        locks.write(
            msgspec.structs.replace(
                lock,
                parts=tuple(reversed(parts)),
                source=str(Path(self._bundle.name).absolute()),
            )
        )
        sync_folder(paths.models_dir())
        for path in model.files:
            staging.unmark(self._keys[path])


def _rest(planned: Installation, done: Installed, tell: Tell) -> None:
    """What comes after the files: the user's catalogue, and the end."""
    manifest = planned.bundle.manifest
    if any(entry.path.startswith("wheels/") for entry in manifest.files):
        done.wheels = planned.folder / "wheels"
    if any(entry.path == form.USERS for entry in manifest.files):
        done.catalogue = _catalogue(planned.final(form.USERS), tell)
    planned.folder.mkdir(parents=True, exist_ok=True)
    bundle = planned.bundle
    for name, data in ((form.SIGNATURE, bundle.signature), (form.MANIFEST, bundle.raw)):
        if data:
            part = planned.folder / f".{name}.tmp"
            part.write_bytes(data)
            part.replace(planned.folder / name)
    for key in keys_of(manifest).values():
        # Of files that somebody else put there meanwhile.
        staging.forget(key)
        staging.unmark(key)
    count, size = staging.left_behind()
    if count:
        tell(
            Noted(
                f"{telling.size(size)} of other installs that were interrupted are left in "
                f"{staging.folder()}: go on with them, or delete it."
            )
        )


def _catalogue(came: Path, tell: Tell) -> Path | None:
    """Use the user's catalogue that came, if there is none here and it can be read."""
    own = paths.user_catalogue()
    if os.path.lexists(own):
        if own.read_bytes() != came.read_bytes():
            tell(Noted(f"You have a catalogue of your own; the one that came is {came}."))
            return None
        return own
    problem = shipped().with_file(came).problem
    if problem is not None:
        tell(Noted(f"The catalogue that came is not used: {problem.message}"))
        return None
    own.parent.mkdir(parents=True, exist_ok=True)
    part = own.with_name(f".{own.name}.{os.getpid()}.tmp")
    try:
        shutil.copyfile(came, part)
        part.replace(own)
    finally:
        part.unlink(missing_ok=True)
    return own


@contextmanager
def _alone() -> Iterator[None]:
    """No other ponder installs here."""
    try:
        with alone(staging.folder() / staging.LOCK, f"installing into {paths.models_dir()}"):
            yield
    finally:
        staging.clean()


def _unwritable(error: OSError) -> LibraryError:
    where = error.filename or paths.models_dir()
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return NoRoom(
            f"There is no room left for {where}.",
            "Make some, and say the same again: what was written is gone on from.",
        )
    return LibraryError(
        f"{where} cannot be written: {error.strerror or error}.",
        "See to its permissions, or let PONDER_HOME name another place.",
    )
