"""Comparing two files of one model: the figures, on paper and on real weights."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from history.traces import trace
from ponder.assembly import Choices, open_session
from ponder.errors import EngineError, InputError
from ponder.evaluation.comparison import Report, Side
from ponder.evaluation.comparison.divergence import EDGES, Scores, figures, scores
from ponder.evaluation.comparison.page import page
from ponder.evaluation.comparison.reasoning import Outcome, ReasoningFigures, ask, loops, outcome
from ponder.evaluation.comparison.texts import _score, compare
from ponder.evaluation.questions import Question, questions
from ponder.library.local import builtin_path
from ponder.settings import Settings
from ponder.types import Budget, Channel, Finish, Sampling, Span
from ponder_quantize.logits import Running
from quantize.small_models import four_bits
from quantize.test_imatrix import TEXT

TINY = builtin_path("ponder-tiny-Q4_K_M.gguf")

rows = st.integers(1, 4)


def logits(seed: int, places: int, vocabulary: int, spread: float) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, spread, (places, vocabulary)).astype(np.float32)


@given(st.integers(0, 1 << 32), rows, st.integers(2, 300), st.floats(0.01, 30))
def test_scores_are_the_textbook_s(seed: int, places: int, size: int, spread: float) -> None:
    a, b = logits(seed, places, size, spread), logits(seed + 1, places, size, spread)
    targets = np.random.default_rng(seed).integers(0, size, places, dtype=np.int32)
    found = scores(a, b, targets)
    for at in range(places):
        p, q = (np.exp(x[at].astype(float) - float(x[at].max())) for x in (a, b))
        p, q = p / p.sum(), q / q.sum()
        log = np.log(np.where(p > 0, p, 1)) - np.log(np.where(q > 0, q, 1e-300))
        assert found.kl[at] == pytest.approx(float((p * log).sum()), rel=1e-4, abs=1e-4)
        assert found.base_nll[at] == pytest.approx(-math.log(p[targets[at]]), rel=1e-4, abs=1e-4)
        assert found.same_top[at] == (p.argmax() == q.argmax())
    # A constant on top of logits means nothing.
    shifted = scores(a + 3, b - 5, targets)
    assert shifted.kl == pytest.approx(found.kl, rel=1e-3, abs=1e-4)
    assert scores(a, a, targets).kl == pytest.approx(np.zeros(places), abs=1e-9)


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_logits_that_are_not_finite_are_refused(number: float) -> None:
    a, b = logits(1, 20, 8, 1.0), logits(2, 20, 8, 1.0)
    b[17, 3] = number
    with (
        ThreadPoolExecutor(1) as pool,
        pytest.raises(EngineError, match="not finite"),
    ):
        _score(pool, a, b, np.zeros(20, np.int32))


def test_figures_are_those_of_paper_and_pencil() -> None:
    one = Scores(np.array([0.0, 1.0]), np.array([1.0, 3.0]), np.array([2.0, 4.0]),
                 np.array([True, False]))  # fmt: skip
    two = Scores(np.array([3.0, 1e9]), np.array([2.0, 2.0]), np.array([2.0, 2.0]),
                 np.array([True, True]))  # fmt: skip
    found = figures("pencil", 8, [one, two])
    assert (found.text, found.chunk, found.places) == ("pencil", 8, 4)
    assert found.base_perplexity.value == pytest.approx(math.exp(2))
    assert found.other_perplexity.value == pytest.approx(math.exp(2.5))
    assert found.ratio.value == pytest.approx(math.exp(0.5))
    # The differences are 1, 1, 0, 0: their standard error is sqrt((1/2 - 1/4) / 3).
    assert found.ratio.error == pytest.approx(math.exp(0.5) * math.sqrt(0.25 / 3))
    assert found.kl.median == 2
    assert found.kl.most == 1e9
    assert found.same_top.value == 0.75
    assert [chunk.log_ratio for chunk in found.chunks] == [1, 0]
    assert found.histogram[0] == found.histogram[-1] == 1
    assert sum(found.histogram) == 4
    assert len(EDGES) == len(found.histogram) + 1


def test_a_model_is_as_good_as_itself() -> None:
    told: list[tuple[int, int]] = []
    found = compare(TINY, TINY, TEXT, "questions", chunk=64, most=5,
                    tell=lambda *at: told.append(at))  # fmt: skip
    assert found.kl.most == found.kl.mean.value == 0
    assert found.same_top.value == found.ratio.value == 1
    assert found.places == 5 * 31
    assert told == [(0, 5), (5, 5)]


def test_a_quant_is_held_against_the_base_as_llama_perplexity_does_it(tmp_path: Path) -> None:
    found = compare(TINY, four_bits(tmp_path / "four.gguf"), TEXT, "questions")
    # llama-perplexity -m BASE -f TEXT; the same with OTHER; then, for the other figures,
    # -m BASE -f TEXT --kl-divergence-base FILE, and
    # -m OTHER --kl-divergence --kl-divergence-base FILE. That file keeps 16 bits of a logarithm.
    assert found.places == 6 * 255
    assert found.base_perplexity.value == pytest.approx(2370.1513, rel=5e-3)
    assert found.base_perplexity.error == pytest.approx(339.63112, rel=5e-3)
    assert found.other_perplexity.value == pytest.approx(2515.3118, rel=5e-3)
    assert found.kl.mean.value == pytest.approx(0.100636, rel=5e-3)
    assert found.kl.mean.error == pytest.approx(0.003368, rel=2e-2)
    assert found.kl.median == pytest.approx(0.055692, rel=2e-2)
    assert found.kl.p99 == pytest.approx(0.669866, rel=2e-2)
    assert found.kl.most == pytest.approx(1.280397, rel=2e-2)
    assert found.same_top.value == pytest.approx(0.81634, abs=3e-3)
    assert found.same_top.error == pytest.approx(0.00990, rel=2e-2)


@pytest.mark.weights
def test_two_models_are_not_compared(smollm: Path) -> None:
    with pytest.raises(InputError, match="different tokens"):
        compare(TINY, smollm, TEXT, "questions")


@given(st.lists(st.integers(0, 3), max_size=80), st.integers(1, 40), st.integers(0, 3))
def test_a_loop_is_found_wherever_it_is(before: list[int], period: int, times: int) -> None:
    once = list(range(100, 100 + period))
    again = max(4, -(-64 // period))
    after = [7, 8, 9][:times]
    assert loops(before + once * again + after)
    assert not loops([5, *once, 6, *once, 7])


@given(st.integers(0, 3000))
def test_what_counts_up_is_no_loop(length: int) -> None:
    assert not loops(range(length))


def test_a_row_of_zeros_is_no_loop_yet() -> None:
    assert not loops([1, *[0] * 60, 2])
    assert loops([1, *[0] * 64, 2])


def test_an_outcome_is_read_from_the_trace() -> None:
    question = Question("How much is 38 and 47?", "85", "expr", 1)
    found = outcome(question, trace())
    assert (found.answer, found.right, found.think, found.finish) == ("85", True, 257, "closed")
    assert not found.loops
    silent = outcome(question, trace(Span(Channel.THOUGHT, "Hm.")))
    assert (silent.answer, silent.right) == (None, False)


def outcomes(*found: tuple[str | None, bool, int]) -> tuple[Outcome, ...]:
    base = outcome(Question("?", "1", "expr", 1), trace())
    return tuple(replace(base, answer=a, right=r, think=n) for a, r, n in found)


def test_reasoning_figures_are_those_of_paper_and_pencil() -> None:
    found = ReasoningFigures(
        ("a", "b", "c", "d"),
        outcomes(("1", True, 100), ("2", False, 200), (None, False, 0), ("4", True, 100)),
        outcomes(("1.0", True, 150), ("2", False, 100), (None, False, 50), ("5", False, 100)),
    )
    assert (found.base_right, found.other_right) == (0.5, 0.25)
    # Two questions without an answer do not agree on one.
    assert found.agreement == 0.5
    assert found.length_ratio == 1
    assert found.median_length_ratio == 1
    silent = ReasoningFigures(("a",), outcomes(("1", True, 0)), outcomes(("1", True, 0)))
    assert silent.length_ratio is silent.median_length_ratio is None


def test_the_same_model_with_the_same_seeds_says_the_same() -> None:
    asked = [question for question, _ in zip(questions(4), range(5), strict=False)]
    runs, told = [], []
    for _ in range(2):
        opened = open_session(Settings(), Choices("ponder-tiny"))
        with opened.session.runner:
            budget, sampling = Budget(cap=200), Sampling(temperature=0.6, seed=3)
            runs.append(ask(opened.session, asked, budget, sampling, lambda *at: told.append(at)))
    assert told == [(done, 5) for done in range(6)] * 2
    figures = ReasoningFigures(tuple(q.text for q in asked), runs[0], runs[1])
    assert figures.base == figures.other
    assert figures.length_ratio == 1
    assert all(found.think > 0 and found.finish is not Finish.CANCELLED for found in figures.base)


class Reading(HTMLParser):
    """The tags and the text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.words = ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.words += data


@given(st.text(min_size=1, max_size=30))
def test_nothing_from_outside_is_markup(name: str) -> None:
    nasty = f"</title><script>alert(1)</script><img src=x onerror=y>{name}"
    found = ReasoningFigures((nasty,), outcomes((nasty[:30], True, 9)), outcomes(("1", False, 0)))
    told = page(Report(Side(nasty, 1), Side("other", 2), None, found, nasty))
    reading = Reading()
    reading.feed(told)
    assert not reading.tags & {"script", "img", "link", "iframe"}
    assert "<script>alert(1)</script>" in reading.words


def test_nothing_that_a_page_needs_is_elsewhere() -> None:
    found = compare(TINY, TINY, TEXT, "questions", chunk=64, most=3, running=Running(threads=1))
    told = page(Report(Side("a", 1), Side("b", 2), found, None))
    for outside in ("http", "src=", "href=", "@import", "url("):
        # The policy of the page, which forbids all of it, is not one of them.
        assert outside not in told.replace("http-equiv", "")
