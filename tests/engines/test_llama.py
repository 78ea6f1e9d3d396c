"""The seam on real weights: what goes in and out of one llama.cpp context, token by token.

The built-in model is small enough to hold every promise to a bare low-level loop, and to a
fresh sequence with the same tokens. Floating point depends on the shape of a batch: what was
read in the same shapes must agree token by token, or bit by bit. Where the shapes differ, a
judge (an engine of its own, whose cache knows nothing) says of every greedy token how far it
is from the best one, and noise is all that is allowed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import llama_cpp.llama_cpp as lib
import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    multiple,
    rule,
    run_state_machine_as_test,
)
from numpy.typing import NDArray

from ponder.engines.llama import LlamaConfig, LlamaEngine
from ponder.engines.llama.batch import Batch
from ponder.engines.llama.sampler import Sampler
from ponder.engines.llama.slots import common_prefix
from ponder.errors import ContextFull, EngineError
from ponder.types import Chunk, Sampling, Seq

GREEDY = Sampling(temperature=0)
DRAWN = Sampling(temperature=0.6, top_p=0.95, seed=5)
PENALISED = replace(GREEDY, frequency_penalty=1.5, presence_penalty=1.0)
DRY = replace(GREEDY, dry_multiplier=4.0, dry_allowed_length=2)


@contextmanager
def opened(
    engine: LlamaEngine,
    tokens: Sequence[int],
    sampling: Sampling = GREEDY,
    watch: tuple[int, ...] = (),
) -> Iterator[Seq]:
    """A sequence that is closed whatever happens: the engine is shared."""
    seq = engine.open(tuple(tokens), sampling, watch)
    try:
        yield seq
    finally:
        engine.close(seq)


@contextmanager
def made(path: Path, config: LlamaConfig) -> Iterator[LlamaEngine]:
    engine = LlamaEngine(path, config)
    try:
        yield engine
    finally:
        engine.shutdown()


def chunks(engine: LlamaEngine, seq: Seq, n: int) -> list[Chunk]:
    """Steps of one sequence alone, until it has brought n tokens."""
    found: list[Chunk] = []
    while sum(len(chunk.tokens) for chunk in found) < n:
        found += engine.step({seq: 1})
    return found


def sample(engine: LlamaEngine, seq: Seq, n: int) -> list[int]:
    return [token for chunk in chunks(engine, seq, n) for token in chunk.tokens]


def fresh(
    engine: LlamaEngine, tokens: Sequence[int], n: int, sampling: Sampling = GREEDY
) -> list[int]:
    """What a new sequence with these tokens as its prompt goes on with."""
    with opened(engine, tokens, sampling) as seq:
        return sample(engine, seq, n)


NOISE = 0.5
"""Logits. The order of a sum depends on the shape of a batch and on which cells of the cache a
sequence lies in: 0.02 was seen on one processor, 0.27 on one that multiplies in bf16. Between two
contexts there are several logits."""


@pytest.fixture(scope="module")
def judge(builtin: Path) -> Iterator[LlamaEngine]:
    with made(builtin, LlamaConfig(n_ctx=512, threads=2)) as alone:
        yield alone


def everything(engine: LlamaEngine) -> tuple[int, ...]:
    """Watching every token reads the whole row of logits."""
    return tuple(range(engine.vocab.size))


def doubt(
    judge: LlamaEngine, tokens: Sequence[int], said: Sequence[int], sampling: Sampling = GREEDY
) -> float:
    """How far what was said after these tokens ever is from the judge's own best token.

    Knows two of the penalties by their formulas (llama-sampler.cpp), and no others.
    """
    worst = 0.0
    held = list(tokens)
    watch = everything(judge) if sampling.has_memory else tuple(dict.fromkeys(said))
    with opened(judge, tokens, watch=watch) as seq:
        for token in said:
            (gaps,) = chunks(judge, seq, 1)[-1].gaps
            if sampling.has_memory:
                logits = -np.array(gaps)
                for recent, times in Counter(held[-sampling.penalty_last_n :]).items():
                    logits[recent] -= times * sampling.frequency_penalty + sampling.presence_penalty
                worst = max(worst, float(logits.max() - logits[token]))
            else:
                worst = max(worst, gaps[watch.index(token)])
            judge.feed(seq, (token,), replace_pending=True)
            held.append(token)
    return worst


def bare(
    path: Path, prompt: Sequence[int], n: int, sampling: Sampling, threads: int = 2
) -> list[int]:
    """The plainest loop there is: all of the prompt but its last token, then one by one."""
    model = lib.llama_model_load_from_file(str(path).encode(), lib.llama_model_default_params())
    params = lib.llama_context_default_params()
    params.n_ctx, params.n_batch, params.n_ubatch = 512, 512, 512
    params.n_threads = params.n_threads_batch = threads
    context = lib.llama_init_from_model(model, params)
    chain = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
    if sampling.temperature > 0:
        lib.llama_sampler_chain_add(chain, lib.llama_sampler_init_top_p(sampling.top_p, 1))
        lib.llama_sampler_chain_add(chain, lib.llama_sampler_init_temp(sampling.temperature))
        lib.llama_sampler_chain_add(chain, lib.llama_sampler_init_dist(sampling.seed))
    else:
        lib.llama_sampler_chain_add(chain, lib.llama_sampler_init_greedy())
    batch = Batch(512)
    tokens = list(prompt)
    batch.add(0, 0, tokens[:-1], logits=False)
    assert lib.llama_decode(context, batch.c) == 0
    for position in range(len(prompt) - 1, len(prompt) - 1 + n):
        batch.clear()
        row = batch.add(0, position, tokens[-1:], logits=True)
        assert lib.llama_decode(context, batch.c) == 0
        tokens.append(lib.llama_sampler_sample(chain, context, row))
    lib.llama_sampler_free(chain)
    lib.llama_free(context)
    lib.llama_model_free(model)
    return tokens[len(prompt) :]


# -- one sequence -----------------------------------------------------------------------------


@pytest.mark.parametrize("sampling", [GREEDY, DRAWN, replace(DRAWN, temperature=1.0, seed=78)])
def test_tokens_are_those_of_a_bare_loop(
    builtin: Path, prompts: list[tuple[int, ...]], sampling: Sampling
) -> None:
    # The bare loop reads a prompt in one go: so must the engine, in one slice and with nothing
    # of another prompt in its cache.
    for prompt in prompts[:3]:
        with made(builtin, LlamaConfig(n_ctx=512, threads=2, slice_size=512)) as engine:
            said = fresh(engine, prompt, 60, sampling)
        assert said == bare(builtin, prompt, 60, sampling)


def test_open_only_enqueues(engine: LlamaEngine, prompts: list[tuple[int, ...]]) -> None:
    decodes = 0
    real = lib.llama_decode

    def counted(context: object, batch: object) -> int:
        nonlocal decodes
        decodes += 1
        return int(real(context, batch))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lib, "llama_decode", counted)
        with opened(engine, prompts[0]) as seq:
            engine.feed(seq, (5, 6))
            engine.rewind(seq, 4)
            with opened(engine, prompts[1]):
                assert decodes == 0
                engine.step({seq: 1})
                assert decodes == 1


def test_a_step_brings_one_token_and_its_bytes(
    engine: LlamaEngine, prompts: list[tuple[int, ...]]
) -> None:
    with opened(engine, prompts[0]) as seq:
        for chunk in chunks(engine, seq, 5)[-4:]:
            assert len(chunk.tokens) == 1
            assert chunk.pieces == (engine.vocab.piece(chunk.tokens[0]),)
            assert (chunk.prefilled, chunk.cached, chunk.busy) == (0, 0, 1)
            assert chunk.seconds > 0


def test_a_grant_of_nothing_reads_and_samples_nothing(
    engine: LlamaEngine, prompts: list[tuple[int, ...]]
) -> None:
    with opened(engine, prompts[0]) as seq:
        for _ in range(8):
            assert not any(chunk.tokens for chunk in engine.step({seq: 0}))
        assert engine.step({seq: 0}) == []
        assert sample(engine, seq, 8) == fresh(engine, prompts[0], 8)
        # A pending token that was read under such a grant can no longer be withdrawn.
        engine.step({seq: 0})
        with pytest.raises(EngineError, match="pending"):
            engine.feed(seq, (5,), replace_pending=True)


def test_the_same_seed_draws_the_same_tokens(
    engine: LlamaEngine, prompts: list[tuple[int, ...]]
) -> None:
    hot = Sampling(temperature=1.5, top_p=1, seed=1)
    runs = [fresh(engine, prompts[0], 40, hot) for _ in range(2)]
    assert runs[0] == runs[1]
    assert fresh(engine, prompts[0], 40, replace(hot, seed=2)) != runs[0]


# -- forced tokens -----------------------------------------------------------------------------


def test_forced_tokens_are_as_if_the_prompt_had_held_them(
    engine: LlamaEngine, judge: LlamaEngine, prompts: list[tuple[int, ...]]
) -> None:
    prompt = prompts[0]
    said = fresh(engine, prompt, 20)
    forced = tuple(engine.vocab.encode("\n\nWait, 7 + 5 = 12. So", special=False))
    with opened(engine, prompt) as seq:
        assert sample(engine, seq, 20) == said
        engine.feed(seq, forced)
        assert doubt(judge, (*prompt, *said, *forced), sample(engine, seq, 20)) < NOISE


def test_tokens_fed_before_the_prompt_is_read_come_after_it(
    engine: LlamaEngine, judge: LlamaEngine, prompts: list[tuple[int, ...]]
) -> None:
    forced = tuple(engine.vocab.encode("So the answer", special=False))
    with opened(engine, prompts[0]) as seq:
        engine.feed(seq, forced)
        found = chunks(engine, seq, 20)
        assert sum(c.prefilled + c.cached for c in found) == len(prompts[0])
        tokens = [token for chunk in found for token in chunk.tokens]
    assert doubt(judge, (*prompts[0], *forced), tokens) < NOISE


def test_a_withdrawn_token_never_reaches_the_context(
    engine: LlamaEngine, judge: LlamaEngine, prompts: list[tuple[int, ...]]
) -> None:
    prompt = prompts[1]
    with opened(engine, prompt) as seq:
        said = sample(engine, seq, 12)
        other = (said[-1] + 1) % engine.vocab.size
        engine.feed(seq, (other,), replace_pending=True)
        assert doubt(judge, (*prompt, *said[:-1], other), sample(engine, seq, 25)) < NOISE


def test_withdrawing_alone_samples_the_place_again(
    engine: LlamaEngine, prompts: list[tuple[int, ...]]
) -> None:
    with opened(engine, prompts[1]) as seq:
        said = sample(engine, seq, 12)
        engine.feed(seq, (), replace_pending=True)
        assert sample(engine, seq, 1) == said[-1:]


def test_only_a_sampled_token_can_be_withdrawn(
    engine: LlamaEngine, prompts: list[tuple[int, ...]]
) -> None:
    with opened(engine, prompts[0]) as seq:
        with pytest.raises(EngineError, match="pending"):
            engine.feed(seq, (5,), replace_pending=True)
        sample(engine, seq, 3)
        engine.feed(seq, (5,), replace_pending=True)
        with pytest.raises(EngineError, match="pending"):
            engine.feed(seq, (6,), replace_pending=True)


def test_penalties_are_what_they_say(engine: LlamaEngine, judge: LlamaEngine) -> None:
    prompt = engine.vocab.encode("1 + 2 = 3, " * 8, special=False)
    short = replace(PENALISED, penalty_last_n=8)
    for sampling, other in ((PENALISED, short), (short, PENALISED)):
        said = fresh(engine, prompt, 40, sampling)
        assert doubt(judge, prompt, said, sampling) < NOISE
        # The judge can tell them apart.
        assert doubt(judge, prompt, said, other) > 5 * NOISE
        assert doubt(judge, prompt, said) > 5 * NOISE


def test_a_withdrawn_token_is_forgotten_by_penalties(
    engine: LlamaEngine, judge: LlamaEngine, prompts: list[tuple[int, ...]]
) -> None:
    prompt = prompts[2]
    forced = tuple(engine.vocab.encode("\n\nWait", special=False))
    with opened(engine, prompt, PENALISED) as seq:
        said = sample(engine, seq, 10)
        for _ in range(30):
            # Remembered thirty times over, this token would never come again.
            engine.feed(seq, (), replace_pending=True)
            assert doubt(judge, (*prompt, *said[:-1]), sample(engine, seq, 1), PENALISED) < NOISE
        engine.feed(seq, forced, replace_pending=True)
        after = sample(engine, seq, 40)
    assert doubt(judge, (*prompt, *said[:-1], *forced), after, PENALISED) < NOISE


def test_a_withdrawn_token_is_forgotten_by_dry(engine: LlamaEngine) -> None:
    # Three numbers in, a second round would be punished if the first were remembered.
    prompt = engine.vocab.encode("1 + 2 = 3, ", special=False)
    with opened(engine, prompt, DRY) as seq:
        for token in prompt:
            sample(engine, seq, 1)
            engine.feed(seq, (token,), replace_pending=True)
        engine.rewind(seq, len(prompt))
        assert sample(engine, seq, 8) == fresh(engine, prompt, 8, DRY)


def test_going_back_forgets_what_came_after(
    engine: LlamaEngine, judge: LlamaEngine, prompts: list[tuple[int, ...]]
) -> None:
    with opened(engine, prompts[2], PENALISED) as seq:
        sample(engine, seq, 40)
        engine.rewind(seq, len(prompts[2]))
        assert doubt(judge, prompts[2], sample(engine, seq, 40), PENALISED) < NOISE


def test_a_memory_without_bounds_takes_no_memory(
    engine: LlamaEngine, judge: LlamaEngine, prompts: list[tuple[int, ...]]
) -> None:
    endless = replace(PENALISED, penalty_last_n=2**31 - 1)
    assert doubt(judge, prompts[2], fresh(engine, prompts[2], 20, endless), endless) < NOISE
    far = replace(DRY, dry_last_n=2**31 - 1)
    assert fresh(engine, prompts[2], 8, far) == fresh(engine, prompts[2], 8, DRY)


@pytest.mark.parametrize("window", [-1, 0])
def test_a_memory_of_nothing_is_none(
    engine: LlamaEngine, judge: LlamaEngine, prompts: list[tuple[int, ...]], window: int
) -> None:
    none = replace(PENALISED, penalty_last_n=window, dry_multiplier=4.0, dry_last_n=window)
    assert doubt(judge, prompts[2], fresh(engine, prompts[2], 40, none)) < NOISE


def longest_run(tokens: Sequence[int]) -> int:
    """How long the tokens go on repeating what stood a few tokens before."""
    best = 0
    for period in range(1, 20):
        run = 0
        for at in range(period, len(tokens)):
            run = run + 1 if tokens[at] == tokens[at - period] else 0
            best = max(best, run)
    return best


def test_dry_breaks_a_loop(engine: LlamaEngine) -> None:
    prompt = engine.vocab.encode("one two three four " * 8, special=False)
    assert longest_run(fresh(engine, prompt, 60)) > 12
    assert longest_run(fresh(engine, prompt, 60, DRY)) < 6


# -- gaps --------------------------------------------------------------------------------------


def test_the_gap_of_the_best_token_is_nothing(
    engine: LlamaEngine, prompts: list[tuple[int, ...]]
) -> None:
    said = fresh(engine, prompts[0], 15)
    watch = tuple(dict.fromkeys(said))
    with opened(engine, prompts[0], watch=watch) as seq:
        found = [chunk for chunk in chunks(engine, seq, 15) if chunk.tokens]
    for chunk, token in zip(found, said, strict=True):
        assert chunk.tokens == (token,)
        ((*gaps,),) = chunk.gaps
        for watched, gap in zip(watch, gaps, strict=True):
            assert gap == 0.0 if watched == token else gap > 0.0


def test_what_nobody_watches_has_no_gaps(
    engine: LlamaEngine, prompts: list[tuple[int, ...]]
) -> None:
    with opened(engine, prompts[0]) as seq:
        assert all(chunk.gaps == () for chunk in chunks(engine, seq, 3))


# -- forks -------------------------------------------------------------------------------------


def test_a_fork_remembers_as_its_parent_does(engine: LlamaEngine, judge: LlamaEngine) -> None:
    prompt = engine.vocab.encode("1 + 2 = 3, " * 8, special=False)
    with opened(engine, prompt, PENALISED) as parent:
        said = sample(engine, parent, 15)
        child = engine.fork(parent)
        try:
            for seq in (child, parent):
                after = sample(engine, seq, 25)
                assert doubt(judge, (*prompt, *said), after, PENALISED) < NOISE
                assert doubt(judge, (*prompt, *said), after) > 5 * NOISE
        finally:
            engine.close(child)


def test_a_fork_draws_as_its_parent_does(engine: LlamaEngine, judge: LlamaEngine) -> None:
    prompt = engine.vocab.encode("one two three four ", special=False)
    said: list[int] = []
    drawn: list[int] = []
    with opened(engine, prompt, Sampling(temperature=1, top_p=1, seed=8)) as parent:
        for _ in range(12):
            child = engine.fork(parent)
            drawn += sample(engine, child, 1)
            engine.close(child)
            said += sample(engine, parent, 1)
    assert drawn == said
    # They had a choice.
    assert doubt(judge, prompt, said) > 5 * NOISE


def test_a_fork_goes_on_as_its_parent(
    engine: LlamaEngine, judge: LlamaEngine, prompts: list[tuple[int, ...]]
) -> None:
    with opened(engine, prompts[0]) as parent:
        said = sample(engine, parent, 15)
        child = engine.fork(parent)
        try:
            for seq in (child, parent):
                assert doubt(judge, (*prompts[0], *said), sample(engine, seq, 25)) < NOISE
        finally:
            engine.close(child)


def logits(engine: LlamaEngine, seq: Seq, n: int) -> NDArray[np.float64]:
    """The best logit less each other one, for n tokens."""
    return np.array([chunk.gaps[0] for chunk in chunks(engine, seq, n) if chunk.tokens])


def test_a_fork_leaves_its_parents_logits_alone(
    builtin: Path, prompts: list[tuple[int, ...]]
) -> None:
    config = LlamaConfig(n_ctx=512, n_seqs=2, threads=2)
    runs = []
    for company in ("none", "silent", "busy"):
        with made(builtin, config) as engine:
            watch = everything(engine)
            with opened(engine, prompts[0], watch=watch) as parent:
                sample(engine, parent, 10)
                if company != "none":
                    child = engine.fork(parent)
                    engine.feed(child, (5, 6, 7), replace_pending=True)
                found = []
                for _ in range(10):
                    found.append(logits(engine, parent, 1))
                    if company == "busy":
                        engine.step({child: 1})
                runs.append(np.concatenate(found))
    none, silent, busy = runs
    assert np.array_equal(silent, none)
    # A child that goes on takes cells between its parent's, and sums change their order.
    assert float(abs(busy - none).max()) < 2 * NOISE


def test_a_probe_leaves_its_parent_as_it_was(builtin: Path, prompts: list[tuple[int, ...]]) -> None:
    """Logits bit by bit, and random numbers: what it would have said, it says."""
    lively = Sampling(temperature=1.5, top_p=1, top_k=0, seed=3)
    runs = []
    for probed in (False, True):
        with (
            made(builtin, LlamaConfig(n_ctx=512, n_seqs=2, threads=2)) as engine,
            opened(engine, prompts[0], lively, everything(engine)) as parent,
        ):
            said, gaps = sample(engine, parent, 1), []
            for _ in range(12):
                if probed:
                    probe = engine.fork(parent, GREEDY, signals=True)
                    engine.feed(probe, (7, 6, 5))
                    sample(engine, probe, 9)
                    engine.close(probe)
                (chunk,) = engine.step({parent: 1})
                said += chunk.tokens
                gaps.append(chunk.gaps[0])
            runs.append((said, np.array(gaps)))
    (plain, plain_gaps), (probed_said, probed_gaps) = runs
    assert probed_said == plain
    assert np.array_equal(probed_gaps, plain_gaps)


def test_a_probe_does_not_drive_out_what_is_cached(
    builtin: Path, prompts: list[tuple[int, ...]]
) -> None:
    with made(builtin, LlamaConfig(n_ctx=512, n_seqs=2, threads=2)) as engine:
        for prompt in prompts[:2]:
            fresh(engine, prompt, 1)
        with opened(engine, prompts[2]) as parent:
            sample(engine, parent, 5)
            for _ in range(8):
                probe = engine.fork(parent, GREEDY)
                sample(engine, probe, 3)
                engine.close(probe)
        with opened(engine, prompts[1]) as again:
            assert chunks(engine, again, 1)[0].cached == len(prompts[1]) - 1


def test_a_fork_may_have_a_sampler_of_its_own(engine: LlamaEngine, judge: LlamaEngine) -> None:
    prompt = engine.vocab.encode("1 + 2 = 3, " * 8, special=False)
    with opened(engine, prompt, Sampling(temperature=3, top_p=1, top_k=0, seed=1)) as parent:
        said = sample(engine, parent, 4)
        for own in (GREEDY, PENALISED):
            child = engine.fork(parent, own)
            after = sample(engine, child, 20)
            engine.close(child)
            # A sampler with a memory knows what was said before it.
            assert doubt(judge, (*prompt, *said), after, own) < NOISE


def test_signals_are_those_of_the_whole_distribution(
    engine: LlamaEngine, prompts: list[tuple[int, ...]]
) -> None:
    lively = Sampling(temperature=1.5, top_k=3, seed=4)
    seq = engine.open(prompts[0], lively, everything(engine), signals=True)
    try:
        told = [chunk for chunk in chunks(engine, seq, 20) if chunk.tokens]
        child = engine.fork(seq)
        told += [chunk for chunk in chunks(engine, child, 5) if chunk.tokens]
        engine.close(child)
        silent = engine.fork(seq, signals=False)
        (chunk,) = engine.step({silent: 1})
        assert (chunk.logprobs, chunk.entropies) == ((), ())
        engine.close(silent)
    finally:
        engine.close(seq)
    surprises = 0
    for chunk in told:
        below = -np.array(chunk.gaps[0])
        logprobs = below - np.log(np.exp(below).sum())
        assert chunk.logprobs == pytest.approx((logprobs[chunk.tokens[0]],), abs=1e-5)
        assert chunk.entropies == pytest.approx((-(np.exp(logprobs) @ logprobs),), abs=1e-5)
        surprises += chunk.entropies[0] > 0.1
    assert surprises


def test_a_fork_of_an_unread_prompt_reads_on(
    engine: LlamaEngine, judge: LlamaEngine, prompts: list[tuple[int, ...]]
) -> None:
    prompt = prompts[3] * 4
    with opened(engine, prompt) as parent:
        engine.step({parent: 1})
        child = engine.fork(parent)
        try:
            for seq in (child, parent):
                assert doubt(judge, prompt, sample(engine, seq, 10)) < NOISE
        finally:
            engine.close(child)


def test_closing_the_parent_leaves_the_child(
    engine: LlamaEngine, prompts: list[tuple[int, ...]]
) -> None:
    alone = fresh(engine, prompts[0], 30)
    parent = engine.open(prompts[0], GREEDY)
    sample(engine, parent, 10)
    child = engine.fork(parent)
    engine.close(parent)
    # Whoever comes next takes the parent's place.
    assert fresh(engine, prompts[5], 30) == fresh(engine, prompts[5], 30)
    assert sample(engine, child, 20) == alone[10:]
    engine.close(child)


# -- going back --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "place", ["pending only", "queue", "edge of the cache", "committed", "prompt's end", "prompt"]
)
def test_going_back_is_as_if_the_rest_had_never_been(
    engine: LlamaEngine, judge: LlamaEngine, prompts: list[tuple[int, ...]], place: str
) -> None:
    prompt = prompts[4]
    with opened(engine, prompt) as seq:
        said = sample(engine, seq, 20)
        tokens = [*prompt, *said]
        committed = len(tokens) - 1
        if place == "queue":
            engine.feed(seq, (5, 6, 7, 8))
            tokens += [5, 6, 7, 8]
        n = {
            "pending only": len(tokens) - 1,
            "queue": len(tokens) - 2,
            "edge of the cache": committed,
            "committed": committed - 9,
            "prompt's end": len(prompt),
            "prompt": len(prompt) - 6,
        }[place]
        engine.rewind(seq, n)
        with pytest.raises(EngineError, match="pending"):
            engine.feed(seq, (), replace_pending=True)
        assert doubt(judge, tokens[:n], sample(engine, seq, 15)) < NOISE


@pytest.mark.parametrize("back", [1, 2, 7])
def test_going_back_into_the_prompt_and_on_from_there(
    engine: LlamaEngine, judge: LlamaEngine, prompts: list[tuple[int, ...]], back: int
) -> None:
    prompt, other = prompts[0], prompts[1]
    with opened(engine, prompt) as seq:
        sample(engine, seq, 5)
        engine.rewind(seq, len(prompt) - back)
        engine.feed(seq, other[1:])
        assert doubt(judge, (*prompt[:-back], *other[1:]), sample(engine, seq, 10)) < NOISE


def test_going_back_in_an_unread_prompt(
    engine: LlamaEngine, judge: LlamaEngine, prompts: list[tuple[int, ...]]
) -> None:
    prompt = prompts[3] * 4
    with opened(engine, prompt) as seq:
        engine.step({seq: 1})
        engine.rewind(seq, len(prompt) - 10)
        tokens = sample(engine, seq, 8)
    assert doubt(judge, prompt[:-10], tokens) < NOISE


def test_going_nowhere_keeps_the_pending_token(
    engine: LlamaEngine, prompts: list[tuple[int, ...]]
) -> None:
    with opened(engine, prompts[0]) as seq:
        said = sample(engine, seq, 4)
        engine.rewind(seq, len(prompts[0]) + 4)
        engine.feed(seq, (said[-1],), replace_pending=True)
        assert sample(engine, seq, 4) == fresh(engine, prompts[0], 8)[4:]


@pytest.mark.parametrize("n", [-1, 0, 10_000])
def test_there_is_no_way_back_to_nowhere(
    engine: LlamaEngine, prompts: list[tuple[int, ...]], n: int
) -> None:
    with opened(engine, prompts[0]) as seq, pytest.raises(EngineError, match="Cannot go back"):
        engine.rewind(seq, n)


# -- prompts -----------------------------------------------------------------------------------


def read(found: Iterable[Chunk]) -> tuple[int, int]:
    found = list(found)
    return sum(c.prefilled for c in found), sum(c.cached for c in found)


def test_a_shared_prefix_is_read_once(
    builtin: Path, judge: LlamaEngine, prompts: list[tuple[int, ...]]
) -> None:
    config = LlamaConfig(n_ctx=512, n_seqs=2, threads=2, slice_size=512)
    first, second = prompts[0], (*prompts[0][:-9], *prompts[1][4:])
    shared = common_prefix(first, second, len(second))
    with made(builtin, config) as engine:
        fresh(engine, first, 5)
        with opened(engine, second) as seq:
            found = chunks(engine, seq, 30)
    assert read(found) == (len(second) - shared, shared)
    assert found[0].cached == shared
    assert doubt(judge, second, [token for chunk in found for token in chunk.tokens]) < NOISE


def test_the_same_prompt_again_reads_its_last_token(
    builtin: Path, prompts: list[tuple[int, ...]]
) -> None:
    watch = tuple(range(0, 2000, 7))
    with made(builtin, LlamaConfig(n_ctx=512, threads=2)) as engine:
        runs = []
        for _ in range(3):
            with opened(engine, prompts[0], watch=watch) as seq:
                runs.append(chunks(engine, seq, 10))
    assert [read(run) for run in runs] == [
        (len(prompts[0]), 0),
        (1, len(prompts[0]) - 1),
        (1, len(prompts[0]) - 1),
    ]
    # Bit for bit: what is read from the cache is what was read into it.
    gaps = [[chunk.gaps for chunk in run if chunk.tokens] for run in runs]
    assert gaps[0] == gaps[1] == gaps[2]


def test_many_of_the_same_prompt_read_it_once(
    builtin: Path, judge: LlamaEngine, prompts: list[tuple[int, ...]]
) -> None:
    prompt, k = prompts[0], 6
    with made(builtin, LlamaConfig(n_ctx=512, n_seqs=k, threads=2)) as engine:
        seqs = [engine.open(prompt, GREEDY) for _ in range(k)]
        said: dict[Seq, list[int]] = {seq: [] for seq in seqs}
        prefilled = cached = 0
        while min(map(len, said.values())) < 12:
            for chunk in engine.step(dict.fromkeys(seqs, 1)):
                prefilled, cached = prefilled + chunk.prefilled, cached + chunk.cached
                said[chunk.seq] += chunk.tokens
        assert prefilled == len(prompt) + k - 1
        assert cached == (k - 1) * (len(prompt) - 1)
        for tokens in said.values():
            assert doubt(judge, prompt, tokens) < NOISE


def test_a_long_prompt_is_read_in_slices(builtin: Path, prompts: list[tuple[int, ...]]) -> None:
    prompt = (prompts[3] * 8)[:200]
    with made(builtin, LlamaConfig(n_ctx=512, n_seqs=2, threads=2, slice_size=16)) as engine:
        with opened(engine, prompts[0]) as other, opened(engine, prompt) as seq:
            sample(engine, other, 2)
            slices = []
            while True:
                chunk, company = sorted(engine.step({seq: 1, other: 1}), key=lambda c: c.seq != seq)
                # A long prompt freezes nobody.
                assert len(company.tokens) == 1
                slices.append(chunk.prefilled)
                if chunk.tokens:
                    break
        # The tags that begin every prompt were read with the other one.
        unread = len(prompt) - 1 - common_prefix(prompts[0], prompt, len(prompt))
        assert slices == [16] * (unread // 16) + [unread % 16, 1]


def test_an_interrupt_comes_between_slices(
    builtin: Path, judge: LlamaEngine, prompts: list[tuple[int, ...]]
) -> None:
    prompt = (prompts[3] * 8)[:200]
    with made(builtin, LlamaConfig(n_ctx=512, threads=2, slice_size=16)) as engine:
        seq = engine.open(prompt, GREEDY)
        engine.step({seq: 1})
        engine.interrupt()
        engine.interrupt()
        assert engine.step({seq: 1}) == []
        # Nothing is lost, and one interrupt is one.
        found = chunks(engine, seq, 5)
        assert read(found)[0] == len(prompt) - 16
        assert doubt(judge, prompt, [token for chunk in found for token in chunk.tokens]) < NOISE


# -- company -----------------------------------------------------------------------------------


def test_eight_in_one_batch_are_each_as_alone(
    engine: LlamaEngine, judge: LlamaEngine, prompts: list[tuple[int, ...]]
) -> None:
    seqs = [engine.open(prompt, GREEDY) for prompt in prompts]
    said: dict[Seq, list[int]] = {seq: [] for seq in seqs}
    busy = 0
    while min(map(len, said.values())) < 40:
        step = engine.step(dict.fromkeys(seqs, 1))
        assert {chunk.busy for chunk in step} == {len(step)}
        busy = max(busy, len(step))
        for chunk in step:
            said[chunk.seq] += chunk.tokens
    for seq in seqs:
        engine.close(seq)
    assert busy == 8
    for prompt, seq in zip(prompts, seqs, strict=True):
        assert doubt(judge, prompt, said[seq]) < NOISE


def test_only_the_granted_go_on(engine: LlamaEngine, prompts: list[tuple[int, ...]]) -> None:
    with opened(engine, prompts[0]) as one, opened(engine, prompts[1]) as other:
        first = sample(engine, other, 5)
        sample(engine, one, 10)
        assert first + sample(engine, other, 5) == fresh(engine, prompts[1], 10)
    assert engine.step({}) == []


# -- no room -----------------------------------------------------------------------------------


def test_what_does_not_fit_is_refused_before_it_is_decoded(
    builtin: Path, prompts: list[tuple[int, ...]]
) -> None:
    # 100 is no multiple of 256: llama.cpp rounds up, and would let more in than was promised.
    with made(builtin, LlamaConfig(n_ctx=100, n_seqs=2, threads=2)) as engine:
        expected = fresh(engine, prompts[0], 10)
        long = (prompts[0] * 8)[:101]
        with pytest.raises(ContextFull, match="101"):
            engine.open(long, GREEDY)
        with opened(engine, long[:99]) as seq:
            with pytest.raises(ContextFull):
                engine.feed(seq, (5, 6))
            engine.feed(seq, (5,))
            with pytest.raises(ContextFull):
                engine.feed(seq, (6,))
            with pytest.raises(ContextFull):
                engine.step({seq: 1})
            engine.rewind(seq, 99)
            # The hundredth token may be sampled and stay pending, or be replaced by one other.
            sample(engine, seq, 1)
            with pytest.raises(ContextFull):
                engine.feed(seq, (5, 6), replace_pending=True)
            engine.feed(seq, (7,), replace_pending=True)
            with pytest.raises(ContextFull):
                engine.step({seq: 1})
            with opened(engine, prompts[0]) as second:
                with pytest.raises(ContextFull, match="2 sequences"):
                    engine.open(prompts[0], GREEDY)
                # Beside them there may be as many forks, and no more.
                forks = [engine.fork(second), engine.fork(second)]
                with pytest.raises(ContextFull, match="2 sequences"):
                    engine.fork(second)
                for fork in forks:
                    engine.close(fork)
                assert sample(engine, second, 10) == expected
        assert fresh(engine, prompts[0], 10) == expected


def test_a_refused_replacement_leaves_the_pending_token(
    builtin: Path, prompts: list[tuple[int, ...]]
) -> None:
    with made(builtin, LlamaConfig(n_ctx=100, threads=2)) as engine:
        expected = fresh(engine, prompts[0], 10)
        with opened(engine, prompts[0]) as seq:
            first = sample(engine, seq, 5)
            with pytest.raises(ContextFull):
                engine.feed(seq, (5,) * 100, replace_pending=True)
            assert first + sample(engine, seq, 5) == expected


def test_cached_prefixes_give_way(
    builtin: Path, judge: LlamaEngine, prompts: list[tuple[int, ...]]
) -> None:
    with made(builtin, LlamaConfig(n_ctx=256, n_seqs=2, threads=2)) as engine:
        for at in range(7):
            # Each begins differently, so that nothing is shared: 6 x 250 > 512 cells.
            fresh(engine, (10 + at, *(prompts[at] * 12)[:249]), 2)
        full = [engine.open((30 + at, *(prompts[at] * 12)[:235]), GREEDY) for at in range(2)]
        said: dict[Seq, list[int]] = {seq: [] for seq in full}
        while min(map(len, said.values())) < 15:
            for chunk in engine.step({seq: 1 for seq in full if len(said[seq]) < 20}):
                said[chunk.seq] += chunk.tokens
        for at, seq in enumerate(full):
            assert doubt(judge, (30 + at, *(prompts[at] * 12)[:235]), said[seq]) < NOISE
            engine.close(seq)
        assert doubt(judge, prompts[0], fresh(engine, prompts[0], 20)) < NOISE


# -- what means nothing ------------------------------------------------------------------------


@pytest.mark.parametrize("token", [-1, 2**31, 1_000_000])
def test_tokens_that_do_not_exist_are_refused(
    engine: LlamaEngine, prompts: list[tuple[int, ...]], token: int
) -> None:
    with pytest.raises(EngineError, match="no token"):
        engine.open((5, token), GREEDY)
    with pytest.raises(EngineError, match="no token"):
        engine.open((5,), GREEDY, watch=(token,))
    with pytest.raises(EngineError, match="no token"):
        engine.vocab.piece(token)
    with opened(engine, prompts[0]) as seq:
        with pytest.raises(EngineError, match="no token"):
            engine.feed(seq, (5, token))
        assert sample(engine, seq, 10) == fresh(engine, prompts[0], 10)


def test_a_sequence_of_nothing_is_refused(engine: LlamaEngine) -> None:
    with pytest.raises(EngineError, match="at least one token"):
        engine.open((), GREEDY)


def test_a_sequence_that_is_not_open_is_an_error(
    engine: LlamaEngine, prompts: list[tuple[int, ...]]
) -> None:
    closed = engine.open(prompts[0], GREEDY)
    engine.close(closed)
    with opened(engine, prompts[0]) as seq:
        for unknown in (closed, "nobody", None):
            for misuse in (
                lambda unknown=unknown: engine.close(unknown),
                lambda unknown=unknown: engine.fork(unknown),
                lambda unknown=unknown: engine.rewind(unknown, 1),
                lambda unknown=unknown: engine.feed(unknown, (5,)),
                lambda unknown=unknown: engine.step({seq: 1, unknown: 1}),
            ):
                with pytest.raises(EngineError, match="is open"):
                    misuse()
        assert sample(engine, seq, 10) == fresh(engine, prompts[0], 10)


def test_an_engine_that_was_shut_down_is_an_error_not_a_crash(
    builtin: Path, prompts: list[tuple[int, ...]]
) -> None:
    engine = LlamaEngine(builtin, LlamaConfig(n_ctx=256, threads=1))
    seq = engine.open(prompts[0], GREEDY)
    engine.vocab.piece(5)
    engine.shutdown()
    engine.shutdown()
    for misuse in (
        lambda: engine.open(prompts[0], GREEDY),
        lambda: engine.step({seq: 1}),
        lambda: engine.close(seq),
        lambda: engine.vocab.encode("x", special=False),
        lambda: engine.vocab.encode("x", special=False),
        lambda: engine.vocab.piece(6),
        lambda: engine.vocab.fingerprint,
    ):
        with pytest.raises(EngineError, match=r"shut down|is open"):
            misuse()
    assert engine.step({}) == []


# -- ways to run it ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "config",
    [
        LlamaConfig(n_ctx=512, kv_type_k="q8_0", kv_type_v="q8_0"),
        LlamaConfig(n_ctx=512, kv_type_k="q8_0", flash_attention="off"),
        LlamaConfig(n_ctx=512, kv_type_k="bf16", kv_type_v="f32"),
        LlamaConfig(n_ctx=512, flash_attention="on"),
        LlamaConfig(n_ctx=512, flash_attention="off"),
        LlamaConfig(n_ctx=512, threads=1),
        LlamaConfig(n_ctx=512, n_seqs=3),
        LlamaConfig(n_ctx=512, extra_buffers=False),
        LlamaConfig(n_ctx=512, mmap=False),
    ],
    ids=repr,
)
def test_every_way_to_run_it_says_much_the_same(
    builtin: Path, judge: LlamaEngine, prompts: list[tuple[int, ...]], config: LlamaConfig
) -> None:
    # Rounding differs, that of a quantized cache most of all.
    with made(builtin, replace(config, threads=config.threads or 2)) as other:
        assert (other.n_ctx, other.n_seqs) == (512, config.n_seqs)
        assert other.capacity == 512 * config.n_seqs
        assert doubt(judge, prompts[0], fresh(other, prompts[0], 30)) < 10 * NOISE


def test_loading_tells_its_progress(builtin: Path) -> None:
    told: list[float] = []
    LlamaEngine(builtin, LlamaConfig(n_ctx=256, threads=1), told.append).shutdown()
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_a_sampler_does_not_need_the_one_it_was_cloned_from(engine: LlamaEngine) -> None:
    original = Sampler(PENALISED, engine.vocab)
    clone = original.clone()
    original.free()
    original.free()
    clone.accept([5, 6])
    clone.rebuild([7])
    clone.free()


# -- all of it in any order --------------------------------------------------------------------


class Seam(RuleBasedStateMachine):
    """Any order of calls, held against a plain list of tokens for each sequence.

    The lists are what the engine must hold; at the end, and whenever it is asked, each goes
    on as a fresh sequence with the same tokens does.
    """

    engine: LlamaEngine
    judge: LlamaEngine
    sequences = Bundle("sequences")

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[Seq, list[int]] = {}
        self.pending: dict[Seq, bool] = {}
        self.forks: set[Seq] = set()

    @initialize()
    def nothing_is_open(self) -> None:
        assert not self.engine._seqs

    @rule(target=sequences, tokens=st.lists(st.integers(5, 40), min_size=1, max_size=30))
    def open(self, tokens: list[int]) -> object:
        if len(self.held.keys() - self.forks) == self.engine.n_seqs:
            with pytest.raises(ContextFull):
                self.engine.open(tuple(tokens), GREEDY)
            return multiple()
        seq = self.engine.open(tuple(tokens), GREEDY)
        self.held[seq], self.pending[seq] = list(tokens), False
        return seq

    @rule(target=sequences, seq=sequences)
    def fork(self, seq: Seq) -> object:
        if len(self.held.keys() & self.forks) == self.engine.n_seqs:
            with pytest.raises(ContextFull):
                self.engine.fork(seq)
            return multiple()
        child = self.engine.fork(seq)
        self.forks.add(child)
        self.held[child], self.pending[child] = list(self.held[seq]), self.pending[seq]
        return child

    @rule(seq=sequences, tokens=st.lists(st.integers(5, 40), max_size=12), instead=st.booleans())
    def feed(self, seq: Seq, tokens: list[int], instead: bool) -> None:
        held = self.held[seq]
        if instead and not self.pending[seq]:
            with pytest.raises(EngineError):
                self.engine.feed(seq, tuple(tokens), replace_pending=True)
        elif len(held) - instead + len(tokens) > self.engine.n_ctx:
            with pytest.raises(ContextFull):
                self.engine.feed(seq, tuple(tokens), replace_pending=instead)
        else:
            self.engine.feed(seq, tuple(tokens), replace_pending=instead)
            held[len(held) - instead :] = tokens
            self.pending[seq] = False

    @rule(seq=sequences, back=st.integers(0, 40))
    def rewind(self, seq: Seq, back: int) -> None:
        held = self.held[seq]
        n = max(1, len(held) - back)
        self.engine.rewind(seq, n)
        if n < len(held):
            del held[n:]
            self.pending[seq] = False

    @rule(data=st.data(), steps=st.integers(1, 6))
    def step(self, data: st.DataObject, steps: int) -> None:
        if not self.held:
            return
        chosen = data.draw(st.sets(st.sampled_from(sorted(self.held, key=str)), min_size=1))
        for _ in range(steps):
            grants: dict[Seq, int] = dict.fromkeys(chosen, 1)
            if any(len(self.held[seq]) >= self.engine.n_ctx for seq in chosen):
                with pytest.raises(ContextFull):
                    self.engine.step(grants)
                return
            for chunk in self.engine.step(grants):
                self.held[chunk.seq] += chunk.tokens
                self.pending[chunk.seq] = bool(chunk.tokens)

    @rule()
    def interrupt(self) -> None:
        self.engine.interrupt()
        assert self.engine.step(dict.fromkeys(self.held, 1)) == []

    @rule(seq=consumes(sequences))
    def close(self, seq: Seq) -> None:
        self.engine.close(seq)
        del self.held[seq], self.pending[seq]

    def teardown(self) -> None:
        try:
            for seq, held in self.held.items():
                assert len(self.engine._seqs[seq]) == len(held)
                if len(held) < self.engine.n_ctx:
                    self.agree(seq, held)
        finally:
            for seq in list(self.engine._seqs):
                self.engine.close(seq)

    def agree(self, seq: Seq, held: list[int]) -> None:
        """What comes next is what comes next for the judge."""
        assert doubt(self.judge, held, sample(self.engine, seq, 1)) < NOISE


def test_any_order_of_calls_keeps_every_sequence(builtin: Path) -> None:
    config = LlamaConfig(n_ctx=64, n_seqs=3, threads=2, slice_size=16)
    with made(builtin, config) as engine, made(builtin, config) as judge:
        Seam.engine, Seam.judge = engine, judge
        run_state_machine_as_test(
            Seam,
            settings=settings(
                max_examples=120,
                stateful_step_count=25,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
