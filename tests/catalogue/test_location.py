"""A place in a TOML file has the line that sets it, however the file is written."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
import tomlkit
from hypothesis import given
from hypothesis import strategies as st

from ponder.catalogue.location import Place, dotted, line_of

FILE = """\
# [a] is no header here, nor = "b" a value
[a."b.c"]   # the first
one = 1

text = '''
[a.d]
two = 2
'''
list = [
  "]",  # ]
  { three = 3 },
]
d.e = 4
[[tables]]
name = "x"
[[tables.inner]]
[[tables.inner]]
name = "y"
[[tables]]
name = "z"
[tables.more]
name = 5
[a]
late = 6
"""


@pytest.mark.parametrize(
    ("place", "line"),
    [
        (("a",), 2),
        (("a", "b.c"), 2),
        (("a", "b.c", "one"), 3),
        (("a", "b.c", "text"), 5),
        (("a", "b.c", "list"), 9),
        (("a", "b.c", "list", 1, "three"), 9),
        (("a", "b.c", "d", "e"), 13),
        (("tables",), 14),
        (("tables", 0, "name"), 15),
        (("tables", 0, "inner", 1, "name"), 18),
        (("tables", 1), 19),
        (("tables", 1, "name"), 20),
        (("tables", 1, "more", "name"), 22),
        (("a", "late"), 24),
        # What is not there has the line of what is around it.
        (("a", "b.c", "missing"), 2),
        (("tables", 1, "missing", "too"), 19),
        (("missing",), 1),
        ((), 1),
    ],
)
def test_a_place_has_a_line(place: Place, line: int) -> None:
    assert line_of(FILE, place) == line
    assert line_of(FILE.replace("\n", "\r\n"), place) == line


def test_a_place_is_written_as_toml_would() -> None:
    assert dotted(("models", "r1-1.5b", "layouts", 3, "gpu")) == 'models."r1-1.5b".layouts[3].gpu'
    assert dotted(("", "ä")) == '""."ä"'


def places(node: Any, at: Place = ()) -> Iterator[Place]:
    inside = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in inside:
        yield (*at, key)
        if isinstance(value, dict | list):
            yield from places(value, (*at, key))


KEYS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=4)
VALUES = st.recursive(
    st.integers(0, 9) | st.text("a[]{}\"'=#\n", max_size=6),
    lambda inner: st.dictionaries(KEYS, inner, max_size=3) | st.lists(inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_every_place_of_any_file_is_found_where_its_key_stands(table: dict[str, Any]) -> None:
    text = tomlkit.dumps(table)
    read = tomllib.loads(text)
    lines = text.split("\n")
    for place in places(read):
        named = [part for part in place if isinstance(part, str)][-1]
        line = lines[line_of(text, place) - 1]
        assert tomlkit.key(named).as_string() in line, (place, line, text)
