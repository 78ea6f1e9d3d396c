"""The form of a trace bank: JSON, a header on the first line, a trace on every other.

Knows what a line holds and how a file is read. Refuses to know how a trace comes about, and
what is concluded from it. A bank may come from anywhere: every line is checked by its types,
and what is wrong is told by file and line.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from ponder.equality import read_answer
from ponder.errors import InputError
from ponder.types import AnswerEnd, Finish, Sampling

Line = TypeVar("Line", "Header", "Recorded")

_BOX = "\\boxed{"
"""What a trial answer begins in: ponder wrote it."""


class Words(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was forced, as text; see `ponder.dialect.Dialect`."""

    dialect: str
    close: str
    cut: str
    lead: str


class Header(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a bank comes from: everything that decides what stands in its traces."""

    bank: Literal[1] = 1
    """Of this form of file."""
    model: str
    """Its name here."""
    sha256: str
    """Of its file, or of the first part of it."""
    adapters: tuple[str, ...] = ()
    """The sha256 of each, and its scale."""
    engine: str
    """What decoded it, with its version."""
    threads: int
    words: Words
    sampling: Sampling
    """Of the first seed; the others differ in nothing else."""
    context: int
    at_once: int
    """Traces that shared a batch: with more than one, the last bits of a logit are the batch's."""
    every: int
    """Thinking tokens between two looks; there is one at the end of every sentence too."""
    bare: bool
    """Whether there are trial answers after a bare close as well."""
    max_answer: int
    source: str
    """Which questions."""
    questions: int
    seeds: int


class Trial(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An answer that a model was led to on its way: greedy, in a box, of a few tokens."""

    said: str
    """What it said after the box had been opened for it."""
    forced: int
    """Tokens that were forced: an end of thinking, and what leads to an answer."""
    sampled: int
    confidence: float
    """Geometric mean of the probabilities of the sampled tokens."""
    entropy: float
    """Nats, of the first of them."""

    @property
    def tokens(self) -> int:
        """What it cost."""
        return self.forced + self.sampled

    @property
    def answer(self) -> str | None:
        """As it is read."""
        return read_answer(_BOX + self.said)


class Sight(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Everything that was seen of a thought at one place."""

    think: int
    """Thinking tokens sampled until there."""
    trial: Trial
    """After the closing words of a cut."""
    sentence: bool = False
    """Whether a sentence or a line ended there."""
    margin: float | None = None
    """Best logit less that of the end of thinking, after the last of these tokens; None where
    nothing came after them."""
    ends: bool = False
    """Whether the model ended its thinking with the token that came after them."""
    entropy: float | None = None
    """Nats, of the token that follows the closing words of a cut."""
    entropy_tokens: int = 0
    """What that cost: forced and sampled."""
    bare: Trial | None = None
    """After nothing but the end of thinking."""


class Recorded(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One question with one seed: the whole trace that nobody stopped, and what was seen of it."""

    question: int
    """Its number in the source, from 0."""
    id: str
    kind: str
    text: str
    key: str
    """The right answer."""
    seed: int
    prompt: tuple[int, ...]
    tokens: tuple[int, ...]
    """Everything after the prompt."""
    forced: tuple[int, ...] = ()
    """Where among them ponder's own stand."""
    wasted: int = 0
    """Tokens that were sampled and withdrawn."""
    think: int
    """Thinking tokens, the model's own end of thinking included."""
    finish: Finish
    confidence: float | None = None
    """Geometric mean of the probabilities of its thinking tokens."""
    answer: str
    answer_end: AnswerEnd
    sights: tuple[Sight, ...]
    """In order, the first after at least one token."""

    @property
    def spent(self) -> int:
        """All tokens that the trace took, forced and withdrawn ones included."""
        return len(self.tokens) + self.wasted


class Bank(msgspec.Struct, frozen=True):
    """A whole bank in memory."""

    header: Header
    traces: tuple[Recorded, ...]

    def by_question(self) -> dict[int, list[Recorded]]:
        """The traces of each question, by seed."""
        found: dict[int, list[Recorded]] = {}
        for trace in sorted(self.traces, key=lambda trace: (trace.question, trace.seed)):
            found.setdefault(trace.question, []).append(trace)
        return found


def encode(line: Header | Recorded) -> bytes:
    """One line, its line break included."""
    return msgspec.json.encode(line) + b"\n"


def read(path: Path) -> Bank:
    """Read a bank, compressed (`.gz`) or not; a line that a kill left unfinished is left out.

    Raises:
        InputError: it cannot be read, or a line is not of this form.
    """
    lines = _lines(path)
    header = _decode(path, 1, next(lines, b""), Header)
    traces = tuple(_decode(path, at, line, Recorded) for at, line in enumerate(lines, 2))
    return Bank(header, traces)


def _decode(path: Path, at: int, line: bytes, kind: type[Line]) -> Line:
    try:
        return msgspec.json.decode(line, type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        what = "a trace bank" if kind is Header else "a trace"
        raise InputError(
            f"{path}, line {at}, is not {what}: {error}.",
            "A bank is what `ponder record` writes.",
        ) from error


def _lines(path: Path) -> Iterator[bytes]:
    """The whole lines of a file; what follows the last line break was not finished."""
    try:
        with (
            suppress(EOFError),
            gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file,
        ):
            for line in file:
                if line.endswith(b"\n"):
                    yield line
    except (OSError, zlib.error) as error:
        raise InputError(
            f"{path} cannot be read: {error}.", "Name a file that `ponder record` wrote."
        ) from error
