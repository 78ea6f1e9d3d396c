"""Commands that models use and pylatexenc does not tell, or tells so that something is lost.

Data. How those with arguments are told is the business of `latex`.
"""

from __future__ import annotations

FRACTIONS = ("frac", "dfrac", "tfrac", "cfrac", "nicefrac")
BINOMIALS = ("binom", "dbinom", "tbinom")
BOXES = ("boxed", "fbox")
BRACED = ("underbrace", "overbrace")

SILENT = (
    "left", "right", "middle", "big", "Big", "bigg", "Bigg", "bigl", "bigr", "Bigl", "Bigr",
    "biggl", "biggr", "Biggl", "Biggr", "displaystyle", "textstyle", "scriptstyle", "limits",
    "nolimits", "nonumber", "notag", "hline", "rm", "bf", "it",
)  # fmt: skip
"""Sizes and places, of which nothing is said."""

PLAIN = (
    "text", "textrm", "textbf", "textit", "textsf", "texttt", "textnormal", "emph", "mbox", "hbox",
    "mathrm", "mathbf", "mathit", "mathsf", "mathtt", "mathop", "mathbin", "mathrel", "boldsymbol",
    "bm", "pmb", "operatorname", "operatorname*", "substack",
)  # fmt: skip
"""Typefaces, whose argument is said as it is: the letters of Unicode for them are in few fonts."""

MARKS = {
    "overline": "\u0305",
    "bar": "\u0305",
    "underline": "\u0332",
    "widehat": "\u0302",
    "widetilde": "\u0303",
    "overrightarrow": "\u20d7",
    "vec": "\u20d7",
    "cancel": "\u0336",
}
"""What is set on every character of the argument."""

WORDS = {
    "bmod": " mod ", "gcd": "gcd", "lcm": "lcm", "det": "det", "dim": "dim", "ker": "ker",
    "deg": "deg", "arg": "arg", "hom": "Hom", "lg": "lg", "Pr": "Pr", "sec": "sec", "csc": "csc",
    "cot": "cot", "coth": "coth", "Re": "Re", "Im": "Im", "land": "∧", "lor": "∨", "lnot": "¬",
    "neg": "¬", "implies": "⟹", "impliedby": "⟸", "iff": "⟺", "gets": "←", "colon": ":",
    "coloneqq": "≔", "lbrace": "{", "rbrace": "}", "lbrack": "[", "rbrack": "]", "degree": "°",
    "square": "□", "triangle": "△", "bot": "⊥", "models": "⊨", "lhd": "⊲", "rhd": "⊳", "ne": "≠",
    "lt": "<", "gt": ">", "checkmark": "✓", "prime": "′", "circ": "∘", "|": "‖", ">": " ",
    "thinspace": " ", "enspace": " ",
}  # fmt: skip

REFUSED = ("input", "include", "today", "title", "author", "date", "maketitle")
"""Known to pylatexenc, and no mathematics."""

BRACKETS = {
    "pmatrix": ("(", ")", "⎛⎜⎝", "⎞⎟⎠"),
    "bmatrix": ("[", "]", "⎡⎢⎣", "⎤⎥⎦"),
    "Bmatrix": ("{", "}", "⎧⎪⎩", "⎫⎪⎭"),
    "vmatrix": ("|", "|", "│││", "│││"),
    "Vmatrix": ("‖", "‖", "‖‖‖", "‖‖‖"),
    "cases": ("{", "", "⎧⎨⎩", ""),
    "smallmatrix": ("", "", "", ""),
    "matrix": ("", "", "", ""),
    "array": ("", "", "", ""),
}
"""Around columns, on one row and at the first, middle and last of several."""

LINES = (
    "align", "alignat", "aligned", "split", "gather", "gathered", "multline", "equation",
    "eqnarray", "displaymath", "math",
)  # fmt: skip
"""Equations below one another."""
