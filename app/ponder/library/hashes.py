"""The sha256 of weights, each file read once: remembered by its size, time and inode.

What a lock file or an earlier reading tells costs nothing. Else a thread reads the file while
nothing else is to be done; whoever needs the hash meanwhile goes without. Knows files and what
was remembered of them; nothing of models.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import msgspec

from ponder import paths
from ponder.gguf_header import parts
from ponder.library import lock
from ponder.provenance import File

_BLOCK = 1 << 20
_REMEMBERED = 256
"""Files: the latest ones."""
_PAUSE = 0.1
"""Seconds between two looks whether there is time again."""


def files_of(path: Path) -> tuple[File, ...]:
    """The files of a model as they lie there, with the hashes that are known.

    Args:
        path: a GGUF, or the first part of a split one.

    Raises:
        OSError: one of them is not there.
    """
    found = []
    for part in parts(path):
        place = part.resolve()
        seen = place.stat()
        found.append(File(str(place), seen.st_size, seen.st_mtime_ns, seen.st_ino))
    hashes = zip(found, known(found), strict=True)
    return tuple(replace(file, sha256=told) for file, told in hashes)


def known(files: Iterable[File]) -> list[str]:
    """The hash of each file, as it was then; empty where nobody has read it since."""
    remembered, locked = _remembered(), None
    found = []
    for file in files:
        told = file.sha256 or remembered.get(_key(file), "")
        if not told:
            locked = _locked() if locked is None else locked
            told = locked.get((file.path, file.size, file.modified), "")
        found.append(told)
    return found


def learn(files: Iterable[File], busy: Callable[[], bool] = lambda: False) -> None:
    """Read what is not known, and remember it; takes as long as that takes.

    A file that is not what it was, or that cannot be read, is passed over.

    Args:
        files: as they were loaded.
        busy: whether something else is to be done first; asked before every piece.
    """
    files = list(files)
    for file, told in zip(files, known(files), strict=True):
        if not told:
            with suppress(OSError):
                _remember(file, _read(file, busy))


def learn_aside(files: Iterable[File], busy: Callable[[], bool]) -> threading.Thread | None:
    """Do that on a thread which nobody waits for; None where all is known."""
    files = tuple(files)
    if all(known(files)):
        return None
    thread = threading.Thread(target=learn, args=(files, busy), name="ponder-hashing", daemon=True)
    thread.start()
    return thread


def _read(file: File, busy: Callable[[], bool]) -> str:
    """Raises OSError: it cannot be read, or was changed meanwhile."""
    found = hashlib.sha256()
    buffer = memoryview(bytearray(_BLOCK))
    with Path(file.path).open("rb", buffering=0) as stream:
        while True:
            while busy():
                time.sleep(_PAUSE)
            count = stream.readinto(buffer)
            if not count:
                break
            found.update(buffer[:count])
        seen = os.fstat(stream.fileno())
    if (seen.st_size, seen.st_mtime_ns, seen.st_ino) != (file.size, file.modified, file.inode):
        raise OSError("it is another file now")
    return found.hexdigest()


def _key(file: File) -> str:
    return f"{file.path}\n{file.size} {file.modified} {file.inode}"


def _file() -> Path:
    return paths.cache_dir() / "hashes.json"


def _remembered() -> dict[str, str]:
    with suppress(OSError, msgspec.DecodeError):
        return msgspec.json.decode(_file().read_bytes(), type=dict[str, str])
    return {}


def _locked() -> dict[tuple[str, int, int], str]:
    """What lock files tell of files that were right when they were last looked at."""
    found = {}
    for one in lock.read_all().values():
        for part in one.parts:
            if part.sha256 and part.checked:
                place = str(one.place(part).resolve())
                found[place, part.size, part.checked] = part.sha256
    return found


def _remember(file: File, sha256: str) -> None:
    """Beside its place first, and moved there: no reader ever sees half of it.

    Raises:
        OSError: it cannot be written.
    """
    found = _remembered()
    found.pop(_key(file), None)
    found[_key(file)] = sha256
    target = _file()
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(msgspec.json.encode(dict(list(found.items())[-_REMEMBERED:])))
            stream.flush()
            os.fsync(handle)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
