"""The line at the bottom: which keys do something at the moment, as many as fit.

Textual's own footer makes a widget of every key, anew each time a question begins or ends:
some 20 ms of processor time that a model on few cores would feel. Knows bindings alone.
"""

from __future__ import annotations

from rich.cells import cell_len
from textual.app import RenderResult
from textual.binding import Binding
from textual.content import Content
from textual.screen import Screen
from textual.style import Style
from textual.widget import Widget


class KeyLine(Widget):
    """One line of keys; a click on one presses it."""

    ALLOW_SELECT = False

    def on_mount(self) -> None:
        """Draw again when other keys begin to do something."""
        self.screen.bindings_updated_signal.subscribe(self, self._changed)

    def _changed(self, screen: Screen[object]) -> None:
        if screen is self.screen:
            self.refresh()

    @property
    def offered(self) -> list[Binding]:
        """The keys that do something, each action once, the list of all keys last."""
        found: dict[str, Binding] = {}
        for active in self.screen.active_bindings.values():
            if active.binding.show and active.enabled:
                found.setdefault(active.binding.action, active.binding)
        keys = found.pop("keys", None) or found.pop("app.keys", None)
        return [*found.values(), *([keys] if keys is not None else [])]

    def render(self) -> RenderResult:
        """The first ones, and always the last."""
        parts = [self._part(binding) for binding in self.offered]
        room = self.size.width - 1
        while len(parts) > 1 and sum(cell_len(part.plain) for part in parts) > room:
            del parts[-2]
        return Content.assemble(" ", *parts)

    def _part(self, binding: Binding) -> Content:
        click = Style.from_meta({"@click": f"app.simulate_key({binding.key!r})"})
        return Content.assemble(
            Content.styled(self.app.get_key_display(binding), "bold $accent"),
            f" {binding.description}",
        ).stylize(click) + Content("  ")
