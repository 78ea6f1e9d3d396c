"""Slips of the keyboard leave numbers alone, and small talk has something to say."""

from __future__ import annotations

import re
from collections import Counter
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ponder.evaluation.bank.numerals import NUMERALS, cardinal
from ponder.evaluation.dice import Dice
from ponder.evaluation.questions import drafts
from ponder.evaluation.spelling import misspell
from ponder.evaluation.talk import parse, talks

SEEDS = st.integers(0, 2**32 - 1)
WORDS = st.sampled_from(
    ("how", "many", "apples", "does", "left,", "and", "please?", "can't", "Mia's", "x", "three",
     "minutes", "two", "half", "twenty-one", "12", "of", "3.50", "1,250", "$4.50", "15%", "7/3",
     "(3+4)×5")
)  # fmt: skip


def numbers(text: str) -> list[str]:
    return re.findall(r"[-$£€]?\d+(?:[.,/:]\d+)*%?", text)


def numerals(text: str) -> list[str]:
    return [word for word in re.findall("[a-z]+", text.lower()) if word in NUMERALS]


@settings(max_examples=300)
@given(st.lists(WORDS, min_size=1, max_size=12).map(" ".join), SEEDS)
def test_numbers_survive(text: str, seed: int) -> None:
    typed = misspell(Dice(seed), text)
    assert numbers(typed) == numbers(text)
    assert numerals(typed) == numerals(text)


@settings(max_examples=40, deadline=None)
@given(SEEDS)
def test_numbers_of_questions_survive_with_the_spaces_beside_them(seed: int) -> None:
    for draft in islice(drafts(seed), 10):
        typed = misspell(Dice(seed), draft.text)
        assert numbers(typed) == numbers(draft.text)
        assert numerals(typed) == numerals(draft.text)
        assert re.findall(r"\s\d", typed) == re.findall(r"\s\d", draft.text)


def test_slips_happen() -> None:
    text = "How many apples does Mia have left? Please tell me, I don't know."
    typed = {misspell(Dice(seed), text) for seed in range(300)}
    assert len(typed) > 200
    assert any("u" in words.split() or "pls" in words for words in typed)
    assert text.lower() in {words.lower() for words in typed}


@pytest.mark.parametrize(
    ("number", "words"),
    [(0, "zero"), (21, "twenty-one"), (100, "one hundred"), (115, "one hundred and fifteen"),
     (1005, "one thousand and five"), (2300, "two thousand three hundred"), (-4, "minus four")],
)  # fmt: skip
def test_cardinals(number: int, words: str) -> None:
    assert cardinal(number) == words


def test_small_talk_is_answered_in_one_sentence_without_a_box() -> None:
    kinds = Counter[str]()
    for talk in islice(talks(3, "ponder-tiny"), 1500):
        kinds[talk.kind] += 1
        for text in (talk.text, talk.thought, talk.answer):
            assert text.strip() == text
            assert text
            assert not re.search("[{}]|boxed", text)
        assert re.fullmatch(r"[^\n]+[.!?]", talk.answer)
    assert set(kinds) == {"greeting", "thanks", "self", "other"}
    assert any("ponder-tiny" in talk.answer for talk in islice(talks(3, "ponder-tiny"), 100))


def test_small_talk_is_seeded() -> None:
    assert list(islice(talks(4, "a"), 50)) == list(islice(talks(4, "a"), 50))
    assert list(islice(talks(4, "a"), 50)) != list(islice(talks(5, "a"), 50))


def test_mistakes_in_small_talk_are_told() -> None:
    _, mistakes = parse("talk.txt", "greeting: hi {nobody}\nfoo: x\nanswer self: [a")
    told = [str(mistake) for mistake in mistakes]
    assert any(line.startswith("talk.txt:1: ") and "nobody" in line for line in told)
    assert any(line.startswith("talk.txt:2: ") for line in told)
    assert any(line.startswith("talk.txt:3: ") for line in told)
