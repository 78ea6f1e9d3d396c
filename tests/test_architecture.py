"""What holds the house together and no single room can test."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import ponder
from ponder import errors

HEAVY = ("textual", "llama_cpp", "huggingface_hub", "numpy", "rich", "sympy")
ERRORS = {
    name: error
    for name, error in vars(errors).items()
    if isinstance(error, type) and issubclass(error, Exception)
}
CHILD = """
import sys
{action}
loaded = {{name.partition(".")[0] for name in sys.modules}}
print(",".join(sorted(loaded & set({heavy!r}))), file=sys.stderr)
"""


def loaded_by(action: str) -> str:
    """Which heavy packages a fresh interpreter has loaded after some lines."""
    source = str(Path(ponder.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", CHILD.format(action=action, heavy=HEAVY)],
        env=os.environ | {"PYTHONPATH": source},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stderr.strip()


def test_a_heavy_import_would_be_seen() -> None:
    assert loaded_by("import numpy") == "numpy"


@pytest.mark.parametrize(
    "action",
    [
        "from ponder.cli import main",
        "from ponder.cli import main\n"
        "sys.argv = ['ponder', '--help']\n"
        "try:\n    main()\nexcept SystemExit as left:\n    assert not left.code",
    ],
    ids=["the command line", "--help"],
)
def test_help_loads_nothing_heavy(action: str) -> None:
    assert loaded_by(action) == ""


def _depth(error: type[BaseException]) -> int:
    return len(error.__mro__) - len(errors.PonderError.__mro__)


def test_the_tree_of_errors_is_the_one_that_is_drawn() -> None:
    drawn = re.findall(r"^( *)[*x+-] (\w+)", errors.__doc__ or "", re.MULTILINE)
    assert sorted(name for _, name in drawn) == sorted(ERRORS)
    above: list[str] = []
    for indent, name in drawn:
        depth = len(indent) // 2
        assert depth == _depth(ERRORS[name])
        above[depth:] = [name]
        if depth:
            assert ERRORS[name].__base__ is ERRORS[above[depth - 1]]


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)
def test_every_error_says_what_it_is(error: type[Exception]) -> None:
    assert error.__doc__
