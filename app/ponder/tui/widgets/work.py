"""What is done to files at the moment, or how it ended: a bar, bytes, rate, time left, and a word.

Knows jobs and widths.
"""

from __future__ import annotations

from rich.cells import cell_len
from textual.app import RenderResult
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from ponder.library.telling import left, size
from ponder.printable import safe
from ponder.tui.jobs import Job, Progress, State
from ponder.tui.labels import bar, fitting

_BAR = 40
"""Cells of the bar, at most."""
_DOING = {"fetch": "fetching", "check": "checking"}


class WorkView(Widget):
    """One job, as many rows as it needs; none where there is none."""

    job: reactive[Job | None] = reactive(None, layout=True, always_update=True)
    queue: reactive[tuple[str, ...]] = reactive((), layout=True)
    """Names that wait for their turn."""

    def watch_job(self, job: Job | None) -> None:
        """Take no room for nothing."""
        self.display = job is not None

    def render(self) -> RenderResult:
        """What it does and what was told last; the end of it in its place."""
        job = self.job
        if job is None:
            return ""
        lines = [self._first(job), *self._more(job)]
        if self.queue:
            lines.append(Content.styled(f"then: {safe(', '.join(self.queue))}", "dim"))
        return Content("\n").join(lines)

    def _first(self, job: Job) -> Content:
        if job.state is State.DONE:
            return Content.styled(safe(job.outcome.text), "$text-success")
        if job.state is State.STOPPED:
            return Content.styled(safe(f"{job.name}: {_stopped(job)}"), "$text-warning")
        if job.state is State.FAILED and job.error is not None:
            return Content.styled(safe(job.error.message), "$text-error")
        return Content(safe("\n".join(running(job, self.content_size.width))))

    def _more(self, job: Job) -> list[Content]:
        told = ""
        if job.state is State.FAILED and job.error is not None:
            told = job.error.hint
        elif not job.over:
            told = job.progress.note
        return [Content.styled(safe(told), "dim")] if told else []


def running(job: Job, width: int) -> list[str]:
    """A job that runs, in two lines: a bar as long as there is room, then figures, of which those
    that matter least give way."""
    progress = job.progress
    word = progress.doing or _DOING[job.verb]
    first = f"{'stopping: ' if job.state is State.STOPPING else ''}{word} {job.name}"
    if not progress.size:
        return [first]
    share = progress.done / progress.size
    room = width - cell_len(first) - len("  100%  ")
    first += f"  {share:4.0%}" + (f"  {bar(share, min(room, _BAR))}" if room >= 4 else "")
    parts = [(f"{size(progress.done)} of {size(progress.size)}", 6)]
    if progress.rate > 0:
        parts.append((f"{size(progress.rate)}/s", 3))
        if progress.done < progress.size:
            parts.append((f"{left((progress.size - progress.done) / progress.rate)} left", 4))
    return [first, fitting(parts, width)]


def brief(job: Job | None) -> str:
    """A job that runs, for the line at the top of the chat; empty for any other."""
    if job is None or job.over:
        return ""
    progress = job.progress
    share = f" {progress.done / progress.size:.0%}" if progress.size else ""
    name = job.name.partition(":")[0].rpartition("/")[2]
    return f"{progress.doing or _DOING[job.verb]} {name}{share}"


def _stopped(job: Job) -> str:
    if job.verb != "fetch":
        return "stopped; nothing was changed."
    return f"stopped{_at(job.progress)}. What has come is kept: enter goes on from there."


def _at(progress: Progress) -> str:
    if not progress.size:
        return ""
    return f" at {size(progress.done)} of {size(progress.size)}"
