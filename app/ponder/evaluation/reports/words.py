"""Figures of an evaluation as words: what a table's cells say, and what they mean.

Knows how numbers are told. Refuses to know where: a terminal, a page, a document.
"""

from __future__ import annotations

from collections.abc import Iterator
from string import ascii_lowercase

from ponder.evaluation.items import QuestionSet
from ponder.evaluation.summary import Row, Summary

COLUMNS = ("", "condition", "right %", "95 %", "think", "all", "less first", "fixed/broke")
"""Of the short table, which fits into 80 characters."""


def label(at: int) -> str:
    """The mark of a row in a curve: a, b, c..."""
    return ascii_lowercase[at] if at < len(ascii_lowercase) else f"{at + 1}"


def rows(summary: Summary) -> list[tuple[str, ...]]:
    """The cells of the short table."""
    return [
        (
            label(at),
            called(row),
            f"{100 * row.accuracy:.1f}",
            f"{100 * row.interval.low:.0f}-{100 * row.interval.high:.0f}",
            f"{row.tokens.think:,.0f}",
            f"{row.tokens.total:,.0f}",
            *_against(row),
        )
        for at, row in enumerate(summary.rows)
    ]


def called(row: Row) -> str:
    """A condition's name, with what it came to where that is not in it: `low (90)`."""
    said = row.cap and str(row.cap) not in row.condition
    return f"{row.condition} ({row.cap:,})" if said else row.condition


def _against(row: Row) -> tuple[str, str]:
    if (found := row.against) is None:
        return "", ""
    low, high = found.interval
    return (
        f"{100 * found.value:+.1f} ({100 * low:+.1f} {100 * high:+.1f})",
        f"{found.fixed}/{found.broken}",
    )


def votes(summary: Summary) -> list[str]:
    """pass@k and cons@k of the conditions that have several samples, a line each."""
    return [
        f"{row.condition}, {row.samples} samples: "
        + ", ".join(f"pass@{k} {100 * value:.1f}" for k, value in row.passes.items())
        + "; "
        + ", ".join(f"cons@{k} {100 * value:.1f}" for k, value in row.cons.items() if k > 1)
        for row in summary.rows
        if row.cons
    ]


def s1(summary: Summary) -> str:
    """s1's three figures in one line."""
    parts = []
    if summary.control is not None:
        parts.append(f"Control {100 * summary.control:.0f} %")
    if summary.scaling is not None:
        parts.append(f"Scaling {summary.scaling:+.1f} points per 1,000 thinking tokens")
    if summary.performance is not None:
        parts.append(f"Performance {100 * summary.performance:.1f} %")
    return ", ".join(parts)


def held(summary: Summary) -> str:
    """What budgets promise, over all traces."""
    rows = summary.rows
    told = (
        f"closed {_worst(row.closed for row in rows)}, answered "
        f"{_worst(row.answered for row in rows)}, at most "
        f"{max(row.overshoot for row in rows)} thinking tokens over a budget"
    )
    refused = sum(row.refused for row in rows)
    return f"{told}; {refused} not asked, because they do not fit" if refused else told


def _worst(shares: Iterator[float]) -> str:
    """The least of some shares; 100 % means all of them."""
    least = min(shares)
    return "100 %" if least == 1 else f"{100 * least:.2f} %"


def faults(questions: QuestionSet, most: int = 5) -> list[str]:
    """Lines of the set that were passed over, and why."""
    told = []
    for what, found in (
        ("no question", questions.malformed),
        ("no key that can be read, not asked", questions.keyless),
    ):
        if found:
            more = f"; and {len(found) - most} more" if len(found) > most else ""
            lines = "; ".join(map(str, found[:most]))
            told.append(f"{len(found)} of {questions.name} ({what}): {lines}{more}")
    return told


MEANINGS = (
    ("right %", "the share of right answers; with several samples of a question, pass@1"),
    (
        "95 %",
        "bounds of that share: Wilson's, or with several samples a bootstrap over questions",
    ),
    ("think", "thinking tokens of a question, mean: what the model sampled before its answer"),
    (
        "all",
        "all tokens, mean: thinking, answer, what ponder put in, what was probed or withdrawn",
    ),
    (
        "less first",
        "the accuracy less that of the first condition in percentage points, and its 95 % bounds: "
        "a paired bootstrap over the same questions, 10,000 resamples. Bounds on both sides of 0 "
        "show no difference",
    ),
    ("fixed/broke", "answers that are right here and wrong there, and the other way round"),
    (
        "Control",
        "the share of budgets that the mean thinking kept to (s1, equation 1); the line on what "
        "was held tells it of single traces",
    ),
    (
        "Scaling",
        "the mean slope between every two conditions, in percentage points for 1,000 thinking "
        "tokens (s1, equation 2)",
    ),
    ("Performance", "the best accuracy of any condition (s1, equation 3)"),
    (
        "cons@k",
        "how often the most frequent answer of k samples is right, over all choices of k of them",
    ),
)
"""What the figures mean."""
