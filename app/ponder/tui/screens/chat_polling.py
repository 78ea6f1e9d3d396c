"""Several traces for a question: how many, which of them is looked at, which is dropped.

Knows the vote that is asked for and the turns that show one; changes nothing of what a model does
but by dropping a trace.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from textual import on, work

from ponder.tui.dialogue import Asked
from ponder.tui.screens.chat_base import ChatBase
from ponder.tui.widgets.conversation import Conversation
from ponder.tui.widgets.poll_turn import PollTurn
from ponder.tui.widgets.turn import TurnView

if TYPE_CHECKING:
    from ponder.polling import Polling as Running

STEPS = (1, 2, 4, 8, 16)
"""Traces that one key walks through."""


class Polling(ChatBase):
    """Keys of a vote."""

    def view_of(self, asked: Asked) -> TurnView:
        """A view of a question that has been asked."""
        model = self.dialogue.assembled.name if self.dialogue.assembled else ""
        look = (asked.question, model, self.ponder.settings.tui, self.ponder.clock, asked.slot)
        floor = self.ponder.settings.budget.floor
        said = self.dialogue.path.turns[-1]
        branch = (said.place, said.of)
        if asked.vote is None:
            return TurnView(*look, floor=floor, branch=branch)
        return PollTurn(*look, asked.vote, asked.numbers, floor=floor, branch=branch)

    def needs_room(self) -> bool:
        """Whether the model was loaded with room for fewer traces than are to think now."""
        assembled = self.dialogue.assembled
        return assembled is not None and assembled.engine.n_seqs < self.vote.traces

    def think_alone(self) -> None:
        """So many traces cannot be had: whoever asked for them is to decide anew."""
        self.vote = replace(self.vote, traces=1)
        self.queued = ""
        self.show_budget()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that would do nothing are not shown."""
        if self.is_mounted and action in ("trace", "drop"):
            turn = self._poll
            return turn is not None and (action == "trace" or self._droppable is not None)
        return super().check_action(action, parameters)

    def action_traces(self) -> None:
        """More traces for the next question; after the most, one."""
        more = (step for step in STEPS if step > self.vote.traces)
        self.vote = replace(self.vote, traces=next(more, STEPS[0]))
        self.show_budget()

    @work(group="poll")
    async def action_trace(self, step: int) -> None:
        """Look at another trace of the vote."""
        if (turn := self._poll) is not None:
            await turn.walk(step)

    def action_drop(self) -> None:
        """Drop the trace that is looked at."""
        if (found := self._droppable) is not None:
            running, number = found
            running.drop(number)

    @on(PollTurn.Folded)
    def keep_fold(self, message: PollTurn.Folded) -> None:
        """A trace of a vote stays as it was folded, also when it is taken up again."""
        self.dialogue.recorder.fold(message.slot, message.folded, message.number)

    @property
    def _poll(self) -> PollTurn | None:
        """The vote that has the focus, or the last one."""
        ancestors = self.focused.ancestors if self.focused else []
        found = [node for node in ancestors if isinstance(node, PollTurn)]
        turns = self.query_one(Conversation).turns
        found += [turn for turn in reversed(turns) if isinstance(turn, PollTurn)][:1]
        return found[0] if found else None

    @property
    def _droppable(self) -> tuple[Running, int] | None:
        """The vote that runs and the trace of it that is looked at, while that can be dropped."""
        asked, turn = self.dialogue.running, self._poll
        if asked is None or asked.vote is None or turn is None or turn.droppable is None:
            return None
        # Whoever votes is followed by nothing else.
        from ponder.polling import Polling as Running

        return (asked.answering, turn.droppable) if isinstance(asked.answering, Running) else None
