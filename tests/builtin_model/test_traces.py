"""The thoughts that the built-in models learn from are true, but for the slips that they mend."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction
from itertools import islice

import pytest
from builtin_model.sheet import Piece, Unwritable
from builtin_model.traces import Temper, think
from builtin_model.working_out import Notation, in_parts, slip, without_carry
from hypothesis import given
from hypothesis import strategies as st

from builtin_model import phrases
from ponder.equality import same_answer
from ponder.evaluation.arithmetic import Draft, Operator, Step, Verdict, apply, exact
from ponder.evaluation.dice import Dice
from ponder.evaluation.difficulty import difficulty
from ponder.evaluation.questions import drafted

_NUMBER = r"\(?-?[0-9]+(?:\.[0-9]+)?\)?"
_EQUATION = re.compile(
    rf"(?<![0-9./-])(?<![+×/-] )({_NUMBER}) ([-+×/]|% of) ({_NUMBER})"
    rf" = ({_NUMBER})(?![0-9/])(?!\.[0-9])"
    r"(?! (?:[-+×/]|remainder))"
)
_OPERATORS = {
    "+": Operator.PLUS,
    "-": Operator.MINUS,
    "×": Operator.TIMES,
    "/": Operator.OVER,
    "% of": Operator.PERCENT,
}
CALM = Temper(carry=(0, 0, 0), overthinking=0, circling=0)
SEEDS = st.integers(0, 10**6)


@pytest.fixture(autouse=True, scope="module")
def _bank_is_read() -> None:
    """Once, before anybody's time is taken."""
    next(drafted(0))


def some_draft(seed: int) -> Draft:
    return next(draft for _, draft in drafted(seed, operations=range(1, 9)))


def thought(seed: int, temper: Temper) -> tuple[Draft, tuple[Piece, ...], str]:
    """The first question of a seed that can be thought about, thought about."""
    for at in range(50):
        draft = some_draft(seed + at)
        try:
            return (draft, *think(Dice(seed), draft, temper))
        except Unwritable:
            continue
    raise AssertionError("fifty questions in a row could not be thought about")


def number(text: str) -> Fraction:
    return Fraction(text.strip("()"))


@given(SEEDS)
def test_every_slip_is_mended_before_the_end(seed: int) -> None:
    draft, _, answer = thought(seed, CALM)
    assert same_answer(answer, draft.answer)


@given(SEEDS)
def test_what_is_learned_is_true(seed: int) -> None:
    # Without slips nothing is unlearned but Waits, so that whole equations can be read.
    calm = replace(CALM, slip=(0, 0, 0), misreading=0)
    _, pieces, _ = thought(seed, calm)
    told = "".join(piece.text for piece in pieces)
    for left, sign, right, result in _EQUATION.findall(told):
        found = apply(_OPERATORS[sign], exact(number(left)), exact(number(right)))
        assert found == number(result), told


@given(SEEDS)
def test_wrong_results_are_not_learned(seed: int) -> None:
    often = replace(CALM, again=(1, 1, 0), inline_check=(0.5, 0.5, 0.5), slip=(1, 1, 1))
    draft, pieces, answer = thought(seed, often)
    assert same_answer(answer, draft.answer)
    if draft.form != "clock":
        assert any(not piece.learned and piece.text.strip() for piece in pieces)


def test_a_forgotten_carry_is_learned_and_answered() -> None:
    forgetful = Temper(carry=(1, 1, 1), again=(0,), inline_check=(0, 0, 0), long=0, misreading=0)
    draft = Draft("27 × 6?", (Step(Operator.TIMES, 27, 6),), None, "{answer}", "number", "162", "")
    pieces, answer = think(Dice(3), draft, forgetful)
    assert answer == "152"
    assert all(piece.learned for piece in pieces)


def test_a_check_mends_a_forgotten_carry() -> None:
    forgetful = Temper(carry=(1, 1, 1), again=(1, 0), inline_check=(0, 0, 0), long=0,
                       misreading=0, slip=(0, 0, 0), overthinking=0, circling=0)  # fmt: skip
    draft = Draft("27 × 6?", (Step(Operator.TIMES, 27, 6),), None, "{answer}", "number", "162", "")
    pieces, answer = think(Dice(3), draft, forgetful)
    assert answer == "162"
    assert "27 × 6 = 152" in "".join(piece.text for piece in pieces)


def test_overthinking_ends_wrong_and_says_so() -> None:
    doubtful = Temper(again=(1, 0), overthinking=1, circling=0, misreading=0, slip=(0, 0, 0))
    draft = Draft("5 + 7?", (Step(Operator.PLUS, 5, 7),), None, "{answer}", "number", "12", "sum")
    pieces, answer = think(Dice(3), draft, doubtful)
    assert answer in {"-2", "35"}
    assert all(piece.learned for piece in pieces if piece.text not in {".\n\nWait", "."})


def test_circling_says_the_same_again_and_again() -> None:
    giddy = Temper(again=(1, 0), overthinking=0, circling=1, misreading=0)
    draft = Draft("5 + 7?", (Step(Operator.PLUS, 5, 7),), None, "{answer}", "number", "12", "sum")
    pieces, answer = think(Dice(3), draft, giddy)
    assert answer == "12"
    rounds = "".join(piece.text for piece in pieces).split("Wait, ")
    assert len(rounds) > 4
    assert len({part.rstrip(".\n") for part in rounds[1:]}) == 1


@given(SEEDS)
def test_what_only_has_to_be_compared_is_thought_about(seed: int) -> None:
    verdict = Verdict("most", (("Ada", 3), ("Bo", 5)))
    draft = Draft("Ada 3, Bo 5, who has most?", (), verdict, "{answer}", "name", "Bo", "compare")
    _, answer = think(Dice(seed), draft, Temper(again=(0.7, 0.7)))
    assert answer == "Bo"


def test_half_of_the_thoughts_begin_without_an_opener() -> None:
    dice = Dice(1)
    numbers = (Step(Operator.PLUS, 5, 7),)
    draft = Draft("5 + 7?", numbers, None, "{answer}", "number", "12", "sum")
    begins = [think(dice, draft, Temper())[0][0].text.strip() for _ in range(400)]
    assert 0.35 < sum(text in phrases.OPENERS for text in begins) / 400 < 0.55


WHOLE = st.integers(0, 9999).map(Fraction)
DECIMAL = st.integers(-99999, 99999).map(lambda n: Fraction(n, 100))
SMALL = st.builds(Fraction, st.integers(-20, 20), st.integers(1, 12))


@given(st.sampled_from([Operator.PLUS, Operator.MINUS, Operator.TIMES]), DECIMAL, DECIMAL)
def test_parts_of_decimals_are_true(operator: Operator, left: Fraction, right: Fraction) -> None:
    check_parts(operator, left, right, Notation())


@given(st.sampled_from([Operator.OVER, Operator.WHOLE, Operator.MOD, Operator.UP]), WHOLE, WHOLE)
def test_parts_of_divisions_are_true(operator: Operator, left: Fraction, right: Fraction) -> None:
    if right > 1:
        check_parts(operator, left, right, Notation())


@given(st.integers(1, 250).map(Fraction), WHOLE)
def test_parts_of_percentages_are_true(percent: Fraction, of: Fraction) -> None:
    check_parts(Operator.PERCENT, percent, of, Notation())


@given(st.sampled_from([Operator.PLUS, Operator.MINUS, Operator.TIMES]), SMALL, SMALL)
def test_parts_of_fractions_end_in_the_result(
    operator: Operator, left: Fraction, right: Fraction
) -> None:
    parts = in_parts(Notation(fractional=True), operator, left, right)
    assert parts
    assert 0 <= difficulty(operator, left, right) <= 2


def check_parts(operator: Operator, left: Fraction, right: Fraction, notation: Notation) -> None:
    assert 0 <= difficulty(operator, left, right) <= 2
    for part in in_parts(notation, operator, left, right):
        for a, sign, b, result in _EQUATION.findall(part):
            found = apply(_OPERATORS[sign], exact(number(a)), exact(number(b)))
            # What is written with four decimals may have more.
            assert abs(found - number(result)) < Fraction(1, 1000)


@given(st.sampled_from(list(Operator)), DECIMAL)
def test_without_its_carry_a_result_is_another_one_or_never_had_one(
    operator: Operator, value: Fraction
) -> None:
    wrong = without_carry(operator, value)
    assert wrong == without_carry(operator, value)
    assert (wrong < 0) <= (value < 0)
    if abs(value) >= 20 and operator in (Operator.PLUS, Operator.TIMES, Operator.MINUS):
        assert wrong != value


@given(SEEDS, DECIMAL)
def test_a_slip_is_wrong(seed: int, value: Fraction) -> None:
    assert slip(Dice(seed), value) != value


def test_numbers_that_grow_too_large_are_refused() -> None:
    steps = (Step(Operator.TIMES, 99999, 99999),)
    draft = Draft("99999 × 99999", steps, None, "{answer}", "number", "9999800001", "sum")
    with pytest.raises(Unwritable):
        think(Dice(1), draft, CALM)


def test_the_same_seed_thinks_the_same() -> None:
    drafts = list(islice(drafted(7), 20))
    one = [think(Dice(5), draft, CALM) for _, draft in drafts]
    other = [think(Dice(5), draft, CALM) for _, draft in drafts]
    assert one == other
