"""A model in one row, as wide as the room for it, and what else is to be said of it.

Knows entries, advice, words and widths; no widget.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from rich.cells import cell_len, set_cell_size
from textual.content import Content

from ponder.errors import PonderError
from ponder.library import telling
from ponder.library.fit import Advice
from ponder.library.local import Entry
from ponder.printable import safe

_WIDE = 84
"""Cells from which on there is room for where a model is and what its title is."""
_USUAL = 52
"""Cells from which on there is room for its size and its speed."""
_NAME = 22
"""Cells of a name, at most."""


@dataclass(slots=True)
class Advised:
    """What is known of what fits on this machine, so far."""

    advice: dict[str, Advice] = field(default_factory=dict)
    unknown: dict[str, PonderError] = field(default_factory=dict)
    """Why there is no advice, by name."""
    bandwidth: float = 0.0
    """Bytes a second; 0 where it is not known."""

    def cells(self, name: str) -> tuple[str, str, str]:
        """Memory in all, where it goes, tokens a second."""
        advice = self.advice.get(name)
        if advice is None:
            return "", "?" if name in self.unknown else "…", ""
        speed = telling.speed(advice, self.bandwidth)
        return telling.total(advice), telling.verdict(advice), speed


def name_width(names: Iterable[str], width: int) -> int:
    """Cells that the names take in a list of so many cells."""
    most = _NAME if width >= _USUAL else max(8, width - 14)
    return min(most, max((cell_len(name) for name in names), default=8))


def heading(width: int, names: int) -> str:
    """What stands above the rows."""
    name = _cut("name", names)
    return f"  {name} {_columns('where', ('total', 'fits', 'tok/s'), 'model', width)}"


def row(entry: Entry, current: bool, advised: Advised, width: int, names: int) -> Content:
    """One model.

    Args:
        entry: which.
        current: whether it is asked now.
        advised: what fits.
        width: cells there are.
        names: cells for its name.
    """
    here, cells = entry.path is not None, advised.cells(entry.name)
    where = "not here" if not here else entry.origin if width >= _WIDE else "here"
    fits = here and not cells[1].startswith("no")
    return Content.assemble(
        (f"{'●' if current else ' '} {_cut(safe(entry.name), names)} ", "" if here else "dim"),
        (_columns(where, cells, title(entry), width), "" if fits else "dim"),
    )


def _columns(where: str, cells: tuple[str, str, str], about: str, width: int) -> str:
    size, fits, speed = cells
    if width < _USUAL:
        return fits
    figures = f"{size:>7} {_cut(fits, 14)} {speed:>8}"
    if width < _WIDE:
        return f"{_cut(where, 8)} {figures}"
    return f"{_cut(where, 13)} {figures}  {about}"


def _cut(text: str, cells: int) -> str:
    if cell_len(text) > cells:
        return set_cell_size(text, cells - 1) + "…"
    return set_cell_size(text, cells)


def title(entry: Entry) -> str:
    """The vendor's name for it, and what a user must know."""
    if entry.model is None:
        return ""
    return safe(entry.model.title + (f" ({entry.model.note})" if entry.model.note else ""))


def about(entry: Entry, advised: Advised, offline: str, width: int) -> list[str]:
    """What is said below the list of the one that is marked.

    Args:
        entry: which.
        advised: what fits.
        offline: the switch that forbids to fetch anything; empty if none does.
        width: cells there are.
    """
    lines = [title(entry)] if entry.model is not None and width >= _USUAL else []
    if entry.path is not None:
        lines.append(f"{entry.origin}: {entry.path}")
        lines += [f"LoRA: {each.path} x {each.scale:g}" for each in entry.adapters]
    elif not entry.fetch:
        lines.append(f"Not here. {entry.remedy}")
    elif offline:
        lines.append(f"Not here, and {offline} is set: nothing is fetched.")
    else:
        shell = f"; in a shell: {entry.fetch}" if width >= _USUAL else ""
        ready = entry.model is None or entry.model.gguf is not None
        verb = "fetches it" if ready else "makes it of its checkpoint"
        lines.append(f"Not here. enter {verb}{shell}")
    if entry.name in advised.unknown:
        lines.append(advised.unknown[entry.name].message)
    elif entry.name in advised.advice:
        lines.append(memory(advised.advice[entry.name], advised.bandwidth))
    return [safe(line) for line in lines]


def memory(advice: Advice, bandwidth: float) -> str:
    """What it takes, part by part, how far the context could go, and how fast it can be."""
    need = advice.need
    weights = telling.about(advice) + telling.memory(need.weights)
    told = (
        f"{advice.quant}: {weights} weights, {telling.memory(need.kv)} KV cache for "
        f"{telling.context(advice.n_ctx)} of context"
    )
    if advice.verdict == "partly":
        told += f"; {need.gpu_layers} of {advice.layers} layers on the GPU"
    if advice.largest_ctx > advice.n_ctx and advice.verdict != "no":
        told += f"; up to {telling.context(advice.largest_ctx)} does as well"
    elif advice.verdict == "no" and advice.largest_ctx:
        told += f"; {telling.context(advice.largest_ctx)} would do"
    speed = telling.speed(advice, bandwidth)
    return f"{told}; at most {speed} tok/s" if speed else told
