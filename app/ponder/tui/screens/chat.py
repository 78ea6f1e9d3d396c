"""The chat: one conversation, its composer, and the levers of a question that runs.

Turns keys into calls of the dialogue, and what the pump brings into calls of widgets. Knows
no thread, no token and no file.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import TextArea
from textual.worker import get_current_worker

from ponder.errors import PonderError
from ponder.events import Finished
from ponder.poll import Polled
from ponder.tui import pump
from ponder.tui.dialogue import Asked, title
from ponder.tui.pump import Told
from ponder.tui.screens import bindings
from ponder.tui.screens.chat_attaching import AttachedLine, Attaching
from ponder.tui.screens.chat_choosing import Choosing
from ponder.tui.screens.chat_levers import Levers
from ponder.tui.screens.chat_polling import Polling
from ponder.tui.screens.chat_receipts import Receipts
from ponder.tui.screens.chat_searching import Searching
from ponder.tui.screens.chat_steering import Steering
from ponder.tui.screens.chat_tuning import TuningKeys
from ponder.tui.widgets.composer import Composer
from ponder.tui.widgets.conversation import Conversation
from ponder.tui.widgets.keys import KeyLine
from ponder.tui.widgets.status import StatusLine
from ponder.types import Trace

if TYPE_CHECKING:
    pass


class ChatScreen(Polling, Steering, Levers, Receipts, Searching, Choosing, TuningKeys, Attaching):
    """Where people live."""

    BINDINGS: ClassVar[list[BindingType]] = bindings.CHAT

    def compose(self) -> ComposeResult:
        """From top to bottom."""
        yield StatusLine()
        yield Conversation()
        yield AttachedLine(markup=False)
        yield Composer()
        yield KeyLine()

    def on_mount(self) -> None:
        """Ready to write at once; the model may come later."""
        self.stop = self.ponder.settings.budget.stop
        self.attached, self._counted = [], {}
        self.query_one(AttachedLine).display = False
        self.query_one(Composer).focus()
        self.show_budget()

    # -- asking -----------------------------------------------------------------------

    @on(Composer.Asked)
    def ask(self, message: Composer.Asked) -> None:
        """Ask what was sent off, or as soon as there is somebody to ask."""
        if self.awaited:
            message.composer.give_back(message.draft)
            self.queued = message.composer.text
            self.show_budget()
        elif self.needs_room():
            # The model is loaded again, with room for so many; then it is asked.
            message.composer.give_back(message.draft)
            self.queued = message.composer.text
            self.ponder.load_model(self.ponder.model)
        elif self.put(self.with_files(message.question), self.instead_of):
            self.instead_of = None
            self.sent_off()
            self.show_budget()
        else:
            message.composer.give_back(message.draft)

    @on(TextArea.Changed)
    def unqueue(self) -> None:
        """What is still being written is not asked."""
        if self.queued and self.query_one(Composer).text != self.queued:
            self.queued = ""
            self.show_budget()

    def ready(self) -> None:
        """Somebody can be asked again."""
        if self.queued and not self.awaited:
            self.queued = ""
            self.query_one(Composer).action_ask()
        self.foretell()
        self.show_budget()
        self.refresh_bindings()

    def put(self, question: str, at: int | None = None) -> bool:
        """Ask; false if that was not possible, and the user was told why."""
        try:
            asked = self.dialogue.ask(question, self.wanted(), at, vote=self.vote)
        except PonderError as error:
            self.tell(error)
            return False
        status = self.query_one(StatusLine)
        status.title = status.title or title(question)
        self.begin(asked, at)
        return True

    def begin(self, asked: Asked, at: int | None = None) -> None:
        """Show a question that was asked, in the place of the turns from `at` on."""
        self.post_message(self.Began(asked.question))
        if at is not None:
            # What had the focus may be among the turns that go.
            self.query_one(Composer).focus()
        self.following = self._follow(asked, at)

    @work(group="question")
    async def _follow(self, asked: Asked, at: int | None) -> None:
        """Show a question from here to its end."""
        view = self.view_of(asked)
        view.attached = self.tokens_of(asked.question)
        conversation = self.query_one(Conversation)
        await conversation.cut(at)
        await conversation.add(view)
        self._show_levers()
        ticking = self.set_interval(1.0, view.tick)
        try:
            # Written before it is shown: what was seen is not lost, whatever happens.
            written = partial(self.dialogue.record, asked)
            interval = pump.INTERVAL if self.ponder.settings.tui.motion else pump.CALM
            async for events in pump.batches(asked.answering, written, interval):
                await view.apply(events, conversation.following)
                self._heed(asked, events)
        except PonderError as error:
            self.dialogue.failed(asked, error)
            view.fail(error)
            self.post_message(self.Failed(error))
        finally:
            ticking.stop()
            if not get_current_worker().is_cancelled:
                self.ready()

    def _heed(self, asked: Asked, events: Sequence[Told]) -> None:
        for event in events:
            match event:
                case Finished(trace=trace) if asked.vote is None:
                    self._over(trace)
                case Finished():
                    self.refresh_bindings()
                case Polled(question=question):
                    self._over(asked.traces[asked.numbers[question]])
        if self.thinking is not self._levers:
            self._show_levers()

    def _over(self, trace: Trace) -> None:
        usage, assembled = trace.usage, self.dialogue.assembled
        if assembled is not None:
            self.query_one(StatusLine).context = (
                usage.prompt + usage.answer,
                assembled.engine.n_ctx,
            )
        self.post_message(self.Ended(trace))

    def _show_levers(self) -> None:
        """In the footer. Only when a key begins or ceases to do something: it is made anew."""
        self._levers = self.thinking
        self.refresh_bindings()
