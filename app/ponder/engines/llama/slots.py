"""Which tokens lie in which sequence of the KV cache. Bookkeeping only: no llama.cpp here.

A slot that was closed keeps its tokens until somebody needs it, so that a later prompt with
the same beginning need not be read again.
"""

from __future__ import annotations

from collections.abc import Sequence


def common_prefix(a: Sequence[int], b: Sequence[int], limit: int) -> int:
    """Length of the longest common prefix, at most `limit`."""
    limit = min(limit, len(a), len(b))
    # Whole blocks compare in C; only the last, unequal one is walked through.
    at, block = 0, 256
    while at < limit and a[at : min(at + block, limit)] == b[at : min(at + block, limit)]:
        at += block
    at = min(at, limit)
    while at < limit and a[at] == b[at]:
        at += 1
    return at


class Slots:
    """Slots of one context.

    Args:
        count: how many sequences the context can tell apart.
    """

    def __init__(self, count: int) -> None:
        self.tokens: list[list[int]] = [[] for _ in range(count)]
        """Committed tokens of each slot."""
        self._idle: dict[int, None] = dict.fromkeys(range(count))
        """Slots nobody uses, the longest unused first."""

    @property
    def idle(self) -> int:
        """How many slots nobody uses."""
        return len(self._idle)

    def acquire(self) -> int:
        """Take the slot least worth keeping: an empty one, else the longest unused."""
        slot = next((s for s in self._idle if not self.tokens[s]), next(iter(self._idle)))
        del self._idle[slot]
        return slot

    def release(self, slot: int) -> None:
        """Leave a slot; its tokens stay until it is needed."""
        self._idle[slot] = None

    def cached(self) -> list[int]:
        """The unused slots with tokens, the one left longest ago first."""
        return [slot for slot in self._idle if self.tokens[slot]]

    def donor(self, tokens: Sequence[int], limit: int, taker: int) -> tuple[int, int]:
        """The slot, used or not, that shares most with `tokens`, and how much (maybe 0)."""
        best, length = taker, 0
        for slot, held in enumerate(self.tokens):
            if slot != taker and len(held) > length:
                shared = common_prefix(held, tokens, limit)
                if shared > length:
                    best, length = slot, shared
        return best, length
