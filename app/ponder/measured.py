"""What was learned of a model and of this machine, kept between runs: one small JSON file a model.

Knows files, and which of them belongs to which weights; what is learned, and what it is good for,
is `ponder.thinking.learned`'s business. A file that cannot be read costs a warning and what was in
it: ponder measures anew. Two ponders at the same model add to the same file.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import Literal

import msgspec

from ponder import hardware, paths
from ponder.alone import alone
from ponder.errors import Busy
from ponder.thinking.learned import Learned
from ponder.thinking.lengths import LengthModel
from ponder.thinking.steps import StepModel
from ponder.types import AppliedAdapter

_SAMPLES = 16
_SAMPLE = 1 << 16
"""Bytes. Weights that differ anywhere differ in some of so many places."""
_MACHINES = 8
"""Machines, or ways to run on one, that are remembered: the latest ones."""


class Record(msgspec.Struct, kw_only=True):
    """What is kept of one model."""

    version: Literal[1] = 1
    """Of this form of file."""
    name: str
    """What the model was called when it was measured last."""
    thinking: LengthModel = msgspec.field(default_factory=LengthModel)
    answers: LengthModel = msgspec.field(default_factory=LengthModel)
    machines: dict[str, StepModel] = {}
    """By machine and way to run there, the latest last."""


def identity(path: Path, adapters: Iterable[AppliedAdapter] = ()) -> str:
    """Tells weights apart, in a moment: a hash of their size and of samples of their bytes.

    Args:
        path: a GGUF, or the first part of a split one.
        adapters: what they are changed by.

    Raises:
        OSError: it cannot be read.
    """
    found = hashlib.sha256()
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        found.update(f"{size}".encode())
        for at in range(_SAMPLES):
            file.seek(max(0, size - _SAMPLE) * at // (_SAMPLES - 1))
            found.update(file.read(_SAMPLE))
    for adapter in adapters:
        found.update(f"{adapter.sha256} {adapter.scale}".encode())
    return found.hexdigest()[:32]


def machine(threads: int, gpu_layers: int, kv_types: tuple[str, str]) -> str:
    """This machine, and how a model runs on it: what a step's time depends on."""
    kv = "" if set(kv_types) == {"f16"} else f", KV {kv_types[0]}/{kv_types[1]}"
    return f"{hardware.machine_key()}, {threads} threads, {gpu_layers} layers on GPUs{kv}"


def file_of(key: str) -> Path:
    """Where the record of a model is, by its `identity`."""
    return paths.measured_dir() / f"{key}.json"


def read(path: Path) -> Record | None:
    """A record; None where there is none.

    Raises:
        msgspec.DecodeError: it is damaged, or of another ponder's form.
        OSError: it cannot be read.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Record)
    except FileNotFoundError:
        return None


def records() -> list[tuple[Path, Record | None]]:
    """All records, by name; None for one that cannot be read."""
    found: list[tuple[Path, Record | None]] = []
    for path in paths.measured_dir().glob("*.json"):
        record = None
        with suppress(msgspec.DecodeError, OSError):
            record = read(path)
        found.append((path, record))
    return sorted(found, key=lambda pair: (pair[1].name if pair[1] else "", pair[0].name))


def forget(path: Path) -> bool:
    """Remove a record; false where there was none.

    Raises:
        OSError: it cannot be removed.
    """
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True


class Memory:
    """What is known of one model on this machine: read once, added to from time to time.

    Args:
        path: the record's file.
        name: what the model is called.
        machine: as `machine` tells it.

    Attributes:
        learned: what is known, and grows.
        warning: why what was kept could not be read; empty if it could.
    """

    def __init__(self, path: Path, name: str, machine: str) -> None:
        self._path = path
        self._name = name
        self._machine = machine
        self.warning = ""
        try:
            record = read(path)
        except (msgspec.DecodeError, OSError) as error:
            record = None
            self.warning = (
                f"what was measured of {name} cannot be read and is measured anew: {path}: {error}"
            )
        record = record or Record(name=name)
        steps = record.machines.get(machine) or StepModel()
        self.learned = Learned(steps, record.thinking, record.answers)
        self._base = deepcopy(self.learned)

    def keep(self) -> None:
        """Write down what is new, if anything is. Nothing is lost where that is not possible now:
        it is written the next time."""
        if self.learned == self._base:
            return
        with suppress(OSError, Busy), alone(self._path.with_suffix(".lock"), "measuring"):
            record = None
            with suppress(msgspec.DecodeError):
                record = read(self._path)
            record = record or Record(name=self._name)
            record.name = self._name
            for kept, mine, base in (
                (record.thinking, self.learned.thinking, self._base.thinking),
                (record.answers, self.learned.answers, self._base.answers),
            ):
                kept.add(mine)
                kept.add(base, -1)
            record.machines.pop(self._machine, None)
            record.machines[self._machine] = self.learned.steps
            for old in list(record.machines)[:-_MACHINES]:
                del record.machines[old]
            _write(self._path, msgspec.json.encode(record))
            self.learned.thinking, self.learned.answers = record.thinking, record.answers
            self._base = deepcopy(self.learned)


def _write(path: Path, data: bytes) -> None:
    """Beside its place first, and moved there: no reader ever sees half of it."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(handle)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
