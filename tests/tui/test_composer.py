"""Writing a question: lines, pastes, and screens of any size."""

from __future__ import annotations

import pytest
from textual import events

from ponder.tui.screens.chat import ChatScreen
from ponder.tui.widgets.composer import LONG_PASTE, Composer
from tui.play import Play, painted, playing
from tui.stage import QUESTION, Opener, staged

MEGABYTE = "Lorem ipsum dolor. " * 55_000


def brief(n_ctx: int = 4096) -> Opener:
    """Its vocabulary cuts nothing out of what is pasted."""
    return Opener("Hm.", answer="Fine.", n_ctx=n_ctx)


async def paste(play: Play, text: str) -> None:
    play.app.post_message(events.Paste(text))
    await play.pilot.pause()


@pytest.mark.parametrize("key", ["ctrl+j", "shift+enter", "alt+enter"])
async def test_a_question_may_have_several_lines(key: str) -> None:
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        await play.press("a", key, "b", key, key, "c")
        assert play.composer.text == "a\nb\n\nc"
        await play.press("enter")
        await play.until(lambda: len(play.told) == 2)
        assert "<user>a\nb\n\nc<assistant>" in play.prompts[0]


async def test_a_short_paste_stands_in_the_text() -> None:
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        await paste(play, "one\ntwo")
        assert play.composer.text == "one\ntwo"
        assert play.told == []


async def test_a_long_paste_is_kept_aside_and_sent_whole() -> None:
    opener = brief(1 << 16)
    long = "".join(f"{number}, " for number in range(5_000))
    assert len(long) > LONG_PASTE
    async with playing(staged(opener), opener) as play:
        await play.press("A", ":")
        await paste(play, long)
        assert play.composer.text == f"A:[paste 1: {len(long):,} characters]"
        await paste(play, long[::-1])
        await play.press("!")
        await play.press("enter")
        await play.until(lambda: len(play.told) == 2)
        assert f"<user>A:{long}{long[::-1]}!<assistant>" in play.prompts[0]


async def test_a_paste_that_names_another_is_sent_as_it_is() -> None:
    opener = brief(1 << 17)
    first = "[paste 2: 20,001 characters]" + "a" * LONG_PASTE
    second = "b" * (LONG_PASTE + 1)
    async with playing(staged(opener), opener) as play:
        await paste(play, first)
        await paste(play, second)
        assert play.composer.question == first + second


async def test_a_long_paste_that_is_refused_comes_back_and_can_be_sent_again() -> None:
    opener = brief()
    async with playing(staged(opener), opener) as play:
        await paste(play, MEGABYTE)
        draft = play.composer.text
        assert len(draft) < 50
        await play.press("enter")
        await play.until(lambda: bool(play.told))
        assert isinstance(play.told[0], ChatScreen.Failed)
        assert play.composer.text == draft
        assert play.composer.question == MEGABYTE.strip()


async def test_a_megabyte_is_asked_shown_and_written_down() -> None:
    opener = brief(1 << 21)
    async with playing(staged(opener), opener) as play:
        await paste(play, MEGABYTE)
        await play.press("enter")
        await play.until(lambda: len(play.told) == 2)
        await play.idle()
        assert isinstance(play.told[1], ChatScreen.Ended)
        assert MEGABYTE.strip() in play.prompts[0]
        (turn,) = play.written()
        assert turn.question == MEGABYTE.strip()
        assert "Fine." in painted(play.app)


async def test_a_paste_without_a_focus_in_the_composer_is_not_asked() -> None:
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        await play.press("ctrl+b")
        await paste(play, "2k")
        await play.press("enter")
        assert play.composer.text == ""
        assert play.chat.wish.tokens == 2048


# -- screens of any size -----------------------------------------------------------------------


@pytest.mark.parametrize("size", [(40, 12), (20, 8), (8, 4), (300, 3)])
async def test_small_and_odd_screens_do_not_crash(size: tuple[int, int]) -> None:
    opener = Opener(hold_at=30)
    async with playing(staged(opener), opener, size) as play:
        await play.ask_and_hold()
        for dialog in ("ctrl+b", "ctrl+o", "ctrl+r", "f1"):
            await play.press(dialog)
            await play.pilot.pause()
            await play.press("escape" if dialog != "f1" else "f1")
        play.engine.let_go()
        await play.until(lambda: len(play.told) == 2)
        await play.press("ctrl+t")
        assert all(len(row) <= size[0] for row in painted(play.app).splitlines())


async def test_at_forty_columns_the_question_the_count_and_the_model_are_readable() -> None:
    opener = Opener(hold_at=30)
    async with playing(staged(opener), opener, (40, 20)) as play:
        await play.ask_and_hold()
        screen = painted(play.app)
        assert "r1-7b" in screen.splitlines()[0]
        assert f"{play.turn.trace_view.standing.think}/512" in screen
        assert "How many times does the letter r" in screen
        assert "budget: 512 tokens" in screen


async def test_a_screen_that_changes_its_size_while_text_comes_shows_all_of_it() -> None:
    opener = Opener(hold_at=20)
    async with playing(staged(opener), opener, (100, 30)) as play:
        await play.ask_and_hold()
        await play.press("ctrl+t")
        for size in ((30, 30), (100, 10), (60, 40)):
            await play.pilot.resize_terminal(*size)
            play.engine.let_go(10)
            await play.held()
            assert all(len(row) <= size[0] for row in painted(play.app).splitlines())
        text = play.turn.trace_view.text
        shown = " ".join(row.strip(" ▊▎│") for row in painted(play.app).splitlines())
        assert " ".join(text.split())[-60:] in " ".join(shown.split())
        play.engine.let_go()
        await play.idle()
        assert isinstance(play.told[-1], ChatScreen.Ended)


async def test_what_is_written_survives_a_look_elsewhere() -> None:
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        await play.press("H", "i")
        await play.press("ctrl+o", "escape", "ctrl+r", "escape", "ctrl+b", "escape")
        assert play.app.screen is play.chat
        assert isinstance(play.app.focused, Composer)
        assert play.composer.text == "Hi"
        await play.ask(QUESTION)
