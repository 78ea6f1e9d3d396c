r"""Answers in normal form, and what can be told from two of them without any algebra.

Knows numbers, letters of choices, words, and which text is mathematics at all. Refuses to
know mathematics: what needs it is left undecided. Pure; takes any text, in time that grows
with its length.

In doubt two answers differ: a vote that is split in two loses a trace, a vote that is joined
wrongly tells a wrong answer. So words are compared as text only, or "NO2" would be "N2O" for
whoever multiplies letters, and brackets have to match, or (2, 3) would be (3, 2) by way of
the list 2, 3.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from ponder.equality.answers import tidy

_LONGEST_NUMBER = 1000
"""In characters. Python refuses to read integers of more than 4,300 digits."""
_LONGEST_EXPRESSION = 400
"""In characters. What is longer is prose, or was written to be slow."""

_DECIMAL = r"-?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)"
_NUMBER = re.compile(
    rf"""
      (?P<plain> {_DECIMAL} ) (?: / (?P<divisor> [0-9]+ ) )?
    | (?P<sign> -? ) (?P<whole> [0-9]+ ) \s (?P<above> [0-9]+ ) / (?P<below> [0-9]+ )   # 1 1/2
    | (?P<mantissa> {_DECIMAL} ) \s? (?: \\times | \\cdot | [×·*] ) \s? 10 \s?
      \^ \s? (?P<brace> \{{ )? \s? (?P<power> [-+]?[0-9]{{1,3}} ) \s? (?(brace) \}} )   # 2×10^{{8}}
    | (?P<significand> {_DECIMAL} ) [eE] (?P<exponent> [-+]?[0-9]{{1,3}} )              # 2e8
    | (?P<few> {_DECIMAL} ) \s (?P<scale> hundred|thousand|million|billion|trillion )
    """,
    re.VERBOSE | re.IGNORECASE,
)
_SCALES = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12}

# (B), B), **B**, (B) 4, B) 4, B. 4, B: 4, option B. A letter with a point or a colon starts no
# choice if a small letter follows: E. coli.
_CHOICE = re.compile(
    r"""
    (?: (?i:option|choice|answer) \s+ )?
    (?:
        \( (?P<round> [A-Za-z] ) \)
      | (?P<bare> [A-Za-z] ) [).]? (?=$)
      | (?: \( (?P<first> [A-J] ) \) | (?P<second> [A-J] ) \) ) \s* (?P<rest> \S.* )
      | (?P<third> [A-J] ) [.:] \s+ (?P<tail> [^a-z\s].* )
    )
    """,
    re.VERBOSE | re.DOTALL,
)
_LABEL = re.compile(r"\(?\b[A-J]\)|\b[A-J][.:]\s")

_UNICODE = str.maketrans(
    {
        "√": "sqrt",
        "π": "\\pi ",
        "∞": "\\infty ",
        "×": "\\times ",
        "·": "\\cdot ",
        "÷": "/",
        "≤": "\\le ",
        "≥": "\\ge ",
        "≠": "\\ne ",
        "±": "\\pm ",
        "θ": "\\theta ",
        "²": "^2",
        "³": "^3",
        "½": "\\frac{1}{2}",
        "−": "-",
        "–": "-",
    }
)
_FUNCTIONS = (
    "pi|sin|cos|tan|cot|sec|csc|arcsin|arccos|arctan|sinh|cosh|tanh|ln|log|exp|infty"
    "|alpha|beta|gamma|theta|lambda|sigma|omega"
)
_FUNCTION = re.compile(rf"(?<![\\A-Za-z])({_FUNCTIONS})(?![A-Za-z])")
_MARKUP = (
    (re.compile(r"\*\*"), "^"),
    (re.compile(r"\\(?:left|right|displaystyle|quad|qquad)(?![A-Za-z])"), " "),
    (re.compile(r"(?<!\\)\\[()\[\],;:! ]|\\?\$|~"), " "),
    (re.compile(r"\\(?:mathrm|text|operatorname)\s*\{\s*([A-Za-z])\s*\}"), r" \1 "),
    (re.compile(r"(?:\\text\s*\{\s*|\b)(?:and|or)\b(?:\s*\})?"), ","),
)
_ROOT = re.compile(r"(?<![\\A-Za-z])sqrt\s*(?:\(([^()]*)\)|([0-9]+|[A-Za-z](?![A-Za-z])))")
_SPACES = re.compile(r"\s*([-+*/^=<>,;()\[\]{}|])\s*")
_COMMAND = re.compile(r"\\(?:begin|end)\s*\{[a-z]*\}|\\[A-Za-z]+\s*|\\.")
_SIGNS = re.compile(r"[0-9+*/^_=<>|(\[\\]")

_NO_MATHEMATICS = re.compile(
    r"""
      [A-Za-z]{3}                       # a word
    | (?<![A-Za-z\\])[A-Za-z]{1,2}[0-9] # H2O, x2: nobody knows what the digit does
    | [0-9]_                            # 101_2, a number to a base: the library drops the base
    | ^[0-9]{1,2}:[0-9]{2}$             # half past two is no ratio
    | (?<![_^0-9])[0-9]+\s+[0-9]        # two numbers in a row
    | ['"@#?\x00-\x08\x0e-\x1f\x7f]    # x' is not x
    """,
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Form:
    """One answer, normalised. Answers with equal forms are the same."""

    number: Fraction | None
    """Its value, exact; None if it is no plain number."""
    text: str
    """What it says, in small letters; empty if it is a number, or says nothing."""
    expression: str = ""
    """LaTeX for whoever knows algebra; empty if nothing is to be computed."""

    def __bool__(self) -> bool:
        """Whether there is any answer."""
        return self.number is not None or bool(self.text)


def form(answer: str) -> Form:
    """Return the normal form of an answer, as `read_answer` gives it or as a key has it."""
    plain = tidy(answer)
    number = _number(plain)
    if number is not None:
        # As LaTeX for comparing it with an expression that comes to a number.
        return Form(number, "", f"\\frac{{{number.numerator}}}{{{number.denominator}}}")
    if (letter := _choice(plain)) is not None:
        return Form(None, letter)
    return Form(None, _SPACES.sub(r"\1", plain).casefold(), _expression(answer, plain))


def normal(answer: str) -> str:
    """Return an answer as text that is the same for answers whose forms are."""
    found = form(answer)
    return str(found.number) if found.number is not None else f"={found.text}"


def decide(a: Form, b: Form) -> bool | None:
    """Tell whether two answers are the same; None where that takes mathematics.

    What is decided is an equivalence: numbers by value and exactly (0.5 is 1/2, and 0.33 is
    not 1/3), choices by their letter, all else by its text. No answer is never the same.
    """
    if not a or not b:
        return False
    if a.number is not None and b.number is not None:
        return a.number == b.number
    if (a.number, a.text) == (b.number, b.text):
        return True
    if not a.expression or not b.expression:
        return False
    return None if _shape(a.expression) == _shape(b.expression) else False


def same_answer(a: str | None, b: str) -> bool:
    """Tell whether two answers are certainly the same, by `decide`; no algebra is done."""
    return a is not None and decide(form(a), form(b)) is True


def _number(plain: str) -> Fraction | None:
    """Return the number that a tidied answer is; None if it is none."""
    if len(plain) > _LONGEST_NUMBER or not (found := _NUMBER.fullmatch(plain)):
        return None
    if found["plain"] is not None:
        divisor = int(found["divisor"] or 1)
        return Fraction(found["plain"]) / divisor if divisor else None
    if found["whole"] is not None:
        below = int(found["below"])
        if not below:
            return None
        value = int(found["whole"]) + Fraction(int(found["above"]), below)
        return -value if found["sign"] else value
    if found["few"] is not None:
        return Fraction(f"{found['few']}e{_SCALES[found['scale'].lower()]}")
    digits = found["mantissa"] or found["significand"]
    return Fraction(f"{digits}e{found['power'] or found['exponent']}")


def _choice(plain: str) -> str | None:
    """Return the letter of a multiple choice, small; None if the answer is not one letter."""
    found = _CHOICE.fullmatch(plain.replace("*", "").strip())
    if found is None:
        return None
    rest = found["rest"] or found["tail"]
    if rest is not None and _LABEL.search(rest):
        # A) 5, B) 7: the parts of one answer.
        return None
    letters = ("round", "bare", "first", "second", "third")
    return next(found[name].lower() for name in letters if found[name])


def _expression(answer: str, plain: str) -> str:
    """Return an answer as LaTeX to be computed; empty if it is not mathematics."""
    # Its own LaTeX: the tidied text has lost brackets that an exponent needs.
    source = answer if "\\" in answer or "{" in answer else plain
    if len(source) > _LONGEST_EXPRESSION:
        return ""
    source = source.translate(_UNICODE)
    for pattern, replacement in _MARKUP:
        source = pattern.sub(replacement, source)
    source = _ROOT.sub(r"\\sqrt{\1\2}", source)
    source = _FUNCTION.sub(r"\\\1 ", source)
    source = " ".join(source.split()).strip('.,;:?`"“”‘’ ')
    if not _SIGNS.search(source) or _NO_MATHEMATICS.search(_COMMAND.sub("\\\\", source)):
        return ""
    return source


def _shape(expression: str) -> str:
    """Return the brackets around an ordered list; empty for anything else."""
    ends = expression[:1] + expression[-1:]
    return ends if ends in ("()", "[]", "[)", "(]") and "," in expression else ""
