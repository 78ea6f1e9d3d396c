"""Results -> rows: on paper, then drawn."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

import pytest

from ponder.equality import Comparer
from ponder.errors import BudgetError, InputError
from ponder.evaluation.calibration import suggestion
from ponder.evaluation.conditions import Condition, conditions
from ponder.evaluation.items import Fault, Item, QuestionSet
from ponder.evaluation.journal import Key, Result
from ponder.evaluation.reports.curve import curve
from ponder.evaluation.reports.markdown import markdown, svg
from ponder.evaluation.reports.page import page
from ponder.evaluation.reports.words import faults
from ponder.evaluation.summary import Row, Summary, summarise
from ponder.thinking.effort import Wish
from ponder.thinking.learned import Learned
from ponder.types import Budget

ITEMS = tuple(Item(str(at), f"{at} + 1?", str(at + 1), ("odd", "even")[at % 2]) for at in range(4))
NATURAL, SHORT = Condition(), Condition(Wish(tokens=10))


def results(condition: Condition, rights: str, think: int, **other: object) -> dict[Key, Result]:
    """One letter a sample: r right, w wrong, n no answer; questions are apart by spaces."""
    found = {}
    for item, samples in zip(ITEMS, rights.split(), strict=True):
        for sample, letter in enumerate(samples):
            facts: dict[str, object] = {"budget": 10, "closed": True, "answered": letter != "n"}
            result = Result(
                condition=condition.name,
                item=item.key,
                sample=sample,
                seed=0,
                answer={"r": item.answer, "w": "-5"}.get(letter),
                right=letter == "r",
                think=think,
                answer_tokens=5,
                forced=2,
                **(facts | other),  # type: ignore[arg-type]
            )
            found[result.key] = result
    return found


def summed(
    found: dict[Key, Result], *asked: Condition, questions: QuestionSet | None = None
) -> Summary:
    with Comparer() as comparer:
        return summarise(
            "a <b>model",
            questions or QuestionSet("a <set>", ITEMS),
            asked,
            found,
            comparer,
            {SHORT.name: 10, "low": 20, "medium": 30, "high": 40},
            "ponder eval '<x>'",
            {"sampling": "greedy"},
        )


def test_rows_by_hand() -> None:
    found = results(NATURAL, "r r w w", 100) | results(SHORT, "r w r r", 8)
    summary = summed(found, NATURAL, SHORT)
    natural, short = summary.rows
    assert (natural.accuracy, short.accuracy) == (0.5, 0.75)
    assert natural.against is None
    assert short.against is not None
    assert (short.against.value, short.against.fixed, short.against.broken) == (0.25, 2, 1)
    assert short.tokens.total == 8 + 5 + 2
    assert (short.cap, short.closed, short.answered, short.overshoot) == (10, 1, 1, 0)
    assert short.kinds == {"even": (1, 2), "odd": (2, 2)}
    assert (summary.control, summary.performance) == (1, 0.75)
    assert summary.scaling == pytest.approx(100_000 * (0.5 - 0.75) / 92)


def test_several_samples() -> None:
    condition = replace(NATURAL, samples=3)
    row = summed(results(condition, "rrw wwr rnn www", 50), condition).rows[0]
    assert row.accuracy == pytest.approx((2 + 1 + 1 + 0) / 12)
    assert row.passes == {
        1: pytest.approx(4 / 12),
        2: pytest.approx((1 + 2 / 3 + 2 / 3 + 0) / 4),
        3: pytest.approx(3 / 4),
    }
    # All three: right, wrong, right (nobody else said anything), wrong.
    assert row.cons[3] == pytest.approx(2 / 4)
    assert row.cons[1] == pytest.approx(row.accuracy)
    assert 0 <= row.interval.low <= row.accuracy <= row.interval.high <= 1


def test_what_is_over_a_budget_is_told() -> None:
    found = results(SHORT, "r r r r", 8) | results(NATURAL, "r r r r", 90)
    late = next(key for key in found if key.condition == SHORT.name)
    found[late] = Result(
        condition=SHORT.name, item=late.item, sample=0, seed=0, budget=10, over=50, think=60
    )
    summary = summed(found, NATURAL, SHORT)
    row = summary.rows[1]
    # The mean is over as well: 84 / 4 = 21.
    assert (row.overshoot, row.within, summary.control) == (50, 0.75, 0)
    assert (row.closed, row.answered) == (0.75, 0.75)


def test_what_is_not_whole_is_left_out() -> None:
    found = results(NATURAL, "r r w w", 100) | results(SHORT, "r w r r", 8)
    del found[Key(SHORT.name, ITEMS[0].key, 0)]
    assert [row.questions for row in summed(found, NATURAL, SHORT).rows] == [4, 3]
    strangers = {Key("natural", "other:123", 0): next(iter(found.values()))}
    assert summed(strangers, NATURAL).rows == ()
    assert summed({}, NATURAL, SHORT).scaling is None


class _Markup(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_reports_show_what_was_found() -> None:
    summary = summed(
        results(NATURAL, "r r w w", 100) | results(SHORT, "r w r r", 8),
        NATURAL,
        SHORT,
        questions=QuestionSet("a <set>", ITEMS, (Fault(3, "no <i>JSON"),) * 7),
    )
    held = _Markup()
    held.feed(page(summary))
    assert "b" not in held.tags and "i" not in held.tags and "script" not in held.tags
    for words in ("a <b>model on a <set>", "ponder eval '<x>'", "budget 10", "+25.0", "Scaling"):
        assert words in held.text
    assert held.tags.count("circle") == 2
    lines = curve(summary, 80)
    assert max(map(len, lines)) <= 80
    assert any(line.endswith("│b") for line in lines) and lines[12].endswith("a")
    assert curve(summed(results(NATURAL, "r r w w", 100), NATURAL)) == []
    told = markdown(summary, "curve.svg")
    assert "| b | budget 10 | 75.0 |" in told
    assert "    ponder eval '<x>'" in told
    assert svg(summary).startswith("<svg xmlns=")
    assert "no &lt;i&gt;JSON" in page(summary)
    assert faults(summary.questions) == [
        "7 of a <set> (no question): " + "; ".join(["line 3: no <i>JSON"] * 5) + "; and 2 more"
    ]


@pytest.mark.parametrize("think", [0, 5])
def test_points_on_each_other_are_both_drawn(think: int) -> None:
    found = results(NATURAL, "r r w w", think) | results(SHORT, "r r w w", think)
    lines = curve(summed(found, NATURAL, SHORT), 40)
    assert "ab" in "".join(lines) or "ba" in "".join(lines)


def test_conditions_that_somebody_typed() -> None:
    assert [c.name for c in conditions()] == ["natural", "low", "medium", "high"]
    typed = conditions("natural, 64,2k,off,30s", "1,4", "8", ["converged"])
    assert [c.name for c in typed] == [
        "natural", "budget 64", "budget 2048", "off", "30 s", "1 x Wait", "4 x Wait",
        "stop converged", "8 traces",
    ]  # fmt: skip
    assert [c.name for c in conditions(waits="1")] == ["natural", "1 x Wait"]
    # The same twice is once.
    assert len(conditions("64,64,0064")) == 1
    for budgets, waits in (("natural,some", None), (None, "0"), (None, "x"), ("64,-3", None)):
        with pytest.raises(InputError):
            conditions(budgets, waits)
    with pytest.raises(InputError):
        conditions(stops=["nonsense"])
    with pytest.raises(InputError, match="no condition"):
        conditions(",")
    with pytest.raises(BudgetError, match="'some'"):
        conditions("some")


def test_a_condition_s_budget() -> None:
    base = Budget(cap=7, floor=3, within=9.0, landing=True, loops=True, answer_reserve=99)
    free = Condition().budget(base, 1000)
    assert (free.cap, free.floor, free.within, free.landing) == (None, 0, None, True)
    assert SHORT.budget(base, 1000) == replace(free, cap=10)
    # A rule of the settings is no part of what is natural.
    ruled = replace(base, stop="margin")
    assert Condition().budget(ruled, 1000).stop == "off"
    assert Condition(stop="entropy").budget(ruled, 1000).stop == "entropy"
    assert not Condition(Wish("off")).budget(base, 1000).thinking
    assert not replace(SHORT, landing=False).budget(base, 1000).landing
    assert Condition(Wish(seconds=2.0)).budget(base, 1000).within == 2.0


def measured() -> Learned:
    learned = Learned()
    for at in range(30):
        learned.thinking.observe(20 + at, True)
    return learned


def rows(**rights: str) -> tuple[Row, ...]:
    """Rows of a calibration, each with a tenth less thinking than the one after it."""
    asked = [NATURAL, *(Condition(Wish(name)) for name in rights if name != "natural")]
    found: dict[Key, Result] = {}
    for condition, said in zip(asked, rights.values(), strict=True):
        think = {"natural": 50, "low": 20, "medium": 30, "high": 40}[condition.name]
        found |= results(condition, said, think)
    return summed(found, *asked).rows


def test_the_cheapest_effort_that_costs_nothing_is_suggested() -> None:
    found = suggestion(
        rows(natural="r r r w", low="r w w w", medium="r r r w", high="r r r r"), measured()
    )
    assert found.cap == "medium"
    assert len(found.reasons) == 2
    assert (
        "at most 30 thinking tokens 3 of 4 are right, without a budget 3 of 4" in found.reasons[0]
    )
    assert "40% less" in found.reasons[1]


def test_where_every_budget_costs_answers_none_is_suggested() -> None:
    assert suggestion(rows(natural="r r r r", low="r w r r"), measured()).cap == "max"


def test_where_nothing_can_be_said_nothing_is() -> None:
    enough = measured()
    assert suggestion((), enough).cap is None
    assert suggestion(rows(natural="r r r r"), enough).cap is None
    assert suggestion(rows(natural="w w w w", low="w w w w"), enough).cap is None
    assert suggestion(rows(natural="r r r r", low="r r r r"), Learned()).cap is None
