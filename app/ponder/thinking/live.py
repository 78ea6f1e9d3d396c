"""One trace while it runs: plain data, and the sums over it that decisions need.

Decides nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import exp, inf
from typing import TYPE_CHECKING

from ponder.thinking import landing
from ponder.thinking.ledger import Account
from ponder.thinking.loops import LoopWatch
from ponder.thinking.parser import TraceParser
from ponder.thinking.planning import LAST_RESORT, Plan, Request
from ponder.thinking.policies import Close, View
from ponder.thinking.protocol import ThinkProtocol
from ponder.thinking.retracing import Intervention
from ponder.types import AnswerEnd, BudgetEvent, Finish, Seq, Span

if TYPE_CHECKING:
    pass

LOOP_CHECK = 64
"""Thinking tokens between two looks for a loop. Where they fall depends on tokens alone, so that
the same trace is ended at the same place whenever it is told of."""


@dataclass(slots=True)
class Live:
    """A trace that was admitted and is not finished."""

    request: Request
    plan: Plan
    seq: Seq
    parser: TraceParser
    started: float
    """When it was admitted, by the scheduler's clock."""
    asked: float
    """When it was asked, by the same clock."""
    tokens: list[int] = field(default_factory=list)
    """Everything after the prompt, the pending token included."""
    accounts: list[Account] = field(default_factory=list)
    """Where each of them was charged."""
    gathered: list[int] = field(default_factory=list)
    """Sampled since it was last settled: not yet among `tokens`, nor charged, nor told."""
    pieces: list[bytes] = field(default_factory=list)
    """Their bytes."""
    tail: bytes = b""
    """The last bytes that the model said."""
    watch: LoopWatch = field(default_factory=LoopWatch)
    """Looks for loops in its thinking."""
    quota: int = 0
    """Tokens it may sample before something has to be decided."""
    spans: list[Span] = field(default_factory=list)
    finish: Finish | None = None
    """Set once the thinking is over."""
    answer_end: AnswerEnd | None = None
    answer_now: bool = False
    waits: int = 0
    """So many of the next ends are to be withdrawn, because somebody asked for it."""
    hinted: tuple[int, ...] = ()
    """Words of a person that go in where the next sentence ends."""
    budget_events: list[BudgetEvent] = field(default_factory=list)
    stalled: int = 0
    """Extensions in a row with no thought between them."""
    thought_at_extension: int = -1
    """Thinking tokens at the last of them."""
    last_resort: int | None = None
    """Tokens left of the last resort; None while there was no need for it."""
    resort_end: AnswerEnd = AnswerEnd.LIMIT
    """How the answer ends when those are spent: by what called for it."""
    answer_text: str = ""
    felt: float = 0.0
    """Sum of the log-probabilities of its thinking tokens, as they were sampled."""
    felt_tokens: int = 0
    """How many those are."""
    cached: int = 0
    prefilled: int = 0
    prefill_seconds: float = 0.0
    decode_seconds: float = 0.0
    think_seconds: float = 0.0
    """From its start until its thinking was over."""
    extra: int = 0
    """Thinking tokens granted while it thought."""
    grown: int = 0
    """Room added to its lease for them."""
    answer_tokens: int = 0
    """Tokens whose time is kept for its answer."""
    due: float = inf
    """When its thinking, or its answer, has to end; by the scheduler's clock."""
    heed: float = inf
    """When each of its tokens begins to be looked at."""
    landing_seconds: float = 0.0
    """Before `due`: within them the end of a sentence will do."""
    told_cap: int | None = None
    """What the time that is left was last said to come to, in thinking tokens."""
    told_at: float = -inf
    """When that was."""
    share: int | None = None
    """Tokens that a pool has dealt it so far, the used ones included; None: no pool."""
    probed: int = 0
    """Tokens that looks at it took. Whoever pays for its thinking pays for them."""
    owing: int = 0
    """Tokens that a look which runs may still take, and those of the thought that wait for it."""
    held: bool = False
    """Whether somebody has it stand still."""
    paused: bool = False
    """Whether others of the pool think in its place."""
    befallen: int = 0
    """How many of its interventions are over."""
    verdict: Close | None = None
    """What the pool decided on its thinking."""

    @property
    def cap(self) -> int:
        """Thinking tokens it may sample, later grants included."""
        return (self.plan.cap or 0) + self.extra

    @property
    def lease(self) -> int:
        """The most tokens it may hold in the context."""
        return self.plan.lease + self.grown

    @property
    def coming(self) -> Intervention | None:
        """What is to befall it next."""
        rest = self.request.interventions[self.befallen :]
        return rest[0] if rest else None

    @property
    def confidence(self) -> float | None:
        """Geometric mean probability of its thinking tokens; None where nobody told it."""
        # Sums of floats may come out a hair above what a probability can be.
        return exp(min(0.0, self.felt / self.felt_tokens)) if self.felt_tokens else None

    @property
    def watched(self) -> bool:
        """Whether somebody wants to know of loops in its thinking."""
        return self.request.budget.loops or self.request.purse is not None

    @property
    def deadline(self) -> float:
        """When its last token has to be there."""
        within = self.request.budget.within
        return inf if within is None else self.asked + within

    @property
    def landing(self) -> int:
        """Tokens before the cap within which the end of a sentence will do; 0 is off."""
        return landing.window(self.cap) if self.request.budget.landing else 0

    def used(self) -> int:
        """Tokens it holds in the context, the pending one included."""
        return len(self.plan.prompt) + len(self.tokens)

    def room(self, protocol: ThinkProtocol) -> int:
        """Tokens that may still be thought before the closing words and the reserve."""
        ending = max(len(protocol.cut_ids), len(protocol.close_ids))
        return self.lease - self.used() - ending - self.plan.reserve

    def slack(self, protocol: ThinkProtocol, think: int) -> int:
        """Room that neither the rest of its budget nor what was asked for will need."""
        waits = self.waits * len(protocol.wait_ids)
        return self.room(protocol) - (self.cap - think) - waits - len(self.hinted)

    def room_for_words(self, protocol: ThinkProtocol, think: int) -> int:
        """Room for words of a person. A budget gives none of its own up; where nobody set one,
        they take it from the thinking."""
        if self.plan.limited_by == "context" and not self.extra:
            return self.room(protocol) - len(self.hinted) - 1
        return self.slack(protocol, think)

    def answer_left(self, protocol: ThinkProtocol, answered: int) -> int:
        """Answer tokens until the last resort must begin, if it is needed."""
        resort = len(protocol.lead(self.request.boxed)) + LAST_RESORT
        left = self.lease - self.used() - resort
        limit = self.request.budget.max_answer
        return left if limit is None else min(left, limit - answered)

    def answer_limit(self, answered: int) -> AnswerEnd:
        """Which limit an answer ran into."""
        limit = self.request.budget.max_answer
        return AnswerEnd.LIMIT if limit is not None and answered >= limit else AnswerEnd.CONTEXT

    def thinking_left(self, protocol: ThinkProtocol, think: int) -> int:
        """Thinking tokens until something has to be decided."""
        left = min(self.cap - think, self.room(protocol))
        if self.share is not None:
            left = min(left, self.share - think - self.probed)
        window = self.landing
        if window:
            left = left - window if left > window else 1
        if self.watched:
            left = min(left, LOOP_CHECK - think % LOOP_CHECK)
        return max(1, left)

    def awaits_share(self, think: int) -> bool:
        """Whether it has thought all that its pool has dealt it, and would think on."""
        return self.finish is None and not self.shares(think + 1)

    def shares(self, think: int) -> bool:
        """Whether what its pool has dealt it is enough for so many thinking tokens in all."""
        return self.share is None or think + self.probed <= self.share

    def view(
        self, think: int, ending: bool, protocol: ThinkProtocol, now: float, boundary: bool
    ) -> View:
        """What the policies may see."""
        return View(
            think=think,
            budget=self.cap,
            budget_is_context=self.plan.limited_by == "context" and not self.extra,
            floor=self.request.budget.floor,
            room=self.room(protocol),
            wait_tokens=len(protocol.wait_ids),
            stalled=self.stalled if think == self.thought_at_extension else 0,
            ending=ending,
            answer_now=self.answer_now,
            waits=self.waits,
            left=self.due - now,
            landing=self.landing,
            landing_seconds=self.landing_seconds,
            boundary=boundary,
            loop=self.watch.found if self.request.budget.loops else None,
            verdict=self.verdict,
        )

    def needs_resort(self) -> bool:
        """Whether what was answered so far is no answer."""
        if self.last_resort is not None:
            return False
        if self.request.boxed:
            return "\\boxed{" not in self.answer_text
        return not self.answer_text.strip()

    def box_closed(self) -> bool:
        """Whether the box that the last resort opened has been closed."""
        opened = self.answer_text.rfind("\\boxed{")
        if opened < 0:
            return False
        depth = 0
        for char in self.answer_text[opened:]:
            depth += (char == "{") - (char == "}")
            if char == "}" and depth == 0:
                return True
        return False
