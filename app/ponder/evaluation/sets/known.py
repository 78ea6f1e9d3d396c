"""Question sets that have a name, and what SET means on a command line.

Knows which files of the hub a name stands for. Refuses to know how they are fetched: that is
`ponder.library.datasets`. `fresh` is made here and now, `everyday` comes with ponder, the rest
is fetched once and kept in the Hugging Face cache. Sources, each in a form that needs no more
than Python:

- AIME 2024: zhuzilin/aime-2024 (chats and labels). AIME 2025: opencompass/AIME2025.
- MATH-500: HuggingFaceH4/MATH-500. GPQA Diamond: Idavidrein/gpqa, which asks to accept its terms.
- GSM8K: opencompass/gsm8k; OpenAI's own copy there is Parquet, its JSON lines are at GitHub.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from ponder.errors import HubRefused, InputError, UnknownName
from ponder.evaluation.fresh import fresh_questions
from ponder.evaluation.items import Item, QuestionSet
from ponder.evaluation.sets import named_set
from ponder.evaluation.sets.formats import read_files
from ponder.types import Message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Protocol

    class Turn(Protocol):
        """An earlier turn of a conversation, wherever it comes from."""

        @property
        def question(self) -> str:
            """What was asked."""

        @property
        def answer(self) -> str:
            """What was said."""


FRESH = "fresh"
"""The generated set."""
EVERYDAY = "everyday"
"""The one that was written by hand."""
MATH = "Please reason step by step, and put your final answer within \\boxed{}."
"""What DeepSeek asks R1 to do in mathematics (the model's card)."""


@dataclass(frozen=True, slots=True)
class Source:
    """A set at the hub."""

    repository: str
    files: tuple[str, ...]
    """JSON lines, or tables."""
    instruction: str = ""
    """What is added to each question."""
    revision: str = "main"
    elsewhere: str = ""
    """Where else it can be had; empty: nowhere that needs saying."""


KNOWN: Mapping[str, Source] = MappingProxyType(
    {
        "aime24": Source("zhuzilin/aime-2024", ("aime-2024.jsonl",), MATH),
        "aime25": Source(
            "opencompass/AIME2025",
            ("aime2025-I.jsonl", "aime2025-II.jsonl"),
            MATH,
            "a6ad95f611d72cf628a80b58bd0432ef6638f958",
        ),
        "math500": Source("HuggingFaceH4/MATH-500", ("test.jsonl",), MATH),
        "gpqa": Source("Idavidrein/gpqa", ("gpqa_diamond.csv",)),
        "gsm8k": Source(
            "opencompass/gsm8k",
            ("test.jsonl",),
            MATH,
            elsewhere="https://github.com/openai/grade-school-math has "
            "grade_school_math/data/test.jsonl",
        ),
    }
)
"""By the names that `ponder eval` takes."""


def names() -> tuple[str, ...]:
    """Every set that has a name."""
    return (FRESH, EVERYDAY, *KNOWN)


def open_set(
    said: str,
    count: int | None,
    seed: int,
    fetch: Callable[[Source, str], Path],
    instruction: str | None = None,
) -> QuestionSet:
    """The set that somebody means.

    Args:
        said: a name of `names`, or the path of a file.
        count: the first so many questions; None: all there are, of `fresh` 100.
        seed: of `fresh`.
        fetch: gives the path of a file of a source.
        instruction: what is added to each question, in place of what the set has.

    Raises:
        UnknownName: neither a name nor a file.
        InputError: it holds no question that could be judged.
        PonderError: it cannot be fetched.
    """
    if said == FRESH:
        found = fresh_set(seed, 100 if count is None else count, instruction or "")
    elif said == EVERYDAY:
        found = everyday_set(instruction or "")
    elif (source := KNOWN.get(said)) is not None:
        paths = [_fetched(fetch, source, file) for file in source.files]
        told = source.instruction if instruction is None else instruction
        found = read_files(said, paths, told)
    elif (path := Path(said)).is_file():
        found = read_files(path.name, [path], instruction or "")
    elif path.suffix or len(path.parts) > 1:
        raise InputError(
            f"There is no file {said}.", f"Name a file, or a set: {', '.join(names())}."
        )
    else:
        raise UnknownName("question set", said, names(), "Or name a file of JSON lines.")
    items = found.items if count is None else tuple(islice(found.items, count))
    return QuestionSet(found.name, items, found.malformed, found.keyless)


def fresh_set(seed: int, count: int, instruction: str = "") -> QuestionSet:
    """Generated arithmetic of 2 to 8 operations, each length as often."""
    return QuestionSet(
        FRESH,
        tuple(
            Item(
                f"{seed}-{at}",
                _with(question.text, instruction),
                question.answer,
                f"{question.operations} operations",
                _messages(question.earlier),
            )
            for at, question in enumerate(fresh_questions(seed, count))
        ),
    )


def everyday_set(instruction: str = "", answered: bool = True) -> QuestionSet:
    """The hand-written set: the questions that have an answer, or the talk that has none."""
    return QuestionSet(
        EVERYDAY,
        tuple(
            Item(q.id, _with(q.question, instruction), q.answer, q.kind, _messages(q.earlier))
            for q in named_set(EVERYDAY)
            if (q.answer is not None) == answered
        ),
    )


def _with(text: str, instruction: str) -> str:
    return f"{text}\n\n{instruction}" if instruction else text


def _messages(earlier: Iterable[Turn]) -> tuple[Message, ...]:
    return tuple(
        message
        for turn in earlier
        for message in (Message("user", turn.question), Message("assistant", turn.answer))
    )


def _fetched(fetch: Callable[[Source, str], Path], source: Source, file: str) -> Path:
    try:
        return fetch(source, file)
    except HubRefused as error:
        if not source.elsewhere:
            raise
        hint = f"{error.hint} {source.elsewhere}: `ponder eval test.jsonl` reads it."
        raise HubRefused(error.message, hint) from error
