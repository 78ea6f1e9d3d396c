"""The KV cache of one context: which prompts can be taken over, and what is forgotten when.

Knows sequences, slots and llama.cpp's memory calls; decodes and samples nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import llama_cpp.llama_cpp as lib

from ponder.engines.llama.sampler import Sampler
from ponder.engines.llama.slots import Slots


@dataclass(slots=True)
class LlamaSequence:
    """One open sequence: what lies in the cache, and what waits to enter it."""

    serial: int
    slot: int
    sampler: Sampler
    watch: tuple[int, ...]
    prompt: int
    """Tokens of the prompt."""
    committed: list[int]
    """What lies in the KV cache; shared with the slot's record."""
    queue: list[int] = field(default_factory=list)
    pending: bool = False
    """Whether the last of the queue was sampled and not yet decoded."""
    cached: int = 0
    """Prompt tokens taken from the cache and not yet told."""
    signals: bool = False
    """Whether log-probabilities and entropies are told."""
    forked: bool = False
    """Whether its prefix is another's."""

    @property
    def reading(self) -> bool:
        """Whether its prompt is not yet read."""
        return len(self.committed) < self.prompt

    def __len__(self) -> int:
        return len(self.committed) + len(self.queue)


class Cache:
    """Cached prefixes of one context.

    Args:
        memory: the context's `llama_memory_t`.
        n_slots: sequences that the context can tell apart.
        n_seqs: sequences that may be open at once.
        prefixes: whether a state can be cut back to a prefix and shared; recurrent ones cannot.
    """

    def __init__(self, memory: Any, n_slots: int, n_seqs: int, prefixes: bool) -> None:
        self._memory = memory
        self._n_seqs = n_seqs
        self._prefixes = prefixes
        self.slots = Slots(n_slots)

    def shares_all(self, sequence: LlamaSequence, reader: LlamaSequence | None) -> bool:
        """Whether a prompt that waits its turn lies in the cache already, but its last token."""
        if sequence.committed or not self._prefixes:
            return bool(sequence.committed)
        if reader is None or reader.prompt - len(reader.committed) > 1:
            return False
        prompt = sequence.queue[: sequence.prompt]
        limit = sequence.prompt - 1
        return self.slots.donor(prompt, limit, sequence.slot)[1] == limit

    def reuse(self, sequence: LlamaSequence, live: int) -> None:
        """Take over what another sequence's cache shares with this prompt, but its last token."""
        if not self._prefixes:
            return
        prompt = sequence.queue[: sequence.prompt]
        donor, n = self.slots.donor(prompt, sequence.prompt - 1, sequence.slot)
        self.forget(self._n_seqs - live, keep=donor if n else None)
        if n:
            lib.llama_memory_seq_cp(self._memory, donor, sequence.slot, 0, n)
            sequence.committed.extend(prompt[:n])
            del sequence.queue[:n]
            sequence.cached = n
            # What is shared is the taker's now: the rest of the donor is as old as any.
            self.forget(self._n_seqs - live)

    def forget(self, keep_latest: int, keep: int | None = None) -> None:
        """Drop cached prefixes, the oldest first: attention walks over their cells too."""
        cached = [slot for slot in self.slots.cached() if slot != keep]
        for slot in cached[: max(0, len(cached) - max(keep_latest, 0))]:
            self.truncate(slot, 0)

    def redo_last(self, sequence: LlamaSequence) -> None:
        """Nothing is queued: the last token is decoded again for its logits."""
        kept = list(sequence.committed)
        self.truncate(sequence.slot, len(kept) - 1)
        sequence.queue = kept[len(sequence.committed) :]

    def truncate(self, slot: int, n: int) -> None:
        """Keep the first n tokens of a slot; a state that cannot be cut is dropped whole."""
        held = self.slots.tokens[slot]
        if not lib.llama_memory_seq_rm(self._memory, slot, n, -1):
            lib.llama_memory_seq_rm(self._memory, slot, -1, -1)
            n = 0
        del held[n:]
