"""Several traces for one question in the chat: seen, walked through, dropped, and kept."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ponder.errors import EngineError
from ponder.history.records import Vote
from ponder.poll import Decision
from ponder.settings import BudgetSettings
from ponder.tui.app import PonderApp
from ponder.tui.widgets.ballots import Headline, Roll
from ponder.tui.widgets.cell import Cell
from ponder.tui.widgets.poll_turn import PollTurn
from ponder.tui.widgets.trace import TraceHeading
from ponder.types import AnswerEnd, BudgetChange, Finish
from tui.play import Play, painted, playing, shown
from tui.stage import Opener, staged
from tui.voters import FIRST, OTHER, Voters, eight, said, three


def voting(opener: Opener, traces: int) -> PonderApp:
    return staged(opener, budget=BudgetSettings(traces=traces))


def turn_of(play: Play) -> PollTurn:
    assert isinstance(play.turn, PollTurn)
    return play.turn


def headline(play: Play) -> str:
    return shown(play.turn.query_one(Headline))


def lines(play: Play) -> list[str]:
    return shown(play.turn.query_one(Roll)).splitlines()


async def test_traces_run_at_once_and_the_answer_of_most_is_the_answer() -> None:
    opener = eight(hold_at=60)
    app = voting(opener, 8)
    async with playing(app, opener) as play:
        assert "8 traces" in str(play.composer.border_title)
        assert play.engine.n_seqs == 8
        await play.ask_and_hold()
        assert headline(play) == "▾ 8 traces · nobody has answered yet"
        assert len(lines(play)) == 8
        assert lines(play)[0].startswith("▸ 1   thinking")
        # One trace is on the screen: the others are a line each.
        assert len(play.turn.query(Cell)) == 1
        assert turn_of(play).trace_view.text.startswith("Let me")
        play.engine.let_go()
        await play.idle()
        assert "395" in headline(play)
        assert "decided" in play.receipt
        assert "It is 395" in painted(app) or "It is [395]" in painted(app)
        turn = play.turn
        assert turn.trace is not None
        assert "395" in turn.trace.answer
        # Who reads the answer need not see the traces.
        assert not play.turn.query_one(Roll).display
        (written,) = play.written()
        assert written.vote is not None
        assert written.vote.poll == turn_of(play).poll
        assert written.trace == turn.trace
        assert len(written.candidates) == 8
        assert all(one.trace is not None for one in written.candidates)
        assert len(play.app.dialogue.messages) == 2


async def test_a_key_walks_through_the_traces_also_of_a_vote_that_is_over() -> None:
    opener = three()
    app = staged(opener, budget=BudgetSettings(traces=3, loops=False))
    async with playing(app, opener) as play:
        await play.ask()
        turn = turn_of(play)
        assert (turn.looked_at, turn.shown) == (1, 1)
        await play.press("alt+k")
        await play.until(lambda: turn.looked_at == 2)
        assert turn.query_one(Roll).display
        assert turn.trace_view.text.startswith("Well")
        whose = shown(turn.query_one(".whose"))
        assert whose.startswith("trace 2 answers: 385")
        assert "385" in painted(app)
        await play.press("alt+j")
        await play.until(lambda: turn.looked_at == 1)
        assert not turn.query_one(".own").display
        roll = turn.query_one(Roll)
        roll.focus()
        await play.press("3")
        await play.until(lambda: turn.looked_at == 3)
        await play.press("down")
        await play.until(lambda: turn.looked_at == 1)
        await play.press("tab")
        await play.until(lambda: turn.looked_at == 2)
        headline = turn.query_one(Headline)
        headline.focus()
        await play.press("enter")
        await play.until(lambda: not roll.display)
        assert turn.looked_at == turn.shown


async def test_what_is_not_seen_is_not_painted_and_nothing_of_it_is_missing() -> None:
    opener = three(hold_at=24)
    app = voting(opener, 3)
    async with playing(app, opener) as play:
        await play.ask_and_hold()
        turn = turn_of(play)
        hidden = turn._cells[2]
        assert not hidden.is_attached
        await play.press("alt+k")
        await play.until(lambda: hidden.placed)
        before = hidden.view.text
        assert OTHER.startswith(before[:10])
        await play.press("alt+k")
        await play.until(lambda: turn.looked_at == 3)
        play.engine.let_go(18)
        await play.held()
        assert hidden.view.text == before
        await play.press("alt+j")
        await play.until(lambda: hidden.view.text != before)
        assert (OTHER * 2).startswith(hidden.view.text)
        play.engine.let_go()
        await play.idle()
        # Chosen by hand: it stays in sight, and the answer stands below.
        assert turn.looked_at == 2
        assert "395" in painted(app)


async def test_few_traces_stand_side_by_side_where_there_is_room() -> None:
    opener = three(hold_at=24)
    app = voting(opener, 3)
    async with playing(app, opener, size=(140, 40)) as play:
        await play.ask_and_hold()
        turn = turn_of(play)
        cells = [cell for cell in turn.query(Cell) if cell.display]
        assert [cell.ballot.number for cell in cells] == [1, 2, 3]
        assert len({cell.region.y for cell in cells}) == 1
        assert [cell.view.text[:3] for cell in cells] == ["Let", "Wel", "Let"]
        assert not turn.query_one(Roll).display
        await play.pilot.resize_terminal(80, 24)
        await play.until(lambda: turn.query_one(Roll).display)
        assert [cell.ballot.number for cell in turn.query(Cell) if cell.display] == [1]
        await play.pilot.resize_terminal(140, 40)
        await play.until(lambda: not turn.query_one(Roll).display)
        # Who walks into a trace looks at it.
        list(turn.query(TraceHeading))[2].focus()
        await play.until(lambda: turn.looked_at == 3)
        play.engine.let_go()
        await play.idle()


async def test_the_trace_that_is_looked_at_can_be_dropped() -> None:
    opener = three(hold_at=18)
    app = voting(opener, 3)
    async with playing(app, opener) as play:
        assert "drop" not in play.keys
        await play.ask_and_hold()
        assert "drop" in play.keys
        await play.press("alt+k", "alt+d")
        play.engine.let_go()
        await play.idle()
        turn = turn_of(play)
        assert turn.poll is not None
        assert turn.poll.dropped == (2,)
        assert "1: dropped" in headline(play)
        assert "dropped by hand" in turn.ballots[1].word(turn.poll)
        assert "drop" not in play.keys
        (written,) = play.written()
        dropped = written.candidates[1].trace
        assert dropped is not None
        assert (dropped.finish, dropped.answer_end) == (Finish.USER, AnswerEnd.DROPPED)
        assert dropped.budget_events[-1].change is BudgetChange.DISMISSED


async def test_levers_are_pulled_for_all_traces() -> None:
    opener = three(hold_at=18)
    app = voting(opener, 3)
    async with playing(app, opener) as play:
        await play.ask_and_hold()
        assert {"answer_now", "extend", "wait", "stop"} <= play.keys
        await play.press("f2")
        play.engine.let_go()
        await play.idle()
        (written,) = play.written()
        traces = [one.trace for one in written.candidates]
        assert {trace.finish for trace in traces if trace is not None} <= {
            Finish.USER,
            Finish.AGREED,
        }
        assert Finish.USER in {trace.finish for trace in traces if trace is not None}


async def test_a_vote_that_is_stopped_is_kept_and_answers_nothing() -> None:
    opener = three(hold_at=18)
    app = voting(opener, 3)
    async with playing(app, opener) as play:
        await play.ask_and_hold()
        await play.press("escape")
        await play.idle()
        assert "cancelled before it was decided" in play.receipt
        (written,) = play.written()
        assert written.vote is not None
        assert written.vote.poll is not None
        assert written.vote.poll.stop is Decision.CANCELLED
        assert not written.vote.won
        assert play.app.dialogue.messages == []
        await play.ask()
        # Whoever asks next is not told of it.
        assert all("395" not in prompt for prompt in play.prompts)


async def test_what_an_engine_dies_of_leaves_all_traces_as_they_were() -> None:
    opener = three(hold_at=24)
    app = voting(opener, 3)
    async with playing(app, opener) as play:
        await play.ask_and_hold()
        play.engine.fail(EngineError("It died."))
        await play.idle()
        assert "It died." in play.receipt
        (written,) = play.written()
        assert written.error == "It died."
        assert all(one.spans for one in written.candidates)
        await play.press("alt+k")
        await play.until(lambda: turn_of(play).looked_at == 2)
        assert "unfinished" in lines(play)[1]


async def test_an_earlier_vote_is_shown_as_it_was() -> None:
    opener = three()
    app = voting(opener, 3)
    async with playing(app, opener) as play:
        await play.ask()
        told, receipt = headline(play), play.receipt
        await play.press("alt+k")
        await play.until(lambda: turn_of(play).looked_at == 2)
        turn_of(play).trace_view.toggle()
        await play.pilot.pause(0.1)
        number = play.app.dialogue.conversation
        assert number is not None
    again = three()
    app = staged(again, conversation=number)
    async with playing(app, again) as play:
        await play.until(lambda: bool(play.turns) and "thinking tokens" in play.receipt)
        turn = turn_of(play)
        assert headline(play) == told
        assert play.receipt.split(" · ")[:2] == receipt.split(" · ")[:2]
        assert "395" in painted(app)
        await play.press("alt+k")
        await play.until(lambda: turn.looked_at == 2)
        assert turn.trace_view.text.startswith("Well")
        assert turn.trace_view.fold == "open"
        assert shown(turn.query_one(".whose")).startswith("trace 2 answers: 385")
        assert len(play.app.dialogue.messages) == 2


async def test_a_key_says_how_many_traces_the_next_question_has() -> None:
    opener = eight()
    app = staged(opener)
    async with playing(app, opener) as play:
        for traces in (2, 4, 8, 16):
            await play.press("alt+t")
            assert f"{traces} traces" in str(play.composer.border_title)
        await play.press("alt+t")
        assert "traces" not in str(play.composer.border_title)
        await play.press("alt+t", "alt+t", "alt+t")
        assert opener.traces == [1]
        await play.ask()
        # The model is loaded again, with room for so many, and then it is asked.
        assert opener.traces == [1, 8]
        assert len(turn_of(play).ballots) == 8
        await play.press("alt+t", "alt+t")
        await play.ask("And alone?")
        assert opener.traces == [1, 8]
        assert not isinstance(play.turn, PollTurn)


async def test_where_so_many_traces_do_not_fit_it_is_said_and_nothing_is_asked() -> None:
    opener = three()
    opener.most_traces = 2
    app = staged(opener)
    async with playing(app, opener) as play:
        await play.press("alt+t", "alt+t")
        await play.send("17 * 23 + 4?")
        await play.until(lambda: opener.traces == [1, 4, 1] and not app.loading_model)
        assert any("4 traces take too much memory" in note for note in play.notices)
        assert play.composer.text == "17 * 23 + 4?"
        assert "traces" not in str(play.composer.border_title)
        assert play.turns == []


async def test_a_pool_and_weights_are_those_of_the_vote() -> None:
    opener = Voters((FIRST, said("395")), (OTHER * 9, said("385")), (OTHER * 9, said("385")))
    app = staged(opener)
    app.chat.vote = Vote(3, pool=70, weigh=True)
    async with playing(app, opener) as play:
        title = str(play.composer.border_title)
        assert "3 traces, pool 70" in title
        assert "unweighed" not in title
        await play.ask()
        turn = turn_of(play)
        assert turn.poll is not None
        assert turn.poll.dropped
        number = turn.poll.dropped[0]
        assert turn.ballots[number - 1].word(turn.poll).startswith("dropped: the pool of 70")
        (written,) = play.written()
        assert written.vote is not None
        assert replace(written.vote, poll=None, shown=None) == Vote(3, 70, True)


async def test_a_vote_that_means_nothing_is_refused_and_the_question_kept() -> None:
    opener = three()
    app = staged(opener)
    app.chat.vote = Vote(3, pool=0)
    async with playing(app, opener) as play:
        await play.send("17 * 23 + 4?")
        await play.until(lambda: bool(play.notices))
        assert "nothing to think with in a pool of 0 tokens" in play.notices[0]
        assert play.composer.text == "17 * 23 + 4?"
        assert play.turns == []


@pytest.mark.parametrize("width", [40, 80, 200, 300])
async def test_every_width_shows_a_vote(width: int) -> None:
    opener = eight(hold_at=100)
    app = voting(opener, 8)
    async with playing(app, opener, size=(width, 24)) as play:
        await play.ask_and_hold()
        for line in lines(play):
            assert len(line) <= width
        play.engine.let_go()
        await play.idle()
        assert "395" in painted(app)
