"""Recording: what is recorded is the very trace that runs alone, and looks leave no mark on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adversary import VOCAB, Adversary, adversaries, drive
from ponder.assembly import Assembled, Choices, open_session
from ponder.dialect import Dialect
from ponder.engines.replay import ReplayEngine, Signal, transcript
from ponder.equality import read_answer, same_answer
from ponder.errors import PromptTooLong, UnsupportedModel
from ponder.evaluation.questions import questions
from ponder.evaluation.traces.form import Recorded
from ponder.evaluation.traces.recording import Looks, Recorder, Task
from ponder.events import Finished
from ponder.settings import Settings
from ponder.thinking import landing
from ponder.thinking.planning import Request
from ponder.thinking.protocol import resolve
from ponder.thinking.scheduler import Scheduler
from ponder.types import Budget, Finish, Message, Sampling, Trace
from scripted import LABELLED, PLAIN, SPELLED, TAGGED

LONGEST = 60
ASKED = Budget(max_answer=LONGEST, answer_reserve=LONGEST)


def felt(tokens: Sequence[int], prompt: int, seed: int) -> Signal:
    """Signals that tell where they were felt."""
    return Signal(-0.1, float(len(tokens)), float(len(tokens) - prompt))


def tasks(prompts: Sequence[tuple[int, ...]], seeds: int = 1) -> list[Task]:
    return [
        Task(at, f"q{at}", "", "?", "7", prompt, boxed=at % 2 == 0, seed=seed)
        for at, prompt in enumerate(prompts)
        for seed in range(seeds)
    ]


def recorded(
    adversary: Adversary, dialect: Dialect, asked: Sequence[Task], at_once: int, looks: Looks
) -> list[Recorded]:
    engine = ReplayEngine(VOCAB, adversary, n_ctx=250, n_seqs=2 * at_once, feeling=felt)
    recorder = Recorder(engine, resolve(dialect, VOCAB), Sampling(), looks, LONGEST)
    found = list(recorder.run(asked, at_once))
    assert not engine._seqs, "everything was given back"
    assert [(t.question, t.seed) for t in sorted(found, key=lambda t: (t.question, t.seed))] == [
        (task.question, task.seed) for task in asked
    ]
    return sorted(found, key=lambda t: (t.question, t.seed))


def alone(adversary: Adversary, dialect: Dialect, task: Task) -> Trace:
    engine = ReplayEngine(VOCAB, adversary, n_ctx=250)
    scheduler = Scheduler(engine, resolve(dialect, VOCAB))
    scheduler.submit(Request(1, task.prompt, ASKED, Sampling(seed=task.seed), task.boxed))
    (trace,) = (e.trace for e in drive(engine, scheduler) if isinstance(e, Finished))
    return trace


@settings(max_examples=40, deadline=None)
@given(
    adversaries,
    st.sampled_from([TAGGED, SPELLED, LABELLED]),
    st.integers(1, 4),
    st.booleans(),
    st.sampled_from([7, 16]),
)
def test_a_recording_is_the_trace_that_runs_alone(
    adversary: Adversary, dialect: Dialect, at_once: int, bare: bool, every: int
) -> None:
    asked = tasks([(256, *b"x" * n) for n in (1, 5, 30)], seeds=2)
    found = recorded(adversary, dialect, asked, at_once, Looks(every, bare))
    for task, trace in zip(asked, found, strict=True):
        run = alone(adversary, dialect, task)
        assert (trace.tokens, trace.think, trace.finish) == (
            run.tokens, run.usage.think, run.finish,
        )  # fmt: skip
        assert trace.answer == run.answer and trace.answer_end is run.answer_end
        assert trace.forced == tuple(at for at, ours in enumerate(run.forced) if ours)
        assert trace.spent == run.usage.sampled + run.usage.forced
        falls_as_it_should(trace, len(task.prompt), every, bare)


def falls_as_it_should(trace: Recorded, prompt: int, every: int, bare: bool) -> None:
    """Every look is at a multiple or at a sentence's end, and each of those has one."""
    pieces = [VOCAB.piece(token) for token in trace.tokens]
    places = [sight.think for sight in trace.sights]
    assert places == sorted(set(places))
    for sight in trace.sights:
        said = b"".join(pieces[: sight.think])
        assert sight.sentence == landing.ends(said[-landing.TAIL :], pieces[sight.think - 1])
        assert sight.sentence or sight.think % every == 0
        assert (sight.bare is not None) == bare
        assert 1 <= sight.trial.sampled <= 20
        # It was felt right after the look.
        if sight.margin is not None:
            assert sight.margin == sight.think


def test_looks_and_trials_by_hand() -> None:
    """A thought of two sentences: where it is looked at, and what is heard there."""
    thought, answer = b"One is 1. Then 2 and so 3.\n", [*b"It is \\boxed{3}.", 257]
    end = VOCAB.encode("</think>", special=True)[0]

    def script(tokens: Sequence[int], prompt: int, seed: int) -> int:
        said = bytes(token for token in tokens[prompt:] if token < 256)
        if said.endswith(b"\\boxed{"):
            return ord("3") if b"so 3" in said else ord("1")
        return (
            ord("}") if b"boxed{" in said[-9:-1]
            else transcript([*thought], end, answer)(tokens, prompt, seed)
        )  # fmt: skip

    engine = ReplayEngine(VOCAB, script, n_ctx=250, n_seqs=2, feeling=felt)
    protocol = resolve(TAGGED, VOCAB)
    asked = tasks([(256, *b"x")])
    (found,) = Recorder(engine, protocol, Sampling(), Looks(16), LONGEST).run(asked, 1)
    assert [(s.think, s.sentence) for s in found.sights] == [
        (10, True), (16, False), (27, True),
    ]  # fmt: skip
    assert [s.trial.said for s in found.sights] == ["1}", "1}", "3}"]
    cut = len(protocol.cut_ids) + len(protocol.lead(boxed=True))
    assert {(s.trial.forced, s.trial.sampled, s.trial.tokens) for s in found.sights} == {
        (cut, 2, cut + 2)
    }
    assert found.sights[0].trial.confidence == pytest.approx(2.718281828**-0.1)
    # What was felt is felt where the fork stood, and the margin where the thought went on.
    start = 2 + len(protocol.open_ids)
    assert found.sights[0].entropy == start + 10 + len(protocol.cut_ids)
    assert found.sights[0].margin == 10
    assert found.finish is Finish.CLOSED and read_answer(found.answer) == "3"


def test_a_model_that_does_not_think_or_feel_is_refused() -> None:
    mute = ReplayEngine(VOCAB, transcript(b"a", 261, b"b"), n_seqs=2)
    feeling = ReplayEngine(VOCAB, transcript(b"a", 261, b"b"), n_seqs=2, feeling=felt)
    for engine, dialect in ((mute, TAGGED), (feeling, PLAIN)):
        with pytest.raises(UnsupportedModel):
            Recorder(engine, resolve(dialect, VOCAB), Sampling(), Looks(), LONGEST)


def test_a_question_that_does_not_fit_ends_the_recording_and_leaves_nothing_open() -> None:
    script = transcript(b"a" * 99, 261, [*b"b", 257])
    engine = ReplayEngine(VOCAB, script, n_ctx=300, n_seqs=4, feeling=felt)
    recorder = Recorder(engine, resolve(TAGGED, VOCAB), Sampling(), Looks(), LONGEST)
    with pytest.raises(PromptTooLong):
        list(recorder.run(tasks([(256, *b"x"), (256, *b"x" * 299)]), 2))
    assert not engine._seqs


@pytest.fixture(scope="module")
def tiny() -> Iterator[Assembled]:
    made = open_session(Settings(), Choices("ponder-tiny", n_seqs=2))
    with made.session.runner:
        yield made


def test_a_real_recording_is_the_trace_that_a_session_gives(tiny: Assembled) -> None:
    """Same seeds, one at a time: token for token, though every sentence is looked at."""
    # An engine each: last bits depend on which cells of the cache a sequence lies in.
    session = tiny.session
    asked = [
        Task(
            at, str(at), q.kind, q.text, q.answer,
            session.prompt([Message("user", q.text)]), boxed=False, seed=40 + at,
        )
        for at, q in enumerate(islice((q for q in questions(3) if not q.earlier), 3))
    ]  # fmt: skip
    budget = Budget(max_answer=256, answer_reserve=256)
    looks = Looks(16, bare=True)
    recorder = Recorder(tiny.engine, session.runner.protocol, tiny.sampling, looks, 256)
    found = list(recorder.run(asked, 1))
    with open_session(Settings(), Choices("ponder-tiny", n_seqs=2)).session.runner as runner:
        for task, trace in zip(asked, found, strict=True):
            sampling = replace(tiny.sampling, seed=task.seed)
            stream = runner.submit(task.prompt, budget, sampling)
            (live,) = (e.trace for e in stream if isinstance(e, Finished))
            assert trace.tokens == live.tokens
            assert trace.finish == live.finish and trace.answer == live.answer
    sights = [sight for trace in found for sight in trace.sights]
    assert sights and all(s.entropy is not None and s.bare is not None for s in sights)
    assert all(0 < s.trial.confidence <= 1 for s in sights)
    # A thought that was left to its end and closed has its answer: the last look knows it too.
    ended = [trace for trace in found if trace.finish is Finish.CLOSED]
    answers = [(trace.sights[-1].trial.answer, read_answer(trace.answer)) for trace in ended]
    assert any(last is not None and same_answer(tried, last) for tried, last in answers)
