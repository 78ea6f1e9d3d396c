"""Compares answers, and sorts them into groups of equal ones.

Knows that most comparisons need no mathematics, that the rest may hang, and that what was
once found out need not be asked again. Refuses to know how either is done.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType

from ponder.equality.child import Child, Overrun, Unusable
from ponder.equality.forms import Form, decide, form

SECONDS = 3.0
"""For one comparison. Most take milliseconds, simplifying a quotient of polynomials under one."""
MEMORY = 512 << 20
"""Bytes for the child; with its libraries loaded it holds some 60 MB."""
PATIENCE = 20.0
"""Seconds of algebra for one list of answers, the time to start the child included."""
_REMEMBERED = 10_000
"""Comparisons; a long run asks about ever new answers."""


class Comparer:
    """Tells which answers are the same. Safe to share between threads.

    A pair that algebra does not decide in time counts as different. Nothing is started where
    `forms.decide` suffices: arithmetic, choices and words never wait. Close it, or use it in
    a `with` statement, when no more answers come.
    """

    def __init__(self, seconds: float = SECONDS, child: Child | None = None) -> None:
        """Start nothing yet.

        Args:
            seconds: for one comparison.
            child: who does the algebra; by default one of its own.
        """
        self._child = child or Child(seconds, MEMORY)
        self._known: dict[frozenset[str], bool] = {}
        self.trouble = ""
        """Why no algebra can be done on this machine; empty if it can, as far as is known."""

    def __enter__(self) -> Comparer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the child process; another question would start it again."""
        self._child.close()

    def same(self, a: str | None, b: str | None) -> bool:
        """Tell whether two answers are the same; no answer never is."""
        if a is None or b is None:
            return False
        return self._same(form(a), form(b), time.monotonic() + PATIENCE)

    def clusters(
        self, answers: Sequence[str | None], patience: float = PATIENCE
    ) -> list[tuple[int, ...]]:
        """Sort answers into groups of equal ones.

        Two answers are in one group if a chain of equal pairs leads from one to the other: the
        transitive closure. It is an equivalence whatever the pairs say, and the same in any
        order of the answers, and groups only ever grow when answers are added. Its price,
        that two answers can be joined by a third, is kept low by pairs that are exact.

        Args:
            answers: as read; None gave no answer, and is in no group.
            patience: seconds of algebra; what is undecided then counts as different.

        Returns:
            The positions of each group's answers, in order of first appearance.
        """
        end = time.monotonic() + patience
        groups: list[tuple[list[Form], list[int]]] = []
        for position, answer in enumerate(answers):
            new = form(answer) if answer is not None else None
            if not new:
                continue
            own = next((group for group in groups if new in group[0]), None)
            if own is not None:
                own[1].append(position)
                continue
            joined = [
                group for group in groups if any(self._same(new, one, end) for one in group[0])
            ]
            # All that the new one is equal to are one group now, in the place of the first.
            forms = [one for group in joined for one in group[0]]
            positions = sorted(place for group in joined for place in group[1])
            merged = ([*forms, new], [*positions, position])
            if joined:
                groups[groups.index(joined[0])] = merged
                groups = [group for group in groups if group not in joined[1:]]
            else:
                groups.append(merged)
        return [tuple(positions) for _, positions in groups]

    def _same(self, a: Form, b: Form, end: float) -> bool:
        decided = decide(a, b)
        if decided is not None:
            return decided
        # What cannot be read is asked about once, not with each of the others.
        return all(self._ask(end, one.expression) for one in (a, b)) and self._ask(
            end, a.expression, b.expression
        )

    def _ask(self, end: float, *expressions: str) -> bool:
        question = frozenset(expressions)
        known = self._known.get(question)
        if known is not None or self.trouble or time.monotonic() > end:
            return bool(known)
        try:
            answer = self._child.ask(*expressions)
        except Overrun:
            answer = False
        except Unusable as error:
            self.trouble = str(error)
            return False
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[question] = answer
        return answer
