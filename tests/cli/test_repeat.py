"""`ponder replay TURN`: turns of the built-in model asked again, and what is refused."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ponder import paths
from ponder.assembly import Choices, open_session
from ponder.cli import run
from ponder.events import Event, Text
from ponder.history.recorder import Recorder
from ponder.history.store import History
from ponder.library import hashes, local
from ponder.runner import Stream
from ponder.settings import Settings
from ponder.tui.dialogue import Asked, Dialogue
from ponder.types import AnswerEnd, Author, Budget, BudgetChange, Channel, Finish, Trace

QUESTION = "What is 17 * 23 + 4 - 12 * 3 + 50?"
Capture = pytest.CaptureFixture[str]
Act = Callable[[Asked], None]


def kept(
    budget: Budget, model: str = "ponder-tiny", after: int = 30, act: Act | None = None
) -> Trace:
    """A turn, asked as the chat does; `act` is done to it after so many tokens of thought."""
    recorder = Recorder(paths.history_file(), lambda _: None)
    dialogue = Dialogue(recorder, seed=lambda: 7)
    opened = open_session(Settings(model=model), Choices())
    dialogue.attach(opened)
    hashes.learn(opened.session.provenance.files if opened.session.provenance else ())
    asked = dialogue.ask(QUESTION, budget)
    waits = act is not None
    for event in asked.answering:
        assert isinstance(event, Event)
        dialogue.record(asked, [event])
        if waits and act is not None and isinstance(event, Text) and event.think_tokens >= after:
            act(asked)
            waits = False
    dialogue.close()
    assert recorder.close(60)
    with History(paths.history_file()) as history:
        trace = history.turn().trace
    assert trace is not None
    return trace


def replayed(capfd: Capture) -> None:
    assert run(["replay", "last", "-q"]) == 0, capfd.readouterr()
    out, err = capfd.readouterr()
    with History(paths.history_file()) as history:
        trace = history.turn().trace
    assert trace is not None
    assert out == f"identical: {len(trace.tokens):,} tokens, finish: {trace.finish.value}\n"
    assert err == ""


def test_a_budget_cuts_where_it_cut(capfd: Capture) -> None:
    trace = kept(Budget(cap=40))
    assert trace.finish is Finish.CAP
    assert {s.author for s in trace.spans} == {Author.MODEL, Author.CLOSING}
    replayed(capfd)


def test_a_wait_that_somebody_asked_for(capfd: Capture) -> None:
    trace = kept(Budget(), act=lambda asked: asked.answering.stream.wait())
    changes = [event.change for event in trace.budget_events]
    assert changes == [BudgetChange.WAIT, BudgetChange.WITHDRAWN]
    assert Author.WAIT in {s.author for s in trace.spans}
    replayed(capfd)


def test_a_hint_that_somebody_put_in(capfd: Capture) -> None:
    trace = kept(Budget(), act=lambda asked: asked.answering.stream.hint("Count again."))
    assert trace.budget_events[0].change is BudgetChange.HINT
    assert Author.USER in {s.author for s in trace.spans}
    replayed(capfd)


def test_an_answer_that_was_asked_for(capfd: Capture) -> None:
    trace = kept(Budget(), act=lambda asked: asked.answering.stream.answer_now())
    assert trace.finish is Finish.USER
    replayed(capfd)


def test_more_that_was_granted(capfd: Capture) -> None:
    trace = kept(Budget(cap=50), act=lambda asked: asked.answering.stream.extend(20))
    assert trace.budget == 70
    replayed(capfd)


def test_a_rule_that_ended_it(capfd: Capture) -> None:
    trace = kept(Budget(stop="converged:2,every=4"))
    assert trace.finish is Finish.CONVERGED
    replayed(capfd)


def test_a_rule_beside_a_deadline_is_taken_at_its_word(capfd: Capture) -> None:
    trace = kept(Budget(stop="converged:2,every=4", within=1e6))
    assert trace.finish is Finish.CONVERGED
    replayed(capfd)


def test_a_deadline_falls_where_it_fell(capfd: Capture) -> None:
    def pass_time(asked: Asked) -> None:
        stream = asked.answering.stream
        assert isinstance(stream, Stream)
        runner = stream._runner
        runner._now = lambda: time.monotonic() + 2e6

    trace = kept(Budget(within=1e6), act=pass_time)
    assert (trace.finish, trace.answer_end) == (Finish.DEADLINE, AnswerEnd.DEADLINE)
    replayed(capfd)


def test_a_trace_that_was_cancelled(capfd: Capture) -> None:
    trace = kept(Budget(), act=lambda asked: asked.answering.cancel())
    assert trace.finish is Finish.CANCELLED
    replayed(capfd)


def test_other_weights_are_refused_by_name(capfd: Capture, tmp_path: Path) -> None:
    file = tmp_path / "mine.gguf"
    shutil.copy(local.builtin_path("ponder-tiny-Q4_K_M.gguf"), file)
    kept(Budget(cap=40), str(file))
    data = bytearray(file.read_bytes())
    data[-5] ^= 1
    file.write_bytes(data)
    assert run(["replay", "last", "--model", str(file), "-q"]) == 2
    err = capfd.readouterr().err
    assert "weights (mine.gguf):" in err


def test_another_seed_parts(capfd: Capture) -> None:
    kept(Budget(cap=40))
    with History(paths.history_file()) as history:
        turn = history.turn()
        assert turn.trace is not None
        history.finish_turn(
            turn.id, replace(turn.trace, sampling=replace(turn.trace.sampling, seed=8))
        )
    assert run(["replay", str(turn.id), "--json", "-q"]) == 1
    told = json.loads(capfd.readouterr().out)
    assert not told["identical"]
    assert 0 <= told["parting"]["at"] < told["tokens"]
    assert told["parting"]["then"] != told["parting"]["now"]


@pytest.mark.parametrize("word", ["nothing", "12", "last"])
def test_what_is_neither_is_refused(capfd: Capture, word: str) -> None:
    assert run(["replay", word]) == 2
    assert capfd.readouterr().err


def test_forced_words_are_of_their_channel() -> None:
    trace = kept(Budget(cap=8))
    assert all(s.channel is Channel.THOUGHT for s in trace.spans if s.author is Author.CLOSING)
