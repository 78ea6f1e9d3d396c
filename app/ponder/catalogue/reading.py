"""From the text of a models.toml to its structs, or to an error with file, line and reason."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from ponder.catalogue.location import Place, dotted, line_of
from ponder.catalogue.schema import EXPECTED, File
from ponder.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Document:
    """A file that is of the right form."""

    file: File
    text: str
    origin: str
    """Its name, for errors."""
    hint: str
    """What to do when something is wrong with it."""

    def wrong(self, place: Sequence[str | int], reason: str) -> SettingsError:
        """The error for something that only the whole file can tell."""
        return _error(self.origin, line_of(self.text, place), f"{dotted(place)}: {reason}.", self)


@dataclass(frozen=True, slots=True)
class _Unread:
    hint: str


def read(text: str, origin: str, hint: str) -> Document:
    """The structs of a file.

    Args:
        text: its content.
        origin: its name, for errors.
        hint: what to do when it cannot be used.

    Raises:
        SettingsError: it is no TOML, or not of this form.
    """
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        reason, line = _syntax(str(error), text)
        raise _error(origin, line, f"this is no TOML: {reason}.", _Unread(hint)) from error
    try:
        return Document(msgspec.convert(raw, File), text, origin, hint)
    except msgspec.ValidationError as error:
        reason, place = _placed(str(error), raw)
        told = f"{dotted(place)}: {reason}." if place else f"{reason}."
        raise _error(origin, line_of(text, place), told, _Unread(hint)) from error


def _error(origin: str, line: int, told: str, source: Document | _Unread) -> SettingsError:
    return SettingsError(f"{origin}, line {line}: {told}", source.hint)


def _syntax(complaint: str, text: str) -> tuple[str, int]:
    """tomllib's reason, and the line it names; it names none for the end of the file."""
    reason, _, where = complaint.partition(" (at ")
    line = re.search(r"line (\d+)", where)
    lines = text.rstrip("\n").count("\n") + 1
    return reason[:1].lower() + reason[1:], int(line[1]) if line else lines


def _placed(complaint: str, raw: Any) -> tuple[str, Place]:
    """A complaint of msgspec without its path, and that path with every key in it.

    msgspec writes "Expected `int`, got `str` - at `$.models[...].context`", and does not tell
    which of the models it means. It is the one that brings the same complaint when it is alone.
    """
    found = re.search(r" - at (?:`key` in )?`\$([^`]*)`$", complaint)
    reason = complaint[: found.start()] if found else complaint
    place: Place = ()
    parts = re.findall(r"\.([^.\[\]]+)|\[(\d+)\]|(\[\.\.\.\])", found[1] if found else "")
    for name, index, _any in parts:
        if name or index:
            place += (name or int(index),)
            continue
        table = _at(raw, place)
        keys = [key for key in table if _complaint(_only(raw, place, key)) == complaint]
        if not keys:
            break
        place += (keys[0],)
    if "`key` in" in complaint and isinstance(_at(raw, place), dict):
        alone = (key for key in _at(raw, place) if _complaint(_only(raw, place, key)) == complaint)
        place += tuple(alone)[:1]
    for pattern, words in EXPECTED.items():
        if reason.endswith(f"matching regex {pattern!r}"):
            reason = f"expected {words}"
    unknown = re.search(r"unknown field `(.*)`$", reason)
    if unknown:
        place += (unknown[1],)
        reason = "there is no such field"
    return reason[:1].lower() + reason[1:], place


def _complaint(raw: Any) -> str:
    try:
        msgspec.convert(raw, File)
    except msgspec.ValidationError as error:
        return str(error)
    return ""


def _at(raw: Any, place: Place) -> Any:
    for key in place:
        raw = raw[key]
    return raw


def _only(raw: Any, place: Place, key: str) -> Any:
    """The file with one key of a table left of all that it has."""
    if not place:
        return {key: raw[key]}
    first, rest = place[0], place[1:]
    below = _only(raw[first], rest, key)
    if isinstance(raw, list):
        return [below if at == first else value for at, value in enumerate(raw)]
    return raw | {first: below}
