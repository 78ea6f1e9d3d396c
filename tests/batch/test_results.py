"""Results on disk: torn lines are cut off, nothing counts twice, tokens that a kill cost count."""

from __future__ import annotations

from pathlib import Path

import pytest

from ponder.batch.results import Result, opened
from ponder.errors import Busy, InputError


def result(digest: str, think: int = 10, settings: str = "s", finish: str = "closed") -> Result:
    return Result(
        id=digest,
        line=1,
        digest=digest,
        settings=settings,
        answer="4",
        right=None,
        think=think,
        finish=finish,
        answer_end="stop",
    )


def test_what_was_written_is_known_again(tmp_path: Path) -> None:
    with opened(tmp_path / "r.jsonl", "s") as results:
        results.add(result("a"))
        results.add(result("b", 7))
    with opened(tmp_path / "r.jsonl", "s") as results:
        assert results.done == {"a": result("a"), "b": result("b", 7)}
        assert results.spent == 17


@pytest.mark.parametrize("cut", [1, 10, 100])
def test_a_torn_line_is_cut_off(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "r.jsonl"
    with opened(path, "s") as results:
        results.add(result("a"))
        whole = path.read_bytes()
        results.add(result("b"))
    path.write_bytes(path.read_bytes()[: len(whole) + cut])
    with opened(path, "s") as results:
        assert list(results.done) == ["a"]
        results.add(result("b"))
    assert path.read_bytes().count(b"\n") == 2
    with opened(path, "s") as results:
        assert (list(results.done), results.passed_over) == (["a", "b"], 0)


def test_other_settings_and_other_lines_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text("a note of mine\n")
    with opened(path, "other") as results:
        results.add(result("a", 5, settings="other"))
    before = path.read_bytes()
    with opened(path, "s") as results:
        assert (results.done, results.spent, results.passed_over) == ({}, 0, 1)
        results.add(result("a"))
    assert path.read_bytes().startswith(before)


def test_what_was_dealt_and_never_told_of_is_spent(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    with opened(path, "s") as results:
        results.dealt("a", 32)
        results.dealt("b", 32)
        results.dealt("b", 32)
        results.add(result("a", 20))
        # Killed here: nobody settles.
    with opened(path, "s") as results:
        assert results.spent == 20 + 64
        results.dealt("b", 16)
    with opened(path, "s") as results:
        assert results.spent == 20 + 64 + 16
        results.add(result("b", 12))
        results.settle()
    with opened(path, "s") as results:
        assert results.spent == 20 + 64 + 16 + 12


def test_a_cancelled_question_is_asked_again_and_its_tokens_count(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    with opened(path, "s") as results:
        results.dealt("a", 32)
        results.add(result("a", 25, finish="cancelled"))
        results.settle()
    with opened(path, "s") as results:
        assert not results.done
        assert results.spent == 25
    assert not path.with_name("r.jsonl.dealt").exists()


def test_nobody_else_writes_there_meanwhile(tmp_path: Path) -> None:
    with opened(tmp_path / "r.jsonl", "s"), pytest.raises(Busy), opened(tmp_path / "r.jsonl", "s"):
        pass


def test_what_is_no_place_for_results_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere" / "r.jsonl"):
        with pytest.raises(InputError), opened(path, "s"):
            pass
