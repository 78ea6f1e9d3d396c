"""Budgets a person can say: every form is read, and what is none is told with the right ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ponder.engines.replay import ByteVocabulary
from ponder.errors import BudgetError
from ponder.thinking.effort import EFFORTS, Wish, parse, seconds, steps
from ponder.thinking.planning import Request, check_budget, plan
from ponder.thinking.protocol import resolve
from ponder.types import Budget, Sampling
from scripted import TAGGED, TAGS

wishes = st.sampled_from(list(EFFORTS)).map(Wish) | st.integers(0, 10**15).map(
    lambda tokens: Wish(tokens=tokens)
)
bases = st.builds(
    Budget,
    cap=st.none() | st.integers(0, 50_000),
    floor=st.integers(0, 50_000),
    thinking=st.booleans(),
    answer_reserve=st.integers(0, 1000),
    max_answer=st.none() | st.integers(1, 1000),
)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("512", 512),
        (" 512\n", 512),
        ("0", 0),
        ("007", 7),
        ("2k", 2_048),
        ("2K", 2_048),
        ("2 k", 2_048),
        ("2.5k", 2_560),
        ("0.1k", 102),
        ("8_192", 8_192),
        ("8,192", 8_192),
        ("1,000,000", 1_000_000),
        ("512 tokens", 512),
        ("1 token", 1),
        ("24k tokens", 24_576),
        ("9" * 18, 10**18 - 1),
    ],
)
def test_numbers_are_read_as_people_write_them(text: str, tokens: int) -> None:
    assert parse(text) == Wish(tokens=tokens)


@pytest.mark.parametrize(
    ("text", "effort"),
    [
        ("off", "off"),
        ("no", "off"),
        ("none", "off"),
        ("OFF", "off"),
        ("low", "low"),
        ("l", "low"),
        ("medium", "medium"),
        ("Med", "medium"),
        (" me ", "medium"),
        ("high", "high"),
        ("h", "high"),
        ("max", "max"),
        ("ma", "max"),
    ],
)
def test_efforts_are_read_whole_and_cut_short(text: str, effort: str) -> None:
    assert parse(text) == Wish(effort)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "-5",
        "-2k",
        "--5",
        "+5",
        "1e9",
        "12 apples",
        "3.5",
        ".5k",
        "k",
        "1,2,3",
        "1,00",
        "_512",
        "5__000",
        "0x10",
        "٣",
        "٣k",
        "²",
        "m",
        "n",
        "highest",
        "medium rare",
        "nan",
        "inf",
        "2kk",
        "1 2",
        "9" * 19,
        "9" * 5000,
        "\x00",
    ],
)
def test_what_is_no_budget_is_told_with_the_right_forms(text: str) -> None:
    with pytest.raises(BudgetError) as refused:
        parse(text)
    for form in ("512", "2k", *EFFORTS):
        assert form in refused.value.hint


@given(st.text() | st.from_regex(r"[-+ 0-9,._kK]{0,8}( tokens?)?", fullmatch=True))
def test_whatever_is_typed_is_a_wish_or_a_budget_error(text: str) -> None:
    try:
        wish = parse(text)
    except BudgetError as refused:
        assert refused.message and refused.hint
    else:
        assert parse(wish.label) == wish


@given(wishes)
def test_a_label_is_read_back(wish: Wish) -> None:
    assert parse(wish.label) == wish


@given(st.integers(0, 10**12))
def test_thousands_may_be_set_apart(tokens: int) -> None:
    for text in (str(tokens), f"{tokens:,}", f"{tokens:_}"):
        assert parse(text) == Wish(tokens=tokens)


@pytest.mark.parametrize("parts", [{}, {"effort": "low", "tokens": 3}, {"effort": "med"}])
def test_a_wish_is_one_thing_and_known(parts: dict[str, str]) -> None:
    with pytest.raises(BudgetError):
        Wish(**parts)  # type: ignore[arg-type]


def test_labels() -> None:
    assert [Wish(effort).label for effort in EFFORTS] == list(EFFORTS)
    assert [Wish(tokens=n).label for n in (0, 1, 8_192)] == [
        "0 tokens",
        "1 token",
        "8,192 tokens",
    ]


@given(wishes, bases, st.integers(16, 40_000))
def test_a_wish_on_top_of_a_base(wish: Wish, base: Budget, n_ctx: int) -> None:
    budget = wish.budget(base, n_ctx)
    assert (budget.answer_reserve, budget.max_answer) == (base.answer_reserve, base.max_answer)
    assert budget.floor <= base.floor
    if wish.effort == "off":
        assert (budget.thinking, budget.floor, budget.cap) == (False, 0, None)
        return
    assert budget.thinking
    if wish.tokens is not None:
        assert budget.cap == wish.tokens
    elif wish.effort == "max":
        assert (budget.cap, budget.floor) == (None, base.floor)
    else:
        assert budget.cap == min(EFFORTS[wish.effort or ""] or 0, n_ctx)
        assert budget.floor == base.floor or budget.floor == budget.cap


@given(st.sampled_from(list(EFFORTS)), st.integers(120, 40_000))
def test_an_effort_is_never_refused(effort: str, n_ctx: int) -> None:
    check_budget(Wish(effort).budget(Budget(), n_ctx), n_ctx)


def test_exact_tokens_beyond_the_context_are() -> None:
    with pytest.raises(BudgetError, match="beyond"):
        check_budget(parse("8k").budget(Budget(), 4096), 4096)


def test_efforts_think_the_longer_the_higher() -> None:
    protocol = resolve(TAGGED, ByteVocabulary(TAGS))
    caps = [
        plan(
            Request(1, (256,), Wish(effort).budget(Budget(), 50_000), Sampling()), protocol, 50_000
        )
        for effort in EFFORTS
    ]
    assert [planned.limited_by for planned in caps] == ["off", *["budget"] * 3, "context"]
    assert [planned.cap for planned in caps[1:4]] == [1_024, 8_192, 24_576]
    assert (caps[4].cap or 0) > 24_576


def test_a_key_goes_round_the_efforts() -> None:
    wish = Wish("off")
    seen = [wish := steps(wish, 1) for _ in range(5)]
    assert [wish.effort for wish in seen] == ["low", "medium", "high", "max", "off"]
    for one in map(Wish, EFFORTS):
        assert steps(steps(one, 1), -1) == one


@pytest.mark.parametrize(
    ("tokens", "up", "down"),
    [
        (0, "low", "max"),
        (1, "low", "off"),
        (512, "low", "off"),
        (1_024, "medium", "off"),
        (1_025, "medium", "low"),
        (30_000, "max", "high"),
    ],
)
def test_from_exact_tokens_it_goes_to_the_next_effort(tokens: int, up: str, down: str) -> None:
    assert steps(Wish(tokens=tokens), 1) == Wish(up)
    assert steps(Wish(tokens=tokens), -1) == Wish(down)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30s", 30),
        ("1.5s", 1.5),
        ("2m", 120),
        ("2 min", 120),
        ("1m30s", 90),
        ("1h 2m 3s", 3723),
        ("500ms", 0.5),
        (" 30 S ", 30),
        ("30 sec", 30),
    ],
)
def test_times_are_read_as_people_write_them(text: str, expected: float) -> None:
    assert parse(text) == Wish(seconds=expected)
    assert seconds(text) == expected


def test_a_bare_number_is_seconds_only_where_a_time_is_asked_for() -> None:
    assert seconds("30") == 30
    assert parse("30") == Wish(tokens=30)


@pytest.mark.parametrize("text", ["", "0", "0s", "s", "m", "-1s", "1s2m", "1e3s", "1d", "30 s s"])
def test_what_is_no_time_is_told(text: str) -> None:
    with pytest.raises(BudgetError) as refused:
        seconds(text)
    assert "30s" in refused.value.hint


@given(st.floats(0.001, 10**6), st.sampled_from((None, 3.0)))
def test_a_time_is_said_back_and_the_earlier_one_binds(time: float, base: float | None) -> None:
    wish = Wish(seconds=time)
    assert parse(wish.label).seconds == pytest.approx(time, abs=1e-6)
    budget = wish.budget(Budget(within=base), 4096)
    assert budget.within == (time if base is None else min(time, base))
    assert (budget.cap, budget.thinking) == (None, True)
    assert steps(wish, 1).effort == steps(Wish("max"), 1).effort


@pytest.mark.parametrize("time", [0.0, -1.0, float("inf"), float("nan")])
def test_a_time_that_means_nothing_is_no_wish(time: float) -> None:
    with pytest.raises(BudgetError):
        Wish(seconds=time)
