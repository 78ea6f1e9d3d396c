"""Fresh arithmetic questions with known answers, without end.

Knows how common each sort of question is, how long it is, and what stands around it. Refuses to
know the words, which are the bank's (`bank/`), and what becomes of a question.

    expression   "What is (12 + 30) × 4?"
    a theme      a story of what happens to somebody's things, money, eggs, ...
    a problem    shopping, rates, percentages, clocks, ...: one question, told in several ways

Any of them may be asked politely, with slips of the keyboard, as a guess to be checked, or with
questions before it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from ponder.errors import InputError, UnknownName
from ponder.evaluation import wrapping
from ponder.evaluation.arithmetic import Draft, Exchange, evaluate
from ponder.evaluation.bank import drawing, stories
from ponder.evaluation.bank.blocks import Block, Theme
from ponder.evaluation.bank.collection import Bank, bank
from ponder.evaluation.bank.drawing import ANSWER, Problem, Redraw
from ponder.evaluation.bank.stories import Story
from ponder.evaluation.dice import Dice
from ponder.evaluation.difficulty import EASY, hardest
from ponder.evaluation.expressions import expression
from ponder.evaluation.spelling import misspell

EXPRESSION = "expression"
LONGEST = 8
"""Questions take so many operations at most."""

_SORTS = {"expressions": 20, "stories": 30, "problems": 50}
_LENGTHS = {1: 16, 2: 20, 3: 18, 4: 14, 5: 11, 6: 9, 7: 7, 8: 5}
_CHECKED, _CONTINUED, _REQUESTED, _MISSPELLED = 0.06, 0.08, 0.07, 0.15
_ANOTHER_TURN = 0.3
_EASY_LEFT_OUT = 0.6
"""Of the questions that a pupil answers in the head: most are, and a checker would starve."""
_TRIES = 12
_RARE = 3
"""Problems that are answered by a name, yes, no or a time are few, and drawn so much more often."""
_AFTER_ANY_NUMBER = "number-chain"
"""The theme whose follow-ups fit every number."""


@dataclass(frozen=True, slots=True)
class Question:
    """Something to ask a model, and what it should say."""

    text: str
    """The question alone: no request to think, to box the answer or to be brief."""
    answer: str
    """A number, an amount of money, a time, a name, yes or no: what stands in the box."""
    kind: str
    """One of `kinds()`."""
    operations: int
    """How many operations it takes; a comparison counts as one."""
    earlier: tuple[Exchange, ...] = ()
    """What was asked and answered before."""


@dataclass(frozen=True, slots=True)
class _Choices:
    """What a call of `drafted` may draw from."""

    bank: Bank
    lengths: frozenset[int]
    sorts: dict[str, int] = field(default_factory=dict)
    """Shares of the sorts of which there is something."""
    problems: list[Block] = field(default_factory=list)
    themes: list[tuple[int, Theme]] = field(default_factory=list)
    """Themes with the lengths that they can have."""
    weights: list[int] = field(default_factory=list)


def kinds() -> tuple[str, ...]:
    """Return all kinds of question."""
    whole = bank()
    found = {block.kind for block in whole.problems} | {theme.name for theme in whole.themes}
    return (EXPRESSION, *sorted(found))


def questions(
    seed: int,
    *,
    operations: range | Sequence[int] = range(1, LONGEST + 1),
    kinds: Collection[str] | None = None,
) -> Iterator[Question]:
    """Return endless questions; the same arguments give the same questions for ever.

    Args:
        seed: any number; different seeds give unrelated questions.
        operations: the lengths to choose from, each from 1 to `LONGEST`.
        kinds: the kinds to choose from; all of `kinds()` if not given.

    Raises:
        UnknownName: a kind is none of `kinds()`.
        InputError: no kind, no length, a length out of range, or no kind has such a length.
    """
    return (question for question, _ in drafted(seed, operations=operations, kinds=kinds))


def drafted(
    seed: int,
    *,
    operations: range | Sequence[int] = range(1, LONGEST + 1),
    kinds: Collection[str] | None = None,
) -> Iterator[tuple[Question, Draft]]:
    """Return what `questions` does, each with the draft that it comes from."""
    return (
        (Question(d.text, d.answer, d.kind, d.operations, d.earlier), d)
        for d in drafts(seed, operations=operations, kinds=kinds)
    )


def drafts(
    seed: int,
    *,
    operations: range | Sequence[int] = range(1, LONGEST + 1),
    kinds: Collection[str] | None = None,
) -> Iterator[Draft]:
    """Return what `questions` does, as drafts: with the steps that answer them.

    Raises:
        UnknownName: a kind is none of `kinds()`.
        InputError: no kind, no length, a length out of range, or no kind has such a length.
    """
    # Checked here and not in the generator: an error belongs to the call that caused it.
    return _draw(Dice(seed), _choices(operations, kinds))


def _draw(dice: Dice, choices: _Choices) -> Iterator[Draft]:
    while True:
        with suppress(Redraw):
            draft = _asked(dice, choices)
            if not (dice.chance(_EASY_LEFT_OUT) and _easy(draft)):
                yield draft


def _easy(draft: Draft) -> bool:
    results = evaluate(draft.steps)
    return not results or hardest(draft.steps, results) == EASY


def _asked(dice: Dice, choices: _Choices) -> Draft:
    """Return a question with what stands around it.

    Raises:
        Redraw: what was drawn does not go together, again and again.
    """
    chance = dice.between(0, 999) / 1000
    for _ in range(_TRIES):
        # What stands around a question is drawn first: hard ones are not to become rarer.
        with suppress(Redraw):
            draft = _dressed(dice, choices, _base(dice, choices), chance)
            return _misspelled(dice, draft) if dice.chance(_MISSPELLED) else draft
    raise Redraw("nothing goes together")


def _dressed(dice: Dice, choices: _Choices, base: Draft | Story | Problem, chance: float) -> Draft:
    draft = base if isinstance(base, Draft) else base.draft
    phrases = choices.bank.phrases
    if chance < _CHECKED:
        return wrapping.guessed(dice, draft, phrases)
    if chance < _CHECKED + _CONTINUED:
        return _continued(dice, choices, base)
    if chance < _CHECKED + _CONTINUED + _REQUESTED:
        return wrapping.requested(dice, draft, phrases)
    return draft


def _base(dice: Dice, choices: _Choices) -> Draft | Story | Problem:
    match dice.weighted(tuple(choices.sorts), tuple(choices.sorts.values())):
        case "expressions":
            lengths = sorted(choices.lengths)
            length = dice.weighted(lengths, [_LENGTHS[length] for length in lengths])
            return _expression(dice, choices.bank, length)
        case "stories":
            length, theme = dice.weighted(choices.themes, choices.weights)
            return stories.compose(dice, choices.bank.lexicon, theme, length)
        case _:
            return drawing.problem(dice, choices.bank.lexicon, dice.pick(choices.problems))


def _expression(dice: Dice, source: Bank, operations: int) -> Draft:
    written = expression(dice, operations)
    if written is None:
        raise Redraw("no expression")
    phrase = dice.pick(source.phrases["expr"])
    text = wrapping.filled(dice, phrase.text, {"e": written.text})
    said = phrase.says or dice.pick(source.phrases["result"]).text
    says = wrapping.filled(dice, said, {"e": written.text, "=": ANSWER})
    steps = tuple(written.working.steps)
    return Draft(text, steps, None, says, "number", written.answer, EXPRESSION)


def _continued(dice: Dice, choices: _Choices, base: Draft | Story | Problem) -> Draft:
    """Return what is asked after `base`, one to three turns later."""
    draft = _next(dice, choices, base)
    while len(draft.earlier) < 3 and dice.chance(_ANOTHER_TURN):
        draft = _next(dice, choices, draft)
    if draft.operations not in choices.lengths:
        raise Redraw("too short")
    return draft


def _next(dice: Dice, choices: _Choices, base: Draft | Story | Problem) -> Draft:
    draft = base if isinstance(base, Draft) else base.draft
    earlier = (*draft.earlier, wrapping.exchanged(draft))
    if isinstance(base, Story) and base.goes_on and base.theme.mores:
        return stories.go_on(base, earlier).draft
    if isinstance(base, Problem) and (draft.form != "number" or dice.chance(0.6)):
        changed = drawing.change(base)
        phrase = dice.pick(choices.bank.phrases["instead"]).text
        text = wrapping.filled(dice, phrase, {"old": changed.old, "new": changed.new})
        return replace(changed.draft, text=text, earlier=earlier)
    theme = next(theme for theme in choices.bank.themes if theme.name == _AFTER_ANY_NUMBER)
    return stories.after_number(dice, choices.bank.lexicon, theme, draft, earlier)


def _misspelled(dice: Dice, draft: Draft) -> Draft:
    earlier = tuple(
        replace(exchange, question=misspell(dice, exchange.question)) for exchange in draft.earlier
    )
    return replace(draft, text=misspell(dice, draft.text), earlier=earlier)


def _answers_with_a_number(block: Block) -> bool:
    slots = [slot for says in block.says.values() for slot in says.slots()]
    return block.verdict is None and not any(slot.format.startswith("clock") for slot in slots)


def _choices(operations: Sequence[int], wanted: Collection[str] | None) -> _Choices:
    known = kinds()
    asked = known if wanted is None else tuple(wanted)
    for kind in asked:
        if kind not in known:
            raise UnknownName("kind of question", kind, known)
    for length in operations:
        if length not in _LENGTHS:
            raise InputError(f"No question has {length} operations.", f"Ask for 1 to {LONGEST}.")
    if not asked:
        raise InputError("No kind of question is asked for.", f"There are {', '.join(known)}.")
    if not operations:
        raise InputError("No number of operations is asked for.", f"Ask for 1 to {LONGEST}.")
    choices = _Choices(bank(), frozenset(operations))
    for block in choices.bank.problems:
        if block.kind in asked and block.operations in operations:
            choices.problems.extend([block] * (1 if _answers_with_a_number(block) else _RARE))
    for theme in choices.bank.themes:
        if theme.name in asked:
            reachable = sorted(stories.lengths(theme) & choices.lengths)
            total = sum(_LENGTHS[length] for length in reachable)
            for length in reachable:
                choices.themes.append((length, theme))
                choices.weights.append(1000 * _LENGTHS[length] // total)
    there = {
        "expressions": EXPRESSION in asked,
        "stories": bool(choices.themes),
        "problems": bool(choices.problems),
    }
    choices.sorts.update({sort: share for sort, share in _SORTS.items() if there[sort]})
    if not choices.sorts:
        raise InputError(
            "No such kind of question has so many operations.",
            "Ask for other lengths, or for other kinds.",
        )
    return choices
