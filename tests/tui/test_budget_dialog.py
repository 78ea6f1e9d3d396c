"""How long the next question may be thought about: typed, chosen, or a step up and down."""

from __future__ import annotations

import pytest
from textual.widgets import Input, OptionList

from ponder.settings import BudgetSettings
from ponder.thinking.effort import Wish
from ponder.thinking.stopping import OFF, RULES
from ponder.tui.screens.budget import STOPS, BudgetScreen
from ponder.tui.screens.chat import ChatScreen
from ponder.types import Finish
from tui.play import painted, playing, shown
from tui.stage import Opener, staged, typed


@pytest.mark.parametrize(
    ("text", "label"),
    [("2k", "2,048 tokens"), ("med", "medium"), ("0", "0 tokens"), ("off", "off")],
)
async def test_a_budget_is_typed(text: str, label: str) -> None:
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        assert play.composer.border_title == "budget: 512 tokens"
        await play.press("ctrl+b")
        await typed(play.pilot, text)
        await play.press("enter")
        assert play.app.screen is play.chat
        assert play.composer.border_title == f"budget: {label}"
        assert play.composer.has_focus


async def test_a_wrong_one_stays_to_be_corrected_and_what_is_right_is_said() -> None:
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        await play.press("ctrl+b")
        await typed(play.pilot, "lots")
        await play.press("enter")
        dialog = play.dialog(BudgetScreen)
        assert dialog.query_one(Input).value == "lots"
        told = shown(dialog.query_one("#problem"))
        assert told.startswith("'lots' is no budget.")
        assert "off, low, medium, high, max" in told
        assert "is no budget" in painted(play.app)
        await play.press(*["backspace"] * 4)
        await typed(play.pilot, "low")
        await play.press("enter")
        assert play.chat.wish == Wish("low")


@pytest.mark.parametrize("keys", [["escape"], ["enter"], ["9", "escape"]])
async def test_leaving_the_dialog_keeps_the_budget(keys: list[str]) -> None:
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        await play.press("ctrl+b", *keys)
        assert play.app.screen is play.chat
        assert play.chat.wish == Wish(tokens=512)


async def test_an_effort_is_chosen_from_the_list() -> None:
    opener = Opener()
    async with playing(staged(opener, Wish("low")), opener) as play:
        await play.press("ctrl+b")
        options = play.dialog(BudgetScreen).query_one(OptionList)
        assert options.highlighted == 1
        assert "up to 8,192 tokens" in painted(play.app)
        await play.press("down", "down", "enter")
        assert play.chat.wish == Wish("medium")


def test_every_rule_is_offered() -> None:
    assert list(STOPS) == [OFF, *RULES]


@pytest.mark.parametrize("rule", list(STOPS))
async def test_a_rule_for_ending_early_is_chosen_from_the_list(rule: str) -> None:
    opener = Opener()
    budget = BudgetSettings(stop="converged:2" if rule == "off" else "off")
    async with playing(staged(opener, Wish("low"), budget=budget), opener) as play:
        await play.press("ctrl+b")
        assert ("(2)" if rule == "off" else "(set)") in painted(play.app)
        options = play.dialog(BudgetScreen).query_one(OptionList)
        options.focus()
        options.highlighted = options.get_option_index(f"stop {rule}")
        await play.press("enter")
        assert play.chat.wish == Wish("low")
        title = "budget: low" + ("" if rule == "off" else f", stop {rule}")
        assert play.composer.border_title == title
        await play.ask()
        (turn,) = play.written()
        assert turn.budget.stop == rule


async def test_a_rule_is_typed_with_its_values_and_a_wrong_one_is_told_of() -> None:
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        await play.press("ctrl+b")
        await typed(play.pilot, "stop agreed")
        await play.press("enter")
        dialog = play.dialog(BudgetScreen)
        assert shown(dialog.query_one("#problem")).startswith("There is no rule called 'agreed'")
        dialog.query_one(Input).value = "stop converged:2,every=32"
        await play.press("enter")
        assert play.composer.border_title == "budget: 512 tokens, stop converged:2,every=32"
        assert play.chat.wish == Wish(tokens=512)


async def test_ctrl_up_and_down_go_through_the_efforts_round_and_round() -> None:
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        seen = []
        for key in ["ctrl+up"] * 5 + ["ctrl+down"] * 2:
            await play.press(key)
            seen.append(str(play.composer.border_title).removeprefix("budget: "))
        assert seen == ["low", "medium", "high", "max", "off", "max", "high"]


async def test_a_budget_holds_for_the_questions_that_follow_and_not_for_the_one_that_runs() -> None:
    opener = Opener(hold_at=10)
    async with playing(staged(opener), opener) as play:
        await play.ask_and_hold()
        await play.press("ctrl+b")
        await typed(play.pilot, "20")
        await play.press("enter")
        assert "/512 " in play.heading
        play.engine.let_go()
        await play.idle()
        await play.ask()
        first, second = (told for told in play.told if isinstance(told, ChatScreen.Ended))
        assert (first.trace.budget, second.trace.budget) == (512, 20)
        assert second.trace.finish is Finish.CAP


async def test_a_floor_is_told_beside_the_budget() -> None:
    opener = Opener()
    async with playing(staged(opener, budget=BudgetSettings(floor=1200)), opener) as play:
        assert play.composer.border_title == "budget: 512 tokens, at least 1,200"


async def test_a_cap_below_the_floor_is_enough() -> None:
    opener = Opener()
    async with playing(staged(opener, budget=BudgetSettings(floor=1200)), opener) as play:
        await play.ask()
        assert isinstance(play.told[-1], ChatScreen.Ended)
        assert play.told[-1].trace.usage.think <= 512
