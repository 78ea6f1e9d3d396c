"""In which form conversations are written to a file, and where. Overwrites nothing unasked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Checkbox, Input, Label, OptionList, Static
from textual.widgets.option_list import Option

from ponder.errors import PonderError
from ponder.history import document
from ponder.printable import safe
from ponder.tui.pump import aside
from ponder.tui.screens import bindings
from ponder.tui.screens.confirm import ConfirmScreen
from ponder.tui.widgets.field import Field

Write = Callable[[str, bool, Path], str]
"""(form, what is checked, place) -> what was done; called on a thread of its own."""


class WriteScreen(ModalScreen[str | None]):
    """Writes, and gives what was done; or None.

    Args:
        title: what is written.
        forms: what each form is for, by its name; a name is a file's ending, or `endings` has it.
        name: of the file, without its ending.
        option: what may be checked, and whether it is.
        write: writes it.
        endings: of the files of forms.
    """

    BINDINGS: ClassVar[list[BindingType]] = [bindings.LEAVE]

    def __init__(
        self,
        title: str,
        forms: Mapping[str, str],
        name: str,
        option: tuple[str, bool],
        write: Write,
        endings: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        self._title_text = title
        self._forms = forms
        self._stem = name
        self._option = option
        self._write_it = write
        self._endings = endings or {}

    def compose(self) -> ComposeResult:
        """The forms, the place, and what may be left out."""
        with Vertical(classes="dialog"):
            yield Label(safe(self._title_text), classes="dialog-title", markup=False)
            yield OptionList(
                *(
                    Option(Content.assemble((f"{form:<9}", "bold"), (about, "dim")), id=form)
                    for form, about in self._forms.items()
                )
            )
            yield Field(self._place(next(iter(self._forms))))
            yield Checkbox(*self._option)
            yield Static("enter writes it · tab to the next · esc goes back", id="about")
            yield Static(id="problem", markup=False)

    def on_mount(self) -> None:
        """Choose a form first."""
        self.query_one("#problem").display = False
        self.query_one(OptionList).highlighted = 0
        self.query_one(OptionList).focus()

    def _place(self, form: str) -> str:
        return f"{self._stem}.{self._endings.get(form, form)}"

    @property
    def form(self) -> str:
        """The one that is marked."""
        at = self.query_one(OptionList).highlighted or 0
        return list(self._forms)[at]

    @on(OptionList.OptionHighlighted)
    def another(self) -> None:
        """The file's ending follows the form, as long as nobody wrote another name."""
        field = self.query_one(Field)
        if field.value in {self._place(form) for form in self._forms}:
            field.value = self._place(self.form)

    @on(OptionList.OptionSelected)
    @on(Input.Submitted)
    def confirmed(self) -> None:
        """Write it."""
        self._write()

    @work(exclusive=True)
    async def _write(self) -> None:
        said = self.query_one(Field).value.strip()
        if not said:
            self._say("Name a file.")
            return
        try:
            place = Path(said).expanduser().absolute()
        except RuntimeError:  # ~somebody, whom nobody knows
            self._say(f"There is no home folder for {said}.")
            return
        try:
            if place.is_file():
                about = f"{place} is already there, and would be gone."
                wanted = ConfirmScreen("Overwrite it?", about, "overwrite it", "write elsewhere")
                if not await self.app.push_screen_wait(wanted):
                    self.query_one(Field).focus()
                    return
            document.check(place, force=True)
            form, checked = self.form, self.query_one(Checkbox).value
            done = await aside(lambda: self._write_it(form, checked, place), "ponder-write")
        except PonderError as error:
            self._say(f"{error.message} {error.hint}")
        except OSError as error:
            self._say(f"{place} cannot be written: {error.strerror}.")
        else:
            self.dismiss(done)

    def _say(self, text: str) -> None:
        problem = self.query_one("#problem", Static)
        problem.update(safe(text))
        problem.display = True

    def action_leave(self) -> None:
        """Write nothing."""
        self.dismiss(None)
