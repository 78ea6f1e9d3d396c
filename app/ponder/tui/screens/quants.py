"""Which quant to fetch, and whether: sizes, what fits, the room on the disk. Fetches nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Label, OptionList, Static
from textual.widgets.option_list import Option

from ponder.catalogue import Catalogue
from ponder.errors import PonderError
from ponder.library import choosing, hfcache, telling
from ponder.library.fit import Advice, Machine, Wish, advise
from ponder.library.local import Entry
from ponder.library.pulling import free_space
from ponder.printable import safe

_USUAL = 60
"""Cells of a screen from which on there is room for speeds."""


@dataclass(frozen=True, slots=True)
class Offer:
    """One file that could be fetched."""

    said: str
    """What `ponder pull` calls it."""
    quant: str
    pinned: bool = False
    """Whether the catalogue says what it has to be."""
    advice: Advice | None = None
    """None where nothing is known of it."""


@dataclass(frozen=True, slots=True)
class Disk:
    """Where it would go."""

    place: Path
    free: int
    """Bytes."""


def offers(entry: Entry, catalogue: Catalogue, wish: Wish, machine: Machine) -> list[Offer]:
    """What can be fetched of a model.

    Raises:
        InputError: nobody is known who publishes it.
    """
    choosing.wanted(entry.name, catalogue)
    found = []
    assert entry.model is not None
    for quant in choosing.quants(entry.model):
        pinned = entry.model.ggufs.get(quant)
        try:
            advice = advise(entry, wish, machine, quant, strict=False)
        except PonderError:  # a quant or a shape that nobody told us of
            advice = None
        found.append(Offer(f"{entry.name}:{quant}", quant, bool(pinned and pinned.sha256), advice))
    return found


def disk() -> Disk:
    """The disk that fetched models go to."""
    place = hfcache.cache_dir()
    return Disk(place, free_space(place))


class QuantScreen(ModalScreen[str | None]):
    """Gives what is to be pulled, or None.

    Args:
        name: of the model.
        offered: what could be fetched of it; the first one is the usual one.
        bandwidth: bytes a second of this machine's memory; 0 where it is not known.
        room: the disk.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Cancel")]

    def __init__(self, name: str, offered: list[Offer], bandwidth: float, room: Disk) -> None:
        super().__init__()
        self._model = name
        self._offered = offered
        self._bandwidth = bandwidth
        self._disk = room

    def compose(self) -> ComposeResult:
        """The quants, and what fetching the marked one means."""
        with Vertical(classes="dialog"):
            yield Label(f"Fetch {safe(self._model)}", classes="dialog-title", markup=False)
            yield Static(f"{'quant':<8} {'total':>7}  {'fits':<14}", id="columns", markup=False)
            yield OptionList(*map(self._option, self._offered))
            yield Static(id="about", markup=False)

    def on_mount(self) -> None:
        """Mark the usual one."""
        self.query_one(OptionList).highlighted = 0

    def _option(self, offer: Offer) -> Option:
        line = f"{offer.quant:<8}"
        dim = False
        if offer.advice is not None:
            speed = telling.speed(offer.advice, self._bandwidth)
            fits = telling.verdict(offer.advice)
            line += f" {telling.total(offer.advice):>7}  {fits:<14}"
            if speed and self.app.size.width >= _USUAL:
                line += f" {speed:>8} tok/s"
            dim = offer.advice.verdict == "no"
        return Option(Content.styled(safe(line), "dim" if dim else ""))

    @on(OptionList.OptionHighlighted)
    def tell(self, message: OptionList.OptionHighlighted) -> None:
        """What comes, and whether there is room."""
        offer, about = self._offered[message.option_index], self.query_one("#about", Static)
        there = f"{telling.size(self._disk.free)} are free at {self._disk.place}."
        if offer.advice is None:
            lines = ["How much it is the hub says before the first byte.", there]
            short = False
        else:
            weights = offer.advice.need.weights
            lines = [f"About {telling.size(weights)} to fetch; {there}"]
            short = weights > self._disk.free
        if short:
            lines.append("There is no room for it.")
        elif offer.pinned:
            lines.append("Its sha256 is pinned by the catalogue.")
        else:
            lines.append("Nobody pinned it: its sha256 is what the hub says, and kept.")
        about.set_class(short, "short")
        about.update(safe("\n".join([*lines, "enter fetches it, esc goes back"])))

    @on(OptionList.OptionSelected)
    def chosen(self, message: OptionList.OptionSelected) -> None:
        """Fetch that one."""
        self.dismiss(self._offered[message.option_index].said)

    def action_leave(self) -> None:
        """Fetch nothing."""
        self.dismiss(None)
