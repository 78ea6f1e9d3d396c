"""What is done to files at the moment, or how it ended: for each stage a bar, bytes, rate, time
left; and a word.

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
from ponder.tui.jobs import Job, State
from ponder.tui.labels import bar, fitting
from ponder.tui.progress import Stage

_BAR = 40
"""Cells of the bar, at most."""
_DOING = {"fetch": "fetching", "check": "checking", "quantize": "quantizing"}


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
    """A job that runs, in two lines for each stage: a bar as long as there is room, then figures,
    of which those that matter least give way."""
    stopping = "stopping: " if job.state is State.STOPPING else ""
    stages = job.progress.stages
    if not stages:
        return [f"{stopping}{_DOING[job.verb]} {job.name}"]
    first, *others = stages
    lines = _stage(first, f"{stopping}{first.doing} {job.name}", width)
    for stage in others:
        lines += _stage(stage, stage.doing, width)
    return lines


def _stage(stage: Stage, what: str, width: int) -> list[str]:
    room = width - cell_len(what) - len("  100%  ")
    what += f"  {stage.share:4.0%}"
    what += f"  {bar(stage.share, min(room, _BAR))}" if room >= 4 else ""
    parts = [(f"{size(stage.done)} of {size(stage.size)}", 6)]
    if stage.files > 1:
        parts.append((f"file {stage.file} of {stage.files}", 2))
    if stage.rate > 0:
        parts.append((f"{size(stage.rate)}/s", 3))
        if not stage.over:
            parts.append((f"{left((stage.size - stage.done) / stage.rate)} left", 4))
    return [what, fitting(parts, width)]


def brief(job: Job | None) -> str:
    """A job that runs, for the line at the top of the chat; empty for any other."""
    if job is None or job.over:
        return ""
    stage = job.progress.last
    share = f" {stage.share:.0%}" if stage is not None else ""
    name = job.name.partition(":")[0].rpartition("/")[2]
    return f"{stage.doing if stage is not None else _DOING[job.verb]} {name}{share}"


def _stopped(job: Job) -> str:
    if job.verb == "check":
        return "stopped; nothing was changed."
    stage = job.progress.last
    at = f" at {size(stage.done)} of {size(stage.size)}" if stage is not None else ""
    if job.verb == "quantize":
        return f"stopped{at}. What is done is kept: making it again goes on from there."
    return f"stopped{at}. What has come is kept: enter goes on from there."
