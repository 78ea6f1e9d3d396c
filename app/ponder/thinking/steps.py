"""How long a step takes on this machine: t(B, K) = a + b B + c K seconds, learned as steps come.

B sequences decode one token each over K tokens of context. Recursive least squares with
forgetting finds a, b and c; where the latest steps lie beside that is kept as ratios. A machine
that others use too changes its pace tenfold within a second: the ratios follow at once.
Reading a prompt has a rate of its own. Knows numbers alone: no clock, no engine, no file.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

WINDOW = 1 / 60
"""Seconds over which steps are averaged: one observation each. A slow model's step is longer."""
_FORGETTING = 0.995
"""Weight of the observation before the latest one: half is forgotten after some 140."""
_VAGUE = 1e6
"""How little is known of a, b and c in the beginning."""
_THOUSANDS = 1000.0
"""K is counted in thousands, so that the three unknowns are of one size."""
_RECENT = 64
"""Ratios that are kept, and windows before any is an outlier."""
_FEW = 8
"""Below so many of them, the margin is not narrower than `_FIRST_MARGIN`."""
_FIRST_MARGIN = 1.25
_OUTLIER = 4.0
"""A window longer than so many times what was expected counts as that: a machine that was
suspended has not become slow, and one that has will be believed a little later."""
_READ_MOST = 8192
"""Prompt tokens after which older ones are halved."""
_SHORT_READ = 16
"""Fewer prompt tokens than this in one step say nothing about the rate."""


@dataclass(slots=True)
class StepModel:
    """Seconds a step takes. What is measured has plain fields, so that it can be kept.

    Raises:
        ValueError: the fields are none that a measurement could have left.
    """

    weights: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    """a, b, and c for a thousand tokens; seconds."""
    spread: list[float] = field(
        default_factory=lambda: [_VAGUE, 0.0, 0.0, 0.0, _VAGUE, 0.0, 0.0, 0.0, _VAGUE]
    )
    """What is not known of them: a matrix of 3 x 3, row by row."""
    ratios: list[float] = field(default_factory=list)
    """The latest windows, each in proportion to what was expected."""
    margin: float = _FIRST_MARGIN
    """The ratio that nine of ten of them stay below."""
    seen: int = 0
    """Windows observed."""
    read_tokens: float = 0.0
    """Prompt tokens read, older ones halved."""
    read_seconds: float = 0.0
    """How long that took."""

    def __post_init__(self) -> None:
        read = [self.read_tokens, self.read_seconds]
        numbers = [*self.weights, *self.spread, *self.ratios, self.margin, *read]
        if (
            (len(self.weights), len(self.spread)) != (3, 9)
            or not all(map(math.isfinite, numbers))
            or min([*self.ratios, self.margin, self.seen, *read]) < 0
        ):
            raise ValueError("no measurement of steps")

    @property
    def known(self) -> bool:
        """Whether any step was measured."""
        return self.seen > 0

    def observe(self, seconds: float, busy: float, held: float) -> None:
        """Learn from a window of steps.

        Args:
            seconds: of one step, on average.
            busy: sequences that took part.
            held: tokens of context that they had, together.
        """
        expected = self.expected(busy, held)
        if expected > 0:
            if self.seen >= _RECENT:
                seconds = min(seconds, _OUTLIER * expected)
            self.ratios = [*self.ratios[1 - _RECENT :], seconds / expected]
            p90 = sorted(self.ratios)[math.ceil(0.9 * len(self.ratios)) - 1]
            self.margin = p90 if len(self.ratios) >= _FEW else max(p90, _FIRST_MARGIN)
        self.seen += 1
        x = (1.0, busy, held / _THOUSANDS)
        p = self.spread
        px = [sum(p[3 * row + at] * x[at] for at in range(3)) for row in range(3)]
        known = sum(x[at] * px[at] for at in range(3))
        gain = _FORGETTING + known
        error = seconds - sum(w * v for w, v in zip(self.weights, x, strict=True))
        self.weights = [w + k / gain * error for w, k in zip(self.weights, px, strict=True)]
        # Forgets in the direction of what is seen alone: what nothing is learned about must not
        # seem ever less known (directional forgetting, Kulhavy 1987).
        change = (1 / _FORGETTING - 1) / known - 1 / (_FORGETTING * gain) if known > 0 else 0.0
        self.spread = [p[3 * i + j] + px[i] * px[j] * change for i in range(3) for j in range(3)]

    def read(self, seconds: float, tokens: int) -> None:
        """Learn from so many prompt tokens that were read in one step."""
        if tokens < _SHORT_READ or seconds <= 0:
            return
        self.read_tokens += tokens
        self.read_seconds += seconds
        if self.read_tokens > _READ_MOST:
            self.read_tokens, self.read_seconds = self.read_tokens / 2, self.read_seconds / 2

    def expected(self, busy: float, held: float) -> float:
        """Seconds of one step, on average; 0 where nothing is known."""
        a, b, c = self.weights
        # A slope below zero is noise, and far from what was measured it would be wrong by much.
        return max(0.0, a + b * busy) + max(0.0, c) * held / _THOUSANDS

    def seconds(self, steps: int, busy: int, held: int) -> float:
        """So many steps at the ninetieth percentile, the context growing meanwhile."""
        return steps * self.expected(busy, held + busy * steps / 2) * self.margin

    def reading(self, tokens: int) -> float:
        """Reading so many prompt tokens, on average; 0 where that was never measured."""
        return tokens * self.read_seconds / self.read_tokens if self.read_tokens else 0.0


class Meter:
    """Measures the steps of a scheduler, and tells a model of them, a window at a time.

    A step lasts until the next one begins: what is done between two of them is part of the pace.

    Args:
        model: what learns.
        held: tokens of context that all sequences have together; asked for once a window.
    """

    def __init__(self, model: StepModel, held: Callable[[], int]) -> None:
        self._model = model
        self._held = held
        self._began: float | None = None
        self._odd = False
        self._forcings = 0
        self._brought = 0
        self._read = 0
        self._busy = 0
        self._steps = 0
        self._seconds = 0.0

    def begin(self, now: float, forcings: int) -> None:
        """A step begins.

        Args:
            now: seconds.
            forcings: how often tokens were forced so far. The step after one decodes several
                tokens of a sequence, and is like no other.
        """
        self._began = now
        self._brought = self._read = 0
        self._odd, self._forcings = forcings != self._forcings, forcings

    def brought(self, sequences: int, read: int) -> None:
        """What the step was for: sequences that took part, prompt tokens that were read."""
        self._brought, self._read = sequences, read

    def end(self, now: float) -> None:
        """The step is over, if one ran."""
        if self._began is None or not self._brought:
            self._began = None
            return
        seconds, self._began = now - self._began, None
        if self._read:
            others = self._model.expected(self._brought - 1, self._held())
            self._model.read(seconds - others, self._read)
        elif not self._odd:
            self._decoded(seconds)

    def _decoded(self, seconds: float) -> None:
        if self._brought != self._busy:
            self._busy, self._steps, self._seconds = self._brought, 0, 0.0
        self._steps += 1
        self._seconds += seconds
        if self._seconds >= WINDOW:
            self._model.observe(self._seconds / self._steps, self._busy, self._held())
            self._steps, self._seconds = 0, 0.0
