"""The traces of the calibration text are made by a script; the result is checked in."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import calibration_traces

import ponder_quantize.calibration


def test_the_traces_are_what_the_script_writes() -> None:
    file = Path(ponder_quantize.calibration.__file__).with_name("traces.txt")
    assert file.read_text("utf-8") == calibration_traces.traces()


def test_what_the_traces_claim_is_true() -> None:
    operations: dict[str, Callable[[Fraction, Fraction], Fraction]] = {
        "+": lambda a, b: a + b,
        "-": lambda a, b: a - b,
        "×": lambda a, b: a * b,
        "÷": lambda a, b: a / b,
        "mod": lambda a, b: a % b,
        "% of": lambda a, b: a * b / 100,
    }
    number = r"-?\d+(?:\.\d+|/\d+)?"
    claims = re.findall(
        rf"(?<![-+×÷\d] )(?<![\d./-])({number}) ([-+×÷]|mod|% of) ({number}) = ({number})"
        r"(?![\d/]|\.\d| [-+×÷])",
        calibration_traces.traces(),
    )
    assert len(claims) > 500
    for left, sign, right, result in claims:
        worked_out = operations[sign](Fraction(left), Fraction(right))
        assert worked_out == Fraction(result), (left, sign, right, result)
