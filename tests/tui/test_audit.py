"""Why a trace went as it did: the decisions on it and its account, by a key."""

from __future__ import annotations

from ponder.explaining import account, trail
from ponder.settings import BudgetSettings
from ponder.thinking.effort import Wish
from ponder.tui.widgets.audit import NOTHING, AuditView
from ponder.tui.widgets.trace import TraceHeading
from tui.play import Play, painted, playing
from tui.stage import SECOND, Opener, staged


def lines(play: Play, turn: int = -1) -> list[str]:
    """What is told of a trace; nothing while it is hidden."""
    audit = play.turns[turn].query_one(AuditView)
    return [" ".join(line) for line in audit.lines] if audit.display else []


async def test_it_is_told_as_it_happens_and_accounted_for_at_the_end() -> None:
    opener = Opener(second=SECOND, hold_at=30)
    async with playing(staged(opener), opener) as play:
        await play.ask_and_hold()
        assert lines(play) == []
        await play.press("f5")
        assert lines(play) == [f" {NOTHING}"]
        await play.press("f4", "f3")
        play.engine.let_go(3)
        await play.held()
        assert lines(play) == [
            'at 31 its next end is to become "Wait", as was asked',
            "at 31 512 tokens more were granted, as was asked",
        ]
        assert 'at 31  its next end is to become "Wait"' in painted(play.app)
        play.engine.let_go()
        await play.idle()
        trace = play.turn.trace
        assert trace is not None
        assert lines(play)[2].endswith('its end was withdrawn and became "Wait", as was asked')
        assert lines(play)[3:] == [
            "end the model closed its thinking itself",
            f"spent {account(trace.usage)}",
        ]
        await play.press("f5")
        assert lines(play) == []


async def test_a_landing_is_told_with_the_tokens_that_were_left() -> None:
    opener = Opener()
    budget = BudgetSettings(landing=True)
    async with playing(staged(opener, Wish(tokens=45), budget=budget), opener) as play:
        await play.ask()
        await play.press("f5")
        (landed, _) = lines(play)
        assert "landed at a sentence's end, " in landed
        assert "before the budget of 45" in landed


async def test_one_from_the_history_is_told_as_well() -> None:
    opener = Opener(second=SECOND, hold_at=30)
    async with playing(staged(opener), opener) as play:
        await play.ask_and_hold()
        await play.press("f4")
        play.engine.let_go()
        await play.idle()
        await play.press("f5")
        before = lines(play)
        assert len(before) == 4
    again = Opener()
    async with playing(staged(again, conversation=1), again) as play:
        await play.until(lambda: bool(play.turns) and play.turn.trace is not None)
        assert lines(play) == []
        await play.press("f5")
        assert lines(play) == before
        trace = play.turn.trace
        assert trace is not None
        told = trail(trace.budget_events, trace.finish)
        assert [" ".join(line) for line in told] == before[:-1]


async def test_the_trace_with_the_focus_is_told_of_and_the_last_one_otherwise() -> None:
    opener = Opener()
    async with playing(staged(opener), opener, (80, 60)) as play:
        assert "audit" not in play.keys
        await play.ask("First?")
        await play.ask("Second?")
        assert "audit" in play.keys
        play.turns[0].query_one(TraceHeading).focus()
        await play.press("f5")
        assert lines(play, 0)
        assert not lines(play, 1)
        play.composer.focus()
        await play.press("f5")
        assert lines(play, 1)


async def test_the_palette_offers_it() -> None:
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        await play.ask()
        commands = {c.title: c for c in play.app.get_system_commands(play.app.screen)}
        commands["Why"].callback()
        await play.pilot.pause()
        assert lines(play)


async def test_the_end_stays_in_sight_where_there_is_room_for_both() -> None:
    opener = Opener(answer="Three.")
    async with playing(staged(opener), opener) as play:
        await play.ask()
        await play.press("f5")
        await play.pilot.pause()
        assert play.conversation.following
        screen = painted(play.app)
        assert "spent  tokens: think" in screen
        assert "Three." in screen
        assert "closed: the model closed its thinking itself" in screen


async def test_it_comes_into_sight_wherever_the_trace_is() -> None:
    opener = Opener(thought="".join(f"Line {n} of it.\n" for n in range(60)) + "The end.")
    async with playing(staged(opener), opener) as play:
        await play.ask()
        await play.press("ctrl+t", "ctrl+end")
        await play.pilot.pause()
        assert "spent" not in painted(play.app)
        await play.press("f5")
        await play.pilot.pause()
        assert "spent  tokens: think" in painted(play.app)
        assert not play.conversation.following
