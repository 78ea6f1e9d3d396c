"""Turns as they are read: one, those of a path, all of a tree, and where its branches are.

Knows the tables of the history and reads them. What is written into them is another module's.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from ponder.errors import InputError
from ponder.history import codec
from ponder.history.access import LARGEST
from ponder.history.branches import Tree
from ponder.history.records import Branch, Turn
from ponder.history.shelf import Shelf
from ponder.history.trouble import damaged

_BEGINNING = 400
"""Characters of a question and of an answer by which a branch is told from others."""


class Turns(Shelf):
    """The turns of a history, to be read."""

    def turns(self, conversation: int, through: int | None = None) -> list[Turn]:
        """The turns of a conversation on the path that was chosen last, in order.

        Args:
            conversation: which.
            through: a turn: the path that leads through it, to what was asked last after it.

        Raises:
            InputError: there is no such conversation, or no such turn in it.
        """
        with self._reading():
            tree = self._tree(self._known(conversation))
            if through is None:
                path = self._chosen(conversation, tree)
            elif through in tree.parents:
                path = tree.path(tree.newest(through) or through)
            else:
                raise InputError(
                    f"Conversation {conversation} has no turn {through}.",
                    f"Its turns are {', '.join(map(str, tree.parents)) or 'none'}.",
                )
            return [self._placed(turn, tree) for turn in path]

    def turn(self, turn: int | None = None) -> Turn:
        """One turn, by its number; None: the one asked last.

        Raises:
            InputError: there is none.
        """
        with self._reading() as db:
            if turn is None:
                row = db.execute("SELECT id FROM turn ORDER BY asked DESC, id DESC").fetchone()
                if row is None:
                    raise InputError("The history is empty.", "Ask something: ponder")
                turn = int(row["id"])
            if abs(turn) > LARGEST:
                raise InputError(f"There is no turn {turn}.")
            self._streaming(turn)  # for its error alone
            row = db.execute("SELECT conversation FROM turn WHERE id = ?", (turn,)).fetchone()
            return self._placed(turn, self._tree(row["conversation"]))

    def every_turn(self, conversation: int) -> list[Turn]:
        """The turns of all paths, in the order of asking.

        Raises:
            InputError: there is no such conversation.
        """
        with self._reading():
            tree = self._tree(self._known(conversation))
            return [self._placed(turn, tree) for turn in tree.parents]

    def branches(self, conversation: int) -> list[Branch]:
        """The tree of a conversation: each turn before what follows it, siblings as asked.

        Raises:
            InputError: there is no such conversation.
        """
        with self._reading() as db:
            tree = self._tree(self._known(conversation))
            shown = set(self._chosen(conversation, tree))
            rows = db.execute(
                "SELECT id, asked, substr(question, 1, ?1) AS question, finish,"
                " substr(answer, 1, ?1) AS answer FROM turn WHERE conversation = ?2",
                (_BEGINNING, conversation),
            )
            known = {row["id"]: row for row in rows}
            return [
                Branch(
                    id=turn,
                    depth=depth,
                    siblings=tree.siblings(turn),
                    asked=known[turn]["asked"],
                    question=known[turn]["question"],
                    answer=known[turn]["answer"],
                    finish=known[turn]["finish"] or "",
                    chosen=turn in shown,
                )
                for turn, depth in tree.walk()
            ]

    # -- inside -------------------------------------------------------------------------

    def _tree(self, conversation: int) -> Tree:
        rows = self._db.execute(
            "SELECT id, parent FROM turn WHERE conversation = ?", (conversation,)
        )
        return Tree.of((row["id"], row["parent"]) for row in rows)

    def _chosen(self, conversation: int, tree: Tree) -> list[int]:
        """The path that is shown."""
        row = self._db.execute("SELECT leaf FROM conversation WHERE id = ?", (conversation,))
        (leaf,) = row.fetchone()
        end = leaf if leaf in tree.parents else tree.newest()
        return [] if end is None else tree.path(end)

    def _parent(self, conversation: int, wanted: int | Literal["last"] | None) -> int | None:
        """The turn that a new one follows."""
        if wanted is None:
            return None
        tree = self._tree(conversation)
        if wanted != "last" and wanted in tree.parents:
            return wanted
        return next(iter(self._chosen(conversation, tree)[-1:]), None)

    def _placed(self, turn: int, tree: Tree) -> Turn:
        row = self._db.execute("SELECT * FROM turn WHERE id = ?", (turn,)).fetchone()
        return replace(
            self._turn(row),
            position=len(tree.path(turn)) - 1,
            parent=tree.parents[turn],
            siblings=tree.siblings(turn),
        )

    def _turn(self, row: sqlite3.Row) -> Turn:
        try:
            fragments = self._rows(row["id"]) if row["runs"] is None else ()
            return codec.turn_of(row, fragments, self._candidates_of(row))
        except (ValueError, KeyError, TypeError, IndexError, zlib.error) as error:
            what = f"turn {row['id']} of conversation {row['conversation']} cannot be read"
            raise damaged(self._path, f"{what} ({error!r})") from error

    def _candidates_of(self, row: sqlite3.Row) -> Sequence[sqlite3.Row]:
        if row["vote"] is None:
            return ()
        rows = self._db.execute("SELECT * FROM candidate WHERE turn = ?", (row["id"],))
        return rows.fetchall()

    def _streaming(self, turn: int) -> bool:
        """Whether a turn is not over yet."""
        row = self._db.execute("SELECT runs IS NULL FROM turn WHERE id = ?", (turn,)).fetchone()
        if row is None:
            raise InputError(
                f"There is no turn {turn}.", "Its conversation may have been deleted meanwhile."
            )
        return bool(row[0])
