"""Lines of JSON -> questions; what is wrong with a line is said with its number, and costs only it.

Knows the form of a line. Refuses to know models, and what became of a question.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec

from ponder.equality.forms import form
from ponder.errors import BudgetError, InputError
from ponder.thinking.effort import Wish, parse, seconds
from ponder.types import Message, Role

_Text = Annotated[str, msgspec.Meta(min_length=1)]
_LONGEST = 16 << 20
"""Bytes of a line."""


class _Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    role: Role
    content: str


class _Line(msgspec.Struct, frozen=True):
    """One line. What else stands in it is somebody else's."""

    question: _Text | None = None
    id: _Text | int | None = None
    answer: _Text | int | float | None = None
    budget: _Text | Annotated[int, msgspec.Meta(ge=0)] | None = None
    within: _Text | Annotated[float, msgspec.Meta(gt=0)] | None = None
    weight: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    system: str | None = None
    messages: tuple[_Message, ...] = ()


@dataclass(frozen=True, slots=True)
class Question:
    """Something to ask."""

    line: int
    """Counted from 1."""
    id: str
    """As the line says; else the line's number."""
    messages: tuple[Message, ...]
    """The conversation up to the question, which is the last of them. Without a system prompt."""
    system: str | None
    """The line's own; None: that of all."""
    key: str | None
    """The right answer; None: nobody knows."""
    wish: Wish | None
    """The line's own budget; None: that of all."""
    within: float | None
    """Seconds from the beginning of the run until it is answered; None: no deadline of its own."""
    weight: float
    digest: str
    """Tells its content from that of others; of lines that say the same, which one it is."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a line."""

    line: int
    """Counted from 1."""
    why: str


def read(path: Path) -> tuple[list[Question], list[Fault]]:
    """The questions of a file, and the lines that are none.

    Raises:
        InputError: it cannot be read, or there is nothing in it.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.", "Check the path.") from error
    questions: list[Question] = []
    faults: list[Fault] = []
    seen: Counter[str] = Counter()
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            questions.append(_question(number, line, seen))
        except InputError as error:
            faults.append(Fault(number, error.message))
    if not questions and not faults:
        raise InputError(
            f"There is no question in {path}.",
            'Write one a line: {"question": "What is 17 * 23 + 4?", "answer": "395"}',
        )
    return questions, faults


def _question(number: int, line: bytes, seen: Counter[str]) -> Question:
    """Read one line.

    Raises:
        InputError: it is no question; the message says why.
    """
    if len(line) > _LONGEST:
        raise InputError(f"it has {len(line):,} bytes, more than {_LONGEST:,}")
    try:
        read = msgspec.json.decode(line, type=_Line)
    except (msgspec.ValidationError, UnicodeDecodeError) as error:
        raise InputError(_tidy(str(error))) from error
    except msgspec.DecodeError as error:
        why = str(error).removeprefix("JSON is malformed: ")
        raise InputError(f"it is no JSON: {_tidy(why)}") from error
    messages = [Message(one.role, one.content) for one in read.messages]
    if read.question is not None:
        messages.append(Message("user", read.question))
    system = read.system
    if messages and messages[0].role == "system":
        if system is not None:
            raise InputError("it has a system prompt twice, in `system` and in `messages`")
        system = messages.pop(0).content
    _see_that_turns_alternate(messages)
    key = None if read.answer is None else str(read.answer)
    if key is not None and not form(key):
        raise InputError(f"its answer, {key!r}, is nothing that an answer could be compared with")
    try:
        wish = None if read.budget is None else parse(str(read.budget))
        within = seconds(read.within) if isinstance(read.within, str) else read.within
    except BudgetError as error:
        raise InputError(error.message.rstrip(".")) from error
    content = [
        [[one.role, one.content] for one in messages],
        [system, key, None if wish is None else wish.label, within],
    ]
    said = hashlib.sha256(msgspec.json.encode(content)).hexdigest()
    seen[said] += 1
    digest = hashlib.sha256(f"{said} {seen[said]}".encode()).hexdigest()[:16]
    return Question(
        number,
        str(number) if read.id is None else str(read.id),
        tuple(messages),
        system,
        key,
        wish,
        within,
        read.weight,
        digest,
    )


def _see_that_turns_alternate(messages: list[Message]) -> None:
    """Templates refuse what is no conversation, each in its own words.

    Raises:
        InputError: it is none that ends with a question.
    """
    if not messages:
        raise InputError("it has neither `question` nor `messages`")
    for at, one in enumerate(messages):
        expected = "assistant" if at % 2 else "user"
        if one.role != expected:
            raise InputError(
                f"message {at + 1} is the {one.role}'s, and has to be the {expected}'s"
            )
    if messages[-1].role != "user":
        raise InputError("its last message is no question")
    if not messages[-1].content.strip():
        raise InputError("its question is empty")


def _tidy(why: str) -> str:
    """An error of the decoder, as the rest of a sentence."""
    return f"{why[:1].lower()}{why[1:].rstrip('.')}"
