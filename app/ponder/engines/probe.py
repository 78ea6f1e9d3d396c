"""Does this build of llama.cpp work on this machine? Asked in a child process, remembered.

A library compiled wrongly, or for another processor, dies with a signal at the first
product it computes, and takes the process with it. So a child runs a tiny quantized model
first. If it dies, it is asked again without the CPU's repacked weights, which is where
gcc 12's miscompiled AMX kernels are; if that works, that is how models are run here.

Knows processes, a file to remember in, and which engine to ask; llama_cpp is imported by the
child alone.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ponder import hardware
from ponder.errors import BuildBroken

_TIMEOUT = 300.0
"""Seconds a child may take: a cold disk and a busy machine are no defect."""

Command = Callable[[Path, bool], list[str]]
"""(model, extra buffers) -> the command of a child that tries them."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found out about one build on one machine."""

    works: bool
    extra_buffers: bool
    """Whether the CPU's repacked weights (AMX and the like) may be used."""
    detail: str
    """What the child said last, or how it died."""
    system: str = ""
    """llama.cpp's own list of the features it uses."""
    devices: tuple[str, ...] = ()

    def require(self) -> Verdict:
        """Itself, if anything works.

        Raises:
            BuildBroken: nothing does.
        """
        if self.works:
            return self
        raise BuildBroken(
            f"llama.cpp does not work on this machine: {self.detail}.",
            "Reinstall llama-cpp-python built for this processor; `ponder doctor` says how.",
        )


def this_module(model: Path, extra_buffers: bool) -> list[str]:
    """The child that ponder asks: this module, run by this Python."""
    return [sys.executable, "-m", __spec__.name, str(model), str(int(extra_buffers))]


def verdict(
    model: Path, memory: Path, fresh: bool = False, command: Command = this_module
) -> Verdict:
    """Ask, or remember having asked.

    Args:
        model: a small quantized GGUF.
        memory: the file verdicts are kept in.
        fresh: ask again whatever is remembered.
        command: the child to ask.
    """
    key = _key()
    known = _read(memory)
    if not fresh and key in known:
        remembered = known[key]
        if remembered.works:
            return remembered
    found = _ask(command(model, True), extra_buffers=True)
    if not found.works:
        without = _ask(command(model, False), extra_buffers=False)
        if without.works:
            found = Verdict(
                True,
                False,
                f"with the CPU's repacked weights {found.detail}; without them it works",
                without.system,
                without.devices,
            )
    _write(memory, {**known, key: found})
    return found


def _key() -> str:
    """The build and the machine; the files are looked at without loading them."""
    spec = importlib.util.find_spec("llama_cpp")
    if spec is None or spec.origin is None:
        return "none"
    files = sorted((Path(spec.origin).parent / "lib").glob("*"))
    facts = [f"{f.name}:{f.stat().st_size}:{f.stat().st_mtime_ns}" for f in files if f.is_file()]
    build = hashlib.sha256("|".join(facts).encode()).hexdigest()[:16]
    return f"{build} {hardware.machine_key()}"


def _read(memory: Path) -> dict[str, Verdict]:
    try:
        return msgspec.json.decode(memory.read_bytes(), type=dict[str, Verdict])
    except (OSError, msgspec.DecodeError):
        return {}


def _write(memory: Path, known: dict[str, Verdict]) -> None:
    """Atomically; a machine where nothing can be remembered asks again each time."""
    with contextlib.suppress(OSError):
        memory.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=memory.parent, prefix=memory.name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(msgspec.json.format(msgspec.json.encode(known), indent=1))
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(memory)
        except OSError:
            Path(name).unlink(missing_ok=True)


def _ask(command: list[str], extra_buffers: bool) -> Verdict:
    try:
        child = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Verdict(False, extra_buffers, "it hangs")
    except OSError as error:
        return Verdict(False, extra_buffers, f"it cannot be tried: {error.strerror}")
    if child.returncode < 0:
        name = _signal_name(-child.returncode)
        meaning = " (an instruction this processor does not have)" if name == "SIGILL" else ""
        return Verdict(False, extra_buffers, f"it dies with {name}{meaning}")
    if child.returncode == 0:
        with contextlib.suppress(ValueError, IndexError, KeyError, TypeError):
            said = json.loads(child.stdout.splitlines()[-1])
            return Verdict(True, extra_buffers, "it works", said["system"], tuple(said["devices"]))
    last = (child.stderr.strip().splitlines() or [f"exit code {child.returncode}"])[-1]
    return Verdict(False, extra_buffers, last)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _child(model: Path, extra_buffers: bool) -> None:
    """Run a prompt long enough for the batched kernels, then a few single tokens."""
    from ponder.engines.llama import LlamaConfig, LlamaEngine, backend
    from ponder.types import Sampling

    config = LlamaConfig(n_ctx=256, threads=1, gpu_layers=0, extra_buffers=extra_buffers)
    engine = LlamaEngine(model, config)
    prompt = tuple(engine.vocab.encode("1 + 2 = 3, 4 + 5 = 9. " * 8, special=False))
    seq = engine.open(prompt, Sampling(temperature=0))
    sampled = 0
    while sampled < 8:
        sampled += sum(len(chunk.tokens) for chunk in engine.step({seq: 1}))
    said = {
        "system": backend.system_info(),
        "devices": [f"{device.name}: {device.description}" for device in backend.devices()],
    }
    engine.shutdown()
    sys.stdout.write(json.dumps(said) + "\n")


if __name__ == "__main__":
    _child(Path(sys.argv[1]), sys.argv[2] == "1")
