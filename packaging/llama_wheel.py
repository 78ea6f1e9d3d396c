"""Find or build the llama-cpp-python wheel that suits this machine; print its path.

    python packaging/llama_wheel.py             the wheel's path on stdout; narration on stderr
    python packaging/llama_wheel.py --where     the folder it is, or will be, in
    python packaging/llama_wheel.py --explain   what would be built, with what and why (--json)

llama-cpp-python has no wheels on the package index: it is compiled, for this very CPU. That takes
minutes, so it is done once per compiler and machine, and kept (wheelhouse.py). Which compiler is
decided in compilers.py. Here is the command: pip as a child, its log made into progress.
Standard library only; pip must be there for the Python that runs this.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import TextIO

import compilers
import wheelhouse
from build_child import Progress, hint_for, last_words, minutes, run_build
from compilers import Decision, Machine

PIN = Path(__file__).with_name("llama-cpp-python.txt")
"""The one place that says which release is built."""


class SetupError(Exception):
    """The wheel cannot be had: what happened, and what to do about it."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that is known before the first byte is fetched."""

    version: str
    machine: Machine
    decision: Decision
    env: Mapping[str, str]
    """What the build sees: the user's environment, and the decision's over it."""
    folder: Path


def pinned(text: str) -> str:
    """The version in a pip constraint `llama-cpp-python==0.3.36`."""
    match = re.search(r"^llama-cpp-python\s*==\s*([\w.]+)\s*$", text, re.MULTILINE)
    if not match:
        raise SetupError(f"{PIN.name} pins no version.", "One line: llama-cpp-python==<version>")
    return match[1]


def make_plan(env: Mapping[str, str]) -> Plan:
    """Look at this machine and decide."""
    version = pinned(PIN.read_text(encoding="utf-8"))
    machine = compilers.this_machine()
    found = compilers.find(env, machine.system)
    decision = compilers.decide(machine, env, found, compilers.package_manager())
    full = dict(env) | dict(decision.env)
    house = wheelhouse.default_wheelhouse(env, machine.system)
    folder = house / wheelhouse.key(version, machine, decision, full)
    return Plan(version, machine, decision, full, folder)


def pip_command(version: str, folder: Path) -> list[str]:
    """What compiles it. No cache of pip's: that one does not know which compiler it was."""
    name = "llama-cpp-python"
    return [
        *(sys.executable, "-m", "pip", "wheel", "-v", "--no-deps", "--no-cache-dir"),
        *("--disable-pip-version-check", "--no-binary", name),
        *("--wheel-dir", str(folder), f"{name}=={version}"),
    ]


def obtain(plan: Plan, command: Callable[[Path], Sequence[str]], out: TextIO) -> Path:
    """The wheel of a plan, built by `command(folder)` where it is not there yet."""

    def build(folder: Path) -> wheelhouse.Record:
        compiler = plan.decision.compiler
        say(f"Building llama-cpp-python {plan.version} with {_name(plan.decision)}", out)
        say("for this machine. It takes minutes, and happens once.", out)
        for line in plan.decision.advice:
            say(line, out)
        began, date = time.monotonic(), datetime.now(UTC)
        log = folder / "build.log"
        try:
            run_build(command(folder), plan.env, log, Progress(out))
        except (OSError, subprocess.CalledProcessError) as problem:
            text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
            say("\n".join(["", *last_words(text), ""]), out)
            kept = wheelhouse.failed_log(plan.folder)
            hint = hint_for(text, _how_to_install())
            message = f"llama-cpp-python could not be built ({problem_text(problem)})."
            raise SetupError(message, f"{hint}\nThe whole log: {kept}".strip()) from problem
        seconds = round(time.monotonic() - began)
        say(f"Built in {minutes(seconds)}" + (f" with {compiler.name}." if compiler else "."), out)
        facts = wheelhouse.facts_of(plan.decision, plan.machine, plan.env)
        when = date.isoformat(timespec="seconds")
        return {"version": plan.version, "date": when, "seconds": seconds, **facts}

    def waiting() -> None:
        say("Another process is building the same wheel: waiting for it.", out)

    return wheelhouse.obtain(plan.folder, build, waiting)


def problem_text(problem: Exception) -> str:
    """In a few words: `exit status 1`."""
    if isinstance(problem, subprocess.CalledProcessError):
        return f"exit status {problem.returncode}"
    return str(problem)


def say(text: str, out: TextIO) -> None:
    """Narrate."""
    print(text, file=out, flush=True)


def _name(decision: Decision) -> str:
    compiler = decision.compiler
    if compiler is None:
        return "the compiler that cmake finds"
    return f"{compiler.name} ({compiler.cc or compiler.cxx or 'as you set it'})"


def explain(plan: Plan) -> dict[str, object]:
    """The decision, as JSON values."""
    cpu, wheel = plan.machine.cpu, wheelhouse.finished(plan.folder)
    compiler = plan.decision.compiler
    return {
        "version": plan.version,
        "machine": {
            "system": plan.machine.system,
            "machine": plan.machine.machine,
            "libc": plan.machine.libc,
            "cpu": cpu.model,
            "amx": cpu.amx,
        },
        "compiler": asdict(compiler) if compiler else None,
        "set": dict(plan.decision.env),
        "env": wheelhouse.steering(plan.env),
        "reason": plan.decision.reason,
        "advice": list(plan.decision.advice),
        "folder": str(plan.folder),
        "wheel": str(wheel) if wheel else None,
    }


def explanation(plan: Plan) -> str:
    """The decision, for people."""
    machine, decision = plan.machine, plan.decision
    amx = "with AMX" if machine.cpu.amx else "no AMX"
    openmp = "" if decision.compiler is None or decision.compiler.openmp else ", without OpenMP"
    rows = [
        ("version", f"llama-cpp-python {plan.version}"),
        ("machine", f"{machine.system} {machine.machine}, {machine.cpu.model}, {amx}"),
        ("compiler", _name(decision) + openmp),
        ("why", decision.reason),
        *((f"sets {name}", value) for name, value in decision.env.items()),
        *(("advice", line) for line in decision.advice),
        ("folder", str(plan.folder)),
        ("wheel", "built" if wheelhouse.finished(plan.folder) else "not built yet"),
    ]
    return "\n".join(f"{name:<14}{value}" for name, value in rows)


def _check(plan: Plan) -> None:
    """Refuse early what cannot work."""
    if importlib.util.find_spec("pip") is None:
        hint = "Run it with the virtual environment's: .venv/bin/python packaging/llama_wheel.py"
        raise SetupError(f"{sys.executable} has no pip.", hint)
    if plan.machine.system == "linux" and plan.decision.compiler is None:
        raise SetupError("There is no C and C++ compiler here.", f"Try: {_how_to_install()}")


def _how_to_install() -> str:
    known = compilers.GCC_PACKAGES | {"": "install a C and a C++ compiler, make and cmake"}
    return known[compilers.package_manager()]


def _stop(number: int, _frame: FrameType | None) -> None:
    """A signal that ends us unwinds us first, so that the build is ended and swept up."""
    raise SystemExit(128 + number)


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(
        description="Find or build the llama-cpp-python wheel for this machine; print its path.",
        epilog=f"CC, CXX, CFLAGS, CXXFLAGS and CMAKE_ARGS are respected. "
        f"{wheelhouse.VARIABLE} says where finished wheels are kept.",
    )
    parser.add_argument("--where", action="store_true", help="print the wheel's folder, and stop")
    parser.add_argument("--explain", action="store_true", help="print the decision, and stop")
    parser.add_argument("--json", action="store_true", help="with --explain: as JSON")
    options = parser.parse_args(argv)
    if options.json and not options.explain:
        parser.error("--json goes with --explain")
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, _stop)
    try:
        plan = make_plan(os.environ)
        if options.where:
            print(plan.folder)
        elif options.explain:
            print(json.dumps(explain(plan), indent=2) if options.json else explanation(plan))
        elif wheel := wheelhouse.finished(plan.folder):
            print(wheel)
        else:
            _check(plan)
            print(obtain(plan, lambda folder: pip_command(plan.version, folder), sys.stderr))
    except SetupError as problem:
        say(f"error: {problem.message}\n{problem.hint}".rstrip(), sys.stderr)
        return 1
    except KeyboardInterrupt:
        say("Stopped; nothing half-built is kept.", sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
