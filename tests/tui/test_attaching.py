"""What goes with a question in the chat: files, and whether all of it fits, told beforehand."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Input, OptionList

from ponder.attachments import split
from ponder.settings import BudgetSettings
from ponder.thinking.effort import Wish
from ponder.tui.dialogue import title
from ponder.tui.screens.attach import AttachScreen, entries
from ponder.tui.screens.chat_attaching import AttachedLine
from ponder.tui.screens.context import ContextScreen
from ponder.tui.widgets.question import QuestionView
from tui.play import Play, painted, playing, shown
from tui.stage import Opener, staged


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "work"
    (place / "src").mkdir(parents=True)
    (place / "src" / "one.py").write_text("one = 1\n")
    (place / "src" / "two.py").write_text("two = 2\n")
    (place / "src" / "logo.png").write_bytes(b"\x89PNG\x00")
    (place / "notes\x1b[2J.txt").write_text("notes\x1b[31m")
    monkeypatch.chdir(place)
    return place


async def attach(play: Play, path: str) -> AttachScreen:
    await play.press("alt+a")
    dialog = play.dialog(AttachScreen)
    dialog.query_one(Input).value = path
    await play.press("enter")
    await play.until(lambda: all(w.is_finished for w in play.app.workers if w.group == "attach"))
    await play.until(lambda: all(w.is_finished for w in play.app.workers if w.group == "count"))
    return dialog


def attached(dialog: AttachScreen) -> list[str]:
    options = dialog.query_one("#attached", OptionList).options
    return [str(option.prompt) for option in options]


async def test_a_folder_goes_before_the_question_and_is_folded(files: Path) -> None:
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        dialog = await attach(play, "src")
        assert [row.split()[-1] for row in attached(dialog)] == ["src/one.py", "src/two.py"]
        assert "logo.png (it is binary)" in shown(dialog.query_one("#problem"))
        await play.press("escape")
        line = play.chat.query_one(AttachedLine)
        await play.until(lambda: "left for thinking" in shown(line))
        assert shown(line).startswith("2 files · ")
        tokens = play.chat._attached_tokens
        await play.ask("Add them.")
        (turn,) = play.written()
        assert split(turn.question) == (
            [("src/one.py", "one = 1\n"), ("src/two.py", "two = 2\n")],
            "Add them.",
        )
        assert "one = 1" in play.prompts[-1]
        assert not line.display
        view = play.turn.query_one(QuestionView)
        assert shown(view) == f"▸ 2 files, {tokens:,} tokens: src/one.py, src/two.py\nAdd them."
        play.turn.query_one(QuestionView).focus()
        await play.press("enter")
        assert "one = 1" in shown(view)
        assert play.status.startswith("Add them.")


async def test_what_is_attached_is_taken_away_again(files: Path) -> None:
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        dialog = await attach(play, "src")
        await play.press("f8")
        await play.until(lambda: len(attached(dialog)) == 1)
        await play.press("f7")
        await play.until(lambda: attached(dialog) == [])
        await play.press("escape")
        assert not play.chat.query_one(AttachedLine).display
        await play.ask("Hello.")
        assert play.turn.question == "Hello."


async def test_the_same_file_is_there_once(files: Path) -> None:
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        await attach(play, "src")
        await play.press("escape")
        dialog = await attach(play, "src/one.py")
        assert sorted(row.split()[-1] for row in attached(dialog)) == ["one.py", "src/two.py"]


async def test_a_refusal_names_the_file_and_keeps_the_path(files: Path) -> None:
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        dialog = await attach(play, "src/logo.png")
        assert "src/logo.png cannot be attached: it is binary" in shown(
            dialog.query_one("#problem")
        )
        assert dialog.query_one(Input).value == "src/logo.png"


async def test_a_path_is_completed_and_gone_into(files: Path) -> None:
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        await play.press("alt+a", "s")
        dialog = play.dialog(AttachScreen)
        await play.until(lambda: dialog._entries == ["src/"])
        await play.press("tab")
        assert dialog.query_one(Input).value == "src/"
        await play.until(lambda: len(dialog._entries) == 3)
        await play.press("t", "tab")
        await play.until(lambda: dialog.query_one(Input).value.startswith("src/t"))


def test_folders_that_are_not_there_list_nothing(files: Path) -> None:
    assert entries("nowhere/x") == []
    assert entries("src/o") == ["one.py"]
    assert entries("\0") == []


async def test_nothing_in_a_name_or_a_file_is_obeyed(files: Path) -> None:
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        await attach(play, "notes\x1b[2J.txt")
        # The field shows a picture of it, which is another name: it is chosen in the list.
        await play.press("escape", "alt+a")
        dialog = play.dialog(AttachScreen)
        await play.until(lambda: len(dialog._entries) == 2)
        dialog._open(dialog._entries[0])
        await play.until(lambda: len(attached(dialog)) == 1)
        await play.press("escape")
        await play.ask("Read it.")
        play.turn.query_one(QuestionView).focus()
        await play.press("enter")
        assert "\x1b[31m" not in painted(play.app)
        assert "␛[31m" in shown(play.turn.query_one(QuestionView))


async def test_what_would_be_left_out_is_foretold_and_comes_true(files: Path) -> None:
    opener = Opener(n_ctx=700)
    budget = BudgetSettings(answer_reserve=64)
    async with playing(staged(opener, Wish(tokens=40), budget=budget), opener) as play:
        await play.ask("One " * 25)
        await play.ask("Two " * 25)
        play.composer.text = "Three " * 55
        await play.until(lambda: "would be left out" in play.subtitle)
        seen = play.chat.forecast
        assert seen is not None
        assert seen.left_out > 0
        await play.press("alt+g")
        assert "left out" in painted(play.app)
        play.dialog(ContextScreen)
        await play.press("escape")
        assert play.chatting
        await play.press("enter")
        await play.until(lambda: len(play.turns) == 3)
        await play.idle()
        assert f"{seen.left_out} earlier messages were left out" in play.receipt or (
            play.turn.trace is not None and play.turn.trace.usage.prompt >= seen.prompt
        )
        assert play.prompts[-1].count("<user>") == 3 - seen.left_out // 2
        assert "left out" not in play.subtitle


async def test_what_cannot_fit_is_told_before_it_is_asked(files: Path) -> None:
    opener = Opener(n_ctx=300)
    budget = BudgetSettings(answer_reserve=64)
    async with playing(staged(opener, Wish(tokens=8), budget=budget), opener) as play:
        play.composer.text = "xyz " * 100
        await play.until(lambda: play.subtitle.startswith("too long: "))
        play.composer.text = ""
        await play.until(lambda: play.subtitle.startswith("enter asks"))


def test_a_conversation_is_called_after_the_question_and_not_its_files() -> None:
    head = "[file name]: a.txt\n[file content begin]\nx\n[file content end]\n"
    assert title(head + "Why?") == "Why?"
    assert title(head) == "a.txt"
