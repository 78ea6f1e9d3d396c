"""Colours: ponder's own two themes, Textual's, and the user's.

A user's theme is a TOML file in the themes folder; its keys are those of Textual's `Theme`.
Knows colours and files, and no widget.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

import msgspec
from textual.color import Color, ColorParseError
from textual.css.errors import StylesheetError
from textual.css.stylesheet import Stylesheet
from textual.css.tokenizer import TokenError
from textual.theme import Theme

from ponder.errors import SettingsError, UnknownName

OWN = (
    Theme(
        name="ponder-dark",
        primary="#8ab4f8",
        secondary="#7c8aa5",
        accent="#c58af9",
        warning="#f2b45c",
        error="#f28b82",
        success="#81c995",
        foreground="#e3e6eb",
        background="#14161a",
        surface="#1b1e24",
        panel="#21242c",
        dark=True,
    ),
    Theme(
        name="ponder-light",
        primary="#1a5fb4",
        secondary="#5e6a7d",
        accent="#8132a8",
        warning="#a05a00",
        error="#b3261e",
        success="#1e7d3c",
        foreground="#1f2328",
        background="#fbfbfa",
        surface="#f2f2ef",
        panel="#e6e6e1",
        dark=False,
    ),
)
"""The first one is the default."""

_NUMBERS = {"luminosity_spread", "text_alpha"}
_COLOURS = {f.name for f in fields(Theme)} - {"name", "dark", "variables", "ansi"} - _NUMBERS
_FIELDS = sorted({f.name for f in fields(Theme)} - {"name"})
_VARIABLE = re.compile(r"[a-z][a-z0-9_-]*")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


def of_user(folder: Path) -> tuple[list[Theme], list[SettingsError]]:
    """The themes in a folder, by file name, and what is wrong with those that cannot be used."""
    good: list[Theme] = []
    wrong: list[SettingsError] = []
    for path in sorted(folder.glob("*.toml")):
        try:
            good.append(read(path))
        except SettingsError as error:
            wrong.append(error)
    return good, wrong


def read(path: Path) -> Theme:
    """One theme; it is called as its file is.

    Raises:
        SettingsError: it cannot be read, or has a key or a colour that there is not.
    """
    hint = f"Edit or remove {path}."
    try:
        told = msgspec.toml.decode(path.read_bytes())
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"The theme {path} cannot be read: {error}.", hint) from error
    name: str = path.stem
    if not _NAME.fullmatch(name):
        raise SettingsError(
            f"{path.name} is no name for a theme.", "Letters, digits, - and _ make one."
        )
    unknown = sorted(set(told) - set(_FIELDS))
    if unknown:
        raise SettingsError(
            f"{path} sets {unknown[0]}, which themes do not have.",
            f"They have: {', '.join(_FIELDS)}.",
        )
    if "primary" not in told:
        raise SettingsError(f"{path} does not set primary.", "Every theme needs that colour.")
    for key in sorted(_COLOURS & set(told)):
        _check_colour(path, key, told[key])
    for key in sorted(_NUMBERS & set(told)):
        if isinstance(told[key], bool) or not isinstance(told[key], float | int):
            raise SettingsError(f"{path}: {key} = {told[key]!r} is no number.", hint)
    for key, kind in (("dark", bool), ("ansi", bool), ("variables", dict)):
        if key in told and not isinstance(told[key], kind):
            raise SettingsError(f"{path}: {key} = {told[key]!r} is no {kind.__name__}.", hint)
    for key, value in told.get("variables", {}).items():
        _check_variable(path, key, value)
    return Theme(name=name, **told)


def checked(name: str, known: Iterable[str]) -> str:
    """The name of a theme that there is.

    Raises:
        UnknownName: there is none of that name; lists them.
    """
    names = list(known)
    if name not in names:
        raise UnknownName("theme", name, names)
    return name


def _check_variable(path: Path, key: str, value: Any) -> None:
    """Textual ends with the first variable that its style sheet cannot use."""
    style = key.endswith("style")
    if isinstance(value, str) and _VARIABLE.fullmatch(key):
        known = Theme("", "red").to_color_system().generate()
        sheet = Stylesheet(variables={**known, key: value})
        sheet.add_source(f"* {{ {'text-style' if style else 'color'}: ${key}; }}")
        try:
            sheet.parse()
        except (StylesheetError, TokenError):
            pass
        else:
            return
    raise SettingsError(
        f"{path}: {key} = {value!r} is no {'text style' if style else 'colour'}.",
        'A text style is written as "bold italic".'
        if style
        else 'A colour is written as "#8ab4f8" or "teal".',
    )


def _check_colour(path: Path, key: str, value: Any) -> None:
    if isinstance(value, str):
        try:
            Color.parse(value)
        except ColorParseError:
            pass
        else:
            return
    raise SettingsError(
        f"{path}: {key} = {value!r} is no colour.", 'A colour is written as "#8ab4f8" or "teal".'
    )
