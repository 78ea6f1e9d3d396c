"""How long the next question may be thought about, and by which rule it may end early: typed, or
chosen. Knows wishes and names of rules alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Label, OptionList, Static
from textual.widgets.option_list import Option

from ponder.errors import PonderError
from ponder.thinking import effort, stopping
from ponder.thinking.effort import Wish
from ponder.tui.screens import bindings
from ponder.tui.widgets.field import Field

STOP = "stop"
STOPS = {
    stopping.OFF: "not before its budget is spent",
    "margin": "its end is nearly the likeliest token",
    "entropy": "what would follow has settled",
    "converged": "trial answers in a row are the same",
    "confident": "it is sure of a trial answer",
}
"""When a thought may end, by each rule."""


@dataclass(frozen=True, slots=True)
class Stop:
    """A rule for ending early, as `stopping.parse` reads it."""

    rule: str


class BudgetScreen(ModalScreen[Wish | Stop | None]):
    """Asks for a budget, or a rule for ending early; gives None if both stay as they are.

    Args:
        wish: what is set.
        efforts: what each effort means for the model that is loaded, in thinking tokens.
        stop: the rule that is set.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        bindings.LEAVE,
        bindings.INTO_LIST,
    ]

    def __init__(self, wish: Wish, efforts: Mapping[str, int | None], stop: str) -> None:
        super().__init__()
        self._wish = wish
        self._efforts = efforts
        self._stop = stop

    def compose(self) -> ComposeResult:
        """A field for a number, and the efforts."""
        meant = [(name, f"{name:8} {_tokens(name, most)}") for name, most in self._efforts.items()]
        rules = [(f"{STOP} {name}", self._told(name, when)) for name, when in STOPS.items()]
        with Vertical(classes="dialog"):
            yield Label("Thinking budget", classes="dialog-title")
            yield Field(placeholder=f"{self._wish.label}; or 512, 2k, low, off, stop converged:2 …")
            yield Static(id="problem", markup=False)
            yield OptionList(
                *(Option(told, id=name) for name, told in meant),
                None,
                *(Option(told, id=name) for name, told in rules),
            )

    def _told(self, name: str, when: str) -> str:
        """A rule, marked where it is set, with its values if they are not its own."""
        set_ = name == self._stop.partition(":")[0]
        values = self._stop.partition(":")[2] if set_ else ""
        return f"{STOP} {name:9}  {when}" + (f"  ({values or 'set'})" if set_ else "")

    def on_mount(self) -> None:
        """Mark what is set."""
        self.query_one("#problem").display = False
        names = list(self._efforts)
        if self._wish.effort in names:
            self.query_one(OptionList).highlighted = names.index(self._wish.effort)

    @on(Input.Submitted)
    def typed(self, message: Input.Submitted) -> None:
        """Take what was typed, or say what is wrong with it; it stays to be corrected."""
        if not message.value.strip():
            self.dismiss(None)
            return
        try:
            self.dismiss(self._read(message.value))
        except PonderError as error:
            problem = self.query_one("#problem", Static)
            problem.update(f"{error.message} {error.hint}")
            problem.display = True
            self.query_one(".dialog").add_class("wrong")

    @staticmethod
    def _read(text: str) -> Wish | Stop:
        """A budget, or `stop` and a rule.

        Raises:
            BudgetError: it is neither.
        """
        word, _, rule = text.strip().lower().partition(" ")
        if word != STOP:
            return effort.parse(text)
        stopping.parse(rule)
        return Stop(rule.strip())

    @on(OptionList.OptionSelected)
    def chosen(self, message: OptionList.OptionSelected) -> None:
        """Take an effort, or a rule."""
        self.dismiss(self._read(str(message.option_id)))

    def action_leave(self) -> None:
        """Leave the budget as it is."""
        self.dismiss(None)


def _tokens(name: str, tokens: int | None) -> str:
    """What an effort means."""
    if name == "off":
        return "answer at once"
    return "as long as the context lasts" if tokens is None else f"up to {tokens:,} tokens"
