"""A report of a bank in words: Markdown tables, and accuracy against all tokens as a curve.

Knows how figures are told. Every table says what its figures are of, how sure they are, and which
command repeats them.
"""

from __future__ import annotations

from collections.abc import Sequence

from ponder.evaluation import plots
from ponder.evaluation.reports.markdown import standalone
from ponder.evaluation.traces.estimating import RESAMPLES, Estimate
from ponder.evaluation.traces.form import Header
from ponder.evaluation.traces.measuring import MARGIN, Row
from ponder.evaluation.traces.reporting import Report

COLUMNS = (
    "policy", "right, %", "less natural", "thinking", "all tokens", "saved", "of thinking saved",
    "of the oracle's", "less cuts as dear",
)  # fmt: skip


def cells(row: Row, oracle: Row | None = None) -> tuple[str, ...]:
    """A row of the tables, its columns as in `COLUMNS`."""
    return (
        row.name,
        _percent(row.right),
        _points(row.against),
        f"{row.think:,.0f}",
        f"{row.total:,.0f}",
        f"{row.saving.value:.1%}",
        f"{row.think_saving:.1%}",
        "" if oracle is None else _share(row.saving.value, oracle.saving.value),
        "" if row.beside is None else _points(row.beside),
    )


def brief(row: tuple[str, ...]) -> tuple[str, ...]:
    """The cells for which a terminal has room."""
    name, right, against, think, total, saved, _, oracle, _ = row
    return name, right.partition(" [")[0], against, think, total, saved, oracle


def sections(found: Report) -> list[tuple[str, list[tuple[str, ...]]]]:
    """All tables, each with its heading; empty ones are left out."""
    first = found.oracles[0]
    told = [
        ("Fixed", [cells(found.natural), *map(cells, found.cuts), *map(cells, found.bare)]),
        ("In hindsight", [cells(row, first) for row in found.oracles]),
        ("Rules as they are set by default", [cells(row, first) for row in found.rules]),
        (
            "Rules with thresholds chosen on the other half of the questions",
            [cells(found.half, found.half), *(cells(one.row, found.half) for one in found.chosen)],
        ),
        ("Votes", [cells(row) for row in found.votes]),
        ("Live", [cells(row) for row in found.live]),
    ]
    return [(heading, rows) for heading, rows in told if rows]


def markdown(found: Report, command: str, plot: str) -> str:
    """The whole report.

    Args:
        found: what the bank came to.
        command: what repeats it.
        plot: the name of the picture beside it.
    """
    lines = [f"# Traces of {found.bank.header.model}, replayed", "", *about(found), ""]
    lines += [f"![Accuracy against all tokens]({plot})", ""]
    for heading, rows in sections(found):
        lines += [f"## {heading}", "", *_table(rows), ""]
    lines += ["```", command, "```", ""]
    return "\n".join(lines)


def about(found: Report) -> list[str]:
    """What the figures are of, and how to read them."""
    header = found.bank.header
    return [
        _source(header),
        f"In brackets: 95 % of {RESAMPLES:,} paired bootstraps over questions. *Less natural*: "
        "accuracy in points, less that of the thoughts that nobody stopped. *All tokens*: "
        "thinking, answer, what was forced, looks on the way, dropped traces; the prompt is not "
        "counted. "
        "*Less cuts as dear*: accuracy less that of cuts which cost the same on average. *Of the "
        "oracle's*: the share of what the first oracle saves in all tokens. A rule's setting was "
        f"chosen for what it saves among those that lose less than {MARGIN:.0%} with confidence.",
    ]


def _source(header: Header) -> str:
    return (
        f"{header.questions:,} questions ({header.source}), {header.seeds} traces each at "
        f"temperature {header.sampling.temperature:g}; {header.engine}, context "
        f"{header.context:,}, {header.at_once} at once, a look every {header.every} tokens and at "
        f"every sentence's end; weights {header.sha256[:12]}."
    )


def svg(found: Report) -> str:
    """Accuracy against all tokens, as a file of its own."""
    named = [
        (found.natural, "natural"),
        *((row, row.name.rpartition(" ")[2]) for row in found.cuts),
        (found.oracles[0], "oracle"),
        *((row, row.name.partition(":")[0]) for row in found.rules),
        *((row, row.name.split(",")[0]) for row in found.votes if row.name.endswith("0.95")),
        *((row, row.name) for row in found.live),
    ]
    marks = [
        plots.Mark(
            row.total,
            100 * row.right.value,
            100 * row.right.low,
            100 * row.right.high,
            label,
            f"{row.name}: {row.right.value:.1%} with {row.total:,.0f} tokens",
        )
        for row, label in named
    ]
    title = f"Accuracy against all tokens, {found.bank.header.model}"
    return standalone(plots.curve(title, "all tokens of a question, mean", "right, %", marks))


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    rule = ["---", *["---:"] * (len(COLUMNS) - 1)]
    return ["| " + " | ".join(cells) + " |" for cells in (COLUMNS, rule, *rows)]


def _percent(found: Estimate) -> str:
    return f"{100 * found.value:.1f} [{100 * found.low:.1f}, {100 * found.high:.1f}]"


def _points(found: Estimate) -> str:
    return f"{100 * found.value:+.1f} [{100 * found.low:+.1f}, {100 * found.high:+.1f}]"


def _share(saving: float, most: float) -> str:
    return f"{saving / most:.0%}" if most > 0 else ""
