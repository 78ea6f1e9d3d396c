"""`ponder doctor`: what this machine has, whether llama.cpp works on it, what to do if not."""

from __future__ import annotations

import json
import platform
import sys
import time
from dataclasses import asdict
from pathlib import Path

import click

from ponder import __version__, hardware, offline, paths
from ponder.engines.probe import Verdict
from ponder.errors import PonderError
from ponder.printable import safe

_BUILD = "https://github.com/abetlen/llama-cpp-python#installation"


@click.command(
    name="doctor",
    help="""See what this machine has, and whether llama.cpp works on it.

    Runs the built-in model in a child process, so that a broken build cannot take ponder
    down with it. The exit code is 1 if models cannot be run.""",
)
@click.option("--json", "as_json", is_flag=True, help="One object on stdout.")
def app(as_json: bool) -> int:
    """See the command's help."""
    from ponder.assembly import probe_verdict
    from ponder.catalogue import catalogue

    verdict = probe_verdict(fresh=True)
    speed = _speed() if verdict.works else 0.0
    problem = _settings_problem()
    wrong = catalogue().problem
    advice = _advice(verdict, problem)
    if wrong is not None:
        advice.append(wrong.hint)
    if as_json:
        facts: dict[str, object] = {
            "ponder": __version__,
            "python": platform.python_version(),
            "system": platform.platform(),
            "processor": hardware.processor(),
            "cores": hardware.cores(),
            "memory": {"free": hardware.free_memory(), "total": hardware.total_memory()},
            "llama_cpp_python": _binding_version(),
            "llama_cpp": asdict(verdict),
            "tokens_per_second": round(speed, 1),
            "packages": _packages(),
            "offline": list(offline.layers()),
            "settings_problem": problem,
            "catalogue_problem": wrong.message if wrong is not None else "",
            "advice": advice,
        }
        click.echo(json.dumps(facts, indent=1))
    else:
        _print(verdict, speed, problem, wrong.message if wrong is not None else "", advice)
    return 0 if verdict.works and not problem and wrong is None else 1


def _print(
    verdict: Verdict, speed: float, problem: str, catalogue_problem: str, advice: list[str]
) -> None:
    gib = 2**30
    _line(True, "ponder", f"{__version__}, Python {platform.python_version()} at {sys.executable}")
    _line(True, "system", f"{platform.platform()}, {hardware.processor()}")
    _line(
        True,
        "machine",
        f"{hardware.cores()} cores, {hardware.free_memory() / gib:.1f} of "
        f"{hardware.total_memory() / gib:.1f} GiB memory free",
    )
    _line(verdict.works, "llama.cpp", f"llama-cpp-python {_binding_version()}: {verdict.detail}")
    for device in verdict.devices:
        _line(True, "device", device)
    if verdict.system:
        _line(True, "features", _features(verdict.system))
    if verdict.works:
        _line(speed > 0, "built-in", f"ponder-tiny decodes {speed:,.0f} tokens a second")
    for told in _packages():
        _line(True, "package", told)
    _line(True, "network", ", ".join(offline.layers()) or "open; ponder --offline refuses it")
    _line(not problem, "settings", problem or _place(paths.config_file()))
    told = catalogue_problem or _place(paths.user_catalogue())
    _line(not catalogue_problem, "own models", told)
    for text in advice:
        click.echo()
        click.echo(safe(text))


def _packages() -> list[str]:
    """The Python packages that models are made of, here or not: none of them is needed."""
    from ponder.catalogue import catalogue
    from ponder.library import packaged

    told = []
    for name, model in catalogue().models.items():
        if (package := model.package) is not None:
            place = packaged.place(package)
            there = f"{place}" if place else f"not installed ({packaged.remedy(package)})"
            told.append(f"{package.name}, the base of {name}: {there}")
    return told


def _place(path: Path) -> str:
    return f"{path}" if path.exists() else f"{path} (none)"


def _line(good: bool, name: str, text: str) -> None:
    click.secho("ok   " if good else "BAD  ", fg="green" if good else "red", nl=False)
    click.echo(f"{name:<10} {safe(text)}")


def _features(system: str) -> str:
    """The instruction sets that are used, out of llama.cpp's `NAME = 1 |` list."""
    pairs = (part.split("=") for part in system.replace("|", ":").split(":") if "=" in part)
    used = [name.strip() for name, value in pairs if value.strip() not in ("0", "")]
    return ", ".join(used) or system


def _binding_version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("llama-cpp-python")
    except PackageNotFoundError:
        return "(not installed)"


def _settings_problem() -> str:
    from ponder.settings import read

    try:
        read(paths.config_file())
    except PonderError as error:
        return error.message
    return ""


def _speed() -> float:
    """Tokens a second of the built-in model, one sequence."""
    from ponder.assembly import Choices, open_session
    from ponder.events import Finished
    from ponder.settings import Settings
    from ponder.types import Budget, Sampling

    opened = open_session(Settings(), Choices(model="ponder-tiny"))
    with opened.session.runner:
        began = time.monotonic()
        sampled = 0
        while time.monotonic() - began < 0.5:
            asked = opened.session.ask("What is 12 + 30 * 4?", Budget(cap=200), Sampling(seed=1))
            for event in asked:
                if isinstance(event, Finished):
                    sampled += event.trace.usage.sampled
        return sampled / (time.monotonic() - began)


def _advice(verdict: Verdict, problem: str) -> list[str]:
    advice = []
    if not verdict.works:
        advice.append(
            "llama-cpp-python has to be built for this machine. With a compiler and cmake here:\n"
            "  pip install --force-reinstall --no-cache-dir llama-cpp-python\n"
            f"Ready-made wheels for CPU, CUDA and Metal: {_BUILD}"
        )
    elif not verdict.extra_buffers:
        advice.append(
            "This build crashes with repacked weights, so ponder runs models without them: slower,"
            "\nbut right. gcc 12 miscompiles those kernels; clang 16 or later, or gcc 13, builds\n"
            "them well: CC=clang CXX=clang++ pip install --force-reinstall --no-cache-dir "
            "llama-cpp-python"
        )
    if hardware.instruction_sets() & {"amx_tile", "amx_int8"} and "AMX_INT8 = 1" not in (
        verdict.system or "AMX_INT8 = 1"
    ):
        advice.append(
            "This processor has AMX and the build does not use it. Built with clang 16 or later,\n"
            "llama.cpp is two to eight times as fast here (Debian: clang-19 and libomp-19-dev)."
        )
    if not any("CPU" not in device for device in verdict.devices) and verdict.works:
        advice.append(
            "This build uses no GPU. If there is one, install llama-cpp-python with its backend:\n"
            f"  {_BUILD}"
        )
    if problem:
        advice.append(f"Edit or remove {paths.config_file()}.")
    return advice
