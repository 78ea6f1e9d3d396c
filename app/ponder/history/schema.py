"""The tables of the history, and every step that led to them. Knows SQL and nothing else.

A step is never changed once it has been released: what follows is another step.

* conversation, turn: what was asked and said. `thinking` and `answer` are the texts of their
  channel one after the other; `runs` tells how they interleave, as a JSON list of
  `[channel, author, characters]`, so that no text is stored twice; in turns from before step 4 the
  author is a truth value, whether it was ponder. `runs` is NULL while the
  answer streams: then the fragments are the text.
  A conversation whose `deleted` is not NULL is in the trash, since then.
* The turns of a conversation are a tree: `parent` is the turn that one follows, `position` the
  order in which they were asked. `leaf` is the end of the path that was chosen last; NULL, or a
  turn that is gone, stands for the turn asked last.
* fragment: text as it came. Only ever inserted, and deleted when the turn is over. `trace` is the
  number of the trace that said it, where a turn has several; 0 where it has one.
* candidate: a trace of a turn that has several, unless it is the one whose text is the turn's: that
  is decided when all are over. `runs` as in a turn; `account` is NULL where it was never finished.
  `vote` of a turn is JSON: how many traces there are and how they voted.
* turn_text, candidate_text: the index. It holds which three characters occur in which part of
  which turn (trigrams, so that words of any language are found by any part of them) and not where:
  that keeps it smaller than the texts, also where many traces say much the same, and whoever
  searches looks at the text anyway.
"""

from __future__ import annotations

APPLICATION = 0x706E6472
"""SQLite's `application_id`, "pndr": tells ponder's databases from others."""

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """
        CREATE TABLE conversation (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            title TEXT NOT NULL,
            model TEXT NOT NULL,
            system TEXT NOT NULL,
            created REAL NOT NULL,
            updated REAL NOT NULL
        )
        """,
        "CREATE INDEX conversation_latest ON conversation (updated DESC, id DESC)",
        # AUTOINCREMENT: a number is never given twice, so that a ponder which still writes to a
        # conversation that another one deleted cannot meet a stranger's.
        """
        CREATE TABLE turn (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            conversation INTEGER NOT NULL REFERENCES conversation (id) ON DELETE CASCADE,
            position INTEGER NOT NULL,
            asked REAL NOT NULL,
            model TEXT NOT NULL,
            budget TEXT NOT NULL,
            sampling TEXT NOT NULL,
            question TEXT NOT NULL,
            thinking TEXT NOT NULL DEFAULT '',
            answer TEXT NOT NULL DEFAULT '',
            odd TEXT,
            runs TEXT,
            finish TEXT,
            answer_end TEXT,
            account TEXT,
            tokens BLOB,
            error TEXT NOT NULL DEFAULT '',
            folded INTEGER,
            UNIQUE (conversation, position)
        )
        """,
        "CREATE INDEX turn_streaming ON turn (id) WHERE runs IS NULL",
        """
        CREATE TABLE fragment (
            turn INTEGER NOT NULL REFERENCES turn (id) ON DELETE CASCADE,
            number INTEGER NOT NULL,
            channel TEXT NOT NULL,
            forced INTEGER NOT NULL,
            text TEXT NOT NULL,
            odd TEXT,
            PRIMARY KEY (turn, number)
        ) WITHOUT ROWID
        """,
        """
        CREATE VIRTUAL TABLE turn_text USING fts5 (
            question, thinking, answer,
            content = 'turn', content_rowid = 'id', tokenize = 'trigram', detail = 'none'
        )
        """,
        """
        CREATE TRIGGER turn_text_insert AFTER INSERT ON turn BEGIN
            INSERT INTO turn_text (rowid, question, thinking, answer)
            VALUES (new.id, new.question, new.thinking, new.answer);
        END
        """,
        """
        CREATE TRIGGER turn_text_delete AFTER DELETE ON turn BEGIN
            INSERT INTO turn_text (turn_text, rowid, question, thinking, answer)
            VALUES ('delete', old.id, old.question, old.thinking, old.answer);
        END
        """,
        """
        CREATE TRIGGER turn_text_update AFTER UPDATE OF question, thinking, answer ON turn BEGIN
            INSERT INTO turn_text (turn_text, rowid, question, thinking, answer)
            VALUES ('delete', old.id, old.question, old.thinking, old.answer);
            INSERT INTO turn_text (rowid, question, thinking, answer)
            VALUES (new.id, new.question, new.thinking, new.answer);
        END
        """,
    ),
    (
        "ALTER TABLE turn ADD COLUMN vote TEXT",
        "ALTER TABLE fragment ADD COLUMN trace INTEGER NOT NULL DEFAULT 0",
        """
        CREATE TABLE candidate (
            id INTEGER PRIMARY KEY,
            turn INTEGER NOT NULL REFERENCES turn (id) ON DELETE CASCADE,
            number INTEGER NOT NULL,
            thinking TEXT NOT NULL,
            answer TEXT NOT NULL,
            odd TEXT,
            runs TEXT NOT NULL,
            finish TEXT,
            answer_end TEXT,
            account TEXT,
            tokens BLOB,
            folded INTEGER,
            UNIQUE (turn, number)
        )
        """,
        """
        CREATE VIRTUAL TABLE candidate_text USING fts5 (
            thinking, answer,
            content = 'candidate', content_rowid = 'id', tokenize = 'trigram', detail = 'none'
        )
        """,
        """
        CREATE TRIGGER candidate_text_insert AFTER INSERT ON candidate BEGIN
            INSERT INTO candidate_text (rowid, thinking, answer)
            VALUES (new.id, new.thinking, new.answer);
        END
        """,
        """
        CREATE TRIGGER candidate_text_delete AFTER DELETE ON candidate BEGIN
            INSERT INTO candidate_text (candidate_text, rowid, thinking, answer)
            VALUES ('delete', old.id, old.thinking, old.answer);
        END
        """,
    ),
    (
        "ALTER TABLE conversation ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE conversation ADD COLUMN deleted REAL",
        "CREATE INDEX conversation_shelf ON conversation (pinned DESC, updated DESC, id DESC)",
        "CREATE INDEX conversation_trash ON conversation (deleted) WHERE deleted IS NOT NULL",
        # A search walks it from the newest turn on, stops when it has enough, and looks at no
        # turn's row before it has to: a long text stands in most of them.
        "CREATE INDEX turn_latest ON turn (asked DESC, id DESC, conversation, model)",
    ),
    (
        "ALTER TABLE fragment RENAME TO fragment_before",
        """
        CREATE TABLE fragment (
            turn INTEGER NOT NULL REFERENCES turn (id) ON DELETE CASCADE,
            number INTEGER NOT NULL,
            trace INTEGER NOT NULL,
            channel TEXT NOT NULL,
            author TEXT NOT NULL,
            text TEXT NOT NULL,
            odd TEXT,
            PRIMARY KEY (turn, number)
        ) WITHOUT ROWID
        """,
        """
        INSERT INTO fragment (turn, number, trace, channel, author, text, odd)
        SELECT turn, number, trace, channel, iif(forced, 'ponder', 'model'), text, odd
        FROM fragment_before
        """,
        "DROP TABLE fragment_before",
    ),
    (
        "ALTER TABLE turn ADD COLUMN parent INTEGER REFERENCES turn (id) ON DELETE CASCADE",
        "CREATE INDEX turn_children ON turn (parent)",
        "ALTER TABLE conversation ADD COLUMN leaf INTEGER",
        """
        UPDATE turn SET parent = (
            SELECT id FROM turn AS before
            WHERE before.conversation = turn.conversation AND before.position < turn.position
            ORDER BY before.position DESC LIMIT 1
        )
        """,
    ),
    ("ALTER TABLE turn ADD COLUMN provenance TEXT",),
)
"""Step n leads from version n to version n + 1; the version is SQLite's `user_version`."""
