r"""The child's program: are two expressions equal? One question a line, one answer a line.

Knows math-verify, which reads LaTeX with latex2sympy and compares with sympy; nothing else of
ponder imports any of the three. Knows nothing of who asks: it is started, asked and killed by
`child`. What it reads comes from a model. It is read as LaTeX by a grammar and never by
`sympify` or `parse_expr`, which evaluate Python.

A question is a JSON array of one expression (can it be read?) or two (are they equal?), an
answer `true` or `false`; the first line says `true` once the libraries are loaded.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import logging
import os
import signal
import sys
from functools import lru_cache
from typing import Any

PRECISION = 60
"""Digits of a numeric comparison. math-verify takes what is smaller than the last of them for
nothing: with its default of 15, Planck's constant is zero, and so is every other of its size."""


def limit_memory(size: int) -> None:
    """Let this process have so many bytes; a no-op where the system does not keep such a limit."""
    if sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (size, size))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


@lru_cache(maxsize=256)
def read(expression: str) -> Any:
    """Return what an expression means; None if it cannot be read.

    Decimals become exact fractions: 0.333333 is not 1/3 here, nor 3.14 pi.
    """
    from math_verify import LatexExtractionConfig, parse
    from sympy import Float, Rational

    # The box is what tells the library where the answer is.
    found = parse(
        f"\\boxed{{{expression}}}",
        [LatexExtractionConfig(boxed_match_priority=0)],
        fallback_mode="no_fallback",
        parsing_timeout=None,
    )
    if not found or isinstance(found[0], str):
        return None
    meaning = found[0]
    return meaning.xreplace({part: Rational(str(part)) for part in meaning.atoms(Float)})


def readable(expression: str) -> bool:
    """Tell whether an expression can be read, and worked out in time.

    Who asks gives up one that cannot be, before it is held against many others.
    """
    meaning = read(expression)
    if meaning is None:
        return False
    with contextlib.suppress(Exception):  # then it is compared as it stands
        meaning.doit()
    return True


def equal(one: str, other: str) -> bool:
    """Tell whether two expressions mean the same, whichever of them is the key."""
    from math_verify import verify

    a, b = read(one), read(other)
    if a is None or b is None:
        return False
    if differ(a, b):
        return False
    # `verify` reads an equation or an interval as its first argument is one: not symmetric.
    return any(
        verify(key, said, numeric_precision=PRECISION, timeout_seconds=None)
        for key, said in ((a, b), (b, a))
    )


def differ(a: Any, b: Any) -> bool:
    """Tell whether two expressions have different values where their variables are some numbers.

    Saves the attempts to simplify a difference that is not zero, which is most of the time
    that answers of many traces take. Equal values prove nothing, and are left to `verify`.
    """
    from sympy import Expr, Rational

    if not (isinstance(a, Expr) and isinstance(b, Expr)):
        return False
    variables = sorted(a.free_symbols | b.free_symbols, key=str)
    point = {name: Rational(37 + 11 * n, 29 + n) for n, name in enumerate(variables)}
    with contextlib.suppress(Exception):  # no value there, or no number
        x, y = (complex(each.xreplace(point).evalf(20)) for each in (a, b))
        # Not a number is never greater, nor is what infinity minus infinity comes to.
        return abs(x - y) > 1e-10 * max(abs(x), abs(y))
    return False


def main(memory: int, seconds: float) -> None:
    """Answer until the questions end.

    Args:
        memory: bytes that this process may have.
        seconds: for one answer; past that it ends itself, should nobody be left to kill it.
    """
    # What a library prints must not become an answer.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="ascii")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    limit_memory(memory)
    # Ctrl-C is for whoever asks, and it will end this process if it wants to.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.disable()
    # Loads the libraries, and builds what they build at first use: no question's time.
    equal("x + x", "2x")

    def say(answer: bool) -> None:
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

    say(True)
    for line in sys.stdin:
        # A thread of C: it ends the process even while Python computes one huge power.
        faulthandler.dump_traceback_later(seconds, exit=True)
        try:
            expressions = json.loads(line)
            answer = (readable if len(expressions) == 1 else equal)(*expressions)
        except Exception:  # noqa: BLE001 - sympy raises anything on hostile input, and all means no
            answer = False
        faulthandler.cancel_dump_traceback_later()
        say(answer)


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
