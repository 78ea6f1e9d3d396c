"""Spans and traces <-> columns of the database, without loss. Knows the shape of each column.

SQLite's text cannot hold every Python string: lone surrogates have no UTF-8, and the index
stops at a NUL. Such characters are stored as U+FFFD, with a note (`odd`) of where and what
they were; so texts come back exactly, and keep their length in between.
"""

from __future__ import annotations

import json
import re
import sqlite3
import sys
import zlib
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from itertools import groupby
from typing import Any, TypeVar

from ponder.history.records import Candidate, Turn, Vote
from ponder.poll import Choice, Decision, Poll
from ponder.provenance import Engine, File, Provenance
from ponder.types import (
    AnswerEnd,
    AppliedAdapter,
    Author,
    Budget,
    BudgetChange,
    BudgetEvent,
    Channel,
    Finish,
    Sampling,
    Span,
    Trace,
    Usage,
)

_ODD = re.compile(r"[\x00\ud800-\udfff]")
_COLUMN = {Channel.THOUGHT: "thinking", Channel.ANSWER: "answer"}

Odd = list[list[int]]
"""Characters that SQLite cannot hold: pairs of place and code point."""

T = TypeVar("T")


def held(text: str) -> tuple[str, Odd]:
    """Text as SQLite can hold it, and what is to be put back."""
    odd = [[match.start(), ord(match[0])] for match in _ODD.finditer(text)]
    return (_ODD.sub("\ufffd", text), odd) if odd else (text, odd)


def plain(text: str) -> str:
    """Text as SQLite can hold it, for what need not come back to the letter."""
    return held(text)[0]


def restored(text: str, odd: Odd) -> str:
    """What `held` was given."""
    if not odd:
        return text
    characters = list(text)
    for place, code in odd:
        characters[place] = chr(code)
    return "".join(characters)


def dumped(value: object) -> str:
    """Compact JSON. The standard library's: it keeps every float and integer as it is."""
    return json.dumps(value, separators=(",", ":"))


def flat(value: Budget | Sampling) -> str:
    """A flat dataclass as JSON; `made` makes it again."""
    return dumped(asdict(value))


def odd_of(row: sqlite3.Row) -> dict[str, Odd]:
    """The odd characters of a turn, by column."""
    return json.loads(row["odd"]) if row["odd"] else {}


def note(odd: object) -> str | None:
    """The column for odd characters: NULL where there are none, which is nearly always."""
    return dumped(odd) if odd else None


def made(kind: type[T], values: dict[str, Any]) -> T:
    """A dataclass out of JSON: what it does not know is left out, what is missing defaults."""
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: value for name, value in values.items() if name in known})


def merged(spans: Iterable[Span]) -> list[Span]:
    """Neighbours of one channel and one author as one span; empty ones left out."""
    groups = groupby((s for s in spans if s.text), lambda span: (span.channel, span.author))
    return [Span(c, "".join(span.text for span in run), author) for (c, author), run in groups]


def text_columns(question: str, spans: Sequence[Span]) -> dict[str, object]:
    """The columns for the text of a turn that is over."""
    columns: dict[str, object] = {}
    odd: dict[str, Odd] = {}
    for channel, name in _COLUMN.items():
        columns[name], odd[name] = held("".join(s.text for s in spans if s.channel is channel))
    odd["question"] = held(question)[1]
    columns["odd"] = note({name: found for name, found in odd.items() if found})
    columns["runs"] = dumped([[s.channel, s.author, len(s.text)] for s in spans])
    return columns


def vote_column(vote: Vote | None) -> str | None:
    """The column for how a turn's traces voted; NULL where there was one."""
    return None if vote is None else dumped(asdict(vote))


def provenance_column(provenance: Provenance | None) -> str | None:
    """The column for what a turn came from; NULL where nobody wrote that down."""
    return None if provenance is None else dumped(asdict(provenance))


def shown(row: sqlite3.Row) -> int | None:
    """Which of several traces has its text in the turn itself."""
    return None if row["vote"] is None else _vote(json.loads(row["vote"])).shown


def trace_columns(trace: Trace) -> dict[str, object]:
    """The columns for everything of a trace but its text."""
    return {
        "finish": trace.finish.value,
        "answer_end": trace.answer_end.value,
        "account": dumped(
            {
                "last_resort": trace.last_resort,
                "budget": trace.budget,
                "within": trace.within,
                "confidence": trace.confidence,
                "usage": asdict(trace.usage),
                "sampling": asdict(trace.sampling),
                "events": [asdict(event) for event in trace.budget_events],
                "adapters": [asdict(adapter) for adapter in trace.adapters],
                "forced": _runs(trace.forced),
                "user": _runs(trace.user),
            }
        ),
        "tokens": _packed(trace.tokens),
    }


def turn_of(
    row: sqlite3.Row,
    fragments: Sequence[sqlite3.Row] = (),
    candidates: Sequence[sqlite3.Row] = (),
) -> Turn:
    """A turn out of its row, its candidates', and its fragments' where it is still streaming.

    Raises:
        ValueError, KeyError, TypeError, IndexError, zlib.error: not what we wrote.
    """
    odd = odd_of(row)
    spans = said_by(0, fragments) if row["runs"] is None else _spans(row, odd)
    others = {one["number"]: _candidate(one) for one in candidates}
    for number in {fragment["trace"] for fragment in fragments} - {0, *others}:
        others[number] = Candidate(number, tuple(said_by(number, fragments)), None, None)
    return Turn(
        id=row["id"],
        conversation=row["conversation"],
        position=row["position"],
        asked=row["asked"],
        question=restored(row["question"], odd.get("question", [])),
        model=row["model"],
        budget=made(Budget, json.loads(row["budget"])),
        sampling=made(Sampling, json.loads(row["sampling"])),
        spans=tuple(spans),
        trace=_trace(row, tuple(spans)) if row["account"] is not None else None,
        error=row["error"],
        folded=_folded(row),
        vote=None if row["vote"] is None else _vote(json.loads(row["vote"])),
        provenance=_provenance(row["provenance"]),
        others=tuple(others[number] for number in sorted(others)),
    )


def said_by(trace: int, fragments: Iterable[sqlite3.Row]) -> list[Span]:
    """What a trace has said so far; 0 is the only one of its turn."""
    return merged(fragment_of(one) for one in fragments if one["trace"] == trace)


def fragment_of(row: sqlite3.Row) -> Span:
    """A span that was appended."""
    odd: Odd = json.loads(row["odd"]) if row["odd"] else []
    return Span(Channel(row["channel"]), restored(row["text"], odd), Author(row["author"]))


def _spans(row: sqlite3.Row, odd: dict[str, Odd]) -> list[Span]:
    texts = {c: restored(row[name], odd.get(name, [])) for c, name in _COLUMN.items()}
    read = dict.fromkeys(_COLUMN, 0)
    spans = []
    for name, author, characters in json.loads(row["runs"]):
        channel = Channel(name)
        start, read[channel] = read[channel], read[channel] + characters
        spans.append(Span(channel, texts[channel][start : read[channel]], _author(author)))
    return spans


def _candidate(row: sqlite3.Row) -> Candidate:
    spans = tuple(_spans(row, odd_of(row)))
    trace = _trace(row, spans) if row["account"] is not None else None
    return Candidate(row["number"], spans, trace, _folded(row))


def _folded(row: sqlite3.Row) -> bool | None:
    return None if row["folded"] is None else bool(row["folded"])


def _vote(values: dict[str, Any]) -> Vote:
    told = values["poll"]
    if told is None:
        return made(Vote, values)
    choices = tuple(
        made(Choice, choice | {"traces": tuple(choice["traces"])}) for choice in told["choices"]
    )
    lists = {name: tuple(told[name]) for name in ("silent", "dropped")}
    stop = None if told["stop"] is None else Decision(told["stop"])
    poll = made(Poll, told | lists | {"choices": choices, "stop": stop})
    return made(Vote, values | {"poll": poll})


def _provenance(written: str | None) -> Provenance | None:
    if written is None:
        return None
    values = json.loads(written)
    files = tuple(made(File, file) for file in values["files"])
    return made(Provenance, values | {"files": files, "engine": made(Engine, values["engine"])})


def _author(written: str | bool) -> Author:
    """An author; once it was only written down whether ponder was."""
    if isinstance(written, bool):
        return Author.PONDER if written else Author.MODEL
    return Author(written)


def _trace(row: sqlite3.Row, spans: tuple[Span, ...]) -> Trace:
    account = json.loads(row["account"])
    events = [
        made(BudgetEvent, event | {"change": BudgetChange(event["change"])})
        for event in account["events"]
    ]
    return Trace(
        spans=spans,
        tokens=_unpacked(row["tokens"]),
        forced=_flags(account["forced"]),
        # Traces that were written before anybody could write into one have no such list.
        user=_flags(account.get("user", ())),
        finish=Finish(row["finish"]),
        answer_end=AnswerEnd(row["answer_end"]),
        last_resort=account["last_resort"],
        budget=account["budget"],
        within=account.get("within"),
        confidence=account.get("confidence"),
        usage=made(Usage, account["usage"]),
        sampling=made(Sampling, account["sampling"]),
        budget_events=tuple(events),
        # Traces that were written before there were any have no such list.
        adapters=tuple(made(AppliedAdapter, one) for one in account.get("adapters", ())),
    )


def _runs(flags: Sequence[bool]) -> list[tuple[bool, int]]:
    return [(flag, len(list(run))) for flag, run in groupby(flags)]


def _flags(runs: Iterable[tuple[bool, int]]) -> tuple[bool, ...]:
    return tuple(flag for flag, count in runs for _ in range(count))


def _packed(tokens: Sequence[int]) -> bytes:
    """Token ids as llama.cpp has them, 32 bits each, little-endian, compressed.

    Raises:
        OverflowError: an id that no vocabulary has.
    """
    return zlib.compress(_little_endian(array("i", tokens)).tobytes())


def _unpacked(blob: bytes) -> tuple[int, ...]:
    numbers = array("i")
    numbers.frombytes(zlib.decompress(blob))
    return tuple(_little_endian(numbers))


def _little_endian(numbers: array[int]) -> array[int]:
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
