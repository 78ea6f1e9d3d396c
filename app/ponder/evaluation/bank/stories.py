"""Composes stories: a start, what happens next, something beside the point, a question.

Knows how blocks of a theme go together, and how people tell things in a row. Refuses to know
what a theme is about.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from ponder.evaluation.arithmetic import Draft, Exchange, Number, evaluate
from ponder.evaluation.bank.blocks import RUNNING, Block, Person, Theme, Wording
from ponder.evaluation.bank.drawing import Redraw, answered, work
from ponder.evaluation.bank.lexicon import Lexicon
from ponder.evaluation.bank.scene import Scene
from ponder.evaluation.dice import Dice

MOST_EVENTS = 6
_TRIES = 8
_FIRST_PERSON = 0.38
_NOISE = 0.22
_CASUAL = 0.2
_LINKED = 0.3
_ASKED_FIRST = 0.04
_OTHERS = ("B", "C", "D", "E")

_LINKS = ("Then ", "Then ", "Next, ", "After that, ", "Later ", "And then ", "Afterwards ")
_LINKABLE = re.compile(
    r"(?:He|She|I|We|My|His|Her|They|The|Another|Add|Subtract|Take|Multiply|Divide|Double|Triple"
    r"|Halve|Increase|Reduce|Make) "
)
_ALREADY = re.compile(r"\b(?:then|next|later|after|afterwards|now)\b", re.IGNORECASE)
_SMALL_I = re.compile(r"\bi\b(?=[\s',.?!]|$)")
_CLOSED = (".", "?", "!", "...", ":")
_ADDRESSED = re.compile(r"\b[Yy]our?s?\b")


@dataclass(frozen=True, slots=True)
class Story:
    """A story that was asked, and the scene in which it can go on."""

    draft: Draft
    scene: Scene
    theme: Theme
    person: Person
    goes_on: bool
    """Whether the answer is the running quantity, so that a follow-up may change it."""


def compose(dice: Dice, lexicon: Lexicon, theme: Theme, operations: int) -> Story:
    """Return a story of so many operations.

    Raises:
        Redraw: the blocks and numbers that were drawn do not come to that.
    """
    scene = Scene(dice, lexicon)
    person: Person = "first" if dice.chance(_FIRST_PERSON) else "third"
    start, ask = dice.pick(theme.starts), dice.pick(theme.asks)
    left = operations - start.operations - ask.operations
    if left < 0:
        raise Redraw("too long")
    told = [_tell(scene, start, person)]
    scene.forget(*_OTHERS)  # what they have was told, and no event is to contradict it
    used: set[int] = set()
    for _ in range(MOST_EVENTS):
        if left > 0:
            event, sentence = _happen(scene, theme, person, left, used)
            left -= event.operations
            told.append(_linked(dice, scene.shortened(sentence, told[-1])))
    if left:
        raise Redraw("too short")
    if theme.noises and dice.chance(_NOISE):
        noise = dice.pick(theme.noises)
        told.insert(dice.between(1, len(told)), _tell(scene, noise, person))
    work(scene, ask)
    wording = _wording(dice, ask, person, answers=True)
    question = scene.write(wording.text, proper=wording.proper)
    if dice.chance(_ASKED_FIRST):
        told.insert(0, question)
    else:
        told.append(question)
    text = _joined(told, casual=dice.chance(_CASUAL))
    draft = answered(scene, ask, wording, text, theme.name)
    return Story(draft, scene, theme, person, goes_on=not ask.operations)


def go_on(story: Story, earlier: tuple[Exchange, ...]) -> Story:
    """Return what is asked next, after the story was answered.

    Raises:
        Redraw: the theme has nothing that fits.
    """
    scene, dice = story.scene, story.scene.dice
    if not (story.goes_on and story.theme.mores):
        raise Redraw("nothing more")
    more = dice.pick(story.theme.mores)
    wording = _wording(dice, more, story.person, answers=True)
    scene.begin_anew()
    before = scene.numbers[RUNNING]
    work(scene, more)
    _check(before, scene.numbers[RUNNING])
    text = scene.write(wording.text, proper=wording.proper)
    draft = answered(scene, more, wording, text, story.theme.name)
    return replace(story, draft=replace(draft, earlier=earlier))


def telling(dice: Dice, lexicon: Lexicon, theme: Theme, block: Block, wording: Wording) -> Draft:
    """Return the shortest story that tells this block in these words.

    Raises:
        Redraw: what else was drawn does not go with it.
    """
    scene = Scene(dice, lexicon)
    person: Person = "first" if dice.chance(0.5) else "third"
    if wording.person != "either":
        person = wording.person
    start = block if block.role == "start" else dice.pick(theme.starts)
    told = [_tell(scene, start, person, wording if start is block else None)]
    scene.forget(*_OTHERS)
    if block.role in ("event", "noise"):
        before = scene.numbers[RUNNING]
        told.append(_tell(scene, block, person, wording))
        _check(before, scene.numbers[RUNNING])
    ask = block if block.role in ("ask", "more") else dice.pick(theme.asks)
    if ask is block:
        if _speaks_to_others(block, wording, person):
            raise Redraw("the answer speaks to somebody else")
    else:
        wording = _wording(dice, ask, person, answers=True)
    if block.role == "more":
        scene.begin_anew()
        told = []
    told.append(_tell(scene, ask, person, wording))
    return answered(scene, ask, wording, " ".join(told), theme.name)


def after_number(
    dice: Dice, lexicon: Lexicon, theme: Theme, draft: Draft, earlier: tuple[Exchange, ...]
) -> Draft:
    """Return what is asked next after any question that was answered by a number.

    Raises:
        Redraw: it was not, or nothing fits that number.
    """
    results = evaluate(draft.steps)
    if draft.form != "number" or not results:
        raise Redraw("no number")
    scene = Scene(dice, lexicon)
    scene.numbers[RUNNING] = results[-1]
    return go_on(Story(draft, scene, theme, "first", goes_on=True), earlier).draft


def lengths(theme: Theme) -> set[int]:
    """Return how many operations a story of this theme can take."""
    steps = {event.operations for event in theme.events}
    asks = {ask.operations for ask in theme.asks}
    reached = {start.operations + ask for start in theme.starts for ask in asks}
    found = set(reached)
    for _ in range(MOST_EVENTS):
        reached = {length + step for length in reached for step in steps}
        found |= reached
    return found - {0}


def _tell(scene: Scene, block: Block, person: Person, wording: Wording | None = None) -> str:
    wording = wording or _wording(scene.dice, block, person)
    work(scene, block)
    return scene.write(wording.text, proper=wording.proper)


def _happen(
    scene: Scene, theme: Theme, person: Person, longest: int, used: set[int]
) -> tuple[Block, str]:
    """Have something happen that fits what there is, and is not told in the same words again."""
    for _ in range(_TRIES):
        event = scene.dice.pick(theme.events)
        if event.operations > longest:
            continue
        before, kept = scene.numbers[RUNNING], scene.save()
        try:
            wording = _wording(scene.dice, event, person)
            if wording.line in used:
                continue
            if scene.dice.chance(0.5):
                scene.forget(*_OTHERS)
            work(scene, event)
            _check(before, scene.numbers[RUNNING])
            used.add(wording.line)
            return event, scene.write(wording.text, proper=wording.proper)
        except Redraw:
            scene.restore(kept)
    raise Redraw("nothing happens")


def _check(before: Number, after: Number) -> None:
    """Raise Redraw if what there is cannot be so much."""
    if after < 0 <= before or (isinstance(before, int) and 100 % after.denominator):
        raise Redraw(f"{before} -> {after}")


def _wording(dice: Dice, block: Block, person: Person, *, answers: bool = False) -> Wording:
    fitting = [
        wording
        for wording in block.wordings
        if wording.person in (person, "either")
        and not (answers and _speaks_to_others(block, wording, person))
    ]
    if not fitting:
        raise Redraw(f"nothing in the {person} person")
    return dice.pick(fitting)


def _speaks_to_others(block: Block, wording: Wording, person: Person) -> bool:
    """Tell whether an answer names somebody to an asker who spoke of himself, or the reverse."""
    answers = [wording.says] if wording.says is not None else list(block.says.values())
    if person == "first":
        return any(slot.name == "A" for says in answers for slot in says.slots())
    return any(_ADDRESSED.search(text) for says in answers for text in says.literals())


def _linked(dice: Dice, sentence: str) -> str:
    """Sometimes begin a sentence with "Then", where that reads well."""
    found = _LINKABLE.match(sentence)
    if found is None or _ALREADY.search(sentence) or not dice.chance(_LINKED):
        return sentence
    first = sentence if found[0] == "I " else sentence[0].lower() + sentence[1:]
    return dice.pick(_LINKS) + first


def _joined(told: list[str], *, casual: bool) -> str:
    """Return sentences as one text; casual ones keep their missing capitals and stops."""
    if not casual:
        return " ".join(_careful(sentence) for sentence in told)
    stops = ("," if following[0].islower() else "." for following in told[1:])
    closed = (s if s.endswith(_CLOSED) else s + stop for s, stop in zip(told, stops, strict=False))
    return " ".join([*closed, told[-1]])


def _careful(sentence: str) -> str:
    closed = sentence if sentence.endswith(_CLOSED) else f"{sentence}."
    return _SMALL_I.sub("I", closed[0].upper() + closed[1:])
