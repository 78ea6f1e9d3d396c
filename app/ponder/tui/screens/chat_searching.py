"""Words looked for in the thinking of a conversation, also while it streams.

Each trace finds its own hits; here they are counted and walked. Knows traces and the field for
words; changes nothing of what was said.
"""

from __future__ import annotations

from textual import on

from ponder.tui.screens.chat_looking import Looking
from ponder.tui.widgets.composer import Composer
from ponder.tui.widgets.conversation import Conversation
from ponder.tui.widgets.search import SearchBar
from ponder.tui.widgets.trace import TraceView
from ponder.tui.widgets.trace_text import TraceText


class Searching(Looking):
    """Keys that find."""

    _words = ""
    _shown: tuple[TraceView, int] | None = None
    """The trace whose hit is shown, and the number of that hit in it."""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that would do nothing are not shown."""
        if action == "search":
            return bool(self.query(TraceView))
        if action == "hit":
            return bool(self._words)
        return super().check_action(action, parameters)

    def search_for(self, words: str, turn: int | None = None) -> None:
        """Look for words as if somebody had typed them, and show the first hit.

        Args:
            words: literally, upper and lower case as one unless there is an upper-case letter.
            turn: the place in the conversation of the turn to begin with, from 0; None begins
                with the thinking that is looked at.
        """
        turns = self.query_one(Conversation).turns
        first = list(turns[turn].query(TraceView)) if turn is not None and turn < len(turns) else []
        self.run_worker(self._open(words, first), group="search", exclusive=True)

    def action_search(self) -> None:
        """Show the field for words."""
        self.run_worker(self._open(self._words, []), group="search", exclusive=True)

    async def _open(self, words: str, first: list[TraceView]) -> None:
        bars = self.query(SearchBar)
        if not bars:
            await self.mount(SearchBar(), before=self.query_one(Composer))
        bar = self.query_one(SearchBar)
        bar.words = words
        bar.take_focus()
        self._look_for(words, first)

    @on(SearchBar.Wanted)
    def look_for(self, message: SearchBar.Wanted) -> None:
        """As it is typed."""
        self._look_for(message.words, [])

    def _look_for(self, words: str, first: list[TraceView]) -> None:
        before = [self._shown[0]] if self._shown is not None else []
        looked_at = [self.looked_at] if self.looked_at is not None else []
        self._words = words
        self._shown = None
        views = list(self.query(TraceView))
        for view in views:
            view.find(words)
        for view in [*first, *before, *looked_at, *views]:
            if view.hits and view in views:
                self._show(view, 0)
                break
        self._count()
        self.refresh_bindings()

    def _show(self, view: TraceView, hit: int) -> None:
        if self._shown is not None and self._shown[0] is not view:
            self._shown[0].hide_hit()
        self._shown = (view, hit)
        view.show_hit(hit)

    @on(SearchBar.Walked)
    def walk(self, message: SearchBar.Walked) -> None:
        """By key in the field."""
        self.action_hit(message.by)

    def action_hit(self, by: int) -> None:
        """Show another hit, so many further on; after the last one comes the first."""
        views = [view for view in self.query(TraceView) if view.hits]
        total = sum(len(view.hits) for view in views)
        if not total:
            return
        at = self._place(views)
        wanted = (at + by) % total if at is not None else 0
        for view in views:
            if wanted < len(view.hits):
                self._show(view, wanted)
                break
            wanted -= len(view.hits)
        self._count()

    def _place(self, views: list[TraceView]) -> int | None:
        """Which of all hits is shown."""
        if self._shown is None or self._shown[0] not in views:
            return None
        shown, hit = self._shown
        return sum(len(view.hits) for view in views[: views.index(shown)]) + hit

    @on(TraceText.Found)
    def _count(self) -> None:
        """Say how many there are, and which one is shown."""
        views = [view for view in self.query(TraceView) if view.hits]
        for bar in self.query(SearchBar):
            bar.tell(self._place(views), sum(len(view.hits) for view in views))

    @on(TraceView.Made)
    def find_in_it(self, message: TraceView.Made) -> None:
        """In a trace that is new as well."""
        if self._words:
            message.view.find(self._words)

    @on(SearchBar.Closed)
    async def end_search(self) -> None:
        """Look for nothing any more; what was unfolded for a hit is folded again."""
        inside = self.query_one(SearchBar).has_focus_within
        await self.query(SearchBar).remove()
        self._look_for("", [])
        if inside:
            self.query_one(Composer).focus()

    @on(TraceView.Left)
    async def leave_trace(self) -> None:
        """First the search goes, then the focus: back to the composer."""
        if self.query(SearchBar):
            await self.end_search()
        else:
            self.query_one(Composer).focus()
