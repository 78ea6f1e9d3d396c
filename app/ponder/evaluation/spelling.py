"""How people really type: small letters, no apostrophes, "u", "pls", slips of the finger.

Knows which slips happen, and that a number is never touched: no digit changes, none comes or
goes, and no space beside a number is lost. Refuses to know what the text is about.
"""

from __future__ import annotations

import re

from ponder.evaluation.bank.numerals import NUMERALS
from ponder.evaluation.dice import Dice

_CHAT = {
    "you": ("u", "u", "ya"), "your": ("ur", "yr"), "are": ("r", "are"), "please": ("pls", "plz"),
    "people": ("ppl",), "many": ("mny", "many"), "much": ("mch", "much"), "how": ("hw", "how"),
    "what": ("wat", "wht", "what"), "what's": ("whats", "wats"), "and": ("n", "nd", "&", "and"),
    "with": ("w", "wth", "with"), "minutes": ("mins", "min"), "hours": ("hrs",),
    "because": ("bc", "cuz"),
    "each": ("ea", "each"), "the": ("teh", "the", "da"), "have": ("hav", "have"),
    "there": ("ther", "there"), "their": ("thier", "there"), "altogether": ("all together",),
    "does": ("dose", "does"), "i'm": ("im",), "don't": ("dont",),
    "right": ("rite", "right"), "calculate": ("calc", "calculate"), "thanks": ("thx",),
    "through": ("thru",), "tomorrow": ("tmrw", "tomorow"), "birthday": ("bday",),
    "weeks": ("wks", "weeks"), "receive": ("recieve",), "until": ("til",), "going": ("goin",),
    "this": ("dis", "this"), "that": ("dat", "tht", "that"), "my": ("me", "my"), "know": ("kno",),
    "tell": ("tel",), "need": ("ned", "need"), "total": ("totl", "total"),
}  # fmt: skip
_NEIGHBOURS = {
    letter: row[max(at - 1, 0) : at] + row[at + 1 : at + 2]
    for row in ("qwertyuiop", "asdfghjkl", "zxcvbnm")
    for at, letter in enumerate(row)
}
_WORD = re.compile(r"[A-Za-z]+(?:'[a-z]+)?")
_SLIPPABLE = re.compile(r"[a-z]{4,}")
_LOOSE_COMMA = re.compile(r",(?= )")
_LAST_STOP = re.compile(r"\s*[.?!]+$")
_STOP_INSIDE = re.compile(r"(?<=[a-z])[.?](?= )")
_TWO_WORDS = re.compile(r"(?<![A-Za-z0-9'])([a-z]{2,}) (?=([a-z]{2,})(?![A-Za-z0-9]))")


def misspell(dice: Dice, text: str) -> str:
    """Return `text` as somebody in a hurry may have typed it; its numbers are what they were."""
    if dice.chance(0.55):
        text = text.lower()
    if dice.chance(0.5):
        text = _LAST_STOP.sub("", text)
    if dice.chance(0.35):
        text = _LOOSE_COMMA.sub("", text)
    if dice.chance(0.2):
        text = _STOP_INSIDE.sub("", text)
    if dice.chance(0.5):
        text = _without_apostrophes(text)
    if dice.chance(0.45):
        text = _WORD.sub(lambda word: _in_chat(dice, word[0]), text)
    if dice.chance(0.6):
        rate = dice.pick((0.04, 0.08, 0.15))
        text = _WORD.sub(lambda word: _slip(dice, word, rate), text)
    if dice.chance(0.2):
        text = _TWO_WORDS.sub(lambda words: _join(dice, words), text)
    return text


def _without_apostrophes(text: str) -> str:
    return re.sub(r"(?<=[A-Za-z])'(?=[a-z])", "", text)


def _in_chat(dice: Dice, word: str) -> str:
    short = _CHAT.get(word.lower())
    return dice.pick(short) if short is not None and dice.chance(0.6) else word


def _slip(dice: Dice, found: re.Match[str], rate: float) -> str:
    """Swap, lose, double or miss a letter, in a word that is no number and no name."""
    word = found[0]
    if not _SLIPPABLE.fullmatch(word) or word in NUMERALS or not dice.chance(rate):
        return word
    at = dice.between(1, len(word) - 2)
    match dice.between(0, 3):
        case 0:
            slipped = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
        case 1:
            slipped = word[:at] + word[at + 1 :]
        case 2:
            slipped = word[:at] + word[at] + word[at:]
        case _:
            slipped = word[:at] + dice.pick(_NEIGHBOURS[word[at]]) + word[at + 1 :]
    return word if slipped in NUMERALS else slipped


def _join(dice: Dice, found: re.Match[str]) -> str:
    """Lose the space between two words, neither of which is a number."""
    if not dice.chance(0.06) or found[1] in NUMERALS or found[2] in NUMERALS:
        return found[0]
    return found[1]
