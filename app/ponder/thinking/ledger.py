"""Token accounts. Every token that is sampled or forced is charged once, to one account.

Knows owners (traces) and integers, nothing else. A lease is room in the context set aside
for one owner; what is leased out never exceeds the capacity, and ending an owner returns
its lease whole. The answer's share of a lease is its escrow: thinking cannot touch it,
because a trace's thinking is bounded by what the lease leaves beside it.
"""

from __future__ import annotations

from collections import Counter
from enum import StrEnum

from ponder.errors import ContextFull


class Account(StrEnum):
    """Where a token is charged."""

    THINK = "think"
    FORCED = "forced"
    USER = "user"
    PROBE = "probe"
    ANSWER = "answer"
    WASTED = "wasted"


class Ledger:
    """Leases of context room, and accounts of tokens, per owner.

    Args:
        capacity: tokens that all owners together may hold in the context.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._leases: dict[int, int] = {}
        self._accounts: dict[int, Counter[Account]] = {}

    @property
    def free(self) -> int:
        """Room that is not leased."""
        return self.capacity - sum(self._leases.values())

    def lease(self, owner: int, tokens: int) -> None:
        """Set room aside.

        Raises:
            ContextFull: there is not that much; nothing was changed.
        """
        if tokens < 0 or tokens > self.free:
            raise ContextFull(
                f"{tokens} tokens of context were asked for and {max(self.free, 0)} are free."
            )
        self._leases[owner] = tokens
        self._accounts[owner] = Counter()

    def grow(self, owner: int, tokens: int) -> int:
        """Add to a lease what is free of `tokens`; gives what was added."""
        added = max(0, min(tokens, self.free))
        self._leases[owner] += added
        return added

    def charge(self, owner: int, account: Account, tokens: int = 1) -> None:
        """Book tokens; never negative."""
        if tokens < 0:
            raise ValueError("a charge is never negative")
        self._accounts[owner][account] += tokens

    def move(self, owner: int, source: Account, target: Account, tokens: int = 1) -> None:
        """Book tokens over, such as sampled ones that were withdrawn."""
        accounts = self._accounts[owner]
        if tokens < 0 or accounts[source] < tokens:
            raise ValueError(f"{source} holds {accounts[source]} tokens, not {tokens}")
        accounts[source] -= tokens
        accounts[target] += tokens

    def spent(self, owner: int, account: Account) -> int:
        """Tokens booked to one account of one owner."""
        return self._accounts[owner][account]

    def total(self, owner: int) -> int:
        """All tokens of one owner: those in its trace, its probes and the withdrawn ones."""
        return self._accounts[owner].total()

    def release(self, owner: int) -> None:
        """Return an owner's lease and forget its accounts."""
        self._leases.pop(owner, None)
        self._accounts.pop(owner, None)
