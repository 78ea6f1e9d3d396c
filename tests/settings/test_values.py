"""Values by key: what is typed means what config.toml would read, or is refused like there."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from ponder.errors import PonderError, SettingsError, UnknownName
from ponder.settings import (
    Settings,
    choices,
    differing,
    item,
    known,
    overlaid,
    put,
    read,
    typed,
    value,
)

PLAIN = [key for key in known() if key != "tui.keys"]


@pytest.mark.parametrize(
    ("key", "text", "meant"),
    [
        ("budget.cap", "512", 512),
        ("budget.cap", "medium", "medium"),
        ("model", "7", "7"),
        ("model", "r1-7b", "r1-7b"),
        ("system", "say = it", "say = it"),
        ("system", '"in quotes"', "in quotes"),
        ("tui.mouse", "false", False),
        ("lora", '["a.gguf"]', ["a.gguf"]),
        ("tui.keys.quit", "ctrl+q,q", "ctrl+q,q"),
    ],
)
def test_what_is_typed_is_what_it_looks_like(key: str, text: str, meant: object) -> None:
    assert typed(key, text) == meant


@pytest.mark.parametrize("key", known())
def test_nonsense_says_what_is_right(key: str) -> None:
    if value(Settings(), key).__class__ is str and not choices(key):
        assert typed(key, "[[") == "[["  # a text may be anything
        return
    with pytest.raises(SettingsError, match=key) as refused:
        typed(key, "[[")
    assert "Right for" in refused.value.hint


def test_few_choices_are_listed() -> None:
    assert choices("tui.mouse") == (True, False)
    assert choices("engine.flash_attention") == ("auto", "on", "off")
    assert choices("budget.cap") == choices("model") == choices("tui.keys.quit") == ()
    with pytest.raises(UnknownName):
        choices("budget.capp")


def test_nothing_brings_the_default_back() -> None:
    changed = overlaid(Settings(), {"budget.cap": 3, "tui.keys.quit": "q", "model": "x"})
    assert differing(changed, Settings()) == ("model", "budget.cap", "tui.keys")
    back = overlaid(changed, {"budget.cap": None, "tui.keys": None, "model": None})
    assert back == Settings()


def test_one_wrong_value_among_right_ones_is_named() -> None:
    with pytest.raises(SettingsError, match=r"budget\.floor cannot be -1"):
        overlaid(Settings(), {"budget.cap": 3, "budget.floor": -1})


@examples(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.sampled_from(PLAIN), st.text() | st.integers().map(str) | st.floats().map(str))
def test_what_is_taken_is_taken_by_the_file_as_well(tmp_path: Path, key: str, text: str) -> None:
    path = tmp_path / "config.toml"
    path.unlink(missing_ok=True)
    try:
        meant = typed(key, text)
    except SettingsError as error:
        with pytest.raises(PonderError) as refused:
            put(path, key, text)
        assert refused.value.hint == error.hint
        return
    try:
        put(path, key, meant)
    except SettingsError as error:
        assert "by hand" in error.hint  # no TOML holds half a surrogate pair
        return
    now = read(path)
    assert now == overlaid(Settings(), {key: meant})
    again = typed(key, item(value(now, key)).as_string())
    assert overlaid(Settings(), {key: again}) == now
