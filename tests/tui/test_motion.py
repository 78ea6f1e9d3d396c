"""Nothing that moves, for whoever does not want that."""

from __future__ import annotations

from typing import Any

import pytest
from textual.widgets import Input

from ponder.settings import TuiSettings
from ponder.tui import pump
from ponder.tui.screens.budget import BudgetScreen
from tui.play import playing
from tui.stage import Opener, staged


@pytest.mark.parametrize("motion", [True, False])
async def test_cursors_slides_and_streams_are_still_where_that_is_wanted(
    motion: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []
    batches = pump.batches

    def counted(answering: Any, taken: Any, interval: float) -> Any:
        asked.append(interval)
        return batches(answering, taken, interval)

    monkeypatch.setattr(pump, "batches", counted)
    opener = Opener()
    async with playing(staged(opener, tui=TuiSettings(motion=motion)), opener) as play:
        assert play.composer.cursor_blink is motion
        assert (play.app.animation_level == "none") is not motion
        await play.ask()
        assert asked == [pump.INTERVAL if motion else pump.CALM]
        await play.press("ctrl+b")
        await play.until(lambda: isinstance(play.app.screen, BudgetScreen))
        assert play.app.screen.query_one(Input).cursor_blink is motion
