"""A model's file inside an installed Python package: where it is, whether it is the right one.

Finds a package without importing it: what is wanted is a file in its folder, none of its code.
Which package that is, the catalogue says.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from importlib.util import find_spec
from pathlib import Path

from ponder import paths
from ponder.catalogue import Package
from ponder.errors import LibraryError, WrongBytes
from ponder.library.hashing import digests


def place(package: Package) -> Path | None:
    """Where a package's file is; None if it is not installed, or has no such file."""
    try:
        spec = find_spec(package.module)
    except (ImportError, ValueError):
        return None
    folders = spec.submodule_search_locations if spec is not None else None
    files = (Path(folder) / package.file for folder in folders or ())
    return next((file for file in files if file.is_file()), None)


def remedy(package: Package) -> str:
    """How it is installed, for each way in which ponder may have been."""
    whole = f"ponder[{package.extra}]" if package.extra else package.name
    return f"pipx inject ponder {package.name}, or: pip install '{whole}'"


def see_that_it_is_right(package: Package, path: Path) -> None:
    """Hash a package's file, unless it was right before and has not been touched since.

    Raises:
        WrongBytes: it is not what the catalogue says.
        LibraryError: it cannot be read.
    """
    if not package.sha256:
        return
    try:
        stat = path.stat()
        state = f"{path.resolve()} {stat.st_size} {stat.st_mtime_ns} {package.sha256}"
        mark = paths.cache_dir() / "checked" / hashlib.sha256(os.fsencode(state)).hexdigest()
        if mark.exists():
            return
        found, _ = digests(path, path.name)
    except OSError as error:
        raise LibraryError(
            f"{path} cannot be read: {error.strerror}.", "See to its permissions."
        ) from error
    if found != package.sha256:
        raise WrongBytes(
            f"{path.name} of the package {package.name} is not the file that is meant: its sha256 "
            f"is {found[:12]}… and has to be {package.sha256[:12]}….",
            f"Install {package.name} again, or another version of it.",
        )
    with contextlib.suppress(OSError):  # where nothing can be remembered, it is hashed each time
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
