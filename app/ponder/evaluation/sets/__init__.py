"""Questions that people wrote down, each with its answer: sets that are read, never made.

Knows the form of a set and the names of those that come with ponder. Refuses to know how
questions are generated, how a model is asked, and whether it is right.

`everyday` is arithmetic as people type it to a small chat model, and talk that holds none. It
was written by hand, question by question, with no generator in view, so that it tells what a
model does with words that no generator chose. Every answer was found three times: when the
question was written; as `check`, an expression that goes another way; and once more from the
question alone, in another order. It is for measuring only: nothing may be trained on it or
tuned to it.
"""

from __future__ import annotations

from importlib.resources import files

import msgspec

from ponder.errors import UnknownName

_SUFFIX = ".jsonl"


class Turn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A question that was asked before, and what a model said to it."""

    question: str
    answer: str
    """A plain sentence, and a right one."""


class WrittenQuestion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of a set."""

    id: str
    """`kind` and a number: `money-07`. No two in a set are the same."""
    kind: str
    """What it asks for: `money`, `units`, `greeting`... A score is told by kind."""
    question: str
    """As it was typed, errors included."""
    answer: str | None
    """A number without its unit, a clock time as h:mm, a name, yes or no. None: there is nothing
    to work out."""
    check: str | None = None
    """The answer as an expression: sums, and comparisons where it is a name. A clock time is
    in minutes after twelve, or after midnight where the day has 24 hours."""
    earlier: tuple[Turn, ...] = ()
    """What was said before, oldest first; `question` makes sense only after it."""


def set_names() -> tuple[str, ...]:
    """The sets that come with ponder, by the names that `named_set` takes."""
    found = (entry.name for entry in files(__name__).iterdir())
    return tuple(sorted(name.removesuffix(_SUFFIX) for name in found if name.endswith(_SUFFIX)))


def named_set(name: str) -> tuple[WrittenQuestion, ...]:
    """Read a set, in the order in which it was written.

    Raises:
        UnknownName: no set is called that.
    """
    known = set_names()
    if name not in known:
        raise UnknownName("set of questions", name, known)
    lines = files(__name__).joinpath(name + _SUFFIX).read_bytes()
    return tuple(msgspec.json.decode(line, type=WrittenQuestion) for line in lines.splitlines())
