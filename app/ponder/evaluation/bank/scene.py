"""What the slots of one question mean: its people, words, numbers, currency and manners.

Knows how each slot is filled so that the whole reads as one person's English: the same words
throughout, "an apple", "1 apple", capitals where sentences begin. Refuses to know which
numbers are drawn.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from ponder.evaluation.arithmetic import MONEY, Number, Operand, Step, Working, amount, show
from ponder.evaluation.bank.lexicon import CATEGORIES, SLOTS, Lexicon, Person, Word
from ponder.evaluation.bank.numerals import cardinal, part
from ponder.evaluation.bank.templates import Slot, Template
from ponder.evaluation.dice import Dice

FORMATS = frozenset({"", "money", "frac", "times", "word", "num", "02", "clock"})
PERSON_FORMS = ("he", "him", "his")
PEOPLE = "ABCDE"

# Marks in a sentence under way: here something was filled in, and here a number that may be
# written in words. They are gone when the sentence is finished.
_FILLED, _COUNTED = "\x01", "\x02"

_WORD_SLOT = re.compile(r"([a-z_]*[a-z])([2-9]?)")
_NUMERAL = re.compile(
    rf"(?<![-$£€/:×*÷=+.\d{_FILLED}] )(?<![-$£€/:×*÷=+.\d(])"
    rf"{_FILLED}?{_COUNTED}(\d+)(?![\d%°$£€:/\w-]|[.,]\d| ?[-+*×÷/=%]| x )"
)
_ARTICLE = re.compile(rf"\b([Aa]) {_FILLED}(?=([$£€]?[\w]+(?:,\d+)?))")
_AN = re.compile(r"[$£€]?(?:8[\d,]*|1[18](?:,\d+)?)$|(?:[aeio]|u(?!n[i]|s[aeiu]|k|ti))|h(?:our|on)")
_SENTENCE = re.compile(rf"(^|[.?!]\s+)({_FILLED}?)([a-z])")
_ONE = re.compile(
    rf"{_FILLED}((?:1|one|\{{answer\}})(?: {_FILLED}?(?:more|other|extra|new|whole|full))?) "
    rf"{_FILLED}?([A-Za-z-]+)( [a-z]+)?"
)
_THERE_ARE = re.compile(rf"\b([Tt]here )(are|were)(?= {_FILLED}(?:1|one|\{{answer\}}) )")
_PLURAL = re.compile(r"[A-Za-z-]*[a-z]{2}(?<![aiu]s)(?<!ss)s(?<!us)(?<!is)")
_NO_PLURALS = frozenset({"has", "does", "was", "less"})
_SPACES = re.compile(r"\s+([.,?!;:](?!\d))|(\s)\s+")


@dataclass(frozen=True, slots=True)
class Currency:
    """How money is written in one question."""

    sign: str
    """Before the number; empty where a word stands after it."""
    unit: str = ""
    cent: str = "cents"

    @property
    def form(self) -> str:
        """The form of an answer in this currency."""
        return MONEY + self.sign


_CURRENCIES = (
    Currency("$"), Currency("£", cent="p"), Currency("€"), Currency("", "dollar"),
    Currency("", "euro"), Currency("", "pound", "pence"),
)  # fmt: skip
_CURRENCY_SHARES = (46, 20, 12, 12, 5, 5)


def is_person(name: str) -> bool:
    """Tell whether `name` is the name of a person's slot."""
    return len(name) == 1 and name in PEOPLE


def is_word_slot(name: str) -> bool:
    """Tell whether `name` is the slot of a category, for one or several, the first or another."""
    return category(name) is not None


def category(name: str) -> tuple[str, str, bool] | None:
    """Return category, ordinal and whether one is meant."""
    found = _WORD_SLOT.fullmatch(name)
    if found is None:
        return None
    slot, ordinal = found.groups()
    if slot in CATEGORIES:
        return slot, ordinal, False
    return (SLOTS[slot], ordinal, True) if slot in SLOTS else None


@dataclass(frozen=True, slots=True)
class Saved:
    """The numbers of a scene at some point."""

    numbers: dict[str, Number]
    operands: dict[str, Operand]
    steps: tuple[Step, ...]
    results: tuple[Number, ...]


class Scene:
    """One question, or one story and its follow-ups, while it is being written."""

    def __init__(self, dice: Dice, lexicon: Lexicon) -> None:
        self.dice = dice
        self.numbers: dict[str, Number] = {}
        self.operands: dict[str, Operand] = {}
        """What steps say for a number: itself, or the step that gave it."""
        self.picked: dict[str, str] = {}
        self.working = Working()
        self.currency = dice.weighted(_CURRENCIES, _CURRENCY_SHARES)
        self._lexicon = lexicon
        self._people: dict[str, Person] = {}
        self._words: dict[str, Word] = {}
        self.large = dice.chance(0.6)
        """Whether numbers are drawn larger, in blocks that allow it."""
        self._wordy = dice.chance(0.14)
        self._longest_word = 100 if dice.chance(0.3) else 20
        self._commas = dice.chance(0.4)
        self._small_change = dice.chance(0.3)
        self._fractions_in_words = dice.chance(0.5)

    def write(self, template: Template, *, proper: bool) -> str:
        """Return a sentence of the question; `proper`: sentences begin with capitals."""
        return self._finish(template.write(self.dice, self._fill), proper=proper)

    def name(self, template: Template) -> str:
        """Return a name or a label as it stands within a sentence, its numbers in digits."""
        wordy, self._wordy = self._wordy, False
        written = self._finish(template.write(self.dice, self._fill), proper=False)
        self._wordy = wordy
        return written

    def digits(self, slot: Slot) -> str:
        """Return what a slot of a number is filled with, in digits."""
        wordy, self._wordy = self._wordy, False
        written = self._fill(slot).replace(_FILLED, "")
        self._wordy = wordy
        return written

    def say(self, template: Template, answer: str, *, single: bool) -> str:
        """Return an answer sentence, with `answer` for the answer, which may be 1 (`single`)."""
        wordy, self._wordy = self._wordy, False
        fill = self._fill
        boxed = _FILLED + answer
        written = template.write(self.dice, lambda slot: boxed if slot.answer else fill(slot))
        self._wordy = wordy
        return self._finish(written, proper=True, single=single)

    def forget(self, *people: str) -> None:
        """Have somebody else stand for these letters from here on."""
        for letter in people:
            self._people.pop(letter, None)

    def shortened(self, sentence: str, before: str) -> str:
        """Sometimes say "he" for the one whom the sentence before was about."""
        hero = self._people.get("A")
        if hero is None or not sentence.startswith(f"{hero.name} ") or hero.name not in before:
            return sentence
        others = (person.name for person in self._people.values() if person is not hero)
        if any(name in before for name in others) or not self.dice.chance(0.6):
            return sentence
        return hero.he.capitalize() + sentence[len(hero.name) :]

    def keep(self, name: str) -> None:
        """Forget all numbers and picked words but this number."""
        self.numbers = {n: value for n, value in self.numbers.items() if n == name}
        self.operands = {n: operand for n, operand in self.operands.items() if n == name}
        self.picked = {}

    def begin_anew(self) -> None:
        """Begin a new turn: what was found is given from here on, in digits."""
        self.working = Working()
        self.operands = dict(self.numbers)

    def save(self) -> Saved:
        """Return how far the numbers are, for `restore`."""
        steps, results = tuple(self.working.steps), tuple(self.working.results)
        return Saved(dict(self.numbers), dict(self.operands), steps, results)

    def restore(self, saved: Saved) -> None:
        """Undo what happened to the numbers since."""
        self.numbers, self.operands = dict(saved.numbers), dict(saved.operands)
        self.working.steps[:] = saved.steps
        self.working.results[:] = saved.results

    def _fill(self, slot: Slot) -> str:
        name = slot.name
        if name in self.numbers:
            return _FILLED + self._number(self.numbers[name], slot.format)
        if name in self.picked:
            return _FILLED + self.picked[name]
        if is_person(name):
            return _FILLED + self._person(name, slot.form)
        return _FILLED + self._word(name)

    def _person(self, letter: str, form: str) -> str:
        person = self._people.get(letter)
        if person is None:
            taken = frozenset(person.name for person in self._people.values())
            person = self._people[letter] = self._lexicon.person(self.dice, taken)
        if not form:
            return person.name
        pronoun: str = getattr(person, form.lower())
        return pronoun.capitalize() if form[0].isupper() else pronoun

    def _word(self, name: str) -> str:
        found = category(name)
        assert found is not None, name
        listed, ordinal, one = found
        word = self._words.get(listed + ordinal)
        if word is None:
            taken = frozenset(self._words.values())
            word = self._words[listed + ordinal] = self._lexicon.word(self.dice, listed, taken)
        return word.one if one else word.several

    def _number(self, value: Number, how: str) -> str:
        match how.split():
            case []:
                if self._wordy and isinstance(value, int) and 0 <= value <= self._longest_word:
                    return f"{_COUNTED}{value}"
                return self._digits(value)
            case ["num"]:
                return show(value)
            case ["money"]:
                return self._money(value)
            case ["word"]:
                return cardinal(value) if isinstance(value, int) else show(value)
            case ["frac"]:
                return self._part(value)
            case ["times"]:
                return self._times(value)
            case ["02"]:
                return f"{int(value):02}"
            case ["clock", minutes]:
                return clock(value, self.numbers[minutes])
        raise AssertionError(how)

    def _digits(self, value: Number) -> str:
        if self._commas and isinstance(value, int) and value >= 1000:
            return f"{value:,}"
        return show(value)

    def _money(self, value: Number) -> str:
        currency = self.currency
        if self._small_change and 0 < value < 1:
            return f"{show(value * 100)}{'' if currency.cent == 'p' else ' '}{currency.cent}"
        written = amount(value)
        if self._commas and value >= 1000:
            written = f"{int(value):,}" + written[len(str(int(value))) :]
        if currency.sign:
            return f"-{currency.sign}{written[1:]}" if value < 0 else currency.sign + written
        return f"{written} {currency.unit}{'' if value == 1 else 's'}"

    def _part(self, value: Number) -> str:
        if self._fractions_in_words and isinstance(value, Fraction):
            article, quarter = self.dice.pick(("a", "one")), self.dice.pick(("quarter", "fourth"))
            if words := part(value, article=article, quarter=quarter):
                return words
        return f"{value.numerator}/{value.denominator}"

    def _times(self, value: Number) -> str:
        if value == 2 and self.dice.chance(0.75):
            return "twice"
        if isinstance(value, int) and value <= 12 and self.dice.chance(0.7):
            return f"{cardinal(value)} times"
        return f"{show(value)} times"

    def _finish(self, written: str, *, proper: bool, single: bool = False) -> str:
        if _COUNTED in written:
            written = _NUMERAL.sub(self._numeral, written).replace(_COUNTED, "")
        written = _ARTICLE.sub(_article, written)
        if single or f"{_FILLED}1 " in written or f"{_FILLED}one " in written:
            written = _ONE.sub(self._one if single else self._given_one, written)
            written = _THERE_ARE.sub(_there_is if single else _there_is_given, written)
        if proper:
            written = _SENTENCE.sub(_capital, written)
        return _SPACES.sub(r"\1\2", written.replace(_FILLED, "")).strip()

    def _numeral(self, found: re.Match[str]) -> str:
        return _FILLED + (cardinal(int(found[1])) if self.dice.chance(0.75) else found[1])

    def _given_one(self, found: re.Match[str]) -> str:
        return found[0] if found[1].startswith("{") else self._one(found)

    def _one(self, found: re.Match[str]) -> str:
        """Have one of something be one: 1 apple, 1 toy car, 1 more apple."""
        several, rest = found[2], found[3] or ""
        singulars = self._lexicon.singulars
        if both := singulars.get(several + rest):
            several, rest = both, ""
        elif several + rest not in self._lexicon.one:
            several = singulars.get(several) or _one_of(several)
        return f"{_FILLED}{found[1]} {_FILLED}{several}{rest}"


def clock(hours: Number, minutes: Number) -> str:
    """Return a time of day.

    Raises:
        ArithmeticError: there is no such time.
    """
    if not (isinstance(hours, int) and isinstance(minutes, int) and 0 <= minutes < 60):
        raise ArithmeticError(f"there is no time {show(hours)}:{show(minutes)}")
    return f"{hours}:{minutes:02}"


def _article(found: re.Match[str]) -> str:
    an = _AN.match(found[2]) is not None
    return f"{found[1]}{'n' if an else ''} {_FILLED}"


def _capital(found: re.Match[str]) -> str:
    return found[1] + found[2] + (found[3].upper() if found[2] else found[3])


def _one_of(several: str) -> str:
    if several in _NO_PLURALS or not _PLURAL.fullmatch(several):
        return several
    return several[:-3] + "y" if several.endswith("ies") else several[:-1]


def _there_is(found: re.Match[str]) -> str:
    return found[1] + ("is" if found[2] == "are" else "was")


def _there_is_given(found: re.Match[str]) -> str:
    return (
        found[0] if "{answer}" in found.string[found.end() : found.end() + 10] else _there_is(found)
    )
