"""`ponder import`: files that are somewhere on this machine -> a name in the models folder.

Knows what the header of a safetensors file has to be, which files belong to a checkpoint, and
how to put them there whole or not at all; GGUFs have a reader of their own. Sources are never
changed.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Literal

from ponder import paths
from ponder.errors import InputError, LibraryError, NoRoom, NotAModel
from ponder.gguf_header import read_header
from ponder.library import lock as locks
from ponder.library import telling
from ponder.library.fetching import unwritable
from ponder.library.hashing import digests
from ponder.library.lock import Lock, Part
from ponder.library.naming import split_of
from ponder.library.watching import Checked, Noted, Tell, nothing

_LONGEST_HEADER = 100_000_000
"""Bytes, of a safetensors file: its own library's limit."""
_BESIDE = (".json", ".jinja", ".model", ".txt")
"""Endings of what a checkpoint needs beside its weights: configuration, template, tokenizer."""
_NAME = re.compile(r"^[A-Za-z0-9_][\w.@+-]{0,149}\Z")
_BLOCK = 1 << 22
Made = Literal["copy", "symlink", "hardlink"]


def import_(
    path: Path, name: str = "", how: Literal["copy", "link"] = "link", tell: Tell = nothing
) -> Lock:
    """Give files a name here.

    Args:
        path: a GGUF, any part of a split one, or a folder with a safetensors checkpoint.
        name: what to call it; the file's or folder's own name if empty.
        how: `link` costs nothing and breaks when the source goes; `copy` is independent.
        tell: who is told of the progress.

    Raises:
        InputError: the name is none, or another model has it.
        NotAModel: the path is not what it looks like, or not all of it is there.
        NoRoom: a copy does not fit.
        LibraryError: the models folder cannot be written.
    """
    source = path.expanduser()
    try:
        if source.is_dir():
            form: Literal["gguf", "safetensors"] = "safetensors"
            files = _checkpoint(source)
            own = source.resolve().name
        else:
            form, files = "gguf", _ggufs(source)
            own = Path(split_of(source.name)[0]).name
        name = name or re.sub(r"[^\w.@+-]", "_", own).lstrip(".@+-")[:150]
        _free(name, form)
        inside = f"{name}/" if form == "safetensors" else ""
        targets = [inside + (file.name if inside else _called(name, file)) for file in files]
        return _taken(name, form, source, files, targets, how, tell)
    except OSError as error:
        if str(error.filename or paths.models_dir()).startswith(str(source)):
            raise NotAModel(f"{source} cannot be read: {error.strerror}.") from error
        raise unwritable(error, paths.models_dir()) from error


def _called(name: str, file: Path) -> str:
    _, number, count = split_of(file.name)
    return f"{name}-{number:05d}-of-{count:05d}.gguf" if count > 1 else f"{name}.gguf"


def _free(name: str, form: str) -> None:
    if not _NAME.match(name):
        raise InputError(
            f"{name!r} is no name for a model.",
            "Letters, digits, dots, hyphens and underscores: --name NAME.",
        )
    lock = locks.read(name)
    if lock is not None and (lock.here or lock.kind == "hub"):
        raise InputError(
            f"{name} is a model here already.", "Say --name for another, or `ponder rm` it first."
        )
    place = paths.models_dir() / (name if form == "safetensors" else f"{name}.gguf")
    if lock is None and os.path.lexists(place):
        raise InputError(
            f"{place} is there already.", "Say --name for another name, or move it away."
        )


def _taken(
    name: str,
    form: Literal["gguf", "safetensors"],
    source: Path,
    files: list[Path],
    targets: list[str],
    how: Literal["copy", "link"],
    tell: Tell,
) -> Lock:
    folder = paths.models_dir()
    if how == "copy":
        missing = sum(file.stat().st_size for file in files)
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
        if missing > free:
            raise NoRoom(
                f"{telling.size(missing)} do not fit into {folder}: {telling.size(free)} are free.",
                "Make room, or --link it.",
            )
    # Only when all parts are ready do they get their names, and the lock comes before them: it
    # stands for nothing until they are there.
    ready: list[tuple[Path, Path]] = []
    parts: list[Part] = []
    kind: Made = "symlink"
    try:
        for file, target in zip(files, targets, strict=True):
            place = folder / target
            place.parent.mkdir(parents=True, exist_ok=True)
            part = place.with_name(f".{place.name}.import")
            part.unlink(missing_ok=True)
            ready.append((part, place))
            kind = _put(file, part, how)
            sha256, _ = digests(part, file.name, tell)
            tell(Checked(file.name, sha256))
            stat = part.stat()
            parts.append(
                Part(
                    file=target,
                    size=stat.st_size,
                    sha256=sha256,
                    fetched=True,
                    checked=stat.st_mtime_ns,
                )
            )
        lock = Lock(
            name=name,
            kind="import",
            form=form,
            parts=tuple(parts),
            source=str(source.absolute()),
            how=kind,
        )
        locks.write(lock)
        for part, place in ready:
            part.replace(place)
    finally:
        for part, _ in ready:
            part.unlink(missing_ok=True)
        if form == "safetensors":
            with suppress(OSError):  # something is in it
                (folder / name).rmdir()
    if kind != "copy":
        tell(Noted(f"{name} is a link: it needs {source} to stay where it is."))
    return lock


def _put(file: Path, place: Path, how: str) -> Made:
    if how == "copy":
        with file.open("rb") as reader, place.open("wb") as writer:
            shutil.copyfileobj(reader, writer, _BLOCK)
            writer.flush()
            os.fsync(writer.fileno())
        return "copy"
    real = file.resolve()
    try:
        place.symlink_to(real)
    except (OSError, NotImplementedError) as error:
        if not isinstance(error, NotImplementedError) and os.name != "nt":
            raise
        # Windows lets few people make links; a second name for the file it lets all make.
        try:
            place.hardlink_to(real)
        except OSError as refused:
            raise LibraryError(
                f"{real} cannot be linked to: {refused.strerror}.", "Say --copy."
            ) from refused
        return "hardlink"
    return "symlink"


def _ggufs(source: Path) -> list[Path]:
    """A GGUF, or all parts of one, the first part first; their beginnings are right.

    Raises:
        NotAModel: they are not.
    """
    bare, _, count = split_of(source.name)
    files = [source]
    if count > 1:
        files = [
            source.with_name(f"{bare}-{number:05d}-of-{count:05d}.gguf")
            for number in range(1, min(count, 10_000) + 1)
        ]
    gone = [file.name for file in files if not file.is_file()]
    if gone == [source.name]:
        raise NotAModel(f"There is no file {source}.", "Check the path.")
    if gone:
        raise NotAModel(f"Parts are missing beside {source}: {', '.join(gone[:5])}.")
    for file in files:
        read_header(file)
    return files


def _checkpoint(folder: Path) -> list[Path]:
    """The files of a checkpoint: weights whose beginnings are right, and what they need.

    Raises:
        NotAModel: it is none, or not all of it is there.
    """
    files = sorted(file for file in folder.iterdir() if file.is_file() and file.name[0] != ".")
    weights = [file for file in files if file.suffix == ".safetensors"]
    ggufs = [file.name for file in files if file.suffix == ".gguf"]
    if not weights:
        hint = f"Name the GGUF in it: {', '.join(ggufs[:5])}." if ggufs else ""
        raise NotAModel(f"{folder} has no safetensors in it.", hint)
    if not (folder / "config.json").is_file():
        raise NotAModel(f"{folder} has no config.json.", "It comes with the weights.")
    there = {file.name for file in weights}
    gone = sorted(set(_indexed(folder)) - there)
    if gone:
        raise NotAModel(f"{folder} has not all weights: {', '.join(gone[:5])} are missing.")
    for file in weights:
        _check_safetensors(file)
    beside = [file for file in files if file.suffix in _BESIDE]
    return weights + beside


def _indexed(folder: Path) -> Iterator[str]:
    """The names of weight files that an index speaks of."""
    index = folder / "model.safetensors.index.json"
    try:
        told = json.loads(index.read_bytes())
        yield from {str(name) for name in told["weight_map"].values()}
    except FileNotFoundError:
        return
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise NotAModel(f"{index} is damaged: {error}.", "Fetch it again.") from error


def _check_safetensors(file: Path) -> None:
    """See that a file begins as safetensors do, and is as long as it says.

    Source: https://huggingface.co/docs/safetensors/index#format
    """
    damaged = NotAModel(
        f"{file} is no safetensors file, or not all of it.",
        "Compare its size and sha256 with its source.",
    )
    size = file.stat().st_size
    with file.open("rb") as opened:
        length = int.from_bytes(opened.read(8), "little")
        if size < 8 or not 2 <= length <= min(_LONGEST_HEADER, size - 8):
            raise damaged
        try:
            header = json.loads(opened.read(length))
            ends = [
                int(told["data_offsets"][1])
                for name, told in header.items()
                if name != "__metadata__"
            ]
        except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
            raise damaged from None
    if max(ends, default=0) != size - 8 - length:
        raise damaged
