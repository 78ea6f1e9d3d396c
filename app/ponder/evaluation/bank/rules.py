"""What a block has to have, and what its slots may be.

Knows a block that was read. Refuses to know how it was written, and to draw from it
(`checking` does).
"""

from __future__ import annotations

from ponder.evaluation.bank import templates
from ponder.evaluation.bank.blocks import RUNNING, Block
from ponder.evaluation.bank.scene import FORMATS, PERSON_FORMS, is_person, is_word_slot
from ponder.evaluation.bank.templates import Slot, Template


def missing(block: Block) -> list[str]:
    """Return what the block lacks as a whole."""
    wrong: list[str] = []
    if not block.wordings:
        wrong.append("the block has no q: line")
    if block.role == "start" and RUNNING not in block.numbers:
        wrong.append(f"a start gives the story its {RUNNING}: `let {RUNNING} = 5..99` or a step")
    if block.role == "problem" and not block.operations:
        wrong.append("a problem has at least one step")
    if block.role in ("event", "more") and all(step.name != RUNNING for step in block.steps):
        wrong.append(f"this block changes no {RUNNING}: `: {RUNNING} = {RUNNING} + b | label`")
    known = block.numbers | ({RUNNING} if block.role != "problem" else set())
    for condition in block.after:
        wrong += [f"where: {name!r} is no number" for name in sorted(condition.uses - known)]
    if block.role in ("problem", "ask", "more"):
        wrong += _missing_answers(block)
    elif block.says or any(wording.says for wording in block.wordings):
        wrong.append("only problems, asks and mores have answer sentences")
    return wrong


def _missing_answers(block: Block) -> list[str]:
    if block.verdict is not None and block.verdict.kind == "enough":
        wanted, found = {"yes", "no"}, set(block.says)
        return [] if wanted == found else ["enough wants a yes: and a no: line, and no a: line"]
    if {"yes", "no"} & block.says.keys():
        return ["yes: and no: lines belong to enough(have, need)"]
    if "a" in block.says or all(wording.says for wording in block.wordings):
        return []
    return ["an a: line is needed for the q: lines without `->`"]


def strange_slots(block: Block) -> list[tuple[int, str]]:
    """Return slots that mean nothing here, and answer sentences without one answer."""
    known = block.numbers | {name for pick in block.picks for name in pick.names}
    if block.role != "problem":
        known.add(RUNNING)
    wrong: list[tuple[int, str]] = []
    texts = [(wording.line, wording.text) for wording in block.wordings]
    texts += [(block.line, step.label) for step in block.steps]
    answers = [(wording.line, w.says) for wording in block.wordings if (w := wording).says]
    answers += [(block.line, says) for key, says in block.says.items() if key == "a"]
    verdicts = [(block.line, says, key) for key, says in block.says.items() if key != "a"]
    found = {block.verdict.name} if block.verdict else known
    for line, text in texts:
        if any(slot.answer for slot in text.slots()):
            wrong.append((line, "{=...} is the answer, which no question tells"))
        wrong += [(line, message) for slot in text.slots() if (message := _strange(slot, known))]
    for line, says in answers:
        assert says is not None
        wrong += [(line, message) for message in _one_answer(says, found)]
        plain = [slot for slot in says.slots() if not slot.answer]
        wrong += [(line, message) for slot in plain if (message := _strange(slot, known))]
    for line, says, key in verdicts:
        wrong += [(line, message) for message in _one_answer(says, {key})]
        plain = [slot for slot in says.slots() if not slot.answer]
        wrong += [(line, message) for slot in plain if (message := _strange(slot, known))]
    return wrong


def _one_answer(says: Template, known: set[str]) -> list[str]:
    """Whatever alternatives are taken, there has to be exactly one answer."""
    wrong = [] if _answers(says) == {1} else ["an answer sentence has {=...} exactly once"]
    for slot in says.slots():
        if slot.answer and slot.name not in known:
            wrong.append(f"{{={slot.name}}} is no answer here; known: {', '.join(sorted(known))}")
    return wrong


def _answers(says: Template) -> set[int]:
    """Return how many answers the sentence may have."""
    counts = {0}
    for part in says.parts:
        more = {0}
        if isinstance(part, Slot):
            more = {int(part.answer)}
        elif isinstance(part, templates.Choice):
            more = set[int]().union(*map(_answers, part.options))
        counts = {one + other for one in counts for other in more}
    return counts


def _strange(slot: Slot, known: set[str]) -> str:
    """Return why the slot means nothing; empty if it does mean something."""
    if slot.name in known:
        if slot.form:
            return f"{slot.name!r} has no form {slot.form!r}"
        how = slot.format.split()[0] if slot.format else ""
        if how not in FORMATS:
            return f"{how!r} is no format; there are {', '.join(sorted(FORMATS - {''}))}"
        return ""
    if is_person(slot.name):
        if slot.form and slot.form.lower() not in PERSON_FORMS:
            return f"{slot.name} has no {slot.form!r}; there are {', '.join(PERSON_FORMS)}"
        return ""
    if is_word_slot(slot.name):
        return "" if not slot.format and not slot.form else f"{{{slot.name}}} has no formats"
    return f"nothing is called {slot.name!r}; numbers and picks here: {', '.join(sorted(known))}"
