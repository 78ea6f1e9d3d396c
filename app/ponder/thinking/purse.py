"""Thinking tokens that the traces of one question share, and who goes on when they run short.

Looks at thoughts are paid from it as well.

All think on, a token each in every step, as long as each can be given what half of the traces
that thought so long still need. When the purse no longer holds that, one is dropped after the
other until it does: a trace that goes in circles, then the one least sure of what it says, then
the longest. The last one thinks to the end of the purse and then answers. So few tokens make few
whole traces rather than many halves, and what is sampled never exceeds the purse.

Sources: short-first, Hassid et al. (arXiv:2505.17813); confidence, Fu et al., DeepConf
(arXiv:2508.15260).
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping

from ponder.thinking.course import Course
from ponder.thinking.lengths import LengthModel
from ponder.thinking.live import Live
from ponder.thinking.scribe import Scribe
from ponder.types import BudgetChange, Figures, Finish, Seq

_UNMEASURED = 256
"""Tokens that a trace is taken to need where no lengths are known."""
_LEAST = 16
"""It is never taken to need less. Needs are reckoned anew after so many, and nobody is said to be
sure or unsure of fewer."""


class Purse:
    """What there is, and who lives on it.

    Args:
        tokens: thinking tokens for all traces together.
        lengths: how long the model thinks.
    """

    def __init__(self, tokens: int, lengths: LengthModel) -> None:
        self.tokens = tokens
        self.members: list[Live] = []
        self.spare = 0
        """Tokens that the coming step cannot take: looks may have them."""
        self._spent = 0
        self._lengths = lengths
        self._needs: dict[int, int] = {}

    def leave(self, live: Live, think: int) -> None:
        """A trace is over; what it thought, and what was spent on looks at it, stays spent."""
        self.members.remove(live)
        self._spent += think + live.probed

    def left(self, thought: Callable[[Live], int]) -> int:
        """Tokens that nobody has taken yet, nor may take in a look that runs."""
        taken = sum(thought(live) + live.probed + live.owing for live in self.members)
        return self.tokens - self._spent - taken

    def need(self, think: int) -> int:
        """Tokens that a trace is to be able to go on for, to be worth going on with."""
        at = think // _LEAST
        if at not in self._needs:
            lengths = self._lengths
            more = lengths.remaining(at * _LEAST) if lengths.enough else _UNMEASURED
            self._needs[at] = max(_LEAST, more)
        return self._needs[at]


class Keeper:
    """Holds the traces of one scheduler to their purses, between two steps.

    Args:
        scribe: knows what they thought.
        course: ends a thought.
        drop: ends a trace, with the figures that this rests on.
    """

    def __init__(
        self, scribe: Scribe, course: Course, drop: Callable[[Live, Figures], None]
    ) -> None:
        self._scribe = scribe
        self._course = course
        self._drop = drop
        self._purses: list[Purse] = []

    def join(self, live: Live) -> None:
        """A trace begins."""
        purse = live.request.purse
        if purse is not None:
            if not purse.members:
                self._purses.append(purse)
            purse.members.append(live)

    def leave(self, live: Live) -> None:
        """A trace is over."""
        purse = live.request.purse
        if purse is not None:
            purse.leave(live, self._scribe.thinking(live))
            if not purse.members:
                self._purses.remove(purse)

    def keep(
        self, grants: MutableMapping[Seq, int], regrant: Callable[[Live], None], now: float
    ) -> None:
        """See that the coming step cannot take more than there is."""
        for purse in list(self._purses):
            left = self._thin_out(purse)
            thinking = [live for live in purse.members if live.finish is None]
            share = left // max(1, len(thinking))
            purse.spare = left
            for live in thinking:
                if share:
                    live.quota = min(live.quota, share)
                    purse.spare -= live.quota
                    if live.seq in grants:
                        grants[live.seq] = live.quota
                else:
                    figures = {"pool": float(purse.tokens), "left": 0.0}
                    self._scribe.settle(live)
                    self._scribe.rebudget(live, BudgetChange.POOL, figures=figures)
                    self._course.cut(live, Finish.CAP, now)
                    regrant(live)

    def pays(self, live: Live, tokens: int) -> bool:
        """Whether the purse that a trace lives on pays for a look of so many tokens."""
        purse = live.request.purse
        if purse is None:
            return True
        if purse.spare < tokens:
            return False
        purse.spare -= tokens
        return True

    def _thin_out(self, purse: Purse) -> int:
        """Drop who cannot be kept on; gives the tokens that are left."""
        while True:
            left = purse.left(self._thought)
            thinking = [live for live in purse.members if live.finish is None]
            needed = sum(purse.need(self._thought(live)) for live in thinking)
            if len(thinking) <= 1 or left >= needed:
                return left
            least = min(thinking, key=self._worth)
            figures = {
                "pool": float(purse.tokens),
                "left": float(left),
                "needed": float(needed),
                "thinking": float(len(thinking)),
            }
            if least.confidence is not None:
                figures["confidence"] = least.confidence
            self._drop(least, figures)

    def _worth(self, live: Live) -> tuple[bool, float, int, int]:
        """Of the traces with the least of this, one is dropped first."""
        # Of its first words nobody is sure.
        known = live.confidence if live.felt_tokens >= _LEAST else None
        sure = 1.0 if known is None else known
        return live.watch.found is None, sure, -self._thought(live), -live.request.id

    def _thought(self, live: Live) -> int:
        """Thinking tokens of a trace, whatever was settled."""
        gathered = len(live.gathered) if live.finish is None else 0
        return self._scribe.thinking(live) + gathered
