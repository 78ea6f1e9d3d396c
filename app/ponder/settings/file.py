"""config.toml -> Settings, and single settings back into the file.

Knows the file. A command line overrides what is set here; what is set nowhere is left to the
model's vendor and to this machine. The file is replaced as a whole, or not changed at all.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from ponder.errors import SettingsError, UnknownName
from ponder.settings.schema import Settings, allowed, by_section, known, way
from ponder.settings.values import concerns, refused


def read(path: Path) -> Settings:
    """The settings in a file; the defaults where there is none.

    Raises:
        SettingsError: it cannot be read, is no TOML, or says something impossible.
    """
    text = text_of(path)
    try:
        return msgspec.toml.decode(text, type=Settings)
    except msgspec.DecodeError as error:
        raise _unusable(path, error) from error


def text_of(path: Path) -> str:
    """What is in a file; nothing where there is none.

    Raises:
        SettingsError: it cannot be read, or is no UTF-8 text.
    """
    try:
        # Editors on Windows begin a file with a byte order mark, which TOML does not know.
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError as error:
        told = f"The settings in {path} are not UTF-8 text."
        raise SettingsError(told, f"Edit or remove {path}.") from error
    except OSError as error:
        raise SettingsError(
            f"The settings in {path} cannot be read: {error.strerror}.",
            f"See that {path} is a file that you may read, or remove it.",
        ) from error


def _unusable(path: Path, error: Exception) -> SettingsError:
    at = str(error).rpartition(" - at `$.")[2].rstrip("`")
    right = f"Right for {at}: {allowed(at)}. " if at in known() else ""
    return SettingsError(
        f"The settings in {path} cannot be used: {error}.", f"{right}Edit or remove {path}."
    )


def given(path: Path) -> tuple[str, ...]:
    """The keys that a file sets; those below `tui.keys` one by one. Raises as `read` does."""
    read(path)
    own = tomllib.loads(text_of(path))
    found = []
    for key in known():
        inner: Any = own
        for name in way(key):
            inner = inner.get(name) if isinstance(inner, dict) else None
        if isinstance(inner, dict):
            found += [f"{key}.{name}" for name in inner]
        elif inner is not None:
            found.append(key)
    return tuple(found)


def put(path: Path, key: str, new: object) -> None:
    """Set one key in a file, which is made where there is none; None unsets it.

    Comments and order are kept. The file is replaced as a whole, or not changed at all.

    Raises:
        UnknownName: there is no such setting.
        SettingsError: it cannot be set to that, or the file cannot be read or written.
    """
    if new is None:
        unset(path, key)
    else:
        _change(path, key, way(key), new)


def unset(path: Path, key: str) -> bool:
    """Take one key out of a file; false where it was not set.

    A key that is no setting can be taken out where the file has it, such as a misspelled one.

    Raises:
        UnknownName: there is no such setting, nor is it in the file.
        SettingsError: the file cannot be read or written, or something else in it is wrong.
    """
    try:
        return _change(path, key, way(key), None)
    except UnknownName:
        if key not in by_section() and _change(path, key, tuple(key.split(".")), None):
            return True
        raise


def _change(path: Path, key: str, names: tuple[str, ...], new: object) -> bool:
    """Set a key, or take it out for None, and write the file; false if nothing was there."""
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    text = text_of(path)
    try:
        wanted, document = tomllib.loads(text), tomlkit.parse(text)
    except (tomllib.TOMLDecodeError, TOMLKitError) as error:
        raise _unusable(path, error) from error
    if not _apply(wanted, names, new, dict):
        return False
    try:
        msgspec.convert(wanted, Settings)
    except msgspec.ValidationError as error:
        if new is None or not concerns(error, key):
            raise _unusable(path, error) from error
        raise refused(key, new) from error
    _apply(document, names, new, tomlkit.table)
    try:
        written = document.as_string()
        data = written.encode()
        same = _filled(tomllib.loads(written)) == _filled(wanted)
    except (ValueError, TOMLKitError):
        same = False
    if not same:
        raise SettingsError(
            f"{key} cannot be written into {path} as it is.", f"Edit {path} by hand."
        )
    replace_file(path, data)
    return True


def _filled(table: dict[str, Any]) -> dict[str, Any]:
    """A table without the empty ones in it: among dotted keys these cannot be written."""
    parts = {name: _filled(v) if isinstance(v, dict) else v for name, v in table.items()}
    return {name: part for name, part in parts.items() if part != {}}


def _apply(table: Any, names: tuple[str, ...], new: object, fresh: Any) -> bool:
    """Set or take out a key in nested tables; false if there was nothing to take out."""
    *sections, name = names
    for section in sections:
        if section not in table:
            if new is None:
                return False
            table[section] = fresh()
        table = table[section]
        if not isinstance(table, Mapping):
            return new is not None  # what stands in its place is refused with the whole
    if isinstance(new, dict) and isinstance(table.get(name, {}), Mapping):
        # One by one, so that those that stay keep their comments.
        for old in set(table.get(name, ())) - set(new):
            del table[name][old]
        for one, inner in new.items():
            _apply(table, (name, one), inner, fresh)
    elif new is not None:
        table[name] = new
    elif name in table:
        del table[name]
    else:
        return False
    return True


def replace_file(path: Path, data: bytes) -> None:
    """Write a file beside its place and move it there: no reader ever sees half of it.

    Raises:
        SettingsError: it cannot be written.
    """
    import tempfile

    target = path.resolve()  # where a link points, so that the link stays
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        beside = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(handle)
            if target.exists():
                beside.chmod(target.stat().st_mode & 0o7777)
            beside.replace(target)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise SettingsError(
            f"The settings in {path} cannot be written: {error.strerror}.",
            f"See that {target.parent} is a folder that you may write to, on a disk with room.",
        ) from error
