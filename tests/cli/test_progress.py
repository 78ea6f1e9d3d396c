"""Progress where there is no terminal: a line for each tenth, with rate and time left."""

from __future__ import annotations

import json
from itertools import count

import pytest

from ponder.cli.progress import watching
from ponder.library.telling import left, size
from ponder.library.watching import Hashing, Noted, Receiving, Waiting

MB = 1_000_000


def test_lines_come_by_tenths_and_say_how_long(capfd: pytest.CaptureFixture[str]) -> None:
    seconds = count()
    with watching(clock=lambda: float(next(seconds))) as tell:
        for done in range(101):
            tell(Receiving("x.gguf", done * MB, 100 * MB))
        tell(Receiving("x.gguf", 100 * MB, 100 * MB))
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 10
    assert lines[0] == "fetching x.gguf: 10 MB of 100 MB, 1 MB/s, 1:30 min left"
    assert lines[-1] == "fetching x.gguf: 100 MB of 100 MB, 1 MB/s"


def test_what_was_here_is_no_part_of_the_rate(capfd: pytest.CaptureFixture[str]) -> None:
    seconds = count()
    with watching(clock=lambda: float(next(seconds))) as tell:
        tell(Receiving("x.gguf", 90 * MB, 100 * MB))
        tell(Receiving("x.gguf", 100 * MB, 100 * MB))
    assert "10 MB/s" in capfd.readouterr().err.splitlines()[-1]


def test_quiet_still_says_why_it_waits(capfd: pytest.CaptureFixture[str]) -> None:
    with watching(quiet=True) as tell:
        tell(Receiving("x.gguf", MB, MB))
        tell(Hashing("x.gguf", MB, MB))
        tell(Waiting("the hub asks for fewer questions (429).", 7.0))
        tell(Waiting("x: another pull is at it"))
    assert capfd.readouterr().err.splitlines() == [
        "the hub asks for fewer questions (429); trying again in 7 s.",
        "x: another pull is at it, waiting.",
    ]


def test_a_terminal_is_only_shown_text(capfd: pytest.CaptureFixture[str]) -> None:
    with watching() as tell:
        tell(Noted("\x1b[31mred"))
    assert "\x1b" not in capfd.readouterr().err


def test_json_has_every_event(capfd: pytest.CaptureFixture[str]) -> None:
    with watching(as_json=True) as tell:
        tell(Receiving("x", 1, 2))
    told = json.loads(capfd.readouterr().out)
    assert told == {"event": "receiving", "file": "x", "done": 1, "size": 2}


@pytest.mark.parametrize(
    "value, text", [(0, "0 B"), (999, "999 B"), (4_685_000_000, "4.7 GB"), (2_000, "2 kB")]
)
def test_sizes_for_people(value: int, text: str) -> None:
    assert size(value) == text


@pytest.mark.parametrize("value, text", [(3.2, "3 s"), (65, "1:05 min"), (3900, "1:05 h")])
def test_durations_for_people(value: float, text: str) -> None:
    assert left(value) == text
