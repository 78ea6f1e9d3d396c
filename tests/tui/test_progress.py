"""How far a job has come: files that come count together, and something is made of them beside."""

from __future__ import annotations

import pytest

from ponder.library.watching import (
    Checked,
    Hashing,
    Heading,
    Planned,
    Receiving,
    Waiting,
    Wrong,
)
from ponder.tui import progress
from ponder.tui.progress import Progress, Stage, Teller, Told
from ponder_quantize.events import Quantizing


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "OFTEN", 0.0)


def after(*told: Told) -> Progress:
    """What is known once all that has happened."""
    known = [Progress()]
    teller = Teller(known.append)
    for event in told:
        teller(event)
    return known[-1]


def figures(stage: Stage) -> tuple[str, int, int, int, int]:
    return stage.doing, stage.done, stage.size, stage.file, stage.files


PLANNED = Planned("small", "tiny/small", "main", 3, 300, 100)


def test_files_that_come_count_together() -> None:
    known = after(PLANNED, Receiving("a", 0, 100), Receiving("a", 100, 100), Receiving("b", 0, 90))
    (stage,) = known.stages
    assert figures(stage) == ("fetching", 100, 300, 2, 3)


def test_what_was_here_before_counts_once_it_has_been_checked() -> None:
    here = (PLANNED, Hashing("a", 100, 100), Checked("a", "0" * 64))
    assert figures(after(*here, Receiving("b", 10, 90)).stages[0]) == ("fetching", 110, 300, 2, 3)


def test_a_damaged_file_counts_from_the_beginning() -> None:
    damaged = (PLANNED, Receiving("a", 0, 100), Receiving("a", 100, 100), Wrong("a", "1", "2"))
    known = after(*damaged, Receiving("a", 0, 100), Receiving("a", 20, 100))
    assert figures(known.stages[0]) == ("fetching", 20, 300, 1, 3)
    assert "fetched again" in known.note


def test_what_is_made_comes_after_what_it_is_made_of_whichever_is_told_first() -> None:
    making = Quantizing(10, 50, 60, 300, "output.weight")
    coming = Receiving("a", 70, 100)
    for known in (after(PLANNED, making, coming), after(PLANNED, coming, making)):
        assert [stage.doing for stage in known.stages] == ["fetching", "quantizing"]
        assert known.last is not None
        assert known.last.share == 0.2


def test_what_is_over_gives_way() -> None:
    known = after(
        PLANNED,
        *(Receiving(name, 100, 100) for name in "abc"),
        Quantizing(20, 50, 120, 300, "output.weight"),
    )
    assert [stage.doing for stage in known.stages] == ["quantizing"]
    done = Quantizing(50, 50, 300, 300, "output.weight")
    known = after(PLANNED, done, Hashing("small.gguf", 5, 50))
    (stage,) = known.stages
    assert figures(stage) == ("checking", 5, 50, 1, 1)


def test_what_was_waited_for_is_not_told_any_more_when_it_is_here() -> None:
    for waited in (Heading(2, 3), Waiting("the hub is busy", 4.0)):
        assert after(PLANNED, waited).note
        assert after(PLANNED, waited, Receiving("a", 1, 100)).note == ""
