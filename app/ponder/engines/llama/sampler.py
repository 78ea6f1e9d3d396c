"""One sequence's sampler chain, in C. Knows how a token is drawn, not why.

The order is llama.cpp's own (common/sampling.cpp): penalties, DRY, top-k, top-p, min-p,
temperature, then a draw, or the best at temperature 0. Only penalties and DRY remember what
was said; they are kept apart so that a withdrawn token can be forgotten without touching
the random numbers.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import llama_cpp.llama_cpp as lib

from ponder.engines.llama.vocab import LlamaVocabulary
from ponder.types import Sampling

_RANDOM_SEED = 0xFFFFFFFF
"""LLAMA_DEFAULT_SEED asks llama.cpp for a random seed: never what was asked of us."""
_MOST_REMEMBERED = 1 << 20
"""Tokens, more than any context holds: llama.cpp allocates the whole of what it is told."""
_DRY_BREAKERS = (b"\n", b":", b'"', b"*")


class Sampler:
    """A chain of samplers and the memory in it.

    Args:
        sampling: what the chain is made of.
        vocab: DRY reads its breakers' tokens from it.
    """

    def __init__(self, sampling: Sampling, vocab: LlamaVocabulary) -> None:
        params = lib.llama_sampler_chain_default_params()
        params.no_perf = True
        self._chain: Any = lib.llama_sampler_chain_init(params)
        self._remembering = 0
        window = 0
        if sampling.has_memory:
            for memory, reach in self._memories(sampling, vocab):
                lib.llama_sampler_chain_add(self._chain, memory)
                self._remembering += 1
                window = max(window, reach)
        self._window = window
        for stage in self._stages(sampling):
            lib.llama_sampler_chain_add(self._chain, stage)
        self.draw = lib.llama_sampler_sample

    @staticmethod
    def _memories(sampling: Sampling, vocab: LlamaVocabulary) -> list[tuple[Any, int]]:
        found = []
        recent = min(sampling.penalty_last_n, _MOST_REMEMBERED)
        far = min(sampling.dry_last_n, _MOST_REMEMBERED)
        flat = sampling.frequency_penalty == 0 and sampling.presence_penalty == 0
        if not (flat and sampling.repeat_penalty == 1.0):
            penalties = lib.llama_sampler_init_penalties(
                vocab.size,
                recent,
                sampling.repeat_penalty,
                sampling.frequency_penalty,
                sampling.presence_penalty,
            )
            found.append((penalties, recent))
        if sampling.dry_multiplier:
            breakers = (ctypes.c_char_p * len(_DRY_BREAKERS))(*_DRY_BREAKERS)
            dry = lib.llama_sampler_init_dry(
                vocab.handle,
                sampling.dry_multiplier,
                sampling.dry_base,
                sampling.dry_allowed_length,
                far,
                breakers,
                len(_DRY_BREAKERS),
            )
            found.append((dry, far))
        return found

    @staticmethod
    def _stages(sampling: Sampling) -> list[Any]:
        if sampling.temperature <= 0:
            return [lib.llama_sampler_init_greedy()]
        stages = []
        if sampling.top_k > 0:
            stages.append(lib.llama_sampler_init_top_k(sampling.top_k))
        if sampling.top_p < 1:
            stages.append(lib.llama_sampler_init_top_p(sampling.top_p, 1))
        if sampling.min_p > 0:
            stages.append(lib.llama_sampler_init_min_p(sampling.min_p, 1))
        stages.append(lib.llama_sampler_init_temp(sampling.temperature))
        seed = sampling.seed % (_RANDOM_SEED + 1)
        stages.append(lib.llama_sampler_init_dist(seed - (seed == _RANDOM_SEED)))
        return stages

    @property
    def chain(self) -> Any:
        """The `llama_sampler *`."""
        return self._chain

    def accept(self, tokens: Sequence[int]) -> None:
        """Remember tokens that this chain did not draw: the prompt, forced ones."""
        if self._window <= 0:
            return
        for token in tokens[-self._window :]:
            for at in range(self._remembering):
                lib.llama_sampler_accept(lib.llama_sampler_chain_get(self._chain, at), token)

    def rebuild(self, tokens: Sequence[int]) -> None:
        """Remember these tokens and no others; the random numbers go on as they were."""
        for at in range(self._remembering):
            lib.llama_sampler_reset(lib.llama_sampler_chain_get(self._chain, at))
        self.accept(tokens)

    def clone(self) -> Sampler:
        """A copy with the same memory and the same random numbers ahead."""
        copy = object.__new__(Sampler)
        copy._chain = lib.llama_sampler_clone(self._chain)
        copy._remembering = self._remembering
        copy._window = self._window
        copy.draw = self.draw
        return copy

    def free(self) -> None:
        """Give the chain back to llama.cpp."""
        if self._chain is not None:
            lib.llama_sampler_free(self._chain)
            self._chain = None
