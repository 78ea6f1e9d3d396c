"""The engine: open sequences in one llama.cpp context, one batched decode a step.

A sequence is what lies in the KV cache (committed) and what waits to enter it (the queue):
its prompt, forced tokens, and last the token sampled in the step before, which is pending
until the next one. Prompts are read in slices between the decodes of others, one prompt at
a time, so that sequences with the same beginning read it once. The last token of a prompt
is always decoded by itself: what a prompt leads to is then the same, bit for bit, when all
of it is found in the cache as when it was read. That holds while nobody else's tokens lie
between its own: the shape of a batch and the cells of the cache order the sums, and so decide
the last bits of a logit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path

import llama_cpp.llama_cpp as lib
import numpy as np

from ponder.engines.base import Capabilities
from ponder.engines.llama import backend
from ponder.engines.llama.batch import Batch
from ponder.engines.llama.cache import Cache, LlamaSequence
from ponder.engines.llama.drawn import Drawn, drawn_from
from ponder.engines.llama.load import LlamaConfig, load
from ponder.engines.llama.sampler import Sampler
from ponder.engines.llama.vocab import LlamaVocabulary
from ponder.errors import ContextFull, EngineError
from ponder.types import Chunk, Sampling, Seq

_NO_ROOM = 1
"""llama_decode: no slot in the KV cache for the batch (llama.h)."""


class LlamaEngine:
    """Runs token sequences of one GGUF model through llama.cpp.

    Args:
        path: a GGUF, or the first part of a split one.
        config: how to load and run it.
        on_progress: told the fraction loaded, from 0 to 1.

    Raises:
        ModelError: the file cannot be used.
        InputError: the config asks for something impossible.
        EngineError: there is not enough memory for it.
    """

    def __init__(
        self,
        path: Path,
        config: LlamaConfig | None = None,
        on_progress: Callable[[float], None] | None = None,
    ) -> None:
        loaded = load(path, config or LlamaConfig(), on_progress)
        self.path = path
        self.metadata = loaded.metadata
        self.gpu_layers = loaded.gpu_layers
        self.setting = loaded.setting
        self.n_ctx = loaded.n_ctx
        self.n_seqs = loaded.n_seqs
        self.capacity = loaded.n_ctx * loaded.n_seqs
        self.slice_size = loaded.slice_size
        self._model, self._context = loaded.model, loaded.context
        self._memory = lib.llama_get_memory(self._context)
        self.vocab = LlamaVocabulary(self._model)
        # A recurrent state cannot be cut back to a prefix.
        self._prefixes = not (
            lib.llama_model_is_recurrent(self._model) or lib.llama_model_is_hybrid(self._model)
        )
        self.capabilities = Capabilities(
            margin=True, fork=self._prefixes, exact_seed=True, signals=True
        )
        self._batch = Batch(int(lib.llama_n_batch(self._context)))
        self._cache = Cache(self._memory, loaded.n_slots, loaded.n_seqs, self._prefixes)
        self._seqs: dict[Seq, LlamaSequence] = {}
        self._serial = count()
        self._interrupted = False

    # -- the seam -----------------------------------------------------------------------

    def open(
        self,
        tokens: tuple[int, ...],
        sampling: Sampling,
        watch: tuple[int, ...] = (),
        stop: tuple[int, ...] = (),  # noqa: ARG002
        signals: bool = False,
    ) -> Seq:
        """Begin a sequence; only enqueues. One token a step makes `stop` hold by itself."""
        if self._context is None:
            raise EngineError("The engine has been shut down.")
        if not tokens:
            raise EngineError("A sequence needs at least one token.")
        self._check_ids((*tokens, *watch))
        if len(tokens) > self.n_ctx:
            raise ContextFull(
                f"{len(tokens):,} tokens do not fit into a context of {self.n_ctx:,}."
            )
        sampler = Sampler(sampling, self.vocab)
        sampler.accept(tokens)
        sequence = self._add(sampler, watch, len(tokens), forked=False)
        sequence.queue = list(tokens)
        sequence.signals = signals
        return sequence.serial

    def fork(self, seq: Seq, sampling: Sampling | None = None, signals: bool | None = None) -> Seq:
        """A second sequence with the same tokens, sharing the prefix and its parent's sampler
        state, unless it gets a sampler of its own.
        """
        if not self.capabilities.fork:
            raise EngineError("This model's state cannot be shared between sequences.")
        source = self._open(seq)
        if sampling is None:
            sampler = source.sampler.clone()
        else:
            sampler = Sampler(sampling, self.vocab)
            sampler.accept(source.committed + source.queue)
        sequence = self._add(sampler, source.watch, source.prompt, forked=True)
        sequence.signals = source.signals if signals is None else signals
        if source.committed:
            lib.llama_memory_seq_cp(self._memory, source.slot, sequence.slot, 0, -1)
        sequence.committed.extend(source.committed)
        sequence.queue = list(source.queue)
        sequence.pending = source.pending
        return sequence.serial

    def feed(self, seq: Seq, tokens: tuple[int, ...], replace_pending: bool = False) -> None:
        """Force tokens, after the pending token or in its place."""
        sequence = self._open(seq)
        self._check_ids(tokens)
        if replace_pending and not sequence.pending:
            raise EngineError("There is no pending token to replace.")
        if len(sequence) - replace_pending + len(tokens) > self.n_ctx:
            raise ContextFull(
                f"{len(tokens)} more tokens do not fit: {len(sequence):,} of {self.n_ctx:,} "
                "are taken."
            )
        if replace_pending:
            sequence.queue.pop()
        sequence.pending = False
        sequence.queue.extend(tokens)
        if replace_pending:
            sequence.sampler.rebuild(sequence.committed + sequence.queue)
        else:
            sequence.sampler.accept(tokens)

    def rewind(self, seq: Seq, n: int) -> None:
        """Back to the first n tokens, prompt and pending token counted."""
        sequence = self._open(seq)
        if not 1 <= n <= len(sequence):
            raise EngineError(f"Cannot go back to {n} of {len(sequence)} tokens.")
        if n == len(sequence):
            return
        if n >= len(sequence.committed):
            del sequence.queue[n - len(sequence.committed) :]
        else:
            kept = sequence.committed[:n]
            self._cache.truncate(sequence.slot, n)
            # What could not be kept is read again.
            sequence.queue = kept[len(sequence.committed) :]
        sequence.pending = False
        sequence.prompt = min(sequence.prompt, n)
        sequence.sampler.rebuild(sequence.committed + sequence.queue)

    def step(self, grants: Mapping[Seq, int]) -> list[Chunk]:
        """One batched decode: every granted sequence, and a slice of one prompt."""
        if self._interrupted:
            self._interrupted = False
            return []
        started = time.perf_counter()
        granted = [(self._open(seq), grant) for seq, grant in grants.items()]
        if all(grant > 0 and self._decodes(sequence) for sequence, grant in granted):
            return self._step_all([sequence for sequence, _ in granted], started)
        taken = self._fill(granted)
        if not taken:
            return []
        self._decode()
        drawn = []
        for sequence, n, row in taken:
            read = n if sequence.reading else 0
            sequence.committed.extend(sequence.queue[:n])
            del sequence.queue[:n]
            sequence.pending = sequence.pending and bool(sequence.queue)
            wanted = row is not None and grants[sequence.serial] > 0
            drawn.append((sequence, read, self._sample(sequence, row) if wanted else None))
        seconds = time.perf_counter() - started
        return [
            self._chunk(sequence, read, sample, seconds, len(drawn))
            for sequence, read, sample in drawn
        ]

    def interrupt(self) -> None:
        """The step that runs ends with its decode, or the coming one does nothing."""
        self._interrupted = True

    def close(self, seq: Seq) -> None:
        """End a sequence; its tokens stay in the cache until the room is needed."""
        sequence = self._open(seq)
        del self._seqs[seq]
        sequence.sampler.free()
        if sequence.forked or not self._prefixes:
            # A fork's cells must not come between those of its parent, whose prefix it had.
            self._cache.truncate(sequence.slot, 0)
        self._cache.slots.release(sequence.slot)
        self._cache.forget(self.n_seqs)

    def shutdown(self) -> None:
        """Give back memory and devices."""
        for seq in list(self._seqs):
            self.close(seq)
        if self._context is not None:
            self.vocab.close()
            lib.llama_free(self._context)
            lib.llama_model_free(self._model)
            self._context = self._model = None

    # -- one step -----------------------------------------------------------------------

    def _decodes(self, sequence: LlamaSequence) -> bool:
        """Whether all it needs is its pending token decoded and the next one drawn."""
        return (
            sequence.pending
            and len(sequence.queue) == 1
            and not sequence.watch
            and not sequence.signals
            and len(sequence.committed) + 1 < self.n_ctx
        )

    def _step_all(self, sequences: list[LlamaSequence], started: float) -> list[Chunk]:
        """The step that is nearly every step: one token in and one out for each sequence."""
        if not sequences:
            return []
        self._batch.fill([(s.slot, len(s.committed), s.queue[0]) for s in sequences])
        self._decode()
        context, drawn = self._context, []
        for row, sequence in enumerate(sequences):
            queue, sampler = sequence.queue, sequence.sampler
            sequence.committed.append(queue[0])
            queue[0] = token = sampler.draw(sampler.chain, context, row)
            drawn.append(token)
        seconds, busy, piece = time.perf_counter() - started, len(sequences), self.vocab.piece
        return [
            Chunk(sequence.serial, (token,), (piece(token),), (), 0, 0, seconds, busy)
            for sequence, token in zip(sequences, drawn, strict=True)
        ]

    def _fill(
        self, granted: list[tuple[LlamaSequence, int]]
    ) -> list[tuple[LlamaSequence, int, int | None]]:
        """Put what is to be decoded into the batch: (sequence, tokens, row of logits)."""
        for sequence, grant in granted:
            if grant > 0 and len(sequence) >= self.n_ctx:
                raise ContextFull(
                    f"A sequence has filled its context of {self.n_ctx:,} tokens.",
                    "Raise the context, or begin again with a shorter prompt.",
                )
        self._batch.clear()
        taken: list[tuple[LlamaSequence, int, int | None]] = []
        left = self.slice_size
        reading = (sequence for sequence, _ in granted if sequence.reading)
        reader = min(reading, key=lambda sequence: sequence.serial, default=None)
        for sequence, grant in granted:
            if sequence.reading:
                if sequence is not reader and not self._cache.shares_all(sequence, reader):
                    continue
                if not sequence.committed:
                    self._cache.reuse(sequence, self._count(forked=False))
                # The last token of the prompt goes alone, and only then what was fed after.
                unread = sequence.prompt - len(sequence.committed)
                n = min(left, unread - 1) if unread > 1 else 1
            else:
                if not sequence.queue and grant > 0:
                    self._cache.redo_last(sequence)
                waiting = len(sequence.queue)
                n = waiting if waiting <= 1 else min(left, waiting)
            if n <= 0 or len(self._batch) + n > self._batch.size:
                continue
            if n > 1:
                left -= n
            whole = n == len(sequence.queue)
            tokens = sequence.queue if whole else sequence.queue[:n]
            row = self._batch.add(sequence.slot, len(sequence.committed), tokens, whole)
            taken.append((sequence, n, row if whole else None))
        return taken

    def _decode(self) -> None:
        """Decode the batch; cached prefixes give way if the context is full."""
        while True:
            result = lib.llama_decode(self._context, self._batch.c)
            if result == 0:
                return
            cached = self._cache.slots.cached() if result == _NO_ROOM else []
            if cached:
                self._cache.truncate(cached[0], 0)
                continue
            # Micro-batches that were finished stay in memory: bring it back in step.
            for sequence in self._seqs.values():
                self._cache.truncate(sequence.slot, len(sequence.committed))
            if result == _NO_ROOM:
                raise ContextFull(
                    f"The context of {self.capacity:,} tokens is full.",
                    "Ask fewer questions at once, or raise the context.",
                )
            raise EngineError(
                f"llama.cpp could not decode (code {result}): "
                f"{backend.log_cause() or 'it gave no reason'}."
            )

    def _sample(self, sequence: LlamaSequence, row: int | None) -> Drawn:
        sampler = sequence.sampler
        token = sampler.draw(sampler.chain, self._context, row)
        sequence.queue.append(token)
        sequence.pending = True
        if not (sequence.watch or sequence.signals):
            return Drawn(token)
        # The sampler works on a copy: these are the model's own.
        pointer = lib.llama_get_logits_ith(self._context, row)
        logits = np.ctypeslib.as_array(pointer, shape=(self.vocab.size,))
        return drawn_from(logits, token, sequence.watch, sequence.signals)

    def _chunk(
        self,
        sequence: LlamaSequence,
        read: int,
        drawn: Drawn | None,
        seconds: float,
        busy: int,
    ) -> Chunk:
        cached, sequence.cached = sequence.cached, 0
        if drawn is None:
            return Chunk(sequence.serial, prefilled=read, cached=cached, seconds=seconds, busy=busy)
        return Chunk(
            sequence.serial,
            (drawn.token,),
            (self.vocab.piece(drawn.token),),
            (drawn.gaps,) if drawn.gaps else (),
            read,
            cached,
            seconds,
            busy,
            drawn.logprobs,
            drawn.entropies,
        )

    # -- sequences and their slots ----------------------------------------------------------

    def _open(self, seq: Seq) -> LlamaSequence:
        sequence = self._seqs.get(seq)
        if sequence is None:
            raise EngineError(f"No sequence {seq!r} is open.")
        return sequence

    def _count(self, forked: bool) -> int:
        return sum(sequence.forked == forked for sequence in self._seqs.values())

    def _add(
        self, sampler: Sampler, watch: tuple[int, ...], prompt: int, forked: bool
    ) -> LlamaSequence:
        # A fork may not take the slot of a sequence that is still to be opened.
        kept = max(0, self.n_seqs - self._count(forked=False)) if forked else 0
        if self._count(forked) >= self.n_seqs or self._cache.slots.idle <= kept:
            sampler.free()
            raise ContextFull(
                f"{self.n_seqs} sequences are open, as many as this engine was made for."
            )
        slot = self._cache.slots.acquire()
        self._cache.truncate(slot, 0)
        committed = self._cache.slots.tokens[slot]
        sequence = LlamaSequence(
            next(self._serial), slot, sampler, watch, prompt, committed, forked=forked
        )
        self._seqs[sequence.serial] = sequence
        return sequence

    def _check_ids(self, tokens: tuple[int, ...]) -> None:
        size = self.vocab.size
        for token in tokens:
            if not 0 <= token < size:
                raise EngineError(f"There is no token {token}; the vocabulary has {size}.")
