"""Where in a TOML file something stands. Knows TOML's statements, and no schema.

The standard parser tells no positions, so a file is read one statement at a time: a statement
ends with the first line at which what has been read of it parses by itself.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

Place = tuple[str | int, ...]
"""Keys from the top of the file down; a number is a place in an array."""


def line_of(text: str, place: Sequence[str | int]) -> int:
    """The line, from 1, that sets what stands at a place, or the nearest thing around it.

    Args:
        text: TOML without errors of syntax.
        place: keys from the top down.
    """
    found = _lines(text)
    for end in range(len(place), 0, -1):
        line = found.get(tuple(place[:end]))
        if line is not None:
            return line
    return 1


def dotted(place: Sequence[str | int]) -> str:
    """A place as TOML would write it: `models."r1-7b".context`."""
    told = ""
    for part in place:
        if isinstance(part, int):
            told += f"[{part}]"
        else:
            bare = bool(part) and all(c.isascii() and (c.isalnum() or c in "_-") for c in part)
            told += ("." if told else "") + (part if bare else f'"{part}"')
    return told


def _lines(text: str) -> dict[Place, int]:
    found: dict[Place, int] = {}
    counts: dict[Place, int] = {}
    table: Place = ()
    statement, began = "", 1
    for number, line in enumerate(text.split("\n"), 1):
        if not statement.strip():
            statement, began = "", number
        statement += line + "\n"
        try:
            read = tomllib.loads(statement)
        except tomllib.TOMLDecodeError:
            continue
        if statement.lstrip().startswith("["):
            table = _header(read, counts)
            for end in range(1, len(table) + 1):
                found.setdefault(table[:end], began)
        else:
            _record(read, table, began, found)
        statement = ""
    return found


def _header(read: Mapping[str, Any], counts: dict[Place, int]) -> Place:
    """The place that a [header] or [[header]] opens."""
    place: Place = ()
    node: Any = read
    while node:
        key, node = next(iter(node.items()))
        place += (key,)
        if isinstance(node, list):
            counts[place] = counts.get(place, -1) + 1
            node = node[0]
        if place in counts:
            place += (counts[place],)
    return place


def _record(node: Any, place: Place, line: int, found: dict[Place, int]) -> None:
    inside = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in inside:
        below = (*place, key)
        found.setdefault(below, line)
        if isinstance(value, dict | list):
            _record(value, below, line, found)
