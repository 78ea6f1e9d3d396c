"""An evaluation as one page of HTML, in the frame that `ponder.pages` has."""

from __future__ import annotations

from html import escape

from ponder.evaluation.reports.drawing import drawn
from ponder.evaluation.reports.words import COLUMNS, MEANINGS, faults, held, rows, s1, votes
from ponder.evaluation.summary import Summary, Tokens
from ponder.pages import table, terms, whole


def page(summary: Summary) -> str:
    """The whole page."""
    title = f"{summary.model} on {summary.questions.name}"
    asked = max(row.questions for row in summary.rows)
    parts = [
        f"<h1>{escape(title)}</h1>",
        f"<p>{asked:,} questions with known answers, {len(summary.rows)} conditions.</p>",
        drawn(summary),
        table(COLUMNS, rows(summary), words=2),
        *(f"<p>{escape(line)}.</p>" for line in (s1(summary), held(summary), *votes(summary))),
        *(f"<p>{escape(line)}.</p>" for line in faults(summary.questions)),
        "<h2>Tokens of a question, means</h2>",
        table(
            ("condition", "thinking", "forced", "probed", "withdrawn", "answer", "all"),
            [
                (row.condition, *(f"{count:,.1f}" for count in _tokens(row.tokens)))
                for row in summary.rows
            ],
        ),
    ]
    if any(len(row.kinds) > 1 for row in summary.rows):
        kinds = sorted({kind for row in summary.rows for kind in row.kinds})
        parts += [
            "<h2>Right, by kind of question</h2>",
            table(
                ("kind", *(row.condition for row in summary.rows)),
                [(kind, *(_share(row.kinds.get(kind)) for row in summary.rows)) for kind in kinds],
            ),
        ]
    parts += [
        "<h2>What the figures mean</h2>",
        terms(MEANINGS),
        "<h2>How to repeat it</h2>",
        f"<pre>{escape(summary.command)}</pre>",
        terms(summary.settings.items()),
    ]
    return whole(title, parts)


def _tokens(tokens: Tokens) -> tuple[float, ...]:
    return tokens.think, tokens.forced, tokens.probe, tokens.wasted, tokens.answer, tokens.total


def _share(found: tuple[int, int] | None) -> str:
    return "" if found is None else f"{found[0]}/{found[1]}"
