"""What was learned of one model on one machine: how fast it is, how long it thinks and answers.

Plain numbers, and how a finished trace adds to them. Where they are kept is not known here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ponder.thinking.lengths import LengthModel, answer_of, thinking_of
from ponder.thinking.steps import StepModel
from ponder.types import Trace

SMALLEST_ANSWER_RESERVE = 64
"""Tokens for whose time an answer may always hope, however short answers were."""


@dataclass(slots=True)
class Learned:
    """Three models that learn while questions are answered."""

    steps: StepModel = field(default_factory=StepModel)
    """Seconds a step takes on this machine."""
    thinking: LengthModel = field(default_factory=LengthModel)
    """Thinking tokens until the model ends by itself."""
    answers: LengthModel = field(default_factory=LengthModel)
    """Answer tokens after a thought."""

    def learn(self, trace: Trace) -> None:
        """Add one finished trace."""
        for model, seen in ((self.thinking, thinking_of(trace)), (self.answers, answer_of(trace))):
            if seen is not None:
                model.observe(*seen)

    def answer_tokens(self, otherwise: int) -> int:
        """Tokens whose time is to be kept for an answer: nineteen of twenty need no more."""
        if not self.answers.enough:
            return otherwise
        return min(otherwise, max(SMALLEST_ANSWER_RESERVE, self.answers.quantile(0.95)))
