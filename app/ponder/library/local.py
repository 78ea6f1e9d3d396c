"""Which models are here: built in, fetched, or anywhere a path leads.

A name stands for a file in the models folder; which file a catalogue's name stands for, the
catalogue says. Nothing is fetched here, and nothing loaded.
"""

from __future__ import annotations

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
        return f"curl -L --create-dirs -o '{paths.models_dir() / gguf.file}' '{gguf.url}'"


def builtin_path(name: str) -> Path:
    """A file that ships with ponder."""
    return Path(str(files("ponder") / "builtin" / name))


def entries(catalogue: Catalogue) -> list[Entry]:
    """All that has a name: what is here first, then what could be."""
    folder = paths.models_dir()
    here: list[Entry] = []
    away: list[Entry] = []
    claimed: set[str] = set()
    for name, model in catalogue.models.items():
        if model.builtin:
            here.append(Entry(name, builtin_path(model.builtin), "built in", model))
        elif model.gguf is not None and (folder / model.gguf.file).is_file():
            here.append(Entry(name, folder / model.gguf.file, "models folder", model))
            claimed.add(model.gguf.file)
        else:
            away.append(Entry(name, None, "catalogue", model))
    for path in sorted(folder.glob("*.gguf")):
        if path.name not in claimed:
            here.append(Entry(path.stem, path, "models folder", None))
    return here + away


def find(name: str, catalogue: Catalogue) -> Entry:
    """The model of that name or at that path.

    Raises:
        UnknownName: neither a name nor a file.
        NotAModel: a name of the catalogue whose file is not here.
    """
    known = {entry.name: entry for entry in entries(catalogue)}
    entry = known.get(name)
    if entry is None:
        path = Path(name).expanduser()
        if path.exists() or name.endswith(".gguf") or any(mark in name for mark in _PATH_MARKS):
            return Entry(path.stem, path, "models folder", None)
        raise UnknownName(
            "model", name, known, "A path to a GGUF file works too; a folder needs a / in it."
        )
    if entry.path is None:
        wanted = entry.model.gguf.file if entry.model and entry.model.gguf else "a GGUF of it"
        raise NotAModel(
            f"{name} is not on this machine.",
            f"Fetch it: {entry.fetch}"
            if entry.fetch
            else f"Put {wanted} into {paths.models_dir()} and name it by its file name.",
        )
    return entry
