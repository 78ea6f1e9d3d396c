"""The words of the questions, as data.

Knows phrases and nothing else. The built-in model has seen these phrases and no others: a
new one, however plain to a person, is a foreign language to it.
"""

from __future__ import annotations

from dataclasses import dataclass

from ponder.evaluation.arithmetic import Operator


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


NAMES = _words(
    """
    Mia Tom Anna Ben Lucy Sam Nora Leo Emma Max Ella Jack Zoe Adam Ruby Noah Lily Omar Ivy Paul
    Rosa Finn Maya Carl Jane Hugo Sara Luke Alice Ravi Clara Ivan Nina Kofi Tara Yusuf Grace
    Diego Hana Peter Olga Mark Lena Amir Julia Victor Wendy Oscar Priya Henry
    """
)
ITEMS = _words(
    """
    apples marbles stickers pencils books cards coins shells stamps cookies oranges buttons beads
    balloons candies flowers eggs pears toys bricks stones tickets muffins lemons crayons badges
    ribbons nuts plums photos
    """
)
CONTAINERS = _words("boxes bags baskets crates jars trays packs shelves drawers bins")
GOODS = _words(
    """
    pens books lamps chairs tables shirts caps mugs plates bottles bikes phones radios clocks maps
    desks tents ropes hats boots brushes paints games puzzles kites drums scarves belts jackets
    cables
    """
)

# Chains: orders about a bare number.

ORDERS: dict[Operator, tuple[str, ...]] = {
    # "add" stands twice because it is twice as common.
    Operator.PLUS: ("add {number}", "add {number}", "increase it by {number}"),
    Operator.MINUS: ("subtract {number}", "take away {number}"),
    Operator.TIMES: ("multiply by {number}", "multiply it by {number}"),
    Operator.OVER: ("divide by {number}", "divide it by {number}"),
    Operator.MOD: (
        "take the remainder when divided by {number}",
        "take the result modulo {number}",
    ),
}
SHORT_ORDERS: dict[tuple[Operator, int], str] = {
    (Operator.TIMES, 2): "double it",
    (Operator.TIMES, 3): "triple it",
    (Operator.OVER, 2): "halve it",
}
LINKS = ("Then ", "Next, ", "After that, ", "Now ")
START_WITH_ASKS = ("What number do you get?", "What is the result?", "What do you get?")
TAKE_ASKS = ("What is the final number?", "What is the result?")
I_HAVE_ASKS = ("What number do I have now?", "What is the answer?")

# Expressions. Symbols for times and over; the rest look the same everywhere.

SYMBOLS = (("×", "/"), ("*", "/"), ("x", "÷"), ("×", "÷"))
EXPRESSION_ASKS = (
    "What is {expression}?",
    "Compute {expression}.",
    "Calculate {expression}.",
    "Evaluate {expression}.",
    "{expression} = ?",
    "Find the value of {expression}.",
    "Please work out {expression}.",
    "Solve {expression}",
    "What is the value of {expression}?",
)

# Stories: somebody's things become more and fewer.

PRONOUNS = ("She", "He")
STORY_STARTS = (
    "{name} has {number} {item}.",
    "{name} starts with {number} {item}.",
    "{name} owns {number} {item}.",
    "There are {number} {item} in {name}'s box.",
)
STORY_SUBJECTS = (
    "{name}",
    "Then {name}",
    "Later {name}",
    "After that {name}",
    # The pronoun alone stands twice because it is twice as common.
    "{pronoun}",
    "{pronoun}",
    "Then {pronoun_inside}",
    "Next, {pronoun_inside}",
)
GAINS = ("picks", "collects", "makes", "wins", "earns", "receives")
LOSSES = ("eats", "drops", "breaks", "throws away", "donates", "spends", "mails")
EVENTS: dict[Operator, tuple[str, ...]] = {
    Operator.PLUS: (
        "{who} buys {number} more {item}",
        "{who} finds {number} more {item}",
        "{who} {gains} {number} more",
        "{friend} gives {name} {number} {item}",
        "{who} gets {number} {item} from {neighbour}",
    ),
    Operator.MINUS: (
        "{who} gives {number} {item} to {friend}",
        "{who} loses {number} {item}",
        "{who} {loses} {number} {item}",
        "{who} gives {number} of them to {friend}",
        "{who} sells {number} {item}",
        "{who} uses {number} of the {item}",
    ),
    Operator.TIMES: (
        "{who} makes the pile {number} times as big",
        "{who} trades each of the {item} for {number} new {item}",
        "The number of {item} grows {number} times",
    ),
    Operator.OVER: (
        "{who} splits the {item} equally into {number} {containers} and keeps only one of them",
        "{who} shares the {item} equally among {number} people, and keeps one share",
    ),
    Operator.MOD: (
        "{who} fills {containers} of {number} {item} each and keeps only the left over {item}",
        "{who} packs groups of {number} and keeps only the remainder",
    ),
}
SHORT_EVENTS = {2: "{who} doubles the number of {item}", 3: "{who} triples the number of {item}"}
STORY_ASKS = (
    "How many {item} does {name} have left?",
    "How many {item} are left?",
    "How many {item} does {pronoun_inside} have now?",
    "How many {item} does {name} have now?",
    "How many {item} are there at the end?",
    "How many {item} does {name} have at the end?",
)

# Comparisons: two people, each with a heap.

HEAP_COUNTED = "{name} has {number} {item}."
HEAP_PACKED = "{name} has {count} {containers} with {size} {item} each."
HEAP_CHANGES: dict[Operator, tuple[str, ...]] = {
    Operator.PLUS: ("{name} buys {number} more {item}.", "{name} finds {number} {item}."),
    Operator.MINUS: ("{name} gives away {number} {item}.", "{name} loses {number} {item}."),
    Operator.TIMES: ("{name} makes the pile {number} times as big.",),
}
WHO_ASKS = ("Who has more {item}?", "Who has more {item} now, {first} or {second}?")
HOW_MANY_MORE_ASK = "How many more {item} does {richer} have than {poorer}?"

# Clocks: time goes round.


@dataclass(frozen=True, slots=True)
class Dial:
    """Something that starts again at 0."""

    length: int
    """How many values it has."""
    unit: str
    shows: str
    asks: str


_DAY = Dial(
    24, "hours", "A 24-hour clock shows hour {now}.", "Which hour does the clock show then?"
)
_YEAR = Dial(
    12,
    "months",
    "Months are numbered 0 to 11 and it is month {now}.",
    "Which month number is it then?",
)
_WEEK = Dial(
    7,
    "days",
    "Days are numbered 0 to 6 and today is day {now}.",
    "Which day number is it then?",
)
_HOUR = Dial(60, "minutes", "A clock shows minute {now}.", "Which minute does the clock show then?")

DIALS = (_DAY, _DAY, _YEAR, _WEEK, _HOUR)  # the day stands twice because it is twice as common
REPEATED_WAIT = "{name} waits {count} times for {size} {unit}."
WAITS = ("{name} waits {number} {unit}.", "{number} {unit} pass.")
REMAINDER_ASK = "What is the remainder when {number} is divided by {length}?"
