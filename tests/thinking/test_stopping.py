"""The rules that end a thought: properties over any looks, and each rule's definition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ponder.errors import BudgetError
from ponder.thinking.stopping import (
    RULES,
    Confident,
    Converged,
    Entropy,
    Look,
    Margin,
    Rule,
    forms,
    parse,
    trial_answer,
)

figures = st.floats(0, 20)
looks = st.lists(
    st.builds(
        Look,
        think=st.just(0),
        margin=st.none() | figures,
        entropy=st.none() | figures,
        answer=st.none() | st.sampled_from("ab"),
        confidence=st.none() | st.floats(0, 1),
    ),
    max_size=30,
).map(lambda found: [replace(look, think=at + 1) for at, look in enumerate(found)])
rules = st.one_of(
    st.builds(Margin, figures),
    st.builds(Entropy, st.floats(0, 5), st.floats(2, 3)),
    st.builds(Converged, st.integers(2, 5)),
    st.builds(Confident, st.floats(0, 1)),
)


def stop(rule: Rule, seen: Sequence[Look]) -> int | None:
    """Which look a rule stops at."""
    watcher = rule.begin()
    return next((at for at, look in enumerate(seen) if watcher.see(look) is not None), None)


@given(rules, looks)
def test_a_stop_rests_on_what_was_seen_until_then(rule: Rule, seen: list[Look]) -> None:
    at = stop(rule, seen)
    if at is not None:
        assert stop(rule, seen[: at + 1]) == at
        assert stop(rule, seen[:at]) is None


@given(rules, looks)
def test_thoughts_do_not_know_of_each_other(rule: Rule, seen: list[Look]) -> None:
    one, other = rule.begin(), rule.begin()
    for look in seen:
        assert one.see(look) == other.see(look)
    assert stop(rule, seen) == stop(rule, seen)


@given(looks, figures, figures)
def test_a_wider_margin_never_stops_later(seen: list[Look], a: float, b: float) -> None:
    narrow, wide = stop(Margin(min(a, b)), seen), stop(Margin(max(a, b)), seen)
    assert narrow is None or (wide is not None and wide <= narrow)
    first = [at for at, look in enumerate(seen) if look.margin is not None and look.margin <= a]
    assert stop(Margin(a), seen) == (first[0] if first else None)


@given(looks, st.floats(0, 1), st.floats(0, 1))
def test_less_confidence_never_stops_later(seen: list[Look], a: float, b: float) -> None:
    bold, shy = stop(Confident(min(a, b)), seen), stop(Confident(max(a, b)), seen)
    assert shy is None or (bold is not None and bold <= shy)
    assert bold is None or seen[bold].answer is not None


@given(looks, st.integers(2, 5))
def test_what_has_converged_is_one_answer_and_the_first_such_run(
    seen: list[Look], times: int
) -> None:
    """The bug in Dynasor's core/entropy.py: a window of different answers stops as well."""
    at = stop(Converged(times), seen)
    runs = [
        end
        for end in range(times - 1, len(seen))
        if len({look.answer for look in seen[end - times + 1 : end + 1]}) == 1
        and seen[end].answer is not None
    ]
    assert at == (runs[0] if runs else None)
    if at is not None:
        watcher = Converged(times).begin()
        told = [watcher.see(look) for look in seen[: at + 1]][-1]
        assert told is not None
        assert (told["agreed"], told["since"]) == (times, seen[at - times + 1].think)


@given(looks, st.floats(0.01, 5), st.integers(2, 3))
def test_entropy_waits_and_then_wants_quiet(
    seen: list[Look], variance: float, timescale: int
) -> None:
    at = stop(Entropy(variance, timescale), seen)
    told = [look.entropy for look in seen if look.entropy is not None]
    if at is not None:
        before = [look.entropy for look in seen[: at + 1] if look.entropy is not None]
        assert len(before) >= 4 * timescale
    if len(set(told)) == 1 and len(told) >= 4 * timescale:
        assert at is not None


def test_entropy_by_hand() -> None:
    watcher = Entropy(variance=0.05, timescale=2).begin()
    told = [watcher.see(Look(0, entropy=nats)) for nats in (1.0, 1, 1, 1, 1, 0, 0, 1)]
    assert told == [None] * 8
    quiet = [watcher.see(Look(0, entropy=0.5)) for _ in range(9)]
    first = next(at for at, figures in enumerate(quiet) if figures is not None)
    found = quiet[first]
    assert found is not None
    assert found["variance"] < 0.05 <= 2 * found["variance"] + 0.02
    assert (found["entropy"], found["looks"]) == (0.5, 9 + first)


def test_a_look_that_tells_nothing_stops_nothing() -> None:
    for kind in RULES.values():
        assert stop(kind(), [Look(at) for at in range(100)]) is None


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("off", None),
        ("margin", Margin()),
        (" Margin:2.5", Margin(2.5)),
        ("entropy:variance=0.5,timescale=3,every=8", Entropy(0.5, 3, 8)),
        ("converged:2,every=32", Converged(2, 32)),
        ("confident:0.9", Confident(0.9)),
    ],
)
def test_rules_in_words(text: str, rule: Rule | None) -> None:
    assert parse(text) == rule


@pytest.mark.parametrize(
    "text",
    [
        "",
        "of",
        "off:1",
        "marginal",
        "margin:-1",
        "margin:nan",
        "margin:inf",
        "margin:x",
        "margin:1,2",
        "margin:times=2",
        "converged:1",
        "converged:2.5",
        "converged:2,every=0",
        "confident:1.5",
        "entropy:timescale=1.5",
        "entropy:,=",
    ],
)
def test_a_rule_that_means_nothing_is_refused_and_all_are_listed(text: str) -> None:
    with pytest.raises(BudgetError) as refused:
        parse(text)
    assert all(name in refused.value.hint for name in RULES)


def test_what_is_listed_can_be_given() -> None:
    listed = forms().removeprefix("Give one of: ").split(". Any")[0].split("; ")
    assert [parse(text) for text in listed] == [None, *(kind() for kind in RULES.values())]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("42}", "42"),
        (" 42 } and so on}", "42"),
        ("\\frac{1}{2}}.", "\\frac{1}{2}"),
        ("42", None),
        ("}", None),
        ("\\frac{1}{2", None),
        ("7, but wait}", None),
        ("No, 4}", None),
        ("No}", "No"),
        ("north}", "north"),
    ],
)
def test_trial_answers(text: str, answer: str | None) -> None:
    assert trial_answer(text) == answer


@given(st.text("{}a ", max_size=12))
def test_a_trial_answer_has_its_braces_in_pairs(text: str) -> None:
    answer = trial_answer(text)
    if answer is not None:
        depths = [0]
        for char in answer:
            depths.append(depths[-1] + (char == "{") - (char == "}"))
        assert depths[-1] == 0
        assert all(a >= 0 for a, _ in pairwise([*depths, 0]))
