"""Words by category: names of people, things, shops, days.

Knows how `lexicon.txt` is written, which slot of the bank means which category, and how to make
up words that nobody has seen. Refuses to know in what sentence a word will stand.

A line is a category and its words: `things: marble, box/boxes`. What stands before the slash
is one of them, what follows are several; without a slash several get an s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ponder.evaluation.dice import Dice

SLOTS = {
    "thing": "things", "fruit": "fruits", "treat": "treats", "food": "foods", "animal": "animals",
    "flower": "flowers", "plant": "plants", "good": "goods", "tool": "tools",
    "stationery_one": "stationery", "toy": "toys", "container": "containers", "room": "rooms",
    "shop": "shops", "place": "places", "vehicle": "vehicles", "person": "people",
    "relative": "relatives", "job": "jobs", "club": "clubs", "drink": "drinks",
    "liquid": "liquids", "powder": "powders", "colour": "colours", "sport": "sports",
    "game": "games", "subject": "subjects", "day": "days", "month": "months", "city": "cities",
    "festival": "festivals", "hobby": "hobbies",
}  # fmt: skip
"""The slot for one of them, and the category, which is also the slot for several."""

CATEGORIES = frozenset(SLOTS.values())
NAMES = {"names_she": "she", "names_he": "he"}

_UNCOUNTED = frozenset(
    {"drinks", "liquids", "powders", "colours", "sports", "games", "subjects", "days", "months",
     "cities", "festivals", "hobbies"}
)  # fmt: skip
_INVENTED = frozenset({"things", "fruits", "treats", "toys", "animals", "flowers", "goods"})
_SHARE_INVENTED = 0.05

_ONSETS = (
    "b", "bl", "br", "c", "d", "dr", "f", "fl", "g", "gl", "h", "j", "k", "kl", "l", "m", "n",
    "p", "pl", "qu", "r", "s", "sn", "sp", "st", "t", "tr", "v", "w", "y", "z",
)  # fmt: skip
_VOWELS = ("a", "e", "i", "o", "u", "oo", "ee")
_CODAS = ("b", "d", "ff", "g", "k", "l", "m", "n", "p", "r", "rp", "mp", "nt", "ng", "rt", "zz")
_ENDINGS = {"she": ("a", "ia", "ine", "elle"), "he": ("o", "an", "ek", "us")}


@dataclass(frozen=True, slots=True)
class Word:
    """A word for one and for several."""

    one: str
    several: str


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with a name, and the pronouns that fit."""

    name: str
    he: str
    him: str
    his: str


_PRONOUNS = {"she": ("she", "her", "her"), "he": ("he", "him", "his")}


class Lexicon:
    """All words; draws them, and rarely makes one up."""

    def __init__(self, words: Mapping[str, tuple[Word, ...]], people: tuple[Person, ...]) -> None:
        self.words = words
        self.people = people
        self.singulars = {
            word.several: word.one
            for category, listed in words.items()
            if category not in _UNCOUNTED
            for word in listed
            if word.several != word.one
        }
        self.one = frozenset(self.singulars.values())

    def word(self, dice: Dice, category: str, taken: frozenset[Word]) -> Word:
        """Return a word of the category that is none of those that are taken."""
        if category in _INVENTED and dice.chance(_SHARE_INVENTED):
            made_up = _invented(dice)
            return Word(made_up, made_up + "s")
        listed = self.words[category]
        word = dice.pick(listed)
        while word in taken and len(listed) > len(taken):
            word = dice.pick(listed)
        return word

    def person(self, dice: Dice, taken: frozenset[str]) -> Person:
        """Return somebody whose name is none of those that are taken."""
        if dice.chance(_SHARE_INVENTED):
            gender = dice.pick(("she", "he"))
            name = (_invented(dice) + dice.pick(_ENDINGS[gender])).capitalize()
            return Person(name, *_PRONOUNS[gender])
        person = dice.pick(self.people)
        while person.name in taken:
            person = dice.pick(self.people)
        return person


def _invented(dice: Dice) -> str:
    return dice.pick(_ONSETS) + dice.pick(_VOWELS) + dice.pick(_CODAS)


def parse(text: str) -> tuple[Lexicon, list[tuple[int, str]]]:
    """Return the words of a lexicon, and what is wrong with it, each with its line."""
    words: dict[str, tuple[Word, ...]] = {}
    people: list[Person] = []
    mistakes: list[tuple[int, str]] = []
    for at, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        category, colon, listed = line.partition(":")
        entries = [entry.strip() for entry in listed.split(",") if entry.strip()]
        if not colon or not entries:
            mistakes.append((at, "expected a category and its words: `things: marble, shell`"))
        elif category in NAMES:
            people += [Person(name, *_PRONOUNS[NAMES[category]]) for name in entries]
        elif category not in CATEGORIES:
            mistakes.append((at, f"no slot has the words of {category!r}"))
        else:
            words[category] = tuple(_word(category, entry) for entry in entries)
    for missing in sorted(CATEGORIES - words.keys()):
        mistakes.append((0, f"{missing!r} has no words"))
    if len({person.he for person in people}) < len(NAMES):
        mistakes.append((0, "names_she and names_he are both needed"))
    return Lexicon(words, tuple(people)), mistakes


def _word(category: str, entry: str) -> Word:
    one, slash, several = entry.partition("/")
    if category in _UNCOUNTED:
        return Word(one, several if slash else one)
    return Word(one, several if slash else one + "s")
