"""`ponder chat --plain`: the same conversation without a screen, by lines typed and lines said.

For screen readers, dumb terminals and pipes. What has a key in the chat is a command here, typed
while it thinks or before. Knows the dialogue and its levers; imports no Textual.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from types import FrameType
from typing import TYPE_CHECKING

from ponder import paths
from ponder.cli.speaking import Voice, batches
from ponder.errors import InputError, PonderError, UnknownName
from ponder.events import Finished
from ponder.explaining import account, trail
from ponder.history.export import one_line, when
from ponder.history.store import History
from ponder.receipt import duration
from ponder.settings import Settings
from ponder.thinking import effort, stopping
from ponder.thinking.effort import Wish
from ponder.tui.dialogue import Asked, Dialogue

if TYPE_CHECKING:
    from ponder.assembly import Assembled
    from ponder.types import Trace

Opener = Callable[[str], "Assembled"]
"""name or path of a model -> a session with it."""

COMMANDS = {
    "answer": "answer now: the thinking ends",
    "more": "grant more thinking tokens: /more, /more 2k",
    "wait": 'when it wants to stop thinking, it is told "Wait" instead',
    "stop": "stop it; what was said so far stays. ctrl+c does the same",
    "budget": "how long it may think: /budget 2k, 30s, medium, off; alone: what it is",
    "rule": "by which rule it may end early: /rule converged, off; alone: what it is",
    "thinking": "whether thinking is read out: /thinking on, off",
    "model": "another model: /model r1-7b; alone: which there are",
    "why": "what was decided on the last thinking, and where its tokens went",
    "new": "begin a new conversation",
    "history": "earlier conversations: /history, /history WORDS",
    "open": "take up an earlier conversation: /open 12",
    "help": "these commands",
    "quit": "leave. ctrl+d does the same",
}
LEVERS = ("answer", "more", "wait", "stop", "thinking", "help", "budget", "rule")
"""Commands that do not wait for a question that runs."""
SHOWN = 10
"""Conversations of the history that are listed."""


class Plain:
    """A chat by lines.

    Args:
        settings: as read from config.toml.
        dialogue: the conversation.
        opener: opens a model.
        wish: the budget to begin with.
        voice: says things.
        typed: whether a person types, and not a pipe.
    """

    def __init__(
        self,
        settings: Settings,
        dialogue: Dialogue,
        opener: Opener,
        wish: Wish,
        voice: Voice,
        typed: bool,
    ) -> None:
        self._settings = settings
        self._dialogue = dialogue
        self._opener = opener
        self._wish = wish
        self._early = settings.budget.stop
        self._voice = voice
        self._typed = typed
        self._model_name = ""
        self._last: Trace | None = None
        self._waiting: deque[str] = deque()
        """Questions that were typed while another one ran."""
        self._follower: threading.Thread | None = None

    def run(self, read: Callable[[], str], conversation: int | None = None) -> None:
        """Talk until there are no more lines, or somebody leaves.

        Args:
            read: the next line; EOFError where there is none.
            conversation: one to take up.
        """
        self._load(self._settings.model)
        if conversation is not None:
            self._guarded(lambda: self._open(str(conversation)))
        self._voice.say(f"budget: {self._wish.label}. /help lists the commands.")
        self._voice.say("question:")
        while True:
            try:
                line = read()
                # A line that ends so goes on in the next one.
                while line.endswith("\\"):
                    line = f"{line[:-1]}\n{read()}"
            except EOFError:
                self._join()
                return
            except KeyboardInterrupt:
                self._interrupted()
                continue
            try:
                if self._handle(line.strip()):
                    return
            except KeyboardInterrupt:
                self._interrupted()

    def leave(self) -> None:
        """Stop what runs, and wait until all is said."""
        self._waiting.clear()
        self._cancel()
        self._join()

    # -- lines --------------------------------------------------------------------------

    def _handle(self, line: str) -> bool:
        """Do what a line says; true if that is to leave."""
        if not line:
            return False
        if not line.startswith("/") or line.startswith("//"):
            self._question(line.removeprefix("/"))
            return False
        name, _, rest = line[1:].partition(" ")
        if name == "quit":
            if not self._typed:
                self._join()
            return True

        def act() -> None:
            if name not in COMMANDS:
                told = UnknownName("command", f"/{name}", [f"/{known}" for known in COMMANDS])
                raise InputError(told.message, f"{told.hint} A question begins with //.")
            if name not in LEVERS:
                self._settled()
            getattr(self, f"_{name}")(rest.strip())

        self._guarded(act)
        if self._dialogue.running is None and name not in ("answer", "more", "wait", "stop"):
            self._voice.say("question:")
        return False

    def _guarded(self, act: Callable[[], None]) -> bool:
        try:
            act()
        except PonderError as error:
            self._voice.tell(error)
            return False
        return True

    def _question(self, text: str) -> None:
        if not self._typed:
            self._join()
        if self._dialogue.running is not None:
            self._waiting.append(text)
            self._voice.say("asked when this is answered")
            return
        if not self._guarded(lambda: self._ask(text)):
            self._voice.say("question:")

    def _interrupted(self) -> None:
        """ctrl+c: what runs is stopped; where nothing does, it is told how to leave."""
        if self._dialogue.running is not None:
            self._waiting.clear()
            self._cancel()
        else:
            self._voice.say("nothing runs. /quit leaves")

    # -- asking -------------------------------------------------------------------------

    def _ask(self, text: str) -> None:
        assembled = self._dialogue.assembled
        if assembled is None:
            raise InputError("No model is loaded.", "Choose one: /model NAME")
        base = replace(self._settings.budget.base(), stop=self._early)
        budget = self._wish.budget(base, assembled.engine.n_ctx, self._dialogue.lengths)
        asked = self._dialogue.ask(text, budget)
        self._follower = threading.Thread(target=self._follow, args=(asked,), name="ponder-plain")
        self._follower.start()

    def _follow(self, asked: Asked) -> None:
        """Say what happens to a question, to its end, and ask the next one."""
        # Imported late: it was loaded with the model.
        from ponder.session import Answering

        assert isinstance(asked.answering, Answering)  # nothing here asks several traces
        try:
            for events in batches(asked.answering):
                # Written before it is said: what was heard is not lost, whatever happens.
                self._dialogue.record(asked, events)
                for event in events:
                    if isinstance(event, Finished):
                        self._last = event.trace
                self._voice.take(events)
        except PonderError as error:
            self._dialogue.failed(asked, error)
            self._voice.tell(error)
        except OSError:  # nobody listens any more; what comes is written down all the same
            self._waiting.clear()
            return
        if self._waiting:
            text = self._waiting.popleft()
            self._voice.say(f"question: {one_line(text)}")
            if self._guarded(lambda: self._ask(text)):
                return
        self._voice.say("question:")

    def _cancel(self) -> None:
        if self._dialogue.running is not None:
            self._dialogue.running.answering.cancel()

    def _join(self) -> None:
        """Wait until everything is answered; ctrl+c stops what is not."""
        while (follower := self._follower) is not None and follower.is_alive():
            try:
                follower.join()
            except KeyboardInterrupt:
                self._interrupted()

    def _settled(self) -> None:
        """What changes the conversation does not do so in the middle of a question."""
        if not self._typed:
            self._join()
        if self._dialogue.running is not None:
            raise InputError("A question runs.", "Wait for its end, or stop it: /stop")

    # -- commands -----------------------------------------------------------------------

    def _running(self) -> Asked:
        if self._dialogue.running is None:
            raise InputError("Nothing is being thought about.", "Ask something first.")
        return self._dialogue.running

    def _answer(self, _: str) -> None:
        self._running().answering.stream.answer_now()

    def _more(self, rest: str) -> None:
        tokens = effort.parse(rest).tokens if rest else self._settings.tui.extend
        if tokens is None:
            raise InputError(f"{rest!r} is no number of tokens.", "For example: /more 512")
        self._running().answering.stream.extend(tokens)

    def _wait(self, _: str) -> None:
        self._running().answering.stream.wait()

    def _stop(self, _: str) -> None:
        self._running()
        self._interrupted()

    def _budget(self, rest: str) -> None:
        if rest:
            self._wish = effort.parse(rest)
        floor, within = self._settings.budget.floor, self._settings.budget.within
        more = (f", at least {floor:,} tokens" if floor else "") + (
            f", within {duration(within)}" if within else ""
        )
        self._voice.say(f"budget: {self._wish.label}{more}")

    def _rule(self, rest: str) -> None:
        if rest:
            stopping.parse(rest)
            self._early = rest
        self._voice.say(f"stops early by: {self._early}")

    def _thinking(self, rest: str) -> None:
        if rest not in ("", "on", "off"):
            raise InputError(f"{rest!r} is neither on nor off.", "/thinking on, or /thinking off")
        self._voice.thinking = rest == "on" if rest else self._voice.thinking
        self._voice.say(f"thinking is {'read out' if self._voice.thinking else 'not read out'}")

    def _model(self, rest: str) -> None:
        if rest:
            self._load(rest)
            return
        from ponder.catalogue import catalogue
        from ponder.library.local import entries

        here = [entry.name for entry in entries(catalogue()) if entry.path is not None]
        now = self._dialogue.assembled
        self._voice.say(
            f"model: {now.name if now else 'none'}", f"on this machine: {', '.join(here)}"
        )

    def _load(self, name: str) -> None:
        """Take another model; back to the one there was where that is not possible."""
        self._voice.say(f"loading {name}")
        before = self._model_name
        self._dialogue.detach()
        try:
            opened = self._opener(name)
        except PonderError as error:
            self._voice.tell(error)
            if not before or before == name:
                return
            self._voice.say(f"loading {before} again")
            try:
                opened, name = self._opener(before), before
            except PonderError as again:
                self._voice.tell(again)
                return
        self._dialogue.attach(opened)
        self._model_name = name
        self._voice.say(
            opened.about if opened.note or opened.adapters else "",
            opened.warning,
            f"{opened.name} is ready, {opened.engine.n_ctx:,} tokens of context",
            self._dialogue.change(),
        )

    def _why(self, _: str) -> None:
        if self._last is None:
            raise InputError("Nothing was answered here yet.", "Ask something first.")
        decisions = trail(self._last.budget_events, self._last.finish)
        told = (f"{place}: {decision}" for place, decision in decisions)
        self._voice.say(*told, account(self._last.usage))

    def _new(self, _: str) -> None:
        self._dialogue.renew()
        self._voice.say("a new conversation")

    def _history(self, rest: str) -> None:
        self._dialogue.recorder.flush(2.0)
        if not paths.history_file().exists():
            raise InputError("There are no conversations yet.", "Ask something first.")
        with History(paths.history_file()) as history:
            if rest:
                found = {hit.conversation: None for hit in history.search(rest)}
                listed = list(found)[:SHOWN]
            else:
                listed = history.conversations(limit=SHOWN)
        told = [f"{one.id}: {one_line(one.title)}, {when(one.updated)}" for one in listed]
        self._voice.say(*(told or ["nothing was found"]), "/open NUMBER takes one up")

    def _open(self, rest: str) -> None:
        if not rest.isdecimal():
            raise InputError(f"{rest!r} is no conversation's number.", "/history lists them.")
        self._dialogue.recorder.flush(2.0)
        with History(paths.history_file()) as history:
            record, turns = history.conversation(int(rest)), history.turns(int(rest))
        self._dialogue.resume(record.id, turns)
        self._last = turns[-1].trace if turns else None
        self._voice.say(f"conversation {record.id}: {one_line(record.title)}")
        for turn in turns[-1:]:
            answer = turn.trace.answer if turn.trace is not None else "no answer"
            self._voice.say(f"last question: {turn.question}", "answer:", answer)
        self._voice.say(self._dialogue.change())

    def _help(self, _: str) -> None:
        self._voice.say(
            "Type a question and enter; a line that ends with a backslash goes on in the next.",
            *(f"/{name}: {told}" for name, told in COMMANDS.items()),
        )


def talk(settings: Settings, opener: Opener, wish: Wish, conversation: int | None = None) -> bool:
    """Chat by lines, on stdin and stdout; false if not everything could be written down."""
    from ponder.history.recorder import Recorder

    typed = sys.stdin.isatty()
    if typed and sys.stdout.isatty() and os.environ.get("TERM") != "dumb":
        # Lines of any length, that can be edited and called back.
        with suppress(ImportError):
            import readline  # noqa: F401 - imported for what it does to input()
    voice = Voice(
        sys.stdout, settings.tui.thinking != "closed", settings.tui.latex and sys.stdout.isatty()
    )
    recorder = Recorder(
        paths.history_file(), lambda error: voice.tell(error) if error is not None else None
    )
    dialogue = Dialogue(recorder)
    chat = Plain(settings, dialogue, opener, wish, voice, typed)
    with suppress(ValueError, AttributeError):  # not in the main thread; not on this platform
        signal.signal(signal.SIGHUP, _hung_up)
    try:
        chat.run(input, conversation)
    finally:
        chat.leave()
        dialogue.close()
        saved = recorder.close()
    return saved


def _hung_up(_signal: int, _frame: FrameType | None) -> None:
    """The terminal is gone: leave as if somebody had left."""
    raise SystemExit(128 + signal.SIGHUP)
