"""docs/peers.md says what ponder has beside its peers: each yes rests on tests that exist."""

from __future__ import annotations

import re
from itertools import takewhile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "peers.md").read_text("utf-8")
NAMED = sorted(set(re.findall(r"`(tests/\S+\.py)::(\w+)`", TEXT)))


def table(first: str) -> list[list[str]]:
    """The cells of each row of the table whose heading begins so."""
    lines = TEXT[TEXT.index(first) :].splitlines()
    rows = takewhile(lambda line: line.startswith("|"), lines)
    return [[cell.strip(" *") for cell in row.strip("|").split("|")] for row in rows][2:]


FEATURES = table("| Feature | ponder | Ollama")
GROUNDS = table("| Feature | ponder | Tests")


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_every_test_that_is_named_exists(file: str, name: str) -> None:
    assert re.search(rf"^(async )?def {name}\(", (ROOT / file).read_text("utf-8"), re.MULTILINE)


def test_every_feature_says_what_it_rests_on() -> None:
    assert len(FEATURES) > 50
    assert [row[:2] for row in FEATURES] == [row[:2] for row in GROUNDS]


@pytest.mark.parametrize("row", [*GROUNDS, *table("| ponder | Tests")], ids=lambda row: row[0])
def test_a_yes_names_tests_and_a_partly_says_what_is_missing(row: list[str]) -> None:
    if len(row) == 2 or row[1] == "Y":
        assert "::" in row[-2] + row[-1]
    elif row[1] == "P":
        assert row[3]
    else:
        assert row[1] == "N"
