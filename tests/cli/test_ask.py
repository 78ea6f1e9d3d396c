"""`ponder ask` in this process, on the built-in model: what it prints and how it ends."""

from __future__ import annotations

import io
import json
import re
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from ponder.cli import run

QUESTION = "Mia has 38 marbles. She buys 47 more marbles. How many marbles does Mia have now?"


def stdin(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(
        sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data), isatty=lambda: False)
    )


def test_the_answer_goes_to_stdout_and_the_thinking_to_stderr(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert run(["ask", "--seed", "1", QUESTION]) == 0
    out, err = capfd.readouterr()
    assert "\\boxed{85}" in out
    assert "38 + 47" in err
    assert "38 + 47" not in out
    assert "built-in demonstration model: everyday arithmetic" in err
    assert "for a real model: ponder pull r1-1.5b" in err


def test_the_last_word_is_the_truth_about_the_budget(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["ask", "--seed", "1", "--budget", "20", "--no-landing", QUESTION]) == 0
    err = capfd.readouterr().err
    assert "thinking 20/20 tokens" in err
    assert "finish: cap" in err


def test_forced_words_are_bracketed_where_there_is_no_colour(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert run(["ask", "--seed", "1", "--budget", "16", QUESTION]) == 0
    err = capfd.readouterr().err
    assert "⟦closing: Considering the limited time" in err
    assert err.count("⟦") == err.count("⟧") == 1


def test_a_rule_ends_the_thinking_early(capfd: pytest.CaptureFixture[str]) -> None:
    long = "What is 17 * 23 + 4 - 12 * 3 + 50?"
    assert run(["ask", "--seed", "1", "--stop", "confident:0,every=4", long]) == 0
    out, err = capfd.readouterr()
    assert "\\boxed{" in out
    assert "finish: converged (it was " in err
    assert " · probes " in err
    assert run(["ask", "--seed", "1", "--stop", "converged:2,every=4", "--json", long]) == 0
    events = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    trace = events[-1]["trace"]
    (told,) = [e["decision"] for e in events if e["event"] == "rebudgeted"]
    assert [told] == trace["budget_events"]
    assert (told["change"], told["at"]) == ("converged", trace["usage"]["think"])
    assert told["figures"]["agreed"] == 2
    assert trace["finish"] == "converged"
    assert trace["usage"]["probe"] > 0


def test_a_rule_of_the_settings_can_be_switched_off(
    capfd: pytest.CaptureFixture[str], home: Path
) -> None:
    home.mkdir(exist_ok=True)
    (home / "config.toml").write_text('[budget]\nstop = "confident:0,every=4"\n')
    assert run(["ask", "--seed", "1", QUESTION]) == 0
    assert "finish: converged" in capfd.readouterr().err
    assert run(["ask", "--seed", "1", "--stop", "off", QUESTION]) == 0
    assert "finish: closed" in capfd.readouterr().err


@pytest.mark.parametrize("rule", ["never", "converged:1", "margin:every"])
def test_a_rule_that_is_none_is_refused(capfd: pytest.CaptureFixture[str], rule: str) -> None:
    assert run(["ask", "--stop", rule, QUESTION]) == 2
    assert "converged:times=3,every=64" in capfd.readouterr().err


def test_a_floor_makes_it_wait(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["ask", "--seed", "1", "--floor", "100", QUESTION]) == 0
    err = capfd.readouterr().err
    assert "⟦wait: Wait⟧" in err
    used = int(err.partition("thinking ")[2].partition("/")[0])
    assert used >= 100


def test_no_think_answers_at_once(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["ask", "--no-think", "--seed", "1", QUESTION]) == 0
    out, err = capfd.readouterr()
    assert out.strip()
    assert "thinking 0 tokens" in err
    assert "finish: off" in err


@pytest.mark.parametrize("off", ["off", "none", "0"])
def test_a_budget_of_nothing_is_no_thinking(capfd: pytest.CaptureFixture[str], off: str) -> None:
    assert run(["ask", "--no-think", "--seed", "1", "--json", QUESTION]) == 0
    plain = json.loads(capfd.readouterr().out.splitlines()[-1])["trace"]
    assert run(["ask", "--budget", off, "--seed", "1", "--json", QUESTION]) == 0
    trace = json.loads(capfd.readouterr().out.splitlines()[-1])["trace"]
    assert trace["tokens"] == plain["tokens"]
    assert (trace["finish"], trace["budget"]) == ("off", None)


@pytest.mark.parametrize(("said", "tokens"), [("0.02k", 20), ("low", 1024), (" LO ", 1024)])
def test_a_budget_may_be_said_in_words(
    capfd: pytest.CaptureFixture[str], said: str, tokens: int
) -> None:
    assert run(["ask", "--budget", said, "--seed", "1", QUESTION]) == 0
    assert f"/{tokens:,} tokens" in capfd.readouterr().err


@pytest.mark.parametrize("effort", ["high", "max"])
def test_an_effort_is_never_too_much_for_a_model(
    capfd: pytest.CaptureFixture[str], effort: str
) -> None:
    allowed = []
    for words in ([], ["--budget", effort]):
        assert run(["ask", *words, "--seed", "1", QUESTION]) == 0
        err = capfd.readouterr().err
        assert "the context leaves" not in err  # nobody asked for exactly so much
        allowed += re.findall(r"thinking \d+/([\d,]+) tokens", err)
    assert len(allowed) == 2
    assert allowed[0] == allowed[1]


def test_quiet_prints_the_answer_alone(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["ask", "-q", "--seed", "1", QUESTION]) == 0
    out, err = capfd.readouterr()
    assert "\\boxed{85}" in out
    assert err == ""


def test_json_is_one_event_a_line(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["ask", "--json", "--seed", "1", "--budget", "16", QUESTION]) == 0
    out, err = capfd.readouterr()
    assert err == ""
    events = [json.loads(line) for line in out.splitlines()]
    assert events[0]["event"] == "started"
    assert events[-1]["event"] == "finished"
    trace = events[-1]["trace"]
    assert trace["finish"] == "cap"
    assert trace["usage"]["think"] == 16
    text = [event["span"] for event in events if event["event"] == "text"]
    said = "".join(span["text"] for span in text)
    assert said == "".join(span["text"] for span in trace["spans"])
    assert {span["author"] for span in text} == {"model", "closing"}


def test_the_same_seed_says_the_same(capfd: pytest.CaptureFixture[str]) -> None:
    tokens = []
    for _ in range(2):
        assert run(["ask", "--json", "--seed", "5", QUESTION]) == 0
        last = json.loads(capfd.readouterr().out.splitlines()[-1])
        tokens.append(last["trace"]["tokens"])
    assert tokens[0] == tokens[1]


def test_the_question_may_come_on_stdin(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stdin(monkeypatch, QUESTION.encode())
    assert run(["ask", "-q", "--seed", "1"]) == 0
    assert "\\boxed{85}" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--budget", "-1", "hi"], 2, "budget of -1"),
        (["--budget", "999999", "hi"], 2, "beyond this model's context of 2,048"),
        (["--floor", "9", "--budget", "3", "hi"], 2, "floor (9) is above"),
        (["--no-think", "--budget", "3", "hi"], 2, "--no-think leaves no thinking"),
        (["--no-think", "--budget", "low", "hi"], 2, "--no-think leaves no thinking"),
        (["--budget", "off", "--floor", "9", "hi"], 2, "the budget is off"),
        (["--budget", "lots", "hi"], 2, "off, low, medium, high, max"),
        (["--budget", "1e9", "hi"], 2, "'1e9' is no budget"),
        (["--budget", "-2k", "hi"], 2, "budget of -2k"),
        (["--budget", "3k", "hi"], 2, "A budget of 3,072 tokens is beyond"),
        (["--budget", "", "hi"], 2, "The budget is empty"),
        (["--ctx", "4096", "hi"], 2, "beyond what this model was trained for"),
        (["--kv-type", "q17", "hi"], 2, "no KV cache type 'q17'"),
        (["--model", "nope", "hi"], 2, "Known: ponder-smol, ponder-tiny"),
        (["--model", "ponder-tinny", "hi"], 2, "Did you mean ponder-tiny?"),
        (["--model", "r1-7b", "hi"], 1, "ponder pull r1-7b"),
        (["--model", "./missing.gguf", "hi"], 1, "There is no file missing.gguf"),
        (["--dialect", "klingon", "hi"], 2, "Known: plain, r1, s1, smol, tiny"),
        (["--template", "missing.jinja", "hi"], 1, "cannot be read"),
        (["x " * 3000], 2, "no room is left for an answer"),
        (["   "], 2, "The question is empty"),
        (["--seed", "-1", "hi"], 2, "--seed"),
    ],
)
def test_what_cannot_be_done_is_said_with_a_hint(
    capfd: pytest.CaptureFixture[str], arguments: list[str], code: int, said: str
) -> None:
    assert run(["ask", *arguments]) == code
    out, err = capfd.readouterr()
    assert said in err
    assert "Traceback" not in err
    assert out == ""


def test_an_error_is_an_event_in_json(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["ask", "--json", "--budget", "-1", "hi"]) == 2
    out, err = capfd.readouterr()
    event = json.loads(out)
    assert event["event"] == "error"
    assert event["hint"]
    assert event["message"] in err


def test_stdin_that_is_not_utf8_is_refused(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stdin(monkeypatch, b"caf\xe9 = 3 + 4?")
    assert run(["ask"]) == 2
    err = capfd.readouterr().err
    assert "0xe9 at position 3" in err
    assert "iconv" in err


def test_settings_hold_where_the_command_line_is_silent(
    capfd: pytest.CaptureFixture[str], home: Path
) -> None:
    home.mkdir()
    (home / "config.toml").write_text("[budget]\ncap = 15\n[sampling]\ntemperature = 0\n")
    assert run(["ask", QUESTION]) == 0
    assert "thinking 15/15" in capfd.readouterr().err
    assert run(["ask", "--budget", "12", QUESTION]) == 0
    assert "/12 tokens" in capfd.readouterr().err


def test_an_effort_may_be_set(capfd: pytest.CaptureFixture[str], home: Path) -> None:
    home.mkdir()
    (home / "config.toml").write_text("[budget]\ncap = 'low'\nfloor = 5\n")
    assert run(["ask", "--seed", "1", QUESTION]) == 0
    assert "/1,024 tokens" in capfd.readouterr().err
    (home / "config.toml").write_text("[budget]\ncap = 'off'\nfloor = 5\n")
    assert run(["ask", "--seed", "1", QUESTION]) == 0
    assert "finish: off" in capfd.readouterr().err
    assert run(["ask", "--seed", "1", "--budget", "16", QUESTION]) == 0
    assert "thinking 16/16" in capfd.readouterr().err
    assert run(["ask", "--seed", "1", "--floor", "20", QUESTION]) == 2
    assert "the settings turn thinking off" in capfd.readouterr().err


def test_a_floor_in_the_settings_yields_to_the_command_line_alone(
    capfd: pytest.CaptureFixture[str], home: Path
) -> None:
    home.mkdir()
    (home / "config.toml").write_text("[budget]\ncap = 40\nfloor = 50\n")
    assert run(["ask", QUESTION]) == 2
    assert "floor (50) is above" in capfd.readouterr().err
    assert run(["ask", "--budget", "20", "--no-landing", QUESTION]) == 0
    assert "thinking 20/20" in capfd.readouterr().err


def test_a_cap_from_the_settings_yields_to_a_small_context(
    capfd: pytest.CaptureFixture[str], home: Path
) -> None:
    home.mkdir()
    (home / "config.toml").write_text("[budget]\ncap = 30000\n")
    assert run(["ask", "--seed", "1", QUESTION]) == 0
    assert "\\boxed{85}" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("modle = 'x'", "modle"),
        ("[budget]\ncap = 'many'", "$.budget.cap"),
        ("not toml at all", "config.toml"),
    ],
)
def test_unreadable_settings_are_named(
    capfd: pytest.CaptureFixture[str], home: Path, content: str, said: str
) -> None:
    home.mkdir()
    (home / "config.toml").write_text(content)
    assert run(["ask", "hi"]) == 2
    err = capfd.readouterr().err
    assert said in err
    assert str(home / "config.toml") in err


def test_escape_sequences_never_reach_the_terminal_raw(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["ask", "--model", "./\x1b[31mred.gguf", "hi"]) == 1
    err = capfd.readouterr().err
    assert "\x1b" not in err
    assert "␛[31mred.gguf" in err


def test_a_broken_template_is_refused_and_leaves_no_thread(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    template = tmp_path / "broken.jinja"
    template.write_text("{% if %}")
    assert run(["ask", "--template", str(template), "hi"]) == 1
    assert "no valid Jinja" in capfd.readouterr().err
    assert "ponder-runner" not in {thread.name for thread in threading.enumerate()}
