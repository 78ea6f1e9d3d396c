"""Results on disk, a line each, as they come; and what a kill leaves of them, gone on from.

Beside OUTPUT lies OUTPUT.dealt while a pool of tokens is shared out: what was dealt to questions
whose results are not there yet. A kill costs these tokens, and the next run counts them as spent,
so that all runs together never pass the pool. Refuses to know models and what a result means.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from ponder.alone import alone
from ponder.errors import InputError
from ponder.history import document


class Result(msgspec.Struct, kw_only=True, frozen=True):
    """What became of one question. Times in seconds; counts of tokens as in `types.Usage`."""

    id: str
    line: int
    """Of the file with the questions, counted from 1."""
    digest: str
    """Of the question."""
    settings: str
    """Digest of all else that an answer depends on."""
    answer: str | None
    """In full; None where it was refused or cancelled."""
    right: bool | None
    """Whether it is equal to the key; None without a key, or without an answer."""
    think: int
    """Thinking tokens."""
    finish: str | None
    """Why the thinking ended; None where it was refused."""
    answer_end: str | None
    refused: str | None = None
    """Why it was not asked."""
    budget: int | None = None
    seed: int = 0
    last_resort: bool = False
    usage: dict[str, float] = {}
    decisions: list[dict[str, Any]] = []
    """What was decided on its thinking, in order, with figures."""

    @property
    def spent(self) -> int:
        """What it took of a pool: thinking, and looks at it."""
        return self.think + int(self.usage.get("probe", 0))

    @property
    def over(self) -> bool:
        """Whether it need not be asked again."""
        return self.finish != "cancelled"


class Results:
    """The results in one file; made by `opened`.

    Attributes:
        done: by question, those that need not be asked again.
        spent: tokens of a pool that went into these settings so far.
        passed_over: lines that are no result.
    """

    def __init__(self, file: BinaryIO, dealt: Path, settings: str) -> None:
        self.done: dict[str, Result] = {}
        self.spent = 0
        self.passed_over = 0
        self._file = file
        self._path = dealt
        self._dealt: BinaryIO | None = None
        for line in file.read().splitlines():
            try:
                result = msgspec.json.decode(line, type=Result)
            except msgspec.DecodeError:
                self.passed_over += 1
                continue
            if result.settings != settings:
                continue
            self.spent += result.spent
            if result.over:
                self.done.setdefault(result.digest, result)
        self._lost = self._reckon_lost()
        self.spent += self._lost

    def add(self, result: Result) -> None:
        """Write a result down.

        Raises:
            OSError: it cannot be written.
        """
        self._file.write(msgspec.json.encode(result) + b"\n")
        # To the system with each line, so that a kill costs none; to the disk in the end.
        self._file.flush()
        if result.over:
            self.done[result.digest] = result

    def dealt(self, digest: str, tokens: int) -> None:
        """A question was dealt so many thinking tokens.

        Raises:
            OSError: it cannot be written.
        """
        if self._dealt is None:
            document.write(self._path, f"{msgspec.json.encode([None, self._lost]).decode()}\n")
            self._dealt = self._path.open("ab", buffering=0)
        self._dealt.write(msgspec.json.encode([digest, tokens]) + b"\n")

    def settle(self) -> None:
        """All that was dealt is in results now."""
        if self._dealt is not None:
            self._dealt.close()
            self._dealt = None
        if self._lost:
            document.write(self._path, f"{msgspec.json.encode([None, self._lost]).decode()}\n")
        else:
            self._path.unlink(missing_ok=True)

    def _reckon_lost(self) -> int:
        """Tokens that were dealt to questions whose results a kill cost."""
        lost = 0
        with suppress(FileNotFoundError):
            for line in self._path.read_bytes().splitlines():
                with suppress(msgspec.DecodeError):
                    digest, tokens = msgspec.json.decode(line, type=tuple[str | None, int])
                    lost += 0 if digest in self.done else tokens
        return lost

    def close(self) -> None:
        """To the disk."""
        if self._dealt is not None:
            self._dealt.close()
        with suppress(OSError):  # a pipe or a device
            os.fsync(self._file.fileno())


@contextmanager
def opened(path: Path, settings: str) -> Iterator[Results]:
    """A file of results, gone on with if it is there; nobody else writes to it meanwhile.

    Args:
        path: the file; a last line that a kill tore is cut off.
        settings: digest of all that an answer depends on beside its question.

    Raises:
        InputError: it cannot be used.
        Busy: another ponder is at it.
        OSError: it cannot be written.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder.", "Name a file with --output.")
    if not path.parent.is_dir():
        raise InputError(f"There is no folder {path.parent}.", "Make it first.")
    with alone(path.with_name(f"{path.name}.lock"), f"writing to {path}"):
        try:
            file = path.open("a+b")
        except OSError as error:
            raise InputError(
                f"{path} cannot be written: {error.strerror}.", "Name another file with --output."
            ) from error
        with file:
            _mend(file)
            results = Results(file, path.with_name(f"{path.name}.dealt"), settings)
            try:
                yield results
            finally:
                results.close()


def _mend(file: BinaryIO) -> None:
    """Cut off what a kill left of a last line, and go to the beginning."""
    file.seek(0)
    data = file.read()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        file.truncate(whole)
    file.seek(0)
