"""A text -> a file, whole or not at all. Knows files; nothing of what is in them."""

from __future__ import annotations

import os
from pathlib import Path

from ponder.errors import InputError


def check(target: Path, force: bool) -> None:
    """See that a document may be written there, before any work is done.

    Raises:
        InputError: its folder is not there, it is a folder, or it is there and not to be
            overwritten.
    """
    if target.is_dir():
        raise InputError(f"{target} is a folder.", "Name a file in it.")
    if not target.parent.is_dir():
        raise InputError(f"There is no folder {target.parent}.", "Make it first.")
    if target.is_file() and not force:
        raise InputError(f"{target} is already there.", "Say --force to overwrite it.")


def write(target: Path, text: str) -> None:
    """Write a document: what was there before stays until the new one is complete.

    Raises:
        OSError: it cannot be written; what was there before is untouched.
    """
    data = text.encode("utf-8")
    if target.exists() and not target.is_file():
        # A pipe or a device: there is nothing to be replaced.
        target.write_bytes(data)
        return
    # A link stays a link: what it leads to is replaced.
    whole = target.resolve()
    part = whole.with_name(f".{whole.name[:200]}.{os.getpid()}.tmp")
    try:
        with part.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(whole)
    finally:
        part.unlink(missing_ok=True)
