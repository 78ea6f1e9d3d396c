"""The history: conversations and their turns in one SQLite file, written as they happen.

Each method is one transaction: it is done, or it has not happened. A turn is written when it
is asked; its text is added as it streams; the finished trace replaces what was added. Several
ponders may use one file at once. Knows the tables; no thread, no clock and no screen.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from ponder.errors import InputError
from ponder.history import codec
from ponder.history.finding import Wanted, wanted
from ponder.history.opening import opened
from ponder.history.records import Conversation, Hit, Place, Turn
from ponder.history.trouble import damaged, telling
from ponder.types import Budget, Channel, Sampling, Span, Trace

_CONVERSATION = """
    SELECT id, title, model, system, created, updated,
        (SELECT count(*) FROM turn WHERE conversation = conversation.id) AS turns
    FROM conversation
"""
_NEAR = 5
"""Conversations that are named where an unknown one was asked for."""
_LARGEST = 2**63 - 1
"""SQLite's largest integer."""


class History:
    """The conversations in one file. To be used by the thread that opened it.

    Args:
        path: the file; it and its folder are made, readable by their owner alone.
        timeout: how long to wait while another program writes, in seconds.

    Raises:
        HistoryError: it cannot be opened, is damaged, or is a newer ponder's. All methods
            raise it where the file fails them.
    """

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

    # -- writing ------------------------------------------------------------------------

    @contextmanager
    def together(self) -> Iterator[None]:
        """All that is written in here is written at once, or not at all."""
        with self._writing():
            yield

    def new_conversation(self, title: str, model: str, system: str, at: float) -> int:
        """Begin a conversation; gives its number."""
        with self._writing() as db:
            made = db.execute(
                "INSERT INTO conversation (title, model, system, created, updated)"
                " VALUES (?, ?, ?, ?, ?)",
                (codec.plain(title), codec.plain(model), codec.plain(system), at, at),
            )
            return int(made.lastrowid or 0)

    def rename(self, conversation: int, title: str) -> None:
        """Give a conversation another title.

        Raises:
            InputError: there is no such conversation.
        """
        with self._writing() as db:
            row = (codec.plain(title), self._known(conversation))
            db.execute("UPDATE conversation SET title = ? WHERE id = ?", row)

    def begin_turn(
        self,
        conversation: int,
        question: str,
        model: str,
        budget: Budget,
        sampling: Sampling,
        at: float,
    ) -> int:
        """Write down a question, before anything of its answer is there; gives its number.

        Raises:
            InputError: there is no such conversation.
        """
        text, odd = codec.held(question)
        with self._writing() as db:
            # Inside the transaction: another ponder may be adding to the same conversation.
            row = db.execute(
                "SELECT coalesce(max(position) + 1, 0) FROM turn WHERE conversation = ?",
                (self._known(conversation),),
            )
            values = {
                "conversation": conversation,
                "position": row.fetchone()[0],
                "asked": at,
                "model": codec.plain(model),
                "budget": codec.flat(budget),
                "sampling": codec.flat(sampling),
                "question": text,
                "odd": codec.note({"question": odd} if odd else None),
            }
            made = db.execute(
                f"INSERT INTO turn ({', '.join(values)}) VALUES (:{', :'.join(values)})", values
            )
            db.execute(
                "UPDATE conversation SET updated = max(updated, ?) WHERE id = ?",
                (at, conversation),
            )
            return int(made.lastrowid or 0)

    def append(self, turn: int, spans: Iterable[Span]) -> None:
        """Add text to a turn that streams. Only ever inserts: cheap, however long the turn is.

        Raises:
            InputError: there is no such turn, or it is over.
        """
        pieces = codec.merged(spans)
        if not pieces:
            return
        with self._writing() as db:
            if not self._streaming(turn):
                raise InputError(f"Turn {turn} is over: nothing can be added to it.")
            row = db.execute(
                "SELECT coalesce(max(number), 0) FROM fragment WHERE turn = ?", (turn,)
            )
            number = row.fetchone()[0]
            rows = []
            for offset, span in enumerate(pieces, 1):
                text, odd = codec.held(span.text)
                place = (turn, number + offset, span.channel.value, span.forced)
                rows.append((*place, text, codec.note(odd)))
            db.executemany(
                "INSERT INTO fragment (turn, number, channel, forced, text, odd)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                rows,
            )

    def finish_turn(self, turn: int, trace: Trace) -> None:
        """Put the finished trace in the place of what was added.

        Token ids are kept as llama.cpp has them, in 32 bits.

        Raises:
            InputError: there is no such turn.
        """
        with self._writing() as db:
            self._streaming(turn)  # for its error alone: a trace may come at any time
            text = codec.text_columns(self._question(turn), trace.spans)
            self._end(db, turn, text | codec.trace_columns(trace) | {"error": ""})

    def fail_turn(self, turn: int, message: str) -> None:
        """Write down that a turn will not be finished; what was added of it stays.

        Raises:
            InputError: there is no such turn.
        """
        with self._writing() as db:
            columns: dict[str, object] = {"error": codec.plain(message) or "It failed."}
            if self._streaming(turn):
                columns |= codec.text_columns(self._question(turn), self._fragments(turn))
            self._end(db, turn, columns)

    def fold(self, turn: int, folded: bool | None) -> None:
        """Remember whether somebody folded the thinking of a turn away.

        Raises:
            InputError: there is no such turn.
        """
        with self._writing() as db:
            self._streaming(turn)  # for its error alone
            db.execute("UPDATE turn SET folded = ? WHERE id = ?", (folded, turn))

    def delete(self, ids: Iterable[int]) -> int:
        """Delete conversations with all their turns; gives how many there were.

        Numbers that are not there are passed over: another ponder was faster.
        """
        known = {(number,) for number in ids if 0 < number <= _LARGEST}
        with self._writing() as db:
            gone = db.executemany("DELETE FROM conversation WHERE id = ?", known).rowcount
        with telling(self._path):
            # Out of the log as well, unless somebody is just reading it.
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        return max(gone, 0)

    # -- reading ------------------------------------------------------------------------

    def conversations(self, limit: int | None = None, offset: int = 0) -> list[Conversation]:
        """Conversations, the one asked last first."""
        with self._reading() as db:
            rows = db.execute(
                f"{_CONVERSATION} ORDER BY updated DESC, id DESC LIMIT ? OFFSET ?",
                (-1 if limit is None else limit, offset),
            )
            return [Conversation(*row) for row in rows]

    def conversation(self, conversation: int) -> Conversation:
        """One conversation.

        Raises:
            InputError: there is none of that number; names those that are near.
        """
        with self._reading() as db:
            self._known(conversation)
            return Conversation(
                *db.execute(f"{_CONVERSATION} WHERE id = ?", (conversation,)).fetchone()
            )

    def latest(self) -> Conversation | None:
        """The conversation asked last, if there is any."""
        return next(iter(self.conversations(1)), None)

    def turns(self, conversation: int) -> list[Turn]:
        """The turns of a conversation, in order.

        Raises:
            InputError: there is no such conversation.
        """
        with self._reading() as db:
            rows = db.execute(
                "SELECT * FROM turn WHERE conversation = ? ORDER BY position",
                (self._known(conversation),),
            )
            return [self._turn(row) for row in rows.fetchall()]

    def search(self, query: str, limit: int = 50) -> list[Hit]:
        """Turns in which all words occur, newest first; words in double quotes belong together.

        A word is found in any part of a longer one, in capitals or not. Unfinished turns are
        found as well. Nothing but blank space finds nothing.
        """
        look = wanted(query)
        hits: list[Hit] = []
        if not look.phrases or limit < 1:
            return hits
        with self._reading() as db:
            for turn in self._candidates(look):
                row = db.execute(
                    "SELECT conversation, question, thinking, answer, runs FROM turn WHERE id = ?",
                    (turn,),
                ).fetchone()
                where, excerpt, marks = look.found(self._texts(turn, row))
                if not excerpt:
                    continue
                found = db.execute(f"{_CONVERSATION} WHERE id = ?", (row["conversation"],))
                hits.append(Hit(Conversation(*found.fetchone()), turn, where, excerpt, marks))
                if len(hits) == limit:
                    break
        return hits

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

    def _end(self, db: sqlite3.Connection, turn: int, columns: dict[str, object]) -> None:
        names = ", ".join(f"{name} = :{name}" for name in columns)
        db.execute(f"UPDATE turn SET {names} WHERE id = :id", columns | {"id": turn})
        db.execute("DELETE FROM fragment WHERE turn = ?", (turn,))

    def _known(self, conversation: int) -> int:
        """The number, if there is such a conversation."""
        if abs(conversation) <= _LARGEST:
            found = self._db.execute("SELECT 1 FROM conversation WHERE id = ?", (conversation,))
            if found.fetchone():
                return conversation
        wished = max(-_LARGEST, min(conversation, _LARGEST))
        rows = self._db.execute(
            "SELECT id FROM (SELECT id FROM conversation WHERE id < ?1 ORDER BY id DESC LIMIT ?2)"
            " UNION ALL"
            " SELECT id FROM (SELECT id FROM conversation WHERE id > ?1 ORDER BY id LIMIT ?2)",
            (wished, _NEAR),
        )
        nearest = sorted((row[0] for row in rows), key=lambda number: abs(number - wished))
        near = [str(number) for number in sorted(nearest[:_NEAR])]
        raise InputError(
            f"There is no conversation {conversation}.",
            f"Near it: {', '.join(near)}. `ponder history` lists them all."
            if near
            else "The history is empty.",
        )

    def _streaming(self, turn: int) -> bool:
        """Whether a turn is not over yet."""
        row = self._db.execute("SELECT runs IS NULL FROM turn WHERE id = ?", (turn,)).fetchone()
        if row is None:
            raise InputError(
                f"There is no turn {turn}.", "Its conversation may have been deleted meanwhile."
            )
        return bool(row[0])

    def _question(self, turn: int) -> str:
        row = self._db.execute("SELECT question, odd FROM turn WHERE id = ?", (turn,)).fetchone()
        return codec.restored(row["question"], codec.odd_of(row).get("question", []))

    def _rows(self, turn: int) -> list[sqlite3.Row]:
        rows = self._db.execute("SELECT * FROM fragment WHERE turn = ? ORDER BY number", (turn,))
        return rows.fetchall()

    def _fragments(self, turn: int) -> Sequence[Span]:
        return codec.merged(codec.fragment_of(row) for row in self._rows(turn))

    def _turn(self, row: sqlite3.Row) -> Turn:
        try:
            return codec.turn_of(row, self._rows(row["id"]) if row["runs"] is None else ())
        except (ValueError, KeyError, TypeError, IndexError, zlib.error) as error:
            what = f"turn {row['id']} of conversation {row['conversation']} cannot be read"
            raise damaged(self._path, f"{what} ({error!r})") from error

    def _candidates(self, look: Wanted) -> Sequence[int]:
        """Turns that may hold what is wanted, newest first: those that stream, and the index's.

        What streams is not indexed yet; there are never many of those.
        """
        if look.match:
            narrowed = "id IN (SELECT rowid FROM turn_text WHERE turn_text MATCH ?)"
            values = [look.match]
        else:
            parts = []
            values = []
            for likes in look.likes:
                tests = [f"{c} LIKE ? ESCAPE '\\'" for c in ("question", "thinking", "answer")]
                parts.append("(" + " OR ".join(tests * len(likes)) + ")")
                values += [like for like in likes for _ in tests]
            narrowed = " AND ".join(parts)
        rows = self._db.execute(
            f"SELECT id FROM turn WHERE runs IS NULL OR {narrowed} ORDER BY asked DESC, id DESC",
            values,
        )
        return [row[0] for row in rows]

    def _texts(self, turn: int, row: sqlite3.Row) -> dict[Place, str]:
        if row["runs"] is not None:
            return {p: row[p] for p in ("question", "thinking", "answer")}
        spans = [(r["channel"], r["text"]) for r in self._rows(turn)]
        return {
            "question": row["question"],
            "thinking": "".join(text for channel, text in spans if channel == Channel.THOUGHT),
            "answer": "".join(text for channel, text in spans if channel == Channel.ANSWER),
        }
