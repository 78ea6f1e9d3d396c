"""Presets: files with a name, told by line where they are wrong, read back as they were kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from ponder.errors import InputError, SettingsError, UnknownName
from ponder.settings import BudgetSettings, SamplingSettings, Settings, overlaid, presets, value
from ponder.settings.presets import Preset

CAREFUL = """\
# for proofs
model = "r1-7b"
system = \"\"\"
Check each step,
twice.\"\"\"

[budget]
cap = "high"  # as long as it takes

[sampling]
temperature = 0.6
"""


def kept(folder: Path, text: str, name: str = "careful") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.toml"
    path.write_text(text)
    return path


def test_a_preset_is_a_part_of_the_settings(tmp_path: Path) -> None:
    preset = presets.read(kept(tmp_path, CAREFUL))
    base = Settings(model="mine", system="old", budget=BudgetSettings(cap=3, floor=2))
    assert preset.over(base) == Settings(
        model="r1-7b",
        system="Check each step,\ntwice.",
        budget=BudgetSettings(cap="high", floor=2),
        sampling=SamplingSettings(temperature=0.6),
    )
    assert preset.summary == "r1-7b · Check each step, twice. · cap high · temperature 0.6"


def test_adapters_stay_with_their_model() -> None:
    base = Settings(model="mine", lora=("a.gguf",))
    assert Preset("p", {"model": "other"}).over(base).lora == ()
    assert Preset("p", {"model": "mine"}).over(base).lora == ("a.gguf",)
    assert Preset("p", {"budget.cap": 3}).over(base).lora == ("a.gguf",)
    assert Preset("p", {"model": "other", "lora": ["b.gguf"]}).over(base).lora == ("b.gguf",)


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("model = 'x'\n\n[budget]\ncap = 'lots'\n", 4, "budget.cap cannot be 'lots'"),
        ("# a\nbudget.cap = -1", 2, "budget.cap cannot be -1"),
        ("model = 'x'\n[tui]\ntheme = 'x'\n", 3, "presets do not set 'tui.theme'"),
        ("[budget]\nfloor = 1\ncapp = 3\ncap = 4\n", 3, "presets do not set 'budget.capp'"),
        ("sytem = 'x'", 1, "presets do not set 'sytem'"),
        ("a = 1\nsystem = '''\nb\n'''", 1, "presets do not set 'a'"),
        ("system = '''\na\n'''\nsampling = 3", 4, "sampling is a table"),
        ("model = '''\nx'''\nlora = [\n  3,\n]\n", 5, "lora cannot be [3]"),
    ],
)
def test_what_is_wrong_is_told_by_line(tmp_path: Path, text: str, line: int, told: str) -> None:
    path = kept(tmp_path, text)
    with pytest.raises(SettingsError) as refused:
        presets.read(path)
    assert refused.value.message.startswith(f"{path}, line {line}: {told}")
    assert refused.value.hint


def test_broken_toml_is_told_by_line_too(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="line 2"):
        presets.read(kept(tmp_path, "model = 'x'\nsystem = y\n"))


def test_a_wrong_file_does_not_hide_the_right_ones(tmp_path: Path) -> None:
    kept(tmp_path, CAREFUL)
    kept(tmp_path, "model = 3", "wrong")
    kept(tmp_path, "", "with space")
    (tmp_path / "bytes.toml").write_bytes(b"model = '\xff'")
    (tmp_path / "notes.txt").write_text("no preset")
    good, wrong = presets.of_folder(tmp_path)
    assert [one.name for one in good] == ["careful"]
    assert [
        next(n for n in ("bytes.toml", "with space", "wrong.toml") if n in error.message)
        for error in wrong
    ] == ["bytes.toml", "with space", "wrong.toml"]
    assert presets.of_folder(tmp_path / "nowhere") == ([], [])


def test_a_name_that_is_not_there_lists_those_that_are(tmp_path: Path) -> None:
    kept(tmp_path, CAREFUL)
    with pytest.raises(UnknownName, match="carful") as refused:
        presets.find(tmp_path, "carful")
    assert "Did you mean careful?" in refused.value.hint
    for name in ("../careful", "", ".careful", "a/b"):
        with pytest.raises(UnknownName):
            presets.find(tmp_path, name)
        with pytest.raises(SettingsError, match="no name"):
            presets.save(tmp_path, name, {"budget.cap": 1})


def test_a_name_that_is_taken_is_not_taken_again(tmp_path: Path) -> None:
    path = kept(tmp_path, CAREFUL)
    with pytest.raises(InputError, match="already"):
        presets.save(tmp_path, "careful", {"budget.cap": 1})
    assert path.read_text() == CAREFUL
    presets.save(tmp_path, "careful", {"budget.cap": 1}, replace=True)
    assert presets.find(tmp_path, "careful").values == {"budget.cap": 1}
    presets.remove(tmp_path, "careful")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UnknownName):
        presets.remove(tmp_path, "careful")


def test_what_cannot_be_written_is_not_written(tmp_path: Path) -> None:
    for values in ({"system": "\udcff"}, {"budget.cap": -1}, {"model": 3}):
        with pytest.raises(SettingsError):
            presets.save(tmp_path, "p", values)
    assert list(tmp_path.iterdir()) == []


texts = st.text(st.characters(exclude_categories=["Cs"]))
chosen = st.fixed_dictionaries(
    {},
    optional={
        "model": texts,
        "system": texts,
        "lora": st.lists(texts, max_size=2),
        "budget.cap": st.integers(0, 10**9) | st.sampled_from(["off", "medium", "max"]),
        "budget.within": st.floats(0.1, 1e6),
        "budget.loops": st.booleans(),
        "sampling.temperature": st.floats(0, 10),
        "sampling.top_k": st.integers(0, 10**6),
        "engine.ctx": st.integers(1, 10**6),
    },
)


@examples(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(chosen, chosen)
def test_a_state_that_is_kept_comes_back(
    tmp_path: Path, now: dict[str, Any], before: dict[str, Any]
) -> None:
    base, wanted = overlaid(Settings(), before), overlaid(Settings(), now)
    presets.save(tmp_path, "p", presets.state(wanted, base), replace=True)
    preset = presets.find(tmp_path, "p")
    assert preset.over(Settings()) == wanted
    over = preset.over(base)
    for key in presets.allowed_keys():
        # That nothing is set cannot be said in TOML.
        if value(wanted, key) is not None:
            assert value(over, key) == value(wanted, key)
