"""What every part of the chat screen stands on: whose conversation it is, and who may be asked.

The screen is one, its parts are several: levers of a question that runs, ways of looking at what
was said, choices of budget, model and conversation. Each is a module beside this one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

from textual.message import Message
from textual.screen import Screen
from textual.worker import Worker

from ponder.errors import PonderError
from ponder.history.records import Vote
from ponder.printable import safe
from ponder.thinking.effort import Wish
from ponder.thinking.stopping import OFF
from ponder.tui.dialogue import Asked, Dialogue
from ponder.types import Budget, Trace

if TYPE_CHECKING:
    from ponder.tui.app import PonderApp


class ChatBase(Screen[None]):
    """State that the parts share.

    Args:
        dialogue: the conversation.
        wish: the budget to begin with.
        vote: of how many traces to ask at first.
    """

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

    def __init__(self, dialogue: Dialogue, wish: Wish, vote: Vote) -> None:
        super().__init__()
        self.dialogue = dialogue
        self.wish = wish
        self.vote = vote
        """How many traces the next question is asked of, and how they vote."""
        self.stop = OFF
        """The rule by which thoughts may end early."""
        self.queued = ""
        """What the composer holds, where it is to be asked as soon as that is possible."""
        self.instead_of: int | None = None
        """The place on the path where what the composer holds is to be asked; None: at its end."""
        self.following: Worker[None] | None = None
        """Shows the question that was asked last, to its end."""
        self._levers = False
        """Whether the footer shows the keys that change a thinking."""

    @property
    def ponder(self) -> PonderApp:
        """The app, by its own type."""
        return cast("PonderApp", self.app)

    @property
    def awaited(self) -> str:
        """What comes before the next question; empty if it can be asked at once."""
        if self.ponder.loading_model:
            return "the model has loaded"
        if self.ponder.opening:
            return "the conversation is there"
        return "this is answered" if self.dialogue.running is not None else ""

    def put(self, question: str, at: int | None = None) -> bool:
        """Ask; false if that was not possible, and the user was told why.

        `at` is the place on the path where it is asked; None: at its end.
        """
        raise NotImplementedError

    def begin(self, asked: Asked, at: int | None = None) -> None:
        """Show a question that was asked, in the place of the turns from `at` on."""
        raise NotImplementedError

    def idle(self, purpose: str) -> bool:
        """Whether no question runs; where one does, it is said what to do first."""
        if self.dialogue.running is not None:
            self.notify(f"Stop the question first (esc), then {purpose}.", markup=False)
            return False
        return True

    def wanted(self) -> Budget:
        """The budget of the next question.

        Raises:
            BudgetError: it cannot be had.
        """
        assembled = self.dialogue.assembled
        base = replace(self.ponder.settings.budget.base(), stop=self.stop)
        n_ctx = assembled.engine.n_ctx if assembled else 0
        return self.wish.budget(base, n_ctx, self.dialogue.lengths)

    @property
    def warning(self) -> str:
        """What is to be known of the next question before it is asked; empty for nothing."""
        raise NotImplementedError

    @property
    def preset_name(self) -> str:
        """The preset that was taken, and whether it still holds."""
        raise NotImplementedError

    def show_budget(self) -> None:
        """Around the composer: what is asked, and with which budget."""
        raise NotImplementedError

    def tell(self, error: PonderError) -> None:
        """Say what went wrong, and what to do."""
        self.notify(
            safe(error.hint or error.message),
            title=safe(error.message) if error.hint else "",
            severity="error",
            markup=False,
            timeout=12,
        )
        self.post_message(self.Failed(error))
