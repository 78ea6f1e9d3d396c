"""The receipt of a turn of the chat, read back from the history. Changes nothing."""

from __future__ import annotations

from textual import work

from ponder import paths
from ponder.catalogue import catalogue
from ponder.errors import PonderError
from ponder.history.store import History
from ponder.library import hashes
from ponder.particulars import lines
from ponder.tui import pump
from ponder.tui.screens.chat_looking import Looking
from ponder.tui.screens.receipt import ReceiptScreen
from ponder.tui.widgets.conversation import Conversation
from ponder.tui.widgets.turn import TurnView

_FLUSH = 2.0
"""Seconds that what was said may take to be written."""


class Receipts(Looking):
    """A key that shows what a turn came from."""

    @work(group="receipt", exclusive=True)
    async def action_receipt(self) -> None:
        """Show the receipt of the turn that has the focus, or of the last one."""
        turns = self.query_one(Conversation).turns
        ancestors = self.focused.ancestors if self.focused else []
        chosen = next((node for node in ancestors if isinstance(node, TurnView)), None)
        view = chosen or next(iter(turns[-1:]), None)
        if view is None:
            return

        def read() -> list[tuple[str, str]]:
            self.dialogue.recorder.flush(_FLUSH)
            with History(paths.history_file()) as history:
                turn = history.turn(view.slot.id)
            origin = turn.provenance
            if origin is not None:
                origin = origin.with_hashes(hashes.known(origin.files))
            return lines(turn, origin, catalogue().apis)

        try:
            told = await pump.aside(read, "ponder-receipt")
        except PonderError as error:
            self.tell(error)
            return
        self.app.push_screen(ReceiptScreen(told))
