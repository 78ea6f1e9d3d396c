"""An evaluation as Markdown, for documents that are kept: the table, and where its plot is."""

from __future__ import annotations

from html import escape

from ponder.evaluation.reports.drawing import drawn
from ponder.evaluation.reports.words import COLUMNS, held, rows, s1, votes
from ponder.evaluation.summary import Summary

_COLOURS = (
    "<style>svg { background: #fff; } text { fill: #62626e; font: 12px sans-serif; }"
    ".grid { fill: none; stroke: #dcdce4; } .bar { stroke: #c2551d; stroke-opacity: .4; "
    "stroke-width: 2; } .other { fill: #c2551d; }</style>"
)


def markdown(summary: Summary, plot: str) -> str:
    """A section of a document.

    Args:
        summary: what was found.
        plot: the name of the file that `svg` was written to, beside the document.
    """
    aligned = "|---|---|" + "---:|" * (len(COLUMNS) - 2)
    lines = [
        f"## {summary.model} on {summary.questions.name}",
        "",
        f"![Accuracy against thinking tokens]({plot})",
        "",
        f"| {' | '.join(COLUMNS)} |",
        aligned,
        *(f"| {' | '.join(escape(cell).replace('|', '&#124;') for cell in row)} |"
          for row in rows(summary)),
        "",
        *(f"{line}.\n" for line in (s1(summary), held(summary), *votes(summary)) if line),
        "Repeat it with:",
        "",
        f"    {summary.command}",
        "",
    ]  # fmt: skip
    return "\n".join(lines)


def svg(summary: Summary) -> str:
    """The plot as a file of its own."""
    return standalone(drawn(summary))


def standalone(figure: str) -> str:
    """A figure of a page as a file of its own, with colours of its own."""
    inner = figure[figure.index("<svg") : figure.index("</figure>")]
    head, _, rest = inner.partition(">")
    head = head.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg" width="640"')
    return f"{head}>{_COLOURS}{rest}\n"
