"""Thoughts that go on from edited ones: what is kept, what is charged, and every promise kept."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from adversary import (
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
from ponder.engines.replay import ReplayEngine
from ponder.errors import InputError, PromptTooLong
from ponder.events import Closed, Finished, Started, Text
from ponder.thinking.beginning import Beginning, beginning
from ponder.thinking.lengths import thinking_of
from ponder.thinking.planning import NOTHING, Request
from ponder.thinking.protocol import ThinkProtocol, resolve
from ponder.thinking.scheduler import Scheduler
from ponder.types import Author, Budget, BudgetChange, Channel, Finish, Sampling, Trace
from scripted import LABELLED, PLAIN, SPELLED, TAGGED

N_CTX = 400
WORDS = Adversary(("words",), 0)
"""A model that never ends of itself."""
dialects = st.sampled_from((TAGGED, SPELLED, LABELLED))


def ask(
    script: Adversary,
    protocol: ThinkProtocol,
    budget: Budget,
    begun: Beginning = NOTHING,
    prompt: tuple[int, ...] = (256, 120),
    burst: int = 1,
) -> Trace:
    engine = ReplayEngine(VOCAB, script, n_ctx=N_CTX, burst=burst)
    scheduler = Scheduler(engine, protocol)
    scheduler.submit(Request(1, prompt, budget, Sampling(seed=7), beginning=begun))
    events = drive(engine, scheduler)
    assert scheduler.ledger.free == engine.capacity
    (trace,) = [event.trace for event in events if isinstance(event, Finished)]
    texts = [event for event in events if isinstance(event, Text)]
    assert "".join(event.span.text for event in texts if event.span.channel is Channel.THOUGHT) == (
        trace.thought
    )
    return trace


@settings(max_examples=200, deadline=None)
@given(
    adversaries,
    dialects,
    budgets,
    budgets,
    prompts,
    st.integers(0, 200),
    st.text(st.characters(codec="utf-8"), max_size=12),
    st.integers(1, 4),
)
def test_whatever_is_edited_every_promise_is_kept(
    script: Adversary,
    dialect: Dialect,
    first: Budget,
    second: Budget,
    prompt: tuple[int, ...],
    at: int,
    written: str,
    burst: int,
) -> None:
    protocol = resolve(dialect, VOCAB)
    earlier = ask(script, protocol, first, prompt=prompt)
    assume(earlier.budget is not None)
    text = earlier.thought[:at] + written
    try:
        begun = beginning(earlier, text, protocol)
    except InputError:
        assert dialect is SPELLED
        assert dialect.end in text
        return
    assume(begun.tokens)
    try:
        trace = ask(script, protocol, second, begun, prompt, burst)
    except PromptTooLong:
        assert len(prompt) + len(begun.tokens) > N_CTX / 2
        return
    keeps_its_promises(trace, protocol, second, N_CTX)
    assert trace.tokens[: len(begun.tokens)] == begun.tokens
    assert trace.usage.kept == begun.think <= trace.usage.think
    assert trace.usage.user == begun.written
    if second.cap is not None:
        assert trace.usage.think <= max(second.cap, begun.think)
    assert trace.thought.startswith(text.lstrip("\n").rstrip("�"))
    (told,) = [e for e in trace.budget_events if e.change is BudgetChange.BEGUN]
    assert (told.figures["kept"], told.figures["written"]) == (begun.think, begun.written)
    # And once more, from what was edited.
    again = beginning(trace, trace.thought, protocol)
    assert again.tokens[: len(begun.tokens)] == begun.tokens
    assert again.authors[: len(begun.tokens)] == begun.authors


@settings(max_examples=200, deadline=None)
@given(adversaries, dialects, budgets, st.integers(0, 300))
def test_what_is_kept_is_the_models_own(
    script: Adversary, dialect: Dialect, budget: Budget, at: int
) -> None:
    """Tokens of the trace as they are, and no more of them than the text holds."""
    protocol = resolve(dialect, VOCAB)
    trace = ask(script, protocol, budget)
    assume(trace.budget is not None)
    begun = beginning(trace, trace.thought[:at], protocol)
    kept = len(begun.tokens) - begun.written
    assert begun.tokens[:kept] == trace.tokens[:kept]
    authors = [Author.MODEL if not forced else None for forced in trace.forced[:kept]]
    assert [a if a is Author.MODEL else None for a in begun.authors[:kept]] == authors
    pieces = b"".join(map(VOCAB.piece, begun.tokens)).decode("utf-8", "replace").lstrip("\n")
    if "�" not in trace.thought:
        assert pieces == trace.thought[:at]


def begun_with(kept: int, written: str = "", budget: Budget | None = None) -> tuple[Trace, Trace]:
    """A trace of a model that never ends, and the one that goes on from so many tokens of it."""
    protocol = resolve(TAGGED, VOCAB)
    earlier = ask(WORDS, protocol, Budget(cap=60))
    begun = beginning(earlier, earlier.thought[:kept] + written, protocol)
    assert begun.think == kept
    return earlier, ask(WORDS, protocol, budget or Budget(cap=60, max_answer=20), begun)


@pytest.mark.parametrize("kept", [1, 20, 59])
def test_the_cap_counts_what_was_kept_and_is_exact(kept: int) -> None:
    earlier, trace = begun_with(kept, "No: ")
    assert (trace.usage.think, trace.usage.kept, trace.usage.user) == (60, kept, 4)
    assert (trace.finish, trace.budget) == (Finish.CAP, 60)
    assert trace.tokens[:kept] == earlier.tokens[:kept]
    assert trace.usage.sampled == 60 - kept + trace.usage.answer + trace.usage.wasted


@pytest.mark.parametrize("budget", [Budget(cap=10), Budget(cap=40), Budget(thinking=False)])
def test_with_nothing_left_the_answer_follows_at_once(budget: Budget) -> None:
    _, trace = begun_with(40, "So.", budget)
    assert (trace.usage.think, trace.budget, trace.finish) == (40, 40, Finish.CAP)
    assert trace.thought.startswith(trace.thought[:40] + "So.")
    assert "Time is up." in trace.thought
    assert trace.answer


def test_who_said_what_is_told() -> None:
    _, trace = begun_with(30, "Mine.")
    authors = [(span.author, span.text) for span in trace.spans if span.channel is Channel.THOUGHT]
    assert [author for author, _ in authors] == [
        Author.MODEL,
        Author.USER,
        Author.MODEL,
        Author.CLOSING,
    ]
    assert authors[1][1] == "Mine."
    assert trace.user == (*[False] * 30, *[True] * 5, *[False] * (len(trace.tokens) - 35))


def test_ponders_words_stay_ponders() -> None:
    """Kept words of ponder's are named as before, and charged to ponder."""
    protocol = resolve(TAGGED, VOCAB)
    ends = Adversary(("close",), 0)
    earlier = ask(ends, protocol, Budget(floor=3, cap=20))
    assert any(span.author is Author.WAIT for span in earlier.spans)
    waited = earlier.thought.index("Wait") + len("Wait")
    begun = beginning(earlier, earlier.thought[:waited] + "!", protocol)
    assert begun.authors.count(Author.WAIT) == len(protocol.wait_ids)
    trace = ask(WORDS, protocol, Budget(cap=30), begun)
    assert trace.spans[0].author is Author.WAIT
    assert trace.usage.forced >= len(protocol.wait_ids)
    assert trace.usage.user == 1


def test_a_token_that_is_cut_apart_is_written_anew() -> None:
    protocol = resolve(TAGGED, VOCAB)
    smile = Adversary(("half",), 3)
    earlier = ask(smile, protocol, Budget(cap=40))
    at = earlier.thought.index("🙂")
    begun = beginning(earlier, earlier.thought[: at + 1], protocol)
    assert begun.written == 0
    assert bytes(begun.tokens).decode("utf-8", "replace") == earlier.thought[: at + 1]


def test_a_spelled_tag_is_refused_and_a_token_cannot_be_written() -> None:
    spelled, tagged = resolve(SPELLED, VOCAB), resolve(TAGGED, VOCAB)
    for protocol, text in ((spelled, "so [/think] 4"), (spelled, "[/think]")):
        earlier = ask(WORDS, protocol, Budget(cap=20))
        with pytest.raises(InputError, match=r"\[/think\]") as refused:
            beginning(earlier, text, protocol)
        assert refused.value.hint
    begun = beginning(ask(WORDS, tagged, Budget(cap=20)), "so </think> 4", tagged)
    assert TOKEN["</think>"] not in begun.tokens
    trace = ask(WORDS, tagged, Budget(cap=20), begun)
    assert trace.thought.startswith("so </think> 4")


def test_a_model_that_does_not_think_has_nothing_to_go_on_from() -> None:
    with pytest.raises(InputError, match="does not think"):
        ask(WORDS, resolve(PLAIN, VOCAB), Budget(), Beginning((119,), (Author.USER,)))


def test_a_beginning_without_room_for_an_answer_is_refused() -> None:
    begun = Beginning((119,) * 380, (Author.USER,) * 380)
    with pytest.raises(PromptTooLong, match="382"):
        ask(WORDS, resolve(TAGGED, VOCAB), Budget(), begun)


def test_nothing_is_learned_from_what_a_person_wrote() -> None:
    _, trace = begun_with(30, "Mine.")
    assert thinking_of(trace) is None


def test_it_is_told_from_its_start() -> None:
    """Whoever shows it sees what it began with at once, and what is left of its budget."""
    protocol = resolve(TAGGED, VOCAB)
    engine = ReplayEngine(VOCAB, WORDS, n_ctx=N_CTX)
    scheduler = Scheduler(engine, protocol)
    begun = Beginning(tuple(b"word.Mine."), (*[Author.MODEL] * 5, *[Author.USER] * 5))
    scheduler.submit(Request(1, (256, 120), Budget(cap=9), Sampling(), beginning=begun))
    events = drive(engine, scheduler)
    assert isinstance(events[0], Started)
    assert events[0].budget == 9
    first, second = [event for event in events if isinstance(event, Text)][:2]
    assert (first.span.author, first.span.text, first.think_tokens) == (Author.MODEL, "word.", 5)
    assert (second.span.author, second.span.text) == (Author.USER, "Mine.")
    assert any(isinstance(event, Closed) for event in events)
