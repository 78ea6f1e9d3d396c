"""One file of a history, opened: its transactions, and which conversations there are in it.

Knows that a conversation has a number, and nothing of what is in it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from ponder.errors import InputError
from ponder.history.opening import opened
from ponder.history.trouble import telling

NEAR = 5
"""Conversations that are named where an unknown one was asked for."""
LARGEST = 2**63 - 1
"""SQLite's largest integer."""


class Access:
    """A connection to the history at `path`; what it may raise, `store.History` says."""

    def __init__(self, path: Path, timeout: float = 5.0) -> None:
        self._path = path
        self._db = opened(path, timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. Closing it again does nothing."""
        with telling(self._path):
            self._db.close()

    @contextmanager
    def together(self) -> Iterator[None]:
        """All that is written in here is written at once, or not at all."""
        with self._writing():
            yield

    # -- inside -------------------------------------------------------------------------

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with telling(self._path):
            if self._db.in_transaction:  # inside `together`
                yield self._db
                return
            # IMMEDIATE: whoever reads first and then wants to write may be told to give up.
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                self._give_up()
                raise

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with telling(self._path):
            if self._db.in_transaction:
                yield self._db
                return
            # All of it as of one moment, whatever others write meanwhile.
            self._db.execute("BEGIN")
            try:
                yield self._db
            finally:
                self._give_up()

    def _give_up(self) -> None:
        # After some errors, a full disk for one, SQLite has already done it.
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    def _known(self, conversation: int) -> int:
        """The number, if there is such a conversation."""
        if abs(conversation) <= LARGEST:
            found = self._db.execute("SELECT 1 FROM conversation WHERE id = ?", (conversation,))
            if found.fetchone():
                return conversation
        wished = max(-LARGEST, min(conversation, LARGEST))
        rows = self._db.execute(
            "SELECT id FROM (SELECT id FROM conversation WHERE id < ?1 ORDER BY id DESC LIMIT ?2)"
            " UNION ALL"
            " SELECT id FROM (SELECT id FROM conversation WHERE id > ?1 ORDER BY id LIMIT ?2)",
            (wished, NEAR),
        )
        nearest = sorted((row[0] for row in rows), key=lambda number: abs(number - wished))
        near = [str(number) for number in sorted(nearest[:NEAR])]
        raise InputError(
            f"There is no conversation {conversation}.",
            f"Near it: {', '.join(near)}. `ponder history` lists them all."
            if near
            else "The history is empty.",
        )
