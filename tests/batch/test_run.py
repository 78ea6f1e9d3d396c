"""`ponder run` as its user meets it: the built-in model, real processes, real kills."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from e2e.terminal import PONDER, Terminal, environment
from ponder import assembly
from ponder.cli import run
from ponder.evaluation.questions import questions

GUARD = 60.0
"""Seconds after which a test that waits is ended; nothing here is measured."""


def file_of(folder: Path, count: int, *more: str) -> Path:
    file = folder / "q.jsonl"
    asked = islice(questions(11, operations=range(1, 4), kinds=["expression"]), count)
    told = [
        json.dumps({"id": f"q{n}", "question": q.text, "answer": q.answer})
        for n, q in enumerate(asked)
    ]
    file.write_text("\n".join([*told, *more]) + "\n", "utf-8")
    return file


def ponder(home: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PONDER, *map(str, arguments)],
        env=environment(home),
        capture_output=True,
        text=True,
        timeout=GUARD,
        check=False,
    )


def results(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def test_every_question_has_a_line_and_the_pool_is_kept(home: Path, tmp_path: Path) -> None:
    file = file_of(tmp_path, 10, '{"question": "What is 2 + 3?", "budget": "off"}', "{oops")
    done = ponder(home, "run", file, "--pool", "200", "--json")
    assert done.returncode == 2
    assert f"{file}:12: it is no JSON" in done.stderr
    told = results(tmp_path / "q.results.jsonl")
    assert sorted(one["line"] for one in told) == list(range(1, 12))
    assert all(one["answer"] for one in told)
    assert sum(one["think"] for one in told) <= 200
    assert {one["right"] for one in told if one["line"] == 11} == {None}
    assert True in {one["right"] for one in told}
    printed = [json.loads(line) for line in done.stdout.splitlines()]
    assert printed[0] == {"event": "malformed", "line": 12, "why": printed[0]["why"]}
    assert printed[1:] == told
    changes = {event["change"] for one in told for event in one["decisions"]}
    assert "granted" in changes
    assert not list(tmp_path.glob("*.dealt")) and not list(tmp_path.glob("*.lock"))


def test_one_question_without_a_pool_is_what_ask_does(home: Path, tmp_path: Path) -> None:
    words = "What is 17 * 23 + 4?"
    file = tmp_path / "one.jsonl"
    file.write_text(json.dumps({"question": words}))
    assert ponder(home, "run", file, "--seed", "5", "-q").returncode == 0
    (told,) = results(tmp_path / "one.results.jsonl")
    asked = ponder(home, "ask", words, "--seed", "5", "--json").stdout.splitlines()
    trace = json.loads(asked[-1])["trace"]
    answer = "".join(s["text"] for s in trace["spans"] if s["channel"] == "answer").strip()
    assert (told["answer"], told["think"], told["finish"]) == (
        answer,
        trace["usage"]["think"],
        trace["finish"],
    )
    assert (told["seed"], told["budget"]) == (5, trace["budget"])


def killed(home: Path, arguments: Sequence[str | Path], output: Path, lines: int, how: int) -> int:
    """Start it, and end it as soon as so many results are there; gives the exit code."""
    process = subprocess.Popen(
        [*PONDER, *map(str, arguments)],
        env=environment(home),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    end = time.monotonic() + GUARD
    try:
        while not output.exists() or output.read_bytes().count(b"\n") < lines:
            assert process.poll() is None, "it was over before it could be killed"
            assert time.monotonic() < end
            time.sleep(0.002)
        process.send_signal(how)
        return process.wait(GUARD)
    finally:
        process.kill()
        process.wait()


def test_a_kill_in_the_middle_is_gone_on_from(home: Path, tmp_path: Path) -> None:
    file, output = file_of(tmp_path, 60), tmp_path / "q.results.jsonl"
    pool = 1500
    words = ("run", file, "--pool", str(pool), "--threads", "1")
    assert killed(home, words, output, 3, signal.SIGKILL) == -signal.SIGKILL
    first = output.read_bytes()
    assert 3 <= first.count(b"\n") < 60
    dealt = output.with_name("q.results.jsonl.dealt")
    assert dealt.exists()
    with output.open("ab") as torn:
        torn.write(b'{"id":"q')
    whole = first[: first.rfind(b"\n") + 1]
    assert killed(home, words, output, whole.count(b"\n") + 3, signal.SIGKILL) == -signal.SIGKILL
    done = ponder(home, *words)
    assert done.returncode == 0, done.stderr
    assert output.read_bytes().startswith(whole)
    told = results(output)
    assert sorted(one["line"] for one in told) == list(range(1, 61))
    assert len({one["digest"] for one in told}) == 60
    # What the kills cost was thought as well: it lies beside the results, and counts.
    lost = sum(json.loads(line)[1] for line in dealt.read_text().splitlines())
    assert lost > 0
    assert sum(one["think"] for one in told) + lost <= pool
    again = ponder(home, *words)
    assert again.returncode == 0
    assert "60 of 60 are done" in again.stderr
    assert results(output) == told


@pytest.mark.skipif(sys.platform == "win32", reason="no such signal")
def test_ctrl_c_loses_no_token_and_no_result(home: Path, tmp_path: Path) -> None:
    file, output = file_of(tmp_path, 60), tmp_path / "q.results.jsonl"
    words = ("run", file, "--pool", "1500", "--threads", "1", "--seed", "1")
    assert killed(home, words, output, 3, signal.SIGINT) == 130
    first = results(output)
    cancelled = [one for one in first if one["finish"] == "cancelled"]
    assert cancelled and all(one["answer"] is None for one in cancelled)
    assert not list(tmp_path.glob("*.dealt")) and not list(tmp_path.glob("*.lock"))
    assert ponder(home, *words).returncode == 0
    told = results(output)
    assert told[: len(first)] == first
    finished = [one for one in told if one["finish"] != "cancelled"]
    assert sorted(one["line"] for one in finished) == list(range(1, 61))
    assert sum(one["think"] for one in told) <= 1500


def test_a_deadline_for_all_answers_or_says_why_not(home: Path, tmp_path: Path) -> None:
    file, output = file_of(tmp_path, 30), tmp_path / "q.results.jsonl"
    # So that the machine's pace is known.
    ponder(home, "run", file_of(tmp_path, 2), "-o", tmp_path / "practice.jsonl", "-q")
    file = file_of(tmp_path, 30)
    done = ponder(home, "run", file, "--within", "500ms")
    told = results(output)
    assert sorted(one["line"] for one in told) == list(range(1, 31))
    refused = [one for one in told if one["refused"]]
    assert all(one["answer"] or one["refused"] for one in told)
    assert done.returncode == (1 if refused else 0)
    assert all(not one["answer"] and one["finish"] is None for one in refused)


def test_a_deadline_in_the_settings_is_each_questions_own(home: Path, tmp_path: Path) -> None:
    home.mkdir()
    (home / "config.toml").write_text("[budget]\nwithin = 3600\n")
    file = tmp_path / "q.jsonl"
    lines: list[dict[str, Any]] = [{}, {"within": 1800}, {"budget": "900s"}]
    file.write_text("\n".join(json.dumps({"question": "What is 2 + 3?"} | one) for one in lines))
    assert ponder(home, "run", file, "--at-once", "1").returncode == 0
    seconds = {
        one["line"]: round(event["figures"]["seconds"] / 100) * 100
        for one in results(tmp_path / "q.results.jsonl")
        for event in one["decisions"]
        if event["change"] == "deadline"
    }
    assert seconds == {1: 3600, 2: 1800, 3: 900}


def test_even_shares_are_kept_and_looks_are_paid_from_the_pool(home: Path, tmp_path: Path) -> None:
    file = file_of(tmp_path, 6)
    words = ("--pool", "900", "--even", "--stop", "converged:2,every=8", "--seed", "3")
    done = ponder(home, "run", file, *words)
    assert done.returncode == 0, done.stderr
    told = results(tmp_path / "q.results.jsonl")
    used = [one["think"] + one["usage"]["probe"] for one in told]
    assert sum(one["usage"]["probe"] for one in told) > 0
    assert sum(used) <= 900
    for spent, one in zip(used, told, strict=True):
        assert spent >= 150 or one["finish"] != "cap"
    assert f"{sum(used)} of 900 thinking tokens" in done.stderr
    # What looks took counts for a run that goes on.
    assert ponder(home, "run", file_of(tmp_path, 7), *words).returncode == 0
    both = results(tmp_path / "q.results.jsonl")
    assert len(both) == 7
    assert sum(one["think"] + one["usage"]["probe"] for one in both) <= 900


def test_bad_words_are_refused_before_a_model_is_loaded(home: Path, tmp_path: Path) -> None:
    file = file_of(tmp_path, 1)
    for arguments, why in (
        (("--pool", "much"), "no number of tokens to share"),
        (("--pool", "-5"), "means nothing"),
        (("--within", "soon"), "no time"),
        (("--even",), "for a pool"),
        (("--output", str(file)), "would go into"),
        (("--output", str(tmp_path)), "is a folder"),
    ):
        done = ponder(home, "run", file, *arguments)
        assert done.returncode == 2
        assert why in done.stderr
    assert ponder(home, "run", tmp_path / "missing.jsonl").returncode == 2


def test_more_than_memory_holds_is_refused_with_what_fits(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine, _ = assembly.usable_machine()
    small = replace(machine, free=(256 + 200) << 20, gpus=())
    monkeypatch.setattr(assembly, "usable_machine", lambda: (small, ()))
    file = str(file_of(tmp_path, 130))
    assert run(["run", file, "--pool", "10", "--at-once", "64"]) == 2
    hint = re.search(r"At most (\d+) fit: --at-once (\d+)\.", capfd.readouterr().err)
    assert hint is not None
    assert 1 <= int(hint[1]) == int(hint[2]) < 64
    assert run(["run", file, "--pool", "10", "--at-once", hint[1], "-q"]) == 0


def test_a_terminal_sees_who_thinks(home: Path, tmp_path: Path) -> None:
    file = file_of(tmp_path, 30)
    terminal = Terminal(home, "run", str(file), "--pool", "600", "--threads", "1", columns=100)
    terminal.child.expect(b"of the pool")
    terminal.child.expect(b"waiting")
    terminal.child.expect(b"30 of 30 done")
    assert terminal.end() == 0
