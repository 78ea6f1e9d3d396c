"""Many answers at once, thought about under budgets and told to wait.

Knows tokens and the network's cache. Refuses to know questions and who is right. Each row is a
`Thread`: it is handed the token that the model chose and says which one is taken, so that a
budget, a Wait and a close are a queue of tokens that the model did not choose.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812
from tokenizers import Tokenizer
from torch import Tensor

from builtin_model.model import Cache, LanguageModel

if TYPE_CHECKING:
    from builtin_model.examples import Protocol

_STRIDE = 64
"""Caches are read in multiples of this many positions."""
_GROWTH = 256
"""Positions that a cache grows by."""
_ANSWER = 160
"""Tokens of the context that thinking leaves to close and answer."""
_WAIT = "Wait"
_LIVELY = 0.9
"""Below this share of rows that go on, the others are taken out of the cache."""


@dataclass(frozen=True, slots=True)
class Force:
    """How thinking is steered."""

    budget: int | None = None
    """Tokens of thought before it is ended; None leaves the end to the model."""
    waits: int = 0
    """How many times the end of thinking is put off."""


@dataclass(frozen=True, slots=True)
class Tags:
    """A protocol in tokens."""

    end: int
    """Ends thinking."""
    stop: int
    """Ends the turn."""
    close: tuple[int, ...]
    """What a budget writes; `end` is in it."""
    wait: tuple[int, ...]
    """What stands instead of `end` where thinking is to go on."""

    @classmethod
    def of(cls, protocol: Protocol, tokenizer: Tokenizer) -> Tags:
        """Encode what `protocol` writes."""

        def ids(text: str) -> tuple[int, ...]:
            return tuple(tokenizer.encode(text, add_special_tokens=False).ids)

        close, (stop,) = ids(protocol.close), ids(protocol.end)
        added = tokenizer.get_added_tokens_decoder()
        end = next(token for token in close if token in added)
        return cls(end, stop, close, ids(_WAIT))


class Thread:
    """One row: where it is in thinking and answering."""

    def __init__(self, tags: Tags, force: Force, room: int) -> None:
        """`room` is how many tokens the context holds behind the prompt."""
        self.tokens: list[int] = []
        self.thought = 0
        """Tokens of thought; what a budget writes is none."""
        self.thinking = True
        self.cut = False
        """Whether the budget, not the model, ended thinking."""
        self.done = False
        """Whether it has ended its turn, or filled its room."""
        self._tags = tags
        self._room = room
        longest = max(0, room - _ANSWER)
        self._budget = longest if force.budget is None else min(force.budget, longest)
        self._waits = force.waits
        self._forced: deque[int] = deque()

    def take(self, chosen: int) -> int:
        """Return the token that stands in the row after the model chose `chosen`."""
        token = self._token(chosen)
        self.tokens.append(token)
        if self.thinking and token == self._tags.end:
            self.thinking = False
        elif self.thinking and not self.cut:
            self.thought += 1
        elif token == self._tags.stop:
            self.done = True
        self.done |= len(self.tokens) >= self._room
        return token

    def _token(self, chosen: int) -> int:
        if self._forced:
            return self._forced.popleft()
        if not self.thinking:
            return chosen
        ending = chosen in (self._tags.end, self._tags.stop)
        if self.thought >= self._budget or (chosen == self._tags.stop and not self._waits):
            self.cut = True
            self._forced.extend(self._tags.close)
        elif ending and self._waits:
            self._waits -= 1
            self._forced.extend(self._tags.wait)
        return self._forced.popleft() if self._forced else chosen


@torch.inference_mode()
def generate(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    threads: Sequence[Thread],
    temperature: float = 0.0,
    seed: int = 0,
    deadline: float | None = None,
) -> None:
    """Carry each thread on from its prompt until it is done or the context is full.

    The most likely token is chosen at temperature 0, else one by chance. At `deadline`, a time
    of the monotonic clock, what is not done stays so.
    """
    device = model.cos.device
    chance = torch.Generator(device).manual_seed(seed)
    lengths = torch.tensor([len(prompt) for prompt in prompts])
    longest = int(lengths.max())
    # Behind a short prompt stands anything: its own tokens overwrite it before it is looked at.
    ids = torch.zeros(len(prompts), longest, dtype=torch.long)
    for row, prompt in enumerate(prompts):
        ids[row, : len(prompt)] = torch.tensor(prompt)
    at = lengths.to(device)
    room = _up(longest + _GROWTH, _STRIDE)
    hidden, cache = model.prefill(ids.to(device), room)
    last = hidden[torch.arange(len(prompts), device=device), at - 1]
    going = list(threads)
    front = longest
    while going:
        chosen = _choose(model.logits(last), temperature, chance).tolist()
        taken = [
            thread.tokens[-1] if thread.done else thread.take(token)
            for thread, token in zip(going, chosen, strict=True)
        ]
        lively = [not thread.done for thread in going]
        if not any(lively) or (deadline is not None and time.monotonic() > deadline):
            return
        if sum(lively) < _LIVELY * len(lively):
            rows = [row for row, live in enumerate(lively) if live]
            keep = torch.tensor(rows, device=device)
            cache = [(keys[keep], values[keep]) for keys, values in cache]
            at = at[keep]
            going, taken = [going[row] for row in rows], [taken[row] for row in rows]
        front += 1
        if front > room:
            room += _GROWTH
            cache = _grown(cache, _GROWTH)
        seen = min(_up(front, _STRIDE), room, model.shape.context)
        last = model.step(torch.tensor(taken, device=device), at, cache, seen)
        # Rows that are done stay in the cache for a while, and may be at its end.
        at = (at + 1).clamp(max=model.shape.context - 1)


def _choose(logits: Tensor, temperature: float, chance: torch.Generator) -> Tensor:
    if not temperature:
        return logits.argmax(-1)
    likely = torch.softmax(logits.float() / temperature, -1)
    return torch.multinomial(likely, 1, generator=chance)[:, 0]


def _grown(cache: Cache, by: int) -> Cache:
    return [(F.pad(keys, (0, 0, 0, by)), F.pad(values, (0, 0, 0, by))) for keys, values in cache]


def _up(number: int, stride: int) -> int:
    return -(-number // stride) * stride
