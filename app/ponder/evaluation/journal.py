"""Results of an evaluation, in memory or on disk: one line each, added as they come.

Knows a folder with `run.json`, which says what was measured, and `results.jsonl`. A kill at any
moment costs the line that was being written; who goes on reads what is there, and a result that
is there twice counts once. Refuses to know what results mean.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec

from ponder.alone import alone
from ponder.errors import InputError
from ponder.history import document

RUN = "run.json"
RESULTS = "results.jsonl"


class Key(NamedTuple):
    """What a result is the result of."""

    condition: str
    item: str
    sample: int


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One question, asked once under one condition. Token counts as in `types.Usage`."""

    condition: str
    item: str
    """The key of the item."""
    sample: int
    """Which of the samples of that question, from 0."""
    seed: int
    answer: str | None = None
    """As it was read from the text; None if there is none."""
    right: bool = False
    finish: str = ""
    answer_end: str = ""
    budget: int | None = None
    """Thinking tokens that a trace of it was allowed; None where it does not think."""
    over: int = 0
    """Thinking tokens beyond that, of the trace that went furthest."""
    think: int = 0
    """Of all its traces, where several vote; so are the counts that follow."""
    forced: int = 0
    probe: int = 0
    wasted: int = 0
    answer_tokens: int = 0
    seconds: float = 0.0
    """From its start to its end, beside whatever else was asked at the time."""
    closed: bool = False
    """Whether its thinking was closed, or there was none."""
    answered: bool = False
    """Whether there is any text after the thinking."""
    loops: bool = False
    """Whether the same tokens follow each other at least four times in a row."""
    refused: str = ""
    """Why it was not asked: it does not fit. Counts as wrong."""
    text: str = ""
    """The answer in full."""
    thought: str = ""
    """The thinking in full, where that was asked for."""

    @property
    def key(self) -> Key:
        """What it is the result of."""
        return Key(self.condition, self.item, self.sample)

    @property
    def total(self) -> int:
        """All tokens that it cost: sampled, put in, probed and withdrawn."""
        return self.think + self.forced + self.probe + self.wasted + self.answer_tokens


class Run(msgspec.Struct, kw_only=True):
    """What was measured. Only the same can be gone on with."""

    version: int = 1
    """Of this form of folder."""
    model: str
    weights: str
    """As `measured.identity` tells them apart, adapters included."""
    questions: str
    """What the set is called. Which questions they are, each result says."""
    seed: int
    sampling: dict[str, float]
    budget: dict[str, float | bool | None]
    """What holds for every condition."""
    context: int
    """Tokens of context of one question."""
    system: str = ""
    """The system prompt."""
    template: str = ""
    """The chat template in place of the model's own; a path."""

    caps: dict[str, int | None] = {}
    """What a condition allowed when it was first asked under, by name: an effort means something
    else once more was measured."""

    @property
    def name(self) -> str:
        """For a folder: what a person would call it, and a hash of the rest."""
        told = msgspec.json.encode(msgspec.structs.replace(self, caps={}))
        words = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{self.questions}-{self.model}").strip("-.")
        return f"{words[:80]}-{hashlib.sha256(told).hexdigest()[:8]}"


class Results:
    """What is known so far, kept nowhere else.

    Attributes:
        results: in the order in which they came.
        caps: what conditions allow, in thinking tokens, by name.
    """

    def __init__(self) -> None:
        self.results: dict[Key, Result] = {}
        self.caps: dict[str, int | None] = {}

    def add(self, result: Result) -> None:
        """Keep a result; one that is there already is left alone."""
        self.results.setdefault(result.key, result)

    def pin(self, condition: str, cap: int | None) -> int | None:
        """Remember what a condition allows; gives what it allowed the first time."""
        return self.caps.setdefault(condition, cap)


class Journal(Results):
    """The results of one run in a folder; made by `opened`.

    Attributes:
        run: what is measured.
        damaged: lines that were no result and were passed over.
    """

    def __init__(self, folder: Path, run: Run, file: BinaryIO) -> None:
        super().__init__()
        self.folder = folder
        self.run = run
        self.caps = run.caps
        self.damaged = 0
        self._file = file
        for line in file.read().splitlines():
            try:
                result = msgspec.json.decode(line, type=Result)
            except msgspec.DecodeError:
                self.damaged += 1
                continue
            self.results.setdefault(result.key, result)

    def add(self, result: Result) -> None:
        """Write a result down; one that is there already is left alone."""
        if result.key in self.results:
            return
        self._file.write(msgspec.json.encode(result) + b"\n")
        # To the system with each line, so that a kill costs none; to the disk in the end.
        self._file.flush()
        self.results[result.key] = result

    def pin(self, condition: str, cap: int | None) -> int | None:
        """Remember what a condition allows, across a kill too."""
        if condition not in self.caps:
            self.caps[condition] = cap
            _write(self.folder / RUN, self.run)
        return self.caps[condition]


@contextmanager
def opened(folder: Path, run: Run, again: bool = False) -> Iterator[Journal]:
    """A folder of results, gone on with if it is there; nobody else writes there meanwhile.

    Args:
        folder: made where it is missing.
        run: what is to be measured.
        again: throw away what is there.

    Raises:
        InputError: what is there was measured otherwise, or cannot be read.
        Busy: another ponder is at it.
        OSError: it cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is no folder.", "Name one that is, or none that is there.")
    folder.mkdir(parents=True, exist_ok=True)
    with alone(folder / "lock", f"evaluating into {folder}"):
        if again:
            for name in (RESULTS, RUN):
                (folder / name).unlink(missing_ok=True)
        kept = _kept(folder, run)
        with (folder / RESULTS).open("a+b") as file:
            _mend(file)
            try:
                yield Journal(folder, kept, file)
            finally:
                with suppress(OSError):
                    os.fsync(file.fileno())


def _kept(folder: Path, run: Run) -> Run:
    """What the folder is of: the same run, or a new one."""
    path = folder / RUN
    try:
        kept = msgspec.json.decode(path.read_bytes(), type=Run)
    except FileNotFoundError:
        if (folder / RESULTS).exists():
            raise InputError(
                f"{folder} has results, and no {RUN} that says of what.",
                "Name another folder with --output, or say --again to measure anew.",
            ) from None
        _write(path, run)
        return run
    except (msgspec.DecodeError, OSError) as error:
        raise InputError(
            f"{path} cannot be read: {error}.",
            "Name another folder with --output, or say --again to measure anew.",
        ) from error
    for name in Run.__struct_fields__:
        if name != "caps" and getattr(kept, name) != getattr(run, name):
            raise InputError(
                f"{folder} was measured otherwise: {name} was {getattr(kept, name)}, and is "
                f"{getattr(run, name)} now.",
                "Name another folder with --output, or say --again to measure anew.",
            )
    return kept


def _mend(file: BinaryIO) -> None:
    """Cut off what a kill left of a last line, and go to the beginning."""
    file.seek(0)
    data = file.read()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        file.truncate(whole)
    file.seek(0)


def _write(path: Path, run: Run) -> None:
    document.write(path, msgspec.json.format(msgspec.json.encode(run)).decode() + "\n")
