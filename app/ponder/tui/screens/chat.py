"""The chat: one conversation, its composer, and the levers of a question that runs.

Turns keys into calls of the dialogue, and what the pump brings into calls of widgets. Knows
no thread, no token and no file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal, cast

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.message import Message
from textual.screen import Screen
from textual.widgets import TextArea
from textual.worker import get_current_worker

from ponder.errors import PonderError
from ponder.history.records import Turn
from ponder.printable import safe
from ponder.receipt import duration
from ponder.thinking import effort
from ponder.thinking.effort import Wish
from ponder.thinking.stopping import OFF
from ponder.tui import pump
from ponder.tui.dialogue import Asked, Dialogue, title
from ponder.tui.screens import bindings
from ponder.tui.screens.budget import BudgetScreen, Stop
from ponder.tui.screens.history import HistoryScreen
from ponder.tui.widgets.composer import Composer
from ponder.tui.widgets.conversation import Conversation
from ponder.tui.widgets.keys import KeyLine
from ponder.tui.widgets.status import StatusLine
from ponder.tui.widgets.trace import TraceView
from ponder.tui.widgets.turn import TurnView
from ponder.types import Event, Finished, Trace

if TYPE_CHECKING:
    from ponder.library.local import Entry
    from ponder.tui.app import PonderApp


class ChatScreen(Screen[None]):
    """Where people live.

    Args:
        dialogue: the conversation.
        wish: the budget to begin with.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings.CHAT

    class Began(Message):
        """A question was asked."""

        def __init__(self, question: str) -> None:
            super().__init__()
            self.question = question

    class Ended(Message):
        """A question was answered, or cancelled."""

        def __init__(self, trace: Trace) -> None:
            super().__init__()
            self.trace = trace

    class Failed(Message):
        """A question could not be asked, or its engine died."""

        def __init__(self, error: PonderError) -> None:
            super().__init__()
            self.error = error

    def __init__(self, dialogue: Dialogue, wish: Wish) -> None:
        super().__init__()
        self.dialogue = dialogue
        self.wish = wish
        self.stop = OFF
        """The rule by which thoughts may end early."""
        self._queued = ""
        """What the composer holds, where it is to be asked as soon as that is possible."""
        self._levers = False
        """Whether the footer shows the keys that change a thinking."""

    @property
    def ponder(self) -> PonderApp:
        """The app, by its own type."""
        return cast("PonderApp", self.app)

    def compose(self) -> ComposeResult:
        """From top to bottom."""
        yield StatusLine()
        yield Conversation()
        yield Composer()
        yield KeyLine()

    def on_mount(self) -> None:
        """Ready to write at once; the model may come later."""
        self.stop = self.ponder.settings.budget.stop
        self.query_one(Composer).focus()
        self.show_budget()

    # -- asking -----------------------------------------------------------------------

    @on(Composer.Asked)
    def ask(self, message: Composer.Asked) -> None:
        """Ask what was sent off, or as soon as there is somebody to ask."""
        if self._awaited:
            message.composer.give_back(message.draft)
            self._queued = message.composer.text
            self.show_budget()
        elif not self._ask(message.question):
            message.composer.give_back(message.draft)

    @on(TextArea.Changed)
    def unqueue(self) -> None:
        """What is still being written is not asked."""
        if self._queued and self.query_one(Composer).text != self._queued:
            self._queued = ""
            self.show_budget()

    def ready(self) -> None:
        """Somebody can be asked again."""
        if self._queued and not self._awaited:
            self._queued = ""
            self.query_one(Composer).action_ask()
        self.show_budget()
        self.refresh_bindings()

    @property
    def _awaited(self) -> str:
        """What comes before the next question; empty if it can be asked at once."""
        if self.ponder.loading_model:
            return "the model has loaded"
        if self.ponder.opening:
            return "the conversation is there"
        return "this is answered" if self.dialogue.running is not None else ""

    def _ask(self, question: str) -> bool:
        """Ask; false if that was not possible, and the user was told why."""
        assembled = self.dialogue.assembled
        base = replace(self.ponder.settings.budget.base(), stop=self.stop)
        n_ctx = assembled.engine.n_ctx if assembled else 0
        try:
            budget = self.wish.budget(base, n_ctx, self.dialogue.lengths)
            asked = self.dialogue.ask(question, budget)
        except PonderError as error:
            self._tell(error)
            return False
        status = self.query_one(StatusLine)
        status.title = status.title or title(question)
        self.post_message(self.Began(question))
        self._follow(asked)
        return True

    @work(group="question")
    async def _follow(self, asked: Asked) -> None:
        """Show a question from here to its end."""
        view = TurnView(
            asked.question,
            self.dialogue.assembled.name if self.dialogue.assembled else "",
            self.ponder.settings.tui,
            self.ponder.clock,
            asked.slot,
            floor=self.ponder.settings.budget.floor,
        )
        conversation = self.query_one(Conversation)
        await conversation.add(view)
        self._show_levers()
        ticking = self.set_interval(1.0, view.trace_view.tick)
        try:
            # Written before it is shown: what was seen is not lost, whatever happens.
            written = partial(self.dialogue.record, asked)
            async for events in pump.batches(asked.answering, written):
                await view.apply(events, conversation.following)
                self._heed(events)
        except PonderError as error:
            self.dialogue.failed(asked, error)
            view.fail(error)
            self.post_message(self.Failed(error))
        finally:
            ticking.stop()
            if not get_current_worker().is_cancelled:
                self.ready()

    def _heed(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, Finished):
                usage, assembled = event.trace.usage, self.dialogue.assembled
                if assembled is not None:
                    self.query_one(StatusLine).context = (
                        usage.prompt + usage.answer,
                        assembled.engine.n_ctx,
                    )
                self.post_message(self.Ended(event.trace))
        if self.thinking is not self._levers:
            self._show_levers()

    def _show_levers(self) -> None:
        """In the footer. Only when a key begins or ceases to do something: it is made anew."""
        self._levers = self.thinking
        self.refresh_bindings()

    def _tell(self, error: PonderError) -> None:
        self.notify(
            safe(error.hint or error.message),
            title=safe(error.message) if error.hint else "",
            severity="error",
            markup=False,
            timeout=12,
        )
        self.post_message(self.Failed(error))

    # -- the levers of a question that runs ----------------------------------------------

    @property
    def thinking(self) -> bool:
        """Whether a question runs whose thinking can still be changed."""
        running = self.dialogue.running
        turns = self.query_one(Conversation).turns if running else []
        return bool(turns) and turns[-1].thinking

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that would do nothing are not shown."""
        if not self.is_mounted:
            return True
        if action == "stop":
            return self.dialogue.running is not None or bool(self._queued)
        if action in ("answer_now", "extend", "wait"):
            return self.thinking
        if action in ("fold", "audit"):
            return bool(self.query(TurnView))
        return True

    def action_stop(self) -> None:
        """Stop the question; what it has said so far stays."""
        if self._queued:
            self._queued = ""
            self.show_budget()
        elif self.dialogue.running is not None:
            self.dialogue.running.answering.cancel()

    def action_answer_now(self) -> None:
        """End the thinking."""
        if self.dialogue.running is not None:
            self.dialogue.running.answering.stream.answer_now()

    def action_extend(self) -> None:
        """Grant it more."""
        if self.dialogue.running is not None:
            self.dialogue.running.answering.stream.extend(self.ponder.settings.tui.extend)

    def action_wait(self) -> None:
        """Have it think again before it stops."""
        if self.dialogue.running is not None:
            self.dialogue.running.answering.stream.wait()

    # -- looking ------------------------------------------------------------------------

    @property
    def _looked_at(self) -> TraceView | None:
        """The trace that has the focus, or the last one."""
        ancestors = self.focused.ancestors if self.focused else []
        views = [node for node in ancestors if isinstance(node, TraceView)]
        views += [turn.trace_view for turn in self.query_one(Conversation).turns[-1:]]
        return views[0] if views else None

    def action_fold(self) -> None:
        """Fold or unfold a trace."""
        if (view := self._looked_at) is not None:
            view.toggle()

    def action_audit(self) -> None:
        """Show what was decided on a trace, or hide it."""
        if (view := self._looked_at) is not None:
            view.audit()

    @on(TraceView.Chosen)
    def keep_choice(self, message: TraceView.Chosen) -> None:
        """A trace stays as it was folded, also when the conversation is taken up again."""
        turn = next(node for node in message.view.ancestors if isinstance(node, TurnView))
        self.dialogue.recorder.fold(turn.slot, message.folded)

    def action_scroll(self, pages: int) -> None:
        """By a page, whatever has the focus."""
        conversation = self.query_one(Conversation)
        step = max(1, conversation.size.height - 2)
        conversation.move(pages * step)

    def action_bottom(self) -> None:
        """To the end, and follow it again."""
        self.query_one(Conversation).anchor()

    # -- budget, model, conversation ----------------------------------------------------

    def show_budget(self) -> None:
        """Around the composer: what is asked, and with which budget."""
        composer = self.query_one(Composer)
        floor = self.ponder.settings.budget.floor
        budget = f"budget: {self.wish.label}" + (f", at least {floor:,}" if floor else "")
        within = self.ponder.settings.budget.within
        if within is not None:
            budget += f", within {duration(within)}"
        if self.stop != OFF:
            budget += f", stop {self.stop}"
        composer.border_title = budget
        if self._queued:
            composer.border_subtitle = f"asked when {self._awaited} · esc takes it back"
        else:
            composer.border_subtitle = "enter asks · ctrl+j new line"

    @work(group="dialog", exclusive=True)
    async def action_budget(self) -> None:
        """Ask for a budget."""
        self.app.clear_notifications()
        meant = effort.efforts(self.dialogue.lengths)
        match await self.app.push_screen_wait(BudgetScreen(self.wish, meant, self.stop)):
            case Wish() as wish:
                self.wish = wish
            case Stop(rule):
                self.stop = rule
        self.show_budget()

    def action_effort(self, step: Literal[1, -1]) -> None:
        """One effort up or down."""
        self.wish = effort.steps(self.wish, step, self.dialogue.lengths)
        self.show_budget()

    @work(group="dialog", exclusive=True)
    async def action_model(self) -> None:
        """Ask for a model, and load it."""
        self.app.clear_notifications()
        current = self.dialogue.assembled.name if self.dialogue.assembled else ""
        asked_for = self.ponder.model

        def look() -> list[Entry]:
            # Imported late: it brings the library, which the first paint does not need.
            from ponder.tui.screens.models import listed

            return listed(current, asked_for)

        found = await pump.aside(look, "ponder-models")
        from ponder.tui.screens.models import ModelScreen

        name = await self.app.push_screen_wait(ModelScreen(found, current, look))
        if name is None or name == current:
            return
        if self.dialogue.running is not None:
            self.notify("Stop the question first (esc), then change the model.", markup=False)
            return
        self.ponder.load_model(name)

    def action_new(self) -> None:
        """Leave this conversation for a new one."""
        if not self._idle("begin a new conversation"):
            return
        self.dialogue.renew()
        self._show_conversation("", [])

    @work(group="dialog", exclusive=True)
    async def action_history(self) -> None:
        """Ask for an earlier conversation, and take it up."""
        self.app.clear_notifications()
        chosen = await self.app.push_screen_wait(HistoryScreen())
        if chosen is not None and self._idle("open another conversation"):
            self.ponder.open_conversation(chosen)

    def _idle(self, purpose: str) -> bool:
        if self.dialogue.running is not None:
            self.notify(f"Stop the question first (esc), then {purpose}.", markup=False)
            return False
        return True

    @work(group="conversation", exclusive=True)
    async def _show_conversation(self, name: str, turns: Sequence[Turn]) -> None:
        status = self.query_one(StatusLine)
        status.title = name
        status.context = (0, 0)
        views = [
            TurnView(
                turn.question,
                turn.model,
                self.ponder.settings.tui,
                self.ponder.clock,
                self.dialogue.recorder.existing_turn(turn.id),
                turn.folded,
            )
            for turn in turns
        ]
        await self.query_one(Conversation).restore(views, turns)
        self.refresh_bindings()

    async def show(self, name: str, turns: Sequence[Turn]) -> None:
        """Show a conversation of the past."""
        await self._show_conversation(name, turns).wait()
