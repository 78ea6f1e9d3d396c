"""Results on disk: what a kill leaves is gone on with, and nothing counts twice."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ponder.errors import Busy, InputError
from ponder.evaluation.journal import RESULTS, Journal, Result, Run, opened


def run(**other: object) -> Run:
    facts: dict[str, object] = {"model": "m/x y", "weights": "abc", "questions": "set", "seed": 1}
    facts |= {"sampling": {"temperature": 0.6}, "budget": {"landing": True, "max_answer": None}}
    return Run(**(facts | {"context": 2048} | other))  # type: ignore[arg-type]


def result(item: int, right: bool = True, condition: str = "natural") -> Result:
    text = "A line\u2028that goes on\nand on."
    return Result(
        condition=condition, item=str(item), sample=0, seed=item, right=right, think=9, text=text
    )


def held(folder: Path, **other: object) -> list[Result]:
    with opened(folder, run(**other)) as journal:
        return list(journal.results.values())


def filled(folder: Path, count: int = 3) -> None:
    with opened(folder, run()) as journal:
        for at in range(count):
            journal.add(result(at))


def test_results_are_found_again(tmp_path: Path) -> None:
    filled(tmp_path / "made" / "here")
    assert held(tmp_path / "made" / "here") == [result(0), result(1), result(2)]


def test_a_result_counts_once(tmp_path: Path) -> None:
    filled(tmp_path)
    with opened(tmp_path, run()) as journal:
        journal.add(result(1, right=False))
        journal.add(result(1, condition="budget 8"))
    lines = (tmp_path / RESULTS).read_bytes()
    assert lines.count(b"\n") == 4
    # Even where somebody has put two files together.
    (tmp_path / RESULTS).write_bytes(lines + lines)
    assert len(held(tmp_path)) == 4
    assert held(tmp_path)[1].right


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(st.data())
def test_a_kill_at_any_byte_costs_one_line(tmp_path: Path, data: st.DataObject) -> None:
    folder = tmp_path / "run"
    with opened(folder, run(), again=True) as journal:
        for at in range(3):
            journal.add(result(at))
    whole = (folder / RESULTS).read_bytes()
    cut = data.draw(st.integers(0, len(whole)))
    (folder / RESULTS).write_bytes(whole[:cut])
    kept = whole[:cut].count(b"\n")
    assert held(folder) == [result(at) for at in range(kept)]
    with opened(folder, run()) as journal:
        assert journal.damaged == 0
        for at in range(3):
            journal.add(result(at))
    assert (folder / RESULTS).read_bytes() == whole


def test_a_line_that_is_no_result_is_passed_over(tmp_path: Path) -> None:
    filled(tmp_path)
    lines = (tmp_path / RESULTS).read_bytes().splitlines(keepends=True)
    (tmp_path / RESULTS).write_bytes(lines[0] + b"\0\0\0\n{}\n" + lines[1])
    with opened(tmp_path, run()) as journal:
        assert journal.damaged == 2
        assert list(journal.results.values()) == [result(0), result(1)]


@pytest.mark.parametrize("change", ["seed", "context"])
def test_another_run_is_refused(tmp_path: Path, change: str) -> None:
    filled(tmp_path)
    with pytest.raises(InputError) as caught:
        held(tmp_path, **{change: 77})
    assert f"{change} was" in caught.value.message
    assert "--again" in caught.value.hint
    with opened(tmp_path, run(**{change: 77}), again=True) as journal:
        assert journal.results == {}
    assert held(tmp_path, **{change: 77}) == []


def test_results_of_nobody_knows_what_are_refused(tmp_path: Path) -> None:
    (tmp_path / RESULTS).write_bytes(msgspec.json.encode(result(0)) + b"\n")
    with pytest.raises(InputError, match=r"no run\.json"):
        held(tmp_path)
    (tmp_path / "run.json").write_bytes(b"{")
    with pytest.raises(InputError, match="cannot be read"):
        held(tmp_path)
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(InputError, match="is no folder"):
        held(file)


def test_what_a_condition_allowed_stays(tmp_path: Path) -> None:
    with opened(tmp_path, run()) as journal:
        assert journal.pin("low", 80) == 80
        assert journal.pin("natural", None) is None
    with opened(tmp_path, run()) as journal:
        # More was measured meanwhile, and low would mean something else.
        assert journal.pin("low", 95) == 80
        assert journal.pin("high", 95) == 95
        assert journal.caps == {"low": 80, "natural": None, "high": 95}


def test_one_at_a_time(tmp_path: Path) -> None:
    with opened(tmp_path, run()) as journal, pytest.raises(Busy):
        assert isinstance(journal, Journal)
        held(tmp_path)


def test_a_folder_s_name_is_of_what_is_measured() -> None:
    assert run().name.startswith("set-m-x-y-")
    assert run().name == run(caps={"low": 5}).name
    assert run(questions="../up").name.count("/") == 0
    assert len({run(seed=seed).name for seed in range(5)}) == 5
