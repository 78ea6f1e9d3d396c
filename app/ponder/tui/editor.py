"""A text in the user's own editor, and back. Knows the environment and a file for as long as that
takes; whoever calls has given up the terminal."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

from ponder.errors import InputError

USUAL = ("sensible-editor", "nano", "vim", "vi", "notepad")
"""What is tried where nobody says, in this order."""
_HINT = "VISUAL or EDITOR in the environment says which it is: export VISUAL=nano"


def edited(text: str) -> str:
    """What somebody made of a text in their editor.

    Raises:
        InputError: there is no editor, or it failed; what it wrote is kept, and where is told.
    """
    said = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    try:
        command = shlex.split(said) if said else [next(filter(None, map(shutil.which, USUAL)), "")]
    except ValueError as error:
        raise InputError(f"The editor {said!r} is no command: {error}.", _HINT) from error
    if not command or not command[0]:
        raise InputError("No editor is known here.", _HINT)
    handle, name = tempfile.mkstemp(prefix="ponder-", suffix=".md")
    path, kept = Path(name), False
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode("utf-8", "surrogateescape"))
        try:
            code = subprocess.call([*command, name])
            new = path.read_bytes().decode("utf-8", "surrogateescape")
        except OSError as error:
            raise InputError(
                f"The editor {command[0]} did not work: {error.strerror}.", _HINT
            ) from error
        if code:
            kept = new != text
            where = f" What it wrote is in {path}." if kept else ""
            raise InputError(f"The editor {command[0]} failed ({code}).{where}", _HINT)
        return new.removesuffix("\n") if not text.endswith("\n") else new
    finally:
        if not kept:
            path.unlink(missing_ok=True)
