"""The history: conversations and their turns in one SQLite file, written as they happen.

Each method is one transaction: it is done, or it has not happened. A turn is written when it
is asked; its text is added as it streams; the finished trace replaces what was added. Several
ponders may use one file at once. Knows the tables; no thread, no clock and no screen.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from ponder.errors import InputError
from ponder.history import codec
from ponder.history.records import Vote
from ponder.history.shelf import KEPT
from ponder.history.turns import Turns
from ponder.provenance import Provenance
from ponder.types import Budget, Sampling, Span, Trace


class History(Turns):
    """The conversations in one file. To be used by the thread that opened it.

    Args:
        path: the file; it and its folder are made, readable by their owner alone.
        timeout: how long to wait while another program writes, in seconds.

    Raises:
        HistoryError: it cannot be opened, is damaged, or is a newer ponder's. All methods
            raise it where the file fails them.
    """

    # -- writing ------------------------------------------------------------------------

    def new_conversation(self, title: str, model: str, system: str, at: float) -> int:
        """Begin a conversation; gives its number. What was in the trash for long is deleted."""
        self.empty_trash(at - KEPT)
        with self._writing() as db:
            made = db.execute(
                "INSERT INTO conversation (title, model, system, created, updated)"
                " VALUES (?, ?, ?, ?, ?)",
                (codec.plain(title), codec.plain(model), codec.plain(system), at, at),
            )
            return int(made.lastrowid or 0)

    def begin_turn(
        self,
        conversation: int,
        question: str,
        model: str,
        budget: Budget,
        sampling: Sampling,
        at: float,
        vote: Vote | None = None,
        parent: int | Literal["last"] | None = "last",
        provenance: Provenance | None = None,
    ) -> int:
        """Write down a question, before anything of its answer is there; gives its number.

        It is the end of the path that is shown from now on.

        Args:
            conversation: where it is asked.
            question: what is asked.
            model: who is asked.
            budget: how long it may think.
            sampling: how its tokens are drawn.
            at: when.
            vote: of how many traces it is asked, where these are several.
            parent: the turn that it follows; None: it is a first one. "last", or a turn that is
                not there any more: the end of the path that is shown.
            provenance: what it comes from.

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
                "vote": codec.vote_column(vote),
                "parent": self._parent(conversation, parent),
                "provenance": codec.provenance_column(provenance),
            }
            made = db.execute(
                f"INSERT INTO turn ({', '.join(values)}) VALUES (:{', :'.join(values)})", values
            )
            # Whoever asks in a conversation wants it, also out of the trash.
            db.execute(
                "UPDATE conversation SET updated = max(updated, ?), deleted = NULL, leaf = ?"
                " WHERE id = ?",
                (at, made.lastrowid, conversation),
            )
            return int(made.lastrowid or 0)

    def choose(self, turn: int) -> None:
        """Have the path shown that leads through a turn to what was asked last after it.

        Raises:
            InputError: there is no such turn.
        """
        with self._writing() as db:
            self._streaming(turn)  # for its error alone
            (chat,) = db.execute("SELECT conversation FROM turn WHERE id = ?", (turn,)).fetchone()
            leaf = self._tree(chat).newest(turn)
            db.execute("UPDATE conversation SET leaf = ? WHERE id = ?", (leaf, chat))

    def append(self, turn: int, spans: Iterable[Span], trace: int = 0) -> None:
        """Add text to a turn that streams. Only ever inserts: cheap, however long the turn is.

        `trace` says which of several said it.

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
                place = (turn, number + offset, trace, span.channel.value, span.author.value)
                rows.append((*place, text, codec.note(odd)))
            db.executemany(
                "INSERT INTO fragment (turn, number, trace, channel, author, text, odd)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                rows,
            )

    def finish_trace(self, turn: int, number: int, trace: Trace) -> None:
        """Put one of several traces, finished, in the place of what was added of it.

        Raises:
            InputError: there is no such turn.
        """
        with self._writing() as db:
            self._streaming(turn)  # for its error alone
            self._stand(db, turn, number, trace.spans, trace)

    def count(self, turn: int, vote: Vote) -> None:
        """Write down how a vote stands.

        Raises:
            InputError: there is no such turn.
        """
        with self._writing() as db:
            self._streaming(turn)  # for its error alone
            columns = (codec.vote_column(vote), turn)
            db.execute("UPDATE turn SET vote = ? WHERE id = ?", columns)

    def finish_vote(self, turn: int, vote: Vote, traces: Mapping[int, Trace]) -> None:
        """Write down how a vote came out: the trace that is shown becomes the turn's own.

        Args:
            turn: its number.
            vote: with the trace that is shown.
            traces: all of them, by number; those that are written down already stay as they are.

        Raises:
            InputError: there is no such turn.
        """
        with self._writing() as db:
            self._streaming(turn)  # for its error alone
            for number, trace in traces.items():
                if number != vote.shown:
                    self._stand(db, turn, number, trace.spans, trace)
            if vote.shown is not None:
                own = (turn, vote.shown)
                db.execute(
                    "UPDATE turn SET folded ="
                    " (SELECT folded FROM candidate WHERE turn = ?1 AND number = ?2) WHERE id = ?1",
                    own,
                )
                db.execute("DELETE FROM candidate WHERE turn = ? AND number = ?", own)
                self.finish_turn(turn, traces[vote.shown])
            self.count(turn, vote)

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
                fragments = self._rows(turn)
                for number in {row["trace"] for row in fragments} - {0}:
                    self._stand(db, turn, number, codec.said_by(number, fragments))
                spans = codec.said_by(0, fragments)
                columns |= codec.text_columns(self._question(turn), spans)
            self._end(db, turn, columns)

    def fold(self, turn: int, folded: bool | None, trace: int = 0) -> None:
        """Remember whether somebody folded the thinking of a turn away.

        `trace` says of which of several; of one that is not over nothing is remembered.

        Raises:
            InputError: there is no such turn.
        """
        with self._writing() as db:
            self._streaming(turn)  # for its error alone
            db.execute(
                "UPDATE candidate SET folded = ? WHERE turn = ? AND number = ?",
                (folded, turn, trace),
            )
            row = db.execute("SELECT vote FROM turn WHERE id = ?", (turn,)).fetchone()
            if trace in (0, codec.shown(row)):
                db.execute("UPDATE turn SET folded = ? WHERE id = ?", (folded, turn))

    # -- reading ------------------------------------------------------------------------

    def _end(self, db: sqlite3.Connection, turn: int, columns: dict[str, object]) -> None:
        names = ", ".join(f"{name} = :{name}" for name in columns)
        db.execute(f"UPDATE turn SET {names} WHERE id = :id", columns | {"id": turn})
        db.execute("DELETE FROM fragment WHERE turn = ?", (turn,))

    def _stand(
        self,
        db: sqlite3.Connection,
        turn: int,
        number: int,
        spans: Sequence[Span],
        trace: Trace | None = None,
    ) -> None:
        """Make one of several traces a candidate, unless it is one."""
        place = {"turn": turn, "number": number}
        columns = place | codec.text_columns("", spans)
        if trace is not None:
            columns |= codec.trace_columns(trace)
        names = ", ".join(columns)
        db.execute(
            f"INSERT INTO candidate ({names}) VALUES (:{', :'.join(columns)})"
            " ON CONFLICT (turn, number) DO NOTHING",
            columns,
        )
        db.execute("DELETE FROM fragment WHERE turn = :turn AND trace = :number", place)

    def _question(self, turn: int) -> str:
        row = self._db.execute("SELECT question, odd FROM turn WHERE id = ?", (turn,)).fetchone()
        return codec.restored(row["question"], codec.odd_of(row).get("question", []))
