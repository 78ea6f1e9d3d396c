"""Banks for tests that need no model: traces with any looks, any answers, any ends."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from ponder.equality import Comparer
from ponder.evaluation.traces.form import Bank, Header, Recorded, Sight, Trial, Words
from ponder.evaluation.traces.judging import Judged, Questions, judged
from ponder.types import AnswerEnd, Finish, Sampling

KEY = "7"
FORCED = 30
ANSWERS = ("7", "8", "9", "")


def header(questions: int = 1, seeds: int = 1, **changed: object) -> Header:
    known: dict[str, object] = {
        "model": "scripted",
        "sha256": "0" * 64,
        "engine": "none",
        "threads": 1,
        "words": Words("tagged", "</think>", "Time is up.</think>", "\\boxed{"),
        "sampling": Sampling(),
        "context": 400,
        "at_once": 1,
        "every": 16,
        "bare": False,
        "max_answer": 64,
        "source": "none, seed 0",
        "questions": questions,
        "seeds": seeds,
    }
    return Header(**(known | changed))  # type: ignore[arg-type]


def trial(said: str, confidence: float = 0.5, sampled: int = 2) -> Trial:
    return Trial(said + "}", FORCED, sampled, confidence, 0.5)


def trace(
    answers: Sequence[str],
    last: str = KEY,
    question: int = 0,
    seed: int = 0,
    gap: int = 8,
    rest: int = 8,
    answer_tokens: int = 6,
    margins: Sequence[float] = (),
    confidences: Sequence[float] = (),
) -> Recorded:
    """A trace with a sentence every `gap` tokens, an answer at each, and `last` in the end."""
    think = gap * len(answers) + rest
    sights = tuple(
        Sight(
            gap * (at + 1),
            trial(said, confidences[at] if confidences else 0.5),
            sentence=True,
            margin=margins[at] if margins else 5.0,
            entropy=1.0,
            entropy_tokens=4,
            bare=trial(said),
        )
        for at, said in enumerate(answers)
    )
    return Recorded(
        question=question,
        id=f"q{question}",
        kind="",
        text="?",
        key=KEY,
        seed=seed,
        prompt=(1, 2),
        tokens=tuple(range(think + answer_tokens)),
        think=think,
        finish=Finish.CLOSED,
        answer=f"\\boxed{{{last}}}" if last else "",
        answer_end=AnswerEnd.STOP,
        sights=sights,
    )


def verdicts(*traces: Recorded) -> Questions:
    with Comparer() as comparer:
        return judged(Bank(header(), traces), comparer)


@st.composite
def recordings(draw: st.DrawFn, question: int = 0, seed: int = 0) -> Recorded:
    said = draw(st.lists(st.sampled_from(ANSWERS), max_size=12))
    numbers = st.lists(st.floats(0, 1), min_size=len(said), max_size=len(said))
    return trace(
        said,
        draw(st.sampled_from(ANSWERS)),
        question,
        seed,
        gap=draw(st.integers(1, 40)),
        rest=draw(st.integers(1, 60)),
        answer_tokens=draw(st.integers(1, 40)),
        margins=draw(numbers),
        confidences=draw(numbers),
    )


def one(recorded: Recorded) -> Judged:
    ((found,),) = verdicts(recorded)
    return found


@st.composite
def questions(draw: st.DrawFn, seeds: int) -> Questions:
    count = draw(st.integers(1, 4))
    return verdicts(*(draw(recordings(q, s)) for q in range(count) for s in range(seeds)))
