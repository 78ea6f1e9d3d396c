"""From two models' logits on the same tokens to figures: perplexity, KL divergence, agreement.

What llama-perplexity tells with --kl-divergence (tools/perplexity/perplexity.cpp), in the same
places of a text and with the same error bars. Knows arrays and nothing of models.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Logits = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean, and its standard error."""

    value: float
    error: float


@dataclass(frozen=True, slots=True)
class Scores:
    """Two models at the same places of a text; each array has one number a place."""

    kl: Numbers
    """KL divergence of the other's distribution from the base's, in nats."""
    base_nll: Numbers
    """Minus the logarithm of what the base gave the token that came."""
    other_nll: Numbers
    same_top: npt.NDArray[np.bool_]
    """Whether both would have chosen the same token."""


@dataclass(frozen=True, slots=True)
class Divergence:
    """KL divergence over all places, in nats."""

    mean: Estimate
    median: float
    p90: float
    p99: float
    p999: float
    most: float


@dataclass(frozen=True, slots=True)
class ChunkFigures:
    """One chunk of the text."""

    kl: float
    """Mean KL divergence."""
    log_ratio: float
    """ln(perplexity of the other / that of the base)."""


@dataclass(frozen=True, slots=True)
class TextFigures:
    """What two models make of one text."""

    text: str
    """What it is called."""
    chunk: int
    """Tokens of a chunk."""
    places: int
    """Tokens that were predicted: of each chunk the second half, less the first of it."""
    base_perplexity: Estimate
    other_perplexity: Estimate
    ratio: Estimate
    """Perplexity of the other over that of the base; its error knows that both read the same."""
    kl: Divergence
    same_top: Estimate
    """Share of places where both would have chosen the same token."""
    chunks: tuple[ChunkFigures, ...]
    histogram: tuple[int, ...]
    """Places by KL divergence, in the bins between `EDGES`."""


EDGES = tuple(10 ** (exponent / 4) for exponent in range(-32, 9))
"""Bounds of the bins, in nats: four to each power of ten. What lies beyond is in the outer ones."""


def scores(base: Logits, other: Logits, targets: npt.NDArray[np.int32]) -> Scores:
    """Compare logits.

    Args:
        base: shape (places, vocabulary).
        other: the same shape.
        targets: the tokens that came; shape (places,).

    Raises:
        ValueError: a logit is infinite or not a number.
    """
    if not (np.isfinite(base).all() and np.isfinite(other).all()):
        raise ValueError("logits that are not finite")
    base_log, other_log = _log_softmax(base), _log_softmax(other)
    rows = np.arange(len(targets))
    weighted = np.exp(base_log) * (base_log - other_log)
    kl: Numbers = weighted.sum(axis=1, dtype=np.float64)
    return Scores(
        kl,
        -base_log[rows, targets].astype(np.float64),
        -other_log[rows, targets].astype(np.float64),
        base.argmax(axis=1) == other.argmax(axis=1),
    )


def _log_softmax(logits: Logits) -> Logits:
    shifted = logits - logits.max(axis=1, keepdims=True)
    total = np.exp(shifted).sum(axis=1, dtype=np.float64, keepdims=True)
    log: Logits = shifted - np.log(total).astype(np.float32)
    return log


def figures(text: str, chunk: int, found: Sequence[Scores]) -> TextFigures:
    """Sum up.

    Args:
        text: what the text is called.
        chunk: tokens of a chunk.
        found: the scores of each chunk, in order.
    """
    kl = np.concatenate([s.kl for s in found])
    base = np.concatenate([s.base_nll for s in found])
    other = np.concatenate([s.other_nll for s in found])
    same = np.concatenate([s.same_top for s in found])
    p90, p99, p999 = (float(q) for q in np.quantile(kl, (0.9, 0.99, 0.999)))
    top = float(same.mean())
    # Outside the bins counts as in the outermost one; nothing is less than nothing.
    counts, _ = np.histogram(np.clip(kl, EDGES[0], EDGES[-1]), EDGES)
    return TextFigures(
        text,
        chunk,
        len(kl),
        _exponential(base),
        _exponential(other),
        _exponential(other - base),
        Divergence(_mean(kl), float(np.median(kl)), p90, p99, p999, float(kl.max())),
        Estimate(top, math.sqrt(top * (1 - top) / (len(same) - 1))),
        tuple(
            ChunkFigures(float(s.kl.mean()), float((s.other_nll - s.base_nll).mean()))
            for s in found
        ),
        tuple(int(count) for count in counts),
    )


def _mean(values: Numbers) -> Estimate:
    return Estimate(float(values.mean()), float(values.std()) / math.sqrt(len(values) - 1))


def _exponential(logs: Numbers) -> Estimate:
    """The exponential of a mean; the error follows from its slope there."""
    mean = _mean(logs)
    value = math.exp(min(mean.value, 700.0))
    return Estimate(value, value * mean.error)
