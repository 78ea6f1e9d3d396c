"""The models screen on the stage: a hub that is held, a model that is marked, what is told."""

from __future__ import annotations

import threading

from textual.widgets import Input

from library.hub_server import Hub
from ponder.tui import jobs
from ponder.tui.screens.models import ModelScreen
from ponder.tui.widgets.work import WorkView
from tui.play import Play, shown
from tui.stage import GUARD


class Gate:
    """Holds a hub's answers in the middle of a file.

    Args:
        hub: which.
        at: bytes that go before.
        only: how the path of the file ends.
    """

    def __init__(self, hub: Hub, at: int, only: str = "") -> None:
        self._open = threading.Event()

        def hold(path: str, sent: int) -> None:
            if sent >= at and path.endswith(only):
                self.wait()

        hub.pieces = hold

    def wait(self) -> None:
        self._open.wait(GUARD)

    @property
    def opened(self) -> bool:
        return self._open.is_set()

    def open(self) -> None:
        self._open.set()


async def marked(play: Play, name: str) -> ModelScreen:
    """Open the list, and mark one of it."""
    await play.press("ctrl+o")
    await play.until(lambda: isinstance(play.app.screen, ModelScreen))
    dialog = play.dialog(ModelScreen)
    dialog.query_one(Input).value = name
    await play.pilot.pause()
    return dialog


def work(play: Play) -> str:
    """What is said of the files' work."""
    return shown(play.dialog(ModelScreen).query_one(WorkView))


async def ended(play: Play, state: jobs.State) -> None:
    await play.until(lambda: play.app.jobs.current is not None and play.app.jobs.current.over)
    assert play.app.jobs.current is not None
    assert play.app.jobs.current.state is state, play.app.jobs.current.error
