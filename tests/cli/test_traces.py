"""`ponder ask --traces K` in this process, on the built-in model: several traces, one answer."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ponder import assembly
from ponder.catalogue import catalogue
from ponder.cli import run
from ponder.equality import same_answer
from ponder.library import fit, local

QUESTION = "Mia has 38 marbles. She buys 47 more marbles. How many marbles does Mia have now?"
LONG = "(17 * 23 + 89) * 12 - 4567 = ?"


def events(capfd: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    assert run(["ask", "--json", *arguments]) == 0
    out, err = capfd.readouterr()
    assert err == ""
    return [json.loads(line) for line in out.splitlines()]


def test_one_answer_goes_to_stdout_and_the_vote_to_stderr(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert run(["ask", "--traces", "8", "--seed", "1", QUESTION]) == 0
    out, err = capfd.readouterr()
    assert "\\boxed{85}" in out
    assert out.count("boxed") == 1
    assert "38 + 47" in err
    assert err.count("finish: ") == 1
    assert re.search(r"^\d of 8: 85( · .*)?$", err, re.MULTILINE)
    assert re.search(r"^decided: .* · [\d,]+ thinking tokens in ", err, re.MULTILINE)


def test_quiet_prints_the_answer_alone(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["ask", "-q", "--traces", "3", "--seed", "1", QUESTION]) == 0
    out, err = capfd.readouterr()
    assert "\\boxed{85}" in out
    assert err == ""


def test_json_has_every_trace_and_every_count(capfd: pytest.CaptureFixture[str]) -> None:
    told = events(capfd, "--traces", "5", "--seed", "3", LONG)
    ends = {one["trace_number"]: one["trace"] for one in told if one["event"] == "finished"}
    assert set(ends) == {1, 2, 3, 4, 5}
    assert len({trace["sampling"]["seed"] for trace in ends.values()}) == 5
    assert ends[1]["sampling"]["seed"] == 3
    last = told[-1]
    assert last["event"] == "polled"
    poll = last["poll"]
    assert last["trace_number"] == poll["winner"]
    finishes = Counter(trace["finish"] for trace in ends.values())
    dropped = [n for n, trace in ends.items() if trace["answer_end"] == "dropped"]
    counted = [n for choice in poll["choices"] for n in choice["traces"]] + poll["silent"]
    assert len(counted) + len(dropped) == 5
    assert finishes["agreed"] <= len(dropped)
    for number in dropped:
        why = ends[number]["budget_events"][-1]
        assert (why["change"], why["figures"]) == ("agreed", poll["figures"])
    counts = [one["poll"] for one in told if one["event"] == "counted"]
    assert counts[-1] == poll


def test_the_prompt_is_read_once_for_all(capfd: pytest.CaptureFixture[str]) -> None:
    told = events(capfd, "--traces", "6", "--seed", "3", QUESTION)
    usages = [one["trace"]["usage"] for one in told if one["event"] == "finished"]
    # All but the last token of the others' prompts are found in the cache.
    assert sorted(usage["prompt"] - usage["cached"] for usage in usages)[:-1] == [1] * 5


def test_the_same_seed_gives_the_same_vote(capfd: pytest.CaptureFixture[str]) -> None:
    runs = []
    for _ in range(2):
        told = events(capfd, "--traces", "6", "--seed", "5", LONG)
        tokens = {one["question"]: one["trace"]["tokens"] for one in told if "trace" in one}
        runs.append((tokens, told[-1]["poll"]))
    assert runs[0] == runs[1]


def test_a_budget_is_each_trace_s_own(capfd: pytest.CaptureFixture[str]) -> None:
    told = events(capfd, "--traces", "4", "--budget", "20", "--no-landing", "--seed", "5", LONG)
    for one in told:
        if one["event"] == "finished":
            assert one["trace"]["usage"]["think"] <= 20
            assert one["trace"]["finish"] in ("cap", "closed", "agreed")


@pytest.mark.parametrize("pool", [1, 40, 300, 900])
def test_a_pool_is_for_all_together(capfd: pytest.CaptureFixture[str], pool: int) -> None:
    told = events(capfd, "--traces", "6", "--pool", str(pool), "--seed", "5", LONG)
    ends = [one["trace"] for one in told if one["event"] == "finished"]
    assert len(ends) == 6
    assert sum(trace["usage"]["think"] for trace in ends) <= pool
    assert told[-1]["poll"]["winner"] is not None
    answered = [trace for trace in ends if trace["answer_end"] == "stop"]
    assert answered
    assert all(trace["confidence"] is None or 0 < trace["confidence"] <= 1 for trace in ends)


def test_the_first_that_answer_decide(capfd: pytest.CaptureFixture[str]) -> None:
    told = events(capfd, "--traces", "4", "--first", "1", "--seed", "5", LONG)
    poll = told[-1]["poll"]
    assert poll["stop"] == "short"
    assert [choice["traces"] for choice in poll["choices"]] == [[poll["winner"]]]
    ends = {e["trace_number"]: e["trace"]["answer_end"] for e in told if e["event"] == "finished"}
    winner = ends.pop(poll["winner"])
    assert winner != "dropped"
    assert set(ends.values()) == {"dropped"}


def test_votes_can_be_weighed(capfd: pytest.CaptureFixture[str]) -> None:
    told = events(capfd, "--traces", "3", "--weigh", "--seed", "5", LONG)
    ends = {one["trace_number"]: one["trace"] for one in told if one["event"] == "finished"}
    for choice in told[-1]["poll"]["choices"]:
        sure = [ends[number]["confidence"] for number in choice["traces"]]
        assert choice["weight"] == pytest.approx(sum(sure))
        assert all(0 < one < 1 for one in sure)


def test_answers_without_thinking_vote_as_well(capfd: pytest.CaptureFixture[str]) -> None:
    told = events(capfd, "--traces", "4", "--no-think", "--seed", "5", QUESTION)
    finishes = {one["trace"]["finish"] for one in told if one["event"] == "finished"}
    assert finishes == {"off"}
    assert told[-1]["event"] == "polled"
    assert told[-1]["poll"]["winner"] is not None


def test_one_trace_is_no_vote(capfd: pytest.CaptureFixture[str]) -> None:
    told = events(capfd, "--traces", "1", "--seed", "1", QUESTION)
    assert told[-1]["event"] == "finished"
    assert "trace_number" not in told[-1]
    assert same_answer("85", "85")
    assert "85" in "".join(span["text"] for span in told[-1]["trace"]["spans"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--traces", "0"], "0 is not in the range 1<=x<=128"),
        (["--traces", "129"], "129 is not in the range 1<=x<=128"),
        (["--pool", "90"], "--pool is for several traces, and there is one"),
        (["--first", "2"], "--first is for several traces, and there is one"),
        (["--traces", "3", "--first", "3"], "--first 3 of 3 traces waits for all of them"),
        (["--weigh"], "--weigh is for several traces, and there is one"),
        (["--traces", "2", "--pool", "lots"], "'lots' is no budget"),
        (["--traces", "2", "--pool", "medium"], "'medium' is no number of tokens"),
        (["--traces", "2", "--pool", "0"], "nothing to think with in a pool of 0 tokens"),
        (["--traces", "2", "--pool", "99", "--no-think"], "With thinking off"),
        (["--traces", "many"], "'many' is not a valid integer"),
        (["--traces", "4", "--temperature", "0"], "At temperature 0 all 4 traces are the same"),
        (["--traces", "4", "--budget", "3k"], "A budget of 3,072 tokens is beyond"),
        (["--traces", "4", "--ctx", "9999"], "beyond what ponder-tiny was trained for (2,048)"),
    ],
)
def test_what_cannot_be_done_is_said_with_a_hint(
    capfd: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert run(["ask", *arguments, "hi"]) == 2
    out, err = capfd.readouterr()
    assert said in err
    assert "Traceback" not in err
    assert out == ""


def test_more_traces_than_there_is_memory_for_are_refused_before_anything_is_loaded(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine, _ = assembly.usable_machine()
    small = replace(machine, free=(256 + 200) << 20, gpus=())
    monkeypatch.setattr(assembly, "usable_machine", lambda: (small, ()))

    def never(*_: object) -> None:
        pytest.fail("it was loaded")

    monkeypatch.setattr(assembly, "LlamaEngine", never)
    assert run(["ask", "--traces", "128", "hi"]) == 2
    err = capfd.readouterr().err
    most = re.search(r"--traces (\d+)\.", err)
    assert most is not None, err
    assert "128 traces of 2,048 tokens of context take " in err
    entry = local.find("ponder-tiny", catalogue())
    for traces, verdict in ((int(most[1]), "cpu"), (int(most[1]) + 1, "no")):
        assert fit.advise(entry, fit.Wish(2048, traces), small).verdict == verdict


def test_a_small_budget_needs_no_large_context(
    capfd: pytest.CaptureFixture[str], smollm: Path
) -> None:
    told = events(
        capfd, "--model", str(smollm), "--traces", "2", "--budget", "40", "--max-answer", "8", "hi"
    )
    assert told[-1]["event"] == "polled"
    (started, _) = [one for one in told if one["event"] == "started"]
    assert started["budget"] is None or started["budget"] <= 40
