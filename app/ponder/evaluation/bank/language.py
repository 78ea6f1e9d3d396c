"""Reads bank files: the language that arithmetic questions are written in.

Knows lines and blocks, and finds every mistake that can be found without drawing. Refuses to
know what a question looks like in the end.

    problem KIND | theme NAME | start | event | noise | ask | more      opens a block
    let a = 2..9; b = 5..95 by 5; f = 1/2|3/4; n = a * b                numbers, in this order
    where a > b                                                         rejects other draws
    pick c, d = red|blue|green                                          words, different ones
    q: {A} has {a} {things}. How many ... [now|]? -> You have {=x}.     a question, its answer
    : x = a + b | {things} in all                                       a step and its label
    : who = most(A=x, B=y)      : ok = enough(have, need)               a verdict instead
    a: {A} has {=x} {things}.   yes: ...   no: ...                      answer sentences
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from typing import Literal

from ponder.evaluation.arithmetic import Number, Operator, exact
from ponder.evaluation.bank import rules, templates, terms
from ponder.evaluation.bank.blocks import (
    RUNNING,
    Block,
    Condition,
    Given,
    Mistake,
    Person,
    Pick,
    Role,
    StepLine,
    Theme,
    VerdictLine,
    Wording,
)
from ponder.evaluation.bank.scene import is_person, is_word_slot
from ponder.evaluation.bank.templates import Template, TemplateError
from ponder.evaluation.bank.terms import Constant, Name, Operation, Term, TermError
from ponder.evaluation.dice import Dice

_HEADER = re.compile(r"(problem|theme)\s+([a-z][a-z0-9-]*)\s*$|(start|event|noise|ask|more)\s*$")
_LINE = re.compile(r"(let|where|pick)\s+(.*)|(q|a|yes|no|):\s*(.*)")
_NAME = re.compile(r"[a-z]\w*")
_VERDICT = re.compile(r"(most|least|enough)\s*\((.*)\)\s*$")
_FIRST_PERSON = re.compile(
    r"(?<![A-Za-z])(?:I|i|[Mm]e|[Mm]y|[Ww]e|[Oo]ur|[Uu]s|[Mm]ine|[Mm]yself|[Ii]m|[Ii]ve)(?![A-Za-z])"
)
_CAPITAL = re.compile(r"(?<![A-Z])(?:[A-Z](?=[a-z])|A(?= ))")
_PLAIN_RANGE = re.compile(r"\s*([0-9]+)\.\.([0-9]+)\s*")
LARGE = "large"
"""Alone on a line: from there on, whole numbers of plain ranges may come out larger."""
_MOST_VALUES = 2000
"""Ranges of fractions are laid out beforehand; this is plenty for prices."""


class Reader:
    """Reads one file, and goes on after a mistake."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Block] = []
        self.themes: list[Theme] = []
        self.mistakes: list[Mistake] = []
        self._block: Block | None = None
        self._large = False
        self._at = 0

    def read(self, text: str) -> None:
        """Read the whole file."""
        for self._at, written in enumerate(text.splitlines(), 1):
            line = written.strip()
            if line.startswith("#"):
                continue
            if not line:
                self._close()
            elif line == LARGE:
                self._close()
                self._large = True
            elif header := _HEADER.fullmatch(line):
                self._close()
                self._open(header[1] or header[3], header[2] or "")
            else:
                try:
                    self._read_line(line)
                except (TermError, TemplateError) as error:
                    self._wrong(str(error))
        self._close()
        for theme in self.themes:
            for role in ("starts", "asks", "events"):
                if not getattr(theme, role):
                    self._wrong(f"theme {theme.name} has no {role}", theme.line)

    def _wrong(self, message: str, line: int = 0) -> None:
        self.mistakes.append(Mistake(self.file, line or self._at, message))

    def _open(self, role: str, name: str) -> None:
        if role == "theme":
            self.themes.append(Theme(name, self.file, self._at))
        elif role == "problem":
            self._block = Block("problem", name, self.file, self._at, self._large)
        elif not self.themes:
            self._wrong(f"{role} belongs to a theme; open one with `theme NAME`")
        else:
            name = self.themes[-1].name
            self._block = Block(_ROLES[role], name, self.file, self._at, self._large)

    def _close(self) -> None:
        block, self._block = self._block, None
        if block is None:
            return
        for message in rules.missing(block):
            self._wrong(message, block.line)
        for line, message in rules.strange_slots(block):
            self._wrong(message, line)
        if block.role == "problem":
            self.problems.append(block)
        else:
            theme = self.themes[-1]
            {
                "start": theme.starts, "event": theme.events, "noise": theme.noises,
                "ask": theme.asks, "more": theme.mores,
            }[block.role].append(block)  # fmt: skip

    def _read_line(self, line: str) -> None:
        found = _LINE.fullmatch(line)
        if found is None:
            self._wrong("expected let, where, pick, q:, a:, yes:, no:, a step `: x = a + b`, "
                        "or the head of a block")  # fmt: skip
            return
        if self._block is None:
            self._wrong("this line stands in no block; a blank line ends one")
            return
        block, key, rest = self._block, found[1] or found[3], (found[2] or found[4] or "").strip()
        match key:
            case "let":
                for part in rest.split(";"):
                    if part.strip():
                        self._let(block, part)
            case "where":
                self._where(block, rest)
            case "pick":
                block.picks.append(_pick(rest))
            case "q":
                block.wordings.append(self._wording(rest))
            case "":
                self._step(block, rest)
            case _:
                if key in block.says:
                    self._wrong(f"a second {key}: line; alternatives go between [ and ]")
                block.says[key] = templates.parse(rest)

    def _let(self, block: Block, written: str) -> None:
        name, equals, value = written.partition("=")
        name = name.strip()
        if not equals or not _NAME.fullmatch(name) or name in terms.KEYWORDS:
            raise TermError(f"expected `name = numbers`, not {written.strip()!r}")
        draw, uses = _drawn(value)
        self._known(block, uses)
        block.draws.append(Given(name, draw, uses, _widened(value)))

    def _where(self, block: Block, written: str) -> None:
        for part in written.split(";"):
            term = terms.parse(part)
            uses = terms.names(term)
            condition = Condition(terms.compiled(term), uses)
            drawn = {draw.name for draw in block.draws if isinstance(draw, Given)}
            if uses - drawn - {RUNNING if block.role != "problem" else ""}:
                block.after.append(condition)
            else:
                block.draws.append(condition)

    def _known(self, block: Block, uses: frozenset[str]) -> None:
        known = block.numbers | ({RUNNING} if block.role not in ("problem", "start") else set())
        for name in sorted(uses - known):
            self._wrong(f"{name!r} is no number yet; known here: {', '.join(sorted(known))}")

    def _wording(self, written: str) -> Wording:
        question, arrow, answer = written.partition("->")
        text = templates.parse(question.strip())
        says = templates.parse(answer.strip()) if arrow else None
        proper = any(_CAPITAL.search(literal) for literal in text.literals())
        return Wording(text, says, person(text), proper, self._at)

    def _step(self, block: Block, written: str) -> None:
        formula, _, label = written.partition("|")
        name, equals, value = formula.partition("=")
        name, value = name.strip(), value.strip()
        if not equals or not _NAME.fullmatch(name):
            raise TermError(f"expected `: name = a + b | label`, not {written!r}")
        if block.verdict is not None:
            self._wrong("the verdict is the last of a block")
        if verdict := _VERDICT.fullmatch(value):
            block.verdict = self._verdict(block, name, verdict[1], verdict[2])
            return
        if not label.strip():
            self._wrong("the step has no label: `: x = a + b | apples in all`")
        term = terms.parse(value)
        self._known(block, terms.names(term))
        block.steps += _steps(name, term, templates.parse(label.strip()))

    def _verdict(self, block: Block, name: str, kind: str, inside: str) -> VerdictLine:
        rivals: list[tuple[Template, Number | str]] = []
        picked = {name for pick in block.picks for name in pick.names}
        for part in inside.split(","):
            who, equals, amount = part.rpartition("=")
            who = who.strip() if equals else part.strip()
            if kind == "enough":
                who = ("have", "need")[min(len(rivals), 1)]
            elif is_person(who) or who in picked or is_word_slot(who):
                who = f"{{{who}}}"
            term = terms.parse(amount)
            self._known(block, terms.names(term))
            rivals.append((templates.parse(who), _side(term)))
        if not (len(rivals) == 2 or (len(rivals) == 3 and kind != "enough")):
            raise TermError(f"{kind} compares two, most and least also three")
        return VerdictLine(name, _VERDICTS[kind], tuple(rivals))


_ROLES: dict[str, Role] = {
    "start": "start", "event": "event", "noise": "noise", "ask": "ask", "more": "more",
}  # fmt: skip
_VERDICTS: dict[str, Literal["most", "least", "enough"]] = {
    "most": "most", "least": "least", "enough": "enough",
}  # fmt: skip


def person(text: Template) -> Person:
    """Tell of whom a question tells."""
    if any(map(_FIRST_PERSON.search, text.literals())):
        return "first"
    return "third" if any(slot.name == "A" for slot in text.slots()) else "either"


Draw = Callable[[Dice, terms.Numbers], Number | None]


def _drawn(written: str) -> tuple[Draw, frozenset[str]]:
    """Return how the numbers of a let are drawn, and which names that takes."""
    if "|" in written:
        options = [_drawn(option) for option in written.split("|")]
        draws = tuple(draw for draw, _ in options)
        uses = frozenset[str]().union(*(uses for _, uses in options))
        return lambda dice, numbers: dice.pick(draws)(dice, numbers), uses
    if ".." in written:
        return _range(written)
    term = terms.parse(written)
    function, uses = terms.compiled(term), terms.names(term)
    if uses:
        return lambda _, numbers: function(numbers), uses
    value = exact(Fraction(function({})))
    return lambda _, __: value, uses


def _range(written: str) -> tuple[Draw, frozenset[str]]:
    low, _, rest = written.partition("..")
    high, _, by = rest.partition(" by ")
    bounds = terms.parse(low), terms.parse(high)
    step = _constant(by) if by else 1
    if step <= 0:
        raise TermError(f"a range goes up by more than 0, not by {by.strip()}")
    uses = terms.names(bounds[0]) | terms.names(bounds[1])
    first, last = terms.compiled(bounds[0]), terms.compiled(bounds[1])
    if not uses:
        lowest, count = first({}), int((last({}) - first({})) // step) + 1
        if count < 1:
            raise TermError(f"the range {written.strip()} is empty")
        if count <= _MOST_VALUES:
            values = tuple(exact(lowest + step * at) for at in range(count))
            return lambda dice, _: dice.pick(values), uses

    def draw(dice: Dice, numbers: terms.Numbers) -> Number | None:
        lowest = first(numbers)
        most = int((last(numbers) - lowest) // step)
        return exact(lowest + step * dice.between(0, most)) if most >= 0 else None

    return draw, uses


def _widened(written: str) -> Callable[[Dice], Number] | None:
    """Return how larger numbers than a plain range says are drawn; None if it is too small."""
    found = _PLAIN_RANGE.fullmatch(written)
    if found is None or int(found[2]) < 10:
        return None
    low, high = int(found[1]), int(found[2])
    most = high * (10 if high < 100 else 4)
    return lambda dice: dice.between(low, most)


def _constant(written: str) -> Number:
    term = terms.parse(written)
    if terms.names(term):
        raise TermError(f"expected a plain number, not {written.strip()!r}")
    return exact(Fraction(terms.compiled(term)({})))


def _pick(written: str) -> Pick:
    names, equals, options = written.partition("=")
    listed = tuple(name.strip() for name in names.split(","))
    if not equals or not all(map(_NAME.fullmatch, listed)):
        raise TermError(f"expected `pick name = one|another`, not {written!r}")
    words = templates.parse(f"[{options.strip()}]").parts[0]
    assert isinstance(words, templates.Choice)
    if len(words.options) < len(listed):
        raise TermError(f"{len(listed)} names want as many different words")
    stripped = tuple(templates.parse(option.strip()) for option in _split(options))
    return Pick(listed, stripped)


def _split(options: str) -> list[str]:
    """Split at the bars that stand in no bracket."""
    depth, parts = 0, [""]
    for sign in options:
        depth += (sign == "[") - (sign == "]")
        if sign == "|" and depth == 0:
            parts.append("")
        else:
            parts[-1] += sign
    return parts


def _steps(name: str, term: Term, label: Template) -> list[StepLine]:
    """Return the step, or the steps of a sum of three or a product of three."""
    if not isinstance(term, Operation):
        raise TermError("a step is one operation: a + b, a // b, ceil(a / b), p% of n, f of n")
    inner = term.left
    if not isinstance(inner, Operation):
        return [StepLine(name, term.operator, _side(inner), _side(term.right), label)]
    if inner.operator is not term.operator or term.operator not in (Operator.PLUS, Operator.TIMES):
        raise TermError("a step is one operation; write two lines")
    part = f"{name}."
    first = _steps(part, inner, Template(()))
    return [*first, StepLine(name, term.operator, part, _side(term.right), label)]


def _side(term: Term) -> Number | str:
    match term:
        case Constant(value):
            return value
        case Name(name):
            return name
        case _:
            raise TermError("a step is one operation on names or plain numbers; write two lines")
