"""The arithmetic in the bank's `let`, `where` and step lines.

Knows how a term is written and turns it into a function of the numbers that were drawn. Refuses
to know what the numbers are for.

    sum         product (+|- product)...
    product     factor (*|/|//|%|% of|of factor)...
    factor      number, name, -factor, (term), ceil(term), min(term, term), max(term, term)
    condition   comparisons of sums (<, <=, ==, !=, >=, >), joined by and, or, not
"""

from __future__ import annotations

import operator as python
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from ponder.evaluation.arithmetic import Number, Operator, apply, exact

Numbers = Mapping[str, Number]
Function = Callable[[Numbers], Number]


class TermError(ValueError):
    """What is written there is no term."""


@dataclass(frozen=True, slots=True)
class Constant:
    """A plain number."""

    value: Number


@dataclass(frozen=True, slots=True)
class Name:
    """A number that was drawn or found."""

    name: str


@dataclass(frozen=True, slots=True)
class Operation:
    """An operator of `arithmetic` on two terms."""

    operator: Operator
    left: Term
    right: Term


@dataclass(frozen=True, slots=True)
class Relation:
    """A comparison, a conjunction, a choice of the larger: what no step may be."""

    function: Callable[..., Number]
    terms: tuple[Term, ...]


Term = Constant | Name | Operation | Relation

_TOKEN = re.compile(
    r"\s*(?:(?P<number>[0-9]+(?:\.[0-9]+)?)|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<sign>%\s+of\b|//|<=|>=|==|!=|[-+*/%<>(),]))"
)
_COMPARISONS: dict[str, Callable[[Number, Number], bool]] = {
    "<": python.lt, "<=": python.le, "==": python.eq, "!=": python.ne, ">=": python.ge,
    ">": python.gt,
}  # fmt: skip
_FUNCTIONS: dict[str, Callable[..., Number]] = {"min": min, "max": max}
_SUMS = {"+": Operator.PLUS, "-": Operator.MINUS}
_PRODUCTS = {
    "*": Operator.TIMES, "/": Operator.OVER, "//": Operator.WHOLE, "%": Operator.MOD,
    "% of": Operator.PERCENT, "of": Operator.OF,
}  # fmt: skip
KEYWORDS = frozenset({"and", "or", "not", "of", "by"})


def parse(text: str) -> Term:
    """Return the term that `text` is.

    Raises:
        TermError: it is none.
    """
    parser = _Parser(text)
    term = parser.either()
    if parser.next:
        raise TermError(f"{parser.next!r} is too much in {text.strip()!r}")
    return term


def names(term: Term) -> frozenset[str]:
    """Return the names that the term needs."""
    match term:
        case Constant():
            return frozenset()
        case Name(name):
            return frozenset({name})
        case Operation(_, left, right):
            return names(left) | names(right)
        case Relation(_, terms):
            return frozenset[str]().union(*map(names, terms))


def compiled(term: Term) -> Function:
    """Return the function of the numbers that the term is. It may raise ArithmeticError."""
    match term:
        case Constant(value):
            return lambda _: value
        case Name(name):
            return lambda numbers: numbers[name]
        case Operation(operator, left, right):
            one, other = compiled(left), compiled(right)
            return lambda numbers: apply(operator, one(numbers), other(numbers))
        case Relation(function, terms):
            parts = tuple(map(compiled, terms))
            return lambda numbers: function(*(part(numbers) for part in parts))


class _Parser:
    """Reads one term, from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self.next = ""
        self._kind = ""
        self._advance()

    def _advance(self) -> str:
        taken = self.next
        found = _TOKEN.match(self._text, self._at)
        if found is not None:
            self._at = found.end()
            self._kind = found.lastgroup or ""
            self.next = " ".join(found[self._kind].split())
        elif rest := self._text[self._at :].strip():
            raise TermError(f"{rest[0]!r} is no sign of arithmetic")
        else:
            self.next = self._kind = ""
        return taken

    def _take(self, wanted: str) -> None:
        if self.next != wanted:
            raise TermError(f"expected {wanted!r} before {self.next or 'the end'!r}")
        self._advance()

    def either(self) -> Term:
        terms = [self._all()]
        while self.next == "or":
            self._advance()
            terms.append(self._all())
        return terms[0] if len(terms) == 1 else Relation(lambda *them: any(them), tuple(terms))

    def _all(self) -> Term:
        terms = [self._not()]
        while self.next == "and":
            self._advance()
            terms.append(self._not())
        return terms[0] if len(terms) == 1 else Relation(lambda *them: all(them), tuple(terms))

    def _not(self) -> Term:
        if self.next == "not":
            self._advance()
            return Relation(python.not_, (self._not(),))
        return self._comparison()

    def _comparison(self) -> Term:
        left = self._sum()
        found: list[Term] = []
        while self.next in _COMPARISONS:
            compare = _COMPARISONS[self._advance()]
            right = self._sum()
            found.append(Relation(compare, (left, right)))
            left = right
        if len(found) > 1:
            return Relation(lambda *them: all(them), tuple(found))
        return found[0] if found else left

    def _sum(self) -> Term:
        term = self._product()
        while self.next in _SUMS:
            operator = _SUMS[self._advance()]
            term = Operation(operator, term, self._product())
        return term

    def _product(self) -> Term:
        term = self._factor()
        while self.next in _PRODUCTS:
            operator = _PRODUCTS[self._advance()]
            term = Operation(operator, term, self._factor())
        return term

    def _factor(self) -> Term:
        if self.next == "-":
            self._advance()
            inner = self._factor()
            if isinstance(inner, Constant):
                return Constant(-inner.value)
            return Operation(Operator.MINUS, Constant(0), inner)
        if self.next == "(":
            self._advance()
            term = self.either()
            self._take(")")
            return term
        kind, token = self._kind, self._advance()
        if kind == "number":
            return Constant(exact(Fraction(token)))
        if token == "ceil" and self.next == "(":
            return self._ceiling()
        if token in _FUNCTIONS and self.next == "(":
            return Relation(_FUNCTIONS[token], self._arguments())
        if kind != "name" or token in KEYWORDS:
            raise TermError(f"expected a number or a name, not {token or 'the end'!r}")
        return Name(token)

    def _ceiling(self) -> Term:
        match self._arguments():
            case (Operation(Operator.OVER, left, right),):
                return Operation(Operator.UP, left, right)
        raise TermError("ceil takes a division: ceil(a / b)")

    def _arguments(self) -> tuple[Term, ...]:
        self._take("(")
        terms = [self.either()]
        while self.next == ",":
            self._advance()
            terms.append(self.either())
        self._take(")")
        return tuple(terms)
