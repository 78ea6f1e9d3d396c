"""config.json of a checkpoint: its keys as the types they have to be.

Knows the format and its words. What a key means, and what holds where it is missing, an
architecture knows.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ponder.errors import BadCheckpoint

_MOST_BYTES = 1 << 29
"""Of a JSON file; the largest tokenizers have some 30 MB."""


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file of a checkpoint.

    Raises:
        BadCheckpoint: missing, no JSON, or no object.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise BadCheckpoint(f"{path} is too large for what it should be.")
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BadCheckpoint(
            f"{path.parent} has no {path.name}.",
            "A checkpoint is a directory with config.json, tokenizer.json, "
            "tokenizer_config.json and *.safetensors, as on the hub.",
        ) from error
    except OSError as error:
        raise BadCheckpoint(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise BadCheckpoint(f"{path} is no JSON: {error}.", "Fetch it again.") from error
    if not isinstance(found, dict):
        raise BadCheckpoint(f"{path} holds no JSON object.", "Fetch it again.")
    return found


class Config:
    """The keys of config.json, with an architecture's defaults beneath."""

    def __init__(self, raw: dict[str, Any], defaults: dict[str, Any]) -> None:
        """Args:
        raw: as in the file.
        defaults: what holds for keys that are missing.
        """
        self.raw = {**defaults, **raw}

    def has(self, key: str) -> bool:
        """Whether it is there, and not null."""
        return self.raw.get(key) is not None

    def count(self, key: str, most: int = 1 << 31, least: int = 1) -> int:
        """A whole number.

        Raises:
            BadCheckpoint: missing, of another type, or out of range.
        """
        value = self._get(key)
        if type(value) is not int or not least <= value <= most:
            raise self.wrong(key, f"a whole number from {least} to {most}")
        return value

    def number(self, key: str) -> float:
        """A number; whole ones stay whole.

        Raises:
            BadCheckpoint: missing, or of another type.
        """
        value = self._get(key)
        if type(value) not in (int, float) or not -1e38 < value < 1e38:
            raise self.wrong(key, "a number")
        return value  # type: ignore[no-any-return]

    def flag(self, key: str) -> bool:
        """True or false; false where it is missing.

        Raises:
            BadCheckpoint: of another type.
        """
        if not self.has(key):
            return False
        if type(self.raw[key]) is not bool:
            raise self.wrong(key, "true or false")
        return bool(self.raw[key])

    def text(self, key: str) -> str:
        """A string.

        Raises:
            BadCheckpoint: missing, or of another type.
        """
        value = self._get(key)
        if not isinstance(value, str):
            raise self.wrong(key, "a string")
        return value

    def part(self, key: str) -> Config:
        """An object in it; empty where it is missing.

        Raises:
            BadCheckpoint: of another type.
        """
        value = self.raw.get(key) or {}
        if not isinstance(value, dict):
            raise self.wrong(key, "an object")
        return Config(value, {})

    def wrong(self, key: str, wanted: str) -> BadCheckpoint:
        """The error for a key of the wrong type or range."""
        return BadCheckpoint(f"{key} in config.json is {self.raw.get(key)!r}, not {wanted}.")

    def _get(self, key: str) -> Any:
        if not self.has(key):
            raise BadCheckpoint(f"config.json does not say {key}.", "Fetch it again.")
        return self.raw[key]
