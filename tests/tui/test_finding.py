"""Finding one's way in traces: the outline jumps, a search walks its hits and leaves no trace."""

from __future__ import annotations

import pytest
from rich.text import Text
from textual.widgets import OptionList

from ponder.tui.screens.copying import CopyScreen
from ponder.tui.screens.outline import OutlineScreen
from ponder.tui.widgets.composer import Composer
from ponder.tui.widgets.search import SearchBar
from ponder.tui.widgets.trace import Fold, TraceHeading
from ponder.tui.widgets.trace_text import TraceText
from tui.play import Play, playing, shown
from tui.stage import Opener, staged, typed
from tui.test_reading import STEPS, rows, view

LONG = "".join(
    f"Step {n} begins here.\nIt goes on.\n\n{'Wait, is that so?' if n % 10 == 9 else 'Yes.'}\n\n"
    for n in range(32)
)
CODE = "Here:\n\n```python\nprint(3)\n```\n\nor\n\n~~~\nplain\n~~~\n"


def outline(play: Play) -> list[str]:
    """The rows of the outline that is open, blanks as one."""
    options = play.dialog(OutlineScreen).query_one(OptionList)
    prompts = [options.get_option_at_index(n).prompt for n in range(options.option_count)]
    return [" ".join(p.plain.split()) for p in prompts if isinstance(p, Text)]


def hits(play: Play) -> str:
    return shown(play.chat.query_one("#hits"))


def in_sight(play: Play, at: int) -> bool:
    """Whether a character of the last trace is on the screen."""
    text = play.turn.query_one(TraceText)
    y = text.region.y + text.row_of(at)
    return bool(text.display) and play.conversation.region.y <= y < play.conversation.region.bottom


# -- the outline -----------------------------------------------------------------------------


async def test_the_outline_lists_turning_points_and_candidates_and_goes_there() -> None:
    opener = Opener(thought=LONG)
    async with playing(staged(opener), opener) as play:
        await play.ask()
        await play.press("f6")
        assert len(outline(play)) == 3
        assert outline(play)[1].startswith("40 ~")
        assert outline(play)[1].endswith("Wait Wait, is that so?")
        await play.press("down", "enter")
        assert play.chatting
        here = view(play).here
        assert here is not None
        assert view(play).step_text(here.step).startswith("Wait")
        assert in_sight(play, here.at)
        assert isinstance(play.app.focused, TraceHeading)
        # And back again: it begins with the step that is read.
        await play.press("o")
        assert play.dialog(OutlineScreen).query_one(OptionList).highlighted == 1
        await play.press("escape")
        assert play.chatting


async def test_the_outline_unfolds_the_step_it_goes_to() -> None:
    opener = Opener(thought=STEPS)
    async with playing(staged(opener), opener, (80, 40)) as play:
        await play.ask()
        await play.press("alt+up", "z", "o", "end", "enter")
        assert [row[:5] for row in rows(play)] == ["▸ Oka", "▸ Wai", "▸ But", "❯ Hmm", "│", "▸ So "]


async def test_the_outline_grows_while_it_thinks_and_marks_what_was_forced() -> None:
    opener = Opener(thought=STEPS, hold_at=20)
    async with playing(staged(opener), opener) as play:
        await play.ask_and_hold()
        await play.press("f6")
        before = outline(play)
        play.engine.let_go(12)
        await play.until(lambda: len(outline(play)) > len(before))
        assert outline(play)[: len(before)] == before
        await play.press("escape", "f2")
        play.engine.let_go()
        await play.idle()
        await play.press("f6")
        assert outline(play)[-1].endswith("forced Time is up.")


# -- searching -------------------------------------------------------------------------------


async def search(play: Play, words: str) -> None:
    await play.press("ctrl+f")
    await play.until(lambda: bool(play.chat.query(SearchBar)))
    await typed(play.pilot, words)
    await play.pilot.pause()


async def test_hits_are_counted_shown_and_walked() -> None:
    opener = Opener(thought=LONG)
    async with playing(staged(opener), opener) as play:
        await play.ask()
        assert view(play).fold is Fold.CLOSED
        await search(play, "is that so")
        found = list(view(play).hits)
        assert hits(play) == "1 of 3"
        assert in_sight(play, found[0])
        text = play.turn.query_one(TraceText)
        row = text.render_line(text.row_of(found[0]))
        look = text.get_component_rich_style("trace--hit-shown")
        assert [s.text for s in row if s.style and s.style.bgcolor == look.bgcolor] == [
            "is that so"
        ]
        for key, told, hit in (
            ("enter", 2, 1),
            ("down", 3, 2),
            ("up", 2, 1),
            ("shift+enter", 1, 0),
            ("up", 3, 2),
        ):
            await play.press(key)
            assert hits(play) == f"{told} of 3"
            assert in_sight(play, found[hit])
        await play.press("escape")
        assert view(play).fold is Fold.CLOSED
        assert isinstance(play.app.focused, Composer)
        assert not play.chat.query(SearchBar)
        assert view(play).hits == []


@pytest.mark.parametrize(
    ("words", "told"), [("wait", "1 of 3"), ("Wait", "1 of 3"), ("WAIT", "no hit")]
)
async def test_an_upper_case_letter_is_meant(words: str, told: str) -> None:
    opener = Opener(thought=LONG)
    async with playing(staged(opener), opener) as play:
        await play.ask()
        await search(play, words)
        assert hits(play) == told


async def test_from_the_trace_hits_are_walked_by_letters_and_escape_ends_the_search_first() -> None:
    opener = Opener(thought=LONG)
    async with playing(staged(opener), opener) as play:
        await play.ask()
        await play.press("alt+up", "slash")
        await play.until(lambda: bool(play.chat.query(SearchBar)))
        await typed(play.pilot, "goes on")
        await play.press("alt+up", "n", "n", "N")
        assert hits(play) == "2 of 32"
        await play.press("escape")
        assert not play.chat.query(SearchBar)
        assert isinstance(play.app.focused, TraceHeading)
        await play.press("escape")
        assert isinstance(play.app.focused, Composer)


async def test_what_hides_a_hit_is_unfolded_as_long_as_it_is_shown() -> None:
    opener = Opener(thought=STEPS)
    async with playing(staged(opener), opener, (80, 40)) as play:
        await play.ask()
        await play.press("alt+up", "z")
        folded = [row[:5] for row in rows(play)]
        await search(play, "look")
        assert len(rows(play)) > len(folded)
        await play.press("escape")
        assert [row[:5] for row in rows(play)] == folded
        # A trace that somebody closed by hand is closed again too.
        await play.press("ctrl+t")
        assert rows(play) == []
        await search(play, "look")
        assert rows(play) != []
        await play.press("escape")
        assert rows(play) == []
        assert [turn.folded for turn in play.written()] == [True]


async def test_hits_are_found_while_it_thinks_and_in_all_traces() -> None:
    opener = Opener(thought=LONG, hold_at=100)
    async with playing(staged(opener), opener) as play:
        await play.ask_and_hold()
        await search(play, "goes on")
        before = len(view(play).hits)
        assert hits(play) == f"1 of {before}"
        play.engine.let_go(100)
        await play.until(lambda: len(view(play).hits) > before)
        assert hits(play) == f"1 of {len(view(play).hits)}"
        play.engine.let_go()
        await play.idle()
        await play.press("escape")
        await play.ask()
        await search(play, "goes on")
        assert hits(play) == "33 of 64"
        await play.press("up")
        assert hits(play) == "32 of 64"
        assert play.turns[0].trace_view.fold is Fold.OPEN
        assert view(play).fold is Fold.CLOSED


async def test_a_conversation_is_opened_at_a_hit() -> None:
    opener = Opener(thought=LONG)
    async with playing(staged(opener), opener) as play:
        await play.ask()
        await play.ask()
        play.chat.search_for("that so", 0)
        await play.until(lambda: bool(play.chat.query(SearchBar)) and hits(play) == "1 of 6")
        assert play.turns[0].trace_view.fold is Fold.OPEN


# -- copying ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("downs", "copied"), [(0, CODE.strip()), (1, "print(3)"), (2, "plain"), (3, STEPS.strip())]
)
async def test_what_is_copied_is_chosen(downs: int, copied: str) -> None:
    opener = Opener(thought=STEPS, answer=CODE)
    async with playing(staged(opener), opener) as play:
        await play.ask()
        await play.press("alt+c")
        play.dialog(CopyScreen)
        await play.press(*["down"] * downs, "enter")
        assert play.app.clipboard == copied
        assert play.notices[-1].startswith("Copied ")
