"""Values by key: typed by a person, written in one line, laid over settings.

The same rules decide here as for config.toml. Knows the form of settings and the words of TOML;
reads and writes no file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from ponder.errors import SettingsError
from ponder.settings.schema import Settings, allowed, known, value, way

if TYPE_CHECKING:
    from tomlkit.items import Item


def overlaid(settings: Settings, values: Mapping[str, object]) -> Settings:
    """Settings with other values by key on top; None brings the default back.

    Raises:
        UnknownName: there is no such setting.
        SettingsError: one cannot be that; names it, and what it may be.
    """
    plain = msgspec.to_builtins(settings)
    for key, new in values.items():
        *sections, name = way(key)
        table = plain
        for section in sections:
            table = table[section]
        if new is None:
            table.pop(name, None)
        else:
            table[name] = new
    try:
        return msgspec.convert(plain, Settings)
    except msgspec.ValidationError as error:
        wrong = next((key for key in values if concerns(error, key)), "")
        if not wrong:
            raise SettingsError(f"The settings cannot be used: {error}.") from error
        raise refused(wrong, values[wrong]) from error


def differing(one: Settings, other: Settings) -> tuple[str, ...]:
    """The keys that two settings do not have the same value for."""
    return tuple(key for key in known() if value(one, key) != value(other, key))


def concerns(error: msgspec.ValidationError, key: str) -> bool:
    """Whether it is this setting that cannot be what it was to be."""
    at = str(error).rpartition(" - at `$.")[2].rstrip("`")
    named = ".".join(way(key)[:2])
    return at == named or at.startswith((f"{named}[", f"{named}."))


def refused(key: str, new: object) -> SettingsError:
    """What is said of a value that a setting cannot have."""
    return SettingsError(f"{key} cannot be {new!r}.", f"Right for {key}: {allowed(key)}.")


def typed(key: str, text: str) -> object:
    """What somebody typed for a setting: any TOML, or else the text that it is.

    Raises:
        UnknownName: there is no such setting.
        SettingsError: it cannot be set to that.
    """
    import tomllib

    try:
        read = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        read = {"value": text}
    meant: object = read["value"] if list(read) == ["value"] else text
    try:
        overlaid(Settings(), {key: meant})
    except SettingsError:
        if meant == text:
            raise
        # A text that looks like something else: a model that is called 7, for example.
        try:
            overlaid(Settings(), {key: text})
        except SettingsError:
            raise refused(key, meant) from None
        return text
    return meant


def typable(key: str, now: Any) -> str:
    """A value as somebody would type it: `typed` reads it back."""
    if now is None:
        return ""
    if isinstance(now, str) and now.isprintable() and typed(key, now) == now:
        return now
    return item(now).as_string()


def item(value: Any) -> Item:
    """A value as TOML writes it, on one line."""
    import tomlkit

    if not isinstance(value, dict):
        plain: Item = tomlkit.item(value)
        return plain
    table = tomlkit.inline_table()
    table.update(value)
    return table


def shown(value: Any) -> str:
    """A value in words of TOML; texts stand as they are."""
    if value is None:
        return "not set"
    return value if isinstance(value, str) else item(value).as_string()
