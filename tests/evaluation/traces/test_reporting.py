"""The whole report of a bank, as its user gets it: every table, and what a rule is praised for."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest

from evaluation.traces.banks import header, trace
from ponder.cli import run
from ponder.equality import Comparer
from ponder.errors import InputError
from ponder.evaluation.journal import RESULTS, Result
from ponder.evaluation.traces.form import Bank, encode
from ponder.evaluation.traces.policies import DEFAULTS, FAMILIES, named
from ponder.evaluation.traces.reporting import report
from ponder.thinking.stopping import parse


def bank(questions: int = 12, seeds: int = 4) -> Bank:
    """Thoughts that know their answer in the middle, are sure of it then, and go on for long."""
    said = ["8", "9", *["7"] * 10]
    confident = [0.3, 0.4, *[0.99] * 10]
    traces = tuple(
        trace(said, "7" if (q + s) % 4 else "8", q, s, gap=80, confidences=confident)
        for q in range(questions)
        for s in range(seeds)
    )
    return Bank(header(questions, seeds, bare=True), traces)


def test_a_report_by_hand() -> None:
    with Comparer() as comparer:
        found = report(bank(), comparer)
    assert found.natural.right.value == pytest.approx(0.75)
    right, final, loose = found.oracles
    # Right traces stop at 240 of 968 tokens and say 32; the wrong ones go to their end.
    assert right.total == pytest.approx(0.75 * (240 + 32) + 0.25 * (968 + 6))
    assert right.right == final.right == found.natural.right
    assert loose.total < right.total
    confident = next(one for one in found.chosen if one.row.name.startswith("confident"))
    assert confident.fine and confident.row.no_worse
    # It stops every trace at the third sentence, where all of them are right.
    assert confident.row.right.value == 1.0
    assert confident.row.saving.value > found.half.saving.value
    assert {row.name.split(",")[0] for row in found.votes} == {"vote of 2", "vote of 4"}
    assert len(found.bare) == len(found.cuts) > 0 and not found.live


def test_rules_have_the_names_that_are_typed() -> None:
    for rule in (*DEFAULTS.values(), *(one for family in FAMILIES.values() for one in family)):
        assert parse(named(rule)) == rule


def test_the_command_writes_tables_and_a_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out, live = tmp_path / "bank.jsonl", tmp_path / "out", tmp_path / "live"
    recorded = bank()
    lines = [encode(recorded.header), *(encode(one) for one in recorded.traces)]
    path.write_bytes(b"".join(lines))
    live.mkdir()
    results = [
        Result(condition="1 x Wait", item=f"q{at}", sample=0, seed=0, right=True, think=50)
        for at in range(12)
    ] + [Result(condition="natural", item="q0", sample=0, seed=0)]
    (live / RESULTS).write_bytes(b"\n".join(map(msgspec.json.encode, results)))
    assert run(["replay", str(path), "-o", str(out), "--live", str(live), "--quiet"]) == 0
    told = capsys.readouterr().out
    for word in ("natural", "oracle", "margin", "vote of 4", "1 x Wait (live)"):
        assert word in told
    text = (out / "replay.md").read_text()
    assert "ponder replay" in text and "| 1 x Wait (live) | 100.0" in text
    assert "natural (live)" not in text, "a condition without all questions is left out"
    assert ElementTree.parse(out / "replay.svg").getroot().tag.endswith("svg")
    assert run(["replay", str(path), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["bank"]["questions"] == 12 and facts["traces"] == 48


def test_what_cannot_be_replayed_is_refused(tmp_path: Path) -> None:
    with Comparer() as comparer:
        with pytest.raises(InputError, match="fewer than two"):
            report(bank(1), comparer)
        (tmp_path / RESULTS).write_bytes(b"")
        with pytest.raises(InputError, match="no condition"):
            report(bank(), comparer, tmp_path)
