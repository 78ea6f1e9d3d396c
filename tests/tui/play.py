"""A chat on the stage: what a test does with it, and what it sees."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from textual.content import Content
from textual.message import Message
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widget import Widget

from ponder import paths
from ponder.history.records import Turn
from ponder.history.store import History
from ponder.tui.app import PonderApp
from ponder.tui.screens.chat import ChatScreen
from ponder.tui.widgets.composer import Composer
from ponder.tui.widgets.conversation import Conversation
from ponder.tui.widgets.status import StatusLine
from ponder.tui.widgets.trace import TraceHeading
from ponder.tui.widgets.turn import TurnView
from tui.stage import GUARD, QUESTION, HeldEngine, Opener, until

S = TypeVar("S", bound=Screen[Any])


@dataclass
class Play:
    """A chat on the stage, and what a test does with it."""

    app: PonderApp
    pilot: Pilot[int]
    opener: Opener
    told: list[ChatScreen.Began | ChatScreen.Ended | ChatScreen.Failed] = field(
        default_factory=list
    )
    """What the chat said of its questions, in order."""
    saved: bool | None = None
    """Whether all was written down, once the app is closed."""

    @property
    def engine(self) -> HeldEngine:
        """The engine that was opened last."""
        assert self.opener.engine is not None
        return self.opener.engine

    @property
    def asked(self) -> object:
        """The engine that is asked now."""
        assembled = self.app.dialogue.assembled
        return assembled.engine if assembled else None

    @property
    def chat(self) -> ChatScreen:
        return self.app.chat

    @property
    def chatting(self) -> bool:
        """Whether no dialog is open."""
        return self.app.screen is self.chat

    @property
    def turns(self) -> list[TurnView]:
        return self.conversation.turns

    @property
    def turn(self) -> TurnView:
        """The last one."""
        return self.turns[-1]

    @property
    def composer(self) -> Composer:
        return self.chat.query_one(Composer)

    @property
    def conversation(self) -> Conversation:
        return self.chat.query_one(Conversation)

    @property
    def status(self) -> str:
        return shown(self.chat.query_one(StatusLine))

    @property
    def subtitle(self) -> str:
        """What stands below the composer."""
        return str(self.composer.border_subtitle)

    @property
    def history(self) -> Path:
        return paths.history_file()

    @property
    def heading(self) -> str:
        """What stands above the last trace."""
        return shown(self.turn.query_one(TraceHeading))

    @property
    def receipt(self) -> str:
        """What stands below the last answer."""
        return shown(self.turn.query_one(".receipt"))

    @property
    def notices(self) -> list[str]:
        """What was said at the edge of the screen, titles and texts."""
        return [f"{note.title}\n{note.message}".strip() for note in self.app._notifications]

    @property
    def keys(self) -> set[str]:
        """The actions that the footer offers."""
        bindings = self.app.screen.active_bindings.values()
        return {
            active.binding.action
            for active in bindings
            if active.enabled and active.binding.show and active.node is self.chat
        }

    @property
    def prompts(self) -> list[str]:
        """What was asked of all engines, as text."""
        return [prompt for engine in self.opener.engines for prompt in engine.prompts]

    def dialog(self, kind: type[S]) -> S:
        """The dialog that is open."""
        assert isinstance(self.app.screen, kind)
        return self.app.screen

    async def until(self, done: Callable[[], bool]) -> None:
        await until(self.pilot, done)

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    async def loaded(self) -> None:
        """Wait until there is a model, or none to be had."""
        await self.until(lambda: bool(self.opener.opened) and not self.app.loading_model)

    async def send(self, text: str = QUESTION) -> None:
        """Write a question and send it off."""
        self.composer.text = text
        await self.pilot.pause()
        await self.press("enter")

    async def ask(self, text: str = QUESTION) -> None:
        """Ask, and wait for the answer."""
        before = len(self.told)
        await self.send(text)
        await self.until(lambda: len(self.told) >= before + 2)
        await self.idle()

    async def ask_and_hold(self, text: str = QUESTION) -> None:
        """Ask, and wait until the engine is held and all before that is shown."""
        await self.send(text)
        await self.held()

    async def held(self) -> None:
        """Wait until the engine is held and all before that is shown."""

        def done() -> bool:
            running = self.app.dialogue.running
            engine = self.opener.engine
            return (
                running is not None
                and engine is not None
                and engine.held
                and not running.answering.ready()
                and bool(self.turns)
            )

        await self.until(done)

    async def idle(self) -> None:
        """Wait until no question runs."""
        await self.until(lambda: self.app.dialogue.running is None)

    def written(self) -> list[Turn]:
        """What the history holds of the latest conversation."""
        assert self.app.recorder.flush(GUARD)
        with History(paths.history_file()) as history:
            latest = history.latest()
            return history.turns(latest.id) if latest else []


def shown(widget: Widget) -> str:
    """What a widget of text shows, without its colours."""
    rendered = widget.render()
    return rendered.plain if isinstance(rendered, Content) else str(rendered)


def painted(app: PonderApp) -> str:
    """What is on the screen, as text."""
    rows = app.screen._compositor.render_strips()
    return "\n".join(row.text.rstrip() for row in rows)


@asynccontextmanager
async def playing(
    app: PonderApp, opener: Opener, size: tuple[int, int] = (80, 24), wait: bool = True
) -> AsyncIterator[Play]:
    """Run an app, and close it as the command line does."""
    told: list[ChatScreen.Began | ChatScreen.Ended | ChatScreen.Failed] = []

    def hear(message: Message) -> None:
        if (
            isinstance(message, ChatScreen.Began | ChatScreen.Ended | ChatScreen.Failed)
            and message not in told
        ):
            told.append(message)

    play: Play | None = None
    try:
        async with app.run_test(size=size, message_hook=hear) as pilot:
            play = Play(app, pilot, opener, told)
            if wait:
                await play.loaded()
            yield play
    finally:
        opener.gate.set()
        saved = app.close()
        if play is not None:
            play.saved = saved
