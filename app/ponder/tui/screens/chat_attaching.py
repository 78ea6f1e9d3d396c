"""What goes with a question: files, the questions of the past, an editor; and whether it all fits.

Knows the composer and the screens that ask. Whether it fits is foretold by the session, with the
code that decides it when the question is asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import on, work
from textual.app import SuspendNotSupported
from textual.timer import Timer
from textual.widgets import Static, TextArea

from ponder import paths
from ponder.attachments import Attachment, split, wrapped
from ponder.errors import HistoryError, PonderError
from ponder.history.store import History
from ponder.tui import editor, pump
from ponder.tui.screens.chat_base import ChatBase
from ponder.tui.widgets.composer import Composer

if TYPE_CHECKING:
    from ponder.session import Forecast

PAUSE = 0.4
"""Seconds without a key after which it is looked whether the question fits."""
RECALLED = 500
"""Questions of the past that can be walked through."""


class AttachedLine(Static):
    """The files that go with the next question, in a line."""


class Attaching(ChatBase):
    """Keys that add to what is asked."""

    attached: list[Attachment]
    forecast: Forecast | None = None
    _counted: dict[str, int]
    """Tokens of files that went with questions, by the text that they are."""
    _attached_tokens = 0
    _pause: Timer | None = None

    def with_files(self, question: str) -> str:
        """What is asked, files included."""
        return wrapped(self.attached, question)

    def tokens_of(self, asked: str) -> int:
        """Tokens of the files before a question; 0 where that is not known."""
        return self._counted.get(asked.removesuffix(split(asked)[1]), 0)

    def sent_off(self) -> None:
        """The question was taken: what went with it is no longer there for the next one."""
        self._counted[wrapped(self.attached, "")] = self._attached_tokens
        self.attached = []
        self._forget()

    # -- does it fit? -------------------------------------------------------------------

    @property
    def warning(self) -> str:
        """What is to be known of the next question before it is asked; empty for nothing."""
        seen = self.forecast
        if seen is None:
            return ""
        if not seen.fits:
            return f"too long: {seen.prompt:,} tokens, the context holds {seen.n_ctx:,} · alt+g"
        if seen.left_out:
            turns = seen.left_out // 2
            some = "1 earlier turn" if turns == 1 else f"{turns:,} earlier turns"
            return f"{some} would be left out · alt+g shows which"
        return ""

    @on(TextArea.Changed)
    def look_ahead(self) -> None:
        """Once nobody types for a moment."""
        if self._pause is not None:
            self._pause.stop()
        self._pause = self.set_timer(PAUSE, self.foretell)

    @work(group="forecast", exclusive=True)
    async def foretell(self) -> None:
        """Find out whether it fits, and show it."""
        if not self.query(Composer):
            return  # the screen goes
        question = self.query_one(Composer).question
        if not question and not self.attached:
            if self.forecast is not None:
                self._forget()
            return
        files = list(self.attached)
        try:
            look = self.dialogue.foretelling(
                wrapped(files, question), self.wanted(), self.instead_of
            )
            if look is None:
                self._forget()
                return
            self.forecast, self._attached_tokens = await pump.aside(
                lambda: (look(), self.dialogue.tokens(wrapped(files, "")) if files else 0),
                "ponder-forecast",
            )
        except PonderError:
            # It is told when it is asked.
            self.forecast = None
        if not self.query(AttachedLine):
            return  # the screen has gone meanwhile
        self._show_attached()
        self.show_budget()

    def _forget(self) -> None:
        self.forecast, self._attached_tokens = None, 0
        self._show_attached()
        self.show_budget()

    def _show_attached(self) -> None:
        line = self.query_one(AttachedLine)
        line.display = bool(self.attached)
        count = len(self.attached)
        parts = ["1 file" if count == 1 else f"{count:,} files"]
        if self._attached_tokens:
            parts.append(f"{self._attached_tokens:,} tokens")
        if self.forecast is not None:
            parts.append(f"{self.forecast.left:,} left for thinking and answer")
        names = ", ".join(file.name for file in self.attached[:3]) + (", …" if count > 3 else "")
        line.update(" · ".join([*parts, names]))

    # -- keys ---------------------------------------------------------------------------

    @work(group="dialog", exclusive=True)
    async def action_attach(self) -> None:
        """Choose files."""
        from ponder.tui.screens.attach import AttachScreen

        self.app.clear_notifications()
        screen = AttachScreen(self.attached, self.dialogue.tokens)
        self.attached = await self.app.push_screen_wait(screen)
        self._show_attached()
        self.foretell()

    @work(group="dialog", exclusive=True)
    async def action_context(self) -> None:
        """Show what the next question would be sent with."""
        from ponder.tui.screens.context import ContextScreen, Part

        self.app.clear_notifications()
        question, files = self.query_one(Composer).question, list(self.attached)
        try:
            look = self.dialogue.foretelling(
                wrapped(files, question), self.wanted(), self.instead_of
            )
        except PonderError as error:
            self.tell(error)
            return
        if look is None:
            self.notify("There is no model yet.", markup=False)
            return
        tokens, messages = self.dialogue.tokens, self.dialogue.sent(self.instead_of)

        def measure() -> tuple[Forecast, list[Part]]:
            seen, parts, left_out = look(), [], 0
            for message in messages:
                what: str = message.role
                if message.role != "system":
                    what = "question" if message.role == "user" else "answer"
                    left_out += 1
                brief = " ".join(split(message.content)[1].split())[:60]
                gone = message.role != "system" and left_out <= seen.left_out
                parts.append(Part(f"{what}: {brief}", tokens(message.content), gone))
            parts += [Part(f"file: {file.name}", tokens(wrapped([file], ""))) for file in files]
            if question:
                parts.append(Part("the next question", tokens(question)))
            return seen, parts

        try:
            seen, parts = await pump.aside(measure, "ponder-context")
        except PonderError as error:
            self.tell(error)
            return
        await self.app.push_screen_wait(ContextScreen(parts, seen.prompt, seen.n_ctx))

    def action_editor(self) -> None:
        """Write the question in the user's own editor."""
        composer = self.query_one(Composer)
        text, trouble = "", None
        try:
            with self.app.suspend():
                # Nothing may be raised in here: Textual would not take the terminal back.
                try:
                    text = editor.edited(composer.whole)
                except PonderError as error:
                    trouble = error
        except SuspendNotSupported:
            self.notify("This terminal cannot be lent to an editor.", markup=False)
            return
        if trouble is None:
            composer.take(text)
        else:
            # What was written in the composer is still there.
            self.ponder.warn(trouble)

    @on(Composer.Recalling)
    @work(group="recall", exclusive=True)
    async def recall(self, message: Composer.Recalling) -> None:
        """Fetch the questions of the past."""

        def read() -> list[str]:
            if not paths.history_file().exists():
                return []
            with History(paths.history_file()) as history:
                return history.questions(RECALLED)

        try:
            found = await pump.aside(read, "ponder-recall")
        except HistoryError as error:
            self.ponder.warn(error)
            found = []
        asked = [split(question)[1].strip() for question in found]
        message.composer.earlier = [question for question in dict.fromkeys(asked) if question]
        message.composer.walk(1)
