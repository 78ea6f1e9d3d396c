"""Every setting: its manual, what it is, who chose it, and changing it.

Built from the schema of config.toml alone: a setting that is new there is here as well. What a
change does is the app's affair, how it is kept that of `settings`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from rich.cells import cell_len, set_cell_size
from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Label, OptionList, Static
from textual.widgets.option_list import Option

from ponder import paths
from ponder import settings as settings_file
from ponder.errors import PonderError
from ponder.printable import safe
from ponder.settings import Settings
from ponder.tui import pump
from ponder.tui.screens import bindings
from ponder.tui.tuning import when
from ponder.tui.widgets.field import Field
from ponder.tui.widgets.keys import KeyLine

if TYPE_CHECKING:
    from ponder.tui.app import PonderApp

_WIDE = 60
"""Cells of a row from which on it says who chose."""


class SettingsScreen(ModalScreen[None]):
    """Shows settings and changes them, in config.toml and in this session."""

    BINDINGS: ClassVar[list[BindingType]] = bindings.SETTINGS

    def __init__(self) -> None:
        super().__init__()
        self._manual = settings_file.manual()
        self._file = Settings()
        """What config.toml says."""
        self._given: tuple[str, ...] = ()
        """The keys that it sets."""
        self._edited = ""
        """The setting that is being edited."""

    @property
    def ponder(self) -> PonderApp:
        """The app, by its own type."""
        return cast("PonderApp", self.app)

    def compose(self) -> ComposeResult:
        """A field to search, the settings, what is marked, and its control."""
        with Vertical(classes="dialog wide"):
            yield Label("Settings", classes="dialog-title")
            yield Field(placeholder="search; enter changes what is marked", id="search")
            yield OptionList(id="settings")
            yield Static(id="about", markup=False)
            yield Field(id="value")
            yield OptionList(id="choices")
            yield Static(id="problem", markup=False)
            yield KeyLine()

    def on_mount(self) -> None:
        """Show what there is."""
        for name in ("#value", "#choices", "#problem"):
            self.query_one(name).display = False
        self._read()

    def on_resize(self) -> None:
        """Rows are as wide as the list."""
        self.call_after_refresh(self._list)

    @work(group="settings", exclusive=True)
    async def _read(self) -> None:
        def look() -> tuple[Settings, tuple[str, ...]]:
            file = paths.config_file()
            return settings_file.read(file), settings_file.given(file)

        try:
            self._file, self._given = await pump.aside(look, "ponder-settings")
        except PonderError as error:
            self._say(error)
        self._list()

    # -- the list -----------------------------------------------------------------------

    @property
    def _marked(self) -> str:
        """The setting that is marked; empty for none."""
        option = self.query_one("#settings", OptionList).highlighted_option
        return "" if option is None else option.id or ""

    @on(Input.Changed, "#search")
    def search(self) -> None:
        """List what has the words."""
        self._list()

    def _list(self) -> None:
        """What has all words in its name or its manual, by section."""
        if not self.is_attached:
            return
        words = self.query_one("#search", Input).value.lower().split()
        listed = self.query_one("#settings", OptionList)
        marked, options = self._marked, list[Option]()
        for section, names in settings_file.by_section().items():
            keys = [f"{section}.{name}".lstrip(".") for name in names]
            found = [k for k in keys if all(w in f"{k} {self._manual[k]}".lower() for w in words)]
            if found and section:
                heading = Content.assemble((section, "bold"), (f"  {self._manual[section]}", "dim"))
                options.append(Option(heading, disabled=True))
            options += [Option(self._row(key), id=key) for key in found]
        listed.set_options(options)
        there = [at for at, option in enumerate(options) if option.id]
        same = [at for at in there if options[at].id == marked]
        listed.highlighted = next(iter((*same, *there)), None)
        self._show_marked()

    def _row(self, key: str) -> Content:
        """Name, value, who chose it."""
        width = self.query_one("#settings", OptionList).scrollable_content_region.width
        section, _, name = key.rpartition(".")
        now = settings_file.value(self.ponder.present, key)
        told = " ".join(safe(settings_file.shown(now)).split()) or '""'
        who = self.ponder.origin(key, self._file, self._given)
        left = f"{'  ' if section else ''}{name:17} "
        room = max(4, width - cell_len(left) - (16 if width >= _WIDE else 0))
        if cell_len(told) > room:
            told = set_cell_size(told, room - 1) + "…"
        row = Content.assemble(left, (told, "dim" if now is None else ""))
        if width < _WIDE:
            return row
        return row + Content.assemble(" " * (room - cell_len(told)), (f"  {safe(who)}", "dim"))

    @on(OptionList.OptionHighlighted, "#settings")
    def _show_marked(self) -> None:
        """Its manual, what it may be, and when a change takes effect."""
        key, about = self._marked, ""
        if key:
            default = settings_file.shown(settings_file.value(Settings(), key)) or '""'
            who = self.ponder.origin(key, self._file, self._given)
            may = settings_file.allowed(key)
            if not settings_file.choices(key) and self.ponder.choices(key):
                may = f"one of {len(self.ponder.choices(key))}, which enter lists"
            about = (
                f"{self._manual[key]}\nMay be: {may}. Default: {default}. "
                f"From: {who}. A change holds {when(key)}."
            )
        self.query_one("#about", Static).update(safe(about))
        self.refresh_bindings()

    # -- changing -----------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that would do nothing are not shown."""
        if not self.is_mounted:
            return True
        if action == "change":
            return bool(self._marked) and not self._edited
        if action == "unset":
            return self._marked in self._given and not self._edited
        return True

    @on(Input.Submitted, "#search")
    def action_change(self) -> None:
        """Change the one that is marked: turn a switch, or show its control."""
        key = self._marked
        if not key or self._edited:
            return
        now, few = settings_file.value(self.ponder.present, key), self.ponder.choices(key)
        if few == (True, False):
            self._put(key, not now)
            return
        self._edit(key)
        if few:
            control = self.query_one("#choices", OptionList)
            control.set_options(Option(settings_file.shown(one)) for one in few)
            control.highlighted = few.index(now) if now in few else 0
        else:
            field = self.query_one("#value", Field)
            field.value = settings_file.typable(key, now)
            field.placeholder = settings_file.allowed(key)
            field.border_title = key
        (self.query_one("#choices") if few else self.query_one("#value")).display = True
        (self.query_one("#choices") if few else self.query_one("#value")).focus()

    @on(OptionList.OptionSelected, "#settings")
    def selected(self) -> None:
        """Change it."""
        self.action_change()

    @on(Input.Submitted, "#value")
    def typed(self, message: Input.Submitted) -> None:
        """Take what was typed; nothing at all is the default."""
        try:
            text = message.value.strip()
            self._put(self._edited, settings_file.typed(self._edited, text) if text else None)
        except PonderError as error:
            self._say(error)

    @on(OptionList.OptionSelected, "#choices")
    def chosen(self, message: OptionList.OptionSelected) -> None:
        """Take it."""
        self._put(self._edited, self.ponder.choices(self._edited)[message.option_index])

    def action_unset(self) -> None:
        """Back to the default."""
        self._put(self._marked, None)

    def _edit(self, key: str) -> None:
        """Edit a setting; with an empty name, end that."""
        self._edited = key
        self._say(None)
        self.query_one("#value").display = self.query_one("#choices").display = False
        if not key:
            self.query_one("#settings").focus()
        self.refresh_bindings()

    @work(group="settings", exclusive=True)
    async def _put(self, key: str, new: object) -> None:
        """Write it, then let it hold; None brings the default back."""
        try:
            if new is not None:
                self.ponder.check(key, new)
            settings = settings_file.overlaid(self.ponder.present, {key: new})
            await pump.aside(
                lambda: settings_file.put(paths.config_file(), key, new), "ponder-settings"
            )
        except PonderError as error:
            # What was typed stays to be corrected.
            self._say(error)
            return
        origins = {name: who for name, who in self.ponder.origins.items() if name != key}
        self.ponder.tune(settings, origins)
        self._edit("")
        self._read()

    def _say(self, error: PonderError | None) -> None:
        problem = self.query_one("#problem", Static)
        problem.update("" if error is None else safe(f"{error.message} {error.hint}".strip()))
        problem.display = error is not None

    def action_leave(self) -> None:
        """End editing, or go back to the chat."""
        if self._edited:
            self._edit("")
        else:
            self.dismiss(None)
