"""`ponder config` in this process: what it shows, and what it changes."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import msgspec
import pytest

from ponder.cli import run
from ponder.settings import Settings, known, read

FILE = """\
# mine
system = "Be brief.\\n\\u001b[31m"

[budget]
cap = 77  # enough

[tui.keys]
"answer.now" = "ctrl+a"
"""


@pytest.fixture
def file(home: Path) -> Path:
    home.mkdir()
    path = home / "config.toml"
    path.write_text(FILE)
    return path


def say(capfd: pytest.CaptureFixture[str], *words: str, code: int = 0) -> tuple[str, str]:
    assert run(["config", *words]) == code
    out, err = capfd.readouterr()
    assert "Traceback" not in err
    assert "\x1b" not in out + err
    return out, err


def test_where_everything_is_is_shown(capfd: pytest.CaptureFixture[str], home: Path) -> None:
    out, _ = say(capfd)
    for name, place in (
        ("config", "config.toml"),
        ("models", "models"),
        ("history", "history.db"),
        ("themes", "themes"),
        ("cache", "cache"),
    ):
        assert f"# {name:8}{home / place}" in out
    assert "not there" in out


def test_what_is_shown_can_be_pasted(capfd: pytest.CaptureFixture[str], file: Path) -> None:
    out, _ = say(capfd)
    assert msgspec.toml.decode(out, type=Settings) == read(file)
    assert "not there" not in out


def test_what_is_not_set_is_marked(capfd: pytest.CaptureFixture[str], file: Path) -> None:
    lines = say(capfd)[0].splitlines()
    assert "cap = 77" in lines
    assert "floor = 0 # default" in lines
    assert "# max_answer is not set" in lines
    marked = [line for line in lines if line.endswith("# default")]
    unset = [line for line in lines if line.endswith(" is not set")]
    # All but two, and but for the table of keys, which has no line of its own.
    assert len(marked) + len(unset) == len(known()) - 3


def test_a_default_that_is_set_is_no_default(capfd: pytest.CaptureFixture[str], file: Path) -> None:
    file.write_text("[budget]\nfloor = 0\n")
    assert "floor = 0" in say(capfd)[0].splitlines()


def test_json_tells_places_settings_and_what_is_set(
    capfd: pytest.CaptureFixture[str], file: Path
) -> None:
    told = json.loads(say(capfd, "--json")[0])
    assert told["set"] == ["system", "budget.cap", "tui.keys.answer.now"]
    assert list(told["paths"]) == [
        "config",
        "models",
        "history",
        "themes",
        "presets",
        "measured",
        "evaluations",
        "cache",
    ]
    assert told["paths"]["config"] == str(file)
    assert told["settings"] == msgspec.json.decode(msgspec.json.encode(read(file)))


@pytest.mark.parametrize(
    ("key", "printed"),
    [
        ("budget.cap", "77\n"),
        ("budget.floor", "0\n"),
        ("model", "ponder-tiny\n"),
        ("tui.mouse", "true\n"),
        ("tui.keys.answer.now", "ctrl+a\n"),
        ("system", "Be brief.\n␛[31m\n"),
    ],
)
def test_get_prints_the_bare_value(
    capfd: pytest.CaptureFixture[str], file: Path, key: str, printed: str
) -> None:
    assert say(capfd, "get", key) == (printed, "")


def test_get_prints_a_table_as_toml(capfd: pytest.CaptureFixture[str], file: Path) -> None:
    out, _ = say(capfd, "get", "tui.keys")
    assert tomllib.loads(f"keys = {out}") == {"keys": {"answer.now": "ctrl+a"}}


@pytest.mark.parametrize("key", ["engine.ctx", "tui.keys.nothing"])
def test_get_prints_nothing_for_what_is_not_set(
    capfd: pytest.CaptureFixture[str], file: Path, key: str
) -> None:
    out, err = say(capfd, "get", key)
    assert out == ""
    assert f"{key} is not set" in err


@pytest.mark.parametrize(
    ("key", "typed", "meant"),
    [
        ("budget.cap", "512", 512),
        ("budget.cap", "8_192", 8192),
        ("budget.cap", "medium", "medium"),
        ("budget.cap", '"medium"', "medium"),
        ("sampling.temperature", "0.5", 0.5),
        ("tui.mouse", "false", False),
        ("model", "r1-7b", "r1-7b"),
        ("model", "7", "7"),
        ("model", "true", "true"),
        ("system", "a = 'b' # c", "a = 'b' # c"),
        ("system", "1\nb = 2", "1\nb = 2"),
        ("system", "", ""),
        ("tui.keys.quit", "ctrl+q,q", "ctrl+q,q"),
        ("tui.keys.quit", "f10", "f10"),
        ("tui.keys.quit", "1", "1"),
    ],
)
def test_set_takes_toml_or_a_word(
    capfd: pytest.CaptureFixture[str], file: Path, key: str, typed: str, meant: object
) -> None:
    out, err = say(capfd, "set", key, typed)
    assert out == ""
    assert key in err
    told = tomllib.loads(file.read_text())
    for name in key.split("."):
        told = told[name]
    assert told == meant
    assert "# mine" in file.read_text()


def test_set_takes_a_whole_table(capfd: pytest.CaptureFixture[str], file: Path) -> None:
    say(capfd, "set", "tui.keys", "{quit = 'q', 'a b' = 'x'}")
    assert read(file).tui.keys == {"quit": "q", "a b": "x"}


@pytest.mark.parametrize(
    ("key", "typed", "told"),
    [
        ("budget.cap", "lots", "off, low, medium, high, max"),
        ("budget.cap", "-1", "cannot be -1"),
        ("budget.cap", "1.5", "a whole number from 0"),
        ("tui.mouse", "perhaps", "true or false"),
        ("tui.thinking", "ajar", "tail, open, closed"),
        ("bugdet.cap", "1", "Did you mean budget.cap?"),
        ("budget", "1", "Known: "),
    ],
)
def test_what_cannot_be_set_changes_nothing(
    capfd: pytest.CaptureFixture[str], file: Path, key: str, typed: str, told: str
) -> None:
    out, err = say(capfd, "set", key, typed, code=2)
    assert out == ""
    assert told in err
    assert file.read_text() == FILE


def test_unset_brings_the_default_back(capfd: pytest.CaptureFixture[str], file: Path) -> None:
    assert "is unset" in say(capfd, "unset", "budget.cap")[1]
    assert read(file).budget.cap is None
    assert "was not set" in say(capfd, "unset", "budget.cap")[1]
    assert "Did you mean budget.cap?" in say(capfd, "unset", "budget.cpa", code=2)[1]


def test_explain_prints_the_manual(capfd: pytest.CaptureFixture[str]) -> None:
    out, _ = say(capfd, "explain")
    for key in known():
        assert f"{key}\n    " in out
    out, _ = say(capfd, "explain", "tui.tail_lines")
    assert out == (
        "tui.tail_lines\n    Lines that a tail shows.\n"
        "    Default: 8. May be: a whole number from 1.\n"
    )
    out, _ = say(capfd, "explain", "tui")
    assert out.startswith("[tui]\n")
    assert "tui.theme" in out
    assert "budget" not in out
    assert "Did you mean tui.theme?" in say(capfd, "explain", "tui.themes", code=2)[1]


def test_an_unknown_word_lists_the_right_ones(capfd: pytest.CaptureFixture[str]) -> None:
    assert "Did you mean set?" in say(capfd, "sett", "a", "b", code=2)[1]


def test_a_place_with_a_strange_name_stays_a_comment(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PONDER_HOME", str(tmp_path / "a\nb = 1\n\x1b[31m"))
    assert msgspec.toml.decode(say(capfd)[0], type=Settings) == Settings()
