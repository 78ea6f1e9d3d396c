r"""Where formulas begin and end in a text that streams: `$..$`, `\(..\)`, `\[..\]`, `$$..$$`,
environments, and a `\boxed{..}` that stands alone.

Prices are no formulas: "$5 and $7". Code is left alone. What a formula says is the business of
`latex`; what is none, or cannot be told, passes as it came. Knows characters, and no Markdown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ponder.mathematics.latex import readable

LONGEST = 1000
"""Characters within which a formula has to end."""
LINE = 240
"""The same for one between single dollars, or in a box."""

ENVIRONMENTS = (
    "align", "aligned", "alignat", "equation", "gather", "gathered", "multline", "split", "cases",
    "matrix", "pmatrix", "bmatrix", "Bmatrix", "vmatrix", "Vmatrix", "array",
)  # fmt: skip
_OPENING = re.compile(
    r"(?P<fence>(?m:^)[ \t]*(?:```|~~~))|(?P<code>`+)|(?P<round>\\\()|(?P<square>\\\[)"
    r"|(?P<dollars>\$\$)|(?P<dollar>\$)|(?P<boxed>\\boxed\{)"
    rf"|\\begin\{{(?P<begin>(?:{'|'.join(ENVIRONMENTS)})\*?)\}}"
)
_MAYBE = re.compile(r"(?:\\[a-z]{0,5}(?:\{[A-Za-z*]{0,9})?|\$|`+|(?m:^)[ \t]*(?:`{1,2}|~{1,2}))\Z")
"""The end of a text that may be the beginning of an opening."""
_FENCE = re.compile(r"(?m:^)[ \t]*(?:```|~~~)")
_PROSE = re.compile(r"(?<![\\a-zA-Z])[a-zA-Z]{2,}[,.]? +[a-zA-Z]{2,}")
"""Two words: no formula, unless they are said to be text."""
_TEXT = re.compile(r"\\(?:text|mbox|operatorname|mathrm)[a-z]*\*?\s*\{[^{}]*(?:\}|\Z)")


@dataclass(frozen=True, slots=True)
class Formula:
    """A formula in a text."""

    end: int
    """Where it ends, what delimits it included."""
    raw: str
    """As it came."""
    inner: str
    """Its LaTeX."""
    display: bool
    """Whether it stands alone and may take several rows."""
    boxed: bool = False

    def told(self, rows: bool) -> str:
        """As Unicode, or as it came; `rows` says whether there is room for several rows."""
        return readable(self.inner, self.display and rows) or self.raw


@dataclass(frozen=True, slots=True)
class Open:
    """Something that may become a formula, once there is more of the text."""


def at(text: str, start: int) -> Formula | Open | None:
    """The formula that begins there, if one does."""
    found = _OPENING.match(text, start)
    return None if found is None else _formula(text, found, last=True)


def _formula(text: str, found: re.Match[str], last: bool) -> Formula | Open | None:
    start, inside = found.start(), found.end()
    match found.lastgroup:
        case "round":
            return _until(text, start, inside, r"\)", display=False)
        case "square":
            return _until(text, start, inside, r"\]", display=True)
        case "dollars":
            return _until(text, start, inside, "$$", display=True)
        case "begin":
            return _until(text, start, inside, rf"\end{{{found['begin']}}}", True, whole=True)
        case "boxed":
            return _box(text, start, inside)
        case "dollar":
            return _between_dollars(text, start, inside, last)
    return None


def _until(
    text: str, start: int, inside: int, closing: str, display: bool, whole: bool = False
) -> Formula | Open | None:
    limit = inside + LONGEST
    blank = text.find("\n\n", inside, limit)
    end = text.find(closing, inside, blank if blank >= 0 else limit)
    if end < 0:
        return Open() if blank < 0 and len(text) < limit else None
    after = end + len(closing)
    inner = text[start:after] if whole else text[inside:end]
    return Formula(after, text[start:after], inner, display)


def _box(text: str, start: int, inside: int) -> Formula | Open | None:
    depth = 1
    for place in range(inside, min(len(text), inside + LINE)):
        sign = text[place]
        if sign == "\n":
            return None
        if text[place - 1] != "\\":
            depth += (sign == "{") - (sign == "}")
        if not depth:
            raw = text[start : place + 1]
            return Formula(place + 1, raw, raw, display=False, boxed=True)
    return Open() if len(text) < inside + LINE else None


def _between_dollars(text: str, start: int, inside: int, last: bool) -> Formula | Open | None:
    """By Pandoc's rule, which tells prices apart, and a little more strictly."""
    if start and (text[start - 1].isalnum() or text[start - 1] == "\\"):
        return None
    line = text[inside : inside + LINE]
    end = re.search(r"(?<!\\)\$|\n", line)
    inner = line[: end.start()] if end is not None else line
    if inner[:1].isspace() or _PROSE.search(_TEXT.sub(" ", inner)):
        return None
    if end is None:
        return Open() if len(line) < LINE else None
    place = inside + end.end()
    after = text[place : place + 1]
    if end.group() == "\n" or not inner or inner[-1].isspace() or after.isalnum():
        return None
    if not after and not last:
        return Open()  # unless a letter or a digit follows
    return Formula(place, text[start:place], inner, display=False)


class Flow:
    """A text that streams, its formulas told as Unicode as soon as they are complete.

    What may become one is held back meanwhile: at most `LONGEST` characters.
    """

    def __init__(self) -> None:
        self._held = ""
        self._before = "\n"
        """The character before what is held; a line break also for a line that is blank so far."""
        self._fenced = False

    def feed(self, text: str) -> str:
        """More of it; gives what can be shown."""
        return self._take(text, last=False)

    def end(self) -> str:
        """No more of it; gives what was held back."""
        return self._take("", last=True)

    def _take(self, more: str, last: bool) -> str:
        text, self._held = self._before + self._held + more, ""
        told: list[str] = []
        place = 1
        while place < len(text):
            found = (_FENCE if self._fenced else _OPENING).search(text, place)
            if found is None:
                maybe = None if last else _MAYBE.search(text, place)
                stop = len(text) if maybe is None else maybe.start()
                told.append(text[place:stop])
                place = stop
                break
            told.append(text[place : found.start()])
            place, end = found.start(), found.end()
            if self._fenced or found.lastgroup == "fence":
                self._fenced = not self._fenced
                told.append(found.group())
                place = end
                continue
            piece: Formula | Open | str | None
            if found.lastgroup == "code":
                piece = _code(text, found)
            elif end == len(text) and not last:
                piece = Open()  # a second dollar may follow
            else:
                piece = _formula(text, found, last)
            if isinstance(piece, Open) and not last:
                break
            if isinstance(piece, Formula):
                alone = not text[text.rfind("\n", 0, place) + 1 : place].strip()
                told.append(piece.told(rows=alone))
                place = piece.end
            else:
                piece = piece if isinstance(piece, str) else found.group()
                told.append(piece)
                place += len(piece)
        self._held = text[place:]
        blank = not text[:place].rpartition("\n")[2].strip() and "\n" in text[:place]
        self._before = "\n" if blank else text[place - 1]
        return "".join(told)


def _code(text: str, found: re.Match[str]) -> str | Open | None:
    """Code within a line, as it is."""
    if found.end() == len(text):
        return Open()
    line = text[found.end() : found.end() + LINE].partition("\n")
    end = line[0].find(found.group())
    if end < 0:
        return None if line[1] or len(line[0]) == LINE else Open()
    return found.group() + line[0][: end + len(found.group())]


def shown(text: str) -> str:
    """A whole text with its formulas as Unicode."""
    flow = Flow()
    return flow.feed(text) + flow.end()
