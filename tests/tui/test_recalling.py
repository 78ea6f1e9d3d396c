"""The questions of the past in the composer, and a question in the user's own editor."""

from __future__ import annotations

from pathlib import Path

import pytest

from ponder.errors import InputError
from ponder.tui import editor
from tui.play import Play, playing
from tui.stage import Opener, staged, typed


async def up(play: Play, text: str) -> None:
    await play.press("up")
    await play.until(lambda: play.composer.text == text)


async def test_up_and_down_walk_the_past_and_lose_nothing() -> None:
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        await play.ask("first")
        await play.ask("second")
        await play.ask("second")
        await typed(play.pilot, "draft")
        await up(play, "second")
        await typed(play.pilot, "my ")
        await up(play, "first")
        await play.press("up")
        assert play.composer.text == "first"
        await play.press("down")
        assert play.composer.text == "my second"
        await play.press("down")
        assert play.composer.text == "draft"
        await play.press("down")
        assert play.composer.text == "draft"


async def test_the_past_of_other_sessions_is_there_too() -> None:
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        await play.ask("of long ago\non two lines")
    again = Opener()
    async with playing(staged(again), again) as play:
        await up(play, "of long ago\non two lines")
        assert play.composer.cursor_location == (0, 0)


async def test_the_cursor_of_a_longer_text_is_its_own() -> None:
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        await play.ask("before")
        play.composer.take("one\ntwo\n" + "three " * 40)
        lines = play.composer.wrapped_document.height
        for _ in range(lines - 1):
            await play.press("up")
            assert play.composer.text.startswith("one\ntwo")
        assert play.composer.cursor_location[0] == 0
        await up(play, "before")
        await play.press("down")
        assert play.composer.text.startswith("one\ntwo")


def an_editor(tmp_path: Path, script: str) -> str:
    path = tmp_path / "my editor"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return f"'{path}' --wait"


def test_an_editor_changes_a_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDITOR", "not this one")
    monkeypatch.setenv("VISUAL", an_editor(tmp_path, 'printf "more\\n" >> "$2"'))
    assert editor.edited("some and ") == "some and more"
    assert editor.edited("\udcff") == "\udcffmore"


@pytest.mark.parametrize(
    ("script", "told"), [("exit 3", r"failed \(3\)\.$"), ('rm "$2"', "did not work")]
)
def test_an_editor_that_fails_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, told: str
) -> None:
    monkeypatch.setenv("VISUAL", an_editor(tmp_path, script))
    with pytest.raises(InputError, match=told):
        editor.edited("text")


def test_what_a_failing_editor_wrote_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VISUAL", an_editor(tmp_path, 'printf work >> "$2"; exit 1'))
    with pytest.raises(InputError, match="What it wrote is in") as failed:
        editor.edited("my ")
    path = Path(failed.value.message.rpartition("is in ")[2].rstrip("."))
    assert path.read_text() == "my work"
    path.unlink()


@pytest.mark.parametrize("said", ["/nowhere/editor", "'unclosed"])
def test_an_editor_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setenv("VISUAL", said)
    with pytest.raises(InputError) as failed:
        editor.edited("text")
    assert "VISUAL" in failed.value.hint


async def test_where_the_terminal_cannot_be_lent_it_is_told() -> None:
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        await typed(play.pilot, "draft")
        await play.press("alt+v")
        assert any("cannot be lent" in note for note in play.notices)
        assert play.composer.text == "draft"
