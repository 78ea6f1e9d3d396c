"""`ponder measured`, and what asking teaches: deadlines, efforts, events with their figures."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ponder import measured
from ponder.cli import run
from ponder.measured import Memory

QUESTION = "Mia has 38 marbles. She buys 47 more marbles. How many marbles does Mia have now?"


def ask(capfd: pytest.CaptureFixture[str], *options: str) -> list[dict[str, Any]]:
    """The events of a question."""
    assert run(["ask", "--seed", "1", "--json", *options, QUESTION]) == 0
    return [json.loads(line) for line in capfd.readouterr().out.splitlines()]


def trace(told: list[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = told[-1]["trace"]
    return found


def listed(capfd: pytest.CaptureFixture[str], *options: str) -> list[dict[str, Any]]:
    assert run(["measured", "--json", *options]) == 0
    models: list[dict[str, Any]] = json.loads(capfd.readouterr().out)["models"]
    return models


def test_asking_is_measuring(capfd: pytest.CaptureFixture[str]) -> None:
    assert listed(capfd) == []
    assert run(["measured"]) == 0
    assert "Nothing was measured yet" in capfd.readouterr().err
    ask(capfd)
    ask(capfd, "--budget", "5")
    (model,) = listed(capfd)
    assert model["model"] == "ponder-tiny"
    assert (model["thinking"]["traces"], model["thinking"]["ended"]) == (2, 1)
    (steps,) = model["machines"].values()
    assert steps["windows"] > 0
    assert steps["seconds_a_prompt_token"] > 0
    assert run(["measured", "ponder-tiny"]) == 0
    shown = capfd.readouterr().out
    assert "2 traces, 1 to their end" in shown
    assert "fixed, until 20 traces came to their end" in shown


def test_it_can_be_forgotten(capfd: pytest.CaptureFixture[str]) -> None:
    ask(capfd)
    assert run(["measured", "ponder-tiny", "--reset"]) == 0
    assert "forgotten: what was measured of 1 model" in capfd.readouterr().err
    assert listed(capfd) == []


def test_a_damaged_file_is_told_of_and_asked_past(capfd: pytest.CaptureFixture[str]) -> None:
    ask(capfd)
    ((path, _),) = measured.records()
    path.write_text("{")
    assert run(["measured"]) == 0
    assert "cannot be read" in capfd.readouterr().out
    assert run(["ask", "--seed", "1", QUESTION]) == 0
    assert "is measured anew" in capfd.readouterr().err
    assert run(["ask", "--seed", "1", QUESTION]) == 0
    assert "measured anew" not in capfd.readouterr().err


def test_a_name_that_nobody_has_lists_those_that_there_are(
    capfd: pytest.CaptureFixture[str],
) -> None:
    ask(capfd)
    assert run(["measured", "ponder-tinny"]) == 2
    assert "Did you mean ponder-tiny?" in capfd.readouterr().err


def test_an_effort_means_what_was_measured(capfd: pytest.CaptureFixture[str]) -> None:
    ask(capfd)
    ((path, _),) = measured.records()
    memory = Memory(path, "ponder-tiny", "another machine")
    for length in range(100, 200):
        memory.learned.thinking.observe(length, ended=True)
    memory.keep()
    (model,) = listed(capfd)
    started = next(e for e in ask(capfd, "--budget", "low") if e["event"] == "started")
    assert started["budget"] == model["efforts"]["low"] == model["thinking"]["q50"]
    assert 100 < started["budget"] < 200


def test_a_deadline_is_told_with_its_figures(capfd: pytest.CaptureFixture[str]) -> None:
    ask(capfd)
    told = ask(capfd, "--within", "2m")
    events = [e for e in told if e["event"] == "rebudgeted"]
    first = trace(told)["budget_events"][0]
    assert events[0]["decision"] == first
    assert (first["change"], first["figures"]["seconds"]) == ("deadline", 120)
    assert first["figures"]["tokens"] > 0
    assert trace(told)["within"] == 120


def test_a_deadline_and_a_budget_bind_both(capfd: pytest.CaptureFixture[str]) -> None:
    told = ask(capfd, "--within", "60s", "--budget", "7", "--no-landing")
    assert trace(told)["usage"]["think"] == 7
    assert (trace(told)["finish"], trace(told)["within"]) == ("cap", 60)
    assert trace(ask(capfd, "--budget", "60s"))["within"] == 60


@pytest.mark.parametrize("time", ["soon", "0", "-3s", "5 parsecs", ""])
def test_a_time_that_is_none_is_refused(capfd: pytest.CaptureFixture[str], time: str) -> None:
    assert run(["ask", "--within", time, QUESTION]) == 2
    assert "1m30s" in capfd.readouterr().err


def test_at_least_so_much(capfd: pytest.CaptureFixture[str]) -> None:
    told = ask(capfd, "--at-least", "120")
    withdrawn = [e for e in trace(told)["budget_events"] if e["change"] == "withdrawn"]
    assert withdrawn
    assert withdrawn[0]["figures"]["floor"] == 120
    assert trace(told)["usage"]["think"] >= 120
