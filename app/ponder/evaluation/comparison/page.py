"""A comparison as one page of HTML, in the frame that `ponder.pages` has."""

from __future__ import annotations

from html import escape

from ponder.evaluation.comparison import Report, Side
from ponder.evaluation.comparison.divergence import EDGES, Estimate, TextFigures
from ponder.evaluation.comparison.reasoning import Outcome, ReasoningFigures
from ponder.evaluation.plots import bars, dots, line
from ponder.pages import table, whole


def page(report: Report) -> str:
    """The whole page."""
    title = f"{report.other.name} against {report.base.name}"
    parts = [
        f"<h1>{escape(title)}</h1>",
        table(("file", "size"), [_side(report.base), _side(report.other)]),
    ]
    if report.text is not None:
        parts += _text(report.text)
    if report.reasoning is not None:
        parts += _reasoning(report.reasoning)
    if report.note:
        parts.append(f"<p>{escape(report.note)}</p>")
    return whole(title, parts)


def _side(side: Side) -> tuple[str, str]:
    return side.name, f"{side.size / 1e6:,.1f} MB"


def _text(found: TextFigures) -> list[str]:
    kl, chunks, same = found.kl, found.chunks, found.same_top
    return [
        "<h2>On a text</h2>",
        f"<p>{escape(found.text)}: {len(chunks):,} chunks of {found.chunk:,} tokens, "
        f"{found.places:,} of which were predicted.</p>",
        table(("", "value", "±"), [
            ("perplexity, base", *_told(found.base_perplexity, 4)),
            ("perplexity, other", *_told(found.other_perplexity, 4)),
            ("perplexity, other / base", *_told(found.ratio, 5)),
            ("KL divergence, mean (nats)", *_told(kl.mean, 6)),
            ("KL divergence, median", f"{kl.median:.6f}", ""),
            ("KL divergence, 90 % are below", f"{kl.p90:.6f}", ""),
            ("KL divergence, 99 % are below", f"{kl.p99:.6f}", ""),
            ("KL divergence, 99.9 % are below", f"{kl.p999:.6f}", ""),
            ("KL divergence, most", f"{kl.most:.6f}", ""),
            ("same most likely token", f"{same.value:.2%}", f"{same.error:.2%}"),
        ]),
        bars("KL divergence at each token", "nats", "tokens", EDGES, found.histogram),
        line("KL divergence, mean of each chunk", "chunk", "nats", [c.kl for c in chunks]),
        line(
            "ln(perplexity of other / base) of each chunk", "chunk", "",
            [c.log_ratio for c in chunks],
        ),
    ]  # fmt: skip


def _reasoning(found: ReasoningFigures) -> list[str]:
    ratio, middle = found.length_ratio, found.median_length_ratio
    pairs = [(float(a.think), float(b.think)) for a, b in zip(found.base, found.other, strict=True)]
    return [
        "<h2>On questions</h2>",
        f"<p>{len(found.questions):,} questions with known answers, the same seeds.</p>",
        table(("", "base", "other"), [
            ("right", f"{found.base_right:.0%}", f"{found.other_right:.0%}"),
            ("stuck in a loop", f"{found.base_loops:.0%}", f"{found.other_loops:.0%}"),
            ("same answer from both", "", f"{found.agreement:.0%}"),
            ("thinking tokens, all, other / base", "", "" if ratio is None else f"{ratio:.3f}"),
            ("the same, median of questions", "", "" if middle is None else f"{middle:.3f}"),
        ]),
        dots("Thinking tokens of each question", "base", "other", pairs),
        table(("question", "base", "other"), [
            (question, _outcome(a), _outcome(b))
            for question, a, b in zip(found.questions, found.base, found.other, strict=True)
        ]),
    ]  # fmt: skip


def _outcome(outcome: Outcome) -> str:
    stuck = ", loops" if outcome.loops else ""
    mark = "✓" if outcome.right else "✗"
    answer = "none" if outcome.answer is None else outcome.answer[:40]
    return f"{answer} {mark} ({outcome.think:,} tokens, {outcome.finish}{stuck})"


def _told(estimate: Estimate, digits: int) -> tuple[str, str]:
    return f"{estimate.value:,.{digits}f}", f"{estimate.error:,.{digits}f}"
