"""One worker for all questions: every stream ends, whoever cancels, fails or closes, and when."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import TypeVar

import pytest

from ponder.engines.replay import ByteVocabulary, ReplayEngine, Script, transcript
from ponder.errors import BudgetError, EngineError, PonderError, PromptTooLong
from ponder.events import Closed, Event, Finished, Rebudgeted, Started, Text
from ponder.runner import Runner, Stream
from ponder.thinking.protocol import resolve
from ponder.types import AnswerEnd, Budget, BudgetChange, Chunk, Finish, Sampling, Seq, Trace
from scripted import TAGGED, TAGS

VOCAB = ByteVocabulary(TAGS)
EOS, END = 257, VOCAB.encode("</think>", special=True)[0]
T = TypeVar("T")
Kind = TypeVar("Kind", bound=Event)
GUARD = 20.0
"""Seconds after which a test that hangs is ended; nothing here is measured."""


def echo(tokens: Sequence[int], prompt: int, seed: int) -> int:
    """Thinks and answers the second token of its prompt."""
    letter = tokens[1]
    return transcript([letter] * 20, END, [*[letter] * 3, EOS])(tokens, prompt, seed)


def endless(tokens: Sequence[int], prompt: int, seed: int) -> int:
    """Thinks for ever, unless it is made to answer."""
    return EOS if tokens[-1] == 42 else 42 if END in tokens[prompt:] else 97


class Gated(ReplayEngine):
    """Steps only while its gate is open; fails when told to."""

    def __init__(self, script: Script, n_ctx: int = 400, n_seqs: int = 1) -> None:
        super().__init__(VOCAB, script, n_ctx=n_ctx, n_seqs=n_seqs)
        self.gate = threading.Event()
        self.entered = threading.Event()
        self.steps = 0
        self.shutdowns = 0
        self.error: Exception | None = None
        self.close_error: Exception | None = None

    def step(self, grants: Mapping[Seq, int]) -> list[Chunk]:
        self.entered.set()
        assert self.gate.wait(GUARD)
        self.steps += 1
        if self.error is not None:
            raise self.error
        return super().step(grants)

    def close(self, seq: Seq) -> None:
        super().close(seq)
        if self.close_error is not None:
            raise self.close_error

    def shutdown(self) -> None:
        self.shutdowns += 1
        super().shutdown()


@contextmanager
def running(engine: ReplayEngine) -> Iterator[Runner]:
    runner = Runner(engine, resolve(TAGGED, VOCAB))
    try:
        yield runner
    finally:
        if isinstance(engine, Gated):
            engine.gate.set()
        within(runner.close)


def within(call: Callable[[], T]) -> T:
    """The result of a call that must not hang."""
    box: SimpleQueue[tuple[T | None, BaseException | None]] = SimpleQueue()

    def work() -> None:
        try:
            box.put((call(), None))
        except BaseException as error:  # noqa: BLE001 - handed to the test
            box.put((None, error))

    threading.Thread(target=work, daemon=True).start()
    try:
        result, error = box.get(timeout=GUARD)
    except Empty:
        pytest.fail("it hangs")
    if error is not None:
        raise error
    return result  # type: ignore[return-value]


def ask(runner: Runner, letter: str = "x", budget: Budget = Budget()) -> Stream:  # noqa: B008
    return runner.submit((256, ord(letter)), budget, Sampling())


def events(stream: Iterable[Event]) -> list[Event]:
    return within(lambda: list(stream))


def trace(stream: Iterable[Event]) -> Trace:
    last = events(stream)[-1]
    assert isinstance(last, Finished)
    return last.trace


def until(stream: Stream, kind: type[Kind]) -> Kind:
    """Read on to the first event of a kind."""
    return within(lambda: next(event for event in stream if isinstance(event, kind)))


# -- streams --------------------------------------------------------------------------------


def test_a_stream_tells_all_and_ends_with_finished() -> None:
    with running(ReplayEngine(VOCAB, echo)) as runner:
        stream = ask(runner)
        told = events(stream)
        assert isinstance(told[0], Started)
        assert [type(event) for event in told].count(Finished) == 1
        assert isinstance(told[-1], Finished)
        said = "".join(event.span.text for event in told if isinstance(event, Text))
        assert said == "x" * 23
        assert told[-1].trace.answer == "xxx"
        with pytest.raises(StopIteration):
            next(stream)


def test_questions_of_several_threads_are_kept_apart() -> None:
    letters = "abcdefgh"
    told: dict[str, list[tuple[int, list[Event]]]] = {letter: [] for letter in letters}
    together = threading.Barrier(len(letters))

    def user(runner: Runner, letter: str) -> None:
        together.wait(GUARD)
        for _ in range(5):
            stream = ask(runner, letter, Budget(cap=50, max_answer=10))
            told[letter].append((stream.question, list(stream)))

    with running(ReplayEngine(VOCAB, echo, n_seqs=3)) as runner:
        threads = [
            threading.Thread(target=user, args=(runner, letter), daemon=True) for letter in letters
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(GUARD)
            assert not thread.is_alive()
    questions = [question for asked in told.values() for question, _ in asked]
    assert len(set(questions)) == 40
    for letter, asked in told.items():
        for question, seen in asked:
            assert {event.question for event in seen} == {question}
            assert isinstance(seen[-1], Finished)
            assert seen[-1].trace.thought == letter * 20
            assert seen[-1].trace.answer == letter * 3


def test_a_question_that_cannot_run_is_refused_at_once() -> None:
    with running(ReplayEngine(VOCAB, echo, n_ctx=200)) as runner:
        with pytest.raises(BudgetError):
            ask(runner, budget=Budget(cap=-1))
        with pytest.raises(PromptTooLong):
            runner.submit((256,) * 199, Budget(), Sampling())
        assert trace(ask(runner)).answer == "xxx"


# -- cancelling, and other wishes ------------------------------------------------------------


def test_cancelled_while_it_runs() -> None:
    with running(ReplayEngine(VOCAB, endless, n_ctx=10**9)) as runner:
        stream = ask(runner)
        until(stream, Text)
        within(stream.cancel)
        told = trace(stream)
        assert (told.finish, told.answer_end) == (Finish.CANCELLED, AnswerEnd.CANCELLED)
        assert set(told.thought) == {"a"}


def test_cancelled_while_it_waits() -> None:
    engine = Gated(endless, n_ctx=10**9)
    with running(engine) as runner:
        first = ask(runner)
        assert engine.entered.wait(GUARD)
        second = ask(runner)
        second.cancel()
        engine.gate.set()
        told = events(second)
        assert [type(event) for event in told] == [Finished]
        until(first, Text)  # it was not cancelled with the other
        first.cancel()
        assert trace(first).answer_end is AnswerEnd.CANCELLED


def test_cancelled_before_it_was_seen() -> None:
    engine = Gated(echo)
    with running(engine) as runner:
        stream = ask(runner)
        stream.cancel()
        engine.gate.set()
        assert trace(stream).answer_end is AnswerEnd.CANCELLED


def test_cancelled_after_it_is_over() -> None:
    with running(ReplayEngine(VOCAB, echo)) as runner:
        stream = ask(runner)
        assert trace(stream).answer == "xxx"
        stream.cancel()
        stream.answer_now()
        stream.extend(10)
        assert events(stream) == []
        assert trace(ask(runner, "y")).answer == "yyy"
        runner.cancel(10**6)  # nobody's question
        assert trace(ask(runner, "z")).answer == "zzz"


def test_the_answer_can_be_asked_for_while_it_thinks() -> None:
    with running(ReplayEngine(VOCAB, endless, n_ctx=10**9)) as runner:
        stream = ask(runner)
        until(stream, Text)
        stream.answer_now()
        told = events(stream)
        assert [e.finish for e in told if isinstance(e, Closed)] == [Finish.USER]
        assert isinstance(told[-1], Finished)
        assert told[-1].trace.answer == "*"
        assert told[-1].trace.answer_end is AnswerEnd.STOP


def test_more_thinking_can_be_granted_while_it_thinks() -> None:
    engine = Gated(endless)
    with running(engine) as runner:
        stream = ask(runner, budget=Budget(cap=20))
        assert engine.entered.wait(GUARD)
        stream.extend(30)
        engine.gate.set()
        told = trace(stream)
        assert (told.usage.think, told.budget, told.finish) == (50, 50, Finish.CAP)


def test_it_stands_still_while_others_go_on_and_goes_on_as_if_it_had_not() -> None:
    def some(runner: Runner) -> Stream:
        return ask(runner, budget=Budget(cap=500, max_answer=10))

    with running(ReplayEngine(VOCAB, endless, n_ctx=2000, n_seqs=2)) as runner:
        plain = trace(some(runner))
        stream = some(runner)
        stream.hold()
        told = until(stream, Rebudgeted)
        assert told.decision.change is BudgetChange.HELD
        assert trace(some(runner)).tokens == plain.tokens
        assert not stream.ready()
        stream.go_on()
        rest = events(stream)
        assert isinstance(rest[-1], Finished)
        held = rest[-1].trace
        assert held.tokens == plain.tokens
        assert [e.change for e in held.budget_events] == [BudgetChange.HELD, BudgetChange.WENT_ON]


def test_what_stands_still_can_be_cancelled() -> None:
    with running(ReplayEngine(VOCAB, endless, n_ctx=10**9)) as runner:
        stream = ask(runner)
        stream.hold()
        until(stream, Rebudgeted)
        stream.cancel()
        assert trace(stream).answer_end is AnswerEnd.CANCELLED


def test_a_deadline_goes_on_counting_while_it_stands_still() -> None:
    late = 0.0
    engine = ReplayEngine(VOCAB, endless, n_ctx=10**6)
    with Runner(engine, resolve(TAGGED, VOCAB), now=lambda: time.monotonic() + late) as runner:
        stream = ask(runner, budget=Budget(within=1000.0))
        until(stream, Text)
        stream.hold()
        while True:
            told = until(stream, Rebudgeted)
            if told.decision.change is BudgetChange.HELD:
                break
        assert 0 < told.decision.figures["seconds_left"] <= 1000
        late = 2000.0
        stream.go_on()
        ended = trace(stream)
        (on,) = [e for e in ended.budget_events if e.change is BudgetChange.WENT_ON]
        assert on.figures["seconds_left"] < 0
        assert ended.finish is Finish.DEADLINE


# -- failing --------------------------------------------------------------------------------


def fail(engine: Gated, runner: Runner, error: Exception) -> list[PonderError]:
    """Three questions, two running and one waiting; what each of them ends with."""
    streams = [ask(runner, letter, Budget(cap=50, max_answer=10)) for letter in "abc"]
    assert engine.entered.wait(GUARD)
    engine.error = error
    engine.gate.set()
    raised = []
    for stream in streams:
        with pytest.raises(PonderError) as caught:
            events(stream)
        raised.append(caught.value)
        assert events(stream) == []
    engine.error = None
    return raised


def test_an_engine_that_fails_ends_every_question_with_its_error() -> None:
    engine = Gated(echo, n_seqs=2)
    with running(engine) as runner:
        before = runner.scheduler
        error = EngineError("The GPU is gone.", "Plug it in.")
        assert fail(engine, runner, error) == [error] * 3
        assert runner.scheduler is not before
        for letter in "xyz":
            assert trace(ask(runner, letter)).answer == letter * 3
        assert runner.scheduler.ledger.free == engine.capacity


def test_what_is_no_error_of_ours_is_told_as_a_defect() -> None:
    engine = Gated(echo, n_seqs=2)
    with running(engine) as runner:
        error = ZeroDivisionError("oh")
        raised = fail(engine, runner, error)
        assert all(type(one) is EngineError for one in raised)
        assert all(one.__cause__ is error for one in raised)
        assert "ZeroDivisionError: oh" in raised[0].message
        assert "report" in raised[0].hint
        assert trace(ask(runner)).answer == "xxx"


def test_an_engine_that_cannot_even_close_hangs_nobody() -> None:
    engine = Gated(echo, n_seqs=2)
    with running(engine) as runner:
        engine.close_error = EngineError("No.")
        error = EngineError("The GPU is gone.")
        assert fail(engine, runner, error) == [error] * 3
        engine.close_error = None
        assert trace(ask(runner)).answer == "xxx"


def test_a_question_asked_while_the_engine_fails_is_not_lost() -> None:
    engine = Gated(echo)
    engine.gate.set()
    with running(engine) as runner:
        for _ in range(20):
            engine.error = EngineError("Again.")
            with pytest.raises(EngineError, match="Again"):
                events(ask(runner))
            engine.error = None
            assert trace(ask(runner)).answer == "xxx"


# -- closing --------------------------------------------------------------------------------


def test_closing_ends_what_runs_and_what_waits_once() -> None:
    engine = Gated(endless, n_ctx=10**9)
    before = set(threading.enumerate())
    runner = Runner(engine, resolve(TAGGED, VOCAB))
    assert len(set(threading.enumerate()) - before) == 1
    streams = [ask(runner), ask(runner)]
    assert engine.entered.wait(GUARD)
    engine.gate.set()
    until(streams[0], Text)
    within(runner.close)
    for stream in streams:
        assert trace(stream).answer_end is AnswerEnd.CANCELLED
    within(runner.close)
    assert engine.shutdowns == 1
    assert not [t for t in set(threading.enumerate()) - before if "ponder" in t.name]
    with pytest.raises(EngineError, match="shut down"):
        ask(runner)


def test_an_idle_runner_closes() -> None:
    engine = ReplayEngine(VOCAB, echo)
    with running(engine) as runner:
        within(runner.close)
    with pytest.raises(EngineError):
        ask(runner)


def test_it_closes_when_its_block_ends() -> None:
    engine = Gated(echo)
    engine.gate.set()
    with pytest.raises(RuntimeError, match="mine"), Runner(engine, resolve(TAGGED, VOCAB)):
        raise RuntimeError("mine")
    assert engine.shutdowns == 1


def test_a_question_asked_just_before_closing_ends_too(monkeypatch: pytest.MonkeyPatch) -> None:
    runner = Runner(ReplayEngine(VOCAB, echo), resolve(TAGGED, VOCAB))
    between, go = threading.Event(), threading.Event()
    observe = runner.scheduler.observe

    def slow(chunks: Sequence[Chunk], now: float) -> Iterator[Event]:
        if not chunks:  # the worker has read its notes, found nothing to do, and is not asleep yet
            between.set()
            assert go.wait(GUARD)
        return observe(chunks, now)

    monkeypatch.setattr(runner.scheduler, "observe", slow)
    assert trace(ask(runner)).answer == "xxx"
    assert between.wait(GUARD)
    stream = ask(runner)
    closing = threading.Thread(target=runner.close, daemon=True)
    closing.start()
    while not runner._closing:
        assert closing.is_alive()
    go.set()
    assert trace(stream).answer_end is AnswerEnd.CANCELLED
    closing.join(GUARD)
    assert not closing.is_alive()


def test_an_idle_runner_does_not_spin(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Gated(echo)
    engine.gate.set()
    with running(engine) as runner:
        looks = 0
        schedule = runner.scheduler.schedule

        def counted(now: float) -> Mapping[Seq, int]:
            nonlocal looks
            looks += 1
            return schedule(now)

        monkeypatch.setattr(runner.scheduler, "schedule", counted)
        for _ in range(3):
            assert trace(ask(runner)).answer == "xxx"
            threading.Event().wait(0.05)
    # One look a step, and one each time it was woken: by three questions and by closing.
    assert 3 <= looks <= engine.steps + 4
