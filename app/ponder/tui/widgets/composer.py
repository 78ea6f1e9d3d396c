"""Where questions are written: enter asks, ctrl+j breaks the line, a long paste is no trouble.

Knows text and keys; knows nothing of models. What could not be asked stays in it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, Literal

from rich.text import Text
from textual import events
from textual.binding import BindingType
from textual.message import Message
from textual.strip import Strip
from textual.widgets import TextArea

from ponder.printable import safe
from ponder.tui.screens import bindings

LONG_PASTE = 20_000
"""Characters from which a paste is kept aside and only named in the text: laying out a
megabyte in an editor of eight lines helps nobody."""


class Composer(TextArea):
    """A text area that asks."""

    BINDINGS: ClassVar[list[BindingType]] = bindings.COMPOSER

    @dataclass
    class Asked(Message):
        """A question was sent off; who cannot take it gives it back."""

        composer: Composer
        question: str
        draft: str
        """As it stood in the composer."""

    @dataclass
    class Recalling(Message):
        """The questions of the past are wanted, and then `walk`."""

        composer: Composer

    def __init__(self) -> None:
        super().__init__(
            soft_wrap=True,
            show_line_numbers=False,
            tab_behavior="focus",
            placeholder="Ask something",
            highlight_cursor_line=False,
        )
        self._pasted: dict[str, str] = {}
        self.earlier: list[str] | None = None
        """Questions of the past, the newest first; None until they are wanted."""
        self._back = 0
        """How far back the one that is shown lies; 0 is what is being written."""
        self._versions: dict[int, str] = {}
        """What was written in each place, so that walking on loses nothing."""

    @property
    def whole(self) -> str:
        """What is written, pastes that were kept aside included."""
        if not self._pasted:
            return self.text
        # All at once: a paste may hold the name of another one.
        names = "|".join(map(re.escape, self._pasted))
        return re.sub(names, lambda name: self._pasted[name.group()], self.text)

    @property
    def question(self) -> str:
        """What is asked."""
        return self.whole.strip()

    def get_line(self, line_index: int) -> Text:
        """How a line looks: what a terminal would obey is shown as a picture of itself."""
        return Text(safe(self.document.get_line(line_index)), end="", no_wrap=True)

    def render_line(self, y: int) -> Strip:
        """A row; where there is no room at all Textual fails at wrapping its placeholder."""
        return super().render_line(y) if self.content_size.width > 0 else Strip.blank(0)

    def give_back(self, draft: str) -> None:
        """Put what was sent off before what has been written since."""
        written = self.text
        self.text = f"{draft}\n{written}" if written else draft
        self.move_cursor(self.document.end)

    def take(self, text: str) -> None:
        """Hold another text."""
        self.text = self._set_aside(text) if len(text) > LONG_PASTE else text
        self.move_cursor(self.document.end)

    # -- the questions of the past --------------------------------------------------------

    def action_cursor_up(self, select: bool = False) -> None:
        """A row up; from the first one, to the question before."""
        if not select and self.navigator.is_first_wrapped_line(self.cursor_location):
            self.walk(1)
        else:
            super().action_cursor_up(select)

    def action_cursor_down(self, select: bool = False) -> None:
        """A row down; from the last one, back towards what was being written."""
        last = self.navigator.is_last_wrapped_line(self.cursor_location)
        if self._back and not select and last:
            self.walk(-1)
        else:
            super().action_cursor_down(select)

    def walk(self, by: Literal[1, -1]) -> None:
        """Show a question further back in the past, or less far."""
        if self.earlier is None:
            self.post_message(self.Recalling(self))
            return
        at = self._back + by
        if not 0 <= at <= len(self.earlier):
            if by > 0:
                super().action_cursor_up()
            return
        self._versions[self._back] = self.whole
        self._back = at
        self.take(self._versions[at] if at in self._versions else self.earlier[at - 1])
        if by > 0:
            self.move_cursor((0, 0))  # from where the next press goes on

    def action_ask(self) -> None:
        """Send off what is written."""
        question, draft = self.question, self.text
        if question:
            if self.earlier is not None:
                self.earlier = [question, *(one for one in self.earlier if one != question)]
            self._back, self._versions = 0, {}
            # Emptied at once: what is typed from now on is the next question.
            self.text = ""
            self.post_message(self.Asked(self, question, draft))

    async def _on_key(self, event: events.Key) -> None:
        # In the order in which keys were pressed: a binding with priority would overtake the
        # letters that are still on their way here.
        if event.is_printable:
            return
        active = self.screen.active_bindings.get(event.key)
        if active is None or active.node is not self:
            return
        own = {"ask": self.action_ask, "newline": self.action_newline}
        act = own.get(active.binding.id or "")
        if act is not None:
            event.prevent_default()
            event.stop()
            act()

    def action_newline(self) -> None:
        """Break the line."""
        self.insert("\n")

    async def _on_paste(self, event: events.Paste) -> None:
        if len(event.text) > LONG_PASTE:
            event.prevent_default()
            event.stop()
            self.insert(self._set_aside(event.text))

    def _set_aside(self, text: str) -> str:
        name = f"[paste {len(self._pasted) + 1}: {len(text):,} characters]"
        self._pasted[name] = text
        return name
