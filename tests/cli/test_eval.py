"""`ponder eval` and `ponder calibrate`, with the built-in model; a kill in the middle."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ponder.cli import run
from ponder.library.local import builtin_path
from ponder.measured import Record, file_of, identity, records
from ponder.thinking.lengths import ENOUGH, LengthModel

Capture = pytest.CaptureFixture[str]
FEW = ("--ctx", "1024", "--temperature", "0", "--parallel", "4")


def told(arguments: list[str], capfd: Capture) -> dict[str, Any]:
    assert run([*arguments, "--json"]) == 0
    out, err = capfd.readouterr()
    assert err == ""
    facts: dict[str, Any] = json.loads(out)
    return facts


def lines(folder: Path) -> list[dict[str, Any]]:
    text = (folder / "results.jsonl").read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_some_questions_under_some_conditions(tmp_path: Path, capfd: Capture) -> None:
    folder = tmp_path / "run"
    asked = ["eval", "--count", "7", "--budgets", "natural,24,off", "--waits", "1", *FEW]
    asked += ["--stop", "converged"]
    facts = told([*asked, "--output", str(folder)], capfd)
    rows = {row["condition"]: row for row in facts["conditions"]}
    assert list(rows) == ["natural", "budget 24", "off", "1 x Wait", "stop converged"]
    for row in rows.values():
        assert row["questions"] == 7
        assert (row["closed"], row["answered"], row["overshoot"], row["within"]) == (1, 1, 0, 1)
        low, high = row["interval"]
        assert low <= row["accuracy"] <= high
        parts = ("think", "forced", "probe", "wasted", "answer")
        assert row["tokens"]["total"] == pytest.approx(sum(row["tokens"][p] for p in parts))
    assert facts["control"] == 1
    assert rows["budget 24"]["tokens"]["think"] <= 24 < rows["natural"]["tokens"]["think"]
    assert rows["off"]["tokens"]["think"] == 0
    assert rows["1 x Wait"]["tokens"]["wasted"] > 0
    # Looking ahead is paid for.
    assert rows["stop converged"]["tokens"]["probe"] > 0
    assert rows["stop converged"]["tokens"]["think"] <= rows["natural"]["tokens"]["think"]
    # It knows these sums, and needs to think for them.
    assert rows["natural"]["accuracy"] > rows["off"]["accuracy"]
    assert facts["performance"] == max(row["accuracy"] for row in rows.values())
    held = lines(folder)
    assert len(held) == 35
    right = Counter(line["condition"] for line in held if line["right"])
    assert rows["natural"]["accuracy"] == pytest.approx(right["natural"] / 7)
    assert (
        "ponder eval --budgets natural,24,off --waits 1 --stop converged --count 7"
        in facts["command"]
    )
    for name in ("fresh.html", "fresh.md", "fresh.svg"):
        assert (folder / name).read_text("utf-8")
    # The same again asks nothing; one condition more asks that one alone.
    more = [*asked, "--output", str(folder), "--budgets", "natural,24,off,40"]
    assert told(more, capfd)["results_before"] == 35
    assert lines(folder)[:35] == held
    assert Counter(line["condition"] for line in lines(folder)[35:]) == {"budget 40": 7}


def test_the_table_and_its_curve_fit_into_80_columns(
    tmp_path: Path, capfd: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    asked = ["eval", "everyday", "--count", "6", "--budgets", "natural,16", *FEW]
    assert run([*asked, "--output", str(tmp_path)]) == 0
    out, err = capfd.readouterr()
    assert max(map(len, out.splitlines())) <= 80
    assert "budget 16" in out and "right %" in out and "6 questions." in out
    assert "asking: 12 of 12" in err
    assert f"results and reports: {tmp_path}" in err


def test_samples_and_votes(tmp_path: Path, capfd: Capture) -> None:
    asked = ["eval", "--count", "3", "--traces", "2", "--samples", "3", "--ctx", "1024"]
    facts = told([*asked, "-o", str(tmp_path)], capfd)
    natural, voted = facts["conditions"]
    assert voted["condition"] == "2 traces"
    assert list(natural["passes"]) == list(natural["cons"]) == ["1", "2", "3"]
    assert natural["passes"]["1"] == pytest.approx(natural["accuracy"])
    assert natural["passes"]["1"] <= natural["passes"]["2"] <= natural["passes"]["3"]
    # The thinking of both traces is paid for.
    assert voted["tokens"]["think"] > natural["tokens"]["think"]
    assert len({line["seed"] for line in lines(tmp_path)}) == 9


def test_a_file_with_bad_lines(tmp_path: Path, capfd: Capture) -> None:
    path = tmp_path / "own.jsonl"
    questions = [{"question": f"what is {n} + {n}?", "answer": 2 * n} for n in (11, 23)]
    text = "\n".join(map(json.dumps, questions))
    path.write_text(f'{text}\n{{"question"\n{{"question": "who?", "answer": []}}\n', "utf-8")
    asked = ["eval", str(path), "--budgets", "natural", *FEW, "-o", str(tmp_path / "out")]
    facts = told(asked, capfd)
    assert facts["questions"] == 2
    assert [fault["line"] for fault in facts["malformed"]] == [3]
    assert [fault["line"] for fault in facts["keyless"]] == [4]
    assert run([*asked, "--quiet"]) == 0
    err = capfd.readouterr().err
    assert "line 3: it is no JSON" in err
    assert "line 4: its answer [] is neither" in err


def test_a_question_that_does_not_fit_is_counted_apart(tmp_path: Path, capfd: Capture) -> None:
    path = tmp_path / "own.jsonl"
    long = {"question": "1 + 1? " * 2000, "answer": 2}
    path.write_text("\n".join(map(json.dumps, [long, {"question": "1 + 1?", "answer": 2}])))
    facts = told(["eval", str(path), "--budgets", "natural", *FEW], capfd)
    (row,) = facts["conditions"]
    assert (row["questions"], row["refused"]) == (2, 1)
    assert row["accuracy"] <= 0.5
    assert len(lines(Path(facts["folder"]))) == 2


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["fresch"], 2, "no question set called 'fresch'"),
        (["none.jsonl"], 2, "There is no file none.jsonl"),
        (["--budgets", "much"], 2, "'much' is no budget"),
        (["--waits", "0"], 2, "no number of Waits"),
        (["--traces", "-1"], 2, "no number of traces"),
        (["--samples", "4", "--temperature", "0"], 2, "all the same"),
        (["--budgets", "5000", "--ctx", "1024", "--count", "1"], 2, "5000"),
        (["--model", "nobody"], 2, "no model called 'nobody'"),
    ],
)
def test_what_cannot_be_asked_is_refused(
    arguments: list[str], code: int, words: str, capfd: Capture
) -> None:
    assert run(["eval", *arguments, "--quiet"]) == code
    assert words in capfd.readouterr().err.replace("5,000", "5000")


def test_offline_refuses_to_fetch_a_set(monkeypatch: pytest.MonkeyPatch, capfd: Capture) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert run(["eval", "math500"]) == 1
    err = capfd.readouterr().err
    assert "HuggingFaceH4/MATH-500 is not here" in err
    assert "ponder eval FILE.jsonl" in err


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_kill_in_the_middle_is_gone_on_from(
    how: signal.Signals, tmp_path: Path, capfd: Capture
) -> None:
    folder = tmp_path / "run"
    asked = ["eval", "--count", "7", "--budgets", "natural,32", *FEW, "--output", str(folder)]
    child = subprocess.Popen(
        [sys.executable, "-m", "ponder", *asked, "--quiet"],
        env=dict(os.environ),
        stderr=subprocess.PIPE,
        text=True,
    )
    results = folder / "results.jsonl"
    while child.poll() is None and not (results.exists() and results.stat().st_size > 300):
        time.sleep(0.005)
    child.send_signal(how)
    _, err = child.communicate()
    assert child.returncode == (130 if how == signal.SIGINT else -signal.SIGKILL)
    if how == signal.SIGINT:
        assert "the same command goes on" in err
    before = results.read_bytes()
    done = before.count(b"\n")
    assert 0 < done < 14
    facts = told(asked, capfd)
    assert facts["results_before"] == done
    after = results.read_bytes()
    assert after.startswith(before[: before.rfind(b"\n") + 1])
    keys = Counter((line["condition"], line["item"], line["sample"]) for line in lines(folder))
    assert len(keys) == 14
    assert set(keys.values()) == {1}
    assert [row["questions"] for row in facts["conditions"]] == [7, 7]


def test_calibrate_suggests_and_sets_nothing(home: Path, capfd: Capture) -> None:
    # Some of what it needs is known; the rest it measures.
    known = LengthModel()
    for at in range(ENOUGH - 7):
        known.observe(40 + 10 * at, True)
    path = file_of(identity(builtin_path("ponder-tiny-Q4_K_M.gguf")))
    path.parent.mkdir(parents=True)
    path.write_bytes(msgspec.json.encode(Record(name="ponder-tiny", thinking=known)))
    facts = told(["calibrate", "--count", "7", "--ctx", "1024"], capfd)
    assert [row["condition"] for row in facts["conditions"]] == ["natural", "low", "medium", "high"]
    caps = [row["cap"] for row in facts["conditions"]]
    assert caps[0] is None
    assert caps[1] < caps[2] < caps[3]
    assert facts["suggestion"] in ("low", "medium", "high", "max")
    assert facts["commands"] == [f"ponder config set budget.cap {facts['suggestion']}"]
    assert not (home / "config.toml").exists()
    # What was learned is kept, the step's time included.
    ((_, record),) = records()
    assert record is not None
    assert record.thinking.traces == ENOUGH - 7 + 28
    assert all(steps.known for steps in record.machines.values())
    # And the command is one.
    assert run(facts["commands"][0].split()[1:]) == 0
    assert facts["suggestion"] in (home / "config.toml").read_text()


def test_calibrate_keeps_to_its_time(capfd: Capture) -> None:
    assert run(["calibrate", "--within", "1ms", "--ctx", "1024"]) == 0
    out, err = capfd.readouterr()
    assert "no suggestion" in out
    assert "--within 30m" in out
    assert "42 questions to ponder-tiny, without a budget and with three; at most" in err
