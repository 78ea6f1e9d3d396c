"""Going through a trace: its steps are marked, folded, jumped to and copied, by key and mouse."""

from __future__ import annotations

import pytest

from ponder.passages import Pivot
from ponder.settings import TuiSettings
from ponder.tui.clipboard import LIMIT, copy
from ponder.tui.widgets.composer import Composer
from ponder.tui.widgets.trace import Fold, TraceHeading, TraceView
from ponder.tui.widgets.trace_text import TraceText
from tui.play import Play, playing
from tui.stage import Opener, staged

STEPS = """\
Okay, I count the letters. There are ten.

Wait, let me look at them one by one:

1. s
2. t

But the answer is \\boxed{3}.
Hmm, that may be right.

So it is 3.
"""
LONG = "".join(f"Step {n} begins here.\nIt goes on.\n\n" for n in range(40))


def rows(play: Play, turn: int = -1) -> list[str]:
    """The rows of a trace, their marks included."""
    text = play.turns[turn].query_one(TraceText)
    if not text.display:
        return []
    return [text.render_line(y).text.rstrip() for y in range(text.size.height)]


def view(play: Play) -> TraceView:
    return play.turn.trace_view


async def read(play: Play) -> None:
    """Ask, and go into the trace."""
    await play.ask()
    await play.press("alt+up")


async def test_into_a_trace_and_back_to_the_composer() -> None:
    opener = Opener(thought=STEPS)
    async with playing(staged(opener), opener) as play:
        await read(play)
        assert isinstance(play.app.focused, TraceHeading)
        assert "enter" in {key for key, _ in shown_keys(play)}
        await play.press("escape")
        assert isinstance(play.app.focused, Composer)
        await play.press("shift+tab")
        assert isinstance(play.app.focused, TraceHeading)
        await play.press("escape", "h", "i")
        assert play.composer.text == "hi"


def shown_keys(play: Play) -> list[tuple[str, str]]:
    bindings = play.app.screen.active_bindings.values()
    return [(a.binding.key, a.binding.action) for a in bindings if a.enabled and a.binding.show]


@pytest.mark.parametrize(("down", "up"), [("down", "up"), ("j", "k")])
async def test_the_cursor_goes_from_step_to_step_and_unfolds_the_trace(down: str, up: str) -> None:
    opener = Opener(thought=STEPS)
    async with playing(staged(opener), opener, (80, 40)) as play:
        await read(play)
        assert rows(play) == []
        await play.press(down)
        assert view(play).here == (0, 0, STEPS.index("Wait"), 0)
        assert rows(play)[:3] == [
            "❯ Okay, I count the letters. There are ten.",
            "│",
            "  Wait" + STEPS.split("Wait")[1].split("\n")[0],
        ]
        await play.press(down, down, down, down, down)
        here = view(play).here
        assert here is not None
        assert view(play).step_text(here.step) == "So it is 3.\n"
        assert rows(play)[-1] == "❯ So it is 3."
        await play.press("home")
        assert rows(play)[0].startswith("❯ Okay")
        await play.press(up)
        assert view(play).here is None
        await play.press("end")
        assert rows(play)[-1] == "❯ So it is 3."
        # Seen only as long as keys go there.
        await play.press("escape")
        assert rows(play)[-1] == "  So it is 3."


@pytest.mark.parametrize("key", ["enter", "space"])
async def test_a_step_folds_to_its_first_words_its_lines_and_what_happens_in_it(key: str) -> None:
    opener = Opener(thought=STEPS)
    async with playing(staged(opener), opener, (80, 40)) as play:
        await read(play)
        await play.press("down", "down", key)
        assert rows(play)[2].startswith("❯ Wait, let me look at them one by one:")
        assert rows(play)[2].endswith("4 lines · Wait")
        await play.press("down", key, "down")
        folded = rows(play)[3]
        assert folded.startswith("▸ But the answer is \\boxed{3}.")
        assert folded.endswith("1 line · But · answer")
        await play.press("up", key)
        assert rows(play)[3] == "❯ But the answer is \\boxed{3}."
        # The trace itself is folded from its heading, and its steps stay as they were.
        await play.press("ctrl+t")
        assert rows(play) == []
        await play.press("ctrl+t")
        assert rows(play)[2].startswith("▸ Wait")


async def test_all_steps_fold_at_once() -> None:
    opener = Opener(thought=STEPS)
    async with playing(staged(opener), opener, (80, 40)) as play:
        await read(play)
        await play.press("z")
        assert [row[:6] for row in rows(play)] == ["▸ Okay", "▸ Wait", "▸ But ", "▸ Hmm,", "▸ So i"]
        await play.press("z")
        assert len(rows(play)) == len(STEPS.splitlines())


async def test_a_click_on_the_margin_folds_and_one_on_a_folded_step_unfolds() -> None:
    opener = Opener(thought=STEPS)
    async with playing(staged(opener), opener, (80, 40)) as play:
        await play.ask()
        await play.press("ctrl+t")
        text = play.turn.query_one(TraceText)
        before = rows(play)
        await play.pilot.click(text, offset=(20, 2))
        assert rows(play) == [
            *before[:2],
            "❯" + before[2][1:],
            *["│" + r[1:] for r in before[3:7]],
            *before[7:],
        ]
        await play.pilot.click(text, offset=(0, 4))
        assert rows(play)[2].startswith("❯ Wait")
        assert len(rows(play)) == len(before) - 4
        assert isinstance(play.app.focused, TraceHeading)
        await play.pilot.click(text, offset=(20, 2))
        assert len(rows(play)) == len(before)


async def test_a_folded_step_stays_folded_while_it_grows_and_the_next_one_is_shown() -> None:
    thought = "One line.\n" * 30 + "\nWait, no.\n"
    opener = Opener(thought=thought, hold_at=20)
    async with playing(staged(opener, tui=TuiSettings(thinking="open")), opener) as play:
        await play.ask_and_hold()
        await play.press("alt+up", "end", "enter")
        (row,) = rows(play)
        assert row.startswith("❯ One line.")
        assert " lines" in row
        play.engine.let_go(20)
        await play.held()
        (later,) = rows(play)
        assert int(later.split()[-2]) > int(row.split()[-2])
        play.engine.let_go()
        await play.idle()
        assert [row[2:5] for row in rows(play)] == ["One", "Wai"]


async def test_the_cursor_brings_its_step_into_sight_and_text_does_not_move_it_away() -> None:
    opener = Opener(thought=LONG, hold_at=300)
    async with playing(staged(opener, tui=TuiSettings(thinking="open")), opener) as play:
        await play.ask_and_hold()
        heading = play.turn.query_one(TraceHeading)
        await play.press("alt+up", "home")
        assert heading.region.y >= 0
        place = play.conversation.scroll_y
        play.engine.let_go(60)
        await play.held()
        assert play.conversation.scroll_y == place
        for _ in range(12):
            await play.press("down")
        text = play.turn.query_one(TraceText)
        top, bottom = text.rows_of(12)
        area = play.conversation.region
        assert area.y <= text.region.y + top
        assert text.region.y + bottom - 1 <= area.bottom
        assert play.conversation.scroll_y > place


async def test_where_a_step_is_is_told_in_characters_and_about_in_tokens() -> None:
    opener = Opener(thought=LONG)
    async with playing(staged(opener), opener) as play:
        await play.ask()
        shown = view(play)
        here = shown.describe(20)
        assert shown.text[here.at : here.end] == shown.step_text(20)
        assert shown.step_text(20).startswith("Step 20")
        assert play.turn.trace is not None
        think = play.turn.trace.usage.think
        assert abs(here.token - think * here.at / len(shown.text)) < think / 10
        assert think - 1 <= shown.token_at(len(shown.text)) <= think
    again = Opener()
    async with playing(staged(again, conversation=1), again) as play:
        await play.until(lambda: bool(play.turns) and play.turn.trace is not None)
        assert abs(view(play).describe(20).token - here.token) < think / 10


async def test_one_begins_with_what_is_in_sight_and_nothing_moves() -> None:
    opener = Opener(thought=LONG)
    async with playing(staged(opener), opener) as play:
        await play.ask()
        await play.press("ctrl+t", "alt+up")
        assert view(play).here is None
        await play.press("escape", "pagedown", "pagedown")
        place = play.conversation.scroll_y
        await play.press("alt+up")
        here = view(play).here
        assert here is not None and here.step > 5
        assert play.conversation.scroll_y == place
        text = play.turn.query_one(TraceText)
        assert 0 <= text.region.y + text.rows_of(here.step)[0] - play.conversation.region.y <= 2


# -- all traces ------------------------------------------------------------------------------


async def test_one_key_shows_all_traces_another_way_but_for_those_chosen_by_hand() -> None:
    opener = Opener(thought=LONG)
    async with playing(staged(opener), opener) as play:
        await play.ask()
        await play.ask()
        await play.press("ctrl+t", "ctrl+t")
        folds = []
        for _ in range(3):
            await play.press("f7")
            folds.append((play.turns[0].trace_view.fold, play.turns[1].trace_view.fold))
        assert folds == [
            (Fold.OPEN, Fold.CLOSED),
            (Fold.CLOSED, Fold.CLOSED),
            (Fold.TAIL, Fold.CLOSED),
        ]
        assert "1 that you chose yourself" in play.notices[-1]
        assert len(rows(play, 0)) == 8
        # A trace to come is shown like that too, also when its thinking is over.
        await play.press("f7")
        await play.ask()
        assert view(play).fold is Fold.OPEN
        assert [turn.folded for turn in play.written()] == [None, True, None]


# -- copying ---------------------------------------------------------------------------------


async def test_a_step_or_the_trace_is_copied_and_that_is_told() -> None:
    opener = Opener(thought=STEPS)
    async with playing(staged(opener), opener, (80, 40)) as play:
        await read(play)
        await play.press("end", "up", "up", "c")
        assert play.app.clipboard == "But the answer is \\boxed{3}."
        assert play.notices[-1] == "Copied step 3: 28 characters"
        await play.press("C")
        assert play.app.clipboard == STEPS.strip("\n")


async def test_of_a_text_that_many_terminals_do_not_take_that_is_said() -> None:
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        copy(play.app, "\x1b" * (LIMIT // 3 + 1), "the thinking")
        await play.pilot.pause()
        assert play.app.clipboard == "␛" * (LIMIT // 3 + 1)
        assert f"no more than {LIMIT:,}" in play.notices[-1]
        copy(play.app, "\n", "the thinking")
        await play.pilot.pause()
        assert play.notices[-1] == "There is nothing to copy yet."


async def test_pivots_are_known_while_it_thinks() -> None:
    opener = Opener(thought=STEPS, hold_at=30)
    async with playing(staged(opener), opener) as play:
        await play.ask_and_hold()
        some = [mark.pivot for mark in view(play).marks]
        play.engine.let_go()
        await play.idle()
        assert [mark.pivot for mark in view(play).marks] == [
            Pivot.WAIT, Pivot.BUT, Pivot.CANDIDATE, Pivot.HMM,
        ]  # fmt: skip
        assert some == [Pivot.WAIT, Pivot.BUT]
