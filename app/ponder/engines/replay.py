"""A scripted engine: the seam of base.py without a model.

Ships with the product, for demos, screenshots and tests. A script is a pure function from
the tokens so far to the next one, so that the same run can be had again anywhere. It is as
strict as the real engine: decoding past the context is an error, not a favour.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import count
from typing import NamedTuple

from ponder.engines.base import Capabilities
from ponder.errors import ContextFull, EngineError
from ponder.types import Chunk, Sampling, Seq
from ponder.vocabulary import Vocabulary

Script = Callable[[Sequence[int], int, int], int]
"""(tokens so far, length of the prompt, seed) -> the next token."""


class Signal(NamedTuple):
    """What a script has a model feel before it says its next token."""

    logprob: float = 0.0
    """Of that token."""
    entropy: float = 0.0
    """Nats."""
    gap: float = 0.0
    """The best logit less that of each watched token."""


Feeling = Callable[[Sequence[int], int, int], Signal]
"""(tokens so far, length of the prompt, seed) -> what goes with the next token."""


class ByteVocabulary:
    """256 bytes and a few tags: a vocabulary that needs no file.

    Args:
        tags: text of the special tokens, which get the ids from 256 up. The first begins
            a sequence, the second ends a turn.
    """

    def __init__(self, tags: tuple[str, ...], chat_template: str | None = None) -> None:
        self._tags = tags
        self.chat_template = chat_template
        self.size = 256 + len(tags)
        self.fingerprint = sha256("\0".join(tags).encode()).hexdigest()
        self.bos: int | None = 256
        self.eos: int | None = 257
        self.add_bos = True
        self.ends = frozenset({257})

    def encode(self, text: str, special: bool) -> list[int]:
        """Bytes to ids; with `special`, tags to theirs, the longest first."""
        if special:
            for tag in sorted(self._tags, key=len, reverse=True):
                before, found, after = text.partition(tag)
                if found:
                    tag_id = 256 + self._tags.index(tag)
                    return [*self.encode(before, True), tag_id, *self.encode(after, True)]
        return list(text.encode())

    def piece(self, token: int) -> bytes:
        """The byte, or the tag's text."""
        return bytes([token]) if token < 256 else self._tags[token - 256].encode()


def transcript(thought: Sequence[int], end: int, answer: Sequence[int]) -> Script:
    """A script that recites a trace, and goes to its answer once the thinking is closed.

    Args:
        thought: ids of the thinking, without its end.
        end: the id that ends the thinking; recited after the thought.
        answer: ids of the answer, its end of turn included.
    """
    thinking = [*thought, end]

    def script(tokens: Sequence[int], prompt: int, _seed: int) -> int:
        said = tokens[prompt:]
        if end in said:
            return _next(answer, said[len(said) - said[::-1].index(end) :])
        return _next(thinking, said)

    return script


def _next(part: Sequence[int], said: Sequence[int]) -> int:
    """What follows in a part, whatever foreign words were put in between."""
    done = 0
    for token in said:
        done += done < len(part) and token == part[done]
    return part[min(done, len(part) - 1)]


@dataclass(slots=True)
class _Sequence:
    tokens: list[int]
    prompt: int
    sampling: Sampling
    stop: frozenset[int]
    watch: tuple[int, ...] = ()
    signals: bool = False
    forked: bool = False
    decoded: int = 0
    pending: bool = False
    """Whether the last token was sampled and not yet decoded."""


class ReplayEngine:
    """Runs a script in place of a model.

    Args:
        vocab: the tokens it speaks.
        script: what it says.
        n_ctx: tokens one sequence may hold.
        n_seqs: sequences that may be open at once.
        burst: sampled tokens a step may bring, as a remote stream does.
        slice_size: prompt tokens read in one step.
        feeling: the signals that go with the script; None: there are none to be had.
    """

    def __init__(
        self,
        vocab: Vocabulary,
        script: Script,
        n_ctx: int = 2048,
        n_seqs: int = 1,
        burst: int = 1,
        slice_size: int = 512,
        feeling: Feeling | None = None,
    ) -> None:
        felt = feeling is not None
        self.capabilities = Capabilities(margin=felt, fork=True, exact_seed=True, signals=felt)
        self._feeling = feeling
        self.vocab = vocab
        self.n_ctx = n_ctx
        self.n_seqs = n_seqs
        self.capacity = n_ctx * n_seqs
        self._script = script
        self._burst = burst
        self._slice = slice_size
        self._seqs: dict[Seq, _Sequence] = {}
        self._serial = count()
        self._interrupted = threading.Event()

    def open(
        self,
        tokens: tuple[int, ...],
        sampling: Sampling,
        watch: tuple[int, ...] = (),
        stop: tuple[int, ...] = (),
        signals: bool = False,
    ) -> Seq:
        """Begin a sequence. There are no logits: gaps and signals are as scripted, or not there."""
        self._check(bool(watch) or signals)
        if not tokens:
            raise EngineError("A sequence needs at least one token.")
        if len(tokens) > self.n_ctx:
            raise ContextFull(f"No room for {len(tokens)} more tokens.")
        return self._add(
            _Sequence(list(tokens), len(tokens), sampling, frozenset(stop), watch, signals)
        )

    def _check(self, signals: bool) -> None:
        if signals and self._feeling is None:
            raise EngineError("This script has no logits to watch.")

    def _open(self, seq: Seq) -> _Sequence:
        sequence = self._seqs.get(seq)
        if sequence is None:
            raise EngineError(f"No sequence {seq!r} is open.")
        return sequence

    def _add(self, sequence: _Sequence) -> Seq:
        alike = [open_ for open_ in self._seqs.values() if open_.forked == sequence.forked]
        if len(alike) >= self.n_seqs:
            raise ContextFull(f"{self.n_seqs} sequences are open, as many as there can be.")
        serial = next(self._serial)
        self._seqs[serial] = sequence
        return serial

    def fork(self, seq: Seq, sampling: Sampling | None = None, signals: bool | None = None) -> Seq:
        """A copy."""
        source = self._open(seq)
        self._check(bool(signals))
        return self._add(
            replace(
                source,
                tokens=list(source.tokens),
                sampling=source.sampling if sampling is None else sampling,
                signals=source.signals if signals is None else signals,
                forked=True,
            )
        )

    def feed(self, seq: Seq, tokens: tuple[int, ...], replace_pending: bool = False) -> None:
        """Append tokens, after the pending one or in its place."""
        sequence = self._open(seq)
        if replace_pending and not sequence.pending:
            raise EngineError("There is no pending token to replace.")
        if len(sequence.tokens) - replace_pending + len(tokens) > self.n_ctx:
            raise ContextFull(f"No room for {len(tokens)} more tokens.")
        if replace_pending:
            sequence.tokens.pop()
        sequence.pending = False
        sequence.tokens.extend(tokens)

    def rewind(self, seq: Seq, n: int) -> None:
        """Back to the first n tokens."""
        sequence = self._open(seq)
        if not 1 <= n <= len(sequence.tokens):
            raise EngineError(f"Cannot go back to {n} of {len(sequence.tokens)} tokens.")
        if n == len(sequence.tokens):
            return
        del sequence.tokens[n:]
        sequence.prompt = min(sequence.prompt, n)
        sequence.decoded = min(sequence.decoded, n - 1)
        sequence.pending = False

    def step(self, grants: Mapping[Seq, int]) -> list[Chunk]:
        """Read a slice of each prompt that is not read; sample for the others."""
        if self._interrupted.is_set():
            self._interrupted.clear()
            return []
        for seq, grant in grants.items():
            if grant > 0 and len(self._open(seq).tokens) >= self.n_ctx:
                raise ContextFull(f"A sequence has filled its context of {self.n_ctx} tokens.")
        return [self._advance(seq, grant, len(grants)) for seq, grant in grants.items()]

    def _advance(self, seq: Seq, grant: int, busy: int) -> Chunk:
        sequence = self._open(seq)
        waiting = len(sequence.tokens) - sequence.decoded
        prefilled = 0
        if sequence.decoded < sequence.prompt:
            prefilled = min(waiting, self._slice, sequence.prompt - sequence.decoded)
            sequence.decoded += prefilled
            if sequence.decoded < len(sequence.tokens):
                return Chunk(seq, prefilled=prefilled, busy=busy)
        sequence.decoded = len(sequence.tokens)
        sampled: list[int] = []
        felt: list[Signal] = []
        while len(sampled) < min(grant, self._burst):
            if len(sequence.tokens) >= self.n_ctx:
                raise ContextFull("The script went on past the context.")
            place = sequence.tokens, sequence.prompt, sequence.sampling.seed
            token = self._script(*place)
            if self._feeling is not None and (sequence.watch or sequence.signals):
                felt.append(self._feeling(*place))
            sequence.tokens.append(token)
            sampled.append(token)
            if token in sequence.stop:
                break
        sequence.decoded = len(sequence.tokens) - bool(sampled)
        sequence.pending = bool(sampled)
        pieces = tuple(self.vocab.piece(token) for token in sampled)
        told = felt if sequence.signals else ()
        return Chunk(
            seq,
            tuple(sampled),
            pieces,
            tuple((signal.gap,) * len(sequence.watch) for signal in felt if sequence.watch),
            prefilled=prefilled,
            busy=busy,
            logprobs=tuple(signal.logprob for signal in told),
            entropies=tuple(signal.entropy for signal in told),
        )

    def interrupt(self) -> None:
        """The coming step does nothing."""
        self._interrupted.set()

    def close(self, seq: Seq) -> None:
        """Forget a sequence."""
        self._open(seq)
        del self._seqs[seq]

    def shutdown(self) -> None:
        """Forget all sequences."""
        self._seqs.clear()
