r"""What did a model answer?

Knows how answers are written: boxed, in LaTeX, with separators, currencies, units, as the
letter of a choice. Refuses to know the question. Pure; takes any text, in time that grows
with its length.

A box, `\boxed{...}`, is the model's own word for "this is my answer" (R1's authors ask for
it); all else is a guess, made the way people skim: what follows "answer" or "=", else the
last number there is.
"""

from __future__ import annotations

import re

_BOX = "\\boxed{"
_BRACE = re.compile(r"\\[{}]|[{}]")

_NUMBER = re.compile(
    r"""
    (?: (?<![\w)]) [-+] )?                      # a sign, unless it stands between two numbers
    (?:
        [0-9]{1,3} (?: ,[0-9]{3} )+ (?![0-9]) (?: \.[0-9]+ )?       # 1,234,567.5
      | [0-9]+ (?: \.[0-9]+ )?                                      # 1234567.5
      | (?<![0-9.]) \.[0-9]+                                        # .5
    )
    (?: / [0-9]+ )?                             # 3/4
    """,
    re.VERBOSE,
)
_CUE_NUMBER_OR_STOP = re.compile(
    rf"(?P<cue>\banswer\b|=)|(?P<number>{_NUMBER.pattern})|(?P<stop>[.!?](?=\s))",
    re.VERBOSE | re.IGNORECASE,
)
_ANSWER = re.compile(r"\banswer\b", re.IGNORECASE)
_LETTER = re.compile(
    r"""
    (?: \s is )? [\s:*]*
    (?: option \s )?
    (?:
        \( (?P<round> [A-J] ) \)
      | (?P<bare> [A-J] ) (?= \) | [.:*]+ (?: \s | \Z ) | \s* (?: \n | \Z ) )
    )
    """,
    re.VERBOSE,
)
_UNIT = re.compile(r"\s?[%°]|(?:\s[A-Za-z]{2,})+")

_NOT_UNITS = frozenset({"hundred", "thousand", "million", "billion", "trillion", "mod", "pi"})
"""Words that change the number before them."""

# LaTeX that changes how a thing looks, not what it is. Anything else, such as \sqrt, stays.
_LATEX = (
    # 1\frac{1}{2} is one and a half, not eleven halves.
    (re.compile(r"(?<=[0-9])\\[dt]?frac\b"), r" \\frac"),
    (re.compile(r"\\[dt]?frac\{\s*(-?[0-9]+)\s*\}\{\s*([0-9]+)\s*\}"), r"\1/\2"),
    (re.compile(r"\\(?:text|math)(?:rm|bf|it|sf|tt|normal)?(?![a-zA-Z])"), " "),
    (re.compile(r"\\(?:left|right|displaystyle|mbox|quad|qquad)(?![a-zA-Z])|\\[,;:!]"), ""),
    (re.compile(r"\\[()\[\] ]|[~\u00a0]"), " "),
    (re.compile(r"\{,\}"), ","),
    (re.compile(r"(?<=[0-9])[\u2009\u202f](?=[0-9]{3})"), ""),
    (re.compile(r"\\?\$|\\(?=%)|[€£¥]"), ""),
    (re.compile(r"[\u2212\u2013]"), "-"),
)
_EDGES = " \t\r\n.,;:?*_`'\"“”‘’"
"""What may stand around an answer. Not "!": 5! is 120."""

_EDGES_BEFORE = _EDGES.replace(".", "")  # the point of .5 is no full stop


def read_answer(text: str) -> str | None:
    r"""Return the answer that `text` gives, tidied; None if it gives none.

    The content of the last `\boxed{...}`, whatever it is; if the text ends inside it, the
    line that is there. Without a box, or with an empty one, the letter of a choice that stands
    right after the last "answer"; else the last number that follows "answer" or "=" in the
    same sentence; else the last number.
    """
    boxed = _last_box(text)
    if boxed is not None and (answer := tidy(boxed)):
        return answer
    plain = _plain(text)
    return _letter(plain) or _cued_number(plain) or _last_number(plain)


def _last_box(text: str) -> str | None:
    """Return what the last box holds, brackets inside it balanced; None if there is no box."""
    start = text.rfind(_BOX)
    if start < 0:
        return None
    start += len(_BOX)
    depth = 1
    for brace in _BRACE.finditer(text, start):
        depth += {"{": 1, "}": -1}.get(brace[0], 0)
        if depth == 0:
            return text[start : brace.start()]
    # A cut answer: what comes after its line is no longer part of it.
    return text[start:].strip().partition("\n")[0]


def _plain(text: str) -> str:
    """Return `text` without LaTeX and currency signs that say nothing."""
    for pattern, replacement in _LATEX:
        text = pattern.sub(replacement, text)
    return text


def tidy(answer: str) -> str:
    """Return an answer in the form in which answers are compared and shown."""
    plain = _plain(answer)
    if "\\" not in plain:
        plain = plain.replace("{", "").replace("}", "")
    plain = " ".join(plain.split())
    # x = 5 is 5, but x >= 5 is no number, and x = 5, y = 6 is not one.
    left, _, right = plain.rpartition("=")
    if right.strip(_EDGES) and "=" not in left and not left.endswith(("<", ">", "!")):
        plain = right.strip()
    number = _NUMBER.match(plain.lstrip(_EDGES_BEFORE))
    if number is not None:
        rest = number.string[number.end() :].rstrip(_EDGES)
        if not rest or _is_unit(rest):
            return _canonical(number[0])
    return plain.strip(_EDGES)


def _is_unit(words: str) -> bool:
    return _UNIT.fullmatch(words) is not None and _NOT_UNITS.isdisjoint(words.casefold().split())


def _canonical(number: str) -> str:
    return number.replace(",", "").removeprefix("+")


def _letter(plain: str) -> str | None:
    """Return the choice that stands after the last "answer"."""
    end = max((cue.end() for cue in _ANSWER.finditer(plain)), default=None)
    found = _LETTER.match(plain, end) if end is not None else None
    return (found["round"] or found["bare"]) if found else None


def _cued_number(plain: str) -> str | None:
    """Return the last number that is the first one after "answer" or "=" in its sentence."""
    found = None
    cued = False
    for match in _CUE_NUMBER_OR_STOP.finditer(plain):
        if cued and match["number"] is not None:
            found = _canonical(match["number"])
        cued = match["cue"] is not None
    return found


def _last_number(plain: str) -> str | None:
    found = None
    for match in _NUMBER.finditer(plain):
        found = match
    return _canonical(found[0]) if found is not None else None
