"""The levers of a question that runs, offered only while they do something."""

from __future__ import annotations

import pytest
from rich.style import Style

from ponder.settings import BudgetSettings, TuiSettings
from ponder.thinking.effort import Wish
from ponder.tui.screens.budget import BudgetScreen
from ponder.tui.screens.chat import ChatScreen
from ponder.tui.widgets.trace_text import TraceText
from ponder.types import Author, BudgetChange, Finish, Trace
from scripted import PLAIN
from tui.play import Play, painted, playing, shown
from tui.stage import ANSWER, SECOND, THOUGHT, Opener, staged

LEVERS = {"answer_now", "extend", "wait"}


def trace_of(play: Play) -> Trace:
    ended = play.told[-1]
    assert isinstance(ended, ChatScreen.Ended)
    return ended.trace


def styles(play: Play) -> dict[str, Style]:
    """How each word of the last trace is painted, as far as it is in sight."""
    text = play.turn.query_one(TraceText)
    found = {}
    for y in range(text.size.height):
        for segment in text.render_line(y):
            for word in segment.text.split():
                found[word.strip(",.")] = segment.style or Style()
    return found


@pytest.mark.parametrize("key", ["f2", "ctrl+g"])
async def test_answer_now_ends_the_thinking_and_the_answer_follows(key: str) -> None:
    opener = Opener(hold_at=20)
    async with playing(staged(opener), opener) as play:
        await play.ask_and_hold()
        await play.press(key)
        play.engine.let_go()
        await play.idle()
        trace = trace_of(play)
        assert trace.finish is Finish.USER
        assert trace.answer == ANSWER.strip()
        # Those it was held after, and the one that was on its way.
        assert trace.usage.think == 21
        assert "Time is up." in play.turn.trace_view.text
        assert play.receipt.startswith("user: the answer was asked for")
        assert play.heading.endswith("user")


async def test_more_grants_exactly_what_the_settings_say() -> None:
    opener = Opener(hold_at=20)
    tui = TuiSettings(extend=300)
    async with playing(staged(opener, Wish(tokens=40), tui=tui), opener) as play:
        await play.ask_and_hold()
        assert "/40 " in play.heading
        await play.press("f3")
        play.engine.let_go(4)
        await play.held()
        assert "/340 " in play.heading
        play.engine.let_go()
        await play.idle()
        trace = trace_of(play)
        assert trace.finish is Finish.CLOSED
        assert trace.budget == 340
        assert trace.thought.strip() == THOUGHT
        assert trace.usage.think > 40


async def test_more_is_five_hundred_and_twelve_where_nothing_is_set() -> None:
    opener = Opener(hold_at=20)
    async with playing(staged(opener), opener) as play:
        await play.ask_and_hold()
        assert "/512 " in play.heading
        await play.press("f3", "f3")
        play.engine.let_go(4)
        await play.held()
        assert "/1,536 " in play.heading


async def test_more_than_the_context_holds_is_not_granted() -> None:
    opener = Opener(hold_at=20, n_ctx=1024)
    async with playing(staged(opener, Wish("max")), opener) as play:
        await play.ask_and_hold()
        before = play.turn.trace_view.standing.budget
        await play.press("f3")
        play.engine.let_go(4)
        await play.held()
        assert play.turn.trace_view.standing.budget == before
        play.engine.let_go()
        await play.idle()
        (event,) = trace_of(play).budget_events
        assert (event.change, event.tokens) == (BudgetChange.EXTEND, 0)


async def test_wait_withdraws_the_next_end_and_its_word_is_tinted() -> None:
    opener = Opener(second=SECOND, hold_at=20)
    tui = TuiSettings(thinking="open", fold_when_done=False)
    async with playing(staged(opener, tui=tui), opener, (100, 40)) as play:
        await play.ask_and_hold()
        assert "Wait" not in play.heading
        await play.press("f4")
        play.engine.let_go(4)
        await play.held()
        assert "Wait ×1" in play.heading
        play.engine.let_go(60)
        await play.held()
        assert "Wait" not in play.heading
        assert "Wait" in play.turn.trace_view.text
        play.engine.let_go()
        await play.idle()
        assert play.turn.trace_view.text == f"{THOUGHT}Wait{SECOND}"
        assert trace_of(play).finish is Finish.CLOSED
        painted_as = styles(play)
        warning = play.app.theme_variables["warning"]
        forced, own = painted_as["2.Wait".partition(".")[2]], painted_as["once"]
        assert forced.color is not None
        assert forced.color.get_truecolor().hex == warning.lower()
        assert forced.italic
        assert not forced.underline
        assert own.color != forced.color
        assert "⟦wait⟧ Wait" in painted(play.app)
        assert not own.italic


async def test_a_name_is_not_selected_with_the_words_that_it_stands_before() -> None:
    opener = Opener(hold_at=20)
    tui = TuiSettings(thinking="open", fold_when_done=False)
    async with playing(staged(opener, tui=tui), opener, (100, 40)) as play:
        await play.ask_and_hold()
        await play.press("f2")
        play.engine.let_go()
        await play.idle()
        view = play.app.screen.query_one(TraceText)
        rows = [view.render_line(y).text for y in range(view.size.height)]
        (y,) = [y for y, row in enumerate(rows) if "⟦closing⟧ Time" in row]
        at = rows[y].index("⟦")
        end = at + len("⟦closing⟧ Time ")
        for start, words in ((at + 3, "Time i"), (at + len("⟦closing⟧ T"), "ime i")):
            await play.pilot.mouse_down(view, offset=(start, y))
            await play.pilot.hover(view, offset=(end, y))
            await play.pilot.mouse_up(view, offset=(end, y))
            assert play.app.screen.get_selected_text() == words


async def test_two_waits_are_counted_and_come_one_by_one() -> None:
    opener = Opener(second=SECOND, hold_at=20)
    async with playing(staged(opener), opener) as play:
        await play.ask_and_hold()
        await play.press("f4", "f4")
        play.engine.let_go(4)
        await play.held()
        assert "Wait ×2" in play.heading
        play.engine.let_go(60)
        await play.held()
        assert "Wait ×1" in play.heading
        play.engine.let_go()
        await play.idle()
        assert play.turn.trace_view.text.count("Wait") == 2


async def test_an_end_that_the_floor_withdraws_leaves_the_wait_that_was_asked_for() -> None:
    opener = Opener(second=SECOND, hold_at=20)
    app = staged(opener, budget=BudgetSettings(floor=90))
    async with playing(app, opener) as play:
        await play.ask_and_hold()
        await play.press("f4")
        play.engine.let_go(60)
        await play.held()
        assert play.turn.trace_view.text.count("Wait") == 1
        assert "Wait ×1" in play.heading
        play.engine.let_go()
        await play.idle()
        assert play.turn.trace_view.text.count("Wait") == 2


async def test_without_colour_the_words_of_ponder_are_underlined(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    opener = Opener(hold_at=20)
    tui = TuiSettings(thinking="open", fold_when_done=False)
    app = staged(opener, tui=tui)
    assert app.no_color
    async with playing(app, opener, (100, 40)) as play:
        await play.ask_and_hold()
        await play.press("f2")
        play.engine.let_go()
        await play.idle()
        painted_as = styles(play)
        assert painted_as["Time"].underline
        assert "⟦closing⟧ Time" in painted(play.app)
        assert not painted_as["letter"].underline


@pytest.mark.parametrize("no_color", [True, False])
async def test_an_answer_that_ponder_led_to_has_its_words_marked(
    monkeypatch: pytest.MonkeyPatch, no_color: bool
) -> None:
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    opener = Opener(answer="")
    async with playing(staged(opener), opener) as play:
        await play.ask()
        assert trace_of(play).last_resort
        assert "ponder had to lead it to an answer" in play.receipt
        (forced,) = play.turn.query(".forced")
        assert shown(forced) == "**Final Answer**"
        assert "⟦lead-in⟧ **Final Answer**" in painted(play.app)
        assert bool(forced.styles.text_style.underline) is no_color
        assert forced.styles.text_style.italic


async def test_a_hint_goes_into_the_thinking_as_the_words_of_its_author() -> None:
    opener = Opener(hold_at=20)
    async with playing(staged(opener), opener) as play:
        await play.ask_and_hold()
        await play.press("f9")
        await play.press(*"Try x", "enter")
        assert isinstance(play.app.screen, ChatScreen)
        play.engine.let_go()
        await play.idle()
        trace = trace_of(play)
        assert [s.text.strip() for s in trace.spans if s.author is Author.USER] == ["Try x"]
        assert "Try x" in play.turn.trace_view.text
        assert trace.answer == ANSWER.strip()


async def test_a_pause_is_shown_until_it_goes_on() -> None:
    opener = Opener(hold_at=20)
    async with playing(staged(opener), opener) as play:
        await play.ask_and_hold()
        await play.press("f8")
        play.engine.let_go(4)
        await play.until(lambda: "paused" in play.heading)
        play.engine.let_go()
        await play.press("f8")
        await play.idle()
        trace = trace_of(play)
        assert [e.change for e in trace.budget_events] == [BudgetChange.HELD, BudgetChange.WENT_ON]
        assert trace.thought.strip() == THOUGHT
        assert "paused" not in play.heading


async def test_what_is_paused_can_be_stopped() -> None:
    opener = Opener(hold_at=20)
    async with playing(staged(opener), opener) as play:
        await play.ask_and_hold()
        await play.press("f8")
        play.engine.let_go()
        await play.until(lambda: "paused" in play.heading)
        await play.press("escape")
        await play.idle()
        assert trace_of(play).finish is Finish.CANCELLED


async def test_a_hint_that_nobody_writes_changes_nothing() -> None:
    opener = Opener(hold_at=20)
    async with playing(staged(opener), opener) as play:
        await play.ask_and_hold()
        await play.press("f9", "escape")
        play.engine.let_go()
        await play.idle()
        assert trace_of(play).budget_events == ()


# -- offered only while they do something ------------------------------------------------------


async def test_keys_are_offered_only_while_they_do_something() -> None:
    opener = Opener(hold_at=20)
    async with playing(staged(opener), opener, (120, 24)) as play:
        assert play.keys.isdisjoint(LEVERS | {"stop", "fold"})
        await play.ask_and_hold()
        assert play.keys >= LEVERS | {"stop", "fold"}
        assert "Answer now" in painted(play.app)
        play.engine.let_go(70)
        await play.held()
        assert play.turn.trace_view.standing.finish is Finish.CLOSED
        assert play.keys.isdisjoint(LEVERS)
        assert "stop" in play.keys
        play.engine.let_go()
        await play.idle()
        assert play.keys.isdisjoint(LEVERS | {"stop"})
        assert "fold" in play.keys
        assert "Answer now" not in painted(play.app)


async def test_levers_that_are_not_offered_do_nothing() -> None:
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        await play.press("f2", "f3", "f4", "escape", "ctrl+t")
        await play.ask()
        await play.press("f2", "f3", "f4", "f8", "f9", "escape")
        trace = trace_of(play)
        assert trace.budget_events == ()
        assert trace.finish is Finish.CLOSED


async def test_users_keys_pull_the_levers() -> None:
    opener = Opener(hold_at=20)
    tui = TuiSettings(keys={"answer-now": "alt+x", "fold": "f12,alt+y"})
    async with playing(staged(opener, tui=tui), opener) as play:
        await play.ask_and_hold()
        await play.press("alt+y")
        assert play.turn.trace_view.fold == "open"
        await play.press("f2")
        play.engine.let_go(4)
        await play.held()
        assert play.turn.trace_view.standing.finish is None
        await play.press("alt+x")
        play.engine.let_go()
        await play.idle()
        assert trace_of(play).finish is Finish.USER


async def test_a_key_for_an_action_that_there_is_not_is_told_of() -> None:
    opener = Opener()
    tui = TuiSettings(keys={"answer": "alt+x", "budget": "alt+y"})
    async with playing(staged(opener, tui=tui), opener) as play:
        assert any("'answer'" in told and "answer-now" in told for told in play.notices)
        await play.press("alt+y")
        assert isinstance(play.app.screen, BudgetScreen)


# -- without thinking ----------------------------------------------------------------------------


async def test_with_the_budget_off_there_is_an_answer_and_no_trace() -> None:
    opener = Opener(thought="")
    async with playing(staged(opener, Wish("off")), opener) as play:
        await play.ask()
        trace = trace_of(play)
        assert trace.finish is Finish.OFF
        assert trace.answer == ANSWER.strip()
        assert play.turn.trace_view.text == ""
        assert "no thinking" in play.heading
        assert play.receipt.startswith("off: thinking was off")
        assert not play.turn.query_one(TraceText).display


async def test_a_model_that_does_not_think_has_no_line_about_thinking() -> None:
    opener = Opener(thought="", dialect=PLAIN)
    async with playing(staged(opener), opener) as play:
        await play.ask()
        assert trace_of(play).finish is Finish.NONE
        assert not play.turn.trace_view.display
        assert "none" not in play.receipt
        assert play.receipt.startswith("answer ")


async def test_a_budget_that_is_spent_closes_the_thinking_with_ponders_words() -> None:
    opener = Opener()
    async with playing(staged(opener, Wish(tokens=30)), opener) as play:
        await play.ask()
        trace = trace_of(play)
        assert trace.finish is Finish.CAP
        assert trace.usage.think == 30
        assert play.receipt.startswith("cap: the thinking budget was spent")
        assert "30/30 tokens" in play.heading
