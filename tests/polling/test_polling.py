"""Several traces of one question: ballots, what decides, what becomes of the rest."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ponder.engines.replay import ByteVocabulary, Feeling, ReplayEngine, Script, Signal, transcript
from ponder.equality import Comparer, read_answer
from ponder.equality.forms import form
from ponder.errors import BudgetError, EngineError, InputError
from ponder.events import Event, Finished, Started
from ponder.explaining import trail
from ponder.poll import Counted, Decision, Poll, Polled, tally, verdict
from ponder.polling import Polling, Terms, seeds
from ponder.receipt import why
from ponder.runner import Runner
from ponder.session import Session
from ponder.thinking.protocol import resolve
from ponder.thinking.template import ChatTemplate
from ponder.thinking.votes import Rules
from ponder.types import AnswerEnd, Budget, BudgetChange, Finish, Sampling
from scripted import TAGGED, TAGS

VOCAB = ByteVocabulary(TAGS)
EOS, END = 257, VOCAB.encode("</think>", special=True)[0]
TEMPLATE = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}<assistant>"
LOSSLESS = Rules(beta=None)
ALL = Rules(lossless=False, beta=None)
SEED = 11

FREE = Budget()


@dataclass(frozen=True)
class Says:
    """What one trace does: think so long, answer that."""

    tokens: int
    answer: str


def script_of(says: Sequence[Says], seed: int = SEED) -> Script:
    """A model whose traces are known by their seeds."""
    scripts = {
        own: transcript([*b"x" * one.tokens], END, [*f"\n\n{one.answer}".encode(), EOS])
        for own, one in zip(seeds(seed, len(says)), says, strict=True)
    }

    def script(tokens: Sequence[int], prompt: int, own: int) -> int:
        return scripts[own](tokens, prompt, own)

    return script


@dataclass
class Vote:
    """A vote that is over."""

    events: list[Event | Counted | Polled]
    polling: Polling
    session: Session
    engine: ReplayEngine

    @property
    def poll(self) -> Poll:
        last = self.events[-1]
        assert isinstance(last, Polled)
        return last.poll

    @property
    def answer(self) -> str | None:
        winner = self.poll.winner
        return None if winner is None else self.polling.traces[winner].answer

    @property
    def read(self) -> str:
        return read_answer(self.answer or "") or ""


def held(
    says: Sequence[Says],
    rules: Rules = LOSSLESS,
    budget: Budget = FREE,
    burst: int = 1,
    terms: Terms | None = None,
    feeling: Feeling | None = None,
) -> Vote:
    engine = ReplayEngine(VOCAB, script_of(says), 1000, len(says), burst, feeling=feeling)
    terms = terms or Terms(len(says), rules)
    with Runner(engine, resolve(TAGGED, VOCAB)) as runner:
        session = Session(runner, ChatTemplate(TEMPLATE, VOCAB))
        polling = Polling(session, "?", budget, Sampling(seed=SEED), terms)
        events = list(polling)
        assert runner.scheduler.ledger.free == engine.capacity
        assert not engine._seqs
    return Vote(events, polling, session, engine)


def says(*pairs: tuple[int, str]) -> list[Says]:
    return [Says(tokens, answer) for tokens, answer in pairs]


def test_the_majority_wins_and_the_rest_is_ended_as_soon_as_it_cannot_lose() -> None:
    vote = held(says((10, "42"), (20, "40"), (30, "42"), (40, "42"), (300, "40"), (400, "7")))
    # After 40 tokens 42 leads by two, and two are left: the shortest thinking of all is its own.
    assert vote.answer == "42"
    assert vote.poll.stop is Decision.LOSSLESS
    assert [(c.answer, c.traces) for c in vote.poll.choices] == [("42", (1, 3, 4)), ("40", (2,))]
    assert tally(vote.poll) == "3 of 6: 42 · 1: 40 · 2: not needed"
    assert verdict(vote.poll) == "decided: 2 ahead with 2 to come"
    for number in (5, 6):
        trace = vote.polling.traces[number]
        assert (trace.finish, trace.answer_end) == (Finish.AGREED, AnswerEnd.DROPPED)
        (event,) = trace.budget_events
        assert event.change is BudgetChange.AGREED
        assert event.figures == vote.poll.figures
        assert event.figures["lead"] == event.figures["live"] == 2
        # Ended in the step after the deciding one, not some time later.
        decided = vote.polling.traces[4].usage
        assert trace.usage.think <= decided.think + decided.answer + 3
    assert vote.session.messages[-1].content == "42"


def test_everything_that_ended_is_told_before_the_outcome() -> None:
    vote = held(says((10, "1"), (20, "2"), (30, "2"), (99, "2")))
    started = [e.question for e in vote.events if isinstance(e, Started)]
    finished = [e.question for e in vote.events if isinstance(e, Finished)]
    assert [vote.polling.number(q) for q in started] == [1, 2, 3, 4]
    assert sorted(vote.polling.number(q) for q in finished) == [1, 2, 3, 4]
    standings = [e.poll for e in vote.events if isinstance(e, Counted)]
    assert [poll.finished for poll in standings] == [1, 2, 3, 4]
    assert standings[-1] == vote.poll
    last = vote.events[-1]
    assert isinstance(last, Polled)
    assert vote.polling.number(last.question) == vote.poll.winner == 2


ANSWERS = ("42", "42.0", "40", "\\boxed{42}", "I do not know", "7")
voters = st.lists(
    st.builds(Says, st.integers(1, 120), st.sampled_from(ANSWERS)), min_size=1, max_size=9
)


@settings(max_examples=80, deadline=None)
@given(voters, st.integers(1, 3))
def test_a_lossless_stop_gives_the_answer_of_the_full_vote(voters: list[Says], burst: int) -> None:
    """I11, with everything between: ids, deadlines of none, the runner's thread, the reading."""
    full = held(voters, ALL, burst=burst)
    short = held(voters, LOSSLESS, burst=burst)
    assert full.poll.stop is Decision.ALL
    # Equal answers are the same answer, whichever trace of the first group is shown.
    assert form(short.read) == form(full.read)

    def thought(vote: Vote) -> int:
        return sum(trace.usage.think for trace in vote.polling.traces.values())

    assert thought(short) <= thought(full)
    # What was let finish says the same, token for token.
    for number, trace in short.polling.traces.items():
        whole = full.polling.traces[number].tokens
        assert trace.tokens == whole[: len(trace.tokens)]


@settings(max_examples=40, deadline=None)
@given(voters)
def test_the_same_seed_gives_the_same_vote_to_the_last_token(voters: list[Says]) -> None:
    one, other = held(voters, Rules()), held(voters, Rules())
    assert one.poll == other.poll
    assert [t.tokens for t in one.polling.traces.values()] == [
        t.tokens for t in other.polling.traces.values()
    ]


@settings(max_examples=40, deadline=None)
@given(voters, st.none() | st.integers(1, 80), st.none() | st.integers(1, 9))
def test_every_token_is_charged_once(
    voters: list[Says], cap: int | None, short: int | None
) -> None:
    vote = held(voters, Rules(short=short), Budget(cap=cap))
    for trace in vote.polling.traces.values():
        used = trace.usage
        assert len(trace.tokens) == used.think + used.forced + used.answer
        assert cap is None or used.think <= cap
    choices = vote.poll.choices
    counted = [n for choice in choices for n in choice.traces] + list(vote.poll.silent)
    assert len(set(counted)) == len(counted) <= len(voters)


def test_beta_decides_where_it_is_sure_enough() -> None:
    vote = held(
        says(*((10 * n, "5") for n in range(1, 5)), *((900, "6") for _ in range(12))), Rules()
    )
    assert vote.poll.stop is Decision.BETA
    assert vote.poll.figures["beta"] == pytest.approx(31 / 32)
    assert verdict(vote.poll) == "decided: the majority's answer with probability 0.97"


def test_the_first_that_answer_decide_where_that_is_asked_for() -> None:
    vote = held(says((90, "6"), (10, "5"), (20, "6"), (30, "6"), (95, "5")), Rules(False, None, 3))
    assert (vote.poll.stop, vote.answer) == (Decision.SHORT, "6")
    assert verdict(vote.poll) == "decided by the first 3"


def test_a_tie_goes_to_the_shortest_thinking() -> None:
    vote = held(says((30, "5"), (20, "6")), ALL)
    assert (vote.answer, vote.poll.winner) == ("6", 2)
    assert tally(vote.poll) == "1 of 2: 6 · 1: 5"
    assert "a tie" in verdict(vote.poll)


def test_answers_that_cannot_be_read_count_for_nobody() -> None:
    vote = held(says((30, "who knows"), (20, "nobody"), (40, "5")), ALL)
    assert vote.answer == "5"
    assert vote.poll.silent == (1, 2)
    assert tally(vote.poll) == "1 of 3: 5 · 2: no answer"
    mute = held(says((30, "who knows"), (20, "nobody")))
    assert mute.answer == "nobody"
    assert mute.session.messages[-1].content == "nobody"
    assert tally(mute.poll) == "2 of 2: no answer"
    assert "the shortest trace is shown" in verdict(mute.poll)


def test_equal_answers_are_one_however_they_are_written() -> None:
    vote = held(says((30, "\\boxed{\\frac{1}{2}}"), (20, "\\boxed{0.5}"), (10, "\\boxed{3}")), ALL)
    assert [choice.traces for choice in vote.poll.choices] == [(2, 1), (3,)]
    assert vote.answer == "\\boxed{0.5}"


def test_a_cancelled_vote_returns_everything_and_decides_nothing() -> None:
    whole = script_of(says((5, "1"), (600, "2"), (700, "2")))
    cancelled = threading.Event()

    def script(tokens: Sequence[int], prompt: int, own: int) -> int:
        if len(tokens) - prompt == 100:
            assert cancelled.wait(30)
        return whole(tokens, prompt, own)

    engine = ReplayEngine(VOCAB, script, n_ctx=1000, n_seqs=3)
    with Runner(engine, resolve(TAGGED, VOCAB)) as runner:
        session = Session(runner, ChatTemplate(TEMPLATE, VOCAB))
        polling = Polling(session, "?", Budget(), Sampling(seed=SEED), Terms(3, LOSSLESS))
        events: list[Event | Counted | Polled] = []
        for event in polling:
            events.append(event)
            if isinstance(event, Counted):
                polling.cancel()
                cancelled.set()
        last = events[-1]
        assert isinstance(last, Polled)
        assert (last.poll.stop, last.poll.winner) == (Decision.CANCELLED, None)
        assert tally(last.poll) == "1 of 3: 1 · 2: not finished"
        assert session.messages == []
        ends = [polling.traces[number] for number in (1, 2, 3)]
        assert [trace.answer_end for trace in ends] == [
            AnswerEnd.STOP,
            AnswerEnd.CANCELLED,
            AnswerEnd.CANCELLED,
        ]
        assert [trace.usage.think for trace in ends[1:]] == [101, 101]
        assert runner.scheduler.ledger.free == engine.capacity
        assert not engine._seqs


@dataclass
class Pulled:
    """A vote that is pulled at while it runs, and who has been told to wait for that."""

    polling: Polling
    events: list[Event | Counted | Polled]


def pulled(says: Sequence[Says], at: int, pull: Callable[[Polling], None]) -> Pulled:
    """Hold a vote, and do something to it when its traces have said so many tokens."""
    whole = script_of(says)
    asked, done = threading.Event(), threading.Event()

    def script(tokens: Sequence[int], prompt: int, own: int) -> int:
        if len(tokens) - prompt == at and not done.is_set():
            asked.set()
            assert done.wait(30)
        return whole(tokens, prompt, own)

    engine = ReplayEngine(VOCAB, script, n_ctx=1000, n_seqs=len(says))
    with Runner(engine, resolve(TAGGED, VOCAB)) as runner:
        session = Session(runner, ChatTemplate(TEMPLATE, VOCAB))
        polling = Polling(session, "?", FREE, Sampling(seed=SEED), Terms(len(says), ALL))
        assert asked.wait(30)
        pull(polling)
        done.set()
        events = list(polling)
        assert runner.scheduler.ledger.free == engine.capacity
        assert not engine._seqs
    return Pulled(polling, events)


def test_a_trace_that_somebody_drops_has_no_vote_and_the_others_go_on() -> None:
    vote = pulled(says((90, "1"), (100, "2"), (110, "2")), 20, lambda polling: polling.drop(1))
    trace = vote.polling.traces[1]
    assert (trace.finish, trace.answer_end) == (Finish.USER, AnswerEnd.DROPPED)
    assert [event.change for event in trace.budget_events] == [BudgetChange.DISMISSED]
    assert why(trace) == "somebody dropped it"
    assert trail(trace.budget_events, trace.finish)[-1][1].startswith("somebody dropped it")
    assert trace.usage.think < 30
    last = vote.events[-1]
    assert isinstance(last, Polled)
    assert tally(last.poll) == "2 of 3: 2 · 1: dropped"
    assert (last.poll.winner, verdict(last.poll)) == (2, "all others have answered")


def test_a_vote_of_which_all_traces_were_dropped_has_no_answer() -> None:
    def drop(polling: Polling) -> None:
        polling.drop(1)
        polling.drop(2)

    vote = pulled(says((90, "1"), (100, "2")), 20, drop)
    last = vote.events[-1]
    assert isinstance(last, Polled)
    assert (last.poll.winner, last.poll.stop) == (None, Decision.ALL)
    assert tally(last.poll) == "2 of 2: dropped"
    assert verdict(last.poll) == "every trace was dropped: there is no answer"
    assert vote.polling._session.messages == []


def test_levers_are_those_of_all_traces() -> None:
    vote = pulled(says((90, "1"), (100, "2")), 20, lambda polling: polling.stream.answer_now())
    assert [trace.finish for trace in vote.polling.traces.values()] == [Finish.USER] * 2

    def wait(polling: Polling) -> None:
        polling.stream.wait()
        polling.stream.extend(30)

    vote = pulled(says((90, "1"), (100, "2")), 20, wait)
    for trace in vote.polling.traces.values():
        asked = [event.change for event in trace.budget_events]
        assert asked.count(BudgetChange.WITHDRAWN) == 1
        assert asked[:2] == [BudgetChange.WAIT, BudgetChange.EXTEND]


def test_whoever_cannot_wait_in_next_is_woken() -> None:
    woken = threading.Event()
    engine = ReplayEngine(VOCAB, script_of(says((5, "1"), (6, "1"))), n_ctx=400, n_seqs=2)
    with Runner(engine, resolve(TAGGED, VOCAB)) as runner:
        session = Session(runner, ChatTemplate(TEMPLATE, VOCAB))
        polling = Polling(session, "?", FREE, Sampling(seed=SEED), Terms(2))
        told: list[Event | Counted | Polled] = []
        over = False
        while not over:
            polling.on_event = woken.set
            if not polling.ready():
                assert woken.wait(30)
            polling.on_event = None
            woken.clear()
            while polling.ready() and not over:
                told.append(next(polling))
                over = isinstance(told[-1], Polled)
        assert polling.ready()
        assert list(polling) == []
    assert len([event for event in told if isinstance(event, Finished)]) == 2


def test_an_engine_that_dies_ends_the_vote_with_its_error() -> None:
    good = script_of(says((5, "1"), (600, "2"), (600, "2")))

    def script(tokens: Sequence[int], prompt: int, own: int) -> int:
        if len(tokens) - prompt > 60:
            raise ZeroDivisionError("oh")
        return good(tokens, prompt, own)

    engine = ReplayEngine(VOCAB, script, n_ctx=1000, n_seqs=3)
    with Runner(engine, resolve(TAGGED, VOCAB)) as runner:
        session = Session(runner, ChatTemplate(TEMPLATE, VOCAB))
        polling = Polling(session, "?", Budget(), Sampling(seed=SEED), Terms(3))
        with pytest.raises(EngineError, match="oh"):
            list(polling)
        assert list(polling) == []
        assert session.messages == []


@pytest.fixture
def session() -> Iterator[Session]:
    engine = ReplayEngine(VOCAB, script_of(says((5, "1"), (6, "2"))), n_ctx=400, n_seqs=2)
    with Runner(engine, resolve(TAGGED, VOCAB)) as runner:
        yield Session(runner, ChatTemplate(TEMPLATE, VOCAB))


def test_traces_that_would_all_be_the_same_are_refused(session: Session) -> None:
    with pytest.raises(InputError, match="At temperature 0 all 2 traces are the same") as refused:
        Polling(session, "?", Budget(), Sampling(temperature=0), Terms(2))
    assert "0.6" in refused.value.hint


def test_a_refused_vote_changes_nothing(session: Session) -> None:
    with pytest.raises(BudgetError):
        Polling(session, "?", Budget(cap=-1), Sampling(), Terms(2))
    assert session.messages == []
    with Comparer() as comparer:
        polling = Polling(session, "?", Budget(), Sampling(seed=SEED), Terms(2), comparer)
        assert isinstance(list(polling)[-1], Polled)


@given(st.integers(0, 2**32 - 2), st.integers(1, 40), st.integers(1, 40))
def test_seeds_differ_and_fewer_traces_have_the_first_of_them(seed: int, a: int, b: int) -> None:
    few, many = seeds(seed, min(a, b)), seeds(seed, max(a, b))
    assert many[: len(few)] == few
    assert many[0] == seed
    assert len(set(many)) == len(many)
    assert all(0 <= one < 2**32 - 1 for one in many)


@settings(max_examples=40, deadline=None)
@given(voters, st.integers(1, 600), st.integers(1, 3))
def test_a_pool_bounds_all_of_them_together(voters: list[Says], pool: int, burst: int) -> None:
    terms = Terms(len(voters), LOSSLESS, pool=pool)
    vote = held(voters, LOSSLESS, burst=burst, terms=terms)
    assert sum(trace.usage.think for trace in vote.polling.traces.values()) <= pool
    assert vote.answer
    again = held(voters, LOSSLESS, burst=burst, terms=terms)
    assert again.poll == vote.poll


def test_a_dropped_trace_is_not_waited_for() -> None:
    """Half of the pool is a long thought's: whoever cannot be kept has no say."""
    voters = says((10, "5"), (400, "6"), (400, "6"))
    vote = held(voters, LOSSLESS, terms=Terms(3, LOSSLESS, pool=500))
    dropped = [n for n, trace in vote.polling.traces.items() if trace.finish is Finish.CAP]
    assert dropped
    assert vote.answer == "5"
    assert tally(vote.poll) == "1 of 3: 5 · 2: dropped"
    assert verdict(vote.poll) == "all others have answered"


@pytest.mark.parametrize(
    ("pool", "budget", "said"),
    [
        (0, Budget(), "nothing to think with in a pool of 0 tokens"),
        (-5, Budget(), "a pool of -5 tokens"),
        (9, Budget(thinking=False), "With thinking off"),
        (9, Budget(cap=0), "With thinking off"),
        (9, Budget(floor=20), "The floor (20) is above the budget (9)"),
    ],
)
def test_a_pool_that_means_nothing_is_refused(
    session: Session, pool: int, budget: Budget, said: str
) -> None:
    with pytest.raises(BudgetError) as refused:
        Polling(session, "?", budget, Sampling(), Terms(2, pool=pool))
    assert said in refused.value.message


def test_votes_may_weigh_what_their_traces_were_sure_of() -> None:
    voters = says((10, "5"), (20, "5"), (30, "6"))
    feelings = dict(zip(seeds(SEED, 3), (-2.0, -2.0, -0.1), strict=True))

    def feeling(_tokens: Sequence[int], _prompt: int, own: int) -> Signal:
        return Signal(logprob=feelings[own])

    for weigh, answer in ((False, "5"), (True, "6")):
        terms = Terms(3, ALL, weigh=weigh)
        vote = held(voters, terms=terms, feeling=feeling)
        assert vote.answer == answer
        weights = {choice.answer: choice.weight for choice in vote.poll.choices}
        assert weights == pytest.approx(
            {"5": 2 * math.exp(-2), "6": math.exp(-0.1)} if weigh else {"5": 2, "6": 1}
        )
    # An engine that cannot tell has one vote for each.
    assert held(voters, terms=Terms(3, ALL, weigh=True)).answer == "5"
