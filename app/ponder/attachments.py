"""Text files put before a question: found, read, written into a prompt, and told apart in it again.

Knows files, encodings and what people do not mean to send (hidden, ignored and binary files).
Knows no model: how many tokens a text takes is asked elsewhere.

The form is the one that DeepSeek gives for R1 (README of deepseek-ai/DeepSeek-R1, "Official
Prompts").
"""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ponder.errors import InputError
from ponder.printable import safe

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

MOST_BYTES = 2 << 20
"""Of one file: more than any context holds."""
MOST_FILES = 500
"""Of one folder."""
_BEGIN = re.compile(r"\[file name\]: ([^\n]*)\n\[file content begin\]\n")
_END = "\n[file content end]\n"
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Byte order marks; those of UTF-32 begin like those of UTF-16."""
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]")
_CONTROLS_BYTES = re.compile(_CONTROLS.pattern.encode())
_RARE = 20
"""One control character in so many is more than text has."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """One text file."""

    name: str
    """What the model is told that it is called; on one line."""
    text: str
    source: Path = Path()
    """Where it is; links followed."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """What came of a path."""

    files: tuple[Attachment, ...]
    left_out: tuple[tuple[str, str], ...] = ()
    """What of a folder is not among them, and why."""


def gather(path: Path) -> Gathered:
    """A text file, or all text files of a folder in the order of their names.

    Of a folder, hidden files, files that a .gitignore in it names, links and what is no text
    are left out, and told.

    Raises:
        InputError: it is not there, is no text, or is too much.
    """
    try:
        path = path.expanduser()
        if path.is_dir():
            return _folder(path)
        return Gathered((_read(path, path.name),))
    except (OSError, RuntimeError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(
            f"{path} cannot be attached: {reason}.", "Name a text file, or a folder of them."
        ) from error


def wrapped(files: Sequence[Attachment], question: str) -> str:
    """The question with files before it."""
    parts = [f"[file name]: {f.name}\n[file content begin]\n{f.text}{_END}" for f in files]
    return "".join(parts) + question


def split(asked: str) -> tuple[list[tuple[str, str]], str]:
    """What `wrapped` put before a question, by name, and the question."""
    files, at = [], 0
    while (begin := _BEGIN.match(asked, at)) is not None:
        end = asked.find(_END, begin.end())
        if end < 0:
            break
        files.append((begin[1], asked[begin.end() : end]))
        at = end + len(_END)
    return files, asked[at:]


def decoded(data: bytes) -> str:
    """A file's bytes as text: UTF-8, or what a byte order mark says.

    Other encodings cannot be told apart without guessing, and guesses were seen to give wrong
    letters for plain French: they are refused.

    Raises:
        ValueError: they are no text; says why.
    """
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8")
    if encoding == "utf-8" and b"\0" in data:
        raise ValueError("it is binary")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding != "utf-8" or len(_CONTROLS_BYTES.findall(data)) * _RARE > len(data):
            raise ValueError("it is binary") from error
        at = data.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"line {at} is not UTF-8; convert it first, for example: iconv -f latin1 -t utf-8"
        ) from error
    if len(_CONTROLS.findall(text)) * _RARE > len(text):
        raise ValueError("it is binary")
    return text.replace("\r\n", "\n")


def _read(path: Path, name: str) -> Attachment:
    """One file.

    Raises:
        OSError, ValueError: it cannot be read, or is no text.
    """
    if not path.is_file():
        raise ValueError("it is no file" if path.exists() else "it is not there")
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise ValueError(f"it has {size:,} bytes, and {MOST_BYTES:,} are the most")
    text = decoded(path.read_bytes())
    # On one line, and nothing that a terminal would obey.
    return Attachment(safe(name).replace("\n", "␊"), text, path.resolve())


def _folder(folder: Path) -> Gathered:
    files: list[Attachment] = []
    left_out: list[tuple[str, str]] = []
    for path, reason in _walk(folder, []):
        name = path.relative_to(folder).as_posix()
        if reason:
            left_out.append((name, reason))
            continue
        if len(files) == MOST_FILES:
            raise InputError(
                f"{folder} has more than {MOST_FILES} text files.",
                "Attach a folder in it, or single files.",
            )
        try:
            files.append(_read(path, f"{folder.resolve().name}/{name}"))
        except (OSError, ValueError) as error:
            told = error.strerror if isinstance(error, OSError) else error
            left_out.append((name, str(told)))
    if not files:
        raise InputError(f"There is no text file in {folder}.", "Name another folder, or a file.")
    return Gathered(tuple(files), tuple(left_out))


def _walk(folder: Path, specs: list[tuple[Path, GitIgnoreSpec]]) -> Iterator[tuple[Path, str]]:
    """All below a folder, each with why it is left out; nothing below what is."""
    from pathspec import GitIgnoreSpec

    ignoring = folder / ".gitignore"
    if ignoring.is_file():
        lines = ignoring.read_text("utf-8", errors="replace").splitlines()
        specs = [*specs, (folder, GitIgnoreSpec.from_lines(lines))]
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        path = Path(entry.path)
        is_folder = entry.is_dir(follow_symlinks=False)
        if entry.name.startswith("."):
            yield path, "hidden"
        elif _ignored(path, is_folder, specs):
            yield path, "ignored"
        elif entry.is_symlink():
            yield path, "a link"
        elif is_folder:
            yield from _walk(path, specs)
        else:
            yield path, ""


def _ignored(path: Path, is_folder: bool, specs: list[tuple[Path, GitIgnoreSpec]]) -> bool:
    """As git has it: the last file that says anything of it decides."""
    for base, spec in reversed(specs):
        name = path.relative_to(base).as_posix() + ("/" if is_folder else "")
        said = spec.check_file(name).include
        if said is not None:
            return said
    return False
