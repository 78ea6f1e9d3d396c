"""Which model to ask: what is here, what could be, and what of it fits on this machine.

What takes its time (advice, pulls, checks) is done elsewhere, and shown here as it comes. Loads
nothing itself.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Label, OptionList, Static
from textual.widgets.option_list import Option

from ponder.catalogue import catalogue
from ponder.errors import InputError, PonderError
from ponder.library import choosing, fit, hub
from ponder.library.checking import locked
from ponder.library.fit import Machine, Wish
from ponder.library.keeping import Removal, removal, remove
from ponder.library.local import Entry, entries, find
from ponder.library.telling import size
from ponder.tui import jobs, pump, rows
from ponder.tui.rows import Advised
from ponder.tui.screens import bindings
from ponder.tui.screens.confirm import ConfirmScreen
from ponder.tui.screens.quants import Offer, QuantScreen, disks, offers, offers_of_hub
from ponder.tui.widgets.field import Field
from ponder.tui.widgets.keys import KeyLine
from ponder.tui.widgets.work import WorkView

if TYPE_CHECKING:
    from ponder.tui.app import PonderApp

_OURS = ("built in", "package", "pulled", "imported", "quantized", "models folder")
"""Who puts a model where its name is enough to find it."""


class ModelScreen(ModalScreen[str | None]):
    """Gives the name or the path of a model, or None.

    Args:
        found: what there is.
        current: what is asked now.
        look: finds what there is once more; called on another thread.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings.MODELS

    def __init__(self, found: list[Entry], current: str, look: Callable[[], list[Entry]]) -> None:
        super().__init__()
        self._entries = found
        self._current = current
        self._look = look
        self.advised = Advised()
        """What fits, as far as it is known."""
        self._place: tuple[Wish, Machine] | None = None
        """What the advice is for."""

    @property
    def ponder(self) -> PonderApp:
        """The app, by its own type."""
        return cast("PonderApp", self.app)

    def compose(self) -> ComposeResult:
        """A filter that takes paths as well, the list, what is marked, and what is being done."""
        with Vertical(classes="dialog wide"):
            yield Label("Model", classes="dialog-title")
            yield Field(placeholder="filter, the path of a GGUF file, or owner/repo:QUANT")
            yield Static(id="columns", markup=False)
            yield OptionList()
            yield Static(id="about", markup=False)
            yield WorkView()
            yield KeyLine()

    def on_mount(self) -> None:
        """List all; what fits is told when it is known."""
        self._list(self._current)
        self.show_job()
        self.ponder.jobs.watchers.append(self.show_job)
        self._advise()

    def on_unmount(self) -> None:
        """Nobody looks any more."""
        self.ponder.jobs.watchers.remove(self.show_job)

    def on_resize(self) -> None:
        """Rows are as wide as the list."""
        self.call_after_refresh(self._rewrite)

    # -- the list -----------------------------------------------------------------------

    @on(Input.Changed)
    def filter(self) -> None:
        """List what fits the words."""
        self._list(self._current)

    def _list(self, marked: str) -> None:
        """List what the filter lets through, and mark one, or the first."""
        words = self.query_one(Input).value.strip().lower()
        listed = self.query_one(OptionList)
        shown = [
            number
            for number, entry in enumerate(self._entries)
            if words in f"{entry.name} {entry.model.title if entry.model else ''}".lower()
        ]
        listed.set_options(Option(self._row(number), id=str(number)) for number in shown)
        here = [at for at, number in enumerate(shown) if self._entries[number].name == marked]
        listed.highlighted = (here or [0])[0] if shown else None
        self._show_marked()

    def _rewrite(self) -> None:
        """Say anew what is known of each one."""
        if not self.is_attached:
            return
        listed = self.query_one(OptionList)
        width, names = self._widths()
        self.query_one("#columns", Static).update(rows.heading(width, names))
        for at, option in enumerate(listed.options):
            text = self._row(int(option.id or 0))
            if text != option.prompt:
                listed.replace_option_prompt_at_index(at, text)
        self._show_marked()

    def _widths(self) -> tuple[int, int]:
        """Cells of a row, and of a name in it."""
        width = self.query_one(OptionList).scrollable_content_region.width
        return width, rows.name_width((entry.name for entry in self._entries), width)

    def _row(self, number: int) -> Content:
        entry = self._entries[number]
        return rows.row(entry, entry.name == self._current, self.advised, *self._widths())

    @property
    def _marked(self) -> Entry | None:
        option = self.query_one(OptionList).highlighted_option
        return None if option is None else self._entries[int(option.id or 0)]

    @on(OptionList.OptionHighlighted)
    def _show_marked(self) -> None:
        """Say more of the one that is marked."""
        entry, told = self._marked, ""
        if entry is not None:
            width, _ = self._widths()
            told = "\n".join(rows.about(entry, self.advised, hub.offline_switch(), width))
        self.query_one("#about", Static).update(told)
        self.refresh_bindings()

    # -- what fits ----------------------------------------------------------------------

    @work(group="advice", exclusive=True)
    async def _advise(self) -> None:
        """Find out what fits, one after the other, without holding anything up."""
        found, quiet = self._entries, self.ponder.quiet

        def take(advised: Advised) -> None:
            if found is self._entries:
                self.advised = advised
                self._rewrite()

        hand: pump.Handover[Advised] = pump.Handover(take)

        def look() -> tuple[Wish, Machine]:
            wish, machine = self._wished()
            advised = Advised()
            for entry in found:
                known, unknown = fit.overview([entry], wish, machine)
                advised.advice |= {advice.name: advice for advice in known}
                advised.unknown |= dict(unknown)
                advised.bandwidth = fit.bandwidth_for(advised.advice.values(), measured=False)
                hand(Advised(dict(advised.advice), dict(advised.unknown), advised.bandwidth))
            if quiet and not advised.bandwidth:
                advised.bandwidth = fit.bandwidth_for(advised.advice.values())
                hand(advised)
            return wish, machine

        try:
            self._place = await pump.aside(look, "ponder-fit")
        except PonderError as error:
            self.ponder.warn(error)

    def _wished(self) -> tuple[Wish, Machine]:
        """How a model is to be run in this session, and on what; for another thread."""
        wish = fit.wish_of(self.ponder.settings.engine)
        return wish, self.ponder.footprint.machine()

    # -- choosing -----------------------------------------------------------------------

    @on(Input.Submitted)
    def typed(self, message: Input.Submitted) -> None:
        """A path, a file of the hub, or the one that is marked."""
        text, marked = message.value.strip(), self._marked
        if choosing.names_file_of_hub(text) and not Path(text).exists():
            self._have(text, lambda: offers_of_hub(text))
        elif "/" in text or text.endswith(".gguf"):
            self._leave(text)
        elif marked is not None:
            self._choose(marked)

    @on(OptionList.OptionSelected)
    def chosen(self, message: OptionList.OptionSelected) -> None:
        """One of the list."""
        self._choose(self._entries[int(message.option_id or 0)])

    def _choose(self, entry: Entry) -> None:
        if entry.path is None and entry.model is not None and entry.model.package is not None:
            self.ponder.warn(entry.missing())
        elif entry.path is None:
            self._offer(entry)
        else:
            known = entry.model is not None or entry.origin in _OURS
            self._leave(entry.name if known else str(entry.path))

    def action_leave(self) -> None:
        """Ask the same model as before."""
        self._leave(None)

    def _leave(self, model: str | None) -> None:
        self.ponder.jobs.forget()
        self.dismiss(model)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that would do nothing are not shown."""
        if not self.is_mounted:
            return True
        marked = self._marked
        if action == "stop":
            return self.ponder.jobs.running
        if action == "quants":
            model = marked.model if marked is not None else None
            return model is not None and bool(model.ggufs or model.repository)
        if action in ("check", "remove"):
            return marked is not None and marked.path is not None
        return True

    # -- fetching, making, checking -----------------------------------------------------

    def action_quants(self) -> None:
        """Offer what can be had of the marked one."""
        if self._marked is not None:
            self._offer(self._marked)

    def _offer(self, entry: Entry) -> None:
        def found() -> list[Offer]:
            return offers(entry, catalogue(), *(self._place or self._wished()))

        self._have(entry.name, found)

    @work(group="dialog", exclusive=True)
    async def _have(self, name: str, found: Callable[[], list[Offer]]) -> None:
        """Ask which quant, and fetch or make it."""
        forbidden = hub.offline_error()
        if forbidden is not None:
            self.ponder.warn(forbidden)
            return
        try:
            offered, room = await pump.aside(lambda: (found(), disks()), "ponder-quants")
        except PonderError as error:
            self.ponder.warn(error)
            return
        screen = QuantScreen(name, offered, self.advised.bandwidth, room)
        chosen = await self.app.push_screen_wait(screen)
        if chosen is not None and chosen.made:
            self.ponder.begin(jobs.quantize(chosen.said, self.ponder.spared_threads))
        elif chosen is not None:
            self.ponder.begin(jobs.fetch(chosen.said))

    def action_check(self) -> None:
        """Hash the marked one again."""
        if self._marked is not None and self._marked.path is not None:
            self.ponder.begin(jobs.check(self._marked.name))

    def action_stop(self) -> None:
        """End what is being done."""
        self.ponder.jobs.stop()

    def show_job(self) -> None:
        """Show what is being done, or how it ended; what came by it is in the list then."""
        view, own = self.query_one(WorkView), self.ponder.jobs
        view.queue = tuple(job.name for job in own.waiting)
        view.job = own.current
        self.refresh_bindings()
        if own.current is not None and own.current.state is jobs.State.DONE:
            self._look_again(own.current.outcome.path)

    @work(group="look", exclusive=True)
    async def _look_again(self, came: Path | None = None) -> None:
        """List what there is now; mark what has come, or what was marked."""
        marked = self._marked
        self._entries = await pump.aside(self._look, "ponder-models")
        new = next((e.name for e in self._entries if came is not None and e.path == came), "")
        self._list(new or (marked.name if marked is not None else self._current))
        self._advise()

    # -- removing -----------------------------------------------------------------------

    @work(group="dialog", exclusive=True)
    async def action_remove(self) -> None:
        """Remove the marked one, if ponder brought it, and it is not in use."""
        entry = self._marked
        if entry is None:
            return
        try:
            self._see_that_it_is_free(entry)
            plan = await pump.aside(
                lambda: removal(locked(entry.name, catalogue())), "ponder-remove"
            )
            if await self.app.push_screen_wait(_question(plan)):
                self._see_that_it_is_free(entry)
                await pump.aside(lambda: remove(plan), "ponder-remove")
                self.notify(f"Removed {plan.lock.name}.", markup=False)
                self.ponder.jobs.forget()
                self.show_job()
                self._look_again()
        except PonderError as error:
            self.ponder.warn(error)

    def _see_that_it_is_free(self, entry: Entry) -> None:
        if self.ponder.loading_model:
            raise InputError("A model is being loaded.", "Wait until it is there.")
        if self.ponder.jobs.works_on(entry.name):
            raise InputError(
                f"{entry.name} is being fetched, made or checked.", "Stop that first (f7)."
            )
        asked = next((known.path for known in self._entries if known.name == self._current), None)
        if asked is not None and entry.path is not None and _same(asked, entry.path):
            raise InputError(f"{entry.name} is the model that is loaded.", "Choose another first.")


def _question(plan: Removal) -> ConfirmScreen:
    question = f"Remove {plan.lock.name} ({size(plan.size)})?"
    return ConfirmScreen(question, "\n".join(plan.lines()), "Remove it", "Keep it")


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return one == other


def listed(current: str, asked_for: str) -> list[Entry]:
    """What there is to choose from; the current one is always there, wherever its file is.

    Args:
        current: the name of the model that is asked now; empty for none.
        asked_for: what it was asked for as, a name or a path.
    """
    try:
        known = catalogue()
        found = entries(known)
        if current and all(entry.name != current for entry in found):
            found.insert(0, find(asked_for, known))
    except PonderError:
        return []
    return found
