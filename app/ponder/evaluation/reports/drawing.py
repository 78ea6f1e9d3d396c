"""Accuracy against thinking tokens as SVG. Knows a summary, and what a plot is made of."""

from __future__ import annotations

from ponder.evaluation.plots import Mark, curve
from ponder.evaluation.reports.words import label
from ponder.evaluation.summary import Summary


def drawn(summary: Summary) -> str:
    """The figure: a point a condition, with its 95 % bounds."""
    return curve(
        f"Accuracy against thinking tokens, {summary.model} on {summary.questions.name}",
        "thinking tokens of a question, mean",
        "right, %",
        [
            Mark(
                row.tokens.think,
                100 * row.accuracy,
                100 * row.interval.low,
                100 * row.interval.high,
                label(at),
                f"{label(at)}: {row.condition}, {100 * row.accuracy:.1f} % with "
                f"{row.tokens.think:,.0f} thinking tokens",
            )
            for at, row in enumerate(summary.rows)
        ],
    )
