"""Where wheels are kept: the key, whole folders only, one builder at a time."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from compilers import Compiler, Cpu, Decision, Machine
from wheelhouse import (
    Record,
    default_wheelhouse,
    digest,
    failed_log,
    finished,
    key,
    obtain,
    steering,
)

CPU = Cpu("Xeon", frozenset({"avx2", "fma"}))
MACHINE = Machine("linux", "x86_64", "glibc 2.36", CPU)
CLANG = Compiler("/bin/clang", "/bin/clang++", "clang", 19, "clang 19.1.7", "/opt/c:/opt/cpp")
ENV = {"CC": "/bin/clang", "CXX": "/bin/clang++", "HOME": "/home/a", "CFLAGS": "-O2"}


def name(
    version: str = "0.3.36",
    machine: Machine = MACHINE,
    compiler: Compiler | None = CLANG,
    env: dict[str, str] | None = None,
) -> str:
    return key(version, machine, Decision(compiler), ENV if env is None else env)


def test_same_in_same_out() -> None:
    assert name() == name()
    assert name().startswith("0.3.36-clang19-")
    shuffled = replace(MACHINE, cpu=Cpu("Xeon", frozenset(["fma", "avx2"])))
    assert name(machine=shuffled) == name()
    assert name(env=dict(reversed(ENV.items()))) == name()


def test_what_does_not_change_the_binary_does_not_change_the_key() -> None:
    assert name(env=ENV | {"HOME": "/home/b", "PATH": "/x", "CMAKE_BUILD_PARALLEL_LEVEL": "9"}) == (
        name()
    )
    assert name(env=ENV | {"LDFLAGS": ""}) == name()
    renamed = replace(CLANG, cc="clang-19", cxx="clang++-19")
    assert name(compiler=renamed) == name(), "the same file by another name"


def test_whatever_changes_the_binary_changes_the_key() -> None:
    others = [
        name(version="0.3.37"),
        name(machine=replace(MACHINE, libc="glibc 2.39")),
        name(machine=replace(MACHINE, machine="aarch64")),
        name(machine=replace(MACHINE, system="freebsd")),
        name(machine=replace(MACHINE, cpu=replace(CPU, model="EPYC"))),
        name(machine=replace(MACHINE, cpu=replace(CPU, flags=CPU.flags | {"amx_tile"}))),
        name(compiler=replace(CLANG, banner="clang 19.1.8")),
        name(compiler=replace(CLANG, real="/opt/d:/opt/cpp")),
        name(compiler=replace(CLANG, cc="clang -m32")),
        name(compiler=None),
        name(compiler=None, env=ENV | {"CC": "other"}),
        name(compiler=Compiler("icx", "icpx", "unknown", 0, "")),
        name(compiler=Compiler("xlc", "xlc++", "unknown", 0, "")),
        name(env=ENV | {"CFLAGS": "-O3"}),
        name(env=ENV | {"CXXFLAGS": "-O3"}),
        name(env=ENV | {"CMAKE_ARGS": "-DGGML_CUDA=on"}),
        name(env=ENV | {"CMAKE_GENERATOR": "Ninja"}),
        name(env=ENV | {"SKBUILD_CMAKE_BUILD_TYPE": "Debug"}),
    ]
    assert len({name(), *others}) == len(others) + 1


def test_steering_is_sorted_and_small() -> None:
    assert list(steering(ENV | {"CMAKE_ARGS": "-DX=1", "CCACHE_DIR": "x"})) == [
        "CFLAGS",
        "CMAKE_ARGS",
    ]


def test_default_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    end = Path("ponder", "wheelhouse")
    assert default_wheelhouse({}, "linux") == tmp_path / ".cache" / end
    assert default_wheelhouse({"XDG_CACHE_HOME": "/x"}, "linux") == Path("/x") / end
    assert default_wheelhouse({"XDG_CACHE_HOME": "relative"}, "linux") == tmp_path / ".cache" / end
    assert default_wheelhouse({}, "darwin") == tmp_path / "Library" / "Caches" / end
    assert default_wheelhouse({"LOCALAPPDATA": "/l"}, "windows") == Path("/l") / end
    assert default_wheelhouse({"PONDER_WHEELHOUSE": "/w"}, "linux") == Path("/w")
    assert default_wheelhouse({"PONDER_WHEELHOUSE": "w"}, "linux").is_absolute()


def good_build(folder: Path) -> Record:
    (folder / "build.log").write_text("fine\n")
    (folder / "llama_cpp_python-0.3.36-py3-none-any.whl").write_bytes(b"wheel")
    return {"version": "0.3.36", "seconds": 1}


def no_build(folder: Path) -> Record:
    raise AssertionError("built twice")


def test_built_once_then_found(tmp_path: Path) -> None:
    folder = tmp_path / "house" / "key"
    wheel = obtain(folder, good_build)
    assert wheel.read_bytes() == b"wheel"
    assert obtain(folder, no_build) == wheel == finished(folder)
    record = json.loads((folder / "build.json").read_text())
    assert record == {
        "version": "0.3.36",
        "seconds": 1,
        "wheel": wheel.name,
        "sha256": digest(wheel),
    }
    assert sorted(p.name for p in folder.parent.iterdir()) == ["key", "key.lock"]


@pytest.mark.parametrize("damage", ["truncate", "no wheel", "no json", "half json"])
def test_a_damaged_wheel_is_built_again(tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "key"
    wheel = obtain(folder, good_build)
    if damage == "truncate":
        wheel.write_bytes(b"whe")
    elif damage == "no wheel":
        wheel.unlink()
    elif damage == "no json":
        (folder / "build.json").unlink()
    else:
        (folder / "build.json").write_text('{"wheel": ')
    assert finished(folder) is None
    assert obtain(folder, good_build).read_bytes() == b"wheel"


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_a_build_that_fails_leaves_its_log_alone(
    tmp_path: Path, error: type[BaseException]
) -> None:
    folder = tmp_path / "key"

    def bad(building: Path) -> Record:
        good_build(building)
        raise error

    with pytest.raises(error):
        obtain(folder, bad)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["key.failed.log", "key.lock"]
    assert failed_log(folder).read_text() == "fine\n"
    obtain(folder, good_build)
    assert not failed_log(folder).exists(), "a success takes the old complaint away"


def test_a_build_without_a_wheel_is_no_build(tmp_path: Path) -> None:
    def empty(building: Path) -> Record:
        return {}

    with pytest.raises(ValueError, match="not enough values"):
        obtain(tmp_path / "key", empty)
    assert not (tmp_path / "key").exists()


def test_leftovers_of_a_killed_build_are_swept(tmp_path: Path) -> None:
    stale = tmp_path / "key.building-0badcafe"
    other = tmp_path / "key2.building-0badcafe"
    stale.mkdir()
    other.mkdir()
    obtain(tmp_path / "key", good_build)
    assert not stale.exists()
    assert other.exists(), "another key's build is none of our business"
