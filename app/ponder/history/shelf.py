"""The conversations of a history as they stand on a shelf: listed, found, renamed, deleted.

Knows the tables as far as a list needs them; what is in a turn, `store` knows.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from ponder.history import codec
from ponder.history.access import LARGEST, Access
from ponder.history.finding import Wanted, wanted
from ponder.history.records import Conversation, Hit, Place
from ponder.history.trouble import telling
from ponder.types import Channel

_CONVERSATION = """
    SELECT id, title, model, system, created, updated,
        (SELECT count(*) FROM turn WHERE conversation = conversation.id) AS turns
    FROM conversation
"""


class Shelf(Access):
    """What is done with whole conversations."""

    def rename(self, conversation: int, title: str) -> None:
        """Give a conversation another title.

        Raises:
            InputError: there is no such conversation.
        """
        with self._writing() as db:
            row = (codec.plain(title), self._known(conversation))
            db.execute("UPDATE conversation SET title = ? WHERE id = ?", row)

    def delete(self, ids: Iterable[int]) -> int:
        """Delete conversations with all their turns; gives how many there were.

        Numbers that are not there are passed over: another ponder was faster.
        """
        known = {(number,) for number in ids if 0 < number <= LARGEST}
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

    def _rows(self, turn: int) -> list[sqlite3.Row]:
        rows = self._db.execute("SELECT * FROM fragment WHERE turn = ? ORDER BY number", (turn,))
        return rows.fetchall()

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
