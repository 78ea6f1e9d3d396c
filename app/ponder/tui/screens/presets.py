"""Presets: one is taken, the present state is kept as one, one is removed.

Knows the files of presets and how they are listed; what taking one does is the chat's affair.
"""

from __future__ import annotations

from typing import Any, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Label, OptionList, Static
from textual.widgets.option_list import Option

from ponder import paths
from ponder.errors import PonderError
from ponder.printable import safe
from ponder.settings import presets
from ponder.settings.presets import Preset
from ponder.tui import pump
from ponder.tui.screens import bindings
from ponder.tui.screens.confirm import ConfirmScreen
from ponder.tui.widgets.field import Field
from ponder.tui.widgets.keys import KeyLine


class PresetScreen(ModalScreen[Preset | None]):
    """Gives the preset that is to be taken, or None.

    Args:
        state: what holds now, as a preset would say it.
        current: the name of the one that was taken last; empty for none.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings.PRESETS

    def __init__(self, state: dict[str, Any], current: str) -> None:
        super().__init__()
        self._state = state
        self._current = current
        self._kept: dict[str, Preset] = {}

    def compose(self) -> ComposeResult:
        """A field that filters and names, the presets, and what is wrong."""
        with Vertical(classes="dialog wide"):
            yield Label("Presets", classes="dialog-title")
            yield Field(placeholder="filter, or a name for what holds now")
            yield OptionList()
            yield Static(id="about", markup=False)
            yield Static(id="problem", markup=False)
            yield KeyLine()

    def on_mount(self) -> None:
        """List them all."""
        now = Preset("", self._state).summary
        self.query_one("#about", Static).update(safe(f"now: {now}"))
        self._say("")
        self._read(self._current)

    @work(exclusive=True, group="presets")
    async def _read(self, marked: str) -> None:
        good, wrong = await pump.aside(
            lambda: presets.of_folder(paths.presets_dir()), "ponder-presets"
        )
        self._kept = {preset.name: preset for preset in good}
        self._say("\n".join(f"{error.message} {error.hint}" for error in wrong))
        self._list(marked)

    @on(Input.Changed)
    def filter(self) -> None:
        """List what has the words."""
        self._list("")

    def _list(self, marked: str) -> None:
        words = self.query_one(Input).value.lower().split()
        found = [
            one
            for one in self._kept.values()
            if all(word in f"{one.name} {one.summary}".lower() for word in words)
        ]
        width = max((len(one.name) for one in found), default=0)
        listed = self.query_one(OptionList)
        listed.set_options(
            Option(
                Content.assemble(
                    "● " if one.name == self._current else "  ",
                    (f"{one.name:{width}}", "bold"),
                    f"  {safe(one.summary)}",
                ),
                id=one.name,
            )
            for one in found
        )
        names = [one.name for one in found]
        listed.highlighted = names.index(marked) if marked in names else 0 if names else None
        self.refresh_bindings()

    @property
    def _marked(self) -> str:
        option = self.query_one(OptionList).highlighted_option
        return "" if option is None else option.id or ""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that would do nothing are not shown."""
        if not self.is_mounted:
            return True
        if action == "keep":
            return bool(self.query_one(Input).value.strip())
        return bool(self._marked) if action == "remove" else True

    @on(Input.Submitted)
    def submitted(self) -> None:
        """Take the one that is marked; a name that there is not is kept as one."""
        if self._marked:
            self.dismiss(self._kept[self._marked])
        elif self.query_one(Input).value.strip():
            self.action_keep()

    @on(OptionList.OptionSelected)
    def chosen(self) -> None:
        """Take it."""
        self.dismiss(self._kept[self._marked])

    @work(exclusive=True, group="presets")
    async def action_keep(self) -> None:
        """Keep what holds now under the name that was typed."""
        name = self.query_one(Input).value.strip()
        replace = (paths.presets_dir() / f"{name}.toml").is_file()
        if replace:
            told = f"What it sets now: {self._kept[name].summary if name in self._kept else '?'}"
            sure = ConfirmScreen(f"Replace {name}?", told, "Replace it", "Keep it")
            if not await self.app.push_screen_wait(sure):
                return
        try:
            await pump.aside(
                lambda: presets.save(paths.presets_dir(), name, self._state, replace),
                "ponder-presets",
            )
        except PonderError as error:
            self._say(f"{error.message} {error.hint}")
            return
        self.dismiss(Preset(name, self._state))

    @work(exclusive=True, group="presets")
    async def action_remove(self) -> None:
        """Remove the one that is marked."""
        name = self._marked
        sure = ConfirmScreen(f"Remove {name}?", self._kept[name].summary, "Remove it", "Keep it")
        if not await self.app.push_screen_wait(sure):
            return
        try:
            presets.remove(paths.presets_dir(), name)
        except PonderError as error:
            self._say(f"{error.message} {error.hint}")
        self._read("")

    def _say(self, text: str) -> None:
        problem = self.query_one("#problem", Static)
        problem.update(safe(text))
        problem.display = bool(text)

    def action_leave(self) -> None:
        """Take none."""
        self.dismiss(None)
