"""Going on from an edited thought, on real weights: the KV cache serves what was kept of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engines.conftest import ask as asked
from ponder.catalogue import catalogue
from ponder.engines.llama import LlamaConfig, LlamaEngine
from ponder.events import Event, Finished, Prefilled
from ponder.runner import Runner
from ponder.thinking.beginning import Beginning, beginning
from ponder.thinking.planning import NOTHING
from ponder.thinking.protocol import resolve
from ponder.types import Author, Budget, Channel, Finish, Sampling, Trace

GREEDY = Sampling(temperature=0)
QUESTION = "what is 48 * 17 + 230 - 19 * 6?"


@pytest.fixture
def runner(builtin: Path) -> Iterator[Runner]:
    """One sequence at a time, as in a chat."""
    engine = LlamaEngine(builtin, LlamaConfig(n_ctx=1024, threads=2, slice_size=512))
    with Runner(engine, resolve(catalogue().dialect("tiny"), engine.vocab)) as running:
        yield running


def think(
    runner: Runner,
    begun: Beginning = NOTHING,
    budget: Budget | None = None,
    question: str = QUESTION,
    revisable: bool = True,
) -> tuple[Trace, list[Event]]:
    assert isinstance(runner.engine, LlamaEngine)
    prompt = asked(runner.engine.vocab, question)
    budget = budget or Budget(max_answer=60)
    told = list(runner.submit(prompt, budget, GREEDY, beginning=begun, revisable=revisable))
    assert isinstance(told[-1], Finished)
    return told[-1].trace, told


def edited(runner: Runner, trace: Trace, share: float, words: str = "") -> Beginning:
    at = int(len(trace.thought) * share)
    return beginning(trace, trace.thought[:at] + words, runner.protocol)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_what_is_kept_need_not_be_read_again(runner: Runner, share: float) -> None:
    earlier, _ = think(runner)
    assert earlier.usage.cached == 0
    begun = edited(runner, earlier, share, " Let me check that.")
    kept = begun.think
    assert 0 < kept < earlier.usage.think
    trace, told = think(runner, begun)
    # The prompt and the kept tokens lay in the cache, all of them; what was written is read.
    assert trace.usage.cached == trace.usage.prompt + kept
    (read,) = [event for event in told if isinstance(event, Prefilled)][-1:]
    assert read.total == trace.usage.prompt + len(begun.tokens)
    assert trace.tokens[: len(begun.tokens)] == earlier.tokens[:kept] + begun.tokens[kept:]
    assert (trace.usage.kept, trace.usage.user) == (kept, begun.written)
    assert trace.usage.think + trace.usage.forced + trace.usage.user + trace.usage.answer == len(
        trace.tokens
    )
    assert trace.answer
    words = [span.text for span in trace.spans if span.author is Author.USER]
    assert "".join(words).endswith("Let me check that.")


def test_an_edit_that_changes_nothing_thinks_the_same(runner: Runner) -> None:
    """Greedy: from the same tokens in the same cells follows the same."""
    earlier, _ = think(runner)
    at = earlier.usage.think // 2
    same = Beginning(earlier.tokens[:at], (Author.MODEL,) * at)
    trace, _ = think(runner, same)
    assert trace.tokens == earlier.tokens
    assert trace.usage.think == earlier.usage.think
    # The last token of all is decoded anew, for its logits.
    assert trace.usage.cached == trace.usage.prompt + at - 1


@pytest.mark.parametrize("more", [0, 1, 25])
def test_the_cap_is_exact(runner: Runner, more: int) -> None:
    earlier, _ = think(runner)
    begun = edited(runner, earlier, 0.4, " Hmm.")
    cap = begun.think + more
    trace, _ = think(runner, begun, Budget(cap=cap, max_answer=60))
    assert (trace.usage.think, trace.finish, trace.budget) == (cap, Finish.CAP, cap)
    assert trace.tokens.count(runner.protocol.end_id) == 1
    assert trace.answer


def test_a_wrong_number_put_right_reaches_the_answer(runner: Runner) -> None:
    """What somebody wrote is what the model goes on from."""
    earlier, _ = think(runner)
    begun = beginning(earlier, "48 * 17 is 1000. 1000 + 230 is 1230.", runner.protocol)
    trace, _ = think(runner, begun)
    assert "1230" in "".join(
        span.text
        for span in trace.spans
        if span.channel is Channel.THOUGHT and span.author is Author.MODEL
    )


def test_the_next_question_takes_the_room_back(runner: Runner) -> None:
    """A thought is kept for as long as nothing else is asked, and costs nothing after that."""
    earlier, _ = think(runner)
    think(runner, question="what is 2 + 2?")
    engine = runner.engine
    assert isinstance(engine, LlamaEngine)
    held = [len(tokens) for tokens in engine._cache.slots.tokens if tokens]
    assert len(held) == 1
    again, _ = think(runner, edited(runner, earlier, 0.5))
    assert again.usage.cached < again.usage.prompt


def test_only_who_may_be_edited_stays(runner: Runner) -> None:
    earlier, _ = think(runner, revisable=False)
    trace, _ = think(runner, edited(runner, earlier, 0.5, " So."))
    assert trace.usage.cached == trace.usage.prompt
