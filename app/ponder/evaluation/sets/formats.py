r"""Files of questions with answers, in the forms that such sets have -> items.

Knows JSON lines and tables with commas or tabs, and what the fields of common sets are called.
Refuses to know where a file comes from and how a model is asked. A line that cannot be read is
told of by its number and costs nothing else; so does a key that says nothing.

    question                    question, problem, prompt, query, input; or `messages`
    answer                      answer, target, label, final_answer, ground_truth, expected
    GSM8K                       the answer follows the last "####"
    MATH                        no answer, but a `solution` with a \boxed{}
    multiple choice             `choices` or `options`, the answer its number, letter or text
    GPQA                        "Correct Answer" and "Incorrect Answer 1" to 3, shuffled by a hash
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from ponder.equality import read_answer
from ponder.equality.forms import form
from ponder.errors import InputError
from ponder.evaluation.items import Fault, Item, QuestionSet
from ponder.types import Message

_QUESTIONS = ("question", "problem", "prompt", "query", "input", "messages")
_ANSWERS = ("answer", "target", "label", "final_answer", "ground_truth", "expected")
_SOLUTIONS = ("solution", "rationale")
_CHOICES = ("choices", "options")
_RIGHT = "correct answer"
_WRONG = "incorrect answer "
_IDS = ("id", "unique_id", "record id", "uid", "idx")
_KINDS = ("kind", "subject", "category", "type", "subdomain")
_MARK = "####"
CHOOSE = "Answer with the letter of the right choice in \\boxed{}."
"""What is asked for below choices."""
_LARGEST = 256 << 20
"""Bytes of a file; sets of questions are far smaller, and it is read whole."""


class _MalformedError(Exception):
    """A line is no question."""


class _KeylessError(Exception):
    """A question's key says nothing."""


def read_files(name: str, paths: Sequence[Path], instruction: str = "") -> QuestionSet:
    """Read files as one set.

    Args:
        name: of the set.
        paths: `.csv` and `.tsv` are tables, all else is JSON lines.
        instruction: what is added to each question, on a line of its own.

    Raises:
        InputError: a file cannot be read, or holds no question with a key.
    """
    items: list[Item] = []
    malformed: list[Fault] = []
    keyless: list[Fault] = []
    for path in paths:
        for line, record in _records(path):
            try:
                if isinstance(record, _MalformedError):
                    raise record
                items.append(_item(f"{path.stem}-{line}", record, instruction))
            except _MalformedError as error:
                malformed.append(Fault(line, str(error)))
            except _KeylessError as error:
                keyless.append(Fault(line, str(error)))
    if not items:
        faults = [*malformed, *keyless]
        first = f" The first: {faults[0]}." if faults else " It is empty."
        raise InputError(
            f"{name} holds no question with an answer.{first}",
            'A line is an object: {"question": "...", "answer": "..."}.',
        )
    return QuestionSet(name, tuple(items), tuple(malformed), tuple(keyless))


def _records(path: Path) -> Iterator[tuple[int, Mapping[str, Any] | _MalformedError]]:
    """Each line's number, and what it holds or what is wrong with it."""
    try:
        if path.stat().st_size > _LARGEST:
            raise InputError(f"{path} is larger than {_LARGEST >> 20} MiB.", "Split it.")
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.", "Check the path.") from error
    if path.suffix.casefold() in (".csv", ".tsv"):
        yield from _rows(path, data)
        return
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            # As text: of bytes, json would guess the encoding.
            held = json.loads(line.decode("utf-8"))
            # Half a character, \ud800, is text in JSON and nowhere else.
            json.dumps(held, ensure_ascii=False).encode("utf-8")
        # A number of 5,000 digits is a ValueError, a thousand brackets a RecursionError.
        except (ValueError, RecursionError) as error:
            yield number, _MalformedError(_why(error))
            continue
        yield number, held if isinstance(held, dict) else _MalformedError("it is no object")


def _rows(path: Path, data: bytes) -> Iterator[tuple[int, Mapping[str, Any] | _MalformedError]]:
    text = io.StringIO(data.decode("utf-8-sig", "replace"), newline="")
    rows = csv.DictReader(text, delimiter="\t" if path.suffix.casefold() == ".tsv" else ",")
    while True:
        try:
            row = next(rows, None)
        except csv.Error as error:
            yield rows.line_num, _MalformedError(str(error))
            continue
        if row is None:
            return
        yield rows.line_num, {str(name): value for name, value in row.items()}


def _why(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"it is not UTF-8: byte {error.object[error.start]:#04x}"
    if isinstance(error, UnicodeEncodeError):
        return "it holds half a character"
    if isinstance(error, json.JSONDecodeError):
        return f"it is no JSON: {error.msg} at column {error.colno}"
    return f"it is no JSON that can be read: {type(error).__name__}"


def _item(identity: str, record: Mapping[str, Any], instruction: str) -> Item:
    fields = {str(name).strip().casefold(): value for name, value in record.items()}
    earlier, text = _conversation(_first(fields, _QUESTIONS))
    choices, right = _choices(fields, text)
    if choices:
        lettered = zip(ascii_uppercase, choices, strict=False)
        text = "\n".join([text, "", *(f"{letter}) {said}" for letter, said in lettered)])
    request = instruction or (CHOOSE if choices else "")
    given = _first(fields, _IDS)
    return Item(
        str(given) if isinstance(given, str | int) and str(given).strip() else identity,
        f"{text}\n\n{request}" if request else text,
        right if choices else _key(fields),
        str(_first(fields, _KINDS) or ""),
        earlier,
    )


def _first(fields: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((fields[name] for name in names if fields.get(name) is not None), None)


def _conversation(said: Any) -> tuple[tuple[Message, ...], str]:
    """What was said before, and the question: a text, or messages that end with one."""
    if isinstance(said, str) and said.strip():
        return (), said.strip()
    if not isinstance(said, list) or not said:
        raise _MalformedError(f"it has no question ({', '.join(_QUESTIONS)})")
    messages = []
    for one in said:
        match one:
            case {"role": "system" | "user" | "assistant" as role, "content": str(content)}:
                messages.append(Message(role, content.strip()))
            case _:
                raise _MalformedError("its messages have no role and content")
    if messages[-1].role != "user" or not messages[-1].content:
        raise _MalformedError("its messages do not end with a question")
    return tuple(messages[:-1]), messages[-1].content


def _choices(fields: Mapping[str, Any], text: str) -> tuple[list[str], str | None]:
    """The choices of a question, and the letter of the right one; none where it has none."""
    if isinstance(fields.get(_RIGHT), str):
        right = fields[_RIGHT].strip()
        wrong = [fields[f"{_WRONG}{n}"] for n in range(1, 10) if fields.get(f"{_WRONG}{n}")]
        if not right or not wrong:
            raise _KeylessError("a correct and an incorrect answer are needed")
        told = [right, *(str(one).strip() for one in wrong)]
        # The same order every time, and no place that is right more often than another.
        told.sort(key=lambda one: hashlib.sha256(f"{text}\n{one}".encode()).digest())
        return told, ascii_uppercase[told.index(right)]
    held = _first(fields, _CHOICES)
    if isinstance(held, Mapping):
        held = held.get("text", list(held.values()))
    if not isinstance(held, list) or not held:
        return [], None
    if len(held) > len(ascii_uppercase):
        raise _MalformedError(f"it has {len(held)} choices")
    told = [str(one).strip() for one in held]
    return told, _letter(_first(fields, _ANSWERS), told)


def _letter(key: Any, choices: Sequence[str]) -> str:
    letters = ascii_uppercase[: len(choices)]
    if isinstance(key, str):
        said = key.strip()
        if said in choices:
            return letters[choices.index(said)]
        if len(bare := said.strip("()., ").upper()) == 1 and bare in letters:
            return bare
        key = int(said) if said.isascii() and said.isdigit() else key
    if isinstance(key, int) and not isinstance(key, bool) and 0 <= key < len(choices):
        return letters[key]
    raise _KeylessError(f"its answer {_short(key)} is none of its {len(choices)} choices")


def _key(fields: Mapping[str, Any]) -> str:
    """The key as text.

    Raises:
        _KeylessError: there is none, or it says nothing.
    """
    key = _first(fields, _ANSWERS)
    if isinstance(key, list) and len(key) == 1:
        key = key[0]
    if isinstance(key, bool) or not isinstance(key, str | int | float | None):
        raise _KeylessError(f"its answer {_short(key)} is neither a text nor a number")
    told = "" if key is None else str(key)
    if _MARK in told:
        told = told.rpartition(_MARK)[2]
    elif "\\boxed" in told:
        told = read_answer(told) or ""
    if not told.strip() and isinstance(worked := _first(fields, _SOLUTIONS), str):
        found = worked.rpartition(_MARK)[2] if _MARK in worked else worked
        told = (read_answer(found) or "") if "\\boxed" in found or _MARK in worked else ""
    if not form(told):
        raise _KeylessError(
            "it has no answer" if key in (None, "") else f"its answer {_short(key)} says nothing"
        )
    return told.strip()


def _short(key: Any) -> str:
    told = repr(key)
    return told if len(told) <= 40 else f"{told[:37]}..."
