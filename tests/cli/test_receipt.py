"""`ponder history receipt`: what it tells of a turn, and of one from before receipts."""

from __future__ import annotations

import hashlib
import json

import pytest

from cli.test_repeat import kept
from history.traces import trace
from ponder import paths
from ponder.cli import run
from ponder.history.store import History
from ponder.library import local
from ponder.types import Budget, Finish, Sampling

Capture = pytest.CaptureFixture[str]


def test_a_receipt_names_what_the_turn_came_from(capfd: Capture) -> None:
    told = kept(Budget(cap=40))
    assert run(["history", "receipt", "last"]) == 0
    out = capfd.readouterr().out
    weights = local.builtin_path("ponder-tiny-Q4_K_M.gguf").read_bytes()
    for words in (
        f"sha256 {hashlib.sha256(weights).hexdigest()}",
        "seed 7",
        "budget asked: cap 40",
        "finish: cap (",
        "llama-cpp-python",
        "would cost at DeepSeek-R1: ",
        "early 2025 (https://",
    ):
        assert words in out
    assert run(["history", "receipt", "last", "--json"]) == 0
    facts = json.loads(capfd.readouterr().out)
    assert facts["finish"] == "cap"
    assert facts["provenance"]["engine"]["threads"] > 0
    (r1,) = [one for one in facts["would_cost"] if one["api"] == "deepseek-r1"]
    written = told.usage.think + told.usage.forced + told.usage.answer
    assert r1["amount"] == pytest.approx((0.55 * told.usage.prompt + 2.19 * written) / 1e6)


def test_the_finish_is_one_word_wherever_it_is_told(capfd: Capture) -> None:
    told = kept(Budget(cap=40))
    assert told.finish is Finish.CAP
    for command, words in (
        (["history", "show", "last"], "finish: cap ("),
        (["history", "show", "last", "--json"], '"finish": "cap"'),
        (["history", "export", "last"], "finish: cap ("),
        (["history", "export", "last", "--format", "json"], '"finish": "cap"'),
        (["history", "receipt", "last"], "finish: cap ("),
        (["replay", "last", "-q"], "finish: cap\n"),
        (["ask", "--budget", "20", "--seed", "1", "2 + 3 * 17?"], "finish: cap ("),
        (["ask", "--budget", "20", "--seed", "1", "--json", "2 + 3 * 17?"], '"finish": "cap"'),
    ):
        assert run(command) == 0
        assert words in "".join(capfd.readouterr())


def test_what_an_older_turn_does_not_tell_is_unknown(capfd: Capture) -> None:
    with History(paths.history_file()) as history:
        number = history.new_conversation("Marbles", "m", "", 0)
        turn = history.begin_turn(number, "?", "m", Budget(), Sampling(), 0)
        history.finish_turn(turn, trace())
    assert run(["history", "receipt", str(turn)]) == 0
    out = capfd.readouterr().out
    assert out.count("unknown: this turn is older than receipts") == 6
    assert "finish: closed" in out
    assert run(["replay", str(turn)]) == 2
    assert "older than receipts" in capfd.readouterr().err


@pytest.mark.parametrize("word", ["7", "first"])
def test_no_turn_has_no_receipt(capfd: Capture, word: str) -> None:
    assert run(["history", "receipt", word]) == 2
    assert capfd.readouterr().err
