"""Fresh arithmetic questions with known answers, without end.

Knows which kinds there are, how common each is and how long it may be: the shares are those
that the built-in model was trained on, and it has learned no other kind. Refuses to know
what becomes of a question.

    chain   orders about a number       "Start with 7. Double it. Then add 5. ..."
    expr    a bare expression           "What is (12 + 30) × 4?"
    story   somebody's things           "Mia has 7 apples. She buys 5 more apples. ..."
    sop     a sum of products           "A hall has 12 rows of 30 seats in the left part ..."
    cmp     two people's heaps          "... Who has more apples?"
    clock   something that goes round   "A clock shows minute 7. 80 minutes pass. ..."
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ponder.errors import InputError, UnknownName
from ponder.evaluation.arithmetic import Draft, solve
from ponder.evaluation.dice import Dice
from ponder.evaluation.expressions import expression
from ponder.evaluation.stories import chain, clock, comparison, story
from ponder.evaluation.sums import sum_of_products


@dataclass(frozen=True, slots=True)
class Question:
    """Something to ask a model, and what it should say."""

    text: str
    """The question alone: no request to think, to box the answer or to be brief."""
    answer: str
    """A whole number without separators or unit, or the name of who has more."""
    kind: str
    """One of `KINDS`."""
    operations: int
    """How many operations it takes; finding out who has more counts as one."""


@dataclass(frozen=True, slots=True)
class _Kind:
    write: Callable[[Dice, int], Draft | None]
    share: int
    """How many of 104 questions of all lengths are of this kind."""
    lengths: range
    """Numbers of operations that it can be written with."""


_SHARES = {1: 6, 2: 14, 3: 14, 4: 14, 5: 14, 6: 13, 7: 13, 8: 12}
_ALL = range(1, 9)
_KINDS = {
    "chain": _Kind(chain, 18, _ALL),
    "expr": _Kind(expression, 24, _ALL),
    "story": _Kind(story, 22, _ALL),
    "sop": _Kind(sum_of_products, 24, _ALL),
    "cmp": _Kind(comparison, 10, range(2, 9)),
    "clock": _Kind(clock, 6, range(1, 7)),
}
KINDS = tuple(_KINDS)
"""All kinds of question; the docstring of this module has an example of each."""


def questions(
    seed: int,
    *,
    operations: range | Sequence[int] = range(2, 9),
    kinds: Sequence[str] = KINDS,
) -> Iterator[Question]:
    """Return endless questions; the same arguments give the same questions for ever.

    Length and kind are drawn for each question, so a long prefix has the training's shares
    of whatever was asked for. Short questions may come up twice.

    Args:
        seed: any number; different seeds give unrelated questions.
        operations: the lengths to choose from, each from 1 to 8. Comparisons need 2 and
            clocks stop at 6: a kind is left out at lengths it cannot have.
        kinds: the kinds to choose from, of `KINDS`.

    Raises:
        UnknownName: a kind is none of `KINDS`.
        InputError: no kind, no length, a length out of range, or no kind has such a length.

    """
    return (question for question, _ in drafted(seed, operations=operations, kinds=kinds))


def drafted(
    seed: int,
    *,
    operations: range | Sequence[int] = range(2, 9),
    kinds: Sequence[str] = KINDS,
) -> Iterator[tuple[Question, Draft]]:
    """Return what `questions` does, each with the steps that answer it."""
    # Checked here and not in the generator: an error belongs to the call that caused it.
    return _draw(Dice(seed), _choices(operations, kinds))


def _draw(dice: Dice, choices: dict[tuple[int, str], int]) -> Iterator[tuple[Question, Draft]]:
    pairs, weights = tuple(choices), tuple(choices.values())
    while True:
        length, kind = dice.weighted(pairs, weights)
        draft = _KINDS[kind].write(dice, length)
        # Numbers that outgrow a million, or two equal heaps: something else is drawn.
        answer = solve(draft) if draft else None
        if draft and answer is not None:
            yield Question(draft.text, answer, kind, length), draft


def _choices(operations: Sequence[int], kinds: Sequence[str]) -> dict[tuple[int, str], int]:
    """Return a weight for each length and kind that go together, in an order of their own."""
    for kind in kinds:
        if kind not in _KINDS:
            raise UnknownName("kind of question", kind, KINDS)
    for length in operations:
        if length not in _SHARES:
            raise InputError(f"No question has {length} operations.", "Ask for 1 to 8.")
    if not kinds:
        raise InputError("No kind of question is asked for.", f"There are {', '.join(KINDS)}.")
    if not operations:
        raise InputError("No number of operations is asked for.", "Ask for 1 to 8.")
    choices = {
        (length, name): _SHARES[length] * kind.share
        for length in _SHARES
        for name, kind in _KINDS.items()
        if length in operations and name in kinds and length in kind.lengths
    }
    if not choices:
        raise InputError(
            "No such kind of question has so many operations.",
            "Comparisons (cmp) have 2 to 8 of them, clocks 1 to 6.",
        )
    return choices
