"""`make bench-history`: how long it takes to search a history of 10,000 conversations.

Makes one (seeded: the same texts each time), and searches it as the history screen does: the
first 200 hits, with their excerpts, from another connection each time. Questions are the
generated ones; a thinking is made of pieces of the calibration text, of numbers and of rare
words, as long as traces of small models are (log-normal, median 4,000 characters). A line a
query: how many hits, and the 50th and 99th percentile in milliseconds. Asserts nothing.

    PYTHONPATH=tests python -m bench.history [--conversations 10000] [--rounds 20] [--keep FILE]
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from history.traces import trace
from ponder.evaluation.questions import questions
from ponder.history.query import read
from ponder.history.store import History
from ponder.types import Budget, Channel, Sampling, Span
from ponder_quantize import calibration

SHOWN = 200
"""Hits that the screen asks for."""
START = 1_700_000_000.0
QUERIES = (
    ("a word that is everywhere", "the"),
    ("a word of some", "marbles"),
    ("three words", "wait remainder check"),
    ("a phrase", '"so the answer"'),
    ("a word of few", "needle00007"),
    ("a word of none, of common letters", "therestingation"),
    ("a word of none", "zyzzyva"),
    ("a word of none, in one model's", "zyzzyva model:r1-1"),
    ("a word that is everywhere, in answers", "the in:answer"),
    ("two letters", "so"),
    ("two rare letters", "qj"),
    ("a number of two digits", "47"),
    ("one letter", "x"),
    ("one character of none", "☃"),
    ("beyond ASCII", "größer"),
    ("one character of none, in answers", "☃ in:answer"),
    ("everything, as a list", ""),
    ("a filtered list", "model:r1-1 in:thinking pinned"),
)


def thoughts(seed: int) -> Iterator[str]:
    """Endless thinkings."""
    dice = random.Random(seed)
    text = calibration.text()
    while True:
        length = min(60_000, int(dice.lognormvariate(8.3, 0.8)))
        parts: list[str] = []
        while length > 0:
            begin = dice.randrange(len(text) - 1200)
            piece = text[begin : begin + dice.randrange(100, 1200)][:length]
            a, b = dice.randrange(1000), dice.randrange(1000)
            parts.append(f"{piece}\n\n{a} + {b} = {a + b}. ")
            length -= len(parts[-1])
        if dice.random() < 0.01:
            parts.append(f"needle{dice.randrange(40):05}")
        yield "".join(parts)


def fill(path: Path, conversations: int, seed: int = 1) -> tuple[int, int]:
    """Write a history; gives its turns, and the characters in it."""
    dice = random.Random(seed)
    asked, thought = questions(seed), thoughts(seed)
    turns = characters = 0
    with History(path) as history:
        for number in range(conversations):
            at = START + 3600.0 * number
            with history.together():
                first = next(asked)
                chat = history.new_conversation(first.text[:60], f"r1-{number % 3}", "", at)
                for question in (first, *islice(asked, min(5, int(dice.expovariate(0.8))))):
                    spans = (
                        Span(Channel.THOUGHT, next(thought)),
                        Span(Channel.ANSWER, f"It is \\boxed{{{question.answer}}}."),
                    )
                    turn = history.begin_turn(
                        chat, question.text, "r1-7b", Budget(), Sampling(), at
                    )
                    history.finish_turn(turn, trace(*spans))
                    turns += 1
                    characters += len(question.text) + sum(len(span.text) for span in spans)
    return turns, characters


def search(path: Path, query: str) -> tuple[int, float]:
    """Hits and seconds, opening the file included."""
    began = time.perf_counter()
    with History(path) as history:
        asked = read(query)
        if asked.wanted.phrases:
            hits = len(history.search(asked, SHOWN))
        else:
            hits = len(history.conversations(SHOWN, query=asked))
    return hits, time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--conversations", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--keep", type=Path, help="a file to make, or to use if it is there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = options.keep or Path(folder) / "history.db"
        if not path.exists():
            began = time.perf_counter()
            turns, characters = fill(path, options.conversations)
            print(
                f"{options.conversations:,} conversations, {turns:,} turns, "
                f"{characters / 1e6:,.0f} million characters, "
                f"{path.stat().st_size / 1e6:,.0f} MB, made in {time.perf_counter() - began:,.0f} s"
            )
        print(f"{'':<36}{'hits':>6}{'p50':>8}{'p99':>8}  ms")
        every: list[float] = []
        for told, query in QUERIES:
            hits = search(path, query)[0]
            times = [search(path, query)[1] * 1000 for _ in range(options.rounds)]
            every += times
            low, high = statistics.median(times), statistics.quantiles(times, n=100)[98]
            print(f"{told:<36}{hits:>6}{low:>8,.0f}{high:>8,.0f}")
        print(f"{'all':<42}{statistics.median(every):>8,.0f}", end="")
        print(f"{statistics.quantiles(every, n=100)[98]:>8,.0f}")


if __name__ == "__main__":
    main()
