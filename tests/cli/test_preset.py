"""`ponder preset` in this process, and a question asked with one."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from ponder.cli import run


def say(capfd: pytest.CaptureFixture[str], *words: str, code: int = 0) -> tuple[str, str]:
    assert run(words) == code
    out, err = capfd.readouterr()
    assert "Traceback" not in err
    assert "\x1b" not in out + err
    return out, err


def test_keep_list_show_and_remove(capfd: pytest.CaptureFixture[str], home: Path) -> None:
    assert "no presets yet" in say(capfd, "preset")[1]
    given = ("-m", "r1-7b", "-b", "2k", "--temperature", "0.6", "--dry", "0.8", "--kv-type", "q8_0")
    _, err = say(capfd, "preset", "save", "careful", *given, "--system", "Check\x1b it.")
    file = home / "presets" / "careful.toml"
    assert str(file) in err
    assert tomllib.loads(file.read_text()) == {
        "model": "r1-7b",
        "system": "Check\x1b it.",
        "budget": {"cap": 2048},
        "sampling": {"temperature": 0.6, "dry_multiplier": 0.8},
        "engine": {"kv_type_k": "q8_0", "kv_type_v": "q8_0"},
    }
    out, _ = say(capfd, "preset", "list")
    assert out.startswith("careful  r1-7b · Check␛ it. · cap 2048 · temperature 0.6")
    out, _ = say(capfd, "preset", "show", "careful")
    assert 'model = "r1-7b"' in out
    told = json.loads(say(capfd, "preset", "list", "--json")[0])
    assert told == [json.loads(say(capfd, "preset", "show", "careful", "--json")[0])]
    assert "already" in say(capfd, "preset", "save", "careful", "-b", "1", code=2)[1]
    say(capfd, "preset", "save", "careful", "-b", "30s", "--stop", "converged", "--replace")
    assert tomllib.loads(file.read_text()) == {"budget": {"within": 30.0, "stop": "converged"}}
    say(capfd, "preset", "rm", "careful")
    assert not file.exists()


def test_wrong_words(capfd: pytest.CaptureFixture[str], home: Path) -> None:
    assert "nothing to keep" in say(capfd, "preset", "save", "empty", code=2)[1]
    assert "is no budget" in say(capfd, "preset", "save", "p", "-b", "lots", code=2)[1]
    assert "no rule" in say(capfd, "preset", "save", "p", "--stop", "x", code=2)[1].lower()
    assert "no name" in say(capfd, "preset", "save", "a/b", "-b", "1", code=2)[1]
    assert "Known: list" in say(capfd, "preset", "lsit", code=2)[1]
    assert "no preset called 'x'" in say(capfd, "preset", "rm", "x", code=2)[1]
    assert not home.exists()


def test_a_wrong_file_is_told_and_the_rest_listed(
    capfd: pytest.CaptureFixture[str], home: Path
) -> None:
    say(capfd, "preset", "save", "quick", "-b", "8")
    (home / "presets" / "bad.toml").write_text("[budget]\ncap = 'lots'\n")
    out, err = say(capfd, "preset", "list")
    assert out.startswith("quick")
    assert "bad.toml, line 2: budget.cap" in err
    assert "line 2" in say(capfd, "ask", "--preset", "bad", "hi", code=2)[1]


def test_a_question_asked_with_one(capfd: pytest.CaptureFixture[str], home: Path) -> None:
    say(capfd, "preset", "save", "quick", "-b", "8", "--temperature", "0")
    out, _ = say(capfd, "ask", "--json", "--seed", "1", "--preset", "quick", "2 + 2")
    finished = json.loads(out.splitlines()[-1])["trace"]
    assert (finished["budget"], finished["finish"]) == (8, "cap")
    # What is said beside it wins.
    out, _ = say(capfd, "ask", "--json", "--preset", "quick", "-b", "off", "2 + 2")
    assert json.loads(out.splitlines()[-1])["trace"]["finish"] == "off"


def test_a_model_that_is_not_here_says_how_to_get_it(capfd: pytest.CaptureFixture[str]) -> None:
    say(capfd, "preset", "save", "big", "-m", "r1-7b")
    _, err = say(capfd, "ask", "--preset", "big", "hi", code=1)
    assert "ponder pull r1-7b" in err
