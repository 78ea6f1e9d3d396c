"""The line of keys: what does something, as much as fits, and a click on it."""

from __future__ import annotations

from textual.widgets import HelpPanel

from ponder.tui.widgets.keys import KeyLine
from tui.play import playing
from tui.stage import Opener, staged


async def test_where_it_is_narrow_the_list_of_all_keys_stays_in_sight() -> None:
    opener = Opener(hold_at=20)
    async with playing(staged(opener), opener) as play:
        await play.ask_and_hold()
        line = play.app.screen.query_one(KeyLine).render_line(0).text
        assert "f2 Answer now" in line
        assert "f4 Wait" in line
        assert line.rstrip().endswith("f1 Keys")
        play.engine.let_go()
        await play.idle()
        line = play.app.screen.query_one(KeyLine).render_line(0).text
        assert "Answer now" not in line
        assert "^n New" in line


async def test_a_click_on_a_key_presses_it() -> None:
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        await play.loaded()
        line = play.app.screen.query_one(KeyLine).render_line(0).text
        await play.pilot.click(KeyLine, offset=(line.index("f1"), 0))
        await play.until(lambda: bool(play.app.screen.query(HelpPanel)))
