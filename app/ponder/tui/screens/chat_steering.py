"""Another way from here: a thought edited and gone on with, a question asked again or otherwise,
and the branches that come of it. Knows the conversation's path and the screens that ask."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Literal, TypeVar

from textual import work
from textual.worker import WorkerError

from ponder import paths
from ponder.errors import InputError, PonderError
from ponder.history.store import History
from ponder.passages import passages
from ponder.tui import pump
from ponder.tui.screens.branches import BranchScreen
from ponder.tui.screens.chat_base import ChatBase
from ponder.tui.screens.edit import Edited, EditScreen
from ponder.tui.widgets.composer import Composer
from ponder.tui.widgets.conversation import Conversation
from ponder.tui.widgets.trace import TraceHeading, TraceView
from ponder.tui.widgets.turn import TurnView
from ponder.types import Author, Channel, Span

T = TypeVar("T")

FLUSH = 2.0
"""Seconds that what is on its way into the history has, before its branches are read there."""


class Steering(ChatBase):
    """Keys that branch."""

    @property
    def _turn(self) -> int:
        """The place on the path of the turn that has the focus, or of the last one; -1: none."""
        turns = self.query_one(Conversation).turns
        for node in self.focused.ancestors if self.focused else []:
            if isinstance(node, TurnView) and node in turns:
                return turns.index(node)
        return len(turns) - 1

    @property
    def _fork(self) -> int:
        """The place of the turn that is looked at, or of the last one before it that has
        others beside it; -1: none has."""
        said = self.dialogue.path.turns[: self._turn + 1]
        return max((at for at, turn in enumerate(said) if turn.of > 1), default=-1)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that would do nothing are not shown."""
        if not self.is_mounted:
            return True
        if action == "edit":
            ancestors = self.focused.ancestors_with_self if self.focused else []
            inside = any(isinstance(node, TraceView) for node in ancestors)
            return inside and bool(self._thought(self._turn))
        if action in ("again", "ask_otherwise"):
            return self._turn >= 0
        if action == "sibling":
            return self._fork >= 0
        if action == "branches":
            return self.dialogue.conversation is not None and self._turn >= 0
        return super().check_action(action, parameters)

    # -- another branch -------------------------------------------------------------------

    def action_edit(self) -> None:
        """Edit a step of the thought that has the focus, and have it gone on with from there."""
        at = self._turn
        if steps := passages(self._thought(at)):
            texts = [step.text for step in steps]
            here = self.query_one(Conversation).turns[at].trace_view.here
            step = min(here.step if here is not None else len(texts), len(texts) - 1)
            self._edit(at, "".join(texts[:step]), texts[step])

    def _thought(self, at: int) -> Sequence[Span]:
        """What was thought at a place, as far as it can be gone on with: without what closed it."""
        view = self.query_one(Conversation).turns[at] if at >= 0 else None
        running = self.dialogue.running
        if view is None:
            return ()
        if running is not None and running.slot is view.slot:
            spans = running.spans
        else:
            spans = list(view.trace.spans) if view.trace is not None else []
        thought = [span for span in spans if span.channel is Channel.THOUGHT]
        while thought and thought[-1].author in (Author.CLOSING, Author.PONDER):
            thought.pop()
        return thought

    @work(group="dialog", exclusive=True)
    async def _edit(self, at: int, before: str, step: str) -> None:
        view = self.query_one(Conversation).turns[at]
        more = self.ponder.settings.tui.extend
        budget = self.dialogue.path.turns[at].budget
        note = "What follows it is thought anew, in a branch of its own; this one is kept."
        screen = EditScreen(step.rstrip("\n"), note, more if budget.cap is not None else 0)
        match await self.app.push_screen_wait(screen):
            case Edited(text, wants_more):
                pass
            case _:
                return
        if text == step.rstrip("\n"):
            text = step
        await self._stopped()
        if view.trace is None or view not in self.query_one(Conversation).turns:
            return
        try:
            asked = self.dialogue.go_on(at, view.trace, before + text, more if wants_more else 0)
        except PonderError as error:
            self.tell(error)
            return
        self.begin(asked, at)

    def action_again(self) -> None:
        """Ask the same question again, under what is set now, with another seed."""
        self._again(self._turn)

    @work(group="dialog", exclusive=True)
    async def _again(self, at: int) -> None:
        await self._stopped()
        if 0 <= at < len(self.dialogue.path.turns):
            self.put(self.dialogue.path.turns[at].question, at)

    def action_ask_otherwise(self) -> None:
        """Take a question back into the composer, to be asked otherwise in its place."""
        at = self._turn
        composer = self.query_one(Composer)
        composer.give_back(self.dialogue.path.turns[at].question)
        composer.focus()
        self.instead_of = at
        self.show_budget()

    async def _stopped(self) -> None:
        """What runs is stopped, and it is over when this returns."""
        self.queued = ""
        if self.dialogue.running is not None and self.following is not None:
            self.dialogue.running.answering.cancel()
            with suppress(WorkerError):
                await self.following.wait()

    # -- other branches ---------------------------------------------------------------------

    def action_sibling(self, step: Literal[1, -1]) -> None:
        """Show the next, or the one before, of the turns that were asked in one place."""
        at = self._fork
        if not self._may_leave():
            return
        slot = self.dialogue.path.turns[at].slot

        def beside(history: History, conversation: int) -> int | None:
            known = {turn.id: turn.siblings for turn in history.branches(conversation)}
            if slot.id is None or slot.id not in known:
                return None
            siblings = known[slot.id]
            return siblings[(siblings.index(slot.id) + step) % len(siblings)]

        self._go(beside, at)

    @work(group="dialog", exclusive=True)
    async def action_branches(self) -> None:
        """Show the tree of the conversation, and go where somebody chooses."""
        conversation = self.dialogue.conversation
        if conversation is None:
            return
        self.app.clear_notifications()
        try:
            found = await pump.aside(
                lambda: self._read(lambda history: history.branches(conversation)),
                "ponder-branches",
            )
        except PonderError as error:
            self.tell(error)
            return
        chosen = await self.app.push_screen_wait(BranchScreen(found))
        if chosen is not None and self._may_leave():
            depth = next(turn.depth for turn in found if turn.id == chosen)
            self._go(lambda _, __: chosen, depth)

    @work(group="conversation-branch", exclusive=True)
    async def _go(self, wanted: Callable[[History, int], int | None], at: int) -> None:
        """Show the path through a turn, and that turn."""
        conversation = self.dialogue.conversation

        def choose(history: History) -> bool:
            turn = wanted(history, conversation) if conversation is not None else None
            if turn is None:
                return False
            history.choose(turn)
            return True

        try:
            there = await pump.aside(lambda: self._read(choose), "ponder-branches")
        except PonderError as error:
            self.tell(error)
            return
        if not there or conversation is None:
            self.tell(
                InputError(
                    "This branch is not in the history yet.", "Try again when it has been written."
                )
            )
            return
        in_composer = self.focused is self.query_one(Composer)
        await self.ponder.open_conversation(conversation).wait()
        turns = self.query_one(Conversation).turns
        if not in_composer and at < len(turns):
            turns[at].query_one(TraceHeading).focus()

    def _read(self, look: Callable[[History], T]) -> T:
        """Read the history as it is once all that was said is written there."""
        self.dialogue.recorder.flush(FLUSH)
        with History(paths.history_file()) as history:
            return look(history)

    def _may_leave(self) -> bool:
        if self.dialogue.running is not None:
            self.notify("Stop the question first (esc), then go elsewhere.", markup=False)
            return False
        return True
