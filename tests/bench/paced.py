"""The chat on an engine that recites at a steady pace: four thousand tokens, two thousand a second.

    PYTHONPATH=tests python -m bench.paced REPORT [--tokens N] [--rate N] [--before N] [--open]

Each token is an event of its own, because the dialect's tags are spelled out. When the app has
ended, REPORT holds what was recited and how many events told of it, as JSON. The tokens `before`
come as fast as they are taken; with --open the trace is shown whole while it streams.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ponder.assembly import Assembled
from ponder.engines.replay import ByteVocabulary, ReplayEngine
from ponder.events import Event, Text
from ponder.runner import Runner
from ponder.session import Session
from ponder.settings import Settings, TuiSettings
from ponder.thinking.effort import Wish
from ponder.thinking.protocol import resolve
from ponder.thinking.template import ChatTemplate
from ponder.tui.app import PonderApp
from ponder.types import Chunk, Sampling, Seq
from scripted import SPELLED, TAGS

EVENTS = 4000
RATE = 2000
"""Tokens a second."""
TEMPLATE = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}<assistant>"
WORDS = ("so", "the", "first", "one", "is", "seven", "and", "then", "there", "are", "two", "more")
CLOSE = "\n[/think]\n\n"
ANSWER = "nine."


def thought(tokens: int) -> list[str]:
    """Pieces of about the size of tokens, numbered, so that none can be mistaken."""
    pieces = []
    for at in range(tokens):
        end = ".\n" if at % 40 == 39 else ""
        pieces.append(f" {WORDS[at % len(WORDS)]}" if at % 8 else f" {at}{end}")
    return pieces


class PacedEngine(ReplayEngine):
    """Recites in time: a token that is late is followed by the next one at once."""

    rate = RATE
    before = 0
    """Tokens that come before the clock runs."""
    _began = 0.0
    _sampled = 0

    def step(self, grants: Mapping[Seq, int]) -> list[Chunk]:
        if self._sampled > self.before:
            due = self._began + (self._sampled - self.before) / self.rate
            time.sleep(max(0.0, due - time.perf_counter()))
        else:
            self._began = time.perf_counter()
        chunks = super().step(grants)
        self._sampled += sum(len(chunk.tokens) for chunk in chunks)
        return chunks


class CountingRunner(Runner):
    """Counts the pieces of text that it hands over."""

    texts = 0

    def _deliver(self, event: Event) -> None:
        self.texts += isinstance(event, Text)
        super()._deliver(event)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("report", type=Path)
    parser.add_argument("--tokens", type=int, default=EVENTS)
    parser.add_argument("--rate", type=int, default=RATE)
    parser.add_argument("--before", type=int, default=0)
    parser.add_argument("--open", action="store_true")
    options = parser.parse_args()
    pieces = thought(options.tokens)
    known = sorted(set(pieces))
    vocab = ByteVocabulary((*TAGS, *known), TEMPLATE)
    ids = {piece: 256 + len(TAGS) + at for at, piece in enumerate(known)}
    closing = [*vocab.encode(CLOSE, special=True), *vocab.encode(ANSWER, special=False), 257]
    said = [*(ids[piece] for piece in pieces), *closing]
    runners: list[CountingRunner] = []

    def script(tokens: Sequence[int], prompt: int, _seed: int) -> int:
        return said[min(len(tokens) - prompt, len(said) - 1)]

    def opener(name: str, tell: Callable[[float], None], _: int) -> Assembled:
        engine = PacedEngine(vocab, script, n_ctx=3 * options.tokens)
        engine.rate, engine.before = options.rate, options.before
        runner = CountingRunner(engine, resolve(SPELLED, vocab))
        runners.append(runner)
        session = Session(runner, ChatTemplate(TEMPLATE, vocab), trim=True)
        return Assembled(session, engine, name, "", Sampling())

    tui = TuiSettings(thinking="open" if options.open else "tail")
    app = PonderApp(Settings(model="paced", tui=tui), opener, Wish("max"))
    app.run()
    app.close()
    report = {"thought": "".join(pieces), "texts": sum(runner.texts for runner in runners)}
    options.report.write_text(json.dumps(report))


if __name__ == "__main__":
    main()
