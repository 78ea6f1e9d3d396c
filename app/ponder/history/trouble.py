"""What SQLite says went wrong -> a HistoryError that a person can act upon.

Knows SQLite's result codes, and which of them may pass by themselves. Knows no table.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ponder.errors import HistoryError

_KEPT = "ponder never writes over it. Move {path} away and a new history begins."


class Passing(HistoryError):
    """It may work later, as nothing is wrong with the file: locked, disk full, I/O error."""


class Unstorable(HistoryError):
    """This one thing cannot be stored; others can."""


@contextmanager
def telling(path: Path) -> Iterator[None]:
    """Every error of SQLite in here becomes a HistoryError about this file."""
    try:
        yield
    except sqlite3.Error as error:
        raise _told(error, path) from error
    except OverflowError as error:
        raise Unstorable(f"Too large for the history {path}: {error}.") from error


def damaged(path: Path, what: str) -> HistoryError:
    """The file is there, and is not what it was."""
    return HistoryError(f"The history {path} is damaged: {what}.", _KEPT.format(path=path))


def code_of(error: sqlite3.Error) -> int:
    """SQLite's primary result code; 0 where Python's own module complains."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _told(error: sqlite3.Error, path: Path) -> HistoryError:
    # SQLite's text carries names of tables that a damaged file may have made up; the code
    # decides, the text is only shown.
    match code_of(error):
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED | sqlite3.SQLITE_PROTOCOL:
            return Passing(
                f"The history {path} is locked: another program is using it.",
                "Close that program, or wait until it is done.",
            )
        case sqlite3.SQLITE_FULL:
            return Passing(
                f"The disk is full: the history {path} cannot grow.",
                "Make room, or delete conversations with `ponder history delete`.",
            )
        case sqlite3.SQLITE_IOERR:
            return Passing(
                f"The history {path} cannot be read or written: {error}.",
                "See that its disk has room and is in order.",
            )
        case sqlite3.SQLITE_NOTADB:
            return HistoryError(f"{path} is no history of ponder.", _KEPT.format(path=path))
        case sqlite3.SQLITE_CORRUPT:
            return damaged(path, str(error))
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            return HistoryError(
                f"The history {path} cannot be opened for writing: {error}.",
                f"See that you may write {path} and the folder it is in.",
            )
        case sqlite3.SQLITE_TOOBIG:
            return Unstorable(f"Too large for the history {path}: {error}.")
    if "fts5" in str(error) or "trigram" in str(error):
        return HistoryError(
            f"This Python's SQLite {sqlite3.sqlite_version} has no full-text index: {error}.",
            "Use a Python whose SQLite is 3.34 or newer and was built with FTS5.",
        )
    if code_of(error) == sqlite3.SQLITE_ERROR:
        # Our own statements are right; so a table or a column that they name is gone.
        return damaged(path, str(error))
    return HistoryError(f"The history {path} cannot be used: {error}.")
