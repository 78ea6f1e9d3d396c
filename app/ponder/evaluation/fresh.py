"""Which fresh questions a model is measured by: those of 2 to 8 operations, each as often.

Knows the generator's lengths. Refuses to know who is asked, and how.
"""

from __future__ import annotations

from ponder.evaluation.questions import Question, questions

LENGTHS = range(2, 9)
"""One operation alone says little about thinking, and nothing is longer than eight."""


def fresh_questions(seed: int, count: int) -> list[Question]:
    """Return so many questions, of one length after the other; the same for the same seed."""
    drawn = [questions(seed + length, operations=[length]) for length in LENGTHS]
    return [next(drawn[at % len(drawn)]) for at in range(count)]
