"""A small evaluation that suggests an effort for one model on one machine.

Knows which questions it takes, and from which figures a suggestion follows. Refuses to know how
long somebody is ready to wait, and never sets anything. Some dozens of questions tell a budget
that spoils answers from one that does not; they do not tell two that differ by a few points.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ponder.equality import Comparer
from ponder.evaluation.conditions import Condition
from ponder.evaluation.items import Item
from ponder.evaluation.journal import Results
from ponder.evaluation.measuring import measure
from ponder.evaluation.summary import Row
from ponder.session import Session
from ponder.thinking.effort import QUANTILES, Wish
from ponder.thinking.learned import Learned
from ponder.types import Budget, Sampling

NATURAL = Condition()
CONDITIONS = (NATURAL, *(Condition(Wish(effort)) for effort in QUANTILES))
"""Without a budget first: what efforts mean follows from it."""
ALONE = 4
"""Questions that are asked one by one, so that a step's time is known without company too."""
_TIME = "Give it more time: --within 30m."
MARGIN = 0.05
"""Of the questions, how many a budget may cost: one in twenty."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What to make the default, and why."""

    cap: str | None
    """An effort; None: nothing can be said."""
    reasons: tuple[str, ...]
    """Two lines at most."""


def calibrate(
    session: Session,
    items: Sequence[Item],
    results: Results,
    base: Budget,
    sampling: Sampling,
    comparer: Comparer,
    tell: Callable[[int, int], None],
    enough: Callable[[], bool],
) -> None:
    """Ask the questions, some of them alone; length and step model learn from every one.

    Args:
        session: with the model, and nothing said in it but a system prompt.
        items: what to ask.
        results: what comes is added.
        base: what holds for every condition.
        sampling: of each question.
        comparer: says whether an answer is the key.
        tell: told (results, of how many).
        enough: whether the time is up.

    Raises:
        PonderError: the engine failed.
    """
    for at in range(min(ALONE, len(items))):
        measure(session, items[: at + 1], (NATURAL,), results, base, sampling, comparer)
        if enough():
            return
    every = (base, sampling, comparer)
    measure(session, items, CONDITIONS, results, *every, tell=tell, enough=enough)


def suggestion(rows: Sequence[Row], learned: Learned) -> Suggestion:
    """The cheapest effort that answers about as many questions as no budget does.

    Args:
        rows: what came out, without a budget first.
        learned: of this model and machine.
    """
    if not rows or rows[0].condition != NATURAL.name:
        return Suggestion(None, ("No question was answered in that time.", _TIME))
    natural, efforts = rows[0], {Condition(Wish(effort)).name: effort for effort in QUANTILES}
    if not learned.thinking.enough:
        return Suggestion(
            None,
            (
                f"Only {sum(learned.thinking.ended):,.0f} thoughts came to their end, too few to "
                "say what low, medium and high mean for this model.",
                _TIME,
            ),
        )
    if not natural.accuracy:
        return Suggestion(
            None, ("It answers none of these questions, so they cannot tell budgets apart.",)
        )
    tried = [row for row in rows[1:] if row.questions == natural.questions]
    if not tried:
        return Suggestion(None, ("No budget was tried on all questions in that time.", _TIME))
    fit = [row for row in tried if row.against is not None and row.against.value >= -MARGIN]
    if not fit:
        return Suggestion(
            "max",
            (
                f"Every budget that was tried costs more than one answer in "
                f"{1 / MARGIN:.0f}: without one {_right(natural)} are right.",
                _cost(natural, natural, learned),
            ),
        )
    best = min(fit, key=lambda row: row.tokens.think)
    return Suggestion(
        efforts[best.condition],
        (
            f"With at most {best.cap:,} thinking tokens {_right(best)} are right, "
            f"without a budget {_right(natural)}.",
            _cost(best, natural, learned),
        ),
    )


def _right(row: Row) -> str:
    return f"{row.accuracy * row.questions:.0f} of {row.questions}"


def _cost(row: Row, natural: Row, learned: Learned) -> str:
    steps = row.tokens.think + row.tokens.answer
    told = f"It thinks {row.tokens.think:,.0f} tokens a question"
    if row is not natural and natural.tokens.think:
        told += f", {1 - row.tokens.think / natural.tokens.think:.0%} less"
    if learned.steps.known:
        # Halfway through an answer half of its tokens are in the context.
        told += (
            f"; one asked alone takes about {steps * learned.steps.expected(1, steps / 2):.2g} s"
        )
    return f"{told}."
