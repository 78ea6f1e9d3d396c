"""Any trace there could be, and one that a person can read."""

from __future__ import annotations

from hypothesis import strategies as st

from ponder.types import (
    AnswerEnd,
    AppliedAdapter,
    Author,
    Budget,
    BudgetChange,
    BudgetEvent,
    Channel,
    Finish,
    Sampling,
    Span,
    Trace,
    Usage,
)

THOUGHT, ANSWER = Channel.THOUGHT, Channel.ANSWER

# With lone surrogates and NUL, which SQLite's text cannot hold.
texts = st.text(st.characters(exclude_categories=()), max_size=40)
spans = st.builds(Span, st.sampled_from(Channel), texts, st.sampled_from(Author))
seconds = st.floats(allow_nan=False)
counts = st.integers(min_value=0)
events = st.builds(BudgetEvent, st.sampled_from(BudgetChange), counts, counts)
adapters = st.builds(AppliedAdapter, st.text(), st.text(), st.floats(-100, 100))
samplings = st.builds(Sampling, temperature=seconds, top_k=counts, seed=counts)
budgets = st.builds(Budget, cap=st.none() | counts, floor=counts, thinking=st.booleans())
traces = st.builds(
    Trace,
    spans=st.lists(spans, max_size=8).map(tuple),
    tokens=st.lists(st.integers(0, 2**31 - 1)).map(tuple),
    forced=st.lists(st.booleans()).map(tuple),
    finish=st.sampled_from(Finish),
    answer_end=st.sampled_from(AnswerEnd),
    last_resort=st.booleans(),
    budget=st.none() | counts,
    usage=st.builds(Usage, think=counts, wasted=counts, decode_seconds=seconds, seconds=seconds),
    sampling=samplings,
    budget_events=st.lists(events, max_size=4).map(tuple),
    adapters=st.lists(adapters, max_size=2).map(tuple),
)


def trace(*parts: Span, budget: int | None = 320) -> Trace:
    """A trace of these spans; of a little arithmetic if there are none."""
    some = (
        Span(THOUGHT, "\n38 and 47 is 85.\n"),
        Span(THOUGHT, "Wait", Author.WAIT),
        Span(ANSWER, "\n\nThe answer is **85**.\n"),
    )
    return Trace(
        spans=parts or some,
        tokens=(7, 8, 9),
        forced=(False, True, False),
        finish=Finish.CLOSED,
        answer_end=AnswerEnd.STOP,
        last_resort=False,
        budget=budget,
        usage=Usage(prompt=12, think=257, forced=1, answer=9, decode_seconds=1.5, seconds=3.2),
        sampling=Sampling(seed=5),
        budget_events=(BudgetEvent(BudgetChange.WITHDRAWN, 40),),
    )
