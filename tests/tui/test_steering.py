"""Another way from here: a step edited, a question asked again or otherwise, branches walked."""

from __future__ import annotations

from textual.widgets import OptionList

from ponder import paths
from ponder.history.records import Branch
from ponder.history.store import History
from ponder.thinking.effort import Wish
from ponder.tui.screens.branches import BranchScreen
from ponder.tui.screens.edit import EditScreen, StepEditor
from ponder.tui.widgets.branch import BranchLine
from ponder.tui.widgets.composer import Composer
from ponder.tui.widgets.trace import TraceHeading
from ponder.types import Author, BudgetChange, Channel, Finish
from tui.play import Play, painted, playing, shown
from tui.stage import ANSWER, QUESTION, THOUGHT, Opener, staged, typed

LAST = THOUGHT.rsplit("\n\n", 1)[1]
"""The last step of what is thought."""


async def focus_trace(play: Play) -> None:
    play.turn.query_one(TraceHeading).focus()
    await play.pilot.pause()


async def edit(play: Play, text: str, *keys: str) -> None:
    """Replace the step under the cursor and confirm."""
    await focus_trace(play)
    await play.press("e")
    await play.until(lambda: isinstance(play.app.screen, EditScreen))
    editor = play.app.screen.query_one(StepEditor)
    editor.text = text
    await play.press(*(keys or ("enter",)))
    await play.until(lambda: play.chatting)


def branch(play: Play) -> str:
    line = play.turn.query_one(BranchLine)
    return shown(line).split("  ")[0] if line.display else ""


def tree(play: Play) -> list[Branch]:
    play.written()
    with History(paths.history_file()) as history:
        latest = history.latest()
        assert latest is not None
        return history.branches(latest.id)


async def answered(play: Play, count: int) -> None:
    await play.until(lambda: len(tree_of(play)) == count)
    await play.idle()


def tree_of(play: Play) -> list[object]:
    return [told for told in play.told if type(told).__name__ == "Ended"]


async def test_a_step_is_edited_and_the_model_goes_on_from_there() -> None:
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        await play.ask()
        (first,) = play.written()
        await edit(play, "Let me look at each letter again.")
        await answered(play, 2)
        assert len(play.turns) == 1
        assert branch(play) == "branch 2/2"
        assert play.app.focused is play.composer
        (turn,) = play.written()
        trace = turn.trace
        assert trace is not None
        assert trace.thought.startswith(THOUGHT.removesuffix(LAST) + "Let me look at each letter")
        mine = [span.text for span in trace.spans if span.author is Author.USER]
        assert "".join(mine).endswith("Let me look at each letter again.")
        assert turn.question == QUESTION
        assert (turn.parent, len(turn.siblings)) == (None, 2)
        # What was kept is the model's, token by token, and counted.
        kept = trace.usage.kept
        assert first.trace is not None
        assert trace.tokens[:kept] == first.trace.tokens[:kept]
        assert 0 < kept < first.trace.usage.think
        assert [e.change for e in trace.budget_events] == [BudgetChange.BEGUN]
        assert play.prompts[1].startswith(play.prompts[0])


async def test_an_edit_stops_what_runs_and_keeps_it_as_a_branch() -> None:
    opener = Opener(hold_at=40)
    async with playing(staged(opener, Wish(tokens=60)), opener) as play:
        await play.ask_and_hold()
        await focus_trace(play)
        await play.press("e")
        await play.until(lambda: isinstance(play.app.screen, EditScreen))
        # Until it is confirmed, nothing happens to what runs.
        assert play.app.dialogue.running is not None
        play.app.screen.query_one(StepEditor).text = "Wrong. "
        await play.press("alt+enter")
        await answered(play, 2)
        (turn,) = play.written()
        assert turn.trace is not None
        assert turn.budget.cap == 60 + 512
        first = next(b for b in tree(play) if b.id != turn.id)
        assert first.finish == Finish.CANCELLED
        assert not first.chosen


async def test_escape_leaves_all_as_it_was() -> None:
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        await play.ask()
        await focus_trace(play)
        await play.press("e")
        await play.until(lambda: isinstance(play.app.screen, EditScreen))
        assert play.app.screen.query_one(StepEditor).text == LAST
        await typed(play.pilot, " no")
        await play.press("escape")
        await play.until(lambda: play.chatting)
        assert len(tree(play)) == 1
        assert branch(play) == ""


async def test_what_is_asked_next_is_asked_in_the_light_of_the_path() -> None:
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        await play.ask("One?")
        await play.ask("Two?")
        await play.press("alt+q")
        assert play.composer.text == "Two?"
        assert "instead of turn 2" in play.subtitle
        play.composer.text = "Three?"
        await play.press("enter")
        await answered(play, 3)
        assert [view.question for view in play.turns] == ["One?", "Three?"]
        await play.ask("Four?")
        assert "One?" in play.prompts[-1]
        assert "Three?" in play.prompts[-1]
        assert "Two?" not in play.prompts[-1]
        assert [turn.question for turn in play.written()] == ["One?", "Three?", "Four?"]


async def test_escape_asks_at_the_end_again() -> None:
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        await play.ask("One?")
        await play.press("alt+q", "escape")
        assert "instead" not in play.subtitle
        await play.press("enter")
        await answered(play, 2)
        assert [view.question for view in play.turns] == ["One?", "One?"]


async def test_the_same_question_again_and_back() -> None:
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        await play.ask("One?")
        await play.ask("Two?")
        assert play.chat.check_action("sibling", (1,)) is False
        await play.press("alt+r")
        await answered(play, 3)
        assert [view.question for view in play.turns] == ["One?", "Two?"]
        assert branch(play) == "branch 2/2"
        second = play.turn
        await play.press("alt+left")
        await play.until(lambda: play.turn is not second and branch(play) == "branch 1/2")
        assert play.turn.trace is not None
        assert [turn.siblings.index(turn.id) for turn in play.written()] == [0, 0]
        first = play.turn
        await play.press("alt+right")
        await play.until(lambda: play.turn is not first and branch(play) == "branch 2/2")
        # What is asked now follows what is shown.
        await play.ask("Three?")
        assert [b.question for b in tree(play)] == ["One?", "Two?", "Two?", "Three?"]
        assert [b.chosen for b in tree(play)] == [True, False, True, True]


async def test_the_tree_leads_anywhere() -> None:
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        await play.ask("One?")
        await play.ask("Two?")
        await play.press("alt+r")
        await answered(play, 3)
        await play.press("f10")
        await play.until(lambda: isinstance(play.app.screen, BranchScreen))
        listed = play.app.screen.query_one(OptionList)
        assert listed.option_count == 3
        assert listed.highlighted == 2
        seen = painted(play.app)
        assert "● One?" in seen
        assert "○ 1/2 Two?" in seen
        assert "● 2/2 Two?" in seen
        await play.press("up", "enter")
        await play.until(lambda: play.chatting and branch(play) == "branch 1/2")


async def test_keys_that_would_do_nothing_are_not_offered() -> None:
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        assert play.chat.check_action("again", ()) is False
        await play.ask()
        assert play.chat.check_action("again", ()) is True
        assert "edit" not in play.keys
        await focus_trace(play)
        assert "edit" in play.keys
        play.chat.query_one(Composer).focus()
        await play.pilot.pause()
        # There it is a letter.
        await play.press("e")
        assert play.composer.text == "e"


async def test_another_models_tokens_are_not_gone_on_with() -> None:
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        await play.ask()
        play.app.load_model("other")
        await play.until(lambda: play.app.model == "other" and not play.app.loading_model)
        await edit(play, "No.")
        await play.until(lambda: any("thought this" in note for note in play.notices))
        assert len(tree(play)) == 1
        assert "ctrl+o" in play.notices[-1]


async def test_ponders_closing_words_are_not_edited() -> None:
    """What ended the thinking is no step of it."""
    opener = Opener()
    async with playing(staged(opener, Wish(tokens=30)), opener) as play:
        await play.ask()
        assert play.turn.trace is not None
        assert play.turn.trace.finish is Finish.CAP
        await focus_trace(play)
        await play.press("e")
        await play.until(lambda: isinstance(play.app.screen, EditScreen))
        assert "Time is up" not in play.app.screen.query_one(StepEditor).text
        await play.press("escape")


async def test_a_branch_is_there_when_the_conversation_is_opened_again() -> None:
    opener = Opener()
    async with playing(staged(opener), opener) as play:
        await play.ask("One?")
        await play.press("alt+r")
        await answered(play, 2)
        number = play.app.dialogue.conversation
    again = Opener()
    async with playing(staged(again, conversation=number), again) as play:
        await play.until(lambda: len(play.turns) == 1)
        assert branch(play) == "branch 2/2"
        thought = [s.text for s in play.written()[0].spans if s.channel is Channel.ANSWER]
        assert "".join(thought).strip() == ANSWER.strip()
