"""The app: themes, keys, the model that is loaded, and the way out.

Put together by the command line and by tests alike. Knows which screens there are and who
opens a model; knows nothing of what happens on them.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import PurePath
from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.app import SystemCommand
from textual.binding import Binding, BindingType
from textual.events import DescendantFocus
from textual.screen import Screen
from textual.widgets import Input, TextArea

from ponder import hardware, paths
from ponder.errors import EngineError, HistoryError, InputError, PonderError
from ponder.history.recorder import Recorder
from ponder.history.records import Conversation as Record
from ponder.history.records import Turn, Vote
from ponder.history.store import History
from ponder.printable import safe
from ponder.settings import Settings
from ponder.thinking.effort import Wish
from ponder.tui import pump
from ponder.tui.dialogue import Dialogue
from ponder.tui.footprint import Footprint, keep_what_is_there
from ponder.tui.jobs import Job, Jobs, State
from ponder.tui.screens.chat import ChatScreen
from ponder.tui.tuning import Tuning
from ponder.tui.widgets import answer
from ponder.tui.widgets.conversation import Conversation
from ponder.tui.widgets.status import StatusLine
from ponder.tui.widgets.work import brief

if TYPE_CHECKING:
    from ponder.assembly import Assembled
    from ponder.settings.presets import Preset

Opener = Callable[[str, Callable[[float], None], int], "Assembled"]
"""(name or path of a model, told the fraction loaded, traces at once) -> a session with it."""


GRACE = 3.0
"""Seconds that the screen has to go, once this process is told to end."""


class Abandoned(Exception):
    """A model is not wanted any more while it loads."""


class PonderApp(Tuning):
    """The chat, from its first paint to its last.

    Args:
        settings: as read from config.toml.
        opener: opens a model; called on a thread of its own.
        wish: the budget to begin with.
        conversation: one to take up.
        clock: seconds, steady.
        now: the time of day, Unix seconds.
        seed: gives each question its seed.
        origins: where settings come from that are neither defaults nor in config.toml, by key.
        preset: the one among them.
        vote: of how many traces to ask at first; None: as the settings say.
    """

    TITLE = "ponder"
    CSS_PATH: ClassVar[list[str | PurePath]] = ["app.tcss", "settings.tcss", "poll.tcss"]
    ENABLE_COMMAND_PALETTE = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f1", "keys", "Keys", id="keys", tooltip="List every key, or hide the list"),
        Binding("ctrl+q", "quit", "Quit", id="quit", show=False, priority=True, tooltip="Leave"),
    ]

    def __init__(
        self,
        settings: Settings,
        opener: Opener,
        wish: Wish,
        conversation: int | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
        seed: Callable[[], int] | None = None,
        origins: Mapping[str, str] | None = None,
        preset: Preset | None = None,
        vote: Vote | None = None,
    ) -> None:
        super().__init__()
        self.settings = settings
        self.origins = dict(origins or {})
        self.preset = preset.name if preset else ""
        self.preset_values = dict(preset.values) if preset else {}
        self.clock = clock
        self.loading_model = False
        self.opening = False
        """Whether an earlier conversation is on its way."""
        self._opener = opener
        self._first = conversation
        self._leaving = False
        self._left = threading.Event()
        """Set once the screen is gone."""
        self._wanted = object()
        """Stands for the model that was asked for last."""
        self._kept_theme = ""
        self.model = ""
        """What the model that is loaded was asked for as: a name, or a path."""
        self._recorder_says: Callable[[HistoryError | None], None] = lambda _: None
        self.recorder = Recorder(paths.history_file(), lambda error: self._recorder_says(error))
        self.dialogue = (
            Dialogue(self.recorder, now) if seed is None else Dialogue(self.recorder, now, seed)
        )
        self.jobs = Jobs(self._job_changed)
        self.footprint = Footprint()
        vote = vote or Vote(settings.budget.traces, weigh=True)
        self.chat = ChatScreen(self.dialogue, wish, vote)

    def get_default_screen(self) -> ChatScreen:
        """The chat is what everything else lies on."""
        return self.chat

    def on_mount(self) -> None:
        """Paint first; the model comes after."""
        self._begin_themes()
        self._set_motion()
        self._set_keys(self.settings.tui.keys)
        self._recorder_says = pump.Handover(self._history_trouble)
        loop = asyncio.get_running_loop()
        for name in ("SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            # Not on this platform, or not in the main thread: then there is nothing to catch.
            if number is not None:
                with suppress(NotImplementedError, RuntimeError, ValueError):
                    loop.add_signal_handler(number, self._end, 128 + number)
        self.call_after_refresh(self._begin)

    def on_descendant_focus(self, event: DescendantFocus) -> None:
        """Where nothing is to move, no cursor blinks, on whichever screen it is."""
        if not self.settings.tui.motion and isinstance(event.widget, Input | TextArea):
            event.widget.cursor_blink = False

    def _begin(self) -> None:
        if self._first is not None:
            self.open_conversation(self._first)
        self.load_model(self.settings.model)

    def _end(self, code: int) -> None:
        """Somebody wants this process to end: as if it had been quit."""
        self._leaving = True
        self.exit(code, code)
        # A terminal that is gone takes Textual's writer with it, and leaving was then seen to
        # wait for it without end.
        threading.Thread(target=self._leave_anyway, args=(code,), daemon=True).start()

    def _leave_anyway(self, code: int) -> None:
        if not self._left.wait(GRACE):
            self.close()
            os._exit(code)

    # -- the model ----------------------------------------------------------------------

    @work(group="model", exclusive=True)
    async def load_model(self, name: str) -> None:
        """Load a model in place of the one there is; back to that one if it fails."""
        status = self.chat.query_one(StatusLine)
        before = self.dialogue.assembled
        self.loading_model = True
        status.model, status.fraction = safe(name), 0.0
        self.chat.show_budget()
        try:
            if before is not None:
                await pump.aside(self.dialogue.detach, "ponder-unload")
            try:
                await self._open(name)
                self.trouble(None)
            except PonderError as error:
                if before is None:
                    self.trouble(error)
                else:
                    self.warn(error)
                    await self._open(self.model)
        except PonderError as error:
            self.trouble(error)
        except Abandoned:
            return
        finally:
            self.loading_model = False
            status.fraction = -1.0
            status.model = self.dialogue.assembled.name if self.dialogue.assembled else ""
            status.context = (0, 0)
        self.chat.ready()

    async def _open(self, name: str) -> None:
        status = self.chat.query_one(StatusLine)

        def show(fraction: float) -> None:
            status.fraction = fraction

        tell = pump.Handover(show)

        wanted = self._wanted = object()

        def see_that_it_is_wanted() -> None:
            if self._leaving or self._wanted is not wanted:
                raise Abandoned

        def progress(fraction: float) -> None:
            see_that_it_is_wanted()
            tell(fraction)

        traces = self.chat.vote.traces
        refused: list[PonderError] = []

        def open_it() -> Assembled:
            try:
                return self._opener(name, progress, traces)
            except (InputError, EngineError) as error:
                if traces == 1:
                    raise
                opened = self._opener(name, progress, 1)
                refused.append(error)
                return opened

        def load() -> Assembled:
            answer.prepare()
            opened = self.footprint.of(open_it)
            try:
                see_that_it_is_wanted()
            except Abandoned:
                # Nobody waits for it any more, and nobody else would let it go.
                opened.session.runner.close()
                raise
            keep_what_is_there()
            return opened

        opened = await pump.aside(load, "ponder-load")
        self.dialogue.attach(opened)
        self.model = name
        for error in refused:
            self.chat.think_alone()
            self.warn(error)
        about = opened.about if opened.note or opened.adapters else ""
        self.chat.query_one(Conversation).note(safe(about))
        if opened.warning:
            self.notify(safe(opened.warning), severity="warning", markup=False)
        self._tell_change()

    def trouble(self, error: PonderError | None) -> None:
        """Without a model the app stays open, and says what to do."""
        text = ""
        if error is not None:
            text = (
                f"{error.message}\n{error.hint}\n\n"
                "ctrl+o chooses another model. `ponder doctor` in a shell says whether llama.cpp "
                "works on this machine, `ponder models` what could be fetched."
            )
        self.chat.query_one(Conversation).trouble(safe(text))

    # -- files --------------------------------------------------------------------------

    @property
    def quiet(self) -> bool:
        """Whether nothing runs that a measurement would hold up, or that would spoil it."""
        return self.dialogue.running is None and not self.loading_model and not self.jobs.running

    def spared_threads(self) -> int | None:
        """How many threads other work may use: beside a model, one core is left to that where
        there are more than two. None is all."""
        return hardware.decode_threads() if self.dialogue.assembled is not None else None

    def begin(self, job: Job) -> None:
        """Have something done to files, as soon as nothing else is."""
        if self.jobs.add(job):
            self._work_off()
        else:
            self.notify(f"{job.name} is on its way already.", markup=False)

    @work(group="files")
    async def _work_off(self) -> None:
        await self.jobs.work_off()

    def _job_changed(self, job: Job) -> None:
        """Show it at the top; of its end is told who does not look closely, or will see the next
        one in its place."""
        self.chat.query_one(StatusLine).work = brief(self.jobs.current)
        if not job.over or (self.jobs.watchers and not self.jobs.waiting):
            return
        if job.error is not None and job.state is State.FAILED:
            self.warn(job.error)
        elif job.state is State.DONE:
            self.notify(safe(job.outcome.text), markup=False)

    # -- the history ----------------------------------------------------------------------

    @work(group="history", exclusive=True)
    async def open_conversation(self, number: int, turn: int | None = None) -> None:
        """Take up a conversation of the past, on the path through a turn, which is shown."""

        def read() -> tuple[Record, list[Turn]]:
            self.recorder.flush(2.0)
            with History(paths.history_file()) as history:
                return history.conversation(number), history.turns(number, turn)

        # What is asked meanwhile waits: it belongs into the conversation that comes.
        self.opening = True
        try:
            record, turns = await pump.aside(read, "ponder-history")
            self.dialogue.resume(number, turns)
            self.chat.instead_of = None
            await self.chat.show(record.title, turns, turn)
        except PonderError as error:
            self.warn(error)
            return
        finally:
            self.opening = False
            self.chat.ready()
        self._tell_change()

    def _tell_change(self) -> None:
        told = self.dialogue.change()
        if told:
            self.notify(safe(told), markup=False)

    def _history_trouble(self, error: HistoryError | None) -> None:
        self.chat.query_one(StatusLine).unsaved = error is not None
        if error is not None:
            self.warn(error)

    def warn(self, error: PonderError) -> None:
        """Tell of an error that leaves everything as it was."""
        self.notify(
            safe(error.hint or error.message),
            title=safe(error.message) if error.hint else "",
            severity="warning",
            timeout=15,
            markup=False,
        )

    # -- keys ---------------------------------------------------------------------------

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """The palette: everything that has a key, then what Textual brings."""
        if screen is self.chat:
            for binding in self.chat.BINDINGS:
                if isinstance(binding, Binding) and binding.tooltip:
                    run = partial(self.call_later, self.chat.run_action, binding.action)
                    yield SystemCommand(binding.description, binding.tooltip, run)
        yield from super().get_system_commands(screen)

    def action_keys(self) -> None:
        """Show every key beside the screen, or hide them again."""
        # By its name: to import it brings Markdown, which the first paint does not need.
        if self.screen.query("HelpPanel"):
            self.action_hide_help_panel()
        else:
            self.action_show_help_panel()

    # -- the way out ------------------------------------------------------------------------

    async def action_quit(self) -> None:
        """Leave; what runs is ended and written down after the screen is gone."""
        self._leaving = True
        self.exit(0)

    def close(self) -> bool:
        """After the last paint: end what runs, write it down. False if that was not possible."""
        self._leaving = True
        self._left.set()
        self.jobs.close()
        self.dialogue.close()
        return self.recorder.close()
