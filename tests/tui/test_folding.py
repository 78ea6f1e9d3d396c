"""How much of a trace is shown, who decides it, and what the view follows."""

from __future__ import annotations

import pytest

from ponder.settings import TuiSettings
from ponder.tui.widgets.trace import Fold, TraceHeading
from ponder.tui.widgets.trace_text import GUTTER, TraceText
from ponder.types import Finish
from tui.play import Play, playing
from tui.stage import QUESTION, Opener, staged

LINES = "".join(f"Line {number} of it.\n" for number in range(80)) + "The end of it."
"""A thought of 81 lines, 4 or 5 tokens each."""


def rows(play: Play, turn: int = -1) -> list[str]:
    """The rows of a trace that are shown."""
    text = play.turns[turn].query_one(TraceText)
    if not text.display:
        return []
    return [text.render_line(y).text[GUTTER:].rstrip() for y in range(text.size.height)]


def at_end(play: Play) -> bool:
    return play.conversation.scroll_y >= play.conversation.max_scroll_y


async def test_a_tail_shows_the_last_lines_and_unfolds_and_folds() -> None:
    opener = Opener(thought=LINES, hold_at=200)
    tui = TuiSettings(tail_lines=5)
    async with playing(staged(opener, tui=tui), opener) as play:
        await play.ask_and_hold()
        assert play.turn.trace_view.fold is Fold.TAIL
        whole = play.turn.trace_view.text.rstrip("\n").splitlines()
        assert len(whole) > 20
        assert rows(play) == whole[-5:]
        assert play.heading.startswith("▾")
        await play.press("ctrl+t")
        assert rows(play) == whole
        await play.press("ctrl+t")
        assert rows(play) == []
        assert play.heading.startswith("▸")
        await play.press("ctrl+t")
        assert rows(play) == whole


async def test_a_tail_moves_on_with_the_text() -> None:
    opener = Opener(thought=LINES, hold_at=100)
    async with playing(staged(opener), opener) as play:
        await play.ask_and_hold()
        before = rows(play)
        play.engine.let_go(100)
        await play.held()
        after = rows(play)
        assert len(before) == len(after) == 8
        assert before != after
        assert after == play.turn.trace_view.text.rstrip("\n").splitlines()[-8:]


@pytest.mark.parametrize(("thinking", "shown"), [("open", True), ("closed", False)])
async def test_the_settings_say_how_it_shows_while_it_thinks(thinking: str, shown: bool) -> None:
    opener = Opener(thought=LINES, hold_at=200)
    tui = TuiSettings(thinking="open" if thinking == "open" else "closed", fold_when_done=False)
    async with playing(staged(opener, tui=tui), opener) as play:
        await play.ask_and_hold()
        assert (len(rows(play)) > 20) is shown
        assert bool(rows(play)) is shown
        play.engine.let_go()
        await play.idle()
        assert (len(rows(play)) == 81) is shown


async def test_it_folds_when_its_thinking_is_over() -> None:
    opener = Opener(thought=LINES)
    async with playing(staged(opener), opener) as play:
        await play.ask()
        assert rows(play) == []
        assert play.heading.startswith("▸ thought")
        (turn,) = play.written()
        assert turn.folded is None


async def test_it_stays_as_it_is_where_folding_is_switched_off() -> None:
    opener = Opener(thought=LINES)
    tui = TuiSettings(fold_when_done=False)
    async with playing(staged(opener, tui=tui), opener) as play:
        await play.ask()
        assert len(rows(play)) == 8


@pytest.mark.parametrize(("presses", "folded"), [(1, False), (2, True)])
async def test_a_choice_by_hand_outlives_the_thinking_and_is_kept(
    presses: int, folded: bool
) -> None:
    opener = Opener(thought=LINES, hold_at=200)
    async with playing(staged(opener), opener) as play:
        await play.ask_and_hold()
        await play.press(*["ctrl+t"] * presses)
        play.engine.let_go()
        await play.idle()
        assert bool(rows(play)) is not folded
        (turn,) = play.written()
        assert turn.folded is folded
    again = Opener()
    async with playing(staged(again, conversation=1), again) as play:
        await play.until(lambda: bool(play.turns) and play.turn.trace is not None)
        assert bool(rows(play)) is not folded


async def test_a_choice_after_the_end_is_kept_as_well() -> None:
    opener = Opener(thought=LINES)
    async with playing(staged(opener), opener) as play:
        await play.ask()
        await play.press("ctrl+t")
        assert len(rows(play)) == 81
        (turn,) = play.written()
        assert turn.folded is False


@pytest.mark.parametrize("key", ["enter", "space", "click", "ctrl+t"])
async def test_each_trace_folds_by_its_own_heading(key: str) -> None:
    opener = Opener()
    async with playing(staged(opener), opener, (80, 60)) as play:
        await play.ask("First?")
        await play.ask("Second?")
        heading = play.turns[0].query_one(TraceHeading)
        if key == "click":
            await play.pilot.click(heading)
        else:
            heading.focus()
            await play.press(key)
        await play.until(lambda: bool(rows(play, 0)))
        assert rows(play, 1) == []
        first, second = play.written()
        assert (first.folded, second.folded) == (False, None)


async def test_with_the_focus_elsewhere_the_last_trace_folds() -> None:
    opener = Opener()
    async with playing(staged(opener), opener, (80, 60)) as play:
        await play.ask("First?")
        await play.ask("Second?")
        await play.press("ctrl+t")
        assert rows(play, 0) == []
        assert rows(play, 1)


# -- following ---------------------------------------------------------------------------------


async def test_at_the_end_the_view_follows_the_text() -> None:
    opener = Opener(thought=LINES, hold_at=200)
    tui = TuiSettings(thinking="open", fold_when_done=False)
    async with playing(staged(opener, tui=tui), opener) as play:
        await play.ask_and_hold()
        before = play.conversation.scroll_y
        assert before > 0
        assert at_end(play)
        play.engine.let_go(80)
        await play.held()
        assert play.conversation.scroll_y > before
        assert at_end(play)
        play.engine.let_go()
        await play.idle()
        assert at_end(play)


@pytest.mark.parametrize("how", ["pageup", "wheel"])
async def test_whoever_scrolled_up_stays_there_while_text_comes(how: str) -> None:
    opener = Opener(thought=LINES, hold_at=200)
    tui = TuiSettings(thinking="open", fold_when_done=False)
    async with playing(staged(opener, tui=tui), opener) as play:
        await play.ask_and_hold()
        if how == "wheel":
            play.conversation.scroll_up(animate=False)
        else:
            await play.press("pageup")
        await play.pilot.pause()
        place = play.conversation.scroll_y
        assert place < play.conversation.max_scroll_y
        play.engine.let_go(80)
        await play.held()
        assert play.conversation.scroll_y == place
        await play.press("ctrl+end")
        assert at_end(play)
        play.engine.let_go(60)
        await play.held()
        assert at_end(play)
        assert play.conversation.scroll_y > place + 20


async def test_scrolling_back_to_the_end_follows_again() -> None:
    opener = Opener(thought=LINES, hold_at=200)
    tui = TuiSettings(thinking="open", fold_when_done=False)
    async with playing(staged(opener, tui=tui), opener) as play:
        await play.ask_and_hold()
        await play.press("pageup", "pagedown", "pagedown")
        place = play.conversation.scroll_y
        play.engine.let_go(80)
        await play.held()
        assert play.conversation.scroll_y > place
        assert at_end(play)


async def test_a_trace_that_is_being_read_does_not_fold_and_the_view_does_not_jump() -> None:
    opener = Opener(thought=LINES, hold_at=300)
    tui = TuiSettings(thinking="open")
    async with playing(staged(opener, tui=tui), opener) as play:
        await play.ask_and_hold()
        assert play.turn.trace_view.standing.finish is None
        await play.press("pageup")
        place, line = play.conversation.scroll_y, rows(play)[10]
        play.engine.let_go()
        await play.idle()
        assert play.turn.trace_view.standing.finish is Finish.CLOSED
        assert play.conversation.scroll_y == place
        assert rows(play)[10] == line
        assert len(rows(play)) == 81
        await play.ask(QUESTION)
        assert at_end(play)


async def test_scrolling_where_there_is_nothing_to_scroll_does_not_stop_following() -> None:
    opener = Opener(thought=LINES, hold_at=10)
    tui = TuiSettings(thinking="open", fold_when_done=False)
    async with playing(staged(opener, tui=tui), opener) as play:
        await play.ask_and_hold()
        assert play.conversation.max_scroll_y == 0
        await play.press("pageup", "pagedown")
        play.engine.let_go(120)
        await play.held()
        assert play.conversation.max_scroll_y > 0
        assert at_end(play)
        play.conversation.focus()
        await play.press("down", "up", "down")
        play.engine.let_go(60)
        await play.held()
        assert at_end(play)


async def test_unfolding_where_all_fits_keeps_the_heading_in_sight() -> None:
    opener = Opener(thought=LINES)
    async with playing(staged(opener), opener, (80, 30)) as play:
        await play.ask()
        assert play.conversation.max_scroll_y == 0
        await play.press("ctrl+t")
        assert play.conversation.max_scroll_y > 50
        assert 0 <= play.turn.query_one(TraceHeading).region.y < 20


async def test_unfolding_a_finished_trace_leaves_its_heading_where_it_is() -> None:
    opener = Opener(thought=LINES)
    async with playing(staged(opener), opener) as play:
        await play.ask()
        await play.ask()
        heading = play.turns[1].query_one(TraceHeading)
        await play.press("ctrl+t")
        assert play.conversation.max_scroll_y > 60
        assert 0 <= heading.region.y < 20
