"""Where finished engine wheels are kept: one folder a key, whole or not there at all.

    <wheelhouse>/<version>-<compiler>-<hash>/     the wheel, build.json, build.log
    <wheelhouse>/<same name>.lock                 held while that wheel is being built
    <wheelhouse>/<same name>.failed.log           what the last failed try had to say

The key covers everything that changes the binary: pip's own cache of wheels does not know `CC`
or `CMAKE_ARGS` and would hand a gcc wheel to a clang user. Knows folders; refuses to know how a
wheel is made. Standard library only.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from compilers import Compiler, Decision, Machine

try:
    import fcntl
except ImportError:  # Windows: builds at once then do the work twice, and one of them wins
    LOCKS = False
else:
    LOCKS = True

VARIABLE = "PONDER_WHEELHOUSE"
"""Overrides where the wheelhouse is."""

STEERING = (
    "ARCHFLAGS",
    "CFLAGS",
    "CPPFLAGS",
    "CUDAARCHS",
    "CUDACXX",
    "CUDAHOSTCXX",
    "CXXFLAGS",
    "HIPCXX",
    "LDFLAGS",
    "MACOSX_DEPLOYMENT_TARGET",
)
"""Variables that change the binary, besides all `CMAKE_` and `SKBUILD_` ones."""

Record = dict[str, Any]
"""What `build.json` says, as JSON values."""


def default_wheelhouse(env: Mapping[str, str], system: str) -> Path:
    """`$PONDER_WHEELHOUSE`, else in the user's cache: shared by all checkouts of ponder."""
    if chosen := env.get(VARIABLE):
        return Path(chosen).expanduser().absolute()
    home = Path.home()
    if system == "darwin":
        cache = home / "Library" / "Caches"
    elif system == "windows":
        cache = Path(env.get("LOCALAPPDATA") or home / "AppData" / "Local")
    else:
        named = Path(env.get("XDG_CACHE_HOME", ""))
        cache = named if named.is_absolute() else home / ".cache"
    return cache / "ponder" / "wheelhouse"


def steering(env: Mapping[str, str]) -> dict[str, str]:
    """The variables of `env` that change what is built, compilers aside."""
    prefixes = ("CMAKE_", "SKBUILD_")
    return {
        name: value
        for name, value in sorted(env.items())
        if value
        and name != "CMAKE_BUILD_PARALLEL_LEVEL"
        and (name in STEERING or name.startswith(prefixes))
    }


def key(version: str, machine: Machine, decision: Decision, env: Mapping[str, str]) -> str:
    """The folder's name: same machine, same compiler, same flags, same name; else another.

    `env` is what the build will see: the user's environment with the decision's over it.
    """
    compiler = decision.compiler
    facts = {
        "version": version,
        "system": machine.system,
        "machine": machine.machine,
        "libc": machine.libc,
        "cpu": [machine.cpu.model, sorted(machine.cpu.flags)],
        "compiler": _identity(compiler) if compiler else [env.get("CC"), env.get("CXX")],
        "env": steering(env),
    }
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
    name = f"{compiler.kind}{compiler.major}" if compiler and compiler.major else "default"
    return f"{version}-{name}-{digest}"


def _identity(compiler: Compiler) -> list[str]:
    """Which compiler it is, whatever name it was called by; words behind the name count."""
    words = [c.partition(" ")[2] for c in (compiler.cc, compiler.cxx)]
    return [compiler.real or f"{compiler.cc}, {compiler.cxx}", compiler.banner, *words]


def facts_of(decision: Decision, machine: Machine, env: Mapping[str, str]) -> Record:
    """The part of `build.json` that is known before the build."""
    return {
        "compiler": asdict(decision.compiler) if decision.compiler else None,
        "env": steering(env),
        "platform": [machine.system, machine.machine, machine.libc],
        "cpu": machine.cpu.model,
        "amx": machine.cpu.amx,
    }


def finished(folder: Path) -> Path | None:
    """The wheel in `folder` if it is there, and is the one that `build.json` speaks of."""
    try:
        record = json.loads((folder / "build.json").read_text(encoding="utf-8"))
        wheel = folder / str(record["wheel"])
        return wheel if digest(wheel) == record["sha256"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def digest(file: Path) -> str:
    """SHA-256 of a file, in hex."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def obtain(
    folder: Path, build: Callable[[Path], Record], waiting: Callable[[], None] = lambda: None
) -> Path:
    """The finished wheel of `folder`; made by `build` when it is not there yet.

    `build` fills an empty folder with one wheel and returns facts for `build.json`. `folder`
    appears by one rename, when all is done. If `build` raises, nothing stays but its build.log.
    `waiting` is called when another process is building the same thing.
    """
    if wheel := finished(folder):
        return wheel
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _locked(Path(f"{folder}.lock"), waiting):
        if wheel := finished(folder):
            return wheel
        if LOCKS:  # nobody else is at it, so these were left by a kill or a power cut
            for stale in folder.parent.glob(f"{folder.name}.building-*"):
                shutil.rmtree(stale, ignore_errors=True)
        building = Path(f"{folder}.building-{secrets.token_hex(4)}")
        building.mkdir()
        try:
            record = build(building)
            (wheel,) = building.glob("*.whl")
            record |= {"wheel": wheel.name, "sha256": digest(wheel)}
            text = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
            (building / "build.json").write_text(text, encoding="utf-8")
            _swap(building, folder)
        finally:
            if building.exists():
                log = building / "build.log"
                if log.exists():
                    log.replace(failed_log(folder))
                shutil.rmtree(building, ignore_errors=True)
    return folder / wheel.name


def failed_log(folder: Path) -> Path:
    """Where the log of a build that failed is kept."""
    return Path(f"{folder}.failed.log")


def _swap(building: Path, folder: Path) -> None:
    """Put the new folder in place; one that is there is damaged, or another's that just won."""
    if folder.exists() and not finished(folder):
        shutil.rmtree(folder)
    if not folder.exists():
        building.rename(folder)
    failed_log(folder).unlink(missing_ok=True)


@contextmanager
def _locked(file: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold `file` locked; the kernel lets go of it even if we are killed."""
    if not LOCKS:
        yield
        return
    handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
