"""The app: themes, keys, the model that is loaded, and the way out.

Put together by the command line and by tests alike. Knows which screens there are and who
opens a model; knows nothing of what happens on them.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.app import App
from textual.binding import Binding, BindingType

from ponder import paths
from ponder.errors import HistoryError, PonderError
from ponder.history.recorder import Recorder
from ponder.history.records import Conversation as Record
from ponder.history.records import Turn
from ponder.history.store import History
from ponder.printable import safe
from ponder.settings import Settings
from ponder.thinking.effort import Wish
from ponder.tui import pump, themes
from ponder.tui.dialogue import Dialogue
from ponder.tui.screens.chat import ChatScreen
from ponder.tui.widgets.conversation import Conversation
from ponder.tui.widgets.status import StatusLine

if TYPE_CHECKING:
    from ponder.assembly import Assembled

Opener = Callable[[str, Callable[[float], None]], "Assembled"]
"""(name or path of a model, told the fraction loaded) -> a session with it."""


class Abandoned(Exception):
    """A model is not wanted any more while it loads."""


class PonderApp(App[int]):
    """The chat, from its first paint to its last.

    Args:
        settings: as read from config.toml.
        opener: opens a model; called on a thread of its own.
        wish: the budget to begin with.
        conversation: one to take up.
        clock: seconds, steady.
        now: the time of day, Unix seconds.
        seed: gives each question its seed.
    """

    TITLE = "ponder"
    CSS_PATH = "app.tcss"
    ENABLE_COMMAND_PALETTE = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f1", "show_help_panel", "Keys", id="keys", tooltip="List every key"),
        Binding("ctrl+q", "quit", "Quit", id="quit", show=False, priority=True),
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
    ) -> None:
        super().__init__()
        self.settings = settings
        self.clock = clock
        self.loading_model = False
        self._opener = opener
        self._first = conversation
        self._leaving = False
        self.model = ""
        """What the model that is loaded was asked for as: a name, or a path."""
        self._recorder_says: Callable[[HistoryError | None], None] = lambda _: None
        self.recorder = Recorder(paths.history_file(), lambda error: self._recorder_says(error))
        self.dialogue = (
            Dialogue(self.recorder, now) if seed is None else Dialogue(self.recorder, now, seed)
        )
        self.chat = ChatScreen(self.dialogue, wish)

    def get_default_screen(self) -> ChatScreen:
        """The chat is what everything else lies on."""
        return self.chat

    def on_mount(self) -> None:
        """Paint first; the model comes after."""
        for theme in themes.OWN:
            self.register_theme(theme)
        wanted = self.settings.tui.theme
        try:
            for theme in themes.of_user(paths.themes_dir()):
                self.register_theme(theme)
            self.theme = themes.checked(wanted, self.available_themes)
        except PonderError as error:
            self.theme = themes.OWN[0].name
            self._warn(error)
        self.set_keymap(self.settings.tui.keys)
        self._recorder_says = pump.Handover(self._history_trouble)
        loop = asyncio.get_running_loop()
        for name in ("SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            # Not on this platform, or not in the main thread: then there is nothing to catch.
            if number is not None:
                with suppress(NotImplementedError, RuntimeError, ValueError):
                    loop.add_signal_handler(number, self._end, 128 + number)
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        if self._first is not None:
            self.open_conversation(self._first)
        self.load_model(self.settings.model)

    def _end(self, code: int) -> None:
        """Somebody wants this process to end: as if it had been quit."""
        self._leaving = True
        self.exit(code, code)

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
                    self._warn(error)
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

        def progress(fraction: float) -> None:
            if self._leaving:
                raise Abandoned
            tell(fraction)

        opened = await pump.aside(lambda: self._opener(name, progress), "ponder-load")
        self.dialogue.attach(opened)
        self.model = name
        about = f"{opened.name}: {opened.note}" if opened.note else ""
        self.chat.query_one(Conversation).note(safe(about))

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

    # -- the history ----------------------------------------------------------------------

    @work(group="history", exclusive=True)
    async def open_conversation(self, number: int) -> None:
        """Take up a conversation of the past."""

        def read() -> tuple[Record, list[Turn]]:
            self.recorder.flush(2.0)
            with History(paths.history_file()) as history:
                return history.conversation(number), history.turns(number)

        try:
            record, turns = await pump.aside(read, "ponder-history")
        except PonderError as error:
            self._warn(error)
            return
        self.dialogue.resume(number, turns)
        self.chat.show(record.title, turns)
        model = self.dialogue.assembled.name if self.dialogue.assembled else ""
        if turns and model and turns[-1].model != model:
            self.notify(
                safe(f"{turns[-1].model} answered last here; {model} will answer next."),
                markup=False,
            )

    def _history_trouble(self, error: HistoryError | None) -> None:
        self.chat.query_one(StatusLine).unsaved = error is not None
        if error is not None:
            self._warn(error)

    def _warn(self, error: PonderError) -> None:
        self.notify(
            safe(error.hint or error.message),
            title=safe(error.message) if error.hint else "",
            severity="warning",
            timeout=15,
            markup=False,
        )

    # -- the way out ------------------------------------------------------------------------

    async def action_quit(self) -> None:
        """Leave; what runs is ended and written down after the screen is gone."""
        self._leaving = True
        self.exit(0)

    def close(self) -> bool:
        """After the last paint: end what runs, write it down. False if that was not possible."""
        self._leaving = True
        self.dialogue.close()
        return self.recorder.close()
