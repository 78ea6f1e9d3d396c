"""Settings: a missing file is no error, a wrong one is told by file and field."""

from __future__ import annotations

import ast
import os
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
import tomlkit
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from ponder import settings
from ponder.errors import SettingsError, UnknownName
from ponder.settings import (
    BudgetSettings,
    Effort,
    EngineSettings,
    SamplingSettings,
    Settings,
    TuiSettings,
    allowed,
    known,
    manual,
    put,
    read,
    unset,
    value,
)
from ponder.thinking.effort import EFFORTS
from ponder.types import Budget, Sampling

EVERYTHING = """
model = "r1-7b"
system = "Be brief."
lora = ["fine.gguf", 'C:\\tuned.gguf:0.5']

[budget]
cap = 1000
floor = 10
answer_reserve = 100
max_answer = 200
within = 90.5
landing = false
loops = false
traces = 4
stop = "converged:2"

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

[tui]
theme = "mine"
thinking = "open"
tail_lines = 3
fold_when_done = false
extend = 64
mouse = false
plain = true
motion = false
latex = false

[tui.keys]
quit = "ctrl+q,q"
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
        lora=("fine.gguf", r"C:\tuned.gguf:0.5"),
        budget=BudgetSettings(
            cap=1000,
            floor=10,
            answer_reserve=100,
            max_answer=200,
            within=90.5,
            landing=False,
            loops=False,
            traces=4,
            stop="converged:2",
        ),
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
        tui=TuiSettings(
            theme="mine",
            thinking="open",
            tail_lines=3,
            fold_when_done=False,
            extend=64,
            mouse=False,
            plain=True,
            motion=False,
            latex=False,
            keys={"quit": "ctrl+q,q"},
        ),
    )
    for part, default in (
        (read_back, Settings()),
        (read_back.budget, BudgetSettings()),
        (read_back.sampling, SamplingSettings()),
        (read_back.engine, EngineSettings()),
        (read_back.tui, TuiSettings()),
    ):
        for field in msgspec.structs.fields(part):
            assert getattr(part, field.name) != getattr(default, field.name), field.name


def test_settings_and_requests_mean_the_same_by_default() -> None:
    own = BudgetSettings()
    assert own.cap is None
    assert own.base() == replace(Budget(), landing=True, loops=True)
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
        ("[budget]\ncap = '100'", ["budget.cap", "'100'"]),
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
        ("[tui]\nthinking = 'ajar'", ["tui.thinking", "ajar"]),
        ("[tui]\ntail_lines = 0", ["tui.tail_lines", ">= 1"]),
        ("[tui]\nextend = 0", ["tui.extend", ">= 1"]),
        ("[tui]\nmouse = 'yes'", ["tui.mouse"]),
        ("[tui.keys]\nquit = 3", ["tui.keys", "`str`"]),
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


# -- efforts --------------------------------------------------------------------------------


def test_the_efforts_are_those_that_thinking_knows() -> None:
    assert get_args(Effort) == tuple(EFFORTS)


@pytest.mark.parametrize("effort", EFFORTS)
def test_a_cap_may_be_an_effort(tmp_path: Path, effort: str) -> None:
    assert read(write(tmp_path, f"[budget]\ncap = '{effort}'")).budget.cap == effort


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("[budget]\ncap = 'lots'", "from 0, or off, low, medium, high, max"),
        ("[tui]\nthinking = 'ajar'", "tail, open, closed"),
        ("[engine]\nflash_attention = 'no'", "auto, on, off"),
    ],
)
def test_a_wrong_word_is_told_with_the_right_ones(tmp_path: Path, text: str, right: str) -> None:
    with pytest.raises(SettingsError) as refused:
        read(write(tmp_path, text))
    assert right in refused.value.hint


# -- keys and their manual ------------------------------------------------------------------


def test_every_key_has_a_value_a_manual_and_says_what_it_may_be() -> None:
    parts = [name for name in Settings.__struct_fields__ if f"{name}" not in known()]
    assert parts == ["budget", "sampling", "engine", "tui"]
    assert set(manual()) == {*known(), *parts}
    assert all(manual().values())
    for key in known():
        assert allowed(key)
        value(Settings(), key)
    assert value(Settings(), "tui.tail_lines") == 8
    assert manual()["tui.tail_lines"] == "Lines that a tail shows."
    assert "\n" not in "".join(manual().values())


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("model", "a text"),
        ("budget.cap", "a whole number from 0, or off, low, medium, high, max"),
        ("budget.max_answer", "a whole number from 1"),
        ("sampling.top_p", "a number above 0 up to 1"),
        ("tui.mouse", "true or false"),
        ("tui.keys", "a table of names and texts"),
        ("tui.keys.quit", "a text"),
    ],
)
def test_what_a_setting_may_be_is_told_in_words(key: str, words: str) -> None:
    assert allowed(key) == words


@pytest.mark.parametrize(
    "key", ["", ".", "modle", "budget", "budget.", ".cap", "budget.capp", "model.x", "tui.keys."]
)
def test_a_wrong_key_lists_the_right_ones(tmp_path: Path, key: str) -> None:
    path = write(tmp_path, EVERYTHING)
    for use in (
        lambda: value(Settings(), key),
        lambda: allowed(key),
        lambda: put(path, key, "x"),
        lambda: unset(path, key),
    ):
        with pytest.raises(UnknownName) as refused:
            use()
        assert "budget.cap" in refused.value.hint
    assert path.read_text() == EVERYTHING


def test_what_a_file_sets_is_told_by_key(tmp_path: Path) -> None:
    assert settings.given(tmp_path / "nowhere.toml") == ()
    text = "system = ''\n[tui.keys]\n'a.b' = 'x'\n[budget]\nfloor = 0\n"
    told = settings.given(write(tmp_path, text))
    assert told == ("system", "budget.floor", "tui.keys.a.b")
    assert value(read(tmp_path / "config.toml"), "tui.keys.a.b") == "x"
    everything = settings.given(write(tmp_path, EVERYTHING))
    assert everything == (*(k for k in known() if k != "tui.keys"), "tui.keys.quit")


# -- writing --------------------------------------------------------------------------------

WRITTEN = """\
# mine
model = "r1-7b"  # the small one

[budget]
# enough for sums
cap = 1000  # at most

[tui.keys]
quit = "q"
"""


def test_a_value_is_put_where_it_was_and_the_rest_stays(tmp_path: Path) -> None:
    path = write(tmp_path, WRITTEN)
    put(path, "budget.cap", "low")
    assert path.read_text() == WRITTEN.replace("cap = 1000", 'cap = "low"')
    put(path, "budget.cap", 1000)
    assert path.read_text() == WRITTEN


def test_what_was_not_there_is_added(tmp_path: Path) -> None:
    path = write(tmp_path, WRITTEN)
    for key, new in (
        ("system", "Be brief."),
        ("budget.floor", 3),
        ("sampling.temperature", 0),
        ("tui.theme", "mine"),
        ("tui.keys.help", "f1"),
    ):
        put(path, key, new)
        assert value(read(path), key) == new
    assert read(path).tui.keys == {"quit": "q", "help": "f1"}
    before = [line for line in WRITTEN.splitlines() if line]
    assert [line for line in path.read_text().splitlines() if line in before] == before


def test_a_file_and_its_folder_are_made(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "config.toml"
    put(path, "budget.cap", 7)
    assert read(path).budget.cap == 7
    assert list(path.parent.iterdir()) == [path]


def test_a_key_is_taken_out(tmp_path: Path) -> None:
    path = write(tmp_path, WRITTEN)
    assert unset(path, "tui.keys.quit")
    assert not unset(path, "tui.keys.quit")
    assert not unset(path, "sampling.top_p")
    put(path, "model", None)
    assert read(path) == Settings(budget=BudgetSettings(cap=1000))
    assert "# enough for sums" in path.read_text()


def test_a_wrong_value_is_taken_out_and_so_is_a_wrong_key(tmp_path: Path) -> None:
    path = write(tmp_path, "[budget]\ncap = 'lots'\n")
    assert unset(path, "budget.cap")
    assert read(path) == Settings()
    path = write(tmp_path, "modle = 'x'\n")
    with pytest.raises(SettingsError, match="modle"):
        put(path, "budget.cap", 3)
    assert unset(path, "modle")
    assert read(path) == Settings()


@pytest.mark.parametrize(
    ("key", "new"),
    [
        ("budget.cap", -1),
        ("budget.cap", 1.5),
        ("budget.cap", "lots"),
        ("budget.cap", True),
        ("model", 3),
        ("model", ["a"]),
        ("sampling.top_p", 2),
        ("sampling.temperature", float("nan")),
        ("tui.mouse", "yes"),
        ("tui.keys", "x"),
        ("tui.keys.quit", 3),
        ("tui.keys", {"quit": 3}),
        ("system", "\udcff"),
    ],
)
def test_a_wrong_value_changes_nothing(tmp_path: Path, key: str, new: object) -> None:
    path = write(tmp_path, WRITTEN)
    with pytest.raises(SettingsError) as refused:
        put(path, key, new)
    assert key in refused.value.message
    assert refused.value.hint
    assert path.read_text() == WRITTEN
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("text", ["= 3", "budget = 3", "model = 'a'\nmodel = 'b'", "[tui]\nx = 1"])
def test_a_file_that_is_wrong_elsewhere_is_left_alone(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(SettingsError) as refused:
        put(path, "budget.cap", 3)
    assert str(path) in refused.value.message
    assert path.read_text() == text


def test_a_link_is_followed_and_stays(tmp_path: Path) -> None:
    target = tmp_path / "dotfiles" / "ponder.toml"
    link = tmp_path / "config.toml"
    link.symlink_to(target)
    put(link, "model", "a")  # where it points there is nothing yet
    put(link, "model", "b")
    assert link.is_symlink()
    assert read(target).model == "b"


def test_the_mode_of_the_file_is_kept(tmp_path: Path) -> None:
    path = write(tmp_path, WRITTEN)
    for mode in (0o600, 0o640, 0o664):
        path.chmod(mode)
        put(path, "budget.cap", mode)
        assert path.stat().st_mode & 0o7777 == mode


def test_what_cannot_be_written_is_told_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, WRITTEN)

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SettingsError, match="No space left") as refused:
        put(path, "budget.cap", 3)
    assert str(tmp_path) in refused.value.hint
    assert path.read_text() == WRITTEN
    assert list(tmp_path.iterdir()) == [path]


DOTTED = "budget.cap = 3\nmodel = 'x'\ntui.keys.a = 'b'\n"
LAYOUTS = (
    "",
    WRITTEN,
    EVERYTHING,
    EVERYTHING.replace("\n", "\r\n"),
    DOTTED,
    "budget = {cap = 3}\ntui = {keys = {a = 'b'}, mouse = false}",
    "[tui.keys]\na = 'b'\n[budget]\ncap = 3\n[tui]\nmouse = false",
    "# nothing but this",
)
texts = st.text(st.characters(exclude_categories=["Cs"]))
changes: st.SearchStrategy[tuple[str, Any]] = st.one_of(
    st.tuples(st.sampled_from(["model", "system", "tui.theme", "engine.kv_type_k"]), texts),
    st.tuples(texts.filter(bool).map("tui.keys.{}".format), texts),
    st.tuples(st.just("tui.keys"), st.dictionaries(texts, texts, max_size=3)),
    st.tuples(st.just("tui.mouse"), st.booleans()),
    st.tuples(st.just("budget.cap"), st.integers(0, 10**9) | st.sampled_from(list(EFFORTS))),
    st.tuples(st.just("sampling.temperature"), st.floats(0, 1e6)),
    st.tuples(st.sampled_from([k for k in known() if k != "tui.keys"]), st.none()),
)


@examples(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.sampled_from(LAYOUTS), st.lists(changes, max_size=6))
def test_whatever_is_put_is_read_back(
    tmp_path: Path, text: str, changed: list[tuple[str, Any]]
) -> None:
    path = write(tmp_path, text)
    wanted = {key: value(read(path), key) for key in known()}
    for key, new in changed:
        before = path.read_bytes()
        try:
            put(path, key, new)
        except SettingsError as refused:
            # tomlkit loses its way in tables that are begun with dots in several places.
            assert text == DOTTED
            assert "by hand" in refused.hint
            assert path.read_bytes() == before
            continue
        if key.startswith("tui.keys."):
            name = key.removeprefix("tui.keys.")
            wanted["tui.keys"] = wanted["tui.keys"] | {name: new}
        else:
            wanted[key] = value(Settings(), key) if new is None else new
        assert {key: value(read(path), key) for key in known()} == wanted
    for comment in (line for line in text.splitlines() if line.startswith("#")):
        assert comment in path.read_text()
    tomllib.loads(path.read_bytes().decode())


def test_what_cannot_be_written_faithfully_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, WRITTEN)
    monkeypatch.setattr(tomlkit.TOMLDocument, "as_string", lambda _document: "model = 'y'")
    with pytest.raises(SettingsError, match="cannot be written") as refused:
        put(path, "model", "x")
    assert "by hand" in refused.value.hint
    assert path.read_text() == WRITTEN
