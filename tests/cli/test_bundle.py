"""`ponder bundle`: what it prints, where, and how it ends; and the whole way through an air gap."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from library.bundle import kit
from ponder.cli import run
from ponder.library.bundle.events import Moved
from ponder.library.local import builtin_path
from ponder.library.watching import Noted

TINY = builtin_path("ponder-tiny-Q4_K_M.gguf")
Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No models of whoever runs the tests."""
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME", "PONDER_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "ollama"))
    monkeypatch.setenv("LLAMA_CACHE", str(tmp_path / "llama.cpp"))


@pytest.fixture
def packed(home: Path, tmp_path: Path, capfd: Capture) -> Path:
    """A bundle of three models; the home they were at is gone."""
    kit.stock(home)
    archive = tmp_path / "all.tar"
    said(capfd, "create", str(archive), "--with-wheels", str(kit.wheels(tmp_path / "wheels")))
    shutil.rmtree(home)
    return archive


def said(capfd: Capture, *arguments: str, code: int = 0) -> tuple[str, str]:
    assert run(["bundle", *arguments]) == code
    out, err = capfd.readouterr()
    assert "Traceback" not in err
    return out, err


def test_create_prints_its_files_and_tells_of_progress(
    home: Path, tmp_path: Path, capfd: Capture
) -> None:
    kit.stock(home, scale=450)
    target = tmp_path / "all.tar"
    out, err = said(capfd, "create", str(target), "--split", "1m")
    assert out.splitlines() == [f"{target}.{n:03d}" for n in range(1, 7)]
    assert "packing: 6 MB of 6 MB, " in err
    assert "/s" in err
    assert "Packed check, one, two-Q4_K_M: 6 MB" in err
    for size in ("4x", "-1", "", "1.5g"):
        out, err = said(capfd, "create", str(tmp_path / "b.tar"), f"--split={size}", code=2)
        assert "is no size" in err
    assert "too small" in said(capfd, "create", str(tmp_path / "b.tar"), "--split", "9k", code=2)[1]


def test_create_as_json(home: Path, tmp_path: Path, capfd: Capture) -> None:
    kit.stock(home)
    out, err = said(capfd, "create", str(tmp_path / "a.tar"), "one", "--json")
    assert "packing" not in err
    told = json.loads(out)
    assert told["models"] == ["one"]
    assert told["volumes"] == [str(tmp_path / "a.tar")]
    assert told["size"] == (tmp_path / "a.tar").stat().st_size
    assert {"path", "size", "sha256"} == set(told["files"][0])
    out, err = said(capfd, "create", str(tmp_path / "a.tar"), "--json", code=2)
    assert json.loads(out)["event"] == "error"
    assert "already there" in err


def test_a_platform_is_recorded_and_told(
    home: Path, tmp_path: Path, capfd: Capture, packed: Path
) -> None:
    assert json.loads(said(capfd, "verify", str(packed), "--json")[0])["platform"] == "linux_x86_64"
    wheels = str(tmp_path / "wheels")
    target = str(tmp_path / "w.tar")
    said(capfd, "create", target, "--with-wheels", wheels, "--platform", "the lab's machines")
    out, err = said(capfd, "install", target, "--yes")
    assert out == ""
    assert "Wheels for the lab's machines are in" in err
    assert "pip install --no-index --find-links" in err
    assert "--with-wheels" in said(capfd, "create", "x", "--platform", "y", code=2)[1]


def test_verify(capfd: Capture, packed: Path) -> None:
    out, _ = said(capfd, "verify", str(packed))
    assert out.startswith("ok   14 files, ")
    assert "signature: none" in out
    data = bytearray(packed.read_bytes())
    data[data.rindex(b"models/one.gguf\0") + 600] ^= 1
    packed.write_bytes(data)
    out, err = said(capfd, "verify", str(packed), code=1)
    assert out.startswith("BAD  models/one.gguf is damaged: its sha256 is ")
    assert "Copy it again" in err
    told = json.loads(said(capfd, "verify", str(packed), "--json", code=1)[0])
    assert not told["right"]
    assert [problem["path"] for problem in told["problems"]] == ["models/one.gguf"]
    packed.write_bytes(data[:5000])
    out, err = said(capfd, "verify", str(packed), "--json", code=1)
    assert "cut short" in json.loads(out)["message"]
    assert "hint" in err
    assert "no file" in said(capfd, "verify", "gone.tar", code=2)[1]


def test_install_asks(
    home: Path, capfd: Capture, packed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: False))
    assert "--yes" in said(capfd, "install", str(packed), code=2)[1]
    assert not home.exists()
    for answer, there in (("n\n", False), ("y\n", True)):
        stdin = io.StringIO(answer)
        monkeypatch.setattr(stdin, "isatty", lambda: True)
        monkeypatch.setattr(sys, "stdin", stdin)
        out, err = said(capfd, "install", str(packed))
        assert "Install it?" in out + err
        assert "signature: none" in err
        assert (home / "models/one.gguf").exists() == there
    out, err = said(capfd, "install", str(packed))
    assert "All of it is here already." in err
    assert out.split() == ["check", "one", "two-Q4_K_M"]


def test_keys(home: Path, tmp_path: Path, capfd: Capture, packed: Path) -> None:
    key = tmp_path / "key"
    out, err = said(capfd, "keygen", str(key))
    assert out == f"{key}.pub\n"
    assert "SHA256:" in err
    said(capfd, "keygen", str(key), code=2)
    kit.stock(home)
    signed = str(tmp_path / "signed.tar")
    said(capfd, "create", signed, "one", "--sign", str(key))
    assert "not checked" in said(capfd, "verify", signed)[0]
    assert "right, by SHA256:" in said(capfd, "verify", signed, "--key", f"{key}.pub")[0]
    said(capfd, "keygen", str(tmp_path / "other"))
    other = str(tmp_path / "other.pub")
    for command in (["verify"], ["install", "--yes"]):
        assert "another key" in said(capfd, *command, signed, "--key", other, code=1)[1]
        told = said(capfd, *command, str(packed), "--key", f"{key}.pub", code=1)[1]
        assert "is not signed" in told
    if os.name != "nt":
        key.chmod(0o644)
        _, err = said(capfd, "create", str(tmp_path / "b.tar"), "one", "--sign", str(key))
        assert "Others can read" in err


@pytest.mark.parametrize("command", [[], ["create"], ["verify"], ["install"], ["keygen"]])
def test_every_command_explains_itself(capfd: Capture, command: list[str]) -> None:
    assert "Usage: ponder bundle" in said(capfd, *command, "--help")[0]


def test_a_wrong_command_lists_the_right_ones(capfd: Capture) -> None:
    err = said(capfd, "instal", code=2)[1]
    assert "Did you mean install?" in err


def test_lines_tell_rate_and_time_left(capfd: Capture) -> None:
    from ponder.cli.bundle import _Lines

    times = iter([0.0, 1.0, 2.0, 3.0])
    lines = _Lines(False, lambda: next(times))
    for done in (0, 100, 105, 1000):
        lines(Moved("packing", "x", done * 1000, 1_000_000))
    lines(Noted("note \x1b[31m"))
    assert capfd.readouterr().err.splitlines() == [
        "packing: 100 kB of 1 MB, 100 kB/s, 9 s left",
        "packing: 1 MB of 1 MB, 333 kB/s",
        "note ␛[31m",
    ]


def test_a_bar_on_a_terminal(
    home: Path, tmp_path: Path, capfd: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    kit.stock(home)
    _, err = said(capfd, "create", str(tmp_path / "a.tar"))
    assert "packing" in err


def ponder(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ponder", *arguments],
        env=os.environ
        | {"PONDER_HOME": str(home), "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_through_the_air_gap_and_asked_there(tmp_path: Path) -> None:
    near, far, stick = tmp_path / "near", tmp_path / "far", tmp_path / "stick"
    (near / "models").mkdir(parents=True)
    stick.mkdir()
    shutil.copy(TINY, near / "models/another-name.gguf")
    made = ponder(near, "bundle", "keygen", str(tmp_path / "key"))
    assert made.returncode == 0, made.stderr
    words = ["--split", "2m", "--sign", str(tmp_path / "key")]
    made = ponder(near, "bundle", "create", str(stick / "b.tar"), "another-name", *words)
    assert made.returncode == 0, made.stderr
    shutil.rmtree(near)
    key = ["--key", str(tmp_path / "key.pub")]
    done = ponder(far, "--offline", "bundle", "install", str(stick / "b.tar"), *key, "--yes")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "another-name\n"
    shutil.rmtree(stick)
    assert ponder(far, "--offline", "verify").returncode == 0
    words = ["--model", "another-name", "--budget", "64", "--temperature", "0", "--quiet"]
    asked = ponder(far, "--offline", "ask", *words, "What is 2+3?")
    assert asked.returncode == 0, asked.stderr
    assert "5" in asked.stdout
