"""A path -> a connection to a history of this version. Knows files, locks and migrations.

What is not ponder's, or is a newer ponder's, is refused before anything is written to it.
Knows nothing of what the tables hold.
"""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path

from ponder.errors import HistoryError
from ponder.history import schema
from ponder.history.trouble import code_of, damaged, telling

_AGAIN = 0.02
"""Seconds between two attempts where SQLite does not wait by itself."""


def opened(path: Path, timeout: float) -> sqlite3.Connection:
    """A connection to the history at `path`, made or migrated where that is needed.

    Transactions are begun and ended by hand. `timeout` is how long to wait for others, in
    seconds.

    Raises:
        HistoryError: it cannot be opened, is damaged, or is a newer ponder's.
    """
    _make_room(path)
    with telling(path):
        db = sqlite3.connect(path, timeout=timeout, isolation_level=None)
        try:
            _prepare(db, path, timeout)
        except BaseException:
            db.close()
            raise
    return db


def _make_room(path: Path) -> None:
    """Make the file and its folder, readable by their owner alone: traces are private."""
    try:
        if not path.parent.is_dir():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            # Its -wal and -shm files get the permissions of the database from SQLite.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise HistoryError(
            f"The history {path} cannot be made: {error.strerror}.",
            f"See that you may write to {path.parent}, or set PONDER_HOME to another folder.",
        ) from error


def _prepare(db: sqlite3.Connection, path: Path, timeout: float) -> None:
    db.row_factory = sqlite3.Row
    # The first look into the file: most damaged ones are refused by SQLite here.
    known = _version(db, path)
    _see_that_it_is_whole(db, path)
    db.execute("PRAGMA foreign_keys = ON")
    # What somebody deletes is not left lying in free pages.
    db.execute("PRAGMA secure_delete = ON")
    _use_wal(db, timeout)
    # With a WAL, NORMAL survives the death of the process at any moment; a power cut may
    # take the last turns, and never the file.
    db.execute("PRAGMA synchronous = NORMAL")
    if known < len(schema.MIGRATIONS):
        _migrate(db, path)


def _version(db: sqlite3.Connection, path: Path) -> int:
    """How many migrations the file has seen.

    Raises:
        HistoryError: more than we know, or it is another program's.
    """
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    if version > len(schema.MIGRATIONS):
        raise HistoryError(
            f"The history {path} was written by a newer ponder (version {version} of its tables; "
            f"this one knows {len(schema.MIGRATIONS)}).",
            "Update ponder, set PONDER_HOME to another folder, or move the file away.",
        )
    owner = db.execute("PRAGMA application_id").fetchone()[0]
    tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if owner != schema.APPLICATION and (version or owner or tables):
        raise HistoryError(
            f"{path} is a database of another program.",
            f"Move {path} away and a new history begins, or set PONDER_HOME to another folder.",
        )
    return version


def _see_that_it_is_whole(db: sqlite3.Connection, path: Path) -> None:
    """SQLite itself reads what is missing of the last page as zeros.

    Raises:
        HistoryError: a part of a page is missing at the end.
    """
    wal = path.with_name(path.name + "-wal")
    if wal.exists() and wal.stat().st_size:
        return  # Pages may be on their way from there into the file.
    size = path.stat().st_size
    page = db.execute("PRAGMA page_size").fetchone()[0]
    # One byte is an empty file to SQLite, and would be written over.
    if size % page:
        raise damaged(path, f"it ends in the middle of a page, at byte {size:,}")


def _use_wal(db: sqlite3.Connection, timeout: float) -> None:
    """Readers and a writer do not wait for each other.

    Where the file system cannot do it SQLite keeps its older, slower journal, just as safe.
    """
    if db.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
        return
    deadline = time.monotonic() + timeout
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            # SQLite does not wait here when two programs switch a new file at once.
            if code_of(error) != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                raise
            time.sleep(_AGAIN)
        else:
            return


def _migrate(db: sqlite3.Connection, path: Path) -> None:
    """All steps that are missing, or none."""
    db.execute("BEGIN IMMEDIATE")
    try:
        # Another ponder may have done it while we waited for the lock.
        version = _version(db, path)
        for step in schema.MIGRATIONS[version:]:
            for statement in step:
                db.execute(statement)
        db.execute(f"PRAGMA application_id = {schema.APPLICATION}")
        db.execute(f"PRAGMA user_version = {len(schema.MIGRATIONS)}")
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
