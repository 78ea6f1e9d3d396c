"""The scripted engine keeps the rules of the seam, as strictly as the real one does."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from ponder.engines.base import Engine
from ponder.engines.replay import ByteVocabulary, ReplayEngine, Signal, transcript
from ponder.errors import ContextFull, EngineError
from ponder.types import Chunk, Sampling, Seq
from scripted import TAGS

VOCAB = ByteVocabulary(TAGS)
BOS, EOS, END = 256, 257, 261
ANY = Sampling()


def counting(tokens: Sequence[int], prompt: int, seed: int) -> int:
    """Says how long it is: any token lost or gained shows."""
    return (len(tokens) + seed) % 200


def made(n_ctx: int = 50, n_seqs: int = 2, burst: int = 1, slice_size: int = 512) -> ReplayEngine:
    return ReplayEngine(VOCAB, counting, n_ctx, n_seqs, burst, slice_size)


def sample(engine: Engine, seq: Seq, n: int) -> list[int]:
    said: list[int] = []
    while len(said) < n:
        for chunk in engine.step({seq: n - len(said)}):
            assert chunk.pieces == tuple(engine.vocab.piece(token) for token in chunk.tokens)
            said += chunk.tokens
    return said


def test_it_is_an_engine() -> None:
    engine: Engine = made()
    assert (engine.n_ctx, engine.n_seqs, engine.capacity) == (50, 2, 100)
    assert not engine.capabilities.margin and not engine.capabilities.signals


def test_a_script_says_what_follows_from_the_tokens() -> None:
    engine = made()
    seq = engine.open((BOS, 1, 2), Sampling(seed=10))
    assert sample(engine, seq, 4) == [13, 14, 15, 16]


def test_forced_tokens_come_after_the_pending_one_or_in_its_place() -> None:
    engine = made()
    seq = engine.open((BOS,), ANY)
    assert sample(engine, seq, 2) == [1, 2]
    engine.feed(seq, (9, 9))
    assert sample(engine, seq, 1) == [5]
    engine.feed(seq, (9,), replace_pending=True)
    assert sample(engine, seq, 1) == [6]
    engine.feed(seq, (), replace_pending=True)
    assert sample(engine, seq, 1) == [6]


def test_only_a_sampled_token_can_be_withdrawn() -> None:
    engine = made()
    seq = engine.open((BOS, 1), ANY)

    def refused() -> None:
        with pytest.raises(EngineError, match="pending"):
            engine.feed(seq, (9,), replace_pending=True)

    refused()
    engine.feed(seq, (3,))
    refused()
    sample(engine, seq, 1)
    engine.feed(seq, (3,))
    refused()
    sample(engine, seq, 2)
    engine.rewind(seq, 3)
    refused()
    sample(engine, seq, 1)
    engine.feed(seq, (), replace_pending=True)
    refused()
    sample(engine, seq, 1)
    engine.step({seq: 0})
    refused()


@pytest.mark.parametrize("n", [1, 2, 3, 5, 6])
def test_going_back_is_as_if_the_rest_had_never_been(n: int) -> None:
    engine = made()
    seq = engine.open((BOS, 1, 2), ANY)
    sample(engine, seq, 4)
    engine.rewind(seq, n)
    assert sample(engine, seq, 3) == [n, n + 1, n + 2]


def test_going_nowhere_keeps_the_pending_token() -> None:
    engine = made()
    seq = engine.open((BOS, 1), ANY)
    sample(engine, seq, 2)
    engine.rewind(seq, 4)
    engine.feed(seq, (9,), replace_pending=True)
    assert sample(engine, seq, 1) == [4]


@pytest.mark.parametrize("n", [-1, 0, 4])
def test_there_is_no_way_back_to_nowhere(n: int) -> None:
    engine = made()
    seq = engine.open((BOS, 1, 2), ANY)
    with pytest.raises(EngineError, match="Cannot go back"):
        engine.rewind(seq, n)


def test_a_fork_and_its_parent_go_their_own_ways() -> None:
    engine = made()
    parent = engine.open((BOS,), ANY)
    sample(engine, parent, 3)
    child = engine.fork(parent)
    engine.feed(child, (9, 9, 9), replace_pending=True)
    assert sample(engine, parent, 2) == [4, 5]
    assert sample(engine, child, 2) == [6, 7]
    engine.close(parent)
    assert sample(engine, child, 1) == [8]


def test_a_fork_may_draw_otherwise() -> None:
    engine = made()
    parent = engine.open((BOS,), Sampling(seed=50))
    child = engine.fork(parent, Sampling(seed=0))
    assert (sample(engine, parent, 2), sample(engine, child, 2)) == ([51, 52], [1, 2])


def test_signals_are_told_as_scripted() -> None:
    def feeling(tokens: Sequence[int], prompt: int, seed: int) -> Signal:
        return Signal(-len(tokens), prompt, seed)

    engine = ReplayEngine(VOCAB, counting, 50, 2, burst=2, feeling=feeling)
    assert engine.capabilities.margin and engine.capabilities.signals
    seq = engine.open((BOS, 1), Sampling(seed=3), watch=(9, 10), signals=True)
    (chunk,) = engine.step({seq: 2})
    assert (chunk.logprobs, chunk.entropies) == ((-2, -3), (2, 2))
    assert chunk.gaps == ((3, 3), (3, 3))
    (chunk,) = engine.step({engine.fork(seq, signals=False): 1})
    assert (chunk.logprobs, chunk.entropies, chunk.gaps) == ((), (), ((3, 3),))


def test_what_does_not_fit_is_refused_and_changes_nothing() -> None:
    engine = made(n_ctx=10)
    with pytest.raises(ContextFull):
        engine.open((BOS,) * 11, ANY)
    full = engine.open((BOS,) * 10, ANY)
    other = engine.open((BOS,), ANY)
    for refused in (
        lambda: engine.open((BOS,), ANY),
        lambda: engine.feed(full, (1,)),
        lambda: engine.step({other: 1, full: 1}),
    ):
        with pytest.raises(ContextFull):
            refused()
    # Every sequence may have a fork, and no more.
    forks = [engine.fork(full), engine.fork(other)]
    with pytest.raises(ContextFull):
        engine.fork(other)
    for fork in forks:
        engine.close(fork)
    assert sample(engine, other, 3) == [1, 2, 3]
    with pytest.raises(ContextFull):
        engine.feed(other, (1,) * 8, replace_pending=True)
    engine.feed(other, (1,) * 7, replace_pending=True)
    with pytest.raises(ContextFull):
        engine.step({other: 1})
    engine.close(full)
    engine.rewind(other, 1)
    assert sample(engine, other, 9) == list(range(1, 10))


def test_a_burst_brings_no_more_than_was_granted_and_stops_at_a_stop() -> None:
    engine = made(burst=4)
    seq = engine.open((BOS,), ANY, stop=(6,))
    brought = [[c.tokens for c in engine.step({seq: grant})] for grant in (3, 9, 9, 0)]
    assert brought == [[(1, 2, 3)], [(4, 5, 6)], [(7, 8, 9, 10)], [()]]


def test_a_long_prompt_is_read_in_slices() -> None:
    engine = made(slice_size=4)
    seq = engine.open((BOS,) * 10, ANY)
    found: list[Chunk] = [chunk for _ in range(4) for chunk in engine.step({seq: 1})]
    assert [chunk.prefilled for chunk in found] == [4, 4, 2, 0]
    assert [chunk.tokens for chunk in found] == [(), (), (10,), (11,)]


def test_an_interrupt_costs_one_step() -> None:
    engine = made()
    seq = engine.open((BOS,), ANY)
    engine.interrupt()
    engine.interrupt()
    assert engine.step({seq: 1}) == []
    assert sample(engine, seq, 1) == [1]


def test_what_means_nothing_is_refused() -> None:
    engine = made()
    with pytest.raises(EngineError, match="at least one"):
        engine.open((), ANY)
    with pytest.raises(EngineError, match="logits"):
        engine.open((BOS,), ANY, watch=(1,))
    with pytest.raises(EngineError, match="logits"):
        engine.open((BOS,), ANY, signals=True)
    seq = engine.open((BOS,), ANY)
    engine.close(seq)
    with pytest.raises(EngineError, match="logits"):
        engine.fork(engine.open((BOS,), ANY), signals=True)
    for misuse in (
        lambda: engine.close(seq),
        lambda: engine.fork(seq),
        lambda: engine.feed(seq, (1,)),
        lambda: engine.rewind(seq, 1),
        lambda: engine.step({seq: 1}),
    ):
        with pytest.raises(EngineError, match="is open"):
            misuse()
    engine.shutdown()
    assert engine.step({}) == []


# -- the vocabulary and the transcript ---------------------------------------------------------


def test_tags_are_one_token_where_they_are_asked_for() -> None:
    text = "é<think>a</think><"
    ids = VOCAB.encode(text, special=True)
    assert ids == [0xC3, 0xA9, 260, ord("a"), END, ord("<")]
    assert VOCAB.encode(text, special=False) == list(text.encode())
    assert b"".join(map(VOCAB.piece, ids)) == text.encode()
    assert VOCAB.ends == {EOS}


THOUGHT, ANSWER = tuple(b"so it is 4"), (*b"four", EOS)


def recital() -> tuple[ReplayEngine, Seq]:
    engine = ReplayEngine(VOCAB, transcript(THOUGHT, END, ANSWER), n_ctx=200)
    return engine, engine.open((BOS, *b"2 + 2?"), ANY)


def test_a_transcript_is_recited() -> None:
    engine, seq = recital()
    assert sample(engine, seq, 16) == [*THOUGHT, END, *ANSWER]
    # There is no more to say.
    assert sample(engine, seq, 2) == [EOS, EOS]


def test_a_transcript_goes_on_after_forced_words() -> None:
    engine, seq = recital()
    assert sample(engine, seq, 2) == list(b"so")
    engine.feed(seq, tuple(b"XYZ"))
    assert sample(engine, seq, 9) == [*THOUGHT[2:], END]
    engine.feed(seq, tuple(b"\n\n"))
    assert sample(engine, seq, 2) == list(b"fo")
    engine.feed(seq, tuple(b"XYZ"))
    assert sample(engine, seq, 3) == [*b"ur", EOS]


def test_a_transcript_that_is_cut_short_goes_to_its_answer() -> None:
    engine, seq = recital()
    sample(engine, seq, 5)
    engine.feed(seq, (*b"\nTime is up.\n", END, *b"\n\n"))
    assert sample(engine, seq, 5) == list(ANSWER)


def test_a_transcript_whose_end_is_withdrawn_ends_again() -> None:
    engine, seq = recital()
    assert sample(engine, seq, 11)[-1] == END
    engine.feed(seq, tuple(b"Wait"), replace_pending=True)
    assert sample(engine, seq, 6) == [END, *ANSWER]
