"""Which model to ask: what is installed, and what could be. Loads nothing itself."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Label, OptionList, Static
from textual.widgets.option_list import Option

from ponder import paths
from ponder.errors import PonderError
from ponder.library.local import Entry
from ponder.printable import safe
from ponder.tui.widgets.field import Field


class ModelScreen(ModalScreen[str | None]):
    """Gives the name or the path of a model, or None.

    Args:
        entries: what there is.
        current: what is asked now.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Cancel"),
        Binding("down", "app.focus_next", show=False),
    ]

    def __init__(self, entries: list[Entry], current: str) -> None:
        super().__init__()
        self._entries = entries
        self._current = current

    def compose(self) -> ComposeResult:
        """A filter that takes paths as well, and the list."""
        with Vertical(classes="dialog wide"):
            yield Label("Model", classes="dialog-title")
            yield Field(placeholder="filter, or the path of a GGUF file")
            yield OptionList()
            yield Static(id="fetch", markup=False)

    def on_mount(self) -> None:
        """List all."""
        self._list("")

    @on(Input.Changed)
    def filter(self, message: Input.Changed) -> None:
        """List what fits."""
        self._list(message.value.strip().lower())

    def _list(self, words: str) -> None:
        listed = self.query_one(OptionList)
        listed.clear_options()
        for number, entry in enumerate(self._entries):
            about = f"{entry.name} {entry.model.title if entry.model else ''}"
            if words in about.lower():
                listed.add_option(Option(self._line(entry), id=str(number)))
        here = [
            at
            for at, option in enumerate(listed.options)
            if self._entries[int(option.id or 0)].name == self._current
        ]
        if listed.option_count:
            listed.highlighted = here[0] if here else 0

    def _line(self, entry: Entry) -> Content:
        mark = "●" if entry.name == self._current else " "
        where = entry.origin if entry.path else "not here"
        title = ""
        if entry.model is not None:
            title = entry.model.title + (f" ({entry.model.note})" if entry.model.note else "")
        return Content.assemble(
            (f"{mark} {safe(entry.name):<22} ", "" if entry.path else "dim"),
            (f"{where:<14} {safe(title)}", "dim"),
        )

    @on(OptionList.OptionHighlighted)
    def advise(self, message: OptionList.OptionHighlighted) -> None:
        """Say how to get one that is not here."""
        entry = self._entries[int(message.option_id or 0)]
        fetch = self.query_one("#fetch", Static)
        if entry.path is not None:
            fetch.update(safe(str(entry.path)))
        elif entry.fetch:
            fetch.update(f"Not here. In a shell:\n{entry.fetch}")
        else:
            fetch.update(f"Not here. Put a GGUF of it at {paths.models_dir()}/{entry.name}.gguf")

    @on(Input.Submitted)
    def typed(self, message: Input.Submitted) -> None:
        """A path, or the first one that fits."""
        text = message.value.strip()
        listed = self.query_one(OptionList)
        if "/" in text or text.endswith(".gguf"):
            self.dismiss(text)
        elif listed.highlighted is not None:
            self._choose(listed.get_option_at_index(listed.highlighted))

    @on(OptionList.OptionSelected)
    def chosen(self, message: OptionList.OptionSelected) -> None:
        """One of the list."""
        self._choose(message.option)

    def _choose(self, option: Option) -> None:
        entry = self._entries[int(option.id or 0)]
        if entry.path is None:
            self.notify(f"{entry.name} is not on this machine.", severity="warning", markup=False)
            return
        known = entry.model is not None or entry.path.parent == paths.models_dir()
        self.dismiss(entry.name if known else str(entry.path))

    def action_leave(self) -> None:
        """Ask the same model as before."""
        self.dismiss(None)


def listed(current: str, asked_for: str) -> list[Entry]:
    """What there is to choose from; the current one is always there, wherever its file is.

    Args:
        current: the name of the model that is asked now; empty for none.
        asked_for: what it was asked for as, a name or a path.
    """
    from ponder.catalogue import catalogue
    from ponder.library.local import entries, find

    try:
        known = catalogue()
        found = entries(known)
        if current and all(entry.name != current for entry in found):
            found.insert(0, find(asked_for, known))
    except PonderError:
        return []
    return found
