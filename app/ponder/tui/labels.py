"""One line about a trace, as wide as the room for it. Knows words and widths, no widget."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from rich.cells import cell_len

from ponder.receipt import duration, used
from ponder.types import Finish

BAR = 12
"""Cells of the budget bar."""


class Phase(StrEnum):
    """How far a question has come."""

    WAITING = "waiting"
    """It is not its turn yet."""
    READING = "reading the prompt"
    THINKING = "thinking"
    ANSWERING = "answering"
    OVER = "over"
    """Finished, cancelled or failed."""


@dataclass(slots=True)
class Standing:
    """What is known of a trace at one moment; all counts in tokens, times in seconds."""

    phase: Phase = Phase.WAITING
    think: int = 0
    budget: int | None = None
    waits: int = 0
    """"Wait"s that were asked for and have not come yet."""
    held: bool = False
    """Whether somebody has it stand still."""
    finish: Finish | None = None
    read: int = 0
    prompt: int = 0
    seconds: float = 0.0
    """Spent thinking so far."""
    rate: float = 0.0
    """Tokens a second; 0 where it is not known."""
    unfinished: bool = False
    """Whether the process that asked ended in the middle."""


def heading(standing: Standing, width: int) -> str:
    """What stands above a trace: the parts that matter least give way first."""
    parts = _running(standing) if standing.finish is None else _over(standing)
    if standing.unfinished:
        parts = [("thinking", 9), (f"{standing.think:,} tokens", 6), ("unfinished", 8)]
        parts = [part for part in parts if standing.think or part[1] != 6]
    return fitting(parts, width)


def fitting(parts: list[tuple[str, int]], width: int) -> str:
    """Parts of a line, each with its weight, without those for which there is no room."""
    kept = list(parts)
    while len(kept) > 1 and cell_len("  ".join(text for text, _ in kept)) > width:
        kept.remove(min(kept, key=lambda part: part[1]))
    return "  ".join(text for text, _ in kept)


def _running(standing: Standing) -> list[tuple[str, int]]:
    """Parts of the line while it thinks, each with its weight."""
    if standing.held:
        return [("paused", 9), (used(standing.think, standing.budget), 8)]
    if standing.phase is Phase.WAITING:
        return [("waiting for its turn", 9)]
    if standing.phase is Phase.READING:
        return [("reading the prompt", 9), (f"{standing.read:,}/{standing.prompt:,} tokens", 8)]
    parts = [("thinking", 9), (used(standing.think, standing.budget), 8)]
    parts.append((duration(standing.seconds), 6))
    if standing.rate:
        parts.append((f"{standing.rate:,.0f} tok/s", 5))
    if standing.waits:
        parts.append((f"Wait ×{standing.waits}", 7))
    return parts


def _over(standing: Standing) -> list[tuple[str, int]]:
    finish = standing.finish or Finish.NONE
    if finish is Finish.NONE:
        return [("this model does not think", 9)]
    if finish is Finish.OFF:
        return [("no thinking", 9), (finish.value, 8)]
    parts = [("paused", 9)] if standing.held else []
    parts += [("thought", 9), (f"{used(standing.think, standing.budget)} tokens", 6)]
    if standing.seconds:
        parts.append((f"in {duration(standing.seconds)}", 5))
    return [*parts, (finish.value, 8)]


def bar(fraction: float, cells: int = BAR) -> str:
    """How much of the budget is spent."""
    full = round(min(1.0, max(0.0, fraction)) * cells)
    return "━" * full + "╌" * (cells - full)
