"""A thinking that is acted on while it runs: answer now, think longer, wait, a hint.

The promises of test_invariants.py hold whatever notes are left, for whom and when; and what
is told of a change is what happened.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adversary import (
    DIALECTS,
    TOKEN,
    VOCAB,
    Adversary,
    adversaries,
    budgets,
    drive,
    keeps_its_promises,
    prompts,
)
from ponder.dialect import Dialect
from ponder.engines.replay import ReplayEngine, Script
from ponder.events import Closed, Event, Finished, Rebudgeted, Started
from ponder.thinking import landing
from ponder.thinking.planning import Request
from ponder.thinking.policies import STALLED
from ponder.thinking.protocol import ThinkProtocol, resolve
from ponder.thinking.scheduler import Scheduler
from ponder.types import AnswerEnd, Author, Budget, BudgetChange, Finish, Sampling, Trace
from scripted import LABELLED, SPELLED, TAGGED

ANSWER_NOW, EXTEND = BudgetChange.ANSWER_NOW, BudgetChange.EXTEND
WAIT, WITHDRAWN = BudgetChange.WAIT, BudgetChange.WITHDRAWN
HINT, UNHEARD = BudgetChange.HINT, BudgetChange.UNHEARD
END, EOS = TOKEN["</think>"], TOKEN["<eos>"]


def hint(text: str) -> tuple[int, ...]:
    return resolve(TAGGED, VOCAB).paragraph(text)


@dataclass(frozen=True)
class Note:
    """What somebody asks for, of which question, before which step."""

    change: BudgetChange
    step: int
    question: int = 0
    tokens: int = 0

    def leave(self, scheduler: Scheduler) -> None:
        match self.change:
            case BudgetChange.ANSWER_NOW:
                scheduler.answer_now(self.question)
            case BudgetChange.EXTEND:
                scheduler.extend(self.question, self.tokens)
            case BudgetChange.HINT:
                scheduler.hint(self.question, hint("h" * self.tokens))
            case _:
                scheduler.wait(self.question)


def notes(*changes: BudgetChange, questions: int = 1) -> st.SearchStrategy[list[Note]]:
    return st.lists(
        st.builds(
            Note,
            st.sampled_from(changes),
            st.integers(0, 60) | st.integers(0, 300),
            st.integers(0, questions - 1),
            st.integers(-5, 400),
        ),
        max_size=12,
    )


def run(
    script: Script,
    dialect: Dialect,
    asked: Sequence[tuple[Budget, tuple[int, ...]]],
    left: Sequence[Note],
    n_ctx: int = 400,
    n_seqs: int = 1,
    burst: int = 1,
    boxed: bool = False,
) -> tuple[list[Event], ThinkProtocol]:
    """Everything that was told of some questions while notes were left."""
    engine = ReplayEngine(VOCAB, script, n_ctx=n_ctx, n_seqs=n_seqs, burst=burst)
    protocol = resolve(dialect, VOCAB)
    scheduler = Scheduler(engine, protocol)
    for question, (budget, prompt) in enumerate(asked):
        scheduler.submit(Request(question, prompt, budget, Sampling(seed=7), boxed))
    events: list[Event] = []
    step = 0
    for note in sorted(left, key=lambda note: note.step):
        events += drive(engine, scheduler, note.step - step, now=step)
        step = note.step
        note.leave(scheduler)
    events += drive(engine, scheduler, now=step)
    assert scheduler.ledger.free == engine.capacity
    return events, protocol


def ask(
    script: Script, budget: Budget, *left: Note, dialect: Dialect = TAGGED, n_ctx: int = 400
) -> tuple[Trace, list[Event]]:
    events, protocol = run(script, dialect, [(budget, (256, 120))], left, n_ctx)
    trace = trace_in(events)
    keeps_its_promises(trace, protocol, budget, n_ctx)
    return trace, events


def trace_in(events: Sequence[Event], question: int = 0) -> Trace:
    (trace,) = [e.trace for e in events if isinstance(e, Finished) and e.question == question]
    return trace


def changes(trace: Trace) -> list[BudgetChange]:
    """What befell its thinking."""
    led = BudgetChange.LED
    return [event.change for event in trace.budget_events if event.change is not led]


def waits_in(trace: Trace, protocol: ThinkProtocol) -> int:
    """How often "Wait" was put into the model's mouth."""
    wait = protocol.wait_ids
    forced = [t if f else -1 for t, f in zip(trace.tokens, trace.forced, strict=True)]
    count = at = 0
    while at < len(forced):
        found = tuple(forced[at : at + len(wait)]) == wait
        count += found
        at += len(wait) if found else 1
    return count


def ends_after(thought: int) -> Script:
    """A model that wants to end after every so many thoughts, and answers "42"."""

    def script(tokens: Sequence[int], prompt: int, _seed: int) -> int:
        said = list(tokens[prompt:])
        if END in said:
            answer = said[len(said) - said[::-1].index(END) :]
            return EOS if answer[-1:] == [ord("2")] else ord("42"[answer[-1:] == [ord("4")]])
        thoughts = said.count(ord("x"))
        return END if thoughts % thought == 0 and said[-1:] == [ord("x")] else ord("x")

    return script


def for_ever(tokens: Sequence[int], prompt: int, seed: int) -> int:
    """A model that neither ends its thinking nor its answer."""
    return ord("x")


# -- for any model --------------------------------------------------------------------------


@settings(max_examples=400, deadline=None)
@given(
    adversaries,
    st.sampled_from(DIALECTS),
    st.lists(st.tuples(budgets, prompts), min_size=1, max_size=3),
    notes(ANSWER_NOW, EXTEND, WAIT, HINT, questions=3),
    st.integers(1, 3),
    st.integers(1, 5),
    st.booleans(),
)
def test_whatever_notes_are_left_every_promise_is_kept(
    adversary: Adversary,
    dialect: Dialect,
    asked: list[tuple[Budget, tuple[int, ...]]],
    left: list[Note],
    n_seqs: int,
    burst: int,
    boxed: bool,
) -> None:
    events, protocol = run(adversary, dialect, asked, left, n_seqs=n_seqs, burst=burst, boxed=boxed)
    for question, (budget, _) in enumerate(asked):
        trace = trace_in(events, question)
        keeps_its_promises(trace, protocol, budget)
        told = [e for e in events if isinstance(e, Rebudgeted) and e.question == question]
        tells_what_happened(trace, events, told, question)
        assert waits_in(trace, protocol) == changes(trace).count(WITHDRAWN)
        granted = [e.tokens for e in trace.budget_events if e.change is EXTEND]
        wished = [n.tokens for n in left if n.change is EXTEND and n.question == question]
        assert sum(granted) <= sum(max(0, tokens) for tokens in wished)
        hints_are_accounted_for(trace, left, question)


def hints_are_accounted_for(trace: Trace, left: Sequence[Note], question: int) -> None:
    """What somebody said stands where it is told to stand, and nobody else pays for it."""
    heard = [e for e in trace.budget_events if e.change is HINT]
    assert trace.usage.user == sum(e.figures["tokens"] for e in heard)
    for event in heard:
        at = event.position or 0
        assert all(trace.user[at : at + int(event.figures["tokens"])])
        said = b"".join(VOCAB.piece(token) for token in trace.tokens[:at])
        assert landing.ends(said[-landing.TAIL :], VOCAB.piece(trace.tokens[at - 1]))
    asked = sum(n.change is HINT and n.question == question for n in left)
    assert len(heard) + changes(trace).count(UNHEARD) <= asked


def tells_what_happened(
    trace: Trace, events: Sequence[Event], told: Sequence[Rebudgeted], question: int
) -> None:
    """The changes in a trace are those that were told, each with the budget that it left."""
    assert trace.budget_events == tuple(e.decision for e in told)
    (started,) = [e for e in events if isinstance(e, Started) and e.question == question]
    budget = started.budget
    for event in told:
        if event.decision.change is BudgetChange.LED:
            continue  # of answers, also of models that do not think
        assert budget is not None
        budget += event.decision.tokens
        assert event.budget == budget
        assert event.decision.at <= event.budget
        assert event.decision.change is EXTEND or not event.decision.tokens
    assert trace.budget == budget
    at = [e.at for e in trace.budget_events]
    assert at == sorted(at)
    assert not at or 0 <= at[0] <= at[-1] <= trace.usage.think


@settings(max_examples=300, deadline=None)
@given(
    adversaries,
    st.sampled_from((TAGGED, SPELLED, LABELLED)),
    budgets,
    notes(EXTEND, WAIT),
    st.integers(1, 5),
)
def test_a_wait_turns_one_end_into_wait_while_there_is_room(
    adversary: Adversary, dialect: Dialect, budget: Budget, left: list[Note], burst: int
) -> None:
    n_ctx = 1500
    asked = [(budget, (256, 120))]
    events, _ = run(adversary, dialect, asked, left, n_ctx, burst=burst)
    trace = trace_in(events)
    so_far: list[Rebudgeted] = []
    for event in events:
        if isinstance(event, Rebudgeted):
            so_far.append(event)
            assert _by_wish(so_far, budget.floor) <= _asked(so_far)
        elif isinstance(event, Closed) and event.finish is Finish.CLOSED:
            # An end that was accepted: nobody was still waiting for one, or there was no room.
            usage = trace.usage
            if usage.prompt + usage.think + usage.forced + 500 < n_ctx:
                assert _by_wish(so_far, budget.floor) == _asked(so_far)


def _asked(events: Sequence[Rebudgeted]) -> int:
    return sum(e.decision.change is WAIT for e in events)


def _by_wish(events: Sequence[Rebudgeted], floor: int) -> int:
    """Ends that were withdrawn because somebody asked; the others were the floor's."""
    withdrawn = [e.decision.at for e in events if e.decision.change is WITHDRAWN]
    below = (len(list(run)) for at, run in groupby(withdrawn) if at < floor)
    return len(withdrawn) - sum(min(count, STALLED) for count in below)


@settings(max_examples=300, deadline=None)
@given(
    adversaries,
    st.sampled_from((TAGGED, SPELLED, LABELLED)),
    budgets,
    notes(EXTEND, WAIT),
    st.integers(0, 200),
)
def test_asking_for_the_answer_wins_over_waiting(
    adversary: Adversary, dialect: Dialect, budget: Budget, left: list[Note], step: int
) -> None:
    asked = [(budget, (256, 120))]
    events, protocol = run(adversary, dialect, asked, [*left, Note(ANSWER_NOW, step)])
    trace = trace_in(events)
    if ANSWER_NOW not in changes(trace):
        return  # it was too late
    assert changes(trace).index(ANSWER_NOW) == len(changes(trace)) - 1
    assert trace.finish is Finish.USER
    (at,) = (e.at for e in trace.budget_events if e.change is ANSWER_NOW)
    assert at <= trace.usage.think < at + max(1, len(protocol.end_text))
    closed = [e for e in events if isinstance(e, Closed)]
    assert closed[-1].finish is Finish.USER
    assert events.index(closed[-1]) > max(
        at
        for at, e in enumerate(events)
        if isinstance(e, Rebudgeted) and e.decision.change is not BudgetChange.LED
    )


@settings(max_examples=200, deadline=None)
@given(
    adversaries.filter(lambda a: "reopen" not in a.moods),
    st.sampled_from(DIALECTS),
    budgets,
    st.integers(0, 400),
)
def test_what_is_asked_after_the_thinking_does_nothing(
    adversary: Adversary, dialect: Dialect, budget: Budget, later: int
) -> None:
    asked = [(budget, (256, 120))]
    plain, _ = run(adversary, dialect, asked, ())
    over = _steps_until_closed(adversary, dialect, budget) + later
    left = [Note(change, over, tokens=50) for change in (WAIT, EXTEND, ANSWER_NOW)]
    events, _ = run(adversary, dialect, asked, left)
    before, after = trace_in(plain), trace_in(events)
    assert (after.spans, after.tokens, after.finish) == (before.spans, before.tokens, before.finish)
    assert after.budget_events == before.budget_events  # the floor's, if there was one
    told = [e.decision for e in events if isinstance(e, Rebudgeted)]
    assert tuple(told) == before.budget_events


def _steps_until_closed(adversary: Adversary, dialect: Dialect, budget: Budget) -> int:
    engine = ReplayEngine(VOCAB, adversary, n_ctx=400)
    scheduler = Scheduler(engine, resolve(dialect, VOCAB))
    scheduler.submit(Request(0, (256, 120), budget, Sampling(seed=7)))
    events, steps = drive(engine, scheduler, 1), 1
    (started,) = [e for e in events if isinstance(e, Started)]
    while started.budget is not None and not any(isinstance(e, Closed) for e in events):
        events += drive(engine, scheduler, 1)
        steps += 1
    return steps


def sentences(tokens: Sequence[int], prompt: int, _seed: int) -> int:
    """A model that says the same sentence for ever."""
    return ord("xxxx."[(len(tokens) - prompt) % 5])


def test_a_hint_goes_in_at_the_next_end_of_a_sentence_and_costs_no_thought() -> None:
    for burst in (1, 4):
        engine = ReplayEngine(VOCAB, sentences, n_ctx=400, burst=burst)
        protocol = resolve(TAGGED, VOCAB)
        scheduler = Scheduler(engine, protocol)
        budget = Budget(cap=30, max_answer=20, landing=False)
        scheduler.submit(Request(0, (256, 120), budget, Sampling()))
        events = drive(engine, scheduler, 2)
        scheduler.hint(0, hint("try 7"))
        events += drive(engine, scheduler)
        trace = trace_in(events)
        keeps_its_promises(trace, protocol, budget)
        (event,) = trace.budget_events[:1]
        assert (event.change, event.figures) == (HINT, {"tokens": 9})
        begin, words, rest = trace.thought.partition("\n\ntry 7\n\n")
        assert words
        assert begin.endswith("xxxx.")
        assert len(begin) <= 10
        assert rest
        assert (trace.usage.think, trace.usage.user, trace.budget) == (30, 9, 30)
        spoken = [span for span in trace.spans if span.author is Author.USER]
        assert [span.text for span in spoken] == ["\n\ntry 7\n\n"]


def test_hints_for_one_place_go_in_together() -> None:
    engine = ReplayEngine(VOCAB, sentences, n_ctx=400)
    scheduler = Scheduler(engine, resolve(TAGGED, VOCAB))
    scheduler.submit(Request(0, (256, 120), Budget(cap=30, max_answer=20), Sampling()))
    events = drive(engine, scheduler, 2)
    scheduler.hint(0, hint("one"))
    scheduler.hint(0, hint("two"))
    trace = trace_in([*events, *drive(engine, scheduler)])
    assert "\n\none\n\ntwo\n\n" in trace.thought


def test_a_hint_for_which_there_is_no_room_is_refused() -> None:
    engine = ReplayEngine(VOCAB, sentences, n_ctx=400)
    scheduler = Scheduler(engine, resolve(TAGGED, VOCAB))
    scheduler.submit(Request(0, (256, 120), Budget(cap=30, max_answer=20), Sampling()))
    events = drive(engine, scheduler, 2)
    scheduler.hint(0, hint("h" * 390))
    trace = trace_in([*events, *drive(engine, scheduler)])
    assert changes(trace)[0] is UNHEARD
    assert "room" in trace.budget_events[0].figures
    assert (trace.usage.user, trace.usage.think) == (0, 30)


def test_a_hint_that_comes_after_the_last_sentence_is_told_to_be_unheard() -> None:
    trace, _ = ask(ends_after(50), Budget(), Note(HINT, 3, tokens=5))
    assert changes(trace) == [UNHEARD]
    assert trace.usage.user == 0
    assert trace.finish is Finish.CLOSED


def test_where_nobody_set_a_budget_a_hint_takes_its_room_from_the_thinking() -> None:
    trace, _ = ask(sentences, Budget(landing=False), Note(HINT, 3, tokens=50))
    assert changes(trace)[0] is HINT
    assert trace.usage.user == 54
    assert trace.finish is Finish.CONTEXT


# -- one at a time --------------------------------------------------------------------------


@pytest.mark.parametrize("times", [1, 3])
def test_each_wait_withdraws_one_end(times: int) -> None:
    trace, _ = ask(ends_after(5), Budget(), *[Note(WAIT, 3)] * times)
    assert changes(trace) == [WAIT] * times + [WITHDRAWN] * times
    assert [e.at for e in trace.budget_events[times:]] == [5 * n for n in range(1, times + 1)]
    assert trace.thought == "xxxxxWait" * times + "xxxxx"
    assert (trace.finish, trace.usage.think, trace.usage.wasted) == (
        Finish.CLOSED,
        5 * times + 6,
        times,
    )
    assert trace.answer == "42"


def test_the_end_of_a_turn_is_withdrawn_as_well() -> None:
    def script(tokens: Sequence[int], prompt: int, _seed: int) -> int:
        said = tokens[prompt:]
        return EOS if (END in said and len(said) > 20) or len(said) % 7 == 5 else ord("x")

    trace, _ = ask(script, Budget(), Note(WAIT, 2))
    assert changes(trace) == [WAIT, WITHDRAWN]
    assert trace.thought.startswith("xxxxxWait")
    assert trace.finish is Finish.CLOSED


def test_the_floor_does_not_use_up_what_was_asked_for() -> None:
    trace, _ = ask(ends_after(5), Budget(floor=12), Note(WAIT, 1), Note(WAIT, 2))
    withdrawn = [e.at for e in trace.budget_events if e.change is WITHDRAWN]
    assert withdrawn == [5, 10, 15, 20]  # the floor's two, and the two that were asked for
    assert trace.finish is Finish.CLOSED


def test_a_thought_after_many_waits_is_no_stall() -> None:
    """Ends in a row are accepted in the end; one that a thought went before is not in the row."""

    def script(tokens: Sequence[int], prompt: int, _seed: int) -> int:
        said = tokens[prompt:]
        if END in said:
            return EOS
        waits = bytes(said).count(b"Wait")
        return END if waits < STALLED or said[-1:] == [ord("x")] else ord("x")

    trace, _ = ask(script, Budget(floor=3))
    withdrawn = [e.at for e in trace.budget_events if e.change is WITHDRAWN]
    assert withdrawn == [0] * STALLED + [1, 2]
    assert trace.finish is Finish.CLOSED


def test_no_wait_passes_the_budget() -> None:
    trace, _ = ask(ends_after(5), Budget(cap=12), *[Note(WAIT, 1)] * 9)
    assert (trace.finish, trace.usage.think) == (Finish.CAP, 12)
    assert changes(trace).count(WITHDRAWN) == 2


@pytest.mark.parametrize("reserve", range(100, 106))
def test_no_wait_takes_from_what_is_reserved_for_the_answer(reserve: int) -> None:
    trace, _ = ask(ends_after(1), Budget(answer_reserve=reserve), *[Note(WAIT, 1)] * 99)
    assert 0 < changes(trace).count(WITHDRAWN) < 99
    thought = trace.tokens.index(END) + 1
    assert trace.usage.prompt + thought + len("\n\n") + reserve <= 400


@pytest.mark.parametrize("dialect", [TAGGED, LABELLED], ids=lambda d: d.name)
def test_waiting_costs_room_and_neither_thought_nor_answer(dialect: Dialect) -> None:
    budget = Budget(cap=40, max_answer=60, answer_reserve=0)
    end = resolve(dialect, VOCAB).end_id
    assert end is not None

    def script(tokens: Sequence[int], prompt: int, _seed: int) -> int:
        said = tokens[prompt:]
        return end if said[-1:] == [ord("x")] and end not in said else ord("x")

    trace, _ = ask(script, budget, *[Note(WAIT, 0)] * 50, dialect=dialect, n_ctx=600)
    assert (trace.finish, trace.usage.think) == (Finish.CAP, 40)
    assert (trace.answer_end, trace.usage.answer) == (AnswerEnd.LIMIT, 60)


@pytest.mark.parametrize("tokens", [1, 30, 100])
def test_what_is_granted_is_not_taken_from_the_answer(tokens: int) -> None:
    budget = Budget(cap=20, max_answer=100, answer_reserve=0)
    trace, _ = ask(for_ever, budget, Note(EXTEND, 10, tokens=tokens))
    assert (trace.budget, trace.usage.think, trace.finish) == (20 + tokens,) * 2 + (Finish.CAP,)
    assert (trace.answer_end, trace.usage.answer) == (AnswerEnd.LIMIT, 100)


def test_no_more_is_granted_than_the_context_holds() -> None:
    trace, events = ask(for_ever, Budget(cap=20), Note(EXTEND, 10, tokens=10_000))
    (told,) = [e for e in events if isinstance(e, Rebudgeted)]
    assert 0 < told.decision.tokens < 400
    assert told.budget == trace.budget == trace.usage.think == 20 + told.decision.tokens


def test_a_full_context_grants_nothing_and_says_so() -> None:
    trace, _ = ask(for_ever, Budget(), Note(EXTEND, 10, tokens=50))
    (event,) = trace.budget_events
    assert (event.change, event.tokens) == (EXTEND, 0)
    assert trace.finish is Finish.CONTEXT


def test_company_leaves_what_room_it_has() -> None:
    budget = Budget(cap=50, max_answer=50)
    asked = [(budget, (256, 120))] * 4
    wished = [Note(EXTEND, 5, question, 300) for question in range(4)]
    events, protocol = run(for_ever, TAGGED, asked, wished, n_ctx=400, n_seqs=2)
    granted = []
    for question in range(4):
        trace = trace_in(events, question)
        keeps_its_promises(trace, protocol, budget)
        assert trace.usage.think == trace.budget
        granted += [e.tokens for e in trace.budget_events]
    assert len(granted) == 4
    assert max(granted) > 0


def test_a_question_that_waits_for_its_turn_keeps_its_notes() -> None:
    asked = [(Budget(), (256, 120))] * 4
    left = [Note(WAIT, 3, 1), Note(ANSWER_NOW, 3, 2), Note(EXTEND, 3, 3, 7)]
    events, _ = run(ends_after(5), TAGGED, asked, left)
    assert [changes(trace_in(events, question)) for question in range(4)] == [
        [],
        [WAIT, WITHDRAWN],
        [ANSWER_NOW],
        [EXTEND],
    ]
    second = trace_in(events, 2)
    assert (second.finish, second.usage.think) == (Finish.USER, 0)
    for question in range(4):
        mine = [e for e in events if e.question == question]
        assert isinstance(mine[0], Started)


def test_a_question_cancelled_before_its_turn_takes_its_notes_along() -> None:
    engine = ReplayEngine(VOCAB, ends_after(5), n_ctx=400)
    scheduler = Scheduler(engine, resolve(TAGGED, VOCAB))
    for question in (0, 1):
        scheduler.submit(Request(question, (256, 120), Budget(), Sampling()))
    events = drive(engine, scheduler, 2)
    scheduler.wait(1)
    scheduler.cancel(1)
    scheduler.wait(1)
    events += drive(engine, scheduler)
    scheduler.submit(Request(1, (256, 120), Budget(), Sampling()))
    again = drive(engine, scheduler)
    assert trace_in(events, 1).answer_end is AnswerEnd.CANCELLED
    assert changes(trace_in(again, 1)) == []


def test_half_an_end_is_not_counted_as_thought() -> None:
    """A tag of several tokens that is withdrawn takes its tokens back, and `at` never falls."""

    def script(tokens: Sequence[int], prompt: int, _seed: int) -> int:
        said = bytes(tokens[prompt:])
        if b"[/think]" in said:
            return EOS
        tag = next(n for n in range(8, -1, -1) if said.endswith(b"[/think]"[:n]))
        return b"[/think]"[tag] if tag or said.count(b"x") % 4 == 3 else ord("x")

    trace, _ = ask(script, Budget(), Note(WAIT, 1), Note(WAIT, 8), dialect=SPELLED)
    at = [e.at for e in trace.budget_events]
    assert changes(trace) == [WAIT, WAIT, WITHDRAWN, WITHDRAWN]
    assert all(one <= other for one, other in pairwise(at))
    assert at[1] == at[2] == 3
