"""What is found out about a build of llama.cpp, and how it is remembered."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from ponder import hardware
from ponder.engines import probe
from ponder.engines.probe import Verdict, verdict
from ponder.errors import BuildBroken

SAYS = "import json; print('chatter'); print(json.dumps({'system': 'AVX2', 'devices': ['CPU: x']}))"
DIES = "import os, signal; os.kill(os.getpid(), signal.{})"


def child(with_buffers: str, without: str) -> tuple[probe.Command, list[bool]]:
    """A command that runs one of two scripts, and the list of what it was asked."""
    asked: list[bool] = []

    def command(model: Path, extra_buffers: bool) -> list[str]:
        asked.append(extra_buffers)
        return [sys.executable, "-c", with_buffers if extra_buffers else without, str(model)]

    return command, asked


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "builds.json"


def refuse(*_: object, **__: object) -> NoReturn:
    raise AssertionError("a child was started")


def test_this_build_works_and_is_asked_once(
    builtin: Path, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = verdict(builtin, memory)
    assert found.require() is found
    assert found.system
    assert found.devices
    monkeypatch.setattr(subprocess, "run", refuse)
    assert verdict(builtin, memory) == found
    with pytest.raises(AssertionError, match="child"):
        verdict(builtin, memory, fresh=True)


def test_a_model_that_cannot_be_loaded_is_told_in_its_own_words(
    tmp_path: Path, memory: Path
) -> None:
    found = verdict(tmp_path / "nowhere.gguf", memory)
    assert not found.works
    assert "There is no file" in found.detail


def test_a_build_that_dies_of_repacked_weights_runs_without(
    tmp_path: Path, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command, asked = child(DIES.format("SIGILL"), SAYS)
    found = verdict(tmp_path, memory, command=command)
    assert asked == [True, False]
    assert found.works
    assert found.require().extra_buffers is False
    assert "SIGILL" in found.detail
    assert "repacked" in found.detail
    assert (found.system, found.devices) == ("AVX2", ("CPU: x",))
    monkeypatch.setattr(subprocess, "run", refuse)
    assert verdict(tmp_path, memory, command=command) == found


@pytest.mark.parametrize(
    ("script", "told"),
    [
        (DIES.format("SIGILL"), "SIGILL (an instruction"),
        (DIES.format("SIGSEGV"), "dies with SIGSEGV"),
        (DIES.format("SIGRTMIN + 3"), "signal"),
        ("raise SystemExit('no such library')", "no such library"),
        ("raise SystemExit(3)", "exit code 3"),
        ("print('not json')", "exit code 0"),
        ("print('[1]')", "exit code 0"),
        ("", "exit code 0"),
        (SAYS + "; raise SystemExit('died at the end')", "died at the end"),
        ("import sys; sys.stdout.buffer.write(b'\\xff\\xfe\\n')", "exit code 0"),
    ],
)
def test_a_build_that_never_works_is_broken(
    tmp_path: Path, memory: Path, script: str, told: str
) -> None:
    command, asked = child(script, script)
    found = verdict(tmp_path, memory, command=command)
    assert not found.works
    assert told in found.detail
    with pytest.raises(BuildBroken) as broken:
        found.require()
    assert found.detail in broken.value.message
    assert "doctor" in broken.value.hint
    # It may have been repaired since: what is broken is asked again.
    verdict(tmp_path, memory, command=command)
    assert asked == [True, False] * 2


def test_a_repaired_build_is_believed(tmp_path: Path, memory: Path) -> None:
    broken, _ = child(DIES.format("SIGILL"), DIES.format("SIGILL"))
    whole, _ = child(SAYS, SAYS)
    assert not verdict(tmp_path, memory, command=broken).works
    assert verdict(tmp_path, memory, command=whole).works
    assert verdict(tmp_path, memory, command=broken).works  # remembered


def test_a_child_that_hangs_is_given_up(
    tmp_path: Path, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "_TIMEOUT", 0.5)
    command, asked = child("import time; time.sleep(60)", SAYS)
    found = verdict(tmp_path, memory, command=command)
    assert asked == [True, False]
    assert found.works
    assert "hangs" in found.detail


def test_a_child_that_cannot_be_started_is_a_verdict(tmp_path: Path, memory: Path) -> None:
    found = verdict(tmp_path, memory, command=lambda *_: [str(tmp_path / "no-python")])
    assert not found.works
    assert "No such file" in found.detail


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{",
        b"\xff\xfe\x00",
        b"[]",
        b'{"key": 1}',
        b'{"key": {"works": "perhaps", "extra_buffers": true, "detail": ""}}',
    ],
)
def test_a_damaged_memory_is_ignored_and_mended(
    tmp_path: Path, memory: Path, damage: bytes
) -> None:
    memory.parent.mkdir()
    memory.write_bytes(damage)
    command, asked = child(SAYS, SAYS)
    for _ in range(2):
        assert verdict(tmp_path, memory, command=command).works
    assert asked == [True]
    assert list(memory.parent.iterdir()) == [memory]


def test_where_nothing_can_be_remembered_it_is_asked_each_time(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    command, asked = child(SAYS, SAYS)
    for _ in range(2):
        assert verdict(tmp_path, tmp_path / "file" / "builds.json", command=command).works
    assert asked == [True, True]


def test_a_full_disk_leaves_the_memory_as_it_was(
    tmp_path: Path, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> NoReturn:
        raise OSError(28, "No space left on device")

    command, _ = child(SAYS, SAYS)
    verdict(tmp_path, memory, command=command)
    before = memory.read_bytes()
    monkeypatch.setattr(os, "fsync", full)
    assert verdict(tmp_path, memory, fresh=True, command=command).works
    assert memory.read_bytes() == before
    assert list(memory.parent.iterdir()) == [memory]


@pytest.mark.parametrize("part", ["build", "machine"])
def test_another_build_or_machine_is_asked_anew(
    tmp_path: Path, memory: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    command, asked = child(SAYS, SAYS)
    first = verdict(tmp_path, memory, command=command)
    real: Callable[[], str] = probe._key
    before = real()
    with monkeypatch.context() as patch:
        if part == "machine":
            patch.setattr(hardware, "machine_key", lambda: "another machine")
        else:
            package = tmp_path / "llama_cpp"
            (package / "lib").mkdir(parents=True)
            (package / "__init__.py").touch()
            (package / "lib" / "libllama.so").write_bytes(b"newer")
            patch.syspath_prepend(str(tmp_path))
            # An import that has happened would be found in place of the new package.
            patch.delitem(sys.modules, "llama_cpp", raising=False)
        assert real() != before
        verdict(tmp_path, memory, command=command)
    assert asked == [True, True]
    # The first is still known.
    assert verdict(tmp_path, memory, command=command) == first
    assert asked == [True, True]
    assert len(json.loads(memory.read_text())) == 2


def test_a_verdict_that_works_passes_through() -> None:
    works = Verdict(True, True, "it works")
    assert works.require() is works
