"""The history, written on a thread of its own, in order; whoever hands something over never waits.

What fails for the moment (locked, disk full) is kept and tried again, about once a second and
when the recorder is closed; text that waits for the same turn is joined. What fails for good
(damaged, a newer ponder's, not writable) is told once, and everything after it is dropped.

A conversation is made with its first question: an empty one leaves nothing. Should another
program delete a conversation that is still written to, it is made again, under a new number,
with the turns that come from then on, the one that streams included: somebody is looking at
it. Knows threads and the store; no screen.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ponder.errors import HistoryError, InputError
from ponder.history.records import Vote
from ponder.history.store import History
from ponder.history.trouble import Passing, Unstorable
from ponder.provenance import Provenance
from ponder.types import Budget, Sampling, Span, Trace

_AGAIN = 1.0
"""Seconds until what failed is tried again."""
_SOON = 0.1
"""The same while closing."""
_PATIENCE = 1.0
"""Seconds that the store waits for others by itself."""

Act = Callable[[History], None]


@dataclass(slots=True, eq=False, kw_only=True)
class Slot:
    """A conversation or a turn that is handed over, and maybe not written yet."""

    id: int | None = None
    """Its number, once it is written. It changes if somebody else deletes what it names."""


@dataclass(slots=True, eq=False, kw_only=True)
class _Chat(Slot):
    title: str = ""
    model: str = ""
    system: str = ""
    at: float = 0.0
    seen: bool = True
    """Whether the fields above are known; those of an existing one are looked up."""


@dataclass(slots=True, eq=False, kw_only=True)
class _Asked(Slot):
    chat: _Chat
    question: str
    model: str
    budget: Budget
    sampling: Sampling
    at: float
    vote: Vote | None = None
    after: Slot | Literal["last"] | None = "last"
    """The turn that it follows."""
    provenance: Provenance | None = None
    over: bool = False
    """Whether its end was handed over."""


@dataclass(slots=True, eq=False)
class _Job:
    act: Act
    adds_to: tuple[Slot, int] | None = None
    """The turn, and the trace of it, whose text may still be joined to this as long as it waits."""


class Recorder:
    """Writes a history. Starts a daemon thread, which sleeps while there is nothing to do.

    Args:
        path: the history; opened when there is something to write.
        on_trouble: called on the recorder's thread: with an error when writing begins to fail,
            once for each kind, and with None when it works again. It must not wait for
            whoever calls `close`.
    """

    def __init__(self, path: Path, on_trouble: Callable[[HistoryError | None], None]) -> None:
        self._path = path
        self._on_trouble = on_trouble
        self._history: History | None = None
        self._told = ""
        """The trouble that was told last; empty while all is well."""
        self._changed = threading.Condition()
        # All below is touched only by who holds the condition.
        self._waiting: deque[_Job] = deque()
        self._texts: dict[tuple[Slot, int], list[Span]] = {}
        self._handed = 0
        self._done = 0
        self._lost = False
        self._dead = False
        self._deadline: float | None = None
        self._thread = threading.Thread(target=self._run, name="ponder-recorder", daemon=True)
        self._thread.start()

    # -- handing over ---------------------------------------------------------------------

    def conversation(self, title: str, model: str, system: str, at: float) -> Slot:
        """A conversation to be; it is written together with its first turn."""
        return _Chat(title=title, model=model, system=system, at=at)

    def existing(self, conversation: int) -> Slot:
        """A conversation of the history, to be added to."""
        return _Chat(id=conversation, seen=False)

    def existing_turn(self, turn: int) -> Slot:
        """A turn of the history, to be folded."""
        return Slot(id=turn)

    def begin(
        self,
        conversation: Slot,
        question: str,
        model: str,
        budget: Budget,
        sampling: Sampling,
        at: float,
        vote: Vote | None = None,
        after: Slot | Literal["last"] | None = "last",
        provenance: Provenance | None = None,
    ) -> Slot:
        """A question is asked; `vote` says of how many traces, where these are several.

        `after` is the turn that it follows; None: it is a first one.
        """
        assert isinstance(conversation, _Chat)
        turn = _Asked(
            chat=conversation,
            question=question,
            model=model,
            budget=budget,
            sampling=sampling,
            at=at,
            vote=vote,
            after=after,
            provenance=provenance,
        )
        self._hand(lambda history: self._write(history, turn, lambda _: None))
        return turn

    def append(self, turn: Slot, spans: Sequence[Span], trace: int = 0) -> None:
        """More of its text has come, or of one of its traces. After its end: nothing."""
        assert isinstance(turn, _Asked)
        said = (turn, trace)
        with self._changed:
            text = self._texts.get(said)
            if text is not None:
                text.extend(spans)
                return
            if turn.over:
                return
            text = self._texts[said] = list(spans)
        self._hand(
            lambda history: self._write(
                history, turn, lambda row: history.append(row, text, trace)
            ),
            adds_to=said,
        )

    def finish_trace(self, turn: Slot, number: int, trace: Trace) -> None:
        """One of its traces is over."""
        assert isinstance(turn, _Asked)
        self._hand(
            lambda history: self._write(
                history, turn, lambda row: history.finish_trace(row, number, trace)
            )
        )

    def count(self, turn: Slot, vote: Vote) -> None:
        """Its traces stand like this."""
        assert isinstance(turn, _Asked)
        turn.vote = vote
        self._hand(lambda history: self._write(history, turn, lambda row: history.count(row, vote)))

    def finish_vote(self, turn: Slot, vote: Vote, traces: Mapping[int, Trace]) -> None:
        """All of its traces are over, and the vote has come out like this."""
        self._end(turn, lambda history, row: history.finish_vote(row, vote, traces))

    def finish(self, turn: Slot, trace: Trace) -> None:
        """It is answered."""
        self._end(turn, lambda history, row: history.finish_turn(row, trace))

    def fail(self, turn: Slot, message: str) -> None:
        """It will not be answered."""
        self._end(turn, lambda history, row: history.fail_turn(row, message))

    def fold(self, turn: Slot, folded: bool, trace: int = 0) -> None:
        """Somebody folded its thinking away, or unfolded it; or that of one of its traces."""

        def act(history: History) -> None:
            if turn.id is not None:
                history.fold(turn.id, folded, trace)

        self._hand(act)

    def choose(self, turn: Slot) -> None:
        """The path that leads through it is the one to be shown."""

        def act(history: History) -> None:
            if turn.id is not None:
                history.choose(turn.id)

        self._hand(act)

    def rename(self, conversation: Slot, title: str) -> None:
        """It is called otherwise."""
        assert isinstance(conversation, _Chat)

        def act(history: History) -> None:
            if conversation.seen:
                conversation.title = title
            if conversation.id is not None:
                history.rename(conversation.id, title)

        self._hand(act)

    def flush(self, timeout: float) -> bool:
        """Wait until what was handed over is written; False if it is not, or something is lost."""
        with self._changed:
            handed = self._handed
            done = self._changed.wait_for(lambda: self._done >= handed, timeout)
            return done and not self._lost

    def close(self, timeout: float = 2.0) -> bool:
        """Write what waits and end the thread; False if something could not be written."""
        with self._changed:
            if self._deadline is None:
                self._deadline = time.monotonic() + timeout
            self._changed.notify_all()
        self._thread.join(timeout)
        with self._changed:
            return not self._thread.is_alive() and not self._lost

    def _end(self, turn: Slot, end: Callable[[History, int], None]) -> None:
        assert isinstance(turn, _Asked)
        turn.over = True
        self._hand(lambda history: self._write(history, turn, lambda row: end(history, row)))

    def _hand(self, act: Act, adds_to: tuple[Slot, int] | None = None) -> None:
        with self._changed:
            if self._deadline is not None:
                self._lost = True
                return
            self._waiting.append(_Job(act, adds_to))
            self._handed += 1
            self._changed.notify_all()

    # -- writing, on the thread -------------------------------------------------------------

    def _run(self) -> None:
        try:
            while (job := self._next()) is not None:
                self._carry_out(job)
                with self._changed:
                    self._done += 1
                    self._changed.notify_all()
        finally:
            if self._history is not None:
                with contextlib.suppress(HistoryError):
                    self._history.close()

    def _next(self) -> _Job | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._deadline is not None)
            if not self._waiting:
                return None
            job = self._waiting.popleft()
            if job.adds_to is not None:
                # From here on its text is being written: what comes now waits for itself.
                self._texts.pop(job.adds_to, None)
            return job

    def _carry_out(self, job: _Job) -> None:
        while not self._dead:
            error = self._attempt(job)
            self._tell(error)
            if error is None:
                return
            if isinstance(error, Passing) and self._may_try_again():
                continue
            with self._changed:
                self._lost = True
                # One text that is too large says nothing about the next.
                self._dead = not isinstance(error, Unstorable)
            return

    def _attempt(self, job: _Job) -> HistoryError | None:
        try:
            if self._history is None:
                self._history = History(self._path, _PATIENCE)
            job.act(self._history)
        except HistoryError as error:
            return error
        except InputError:
            # It was deleted by another program, and is nothing to be made again for.
            return None
        except Exception as error:  # noqa: BLE001 - whatever it is, the next one may be written
            return Unstorable(f"The history cannot hold this: {error!r}.")
        return None

    def _may_try_again(self) -> bool:
        """Wait a while; False when there is no more time."""
        with self._changed:
            self._changed.wait_for(lambda: self._deadline is not None, _AGAIN)
            if self._deadline is None:
                return True
            left = self._deadline - time.monotonic()
            if left > 0:
                self._changed.wait(min(left, _SOON))
            return left > 0

    def _tell(self, error: HistoryError | None) -> None:
        message = error.message if error is not None else ""
        if message != self._told:
            self._told = message
            # Who is told may be on its way out, and that must not end the writing.
            with contextlib.suppress(Exception):
                self._on_trouble(error)

    def _write(self, history: History, turn: _Asked, act: Callable[[int], None]) -> None:
        """Do something to a turn; it is made first if it is not there, or no longer."""
        if turn.id is not None:
            try:
                act(turn.id)
            except InputError:
                turn.id = None
            else:
                return
        with history.together():
            chat = self._chat(history, turn)
            before = turn.after
            row = history.begin_turn(
                chat,
                turn.question,
                turn.model,
                turn.budget,
                turn.sampling,
                turn.at,
                turn.vote,
                # One that could not be written counts as the last.
                (before.id or "last") if isinstance(before, Slot) else before,
                turn.provenance,
            )
            act(row)
        # Only now: a transaction that failed has given numbers to nothing.
        turn.chat.id, turn.id = chat, row

    def _chat(self, history: History, turn: _Asked) -> int:
        """The number of its conversation, which is made if it is not there."""
        chat = turn.chat
        if chat.id is not None:
            try:
                known = history.conversation(chat.id)
            except InputError:
                pass
            else:
                if not chat.seen:
                    chat.title, chat.model, chat.system = known.title, known.model, known.system
                    chat.at, chat.seen = known.created, True
                return chat.id
        if not chat.seen:
            # Deleted before we ever looked: what the turn knows has to do.
            chat.title, chat.model, chat.at, chat.seen = turn.question, turn.model, turn.at, True
        return history.new_conversation(chat.title, chat.model, chat.system, chat.at)
