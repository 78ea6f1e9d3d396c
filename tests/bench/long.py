"""`make bench-tui`: what long traces and long conversations cost on the screen.

    PYTHONPATH=tests python -m bench.long [keys] [open] [start] [speed] [--small]

In a real pseudo-terminal of 80 columns and 24 lines. `keys`: a trace of 32,000 tokens is open and
500 more come each second, from the replay engine, while somebody types. `open`: conversations of
100,000 tokens are taken from the history. `start`: until a key that is pressed is on the screen.
`speed`: tokens a second beside the same without a screen. --small does a fraction of each, to see
that it runs. Prints lines; asserts nothing, because a clock is no test.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import psutil

from bench.history import thoughts
from bench.pty_session import Pty, environment
from bench.tui import (
    CTRL_N,
    CTRL_Q,
    ESC,
    LETTERS,
    PACED,
    PONDER,
    READY,
    asked,
    builtin_speed,
    chat,
    configured,
    home,
    screen_seconds,
    typed,
)
from history.traces import trace
from ponder import hardware
from ponder.history.store import History
from ponder.types import Budget, Channel, Sampling, Span

RATE = 500
"""Tokens a second that come while somebody types."""
BATCH = 44
"""Letters typed into the composer before it is emptied: what a line has room for."""
CHARACTERS = 4
"""Of a token."""
CTRL_R, CTRL_U = "\x12", "\x15"
LAST = "This was the last turn."
KEY = "ж"
"""A character that is nowhere on the screen."""


@dataclass(frozen=True)
class Sizes:
    """How much of everything."""

    before: int = 32_000
    """Tokens of the trace when typing begins."""
    batches: int = 16
    conversation: int = 100_000
    """Tokens of a conversation that is opened."""
    rounds: int = 12
    starts: int = 16
    questions: int = 12


SMALL = Sizes(before=3_000, batches=2, conversation=10_000, rounds=3, starts=3, questions=2)


def told(seconds: Sequence[float]) -> str:
    """50th and 99th percentile and the largest."""
    ordered = sorted(seconds)
    p50, p99 = statistics.median(ordered), ordered[int(len(ordered) * 0.99)]
    return f"p50 {p50 * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms, max {ordered[-1] * 1000:.0f} ms"


def resident(session: Pty) -> float:
    """Memory of the whole program, engine and history included, in MB."""
    return float(psutil.Process(session.pid).memory_info().rss) / 1e6


# -- keys -------------------------------------------------------------------------------------


def keys(sizes: Sizes) -> None:
    """Typing below a long open trace that grows; memory before it, with it, and at the end."""
    rng = random.Random(7)
    report = home() / "paced.json"
    # A batch takes about two seconds, and emptying the composer half of one.
    tokens = sizes.before + RATE * (4 * sizes.batches + 20)
    here = environment(home()) | {"PYTHONPATH": str(Path(__file__).parents[1])}
    options = f"--tokens {tokens} --rate {RATE} --before {sizes.before} --open".split()
    took: list[float] = []
    with Pty([*PACED, str(report), *options], here) as session:
        session.until(READY, since=0)
        session.settle(1.0)
        empty = resident(session)
        asked_at = session.send("go\r")
        # The budget bar is below the trace, where the end of what streams is followed.
        reached = session.until(rb"[^\d,]%d,\d{3}/" % (sizes.before // 1000))
        session.settle(1.0)
        long, began, spent = resident(session), time.perf_counter(), screen_seconds(session)
        for _ in range(sizes.batches):
            took += typed(session, rng.sample(LETTERS, BATCH), rng)
            session.send(CTRL_U)
            session.settle(0.5)
        end, lasted = resident(session), time.perf_counter() - began
        share = (screen_seconds(session) - spent) / lasted
        session.send(ESC)
        session.until(b"cancelled")
        session.end(CTRL_Q)
    turn, said = asked(), json.loads(report.read_text())["thought"].strip()
    assert turn.trace is not None
    kept = said.startswith("".join(span.text for span in turn.spans).strip())
    sampled = turn.trace.usage.sampled
    print(
        f"keys       a trace of {sizes.before:,} tokens open (they came in "
        f"{reached - asked_at:.0f} s), {RATE} a second arriving: a key is on the screen after "
        f"{told(took)} ({len(took)} keys); the screen takes {share:.0%} of a core; "
        f"order {'kept' if kept else 'LOST'}\n"
        f"memory     {empty:.0f} MB before the question, {long:.0f} with that trace, {end:.0f} "
        f"after {lasted:.0f} s of typing and {sampled - sizes.before:,} tokens more"
    )


# -- open -------------------------------------------------------------------------------------


def write(tokens: int, turns: int) -> None:
    """A conversation of so many tokens in so many turns, the last that was used."""
    each = tokens * CHARACTERS // turns
    thinking = thoughts(turns)
    with History(home() / "history.db") as history, history.together():
        at = time.time()
        number = history.new_conversation(f"{turns} turns", "ponder-tiny", "", at)
        for turn in range(turns):
            text = ""
            while len(text) < each:
                text += next(thinking)
            end = LAST if turn == turns - 1 else "There is more."
            answer = "".join(islice(text, 500))
            spans = (
                Span(Channel.THOUGHT, text[:each]),
                Span(Channel.ANSWER, f"**So**:\n\n- {answer}\n\n{end}"),
            )
            begun = history.begin_turn(
                number, f"Question {turn + 1}?", "ponder-tiny", Budget(), Sampling(), at
            )
            whole = trace(*spans)
            usage = replace(whole.usage, think=tokens // turns)
            history.finish_turn(begun, replace(whole, usage=usage))


def open_long(sizes: Sizes) -> None:
    """From enter in the history to the last words of a conversation on the screen."""
    configured()
    for turns in (1, 25):
        write(sizes.conversation, turns)
        took = []
        with chat() as session:
            for at in range(sizes.rounds + 1):
                session.send(CTRL_R)
                session.settle(1.5)
                before = len(session.raw)
                began = session.send("\r")
                seen = session.until(LAST.encode(), since=before)
                if at:
                    took.append(seen - began)
                session.settle(0.5)
                session.send(CTRL_N)
                session.settle(0.5)
            memory = resident(session)
        print(
            f"open       a conversation of {sizes.conversation:,} tokens in {turns} turns: "
            f"{told(took)} ({len(took)} times); {memory:.0f} MB afterwards"
        )


# -- start ------------------------------------------------------------------------------------


def start(sizes: Sizes) -> None:
    """From the start of `ponder` to its composer, to a key in it, and to a loaded model."""
    configured()
    painted, usable, loaded = [], [], []
    for at in range(sizes.starts + 1):
        with Pty(PONDER, environment(home())) as session:
            composer = session.until(READY, since=0)
            session.send(KEY)
            typed_at = session.until(KEY.encode(), since=0)
            model = session.until(rb"ponder-tiny *\x1b", since=0)
            if at:  # the first one fills the caches of the disk
                painted.append(composer - session.began)
                usable.append(typed_at - session.began)
                loaded.append(model - session.began)
    print(f"start      composer on the screen: {told(painted)} ({len(painted)} starts)")
    print(f"start      a key pressed then is in it: {told(usable)}")
    print(f"start      the built-in model is loaded: {told(loaded)}")


def speed(sizes: Sizes) -> None:
    """With the built-in model on all cores."""
    builtin_speed(sizes.questions)


SECTIONS = {"keys": keys, "open": open_long, "start": start, "speed": speed}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    parser.add_argument("--small", action="store_true", help="a fraction of each")
    options = parser.parse_args()
    if unknown := set(options.sections) - set(SECTIONS):
        parser.error(f"no section {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    print(f"{hardware.processor()}, {hardware.cores()} cores\n")
    for name in options.sections or SECTIONS:
        SECTIONS[name](SMALL if options.small else Sizes())


if __name__ == "__main__":
    main()
