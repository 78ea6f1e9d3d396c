"""The bank's language: what is read, what is refused and where, what comes of it."""

from __future__ import annotations

import re
from fractions import Fraction
from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ponder.evaluation.arithmetic import Operator, evaluate
from ponder.evaluation.bank import drawing, lexicon, templates, terms
from ponder.evaluation.bank.blocks import Block
from ponder.evaluation.bank.checking import check
from ponder.evaluation.bank.collection import bank
from ponder.evaluation.bank.drawing import Redraw
from ponder.evaluation.bank.language import Reader
from ponder.evaluation.dice import Dice


def read(text: str) -> Reader:
    reader = Reader("some.bank")
    reader.read(dedent(text))
    return reader


def problem(text: str) -> Block:
    reader = read("problem shopping\n" + dedent(text))
    assert not reader.mistakes, reader.mistakes
    (block,) = reader.problems
    return block


def draw(text: str, seed: int = 0) -> drawing.Problem:
    dice = Dice(seed)
    block = problem(text)
    for _ in range(100):
        try:
            return drawing.problem(dice, bank().lexicon, block)
        except Redraw:
            continue
    raise AssertionError("nothing was drawn")


# Terms.

TERMS = st.recursive(
    st.one_of(st.integers(0, 40).map(str), st.sampled_from(["a", "b"])),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "//", "%"]), inner).map(" ".join),
        inner.map("({})".format),
        st.tuples(inner, inner).map("max({0[0]}, {0[1]})".format),
    ),
    max_leaves=8,
)


@given(TERMS, st.integers(1, 30), st.integers(1, 30))
def test_terms_mean_what_they_mean_in_python(text: str, a: int, b: int) -> None:
    function = terms.compiled(terms.parse(text))
    names = {"a": a, "b": b, "max": max}
    try:
        expected = eval(text, {"__builtins__": {}}, names)
    except ZeroDivisionError:
        with pytest.raises(ZeroDivisionError):
            function({"a": a, "b": b})
    else:
        assert function({"a": a, "b": b}) == expected


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a + b * 2", 11),
        ("a / b", Fraction(3, 4)),
        ("25% of 80", 20),
        ("3/4 of 20", 15),
        ("-b + a", -1),
        ("ceil(a / 2)", 2),
        ("min(a, b) < max(a, b)", True),
        ("1 < a < b and not a == b", True),
        ("a > b or b % 2 == 0", True),
        ("0.5 * b", 2),
    ],
)
def test_terms_beyond_python(text: str, value: object) -> None:
    assert terms.compiled(terms.parse(text))({"a": 3, "b": 4}) == value


@pytest.mark.parametrize("text", ["", "a +", "a b", "(a", "a ! b", "ceil(a)", "1 of", "x = 3"])
def test_what_is_no_term_is_refused(text: str) -> None:
    with pytest.raises(terms.TermError):
        terms.parse(text)


# Templates.


def written(text: str) -> set[str]:
    template = templates.parse(text)
    return {template.write(Dice(seed), lambda slot: f"<{slot.name}>") for seed in range(60)}


def test_alternatives_nest_and_may_be_empty() -> None:
    found = written("[a|b [c|d]|] {x}.")
    assert found == {"a <x>.", "b c <x>.", "b d <x>.", " <x>."}


@pytest.mark.parametrize("text", ["[a|b", "a]", "a|b", "{x", "{}", "{x y}", "a}"])
def test_what_is_no_template_is_refused(text: str) -> None:
    with pytest.raises(templates.TemplateError):
        templates.parse(text)


# Blocks.


def test_a_block_becomes_a_question_with_its_steps_and_its_answer() -> None:
    asked = draw(
        """\
        let n = 12; p = 0.50|0.50; paid = 20
        q: {A} buys {n:num} {goods} at {p:num} each and pays with {paid:num}. Change?
        : cost = n * p | all {n} {goods}
        : change = paid - cost | change
        a: {A} gets {=change} back.
        """
    )
    draft = asked.draft
    name = draft.text.split()[0]
    goods = re.search("12 (.*) at 0.5 each", draft.text)
    assert goods is not None
    assert draft.answer == "14"
    assert draft.says == f"{name} gets {{answer}} back."
    assert [step.label for step in draft.steps] == [f"all 12 {goods[1]}", "change"]
    assert evaluate(draft.steps) == (6, 14)


def test_a_sum_of_three_is_two_steps() -> None:
    steps = draw("let a = 2..9\nq: {a}?\n: x = a + 3 + 4 | in all\na: {=x}").draft.steps
    assert [step.operator for step in steps] == [Operator.PLUS, Operator.PLUS]
    assert [step.label for step in steps] == ["", "in all"]


@pytest.mark.parametrize(
    ("slot", "value", "shown"),
    [
        ("n:word", "21", "twenty-one"),
        ("n:num", "1234", "1234"),
        ("n:02", "5", "05"),
        ("n:frac", "3/4", "three quarters|three fourths|3/4"),
        ("n:times", "2", "twice|two times|2 times"),
        (
            "n:money",
            "0.25",
            "\\$0.25|£0.25|€0.25|25 cents|25p|25 pence|0.25 (?:dollar|euro|pound)s",
        ),
        ("n:clock n", "7", "7:07"),
    ],
)
def test_numbers_are_shown_as_they_are_asked_for(slot: str, value: str, shown: str) -> None:
    for seed in range(20):
        asked = draw(f"let n = {value}\nq: Say {{{slot}}}.\n: x = n + 1 | more\na: {{=x}}", seed)
        assert re.fullmatch(f"Say (?:{shown})\\.", asked.draft.text)


def test_one_thing_is_one_and_an_apple_has_an_article() -> None:
    texts = {
        draw(
            "let n = 1\nq: {n:num} {fruits} and a {fruit}.\n: x = n + 1 | x\na: {=x}", seed
        ).draft.text
        for seed in range(60)
    }
    for text in texts:
        one, _, other = text[2:-1].partition(" and a")
        article, _, fruit = other.partition(" ")
        assert one == fruit
        assert (article == "n") == (fruit[0] in "aeio" or fruit.startswith(("u", "U")))


def test_a_single_answer_is_told_in_the_singular() -> None:
    asked = draw("let n = 1\nq: {n:num} or none?\n: x = n * 1 | x\na: There are {=x} hours left.")
    assert asked.draft.says == "There is {answer} hour left."


def test_words_stay_the_same_within_a_question_and_people_differ() -> None:
    for seed in range(40):
        text = draw(
            "let n = 2\nq: {A}+{B}+{A}+{things}+{things}+{things2}\n: x = n + 1 | x\na: {=x}", seed
        ).draft.text
        a, b, again, one, same, other = text.split("+")
        assert a == again and a != b
        assert one == same and one != other


def test_a_change_asks_the_same_with_one_number_changed() -> None:
    seen = 0
    for seed in range(30):
        asked = draw(
            """\
            let n = 3..9; k = 11..40
            where n * k < 300
            q: {n:num} bags of {k:num} beads. How many beads?
            : x = n * k | beads
            a: {=x} beads.
            """,
            seed,
        )
        numbers = [int(number) for number in re.findall("[0-9]+", asked.draft.text)]
        try:
            changed = drawing.change(asked)
        except Redraw:
            continue
        seen += 1
        numbers[numbers.index(int(changed.old))] = int(changed.new)
        assert changed.draft.answer == str(numbers[0] * numbers[1])
        assert changed.draft.answer != asked.draft.answer
        assert numbers[0] * numbers[1] < 300
    assert seen > 10


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("hello", 1, "expected let"),
        ("q: {n}?", 1, "stands in no block"),
        ("problem a\nq: ?\n: x = n + 1 | x\na: {=x}", 3, "'n' is no number yet"),
        ("problem a\nlet n = 2..9\nq: {m}?\n: x = n + 1 | x\na: {=x}", 3, "nothing is called 'm'"),
        ("problem a\nlet n = 9..2\nq: {n}?\n: x = n + 1 | x\na: {=x}", 2, "is empty"),
        ("problem a\nlet n = 2..9\nq: {n}?\n: x = n + 1\na: {=x}", 4, "has no label"),
        ("problem a\nlet n = 2..9\nq: {n}?\n: x = n + 2 * n | x\na: {=x}", 4, "one operation"),
        ("problem a\nlet n = 2..9\nq: {n}?\n: x = n + 1 | x", 1, "an a: line is needed"),
        ("problem a\nlet n = 2..9\nq: {n}?\n: x = n + 1 | x\na: It is so.", 1, "exactly once"),
        ("problem a\nlet n = 2..9\nq: [{n}?\n: x = n + 1 | x\na: {=x}", 3, "has no ']'"),
        ("problem a\nlet n = 2..9\nq: {n:cash}?\n: x = n + 1 | x\na: {=x}", 3, "no format"),
        ("problem a\nlet n = 2..9\nq: {A.hers} {n}?\n: x = n + 1 | x\na: {=x}", 3, "he, him, his"),
        ("problem a\nlet n = 2..9\nq: {n}?\n: x = enough(n, 4)\na: {=x}", 1, "yes: and a no:"),
        ("start\nlet x = 2..9\nq: {x}", 1, "belongs to a theme"),
        ("theme a\n\nstart\nlet y = 2..9\nq: {y}", 3, "gives the story its x"),
        ("theme a\n\nevent\nlet b = 2..9\nq: {b}\n: y = x + b | more", 3, "changes no x"),
        ("theme a\n\nstart\nlet x = 2..9\nq: {x}", 1, "has no asks"),
    ],
)
def test_a_mistake_is_told_with_its_line(text: str, line: int, message: str) -> None:
    mistakes = [str(mistake) for mistake in read(text).mistakes]
    assert any(m.startswith(f"some.bank:{line}:") and message in m for m in mistakes), mistakes


GOOD = "problem a\nlet n = 2..9\n{}\n: x = n + 1 | {}\na: {}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD.format("q: How many?", "x", "It is {=x}."), "does not tell {n}"),
        (GOOD.format("q: {n}?", "x", "{A} has {=x}."), "speaks of {A}"),
        (GOOD.format("q: {n}?", "{fruits}", "It is {=x}."), "the label speaks of {fruits}"),
        (GOOD.format("q: {n}? {A.He} asks.", "x", "It is {=x}."), "never named"),
        (GOOD.format("let k = 2..9\nq: {n}?", "x", "It is {=x}."), "nothing uses 'k'"),
        (GOOD.format("where n > 8\nq: {n}?", "x", "It is {=x}."), "draws fail"),
        (GOOD.format("q: {n} euros?", "x", "It is {=x:money}."), "a currency is written here"),
        (GOOD.format(": y = n + 2 | y\nq: {n}?", "x", "It is {=x}."), "does not need the step 'y'"),
    ],
)
def test_the_checker_finds_what_drawing_or_comparing_shows(text: str, message: str) -> None:
    found = check("some.bank", text, bank().lexicon).mistakes
    assert any(message in mistake.message for mistake in found), found


def test_a_good_file_has_nothing_to_mend() -> None:
    good = GOOD.format("q: What is one more than {n}?", "one more", "It is {=x}.")
    found = check("some.bank", good, bank().lexicon)
    assert not found.mistakes
    assert len(found.samples) > 100


@settings(max_examples=200)
@given(st.text(alphabet="problem theme start\nletqa:x=n+|{}[].1 ", max_size=120))
def test_nothing_that_is_written_breaks_the_reader(text: str) -> None:
    read(text)


def test_the_lexicon_tells_what_is_wrong_with_it() -> None:
    _, mistakes = lexicon.parse("things: marble, box/boxes\nstuff: a\nwords\nnames_he: Tom")
    told = dict(mistakes)
    assert "'stuff'" in told[2]
    assert "expected a category" in told[3]
    assert any("fruits" in message for _, message in mistakes)
