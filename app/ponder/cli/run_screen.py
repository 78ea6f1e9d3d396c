"""What a run looks like: a table that lives on a terminal, a line for each result elsewhere.

stderr alone; model output is untrusted, and so are the ids in somebody's file.
"""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich import box
from rich.console import Group
from rich.live import Live
from rich.table import Table as Grid
from rich.text import Text

from ponder.cli.terminal import Screen
from ponder.printable import safe
from ponder.receipt import duration, used

if TYPE_CHECKING:
    from ponder.batch.questions import Question
    from ponder.batch.results import Result
    from ponder.batch.running import Progress, Run, Standing

_EVERY = 0.2
"""Seconds between two pictures."""
_RECKONED = 1.0
"""Seconds between two estimates of the time that is left."""
_ID = 32
"""Characters of an id that are shown."""


class Lines:
    """A line for each result.

    Args:
        run: what runs.
        quiet: no line at all.
    """

    def __init__(self, run: Run, quiet: bool = False) -> None:
        self._run = run
        self._quiet = quiet
        self._screen = Screen(stderr=True, highlight=False, soft_wrap=True)

    def note(self, text: str) -> None:
        """A line of narration."""
        if not self._quiet:
            self._screen.print(Text(safe(text), style="cyan"))

    def finished(self, question: Question, result: Result) -> None:
        """A question is over."""
        if not self._quiet:
            progress = self._run.progress
            self._screen.print(Text(f"{progress.done}/{progress.of} {_said(question, result)}"))

    def refresh(self, progress: Progress) -> None:
        """Something may have happened."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        return


class Table(Lines):
    """What runs, in a table that is painted anew; results scroll by above it."""

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self._live = Live(console=self._screen, auto_refresh=False, transient=True)
        self._painted = 0.0
        self._reckoned = 0.0
        self._left: float | None = None

    @staticmethod
    def where_it_can_be_seen(run: Run) -> Lines:
        """A table on a terminal, lines elsewhere."""
        return Table(run) if Screen(stderr=True).is_terminal else Lines(run)

    def refresh(self, progress: Progress) -> None:
        """Paint, if it is time."""
        now = time.monotonic()
        if now - self._painted < _EVERY:
            return
        self._painted = now
        if now - self._reckoned >= _RECKONED:
            self._reckoned, self._left = now, self._run.seconds_left()
        self._live.update(painted(progress, self._left), refresh=True)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._live.__exit__(kind, error, traceback)


def painted(progress: Progress, left: float | None) -> Group:
    """The table and the totals.

    Args:
        progress: how far it is.
        left: seconds that it may still take; None: nobody knows.
    """
    grid = Grid(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 2, 0, 0))
    grid.add_column("question", overflow="ellipsis", no_wrap=True, max_width=_ID)
    grid.add_column("thinking", justify="right")
    if progress.pool is not None:
        grid.add_column("of the pool", justify="right")
    grid.add_column("state")
    for standing in progress.running.values():
        grid.add_row(*_row(standing, progress.pool))
    return Group(grid, Text(_totals(progress, left)))


def _row(standing: Standing, pool: int | None) -> list[Text]:
    style = "dim" if standing.state == "paused" else ""
    cells = [safe(standing.question.id), used(standing.think, standing.dealt or None)]
    if pool is not None:
        cells.append(f"{standing.dealt / pool:.1%}" if pool else "")
    return [Text(cell, style=style) for cell in (*cells, standing.state)]


def _totals(progress: Progress, left: float | None) -> str:
    parts = [f"{progress.done:,} of {progress.of:,} done", f"{progress.waiting:,} waiting"]
    if progress.keyed:
        parts.append(f"{progress.right:,} of {progress.keyed:,} right")
    if progress.refused:
        parts.append(f"{progress.refused:,} refused")
    parts.append(f"{used(progress.think, progress.pool)} thinking tokens")
    if left is not None:
        parts.append(f"some {duration(left)} left")
    return " · ".join(parts)


def _said(question: Question, result: Result) -> str:
    """One result in one line."""
    if result.refused is not None:
        return safe(f"{question.id}: refused: {result.refused}")
    verdict = {True: "right", False: f"wrong, {question.key} is right", None: ""}[result.right]
    words = " ".join((result.answer or "").split())
    shown = words if len(words) <= 60 else f"{words[:59]}…"
    parts = [shown, verdict, f"thinking {result.think:,}", f"{result.finish}"]
    return safe(f"{question.id}: {' · '.join(part for part in parts if part)}")
