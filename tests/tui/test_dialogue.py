"""A conversation without its widgets: what is asked, remembered and written down."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ponder import paths
from ponder.errors import EngineError, InputError
from ponder.events import Finished
from ponder.history.recorder import Recorder
from ponder.history.store import History
from ponder.tui.dialogue import TITLE, Asked, Dialogue, title
from ponder.types import AnswerEnd, Budget, Finish, Message, Trace
from tui.stage import ANSWER, GUARD, NOON, THOUGHT, Opener


@pytest.fixture
def dialogue() -> Iterator[Dialogue]:
    made = Dialogue(Recorder(paths.history_file(), lambda _: None), lambda: NOON, lambda: 7)
    yield made
    made.close()
    assert made.recorder.close(GUARD)


def attached(dialogue: Dialogue, opener: Opener | None = None, name: str = "r1-7b") -> Opener:
    opener = opener or Opener()
    dialogue.attach(opener(name, lambda _: None))
    return opener


def answered(dialogue: Dialogue, asked: Asked) -> Trace:
    """Tell a question's events one by one, to its end."""
    trace = None
    for event in asked.answering:
        dialogue.record(asked, [event])
        if isinstance(event, Finished):
            trace = event.trace
    assert trace is not None
    return trace


def history(dialogue: Dialogue) -> History:
    assert dialogue.recorder.flush(GUARD)
    return History(paths.history_file())


def test_a_question_is_written_down_from_its_first_word_to_its_trace(dialogue: Dialogue) -> None:
    attached(dialogue)
    asked = dialogue.ask("How many?", Budget(cap=300))
    assert dialogue.running is asked
    with history(dialogue) as written:
        (turn,) = written.turns(1)
        assert (turn.question, turn.model, turn.asked) == ("How many?", "r1-7b", NOON)
        assert turn.budget.cap == 300
        assert turn.sampling.seed == 7
        assert turn.trace is None
    trace = answered(dialogue, asked)
    assert dialogue.running is None
    with history(dialogue) as written:
        (turn,) = written.turns(1)
        assert turn.trace == trace
        assert turn.spans == trace.spans
        assert written.conversation(1).title == "How many?"
    assert dialogue.conversation == 1


def test_answers_are_remembered_and_thinking_is_not(dialogue: Dialogue) -> None:
    opener = attached(dialogue)
    answered(dialogue, dialogue.ask("One?", Budget()))
    answered(dialogue, dialogue.ask("Two?", Budget()))
    answer = ANSWER.strip()
    assert dialogue.messages == [
        Message("user", "One?"),
        Message("assistant", answer),
        Message("user", "Two?"),
        Message("assistant", answer),
    ]
    assert opener.engine is not None
    assert THOUGHT not in opener.engine.prompts[1]


def test_nothing_is_written_of_a_question_that_is_refused(dialogue: Dialogue) -> None:
    with pytest.raises(EngineError, match="No model is loaded"):
        dialogue.ask("Anybody?", Budget())
    attached(dialogue)
    with pytest.raises(InputError):
        dialogue.ask("?" * 5000, Budget())
    assert dialogue.running is None
    assert dialogue.conversation is None
    assert dialogue.recorder.flush(GUARD)
    assert not paths.history_file().exists()


def test_another_model_is_told_what_was_said(dialogue: Dialogue) -> None:
    first = attached(dialogue)
    answered(dialogue, dialogue.ask("One?", Budget()))
    dialogue.detach()
    assert dialogue.assembled is None
    assert first.engine is not None
    assert first.engine.shut
    second = attached(dialogue, name="r1-8b")
    answered(dialogue, dialogue.ask("Two?", Budget()))
    assert second.engine is not None
    assert f"<user>One?<assistant>{ANSWER.strip()}<user>Two?" in second.engine.prompts[0]
    with history(dialogue) as written:
        assert [turn.model for turn in written.turns(1)] == ["r1-7b", "r1-8b"]


def test_a_new_conversation_leaves_the_old_one_in_the_history(dialogue: Dialogue) -> None:
    attached(dialogue)
    answered(dialogue, dialogue.ask("One?", Budget()))
    dialogue.renew()
    assert dialogue.messages == []
    assert dialogue.conversation is None
    answered(dialogue, dialogue.ask("Two?", Budget()))
    with history(dialogue) as written:
        titles = {c.title: c.turns for c in written.conversations()}
    assert titles == {"One?": 1, "Two?": 1}


def test_a_conversation_that_is_taken_up_is_added_to_and_remembered(dialogue: Dialogue) -> None:
    opener = attached(dialogue, Opener(hold_at=10))
    assert opener.engine is not None
    cancelled = dialogue.ask("Never mind?", Budget())
    cancelled.answering.cancel()
    assert answered(dialogue, cancelled).answer_end is AnswerEnd.CANCELLED
    answered(dialogue, dialogue.ask("One?", Budget()))
    with history(dialogue) as written:
        turns = written.turns(1)
    dialogue.renew()
    dialogue.resume(1, turns)
    assert [message.content for message in dialogue.messages] == ["One?", ANSWER.strip()]
    assert dialogue.conversation == 1
    answered(dialogue, dialogue.ask("Two?", Budget()))
    assert "<user>One?" in opener.engine.prompts[-1]
    with history(dialogue) as written:
        questions = [turn.question for turn in written.turns(1)]
    assert questions == ["Never mind?", "One?", "Two?"]


def test_what_an_engine_died_of_is_written_down(dialogue: Dialogue) -> None:
    opener = attached(dialogue, Opener(hold_at=20))
    assert opener.engine is not None
    asked = dialogue.ask("One?", Budget())
    opener.engine.fail(EngineError("It died."))
    with pytest.raises(EngineError) as caught:
        for event in asked.answering:
            dialogue.record(asked, [event])
    dialogue.failed(asked, caught.value)
    assert dialogue.running is None
    assert dialogue.messages == []
    with history(dialogue) as written:
        (turn,) = written.turns(1)
    assert turn.error == "It died."
    assert "".join(span.text for span in turn.spans).strip()


def test_closing_writes_down_what_runs_and_lets_the_model_go() -> None:
    recorder = Recorder(paths.history_file(), lambda _: None)
    dialogue = Dialogue(recorder, lambda: NOON, lambda: 7)
    opener = attached(dialogue, Opener(hold_at=30))
    dialogue.ask("One?", Budget())
    dialogue.close()
    assert recorder.close(GUARD)
    assert dialogue.running is None
    assert opener.engine is not None
    assert opener.engine.shut
    with History(paths.history_file()) as written:
        (turn,) = written.turns(1)
    assert turn.trace is not None
    assert turn.trace.finish is Finish.CANCELLED


def test_closing_writes_down_what_an_engine_dies_of_meanwhile() -> None:
    recorder = Recorder(paths.history_file(), lambda _: None)
    dialogue = Dialogue(recorder, lambda: NOON, lambda: 7)
    opener = attached(dialogue, Opener(hold_at=30))
    dialogue.ask("One?", Budget())
    assert opener.engine is not None
    opener.engine.fail(EngineError("It died."))
    assert opener.engine.dead.wait(GUARD)
    dialogue.close()
    assert recorder.close(GUARD)
    with History(paths.history_file()) as written:
        (turn,) = written.turns(1)
    assert (turn.error, turn.trace) == ("It died.", None)


def test_closing_with_nothing_to_do_does_nothing(dialogue: Dialogue) -> None:
    dialogue.close()
    attached(dialogue)
    dialogue.close()
    assert dialogue.assembled is None


# -- titles ------------------------------------------------------------------------------------


@given(st.text())
def test_a_title_is_one_short_line(question: str) -> None:
    made = title(question)
    assert len(made) <= TITLE
    assert len(made.splitlines()) <= 1
    assert made == made.strip()
    assert bool(made) is bool(question.strip())


@given(st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=TITLE))
def test_a_short_question_is_its_own_title(question: str) -> None:
    assert title(f"\n  {question} \nmore") == question


@given(st.text(st.sampled_from("ab ,.;:"), min_size=TITLE + 1))
def test_a_long_question_is_cut_between_words(question: str) -> None:
    made = title(question)
    if made.endswith("…"):
        start = made.removesuffix("…")
        assert question.strip().startswith(start)
        assert not start.endswith((",", ";", ":", ".", " "))


def test_a_title_is_cut_where_a_word_ends() -> None:
    assert title(f"{'word ' * 11}another, and more of it") == f"{'word ' * 11}…".replace(" …", "…")
    assert title("x" * 100) == "x" * (TITLE - 1) + "…"
