"""pull, verify, rm, where and import from the command line: words, exit codes, streams."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from library.hub_server import Hub
from ponder.cli import run
from ponder.library.local import builtin_path

ANY = "someone/tiny-GGUF"
FILE = "tiny-Q8_0.gguf"
SAID = f"{ANY}:Q8_0"
TINY = builtin_path("ponder-tiny-Q4_K_M.gguf")

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No model, cache or token of whoever runs the tests."""
    for name in ("HF_TOKEN", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "ollama"))
    monkeypatch.setenv("LLAMA_CACHE", str(tmp_path / "llama.cpp"))


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with the built-in model as somebody else's."""
    from huggingface_hub import close_session, constants

    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
    with Hub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        hub.add(ANY, {FILE: TINY.read_bytes()})
        yield hub
        close_session()


def test_a_model_is_pulled_named_checked_and_removed(hub: Hub, capfd: Captured) -> None:
    assert run(["pull", SAID]) == 0
    out, err = capfd.readouterr()
    path = Path(out.strip())
    assert path.read_bytes() == TINY.read_bytes()
    assert f"{ANY} at" in err
    whole = f"{len(TINY.read_bytes()) / 1e6:.0f} MB"
    assert f"{whole} of {whole}" in err
    assert "/s" in err
    assert "is right" in err

    assert run(["where", "tiny-Q8_0"]) == 0
    assert capfd.readouterr().out.strip() == str(path)
    assert run(["models", "--json"]) == 0
    listed = {entry["name"]: entry for entry in json.loads(capfd.readouterr().out)}
    assert listed["tiny-Q8_0"]["origin"] == "pulled"

    assert run(["verify"]) == 0
    assert capfd.readouterr().out.startswith("ok")
    path.resolve().write_bytes(b"GGUF")
    assert run(["verify"]) == 1
    out, err = capfd.readouterr()
    assert out.startswith("BAD  tiny-Q8_0")
    assert "ponder pull tiny-Q8_0" in err
    assert run(["pull", "tiny-Q8_0"]) == 0
    assert path.read_bytes() == TINY.read_bytes()
    assert "is fetched again" in capfd.readouterr().err

    assert run(["rm", "tiny-Q8_0"]) == 2
    assert "Say --yes" in capfd.readouterr().err
    assert run(["rm", "tiny-Q8_0", "--yes"]) == 0
    assert "Hugging Face cache" in capfd.readouterr().err
    assert not path.exists()
    assert run(["where", "tiny-Q8_0"]) == 2


def test_a_pulled_model_answers(hub: Hub, capfd: Captured) -> None:
    assert run(["pull", SAID, "--quiet"]) == 0
    capfd.readouterr()
    words = ["ask", "--model", SAID, "--budget", "16", "--json", "What is 2 + 2?"]
    assert run(words) == 0
    assert capfd.readouterr().out


def test_json_is_one_object_a_line(hub: Hub, capfd: Captured) -> None:
    assert run(["pull", SAID, "--json"]) == 0
    out, err = capfd.readouterr()
    events = [json.loads(line) for line in out.splitlines()]
    kinds = [event["event"] for event in events]
    assert kinds[0] == "planned"
    assert kinds[-1] == "done"
    assert {"receiving", "hashing", "checked"} <= set(kinds)
    assert Path(events[-1]["path"]).is_file()
    assert err == ""


@pytest.mark.parametrize(
    "words, code, told",
    [
        (["pull", "r1-7"], 2, "Did you mean r1-7b?"),
        (["pull", "no/where:Q8_0"], 1, "has no repository no/where"),
        (["pull", f"{ANY}:Q2_K"], 2, "Q8_0"),
        (["pull", "ponder-tiny"], 2, "ships with ponder"),
        (["pull", "s1-32b"], 2, "--name s1-32b"),
        (["pull", "a/b\x1b[31m:Q8_0"], 2, "There is no model"),
        (["where", "nothing"], 2, "Known:"),
        (["where", "r1-7b"], 1, "ponder pull r1-7b"),
        (["verify", "r1-7b"], 1, "not on this machine"),
        (["rm", "ponder-tiny", "--yes"], 2, "did not fetch"),
        (["import", "/nowhere/x.gguf"], 1, "There is no file"),
    ],
)
def test_what_cannot_be_done_says_why(
    hub: Hub, capfd: Captured, words: list[str], code: int, told: str
) -> None:
    assert run(words) == code
    out, err = capfd.readouterr()
    assert told in err
    assert out == ""
    assert "Traceback" not in err
    assert "\x1b" not in err


def test_offline_is_obeyed(hub: Hub, capfd: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert run(["pull", SAID]) == 1
    assert "HF_HUB_OFFLINE" in capfd.readouterr().err
    assert hub.asked == []


def test_a_file_is_imported_and_used(capfd: Captured, tmp_path: Path, home: Path) -> None:
    mine = Path(shutil.copy(TINY, tmp_path / "mine.gguf"))
    assert run(["import", str(mine), "--name", "my-model", "--copy"]) == 0
    assert capfd.readouterr().out.strip() == str(home / "models" / "my-model.gguf")
    assert run(["verify", "my-model"]) == 0
    capfd.readouterr()
    assert run(["rm", "my-model", "-y"]) == 0
    assert mine.exists()


def test_where_without_a_name_is_the_folder(capfd: Captured, home: Path) -> None:
    assert run(["where"]) == 0
    assert capfd.readouterr().out.strip() == str(home / "models")


def test_nothing_to_verify_is_told(capfd: Captured) -> None:
    assert run(["verify"]) == 0
    assert "nothing to verify" in capfd.readouterr().err
    assert run(["verify", "--json"]) == 0
    assert json.loads(capfd.readouterr().out) == []


def test_what_another_program_has_is_listed_with_its_origin(
    capfd: Captured, tmp_path: Path
) -> None:
    (tmp_path / "llama.cpp").mkdir()
    shutil.copy(TINY, tmp_path / "llama.cpp" / "theirs-Q8_0.gguf")
    assert run(["models"]) == 0
    line = next(li for li in capfd.readouterr().out.splitlines() if "theirs-Q8_0" in li)
    assert "llama.cpp" in line
    assert run(["rm", "theirs-Q8_0", "--yes"]) == 2
    assert "belongs to llama.cpp" in capfd.readouterr().err
