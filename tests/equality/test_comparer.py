"""Answers are compared as mathematics where they are mathematics, whatever a model writes."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ponder.equality import Comparer
from ponder.equality.child import Child, Overrun


class Scripted(Child):
    """Says of pairs what it is told to; a library that is equal to itself would be transitive."""

    def __init__(self, equal: frozenset[frozenset[str]]) -> None:
        super().__init__(1, 1)
        self.equal = equal
        self.asked: list[tuple[str, ...]] = []

    def ask(self, *expressions: str) -> bool:
        self.asked.append(expressions)
        return len(expressions) == 1 or frozenset(expressions) in self.equal


@pytest.fixture(scope="module")
def comparer() -> Iterator[Comparer]:
    with Comparer(seconds=60) as one:
        yield one
    assert one.trouble == ""


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (r"\frac{\sqrt{3}}{2}", "sqrt(3)/2"),
        (r"\sqrt{8}", "2√2"),
        (r"\dfrac{7\pi}{6}", "7pi/6"),
        ("2^{10}", "1024"),
        (r"2^{-1}", "0.5"),
        ("5!", "120"),
        (r"\log_2 8", "3"),
        (r"\binom{5}{2}", "10"),
        ("(x-1)(x+1)", "x**2 - 1"),
        (r"\sin(x)", "sin x"),
        ("1+2x", "2*x+1"),
        (r"\frac{a}{b}", "a/b"),
        (r"x \geq 5", "5 <= x"),
        ("y = 2x + 3", "2x + 3"),
        (r"(3, \frac{\pi}{2})", "(3, pi/2)"),
        ("2, 3", r"\{3, 2\}"),
        ("2 and 3", r"3 \text{ and } 2"),
        (r"\pm 2", "2, -2"),
        (r"[0, \sqrt{4})", "[0, 2)"),
        (r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", r"\begin{bmatrix}1\\2\end{bmatrix}"),
        (r"3x \text{ cm}", "3x"),
        (r"6.63\times10^{-34}x", r"0.663\times10^{-33}x"),
        (r"\{1.5, 2\}", r"\{2, \frac{3}{2}\}"),
    ],
)
def test_the_same(comparer: Comparer, a: str, b: str) -> None:
    assert comparer.same(a, b)
    assert comparer.same(b, a)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (r"\sqrt{8}", r"2\sqrt{3}"),
        ("x+1", "x-1"),
        ("|x|", "x"),
        ("(2, 3)", "(3, 2)"),
        ("[0, 1)", "[0, 1]"),
        ("x < 3", "x > 3"),
        # Exact: what is rounded is another answer.
        (r"\pi", "3.141593"),
        (r"\frac{1}{3} + 0x", "0.333333"),
        # Small is not zero.
        (r"\sqrt{2} \times 10^{-20}", r"\sqrt{3} \times 10^{-20}"),
        (r"6.63\times10^{-34}x", r"1.05\times10^{-34}x"),
        ("10^{-34}", "10^{-35}"),
        (r"2\mathrm{e}", "2"),
        (r"\frac{}{}", "0"),
    ],
)
def test_not_the_same(comparer: Comparer, a: str, b: str) -> None:
    assert not comparer.same(a, b)
    assert not comparer.same(b, a)


def test_answers_of_traces_are_grouped(comparer: Comparer) -> None:
    answers = ["42", None, r"\sqrt8", "42.0", "2√2", "Mia", "(B)", "mia.", "", "B) 4", "x+1", "1+x"]
    assert comparer.clusters(answers) == [(0, 3), (2, 4), (5, 7), (6, 9), (10, 11)]
    assert comparer.clusters([]) == []


def test_nothing_is_started_where_no_algebra_is_needed() -> None:
    comparer = Comparer(child=Child(1, 1, ["/no/such/python"]))
    assert comparer.clusters(["42", "84/2", "(B)", "B) 4", "Mia", "NO2", "N2O", "(2,3)"]) == [
        (0, 1),
        (2, 3),
        (4,),
        (5,),
        (6,),
        (7,),
    ]
    assert comparer.trouble == ""
    # And without a library there is less to know, and no harm.
    assert not comparer.same("x+1", "1+x")
    assert "cannot be started" in comparer.trouble


def test_hostile_answers_do_no_harm() -> None:
    with Comparer(seconds=1.5) as comparer:
        hostile = [
            "9**9**9**9",
            "99999999999!",
            "(" * 150 + "x" + ")" * 150 + "+1",
            r"\sqrt{" * 80,
            "x+1" * 333_333,
            "x+\0",
            "\ud800+1",
            r"\boxed{" * 50 + "y+1",
            "\n".join(["x+1", '["1","1"]', "true"]),
            "__import__('os').system('kill 0')",
            r"\frac{1}{0}",
            r"\begin{pmatrix}1&\end{matrix}",
        ]
        assert comparer.clusters(["x+1", *hostile, "1+x"], patience=600)[0] == (
            0,
            len(hostile) + 1,
        )
        assert comparer.trouble == ""
        assert comparer.same(r"\sqrt{8}", r"2\sqrt{2}")
    assert "sympy" not in sys.modules


def test_what_was_found_out_is_not_asked_again() -> None:
    child = Scripted(frozenset())
    comparer = Comparer(child=child)
    answers = ["x+1", "x+2", "x+1", "x+3"]
    first = comparer.clusters(answers)
    asked = len(child.asked)
    assert asked == len(set(child.asked)) == 3 + 3
    assert comparer.clusters(answers) == first
    assert len(child.asked) == asked


def test_one_answer_that_hangs_is_asked_about_once() -> None:
    class Stuck(Scripted):
        def ask(self, *expressions: str) -> bool:
            super().ask(*expressions)
            if "x+9" in expressions:
                raise Overrun("no answer")
            return len(expressions) == 1

    child = Stuck(frozenset())
    groups = Comparer(child=child).clusters([f"x+{number}" for number in range(10)])
    assert len(groups) == 10
    assert sum("x+9" in asked for asked in child.asked) == 1


def test_patience_ends() -> None:
    child = Scripted(frozenset({frozenset({"x+1", "x+2"})}))
    comparer = Comparer(child=child)
    assert comparer.clusters(["x+1", "x+2"], patience=-1) == [(0,), (1,)]
    assert child.asked == []
    # Not decided is not remembered as different.
    assert comparer.clusters(["x+1", "x+2"]) == [(0, 1)]


NAMES = [f"x+{number}" for number in range(6)]
PAIRS = [frozenset(pair) for pair in combinations(NAMES, 2)]


def components(
    answers: Sequence[str | None], equal: frozenset[frozenset[str]]
) -> list[tuple[int, ...]]:
    """The transitive closure, by taking whoever is equal until nobody is."""
    groups = []
    left = [place for place, answer in enumerate(answers) if answer is not None]
    while left:
        group = {left[0]}
        while more := {
            place
            for place in left
            if place not in group
            and any(
                answers[place] == answers[one]
                or frozenset({str(answers[place]), str(answers[one])}) in equal
                for one in group
            )
        }:
            group |= more
        groups.append(tuple(sorted(group)))
        left = [place for place in left if place not in group]
    return groups


@given(
    st.lists(st.sampled_from([*NAMES, None]), max_size=10),
    st.sets(st.sampled_from(PAIRS), max_size=6),
    st.randoms(use_true_random=False),
)
def test_groups_are_an_equivalence_where_pairs_are_none(
    answers: list[str | None], pairs: set[frozenset[str]], random: Random
) -> None:
    equal = frozenset(pairs)
    groups = Comparer(child=Scripted(equal)).clusters(answers)
    assert groups == components(answers, equal)
    shuffled = list(range(len(answers)))
    random.shuffle(shuffled)
    other = Comparer(child=Scripted(equal)).clusters([answers[place] for place in shuffled])
    assert {frozenset(shuffled[place] for place in group) for group in other} == {
        frozenset(group) for group in groups
    }


def test_threads_may_share_one(comparer: Comparer) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(
            pool.map(lambda n: comparer.same(f"{n}x+{n}", f"{n}(x+{n % 2})"), range(2, 34))
        )
    assert found == [n % 2 == 1 for n in range(2, 34)]
