"""Files that are new, old, too new, damaged, locked, or no history at all."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from history.traces import ANSWER, THOUGHT, trace
from ponder.errors import HistoryError, PonderError
from ponder.history import schema
from ponder.history.store import History
from ponder.history.trouble import Passing
from ponder.types import Author, Budget, Sampling, Span


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.db"


def filled(path: Path, turns: int = 40) -> int:
    """A history of many pages, closed."""
    with History(path) as history:
        number = history.new_conversation("Marbles", "m", "", 0)
        for at in range(turns):
            turn = history.begin_turn(number, f"marbles {at}", "m", Budget(), Sampling(), at)
            text = "".join(f"{at} and {n} is {at + n}. " for n in range(100))
            history.finish_turn(turn, trace(Span(THOUGHT, text)))
    return number


def version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as db:
        return int(db.execute("PRAGMA user_version").fetchone()[0])


def use_everything(path: Path, number: int) -> None:
    with History(path, timeout=0) as history:
        history.conversations()
        history.turns(number)
        history.search("marbles")
        history.search("85")
        turn = history.begin_turn(number, "new", "m", Budget(), Sampling(), 1)
        history.append(turn, [Span(THOUGHT, "x")])
        history.finish_turn(turn, trace())
        history.rename(number, "other")
        history.delete([number])


def test_a_new_file_has_the_newest_tables(path: Path) -> None:
    History(path).close()
    assert version(path) == len(schema.MIGRATIONS) > 0
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA application_id").fetchone()[0] == schema.APPLICATION
    use_everything(path, filled(path))


def test_an_empty_file_is_a_new_one(path: Path) -> None:
    path.touch()
    use_everything(path, filled(path))


def test_traces_from_before_authors_were_told_apart(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        for statement in schema.MIGRATIONS[0]:
            db.execute(statement)
        db.execute(f"PRAGMA application_id = {schema.APPLICATION}")
        db.execute("PRAGMA user_version = 1")
        db.execute("INSERT INTO conversation VALUES (1, 'Marbles', 'm', '', 0, 0)")
        turn = "INSERT INTO turn (conversation, position, asked, model, budget, sampling, question"
        runs = '[["thought",false,2],["thought",true,4],["answer",false,1]]'
        db.execute(
            f"{turn}, thinking, answer, runs)"
            " VALUES (1, 0, 0, 'm', '{}', '{}', '?', 'HmWait', '5', ?)",
            (runs,),
        )
        db.execute(f"{turn}) VALUES (1, 1, 0, 'm', '{{}}', '{{}}', '?')")
        rows = [(2, 1, "thought", 0, "Hm", None), (2, 2, "thought", 1, "Wait", "[[3,0]]")]
        db.executemany("INSERT INTO fragment VALUES (?, ?, ?, ?, ?, ?)", rows)
    with History(path) as history:
        over, streams = history.turns(1)
        said = (Span(THOUGHT, "Hm"), Span(THOUGHT, "Wait", Author.PONDER))
        assert over.spans == (*said, Span(ANSWER, "5"))
        assert streams.spans == (said[0], Span(THOUGHT, "Wai\0", Author.PONDER))
        history.append(2, [Span(ANSWER, "now", Author.LEAD_IN)])
        assert history.turns(1)[1].spans[-1] == Span(ANSWER, "now", Author.LEAD_IN)
    assert version(path) == len(schema.MIGRATIONS)


def test_an_older_history_is_migrated(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    number = filled(path, 2)
    with History(path) as history:
        before = history.turns(number)
    step = ("ALTER TABLE turn ADD COLUMN stars INTEGER", "UPDATE turn SET stars = 5")
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, step))
    with History(path) as history:
        assert history.turns(number) == before
        assert history._db.execute("SELECT sum(stars) FROM turn").fetchone()[0] == 10
        assert history.search("marbles 1")
    assert version(path) == len(schema.MIGRATIONS)


def test_a_migration_that_fails_has_not_happened(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = filled(path, 2)
    released = schema.MIGRATIONS
    step = ("ALTER TABLE turn ADD COLUMN stars INTEGER", "UPDATE turn SET moons = 5")
    monkeypatch.setattr(schema, "MIGRATIONS", (*released, step))
    with pytest.raises(HistoryError):
        History(path)
    assert version(path) == len(released)
    monkeypatch.setattr(schema, "MIGRATIONS", released)
    with History(path) as history:
        assert len(history.turns(number)) == 2
        columns = [row[1] for row in history._db.execute("PRAGMA table_info(turn)")]
    assert "stars" not in columns


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_a_newer_history_is_left_alone(path: Path, journal: str) -> None:
    filled(path, 1)
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 99")
        db.execute(f"PRAGMA journal_mode = {journal}")
    before = path.read_bytes()
    with pytest.raises(HistoryError, match="newer ponder") as refused:
        History(path)
    assert "99" in refused.value.message
    assert "Update ponder" in refused.value.hint
    assert "PONDER_HOME" in refused.value.hint
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "statement", ["CREATE TABLE bookmarks (url TEXT)", "PRAGMA application_id = 1"]
)
def test_a_database_of_another_program_is_left_alone(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute(statement)
    before = path.read_bytes()
    with pytest.raises(HistoryError, match="another program"):
        History(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"x", b"hello\n" * 1000, b"\0" * 4096, b"SQLite format 3\0"])
def test_a_file_that_is_no_database_is_left_alone(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(HistoryError) as refused:
        History(path)
    assert str(path) in refused.value.message
    assert str(path) in refused.value.hint
    assert "never writes over it" in refused.value.hint
    assert path.read_bytes() == content


@pytest.mark.parametrize("kept", [1, 16, 60, 100, 512, 4095, 4096, 5000, 0.25, 0.5, 0.9, -1])
def test_a_history_cut_short_is_told_and_left_alone(path: Path, kept: float) -> None:
    number = filled(path)
    whole = path.read_bytes()
    assert len(whole) > 100_000
    size = int(kept) if abs(kept) >= 1 else int(len(whole) * kept)
    path.write_bytes(whole[:size])
    with pytest.raises(HistoryError) as refused:
        use_everything(path, number)
    assert "never writes over it" in refused.value.hint
    assert path.read_bytes() == whole[:size]


@pytest.mark.parametrize("page", range(1, 30, 3))
def test_a_page_of_garbage_never_shows_as_anything_but_our_errors(path: Path, page: int) -> None:
    number = filled(path)
    data = bytearray(path.read_bytes())
    start = page * 4096
    data[start : start + 4096] = bytes(range(256)) * 16
    path.write_bytes(data)
    try:
        use_everything(path, number)
    except PonderError as error:
        assert error.hint


def test_some_page_of_garbage_is_noticed(path: Path) -> None:
    number = filled(path)
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(data)
    with pytest.raises(HistoryError, match="damaged"):
        use_everything(path, number)


@pytest.mark.parametrize(
    "hold", ["BEGIN EXCLUSIVE", "PRAGMA locking_mode = EXCLUSIVE; BEGIN IMMEDIATE; COMMIT"]
)
@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_a_locked_history_may_work_later(path: Path, hold: str, journal: str) -> None:
    number = filled(path, 2)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute(f"PRAGMA journal_mode = {journal}")
        for statement in hold.split(";"):
            other.execute(statement)
        if "locking_mode" in hold:
            other.execute("UPDATE conversation SET title = title")
        with pytest.raises(Passing, match="another program is using it"):
            use_everything(path, number)
    use_everything(path, number)


def test_readers_do_not_wait_for_a_writer(path: Path) -> None:
    number = filled(path, 2)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("DELETE FROM conversation")
        with History(path, timeout=0) as history:
            assert len(history.turns(number)) == 2
            with pytest.raises(Passing):
                history.rename(number, "x")


def test_a_full_disk_may_have_room_later(path: Path) -> None:
    number = filled(path, 2)
    with History(path) as history:
        pages = history._db.execute("PRAGMA page_count").fetchone()[0]
        history._db.execute(f"PRAGMA max_page_count = {pages}")
        turn = history.begin_turn(number, "q", "m", Budget(), Sampling(), 1)
        with pytest.raises(Passing, match="disk is full"):
            history.append(turn, [Span(THOUGHT, "x" * 500_000)])
        assert history.turns(number)[-1].spans == ()
        history._db.execute("PRAGMA max_page_count = 1000000")
        history.append(turn, [Span(THOUGHT, "y" * 500_000)])
        assert history.turns(number)[-1].spans == (Span(THOUGHT, "y" * 500_000),)


def test_a_folder_in_its_place_is_told(tmp_path: Path) -> None:
    with pytest.raises(HistoryError) as refused:
        History(tmp_path)
    assert str(tmp_path) in refused.value.message
    assert refused.value.hint


def test_a_file_where_its_folder_should_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HistoryError, match="cannot be made") as refused:
        History(tmp_path / "file" / "history.db")
    assert "PONDER_HOME" in refused.value.hint


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write all")
@pytest.mark.parametrize("there", [True, False])
def test_a_folder_that_is_read_only_is_told(path: Path, there: bool) -> None:
    if there:
        filled(path, 1)
        path.chmod(0o400)
    path.parent.chmod(0o500)
    try:
        with pytest.raises(HistoryError) as refused:
            use_everything(path, 1)
    finally:
        path.parent.chmod(0o700)
    assert str(path.parent) in refused.value.hint


def test_a_path_may_hold_anything(tmp_path: Path) -> None:
    path = tmp_path / "a b%20?mode=ro#'\"é思" / "history.db"
    use_everything(path, filled(path, 1))


@pytest.mark.parametrize("missing", ["no such module: fts5", "no such tokenizer: trigram"])
def test_an_sqlite_without_the_index_is_told(
    path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    word = missing.rsplit(" ", 1)[1]
    change: Callable[[str], str] = lambda sql: sql.replace(word, "missing_" + word)  # noqa: E731
    steps = tuple(tuple(change(s) if "VIRTUAL" in s else s for s in x) for x in schema.MIGRATIONS)
    monkeypatch.setattr(schema, "MIGRATIONS", steps)
    with pytest.raises(HistoryError, match="no full-text index") as refused:
        History(path)
    assert "3.34" in refused.value.hint
