"""Settings: a missing file is no error, a wrong one is told by file and field."""

from __future__ import annotations

import ast
from pathlib import Path

import msgspec
import pytest

from ponder import settings
from ponder.errors import SettingsError
from ponder.settings import BudgetSettings, EngineSettings, SamplingSettings, Settings, read
from ponder.types import Budget, Sampling

EVERYTHING = """
model = "r1-7b"
system = "Be brief."

[budget]
cap = 1000
floor = 10
answer_reserve = 100
max_answer = 200

[sampling]
temperature = 0.5
top_p = 0.9
top_k = 40
min_p = 0.05
repeat_penalty = 1.1
dry_multiplier = 0.8

[engine]
ctx = 8192
gpu_layers = 0
threads = 3
flash_attention = "off"
kv_type_k = "q8_0"
kv_type_v = "q4_0"
"""


def write(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "config.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_no_file_means_the_defaults(tmp_path: Path) -> None:
    assert read(tmp_path / "nowhere" / "config.toml") == Settings()


@pytest.mark.parametrize("text", ["", "# nothing\n", "[budget]\n[engine]\n"])
def test_what_is_not_set_keeps_its_default(tmp_path: Path, text: str) -> None:
    assert read(write(tmp_path, text)) == Settings()


def test_everything_can_be_set(tmp_path: Path) -> None:
    read_back = read(write(tmp_path, EVERYTHING))
    assert read_back == Settings(
        model="r1-7b",
        system="Be brief.",
        budget=BudgetSettings(cap=1000, floor=10, answer_reserve=100, max_answer=200),
        sampling=SamplingSettings(
            temperature=0.5,
            top_p=0.9,
            top_k=40,
            min_p=0.05,
            repeat_penalty=1.1,
            dry_multiplier=0.8,
        ),
        engine=EngineSettings(
            ctx=8192,
            gpu_layers=0,
            threads=3,
            flash_attention="off",
            kv_type_k="q8_0",
            kv_type_v="q4_0",
        ),
    )
    for part, default in (
        (read_back, Settings()),
        (read_back.budget, BudgetSettings()),
        (read_back.sampling, SamplingSettings()),
        (read_back.engine, EngineSettings()),
    ):
        for field in msgspec.structs.fields(part):
            assert getattr(part, field.name) != getattr(default, field.name), field.name


def test_settings_and_requests_mean_the_same_by_default() -> None:
    own = BudgetSettings()
    assert Budget() == Budget(own.cap, own.floor, True, own.answer_reserve, own.max_answer)
    assert set(SamplingSettings.__struct_fields__) <= set(Sampling.__slots__)


def test_a_byte_order_mark_is_no_error(tmp_path: Path) -> None:
    assert read(write(tmp_path, b'\xef\xbb\xbfmodel = "r1-7b"')).model == "r1-7b"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("modle = 'r1'", ["modle"]),
        ("[budget]\ncapp = 1", ["capp", "budget"]),
        ("[server]\nport = 1", ["server"]),
        ("model = 3", ["model", "`str`", "`int`"]),
        ("budget = 3", ["budget"]),
        ("[budget]\ncap = '100'", ["budget.cap", "`str`"]),
        ("[budget]\ncap = 1.5", ["budget.cap"]),
        ("[budget]\ncap = -1", ["budget.cap", ">= 0"]),
        ("[budget]\nfloor = -1", ["budget.floor", ">= 0"]),
        ("[budget]\nmax_answer = 0", ["budget.max_answer", ">= 1"]),
        ("[sampling]\ntemperature = -0.1", ["sampling.temperature", ">= 0"]),
        ("[sampling]\ntemperature = nan", ["sampling.temperature"]),
        ("[sampling]\ntop_p = 0", ["sampling.top_p", "> 0"]),
        ("[sampling]\ntop_p = 1.5", ["sampling.top_p", "<= 1"]),
        ("[sampling]\nrepeat_penalty = 0", ["sampling.repeat_penalty"]),
        ("[engine]\nctx = 0", ["engine.ctx", ">= 1"]),
        ("[engine]\nthreads = true", ["engine.threads"]),
        ("[engine]\nflash_attention = 'maybe'", ["engine.flash_attention", "maybe"]),
        ("model = \nsystem = 'a'", ["line 1"]),
        ("model = 'a'\nmodel = 'b'", ["overwrite"]),
        (b"model = '\xff\xfe'", ["UTF-8"]),
        ("model = 'a'".encode("utf-16"), ["UTF-8"]),
    ],
)
def test_what_is_wrong_is_told_by_file_and_field(
    tmp_path: Path, text: str | bytes, told: list[str]
) -> None:
    path = write(tmp_path, text)
    with pytest.raises(SettingsError) as refused:
        read(path)
    assert str(path) in refused.value.message
    assert str(path) in refused.value.hint
    for word in told:
        assert word in refused.value.message


def test_a_folder_in_its_place_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read") as refused:
        read(tmp_path)
    assert str(tmp_path) in refused.value.hint


def test_a_file_where_its_folder_should_be_is_told(tmp_path: Path) -> None:
    path = write(tmp_path, "") / "config.toml"
    with pytest.raises(SettingsError, match="cannot be read") as refused:
        read(path)
    assert str(path) in refused.value.hint


def fields_without_manual(source: str) -> list[str]:
    """Annotated names in classes that no docstring follows."""
    missing = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.ClassDef):
            continue
        for field, after in zip(node.body, [*node.body[1:], ast.Pass()], strict=True):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                text = after.value if isinstance(after, ast.Expr) else None
                if not (isinstance(text, ast.Constant) and isinstance(text.value, str)):
                    missing.append(f"{node.name}.{field.target.id}")
    return missing


def test_every_setting_has_its_manual_under_it() -> None:
    assert fields_without_manual(Path(settings.__file__).read_text("utf-8")) == []


def test_a_setting_without_a_manual_would_be_found() -> None:
    source = 'class A:\n    """Doc."""\n    a: int = 1\n    """Good."""\n    b: int = 2\n'
    assert fields_without_manual(source) == ["A.b"]
