"""How a formula stands on one row or on several: scripts, fractions, columns, brackets.

Strings, with marks of its own in them that no formula may hold. Knows cells, and no LaTeX.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from itertools import zip_longest

from rich.cells import cell_len

from ponder.mathematics.commands import BRACKETS

_BEGIN, _ROW, _END = "\ue010", "\ue011", "\ue012"
"""Around what takes several rows: how it is said on one, then its rows."""
_FRACTION, _OVER, _FRACTION_END = "\ue013", "\ue014", "\ue015"
_SCRIPT_END = "\ue016"
OWN = re.compile("[\ue010-\ue016]")
"""The marks."""
_BLOCK = re.compile(f"{_BEGIN}([^{_BEGIN}{_END}]*){_END}")

_WORD = re.compile(r"[^\W_]+(\.\d+)?")
_SMALL = "⁰¹²³⁴-⁹ⁿ⁺⁻ᵀ₀-₉\u0300-\u036f\u20d7"
_ONE = re.compile(rf"\d+([.,]\d+)*|[^\W\d_][{_SMALL}]*")
_TOUCHING = re.compile(r"[^\W_]|[(√∛∜^_⁰¹²³⁴-⁹ⁿ]")
_RELATION = re.compile(r" *([=≤≥≠≈≡≅∈∉⊂⊃⊆⊇→←⟹⟸⟺⇒⇐⇔↦∥∼∝⟂]) *")
_OPERATOR = re.compile(r" ([±∓×÷·∪∩∘+]) *| *([±∓×÷·∪∩∘+]) ")
_ROOTS = {"": "√", "2": "√", "3": "∛", "4": "∜"}


# -- scripts, roots, fractions --------------------------------------------------------------------


@cache
def _small(sign: str) -> dict[int, str]:
    """Characters that have a raised (`^`) or lowered (`_`) twin in Unicode."""
    kind, minus = ("<super>", "⁻") if sign == "^" else ("<sub>", "₋")
    found = {ord("-"): minus}
    for code in (*range(0xB2, 0xBA), 0x2B0, *range(0x2B2, 0x2B9), *range(0x2E1, 0x2E4),
                 *range(0x1D2C, 0x1D6B), 0x1D9C, 0x1DA0, 0x1DBB, *range(0x2070, 0x209D),
                 0x2C7C, 0x2C7D):  # fmt: skip
        match unicodedata.decomposition(chr(code)).split():
            case [tag, plain] if tag == kind:
                found.setdefault(int(plain, 16), chr(code))
    return found


def script(text: str, sign: str) -> str:
    """A superscript (`^`) or subscript (`_`): in small, or in brackets where there is no small."""
    text = flat(text).strip()
    if sign == "^" and text in ("∘", "°"):
        return "°"
    if sign == "^" and not text.strip("′'"):
        return text.replace("'", "′")
    tight = text.replace(" ", "")
    if all(ord(c) in _small(sign) for c in tight):
        return tight.translate(_small(sign))
    return f"{sign}{text}{_SCRIPT_END}" if len(text) == 1 else f"{sign}({text})"


def root(text: str, index: str) -> str:
    """A root of an index; a square one where that is empty."""
    index = flat(index).strip()
    sign = _ROOTS.get(index) or f"{script(index, '^').strip('^' + _SCRIPT_END)}√"
    return sign + one(flat(text).strip())


def fraction(above: str, below: str) -> str:
    """A fraction, whose brackets depend on what will stand beside it."""
    above, below = flat(above).strip(), flat(below).strip()
    above = above if _WORD.fullmatch(above) else one(above)
    return f"{_FRACTION}{above}{_OVER}{one(below)}{_FRACTION_END}"


def one(text: str) -> str:
    """In brackets, unless it is one number or one letter."""
    return text if _ONE.fullmatch(text) else f"({text})"


def _fractions(text: str) -> str:
    """Fractions and scripts written out, set off from what they touch."""
    text = re.sub(rf"{_SCRIPT_END}(?=\w)", " ", text).replace(_SCRIPT_END, "")
    parts = re.split(f"{_FRACTION}([^{_FRACTION}{_FRACTION_END}]*){_FRACTION_END}", text)
    told = parts[0]
    for at in range(1, len(parts), 2):
        written, after = parts[at].replace(_OVER, "/"), parts[at + 1]
        another = at + 2 < len(parts) and not after
        followed = another or bool(_TOUCHING.match(after))
        before = told[-1:]
        if before.isdigit() and not followed and re.fullmatch(r"\d+/\d+", written):
            told += f" {written}"
        elif followed or before.isalnum() or before in (")", "/"):
            told += f"({written})"
        else:
            told += written
        told += after
    return told


# -- rows -----------------------------------------------------------------------------------------


def flat(text: str) -> str:
    """On one row."""
    return _fractions(_BLOCK.sub(lambda block: block[1].partition(_ROW)[0], text))


def spaced(text: str) -> str:
    """On one row, with even spaces around relations and operators."""
    text = " ".join(_RELATION.sub(r" \1 ", flat(text)).split())
    return _OPERATOR.sub(lambda found: f" {found[1] or found[2]} ", text)


def lines(rows: list[list[str]]) -> str:
    """Equations below one another, each in cells, at whose first border they are aligned."""
    width = max(cell_len(row[0]) for row in rows)
    if all(len(row) == 1 for row in rows):
        width = 0
    told = [" ".join([_padded(row[0], width, ">"), *filter(None, row[1:])]) for row in rows]
    return _several("; ".join(" ".join(filter(None, row)) for row in rows), told)


def bracketed(rows: list[list[str]], name: str) -> str:
    """Columns in the brackets of an environment."""
    before, after, left, right = BRACKETS[name]
    cases = name == "cases"
    inner = "; ".join((", " if cases else " ").join(row) for row in rows)
    told = _columns(rows, "<" if cases else "^")
    if len(told) == 1:
        told = [f"{before}{told[0].strip()}{after}"]
    elif left:
        told = [
            f"{_side(left, at, len(told))} {row} {_side(right, at, len(told))}".rstrip()
            for at, row in enumerate(told)
        ]
    return _several(before + inner + after, told)


def stacked(text: str) -> str:
    """On as many rows as it takes, everything else level with their middle."""
    told: list[str] = []
    for line in _fractions(text).split("\n"):
        # Marks at the edges keep the blank space there, beside a block.
        parts = [
            part.split(_ROW)[1:] if at % 2 else [spaced(f"{_ROW}{part}{_ROW}").strip(_ROW)]
            for at, part in enumerate(_BLOCK.split(line))
        ]
        height = max(map(len, parts))
        rows = [""] * height
        for part in parts:
            width, top = max(map(cell_len, part)), (height - len(part)) // 2
            for at in range(height):
                row = part[at - top] if 0 <= at - top < len(part) else ""
                rows[at] += _padded(row, width, "<")
        told += [row.rstrip() for row in rows]
    indent = min((len(row) - len(row.lstrip()) for row in told if row), default=0)
    return "\n".join(row[indent:] for row in told).strip("\n")


def _several(in_one: str, rows: list[str]) -> str:
    return f"{_BEGIN}{in_one}{''.join(_ROW + row for row in rows)}{_END}"


def _side(signs: str, at: int, rows: int) -> str:
    if not signs or at in (0, rows - 1):
        return signs and (signs[2] if at else signs[0])
    return signs[1] if signs[1] != "⎨" or at == rows // 2 else "⎪"


def _columns(rows: list[list[str]], how: str) -> list[str]:
    widths = [max(map(cell_len, column)) for column in zip_longest(*rows, fillvalue="")]
    return [
        "  ".join(_padded(cell, width, how) for cell, width in zip(row, widths, strict=False))
        for row in rows
    ]


def _padded(text: str, width: int, how: str) -> str:
    space = width - cell_len(text)
    before = {"<": 0, ">": space, "^": space // 2}[how]
    return " " * before + text + " " * (space - before)
