"""Presets: a model, a system prompt, a budget and a sampler under a name.

Each is a TOML file in the presets folder, in the form of config.toml as far as that says how a
question is asked; a preset lies over config.toml and under the command line. Knows these files.
Whether the model is here is the business of whoever opens it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ponder.errors import InputError, SettingsError, UnknownName
from ponder.settings.file import replace_file, text_of
from ponder.settings.schema import Settings, by_section, known, value
from ponder.settings.values import overlaid, shown

PARTS = ("model", "lora", "system", "budget", "sampling", "engine")
"""What of config.toml a preset may set."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_BRIEF = 32
"""Characters of a value in a summary."""


@dataclass(frozen=True, slots=True)
class Preset:
    """What a file sets."""

    name: str
    values: Mapping[str, Any]
    """By key with dots, in the order of the manual."""

    def over(self, settings: Settings) -> Settings:
        """Settings with this preset on top. Adapters fit one model: another goes without them."""
        values = dict(self.values)
        if values.get("model", settings.model) != settings.model:
            values.setdefault("lora", [])
        return overlaid(settings, values)

    @property
    def summary(self) -> str:
        """What it sets, in a line."""
        parts = [
            text if key in ("model", "system") else f"{key.rpartition('.')[2]} {text}"
            for key, text in ((key, shown(found)) for key, found in self.values.items())
        ]
        lines = (" ".join(part.split()) for part in parts)
        return " · ".join(s if len(s) <= _BRIEF else f"{s[: _BRIEF - 1]}…" for s in lines)


def allowed_keys() -> tuple[str, ...]:
    """Everything that a preset may set."""
    return tuple(key for key in known() if key.partition(".")[0] in PARTS)


def state(settings: Settings, base: Settings) -> dict[str, Any]:
    """What a preset has to say so that these settings come of `base`, or of the defaults."""
    default = Settings()
    found = {}
    for key in allowed_keys():
        now = value(settings, key)
        same = now == value(default, key) and now == value(base, key)
        if now is not None and (key == "model" or not same):
            found[key] = list(now) if isinstance(now, tuple) else now
    return found


def of_folder(folder: Path) -> tuple[list[Preset], list[SettingsError]]:
    """The presets in a folder, by name, and what is wrong with those that cannot be used."""
    good: list[Preset] = []
    wrong: list[SettingsError] = []
    for path in sorted(folder.glob("*.toml")):
        try:
            good.append(read(path))
        except SettingsError as error:
            wrong.append(error)
    return good, wrong


def find(folder: Path, name: str) -> Preset:
    """One preset.

    Raises:
        UnknownName: there is none of that name; lists them.
        SettingsError: its file cannot be used.
    """
    path = folder / f"{name}.toml"
    if not _NAME.fullmatch(name) or not path.is_file():
        hint = f"They are TOML files in {folder}; `ponder preset save NAME` makes one."
        raise UnknownName("preset", name, (p.stem for p in folder.glob("*.toml")), hint)
    return read(path)


def read(path: Path) -> Preset:
    """One preset; it is called as its file is.

    Raises:
        SettingsError: it cannot be read, or sets what none can; names the line.
    """
    if not _NAME.fullmatch(path.stem):
        raise _no_name(path.stem)
    text = text_of(path)
    try:
        found = _found(path, text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(
            f"The preset {path} cannot be read: {error}.", f"Edit or remove {path}."
        ) from error
    return Preset(path.stem, {key: found[key] for key in allowed_keys() if key in found})


def _found(path: Path, text: str) -> dict[str, Any]:
    """What a preset's text sets, by key."""
    found: dict[str, Any] = {}
    sections = by_section()
    for name, part in tomllib.loads(text).items():
        if name in sections and not isinstance(part, dict):
            raise _wrong(path, text, (name,), f"{name} is a table.", f"Write it as [{name}].")
        for place, given in (
            [((name, field), inner) for field, inner in part.items()]
            if name in sections
            else [((name,), part)]
        ):
            key = ".".join(place)
            if key not in allowed_keys():
                hint = f"They set: {', '.join(allowed_keys())}."
                raise _wrong(path, text, place, f"presets do not set {key!r}.", hint)
            try:
                overlaid(Settings(), {key: given})
            except SettingsError as error:
                raise _wrong(path, text, place, error.message, error.hint) from error
            found[key] = given
    return found


def save(folder: Path, name: str, values: Mapping[str, Any], replace: bool = False) -> Path:
    """Write a preset, as a whole or not at all; gives its file.

    Raises:
        InputError: the name is none, or taken and not to be replaced.
        SettingsError: it cannot be written, or sets what none can.
    """
    import tomlkit

    if not _NAME.fullmatch(name):
        raise _no_name(name)
    overlaid(Settings(), values)
    path = folder / f"{name}.toml"
    if path.exists() and not replace:
        raise InputError(
            f"There is a preset called {name!r} already.",
            "Choose another name, or replace it: `ponder preset save --replace`.",
        )
    document: Any = tomlkit.document()
    for key, new in values.items():
        section, _, field = key.rpartition(".")
        if section and section not in document:
            document.add(section, tomlkit.table())
        (document[section] if section else document)[field] = new
    written = document.as_string()
    try:
        data = written.encode()
        faithful = _found(path, written) == dict(values)
    except (UnicodeEncodeError, tomllib.TOMLDecodeError):
        faithful = False
    if not faithful:
        raise SettingsError(
            f"The preset {name} cannot be written as it is.",
            "See whether its texts hold characters that are none.",
        )
    replace_file(path, data)
    return path


def remove(folder: Path, name: str) -> None:
    """Remove a preset, whatever is wrong with its file.

    Raises:
        UnknownName: there is none of that name; lists them.
        SettingsError: its file cannot be removed.
    """
    path = folder / f"{name}.toml"
    if not path.is_file():
        find(folder, name)
    try:
        path.unlink()
    except OSError as error:
        raise SettingsError(f"{path} cannot be removed: {error.strerror}.") from error


def _no_name(name: str) -> SettingsError:
    return SettingsError(
        f"{name!r} is no name for a preset.", "Letters, digits, dots, - and _ make one."
    )


def _wrong(path: Path, text: str, place: tuple[str, ...], told: str, hint: str) -> SettingsError:
    return SettingsError(f"{path}, line {_line(text, place)}: {told}", hint)


def _line(text: str, place: tuple[str, ...]) -> int:
    """The line in which a key is set: the last one of the shortest beginning that has it."""
    lines = text.splitlines()
    for count in range(1, len(lines)):
        try:
            inner: Any = tomllib.loads("\n".join(lines[:count]))
        except tomllib.TOMLDecodeError:
            continue  # in the middle of something
        for name in place:
            inner = inner.get(name) if isinstance(inner, dict) else None
        if inner is not None:
            return count
    return len(lines)
