"""Questions and answers on the chat screen: what is told, shown, remembered and written down."""

from __future__ import annotations

import pytest

from ponder.errors import EngineError
from ponder.history.store import History
from ponder.thinking.effort import Wish
from ponder.tui.screens.chat import ChatScreen
from ponder.types import AnswerEnd, Finish
from tui.play import painted, playing
from tui.stage import ANSWER, QUESTION, SECOND, THOUGHT, Opener, staged


async def test_a_question_is_asked_answered_and_written_down() -> None:
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        await play.ask()
        began, ended = play.told
        assert isinstance(began, ChatScreen.Began)
        assert isinstance(ended, ChatScreen.Ended)
        assert began.question == QUESTION
        (turn,) = play.written()
        assert turn.trace == ended.trace
        assert turn.question == QUESTION
        assert (turn.model, turn.error) == ("r1-7b", "")
        assert play.turn.trace_view.text == THOUGHT
        assert ended.trace.thought.strip() == THOUGHT
        assert ended.trace.answer == ANSWER.strip()
        assert ended.trace.finish is Finish.CLOSED
        assert ended.trace.answer_end is AnswerEnd.STOP
    assert play.saved


async def test_a_question_is_in_the_history_while_it_is_answered() -> None:
    opener = Opener(hold_at=20)
    async with playing(staged(opener), opener) as play:
        await play.ask_and_hold()
        (turn,) = play.written()
        assert turn.trace is None
        assert turn.question == QUESTION
        assert "".join(span.text for span in turn.spans).strip() == play.turn.trace_view.text
        assert play.turn.trace_view.text


async def test_the_next_prompt_has_earlier_answers_and_never_earlier_thinking() -> None:
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        await play.ask("How many?")
        await play.ask("Are you sure?")
        _, second = play.prompts
        assert f"<user>How many?<assistant>{ANSWER.strip()}<user>Are you sure?" in second
        assert THOUGHT not in second
        assert "Okay, so I need" not in second
        assert len(play.turns) == len(play.written()) == 2


async def test_every_question_has_the_status_line_tell_how_full_the_context_is() -> None:
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        assert "context" not in play.status
        await play.ask()
        (ended,) = (told for told in play.told if isinstance(told, ChatScreen.Ended))
        usage = ended.trace.usage
        assert f"{usage.prompt + usage.answer:,}/4,096 context · r1-7b" in play.status
        assert play.status.startswith("How many times")


async def test_esc_keeps_what_came_and_later_prompts_know_nothing_of_it() -> None:
    opener = Opener(hold_at=30)
    async with playing(staged(opener), opener) as play:
        await play.ask_and_hold("First?")
        await play.press("escape")
        await play.idle()
        ended = play.told[-1]
        assert isinstance(ended, ChatScreen.Ended)
        assert ended.trace.finish is Finish.CANCELLED
        assert play.turn.trace_view.text == ended.trace.thought.lstrip("\n")
        assert THOUGHT.startswith(play.turn.trace_view.text)
        assert play.receipt.startswith("cancelled")
        assert play.heading.endswith("cancelled")
        (turn,) = play.written()
        assert turn.trace == ended.trace
        await play.ask("Second?")
        assert "First?" not in play.prompts[-1]


async def test_an_answer_that_is_cancelled_says_so_and_is_not_remembered() -> None:
    opener = Opener(hold_at=100)
    async with playing(staged(opener), opener) as play:
        await play.ask_and_hold("First?")
        assert play.turn.trace_view.standing.finish is Finish.CLOSED
        await play.press("escape")
        await play.idle()
        ended = play.told[-1]
        assert isinstance(ended, ChatScreen.Ended)
        assert ended.trace.answer_end is AnswerEnd.CANCELLED
        assert ANSWER.startswith(ended.trace.answer)
        assert "the answer was cancelled" in play.receipt
        assert play.app.dialogue.messages == []


async def test_the_composer_is_emptied_as_soon_as_it_is_asked() -> None:
    opener = Opener(hold_at=5)
    async with playing(staged(opener), opener) as play:
        await play.send("First?")
        await play.press("N", "e", "x", "t")
        assert play.composer.text == "Next"
        await play.held()
        assert play.app.dialogue.running is not None
        assert play.app.dialogue.running.question == "First?"


@pytest.mark.parametrize("text", ["", "   ", "\n\n"])
async def test_nothing_is_not_asked(text: str) -> None:
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        await play.send(text)
        assert play.told == []
        assert play.turns == []


async def test_a_question_that_is_too_long_comes_back() -> None:
    opener = Opener(n_ctx=512)
    long = "x" * 2000
    async with playing(staged(opener), opener) as play:
        await play.send(f"  {long}")
        await play.until(lambda: bool(play.told))
        (failed,) = play.told
        assert isinstance(failed, ChatScreen.Failed)
        assert play.composer.text == f"  {long}"
        assert any("no room is left" in notice for notice in play.notices)
        assert any("Shorten it" in notice for notice in play.notices)
        assert play.turns == []
        with History(play.history) as history:
            assert history.latest() is None


async def test_a_budget_beyond_the_context_is_refused_with_what_to_do() -> None:
    opener = Opener()
    async with playing(staged(opener, Wish(tokens=9999)), opener) as play:
        await play.send()
        await play.until(lambda: bool(play.told))
        assert play.composer.text == QUESTION
        assert any("beyond this model's context" in notice for notice in play.notices)


async def test_without_a_model_the_question_stays_in_the_composer() -> None:
    opener = Opener()
    opener.refusals["r1-7b"] = EngineError("It does not load.", "Buy another.")
    async with playing(staged(opener), opener) as play:
        await play.send("Anybody?")
        await play.until(lambda: bool(play.told))
        assert play.composer.text == "Anybody?"
        assert any("No model is loaded" in notice for notice in play.notices)
        assert all(told in painted(play.app) for told in ("It does not load.", "Buy another."))
        assert "ctrl+o" in painted(play.app)
        assert "no model" in play.status


# -- questions that wait -----------------------------------------------------------------------


async def test_what_is_asked_while_the_model_loads_is_asked_when_it_is_there() -> None:
    opener = Opener()
    opener.gate.clear()
    async with playing(staged(opener), opener, wait=False) as play:
        await play.until(lambda: play.app.loading_model)
        assert "loading r1-7b" in play.status
        await play.send("Early?")
        assert play.told == []
        assert play.composer.text == "Early?"
        assert play.subtitle == "asked when the model has loaded · esc takes it back"
        opener.gate.set()
        await play.until(lambda: len(play.told) == 2)
        assert play.composer.text == ""
        assert "<user>Early?<assistant>" in play.prompts[0]


async def test_what_is_asked_while_a_question_runs_is_asked_afterwards() -> None:
    opener = Opener(hold_at=10)
    async with playing(staged(opener), opener) as play:
        await play.ask_and_hold("First?")
        await play.send("Second?")
        assert play.subtitle == "asked when this is answered · esc takes it back"
        assert len(play.turns) == 1
        play.engine.let_go()
        await play.until(lambda: len(play.told) == 4)
        kinds = [type(told).__name__ for told in play.told]
        assert kinds == ["Began", "Ended", "Began", "Ended"]
        assert f"<user>First?<assistant>{ANSWER.strip()}<user>Second?" in play.prompts[1]
        assert play.composer.text == ""
        assert "enter asks" in play.subtitle


async def test_what_is_still_being_written_is_not_asked() -> None:
    opener = Opener(hold_at=10)
    async with playing(staged(opener), opener) as play:
        await play.ask_and_hold("First?")
        await play.send("Second")
        await play.press("!")
        assert "enter asks" in play.subtitle
        play.engine.let_go()
        await play.idle()
        assert len(play.prompts) == 1
        assert play.composer.text == "Second!"


async def test_esc_takes_a_waiting_question_back_before_it_stops_the_one_that_runs() -> None:
    opener = Opener(hold_at=10)
    async with playing(staged(opener), opener) as play:
        await play.ask_and_hold("First?")
        await play.send("Second?")
        await play.press("escape")
        assert "enter asks" in play.subtitle
        assert play.app.dialogue.running is not None
        await play.press("escape")
        await play.idle()
        assert len(play.prompts) == 1
        assert play.composer.text == "Second?"


async def test_a_question_that_waits_is_asked_after_a_stopped_one_as_well() -> None:
    opener = Opener(hold_at=10, second=SECOND)
    async with playing(staged(opener), opener) as play:
        await play.ask_and_hold("First?")
        await play.send("Second?")
        assert play.app.dialogue.running is not None
        play.app.dialogue.running.answering.cancel()
        await play.until(lambda: len(play.told) == 4)
        assert "First?" not in play.prompts[1]


# -- whole conversations -----------------------------------------------------------------------


async def test_a_new_conversation_knows_nothing_of_the_one_before() -> None:
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        await play.ask("First?")
        await play.press("ctrl+n")
        await play.until(lambda: not play.turns)
        assert play.conversation.query_one("#welcome").display
        assert play.status.startswith("ponder ")
        assert "context" not in play.status
        await play.ask("Second?")
        assert not play.conversation.query_one("#welcome").display
        assert "First?" not in play.prompts[1]
        assert play.status.startswith("Second?")
        play.written()
        with History(play.history) as history:
            assert [c.title for c in history.conversations()] == ["Second?", "First?"]


async def test_there_is_no_new_conversation_while_a_question_runs() -> None:
    opener = Opener(hold_at=10)
    async with playing(staged(opener), opener) as play:
        await play.ask_and_hold()
        await play.press("ctrl+n")
        assert len(play.turns) == 1
        assert any("Stop the question first" in notice for notice in play.notices)


async def test_leaving_in_mid_sentence_writes_down_what_came() -> None:
    opener = Opener(hold_at=30)
    async with playing(staged(opener), opener) as play:
        await play.ask_and_hold()
        await play.press("ctrl+q")
    assert play.saved
    assert play.app.return_code == 0
    with History(play.history) as history:
        latest = history.latest()
        assert latest is not None
        (turn,) = history.turns(latest.id)
    assert turn.trace is not None
    assert turn.trace.finish is Finish.CANCELLED
    assert turn.trace.thought.strip()
    assert THOUGHT.startswith(turn.trace.thought.strip())
    assert play.engine.shut
