"""A stage for the chat: the real app on a scripted engine that can be held in mid-sentence."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from itertools import count

from textual.pilot import Pilot

from ponder.assembly import Assembled
from ponder.dialect import Dialect
from ponder.engines.replay import ByteVocabulary, ReplayEngine, transcript
from ponder.errors import InputError, PonderError
from ponder.runner import Runner
from ponder.session import Session
from ponder.settings import BudgetSettings, Settings, TuiSettings
from ponder.thinking.effort import Wish
from ponder.thinking.protocol import resolve
from ponder.thinking.template import ChatTemplate
from ponder.tui.app import PonderApp
from ponder.types import AppliedAdapter, Chunk, Sampling, Seq
from scripted import TAGGED, TAGS

TEMPLATE = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}<assistant>"
NOON = 1_790_000_000.0
"""The time of day at which every question is asked."""
GUARD = 20.0
"""Seconds after which something that hangs is ended; nothing here is measured."""

THOUGHT = """\
Okay, so I need to count the letter r in the word strawberry. Let me spell it out: \
s, t, r, a, w, b, e, r, r, y.

The third letter is an r, that makes one. Then a, w, b and e, none of those. \
Then there are two more at the end, before the y.

So that would be 2."""
SECOND = """\
, let me count once more. Position 3 is r, position 8 is r, position 9 is r. \
That is three, I had lost the first one.

So the answer is 3."""
ANSWER = """\
There are **3** times the letter *r* in "strawberry":

| position | letter |
|---------:|:------:|
| 3        | r      |
| 8        | r      |
| 9        | r      |
"""
QUESTION = "How many times does the letter r occur in strawberry?"


class HeldEngine(ReplayEngine):
    """Recites, and can be held after so many sampled tokens, or made to fail there."""

    def __init__(
        self,
        vocab: ByteVocabulary,
        script: Callable[[Sequence[int], int, int], int],
        hold_at: int | None = None,
        failure: PonderError | None = None,
        n_ctx: int = 4096,
        n_seqs: int = 1,
    ) -> None:
        super().__init__(vocab, script, n_ctx, n_seqs)
        self._hold_at = hold_at
        self._next: int | None = None
        self._failure: Exception | None = failure
        self._sampled = 0
        self.go_on = threading.Event()
        self.held = False
        """Whether it waits in mid-sentence."""
        self.prompts: list[str] = []
        """What it was asked, as text."""
        self.shut = False
        self.dead = threading.Event()
        """Whether it has failed as it was told to."""

    def open(
        self,
        tokens: tuple[int, ...],
        sampling: Sampling,
        watch: tuple[int, ...] = (),
        stop: tuple[int, ...] = (),
        signals: bool = False,
    ) -> Seq:
        self.prompts.append(b"".join(map(self.vocab.piece, tokens)).decode("utf-8", "replace"))
        return super().open(tokens, sampling, watch, stop, signals)

    def step(self, grants: Mapping[Seq, int]) -> list[Chunk]:
        while self._hold_at is not None and self._sampled >= self._hold_at:
            if self._failure is not None:
                failure, self._failure, self._hold_at = self._failure, None, None
                self.dead.set()
                raise failure
            self.held = True
            self.go_on.wait(GUARD)
            self.held = False
            self.go_on.clear()
            self._hold_at, self._next = self._next, None
        chunks = super().step(grants)
        self._sampled += sum(len(chunk.tokens) for chunk in chunks)
        return chunks

    def let_go(self, more: int | None = None) -> None:
        """Go on, to the end or for so many tokens more."""
        self._next = None if more is None else self._sampled + more
        self.held = False
        self.go_on.set()

    def hold(self, more: int) -> None:
        """Be held after so many tokens from now, while nothing is asked."""
        self.go_on.clear()
        self._hold_at = self._sampled + more

    def fail(self, failure: Exception) -> None:
        """Die where it is held."""
        self._failure = failure
        self.let_go(0)

    def interrupt(self) -> None:
        super().interrupt()
        self.let_go()

    def shutdown(self) -> None:
        super().shutdown()
        self.shut = True


def words(text: str) -> list[str]:
    """Text in pieces of about the size of tokens."""
    pieces: list[str] = []
    for line in text.splitlines(keepends=True):
        for word in line.replace(" ", "\0 ").split("\0"):
            pieces += [word[at : at + 6] for at in range(0, len(word), 6)]
    return [piece for piece in pieces if piece]


class Opener:
    """Opens models that recite; the last engine is kept for the test to hold and release."""

    def __init__(
        self,
        thought: str = THOUGHT,
        second: str = "",
        answer: str = ANSWER,
        hold_at: int | None = None,
        failure: PonderError | None = None,
        dialect: Dialect = TAGGED,
        note: str = "",
        n_ctx: int = 4096,
    ) -> None:
        parts = [words(thought), words(second), words(answer)]
        known = sorted({word for part in parts for word in part})
        self.vocab = ByteVocabulary((*TAGS, *known), TEMPLATE)
        ids = {word: 256 + len(TAGS) + at for at, word in enumerate(known)}
        self._parts = [[ids[word] for word in part] for part in parts]
        self._hold_at = hold_at
        self._failure = failure
        self._dialect = dialect
        self._note = note
        self._n_ctx = n_ctx
        self.engine: HeldEngine | None = None
        self.engines: list[HeldEngine] = []
        """All that were opened, the first one first."""
        self.opened: list[str] = []
        """What was to be opened."""
        self.traces: list[int] = []
        """With room for how many traces."""
        self.most_traces = 16
        """There is memory for no more."""
        self.script: Callable[[Sequence[int], int, int], int] | None = None
        """What is recited in place of the texts above."""
        self.refusals: dict[str, PonderError] = {}
        """Why a model cannot be opened, by its name."""
        self.adapters: tuple[AppliedAdapter, ...] = ()
        """What the models go through that are opened from now on."""
        self.finished = 0
        """How often opening has come to an end, whichever."""
        self.gate = threading.Event()
        """Loading takes until it is set."""
        self.gate.set()

    def __call__(self, name: str, tell: Callable[[float], None], traces: int = 1) -> Assembled:
        self.opened.append(name)
        self.traces.append(traces)
        try:
            tell(0.5)
            self.gate.wait(GUARD)
            tell(1.0)
            if name in self.refusals:
                raise self.refusals[name]
            if traces > self.most_traces:
                raise InputError(f"{traces} traces take too much memory.", "At most so many fit.")
            return self._assembled(name, traces)
        finally:
            self.finished += 1

    def _assembled(self, name: str, traces: int) -> Assembled:
        end = self.vocab.encode("</think>", special=True)[0]
        thought, second, answer = self._parts
        first = transcript(thought, end, [*answer, 257])
        again = transcript(second, end, [*answer, 257])
        wait = self.vocab.encode("Wait", special=False)

        def script(tokens: Sequence[int], prompt: int, seed: int) -> int:
            said = list(tokens[prompt:])
            for at in range(len(said) - len(wait), -1, -1):
                if second and said[at : at + len(wait)] == wait:
                    return again(tokens, prompt + at + len(wait), seed)
            return first(tokens, prompt, seed)

        engine = HeldEngine(
            self.vocab, self.script or script, self._hold_at, self._failure, self._n_ctx, traces
        )
        self.engine = engine
        self.engines.append(engine)
        # A clock that goes on by itself: five milliseconds each time it is looked at.
        ticks = count()
        runner = Runner(engine, resolve(self._dialect, self.vocab), lambda: next(ticks) * 0.005)
        chat = ChatTemplate(TEMPLATE, self.vocab)
        session = Session(runner, chat, trim=True, adapters=self.adapters)
        return Assembled(session, engine, name, self._note, Sampling())


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


async def until(pilot: Pilot[int], done: Callable[[], bool]) -> None:
    """Wait for something that another thread brings about."""
    for _ in range(int(GUARD / 0.01)):
        await pilot.pause(0.01)
        if done():
            await pilot.pause()
            return
    raise AssertionError("it does not come")


async def typed(pilot: Pilot[int], text: str) -> None:
    """Type a text, as a keyboard would."""
    for character in text:
        await pilot.press(character)


def staged(
    opener: Opener,
    wish: Wish | None = None,
    conversation: int | None = None,
    clock: Callable[[], float] | None = None,
    model: str = "r1-7b",
    tui: TuiSettings | None = None,
    budget: BudgetSettings | None = None,
) -> PonderApp:
    """The app as its users have it, but for the engine and the clocks."""
    settings = Settings(model=model, tui=tui or TuiSettings(), budget=budget or BudgetSettings())
    return PonderApp(
        settings,
        opener,
        wish or Wish(tokens=512),
        conversation,
        clock or Clock(),
        now=lambda: NOON,
        seed=lambda: 7,
    )
