"""Which models are here: built in, fetched, or anywhere a path leads.

A name stands for a file in the models folder; which file a catalogue's name stands for, the
catalogue says. Nothing is fetched here, and nothing loaded.
"""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Literal

from ponder import paths
from ponder.catalogue import Catalogue, Model
from ponder.errors import NotAModel, UnknownName

_PATH_MARKS = ("/", "\\")


@dataclass(frozen=True, slots=True)
class Entry:
    """One model that can be named."""

    name: str
    path: Path | None
    """Where it is; None if it is not here."""
    origin: Literal["built in", "models folder", "catalogue"]
    model: Model | None
    """Its catalogue entry, if it has one."""

    @property
    def fetch(self) -> str:
        """The command that brings it here; empty if it is here, or no file of it is known."""
        if self.path is not None or self.model is None or self.model.gguf is None:
            return ""
        gguf = self.model.gguf
        target = shlex.quote(str(paths.models_dir() / gguf.file))
        return f"curl -L --fail --create-dirs -o {target} {shlex.quote(gguf.url)}"


def builtin_path(name: str) -> Path:
    """A file that ships with ponder."""
    return Path(str(files("ponder") / "builtin" / name))


def entries(catalogue: Catalogue) -> list[Entry]:
    """All that has a name: what is here first, then what could be. No name comes twice."""
    folder = paths.models_dir()
    files = {path.name: path for path in sorted(folder.glob("*.gguf")) if path.is_file()}
    here: list[Entry] = []
    away: list[Entry] = []
    for name, model in catalogue.models.items():
        own = files.pop(f"{name}.gguf", None)
        published = files.pop(model.gguf.file, None) if model.gguf is not None else None
        if model.builtin:
            here.append(Entry(name, builtin_path(model.builtin), "built in", model))
        elif path := published or own:
            here.append(Entry(name, path, "models folder", model))
        else:
            away.append(Entry(name, None, "catalogue", model))
    here += [Entry(path.stem, path, "models folder", None) for path in files.values()]
    return here + away


def find(name: str, catalogue: Catalogue) -> Entry:
    """The model of that name or at that path.

    Raises:
        UnknownName: neither a name nor a file.
        NotAModel: a name of the catalogue whose file is not here.
    """
    known = {entry.name: entry for entry in entries(catalogue)}
    path = _expanded(name)
    # Path.is_file raises for a name that is too long to be a path.
    is_file = os.path.isfile(path)  # noqa: PTH113
    entry = known.get(name)
    if entry is None and not is_file:
        files = ((entry, entry.path) for entry in known.values() if entry.path is not None)
        entry = next((entry for entry, file in files if name in (file.name, file.stem)), None)
    if entry is None:
        if is_file or name.endswith(".gguf") or any(mark in name for mark in _PATH_MARKS):
            return Entry(path.stem, path, "models folder", None)
        raise UnknownName(
            "model", name, known, "A path to a GGUF file works too; a folder needs a / in it."
        )
    if entry.path is None:
        raise NotAModel(
            f"{name} is not on this machine.",
            f"Fetch it: {entry.fetch}"
            if entry.fetch
            else f"Put a GGUF of it at {paths.models_dir() / f'{name}.gguf'}.",
        )
    return entry


def _expanded(name: str) -> Path:
    try:
        return Path(name).expanduser()
    except RuntimeError:  # ~somebody who has no home here
        return Path(name)
