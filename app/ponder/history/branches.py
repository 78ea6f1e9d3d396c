"""The turns of a conversation as a tree: which follows which, and which of them are shown.

A turn asked in another's place (again, otherwise, or gone on with from an edited thought) stands
beside it, with the same parent. The path that was chosen last is the conversation; what lies
beside it is kept. Knows numbers of turns, and neither a database nor what is said in them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tree:
    """The turns of one conversation.

    Args:
        parents: for each turn, in the order of asking, the one that it follows; None: none.
    """

    parents: Mapping[int, int | None]

    @classmethod
    def of(cls, pairs: Iterable[tuple[int, int | None]]) -> Tree:
        """A tree out of turns and their parents; whoever follows a later turn follows none.

        Turns are numbered in the order of asking, so that what a damaged file says leads nowhere.
        """
        known = dict(pairs)
        ordered = sorted(known)
        return cls({turn: _earlier(turn, known[turn], known) for turn in ordered})

    def path(self, turn: int) -> list[int]:
        """The turns from the first one to this."""
        found = [turn]
        while (before := self.parents[found[-1]]) is not None:
            found.append(before)
        return found[::-1]

    def siblings(self, turn: int) -> tuple[int, ...]:
        """The turns that stand in one place, this one among them."""
        parent = self.parents[turn]
        return tuple(other for other, before in self.parents.items() if before == parent)

    def walk(self) -> Iterator[tuple[int, int]]:
        """Each turn and its depth, before all that follow it."""
        children: dict[int | None, list[int]] = {}
        for turn, parent in self.parents.items():
            children.setdefault(parent, []).append(turn)
        waiting = [(turn, 0) for turn in reversed(children.get(None, []))]
        while waiting:
            turn, depth = waiting.pop()
            yield turn, depth
            waiting += [(child, depth + 1) for child in reversed(children.get(turn, []))]

    def newest(self, turn: int | None = None) -> int | None:
        """The turn asked last of those that follow one, or of all; itself where none does."""
        if turn is None:
            return next(reversed(self.parents), None)
        below = {turn}
        for other, before in self.parents.items():
            if before in below:
                below.add(other)
        return max(below)


def _earlier(turn: int, parent: int | None, known: Mapping[int, int | None]) -> int | None:
    return parent if parent in known and parent is not None and parent < turn else None
