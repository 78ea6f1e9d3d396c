"""What is shipped, and what newcomers are promised by Makefile and .ci/run."""

from __future__ import annotations

import os
import re
import subprocess
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("folder", ["app", "packaging", "quantize", "tests", "tests/packaging"])
def test_source_roots_are_not_packages(folder: str) -> None:
    """As packages they would break hatchling's layout, and shadow PyPI's `packaging`."""
    assert not (ROOT / folder / "__init__.py").exists()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The names in ponder's own wheel."""
    folder = tmp_path_factory.mktemp("dist")
    (built,) = WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])
    with zipfile.ZipFile(built) as archive:
        return archive.namelist()


def test_the_wheel_brings_ponder_its_quantizer_and_nothing_else(wheel: list[str]) -> None:
    tops = {name.partition("/")[0] for name in wheel}
    ours = {"ponder", "ponder_quantize"}
    assert ours <= tops
    (info,) = tops - ours
    assert re.fullmatch(r"ponder-[\w.]+\.dist-info", info)


def test_the_wheel_brings_its_data_and_its_types(wheel: list[str]) -> None:
    assert "ponder/models.toml" in wheel
    assert "ponder/py.typed" in wheel
    assert "ponder/evaluation/sets/everyday.jsonl" in wheel
    assert any(re.fullmatch(r"ponder/builtin/[^/]+\.gguf", name) for name in wheel)
    assert any(name.endswith(".dist-info/entry_points.txt") for name in wheel)


def test_the_wheel_brings_all_files_of_the_question_bank(wheel: list[str]) -> None:
    folder = ROOT / "app/ponder/evaluation/bank"
    files = [*folder.glob("*.bank"), *folder.glob("*.txt")]
    assert files
    assert {f"ponder/evaluation/bank/{file.name}" for file in files} <= set(wheel)


def make(*words: str) -> str:
    """What make says it would do, whatever is set up already."""
    env = {
        name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFL"))
    }
    return subprocess.run(
        ["make", "-f", str(ROOT / "Makefile"), *words],
        cwd=ROOT,
        env=env,
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def test_help_is_the_default_and_lists_every_target() -> None:
    text = make()
    assert text == make("help")
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert phony
    for target in phony[1].split():
        assert re.search(rf"^  make {target} +\S", text, re.MULTILINE), target


def test_one_call_sets_up_once(tmp_path: Path) -> None:
    told = make("-n", f"VENV={tmp_path}/venv", "check", "test")
    assert told.count("llama_wheel.py") == 1
    assert told.count("--editable") == 1
    assert told.count("-m pytest") == 1
    assert told.index("lint-imports") < told.index("-m pytest")


def test_set_up_work_is_redone_when_its_reasons_change(tmp_path: Path) -> None:
    stamps = tmp_path / "venv" / ".stamps"
    stamps.mkdir(parents=True)
    for name in ("venv", "engine", "app", "dev"):
        (stamps / name).touch()
    words = ("-n", f"VENV={tmp_path}/venv")
    for target in ("setup", "demo", "test", "check"):
        assert "pip install" not in make(*words, target), target
    project = make(*words, "-W", "pyproject.toml", "test")
    assert "--editable" in project and "llama_wheel.py" not in project
    pin = make(*words, "-W", "packaging/llama-cpp-python.txt", "test")
    assert "--editable" in pin and "llama_wheel.py" in pin


def test_demo_is_the_main_job(tmp_path: Path) -> None:
    asked = make("-n", f"VENV={tmp_path}/venv", "demo").splitlines()[-1]
    assert "/bin/ponder ask --floor 100 --budget 320 --temperature 0 " in asked
    assert "  " not in asked


def test_ci_is_a_program_that_bash_can_read() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", str(script)], check=True)
