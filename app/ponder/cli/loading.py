"""A progress bar for a model that takes its time to load; nothing for one that does not."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

_PATIENCE = 1.0
"""Seconds before a bar appears."""


@contextmanager
def progress(silent: bool) -> Iterator[Callable[[float], None]]:
    """Gives the function to tell the loaded fraction to."""
    console = Console(stderr=True)
    if silent or not console.is_terminal:
        yield lambda _fraction: None
        return
    columns = (TextColumn("loading"), BarColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=console, transient=True)
    task = bar.add_task("loading", total=1.0)
    began, shown = time.monotonic(), False

    def tell(fraction: float) -> None:
        nonlocal shown
        if not shown and time.monotonic() - began > _PATIENCE and fraction < 1.0:
            bar.start()
            shown = True
        bar.update(task, completed=fraction)

    try:
        yield tell
    finally:
        if shown:
            bar.stop()
