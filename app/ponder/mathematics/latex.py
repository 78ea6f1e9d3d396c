r"""One formula of LaTeX as Unicode: `\frac{a}{b^2} \le \sqrt{x}` reads `a/b² ≤ √x`.

pylatexenc parses it and knows the symbols; `layout` shapes what it would flatten without a trace.
A formula with anything in it that is not known stays as it is, as does one that would lose a
letter or a digit. Untrusted: bounded in length and depth, and no file is read.
"""

from __future__ import annotations

import logging
import re
import unicodedata
from collections import Counter
from functools import cache, lru_cache
from typing import Any

from ponder.mathematics import commands, layout

LONGEST = 2000
"""Characters of a formula; a longer one stays as it is."""
DEEPEST = 24
"""Brackets within brackets, likewise."""

_NAMES = re.compile(
    r"\\begin\{array\}(\[.*?\])?\{[^{}]*\}|\\(begin|end)\{[^{}]*\}"
    r"|\\sqrt\[[234]\]|\\\\\*?\[[^\]]*\]|\\[hv]space\*?\{[^{}]*\}|\\[a-zA-Z]+\*?"
)
"""Letters and digits that are not said: names, measures, signs that roots have of their own."""


class _Unknown(Exception):
    """Something in a formula that is not known here."""


@lru_cache(maxsize=2048)
def readable(formula: str, rows: bool = False) -> str | None:
    """A formula as Unicode; None where it had better stay as it is.

    Args:
        formula: LaTeX without what delimits it.
        rows: whether it may take several rows.
    """
    from pylatexenc.latexwalker import LatexWalker, LatexWalkerError

    if len(formula) > LONGEST or _depth(formula) > DEEPEST or layout.OWN.search(formula):
        return None
    # Line breaks are `\\`; others are blank space.
    source = re.sub(r"\\(left|right)\s*\.", "", " ".join(formula.split("\n")))
    # In LaTeX a comment begins there; in what models write, a percentage ends.
    source = re.sub(r"(?<!\\)%", r"\\%", source)
    parsed, told = _specs()
    try:
        walker = LatexWalker(source, latex_context=parsed, tolerant_parsing=False)
        text = told.nodelist_to_text(walker.get_latex_nodes()[0])
    except (_Unknown, LatexWalkerError, RecursionError, ValueError, TypeError, IndexError):
        return None
    shown = layout.stacked(text) if rows else layout.spaced(text)
    return shown if shown.strip() and _keeps(formula, shown) else None


def _depth(formula: str) -> int:
    deepest = now = 0
    for sign in formula:
        now += (sign in "{[") - (sign in "}]")
        deepest = max(deepest, now)
    return deepest + formula.count("\\begin")


def _keeps(formula: str, shown: str) -> bool:
    """Whether every letter and digit is still there."""
    return not _signs(_NAMES.sub(" ", formula)) - _signs(shown)


def _signs(text: str) -> Counter[str]:
    return Counter(c for c in unicodedata.normalize("NFKD", text) if c.isalnum() or c in "+=<>")


# -- how commands are told ------------------------------------------------------------------------


def _refuse(node: Any) -> str:
    raise _Unknown(node)


def _argument(node: Any, l2tobj: Any, at: int = 0) -> str:
    return str(l2tobj.node_arg_to_text(node, at))


def _flat(node: Any, l2tobj: Any, at: int = 0) -> str:
    return layout.flat(_argument(node, l2tobj, at)).strip()


def _fraction(node: Any, l2tobj: Any) -> str:
    above, below = (_argument(node, l2tobj, at) for at in (0, 1))
    if not above.strip() or not below.strip():
        raise _Unknown(node)
    return layout.fraction(above, below)


def _choose(node: Any, l2tobj: Any) -> str:
    return f"({_flat(node, l2tobj)} choose {_flat(node, l2tobj, 1)})"


def _root(node: Any, l2tobj: Any) -> str:
    return layout.root(_argument(node, l2tobj, 1), _argument(node, l2tobj, 0))


def _marked(node: Any, l2tobj: Any, macroname: str) -> str:
    mark = commands.MARKS[macroname]
    return "".join(c if c.isspace() else c + mark for c in _flat(node, l2tobj))


def _arrow(node: Any, l2tobj: Any, macroname: str) -> str:
    sign = "→" if "right" in macroname else "←"
    below, above = _flat(node, l2tobj, 0), _flat(node, l2tobj, 1)
    return f" {sign}" + (f"^({above})" if above else "") + (f"_({below})" if below else "") + " "


def _beside(node: Any, l2tobj: Any, macroname: str) -> str:
    sign = "_" if macroname == "underset" else "^"
    return f"{_flat(node, l2tobj, 1)}{sign}({_flat(node, l2tobj)})"


def _script(node: Any, l2tobj: Any, specials_chars: str) -> str:
    text = _argument(node, l2tobj)
    if not text.strip():
        raise _Unknown(node)
    return layout.script(text, specials_chars)


def _environment(node: Any, l2tobj: Any) -> str:
    """A matrix, cases, or equations below one another."""
    cells: list[list[list[Any]]] = [[[]]]
    for inner in node.nodelist:
        if getattr(inner, "specials_chars", "") == "&":
            cells[-1].append([])
        elif getattr(inner, "macroname", "") == "\\":
            cells.append([[]])
        else:
            cells[-1][-1].append(inner)
    rows = [[layout.spaced(l2tobj.nodelist_to_text(cell)) for cell in row] for row in cells]
    rows = [row for row in rows if any(row)]
    if not rows:
        raise _Unknown(node)
    name = node.environmentname
    return layout.bracketed(rows, name) if name in commands.BRACKETS else layout.lines(rows)


_TOLD: dict[str, tuple[str, Any]] = {
    **dict.fromkeys(commands.FRACTIONS, ("{{", _fraction)),
    **dict.fromkeys(commands.BINOMIALS, ("{{", _choose)),
    **dict.fromkeys(commands.PLAIN, ("{", _argument)),
    **dict.fromkeys(commands.MARKS, ("{", _marked)),
    **dict.fromkeys(commands.BOXES, ("{", lambda node, l2tobj: f"[{_flat(node, l2tobj)}]")),
    **dict.fromkeys(commands.BRACED, ("{", lambda node, l2tobj: f"({_flat(node, l2tobj)})")),
    **{name: ("", word) for name, word in commands.WORDS.items()},
    **dict.fromkeys(("xrightarrow", "xleftarrow"), ("[{", _arrow)),
    **dict.fromkeys(("stackrel", "overset", "underset"), ("{{", _beside)),
    "sqrt": ("[{", _root),
    "pmod": ("{", lambda node, l2tobj: f" (mod {_flat(node, l2tobj)})"),
    "mod": ("{", lambda node, l2tobj: f" mod {_flat(node, l2tobj)}"),
    "tag": ("{", lambda node, l2tobj: f"   ({_flat(node, l2tobj)})"),
    "\\": ("*[", "\n"),
}
"""By command: which arguments it takes, and what is said of it."""


@cache
def _specs() -> tuple[Any, Any]:
    """What is parsed as a command, and a teller of what was parsed."""
    from pylatexenc import latex2text, latexwalker
    from pylatexenc.latex2text import EnvironmentTextSpec, MacroTextSpec, SpecialsTextSpec
    from pylatexenc.macrospec import (
        EnvironmentSpec,
        MacroSpec,
        MacroStandardArgsParser,
        SpecialsSpec,
    )

    # What it has to say of a formula is said by leaving that as it is.
    logging.getLogger("pylatexenc").setLevel(logging.CRITICAL + 1)

    takes = {"array": "[{", "alignat": "{", "alignat*": "{"}
    environments = [*commands.BRACKETS, *(n for line in commands.LINES for n in (line, f"{line}*"))]
    parsed = latexwalker.get_default_latex_context_db()
    parsed.add_context_category(
        "ponder",
        macros=[
            *(MacroSpec(name, arguments) for name, (arguments, _) in _TOLD.items()),
            *(MacroSpec(name, "") for name in commands.SILENT),
        ],
        environments=[EnvironmentSpec(name, takes.get(name, "")) for name in environments],
        specials=[SpecialsSpec(sign, args_parser=MacroStandardArgsParser("{")) for sign in "^_"],
        prepend=True,
    )
    words = latex2text.get_default_latex_context_db().filter_context(
        keep_categories=["latex-base", "latex-approximations", "advanced-symbols"]
    )
    words.add_context_category(
        "ponder",
        macros=[
            *(MacroTextSpec(name, simplify_repl=how) for name, (_, how) in _TOLD.items()),
            *(MacroTextSpec(name, discard=True) for name in commands.SILENT),
            *(MacroTextSpec(name, simplify_repl=_refuse) for name in commands.REFUSED),
        ],
        environments=[
            EnvironmentTextSpec(name, simplify_repl=_environment) for name in environments
        ],
        specials=[
            *(SpecialsTextSpec(sign, simplify_repl=_script) for sign in "^_"),
            *(SpecialsTextSpec(sign, simplify_repl=" ") for sign in "~&"),
            SpecialsTextSpec("''", simplify_repl="″"),
        ],
        prepend=True,
    )
    words.set_unknown_macro_spec(MacroTextSpec("", simplify_repl=_refuse))
    words.set_unknown_environment_spec(EnvironmentTextSpec("", simplify_repl=_refuse))
    spaces = {
        "between-macro-and-chars": False,
        "between-latex-constructs": True,
        "after-comment": False,
        "in-equations": False,
    }
    told = latex2text.LatexNodes2Text(
        latex_context=words, math_mode="text", keep_comments=True, strict_latex_spaces=spaces
    )
    return parsed, told
