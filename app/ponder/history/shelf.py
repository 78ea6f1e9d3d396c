"""The conversations of a history as they stand on a shelf: listed, found, renamed, pinned, put
into the trash and taken out again.

What is in the trash is nowhere shown, and nothing of it is lost, until it has been there for
`KEPT` seconds: then the next conversation that begins, or the next one that is put there, ends
it. Knows the tables as far as a list needs them; what is in a turn, `store` knows.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence

from ponder.history import codec
from ponder.history.access import LARGEST, Access
from ponder.history.finding import Wanted
from ponder.history.query import PLACES, Query, read
from ponder.history.records import Conversation, Hit, Place
from ponder.history.trouble import telling
from ponder.types import Channel

KEPT = 30 * 24 * 3600.0
"""Seconds that the trash keeps a conversation."""
_COLUMNS = """
    c.id, c.title, c.model, c.system, c.created, c.updated,
    (SELECT count(*) FROM turn WHERE conversation = c.id) AS turns, c.pinned, c.deleted
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

    def pin(self, conversation: int, pinned: bool = True) -> None:
        """Have a conversation stand before all others, or no longer.

        Raises:
            InputError: there is no such conversation.
        """
        with self._writing() as db:
            row = (pinned, self._known(conversation))
            db.execute("UPDATE conversation SET pinned = ? WHERE id = ?", row)

    def trash(self, ids: Iterable[int], at: float) -> int:
        """Put conversations into the trash; gives how many were not there yet.

        Numbers that are not there are passed over: another ponder was faster.
        """
        known = [(at, number) for number in ids if 0 < number <= LARGEST]
        with self._writing() as db:
            moved = db.executemany(
                "UPDATE conversation SET deleted = ? WHERE id = ? AND deleted IS NULL", known
            ).rowcount
        self.empty_trash(at - KEPT)
        return max(moved, 0)

    def questions(self, limit: int) -> list[str]:
        """What was asked in conversations that are not in the trash, the newest first."""
        with self._reading() as db:
            rows = db.execute(
                "SELECT question, odd FROM turn WHERE conversation NOT IN"
                " (SELECT id FROM conversation WHERE deleted IS NOT NULL)"
                " ORDER BY id DESC LIMIT ?",
                (limit,),
            )
            return [
                codec.restored(row["question"], codec.odd_of(row).get("question", []))
                for row in rows
            ]

    def restore(self, ids: Iterable[int]) -> int:
        """Take conversations out of the trash; gives how many were in it."""
        known = [(number,) for number in ids if 0 < number <= LARGEST]
        with self._writing() as db:
            moved = db.executemany(
                "UPDATE conversation SET deleted = NULL WHERE id = ? AND deleted IS NOT NULL",
                known,
            ).rowcount
        return max(moved, 0)

    def empty_trash(self, before: float) -> int:
        """Delete for good what was put into the trash before then; gives how many there were."""
        with self._writing() as db:
            gone = db.execute("DELETE FROM conversation WHERE deleted < ?", (before,)).rowcount
        if gone:
            self._wipe()
        return gone

    def delete(self, ids: Iterable[int]) -> int:
        """Delete conversations for good, with all their turns; gives how many there were.

        Numbers that are not there are passed over: another ponder was faster.
        """
        known = {(number,) for number in ids if 0 < number <= LARGEST}
        with self._writing() as db:
            gone = db.executemany("DELETE FROM conversation WHERE id = ?", known).rowcount
        self._wipe()
        return max(gone, 0)

    # -- reading ------------------------------------------------------------------------

    def conversations(
        self, limit: int | None = None, offset: int = 0, query: Query | None = None
    ) -> list[Conversation]:
        """Conversations: what is pinned, then the one asked last. Of a query, its filters count."""
        asked = query or Query()
        where, values = _of_conversation(asked)
        tests, more = _of_turn(asked, dated=False)
        if tests:
            within = " AND ".join(["t.conversation = c.id", *tests])
            where.append(f"EXISTS (SELECT 1 FROM turn AS t WHERE {within})")
        for sign, moment in ((">=", asked.since), ("<", asked.before)):
            if moment is not None:
                where.append(f"c.updated {sign} ?")
                more = [*more, moment]
        with self._reading() as db:
            rows = db.execute(
                f"SELECT {_COLUMNS} FROM conversation AS c WHERE {' AND '.join(where)}"
                " ORDER BY c.pinned DESC, c.updated DESC, c.id DESC LIMIT ? OFFSET ?",
                (*values, *more, -1 if limit is None else limit, offset),
            )
            return [_conversation(row) for row in rows]

    def conversation(self, conversation: int) -> Conversation:
        """One conversation, also one in the trash.

        Raises:
            InputError: there is none of that number; names those that are near.
        """
        with self._reading() as db:
            return self._one(db, self._known(conversation))

    def latest(self) -> Conversation | None:
        """The conversation asked last, if there is any."""
        with self._reading() as db:
            row = db.execute(
                f"SELECT {_COLUMNS} FROM conversation AS c WHERE c.deleted IS NULL"
                " ORDER BY c.updated DESC, c.id DESC LIMIT 1"
            ).fetchone()
            return None if row is None else _conversation(row)

    def search(self, query: Query | str, limit: int = 50) -> list[Hit]:
        """Turns in which all words occur, newest first; words in double quotes belong together.

        A word is found in any part of a longer one, in capitals or not. Unfinished turns are
        found as well. Of several traces that voted all are looked through, each by itself. No words
        find nothing, whatever the filters.

        Raises:
            InputError: a filter in the text has a value that it cannot have.
        """
        asked = read(query) if isinstance(query, str) else query
        hits: list[Hit] = []
        if not asked.wanted.phrases or limit < 1:
            return hits
        with self._reading() as db:
            for row in self._candidates(db, asked):
                for trace, texts in self._traces(row, asked.places):
                    where, excerpt, marks = asked.wanted.found(texts)
                    if excerpt:
                        found = self._one(db, row["conversation"])
                        hits.append(Hit(found, row["id"], where, excerpt, marks, trace))
                        break
                if len(hits) == limit:
                    break
        return hits

    # -- inside -------------------------------------------------------------------------

    def _wipe(self) -> None:
        """What was deleted goes out of the log as well, unless somebody is just reading it."""
        with telling(self._path):
            if not self._db.in_transaction:
                self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _one(self, db: sqlite3.Connection, number: int) -> Conversation:
        rows = db.execute(f"SELECT {_COLUMNS} FROM conversation AS c WHERE c.id = ?", (number,))
        return _conversation(rows.fetchone())

    def _rows(self, turn: int) -> list[sqlite3.Row]:
        rows = self._db.execute("SELECT * FROM fragment WHERE turn = ? ORDER BY number", (turn,))
        return rows.fetchall()

    def _candidates(self, db: sqlite3.Connection, asked: Query) -> Iterator[sqlite3.Row]:
        """Turns that may hold what is wanted, newest first: those that stream, and the index's.

        What streams is not indexed yet; there are never many of those.
        """
        narrowed, words = _narrowing(asked.wanted)
        tests, values = _of_turn(asked, dated=True)
        on_shelf, more = _of_conversation(asked)
        texts = ", ".join(f"t.{place}" for place in asked.places)
        yield from db.execute(
            "SELECT t.id, t.conversation,"
            # Of what stands behind the long texts of a row, indexes know as much.
            " t.id IN (SELECT id FROM turn WHERE runs IS NULL) AS streams,"
            f" t.id IN (SELECT turn FROM candidate) AS voted, {texts}"
            " FROM turn AS t JOIN conversation AS c ON c.id = t.conversation"
            f" WHERE {' AND '.join([*tests, *on_shelf, narrowed])}"
            " ORDER BY t.asked DESC, t.id DESC",
            (*values, *more, *words),
        )

    def _traces(
        self, row: sqlite3.Row, places: Sequence[Place]
    ) -> Iterator[tuple[int | None, dict[Place, str]]]:
        """The texts of a turn: its own, then those of each trace beside that."""
        own = self._texts(row, places)
        yield None, own
        if row["voted"]:
            rows = self._db.execute(
                "SELECT number, thinking, answer FROM candidate WHERE turn = ? ORDER BY number",
                (row["id"],),
            )
            for other in rows.fetchall():
                told: dict[Place, str] = {p: other[p] for p in places if p != "question"}
                yield other["number"], own | told

    def _texts(self, row: sqlite3.Row, places: Sequence[Place]) -> dict[Place, str]:
        if not row["streams"]:
            return {place: row[place] for place in places}
        spans = [(r["channel"], r["text"]) for r in self._rows(row["id"])]
        texts: dict[Place, str] = {
            "thinking": "".join(text for channel, text in spans if channel == Channel.THOUGHT),
            "answer": "".join(text for channel, text in spans if channel == Channel.ANSWER),
        }
        if "question" in places:
            texts["question"] = row["question"]
        return {place: texts[place] for place in places}


def _conversation(row: sqlite3.Row) -> Conversation:
    return Conversation(**{**dict(row), "pinned": bool(row["pinned"])})


def _narrowing(look: Wanted) -> tuple[str, list[str]]:
    """A test that every turn with these words passes, and every one that streams; its values.

    With a plus before a column SQLite does not use that for finding rows, but walks the index of
    the newest turns, which is quicker for words that are everywhere and no slower for others.
    """
    streaming = "SELECT id FROM turn WHERE runs IS NULL"
    if look.match:
        found = "SELECT rowid FROM turn_text WHERE turn_text MATCH ?"
        beside = (
            "SELECT turn FROM candidate WHERE id IN"
            " (SELECT rowid FROM candidate_text WHERE candidate_text MATCH ?)"
        )
        return f"+t.id IN ({streaming} UNION ALL {found} UNION ALL {beside})", [look.match] * 2
    own, words = _like(look, [f"t.{column}" for column in PLACES])
    others, more = _like(look, ["thinking", "answer"])
    beside = f"SELECT turn FROM candidate WHERE {others}"
    return f"(+t.id IN ({streaming} UNION ALL {beside}) OR {own})", [*more, *words]


def _like(look: Wanted, columns: Sequence[str]) -> tuple[str, list[str]]:
    """A test that all words are in these columns, and its values."""
    parts = []
    values = []
    for likes in look.likes:
        tests = [f"{column} LIKE ? ESCAPE '\\'" for column in columns]
        parts.append("(" + " OR ".join(tests * len(likes)) + ")")
        values += [like for like in likes for _ in tests]
    return " AND ".join(parts), values


def _of_turn(asked: Query, dated: bool) -> tuple[list[str], list[object]]:
    """Tests of a turn."""
    tests: list[str] = []
    values: list[object] = []
    for model in asked.models:
        tests.append("instr(lower(t.model), lower(?))")
        values.append(codec.plain(model))
    if asked.places != PLACES and not asked.wanted.phrases:
        tests.append("(" + " OR ".join(f"t.{place} != ''" for place in asked.places) + ")")
    for sign, moment in ((">=", asked.since), ("<", asked.before)):
        if dated and moment is not None:
            tests.append(f"t.asked {sign} ?")
            values.append(moment)
    return tests, values


def _of_conversation(asked: Query) -> tuple[list[str], list[object]]:
    """Tests of a conversation."""
    tests = ["c.deleted IS NOT NULL" if asked.deleted else "c.deleted IS NULL"]
    if asked.pinned:
        tests.append("c.pinned")
    return tests, []
