"""What is wrong with a bank file, found by reading it and by drawing from it many times.

Knows what a good block keeps to. Refuses to mend anything.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial

from ponder.evaluation.arithmetic import Draft, Result, decide, evaluate, show
from ponder.evaluation.bank import drawing, stories
from ponder.evaluation.bank.blocks import RUNNING, Block, Given, Mistake, Theme, Wording
from ponder.evaluation.bank.drawing import Redraw
from ponder.evaluation.bank.language import Reader
from ponder.evaluation.bank.lexicon import Lexicon
from ponder.evaluation.bank.scene import category, is_person, is_word_slot
from ponder.evaluation.bank.templates import Slot, Template
from ponder.evaluation.dice import Dice

DRAWS = 200
"""How often each q-line is drawn."""

PATIENCE = 2
"""So many tries may each of them take."""

_ONE_OF_SEVERAL = re.compile(r"(?<![\w.,/:$£€-])(?<![a-z] )1 ([a-z]+[^su\W]s)\b")
_NO_PLURALS = frozenset(
    {"is", "was", "has", "plus", "times", "minus", "less", "gas", "bus", "class", "as", "us"}
)
_UNTIDY = re.compile(r"[{}\[\]|\x01\x02]| [,.?!;]|\.\.(?!\.)|,,|  |\bNone\b")
_CURRENCY = re.compile(r"[$£€]|\b(?:dollars?|pounds?|euros?|bucks|pence)\b")


@dataclass(slots=True)
class Checked:
    """What was found in one file."""

    mistakes: list[Mistake] = field(default_factory=list)
    samples: list[tuple[int, Draft]] = field(default_factory=list)
    """Questions as they came, with the line of their wording."""
    wordings: Counter[str] = field(default_factory=Counter)
    """How many q-lines tell of the asker, of somebody else, of nobody."""


def check(file: str, text: str, lexicon: Lexicon) -> Checked:
    """Return what is wrong with a file, and what was drawn from it."""
    reader = Reader(file)
    reader.read(text)
    found = Checked(sorted(reader.mistakes))
    blocks = reader.problems + [block for theme in reader.themes for block in theme.blocks()]
    for block in blocks:
        found.wordings.update(wording.person for wording in block.wordings)
        found.mistakes += _told_wrongly(block)
    if not reader.mistakes:
        for block in reader.problems:
            for wording in block.wordings:
                _try_problem(found, block, wording, lexicon)
        for theme in reader.themes:
            found.mistakes += _unbalanced(theme)
            if theme.starts and theme.asks:
                _try_theme(found, theme, lexicon)
    found.mistakes.sort()
    return found


def _told_wrongly(block: Block) -> Iterator[Mistake]:
    """Find what the words and the steps of a block do not say of each other."""
    yield from (Mistake(block.file, block.line, message) for message in _unused(block))
    has_money = any(slot.format == "money" for slot in _slots(block))
    needed = _needed(block)
    for wording in block.wordings:
        told = {slot.name for slot in wording.text.slots()}
        for message in _untold(block, wording, told, needed):
            yield Mistake(block.file, wording.line, message)
        if has_money and any(map(_CURRENCY.search, wording.text.literals())):
            yield Mistake(
                block.file, wording.line,
                "a currency is written here, and {..:money} of this block may be in another one",
            )  # fmt: skip


def _slots(block: Block) -> Iterator[Slot]:
    for template in _templates(block):
        yield from template.slots()


def _templates(block: Block) -> Iterator[Template]:
    for wording in block.wordings:
        yield wording.text
        if wording.says is not None:
            yield wording.says
    yield from block.says.values()
    yield from (step.label for step in block.steps)
    for pick in block.picks:
        yield from pick.options
    if block.verdict is not None:
        yield from (who for who, _ in block.verdict.rivals)


def _sides(block: Block) -> set[str]:
    sides = [side for step in block.steps for side in (step.left, step.right)]
    if block.verdict is not None:
        sides += [side for _, side in block.verdict.rivals]
    return {side for side in sides if isinstance(side, str)}


def _unused(block: Block) -> Iterator[str]:
    """Find numbers that nothing uses, and steps that the answer does not need."""
    used = _sides(block) | {slot.name for slot in _slots(block)}
    for slot in _slots(block):
        used.update(slot.format.split()[1:])
    for draw in [*block.draws, *block.after]:
        used |= draw.uses
    given = [draw.name for draw in block.draws if isinstance(draw, Given)]
    for name in [*given, *(name for pick in block.picks for name in pick.names)]:
        if name not in used and name != RUNNING:
            yield f"nothing uses {name!r}"
    if block.role != "problem":
        return
    wanted = _needed(block)
    for step in block.steps:
        if step.name not in wanted:
            yield f"the answer does not need the step {step.name!r}"


def _needed(block: Block) -> set[str]:
    """Return the names that the answer needs, those that its steps need included."""
    wanted: set[str] = set()
    if block.verdict is not None:
        wanted = {side for _, side in block.verdict.rivals if isinstance(side, str)}
    else:
        says = [wording.says for wording in block.wordings if wording.says is not None]
        for template in [*says, *block.says.values()]:
            for slot in template.slots():
                if slot.answer:
                    wanted |= {slot.name, *slot.format.split()[1:]}
    for step in reversed(block.steps):
        if step.name in wanted:
            wanted |= {side for side in (step.left, step.right) if isinstance(side, str)}
    return wanted


def _untold(block: Block, wording: Wording, told: set[str], needed: set[str]) -> Iterator[str]:
    """Find what a question would have to tell, for its steps and its answer."""
    picks = {name: pick for pick in block.picks for name in pick.names}
    for name in tuple(told & picks.keys()):
        for option in picks[name].options:
            told |= {slot.name for slot in option.slots()}
    for draw in block.draws:
        if isinstance(draw, Given) and draw.name in needed & _sides(block) - told:
            yield f"the question does not tell {{{draw.name}}}, which the steps need"
    if block.role != "problem":
        return
    says = wording.says or block.says.get("a") or next(iter(block.says.values()), None)
    speaking = [("answer", says)] if says is not None else []
    speaking += [("label", step.label) for step in block.steps]
    if block.verdict is not None:
        speaking += [("verdict", who) for who, _ in block.verdict.rivals]
    common = {_common(name) for name in told}
    for what, template in speaking:
        for name in {slot.name for slot in template.slots() if not slot.answer}:
            if name in block.numbers and any(step.name == name for step in block.steps):
                continue  # a number that was found
            if _common(name) not in common:
                hint = "; give it a sentence of its own after ->" if what == "answer" else ""
                yield f"the {what} speaks of {{{name}}}, this question does not{hint}"
    for letter in {slot.name for slot in wording.text.slots() if is_person(slot.name)}:
        if all(slot.form for slot in wording.text.slots() if slot.name == letter):
            yield f"{{{letter}.he}} stands for somebody who is never named: {{{letter}}}"


def _common(name: str) -> str:
    """Return what the slots for one and for several have in common."""
    return ":".join(found[:2]) if is_word_slot(name) and (found := category(name)) else name


def _unbalanced(theme: Theme) -> Iterator[Mistake]:
    """Find what a story of the one or the other person would lack."""
    for person, told in (("third", "of somebody, {A}"), ("first", "of the asker, I")):
        for role in ("starts", "events", "asks"):
            fitting = [
                wording
                for block in getattr(theme, role)
                for wording in block.wordings
                if wording.person in (person, "either")
            ]
            if not fitting:
                message = f"theme {theme.name} has no {role} that tell {told}"
                yield Mistake(theme.file, theme.line, message)
    for role in ("starts", "asks"):
        for block in getattr(theme, role):
            persons = {wording.person for wording in block.wordings}
            if persons in ({"first"}, {"third"}):
                yield Mistake(theme.file, block.line, f"all q: lines are in the {persons.pop()} "
                              "person; a start and an ask need both")  # fmt: skip


def _try_problem(found: Checked, block: Block, wording: Wording, lexicon: Lexicon) -> None:
    dice = Dice(wording.line)

    def draw() -> Draft:
        return drawing.problem(dice, lexicon, block, wording).draft

    failed = _try(found, block, wording, draw, PATIENCE * DRAWS)
    if failed > (PATIENCE - 1) * DRAWS:
        message = f"{failed} of {PATIENCE * DRAWS} draws fail; draw numbers that fit"
        found.mistakes.append(Mistake(block.file, wording.line, message))


def _try_theme(found: Checked, theme: Theme, lexicon: Lexicon) -> None:
    for block in theme.blocks():
        for wording in block.wordings:
            draw = partial(stories.telling, Dice(wording.line), lexicon, theme, block, wording)
            # Most starts may give a number that does not fit; it is enough that some do.
            tries = 10 * DRAWS
            if _try(found, block, wording, draw, tries) == tries:
                message = "no story tells this: it never fits"
                found.mistakes.append(Mistake(block.file, wording.line, message))


def _try(
    found: Checked, block: Block, wording: Wording, draw: Callable[[], Draft], tries: int
) -> int:
    """Draw one q-line until it was told often enough; return how often it failed."""
    failed, drawn = 0, 0
    told: set[str] = set()
    while drawn < DRAWS and failed + drawn < tries:
        try:
            draft = draw()
        except Redraw:
            failed += 1
            continue
        drawn += 1
        for message in _wrong(draft):
            kind = message.partition(":")[0]
            if kind not in told:
                told.add(kind)
                found.mistakes.append(Mistake(block.file, wording.line, message))
        found.samples.append((wording.line, draft))
    return failed


def _wrong(draft: Draft) -> Iterator[str]:
    """Find what is wrong with one question."""
    results = evaluate(draft.steps)
    if results is None:
        yield f"steps that break the rules: {draft.text}"
    elif draft.verdict is not None:
        if decide(draft.verdict, results) != draft.answer:
            yield f"the verdict is not the answer: {draft.text}"
    elif results and draft.form == "number" and Fraction(draft.answer) != results[-1]:
        yield f"the last step is not the answer ({show(results[-1])}, {draft.answer}): {draft.text}"
    if results and draft.form != "clock" and (spare := unneeded(draft)):
        labels = ", ".join(draft.steps[at].label for at in sorted(spare))
        yield f"a step that the answer does not need ({labels}): {draft.text}"
    for text in (draft.text, draft.says.replace(drawing.ANSWER, draft.answer)):
        if untidy := _UNTIDY.search(text.replace("...", ".")):
            yield f"untidy ({untidy[0]!r}): {text}"
        for several in _ONE_OF_SEVERAL.findall(text):
            if several not in _NO_PLURALS:
                yield f"one of several: 1 {several} in {text!r}"


def unneeded(draft: Draft) -> set[int]:
    """Return which steps the answer of a draft does not need."""
    wanted = [len(draft.steps) - 1]
    if draft.verdict is not None:
        wanted = [o.step for _, o in draft.verdict.rivals if isinstance(o, Result)]
    needed: set[int] = set()
    while wanted:
        at = wanted.pop()
        if at not in needed:
            needed.add(at)
            step = draft.steps[at]
            wanted += [o.step for o in (step.left, step.right) if isinstance(o, Result)]
    return set(range(len(draft.steps))) - needed
