"""Which quant to have, ready-made or made here of the checkpoint, and whether: sizes, what fits,
the room on the disk. Fetches and makes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Label, OptionList, Static
from textual.widgets.option_list import Option

from ponder import paths
from ponder.catalogue import Catalogue
from ponder.errors import PonderError
from ponder.library import choosing, hfcache, lock, quantized, telling
from ponder.library.fit import Advice, Machine, Wish, advise
from ponder.library.local import Entry
from ponder.library.pulling import free_space
from ponder.library.weights import QUANTS, of_checkpoint
from ponder.printable import safe
from ponder.tui.screens import bindings

_USUAL = 60
"""Cells of a screen from which on there is room for speeds."""
_MADE = tuple(quant for quant in QUANTS if quant != "F16")
"""Quants that are worth making of a checkpoint, and can be without an importance matrix."""
_SHARD = 10_000_000_000
"""Bytes of a shard at most, as transformers cuts checkpoints (5 GB since its version 4.36)."""


@dataclass(frozen=True, slots=True)
class Offer:
    """One file that could be had."""

    said: str
    """What `ponder pull` or `ponder quantize` calls it."""
    quant: str
    pinned: bool = False
    """Whether the catalogue says what it has to be."""
    advice: Advice | None = None
    """None where nothing is known of it."""
    made: bool = False
    """Whether it would be made here, of the checkpoint."""
    checkpoint: int = 0
    """Bytes of that, about; 0 where it is not known."""


@dataclass(frozen=True, slots=True)
class Disk:
    """Where it would go."""

    place: Path
    free: int
    """Bytes."""


def offers(entry: Entry, catalogue: Catalogue, wish: Wish, machine: Machine) -> list[Offer]:
    """What can be had of a model: what is published, then what can be made of its checkpoint.

    Raises:
        InputError: nobody is known who publishes it, nor where its checkpoint is.
    """
    model = entry.model
    assert model is not None
    # A further file of it goes by another name.
    name = next((name for name, known in catalogue.models.items() if known == model), entry.name)

    def advice(quant: str) -> Advice | None:
        try:
            return advise(entry, wish, machine, quant, strict=False)
        except PonderError:  # a quant or a shape that nobody told us of
            return None

    found = []
    for quant in choosing.quants(model):
        pinned = model.ggufs.get(quant)
        known = bool(pinned and pinned.sha256)
        found.append(Offer(f"{name}:{quant}", quant, known, advice(quant)))
    if model.repository or not found:
        size = of_checkpoint(model)
        for quant in _MADE:
            said = f"{name}:{quant}"
            there = lock.read(quantized.wanted(said, catalogue).name)
            if there is None or not there.here:
                found.append(Offer(said, quant, False, advice(quant), True, size))
    return found


def offers_of_hub(said: str) -> list[Offer]:
    """What can be had of owner/repo:QUANT or owner/repo:FILE."""
    word = said.partition(":")[2]
    found = [Offer(said, word)]
    if word.upper() in _MADE:
        found.append(Offer(said, word, made=True))
    return found


@dataclass(frozen=True, slots=True)
class Disks:
    """Where what is had would go."""

    fetched: Disk
    made: Disk


def disks() -> Disks:
    """The disks that models go to, fetched or made."""
    cache, models = hfcache.cache_dir(), paths.models_dir()
    return Disks(Disk(cache, free_space(cache)), Disk(models, free_space(models)))


class QuantScreen(ModalScreen[Offer | None]):
    """Gives what is wanted, or None.

    Args:
        name: of the model.
        offered: what could be had of it: first what is ready-made, the usual one at the top.
        bandwidth: bytes a second of this machine's memory; 0 where it is not known.
        disks: where it would go.
    """

    BINDINGS: ClassVar[list[BindingType]] = [bindings.LEAVE]

    def __init__(self, name: str, offered: list[Offer], bandwidth: float, disks: Disks) -> None:
        super().__init__()
        self._model = name
        self._offered = offered
        self._bandwidth = bandwidth
        self._disks = disks

    def compose(self) -> ComposeResult:
        """The quants, and what having the marked one means."""
        ways = [offer.made for offer in self._offered]
        title = f"Make {self._model} of its checkpoint" if all(ways) else f"Fetch {self._model}"
        title += ", or make it" if any(ways) and not all(ways) else ""
        with Vertical(classes="dialog"):
            yield Label(safe(title), classes="dialog-title", markup=False)
            yield Static(f"{'quant':<8} {'total':>7}  fits", id="columns", markup=False)
            yield OptionList(*self._options())
            yield Static(id="about", markup=False)

    def _options(self) -> Iterator[Option]:
        before = True
        for number, offer in enumerate(self._offered):
            if offer.made and not before:
                told = Content.styled("made of its checkpoint", "italic dim")
                yield Option(told, disabled=True)
            before = offer.made
            yield self._option(number, offer)

    def on_mount(self) -> None:
        """Mark the usual one."""
        ready = [number for number, offer in enumerate(self._offered) if not offer.made]
        usual = [n for n, offer in enumerate(self._offered) if offer.quant == quantized.USUAL]
        listed = self.query_one(OptionList)
        listed.highlighted = listed.get_option_index(str((ready or usual or [0])[0]))

    def _option(self, number: int, offer: Offer) -> Option:
        line = f"{offer.quant:<8}"
        dim = False
        if offer.advice is not None:
            speed = telling.speed(offer.advice, self._bandwidth)
            fits = telling.verdict(offer.advice)
            line += f" {telling.total(offer.advice):>7}  {fits:<14}"
            if speed and self.app.size.width >= _USUAL:
                line += f" {speed:>8} tok/s"
            dim = offer.advice.verdict == "no"
        return Option(Content.styled(safe(line.rstrip()), "dim" if dim else ""), id=str(number))

    @on(OptionList.OptionHighlighted)
    def tell(self, message: OptionList.OptionHighlighted) -> None:
        """What comes, and whether there is room."""
        offer, about = self._offered[int(message.option_id or 0)], self.query_one("#about", Static)
        lines, short = self._making(offer) if offer.made else self._fetching(offer)
        about.set_class(short, "short")
        about.update(safe("\n".join(lines)))

    def _fetching(self, offer: Offer) -> tuple[list[str], bool]:
        """What fetching it means; and whether there is no room."""
        disk = self._disks.fetched
        there = f"{telling.size(disk.free)} are free at {disk.place}."
        if offer.advice is None:
            lines = ["How much it is the hub says before the first byte.", there]
            short = False
        else:
            weights = offer.advice.need.weights
            lines = [f"About {telling.size(weights)} to fetch; {there}"]
            short = weights > disk.free
        if short:
            lines.append("There is no room for it.")
        elif offer.pinned:
            lines.append("Its sha256 is pinned by the catalogue.")
        else:
            lines.append("Nobody pinned it: its sha256 is what the hub says, and kept.")
        return [*lines, "enter fetches it, esc goes back"], short

    def _making(self, offer: Offer) -> tuple[list[str], bool]:
        """What making it means; and whether there is no room."""
        disk = self._disks.made
        there = f"{telling.size(disk.free)} are free at {disk.place}."
        output = offer.advice.need.weights if offer.advice is not None else 0
        shards = min(offer.checkpoint, 2 * _SHARD)
        short = output > disk.free
        if not offer.checkpoint:
            lines = ["How much it is the hub says before the first shard.", there]
        else:
            told = f"About {telling.size(offer.checkpoint)} to fetch, shard by shard"
            told += f", up to {telling.size(output + shards)} on the disk" if output else ""
            lines = [f"{told}; {there}"]
        if short:
            lines.append("There is no room for it.")
        elif output + shards > disk.free:
            lines.append("Whether there is room is seen before the first shard.")
        lines.append("It takes the processor: answers get slower.")
        return [*lines, "enter makes it, esc goes back"], short

    @on(OptionList.OptionSelected)
    def chosen(self, message: OptionList.OptionSelected) -> None:
        """Have that one."""
        self.dismiss(self._offered[int(message.option_id or 0)])

    def action_leave(self) -> None:
        """Have nothing."""
        self.dismiss(None)
