"""Numbers in words: twelve, three quarters, twice.

Knows English numerals. Refuses to know when somebody would use them.
"""

from __future__ import annotations

from fractions import Fraction

_ONES = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
    "nineteen",
)  # fmt: skip
_TENS = (
    "", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety",
)  # fmt: skip
_PARTS = {
    3: "third", 5: "fifth", 6: "sixth", 7: "seventh", 8: "eighth", 9: "ninth", 10: "tenth",
    12: "twelfth", 20: "twentieth",
}  # fmt: skip


def cardinal(number: int) -> str:
    """Return a whole number below a million in words."""
    if number < 0:
        return f"minus {cardinal(-number)}"
    if number < 20:
        return _ONES[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        return _TENS[tens] + (f"-{_ONES[ones]}" if ones else "")
    size, name = (100, "hundred") if number < 1000 else (1000, "thousand")
    many, rest = divmod(number, size)
    joint = " and " if rest < 100 else " "
    return f"{cardinal(many)} {name}" + (f"{joint}{cardinal(rest)}" if rest else "")


def part(fraction: Fraction, *, article: str, quarter: str) -> str | None:
    """Return a fraction below 1 in words, as in "two thirds of"; None if it has no short name.

    Args:
        fraction: between 0 and 1.
        article: what a single part is counted with, "a" or "one".
        quarter: "quarter" or "fourth".
    """
    count, size = fraction.numerator, fraction.denominator
    if size == 2:
        return "half"
    name = quarter if size == 4 else _PARTS.get(size)
    if name is None or not 0 < count < size:
        return None
    if count > 1:
        return f"{cardinal(count)} {name}s"
    vowel = article == "a" and name[0] == "e"
    return f"{article}{'n' if vowel else ''} {name}"


NUMERALS = frozenset(
    {
        *_ONES, *_TENS[2:], *_PARTS.values(), *(f"{name}s" for name in _PARTS.values()),
        "hundred", "thousand", "million", "half", "halves", "quarter", "quarters", "fourth",
        "fourths", "second", "first", "twice", "double", "triple", "dozen", "dozens", "single",
        "once", "couple", "pair", "pairs",
    }
)  # fmt: skip
"""Words that say how many: whoever misspells one says another number."""
