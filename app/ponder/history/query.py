"""What somebody types to find conversations -> words, and filters on what they are looked for in.

    marbles "so the answer" model:r1 in:thinking since:2026-10-01 pinned

A filter is `name:value`, or `pinned`, or `deleted`; between double quotes it is a word like any
other, and so is a name that is no filter. Knows the words; no table.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from ponder.errors import InputError, UnknownName
from ponder.history.finding import PHRASE, Wanted, wanted
from ponder.history.records import Place

PLACES: tuple[Place, ...] = ("question", "thinking", "answer")
FILTERS = "model:NAME in:thinking since:2026-10-01 before:2026-11 pinned deleted"
"""All of them, for a hint."""

_DATES = ("%Y-%m-%d", "%Y-%m", "%Y")


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked for, and where."""

    wanted: Wanted = field(default_factory=lambda: Wanted((), ()))
    """The words that must all occur in a turn; none finds conversations."""
    places: tuple[Place, ...] = PLACES
    """The parts of a turn that are looked at; fewer than all: those must have text at all."""
    models: tuple[str, ...] = ()
    """What must occur in the name of the model, in any case."""
    since: float | None = None
    """Asked then or later, in Unix seconds."""
    before: float | None = None
    """Asked earlier than then."""
    pinned: bool = False
    """Only what is pinned."""
    deleted: bool = False
    """What is in the trash, in place of what is not."""


def read(text: str) -> Query:
    """A query as it was typed. A filter whose value is still missing filters nothing.

    Raises:
        InputError: a filter has a value that it cannot have.
    """
    words: list[str] = []
    models: list[str] = []
    places: list[Place] = []
    dates: dict[str, float] = {}
    flags: set[str] = set()
    for match in PHRASE.finditer(text):
        bare = match[2] or ""
        name, colon, value = bare.partition(":")
        name = name.lower()
        if bare.lower() in ("pinned", "deleted"):
            flags.add(bare.lower())
        elif not colon or name not in ("model", "in", "since", "before"):
            words.append(match[0])
        elif not value:
            continue
        elif name == "model":
            models.append(value)
        elif name == "in":
            places.append(_place(value.lower()))
        else:
            dates[name] = _date(name, value)
    return Query(
        wanted(" ".join(words)),
        tuple(place for place in PLACES if place in places) or PLACES,
        tuple(models),
        dates.get("since"),
        dates.get("before"),
        "pinned" in flags,
        "deleted" in flags,
    )


def _place(value: str) -> Place:
    for place in PLACES:
        # "answers" and "questions" are what people say.
        if value in (place, f"{place}s"):
            return place
    raise UnknownName("part of a turn", value, PLACES)


def _date(name: str, value: str) -> float:
    """The beginning of a day, a month or a year, where we are."""
    for form in _DATES:
        try:
            return datetime.strptime(value, form).astimezone().timestamp()
        except (ValueError, OverflowError, OSError):
            continue
    raise InputError(
        f"{value!r} is no date.", f"Write {name}:2026-10-01, or a month or a year: {name}:2026-10"
    )
