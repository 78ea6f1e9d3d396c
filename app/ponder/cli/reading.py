"""What the commands share that read a text with a model: options, the text, a progress bar."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ponder import paths
from ponder.errors import InputError
from ponder.settings import read

if TYPE_CHECKING:
    from ponder.library.local import Entry
    from ponder_quantize.logits import Running

Command = TypeVar("Command", bound=Callable[..., Any])
Tell = Callable[[int, int], None]
"""(done, of how many)"""


@dataclass(frozen=True, slots=True)
class Source:
    """A text to read."""

    text: str
    name: str
    """What it is called where it is told of."""


def reading_options(command: Command) -> Command:
    """How much is read at once and in all, and with what."""
    for option in (
        click.option("--threads", type=click.IntRange(min=1), help="CPU threads."),
        click.option("--gpu-layers", type=click.IntRange(min=0), help="Layers on GPUs."),
        click.option("--chunks", type=click.IntRange(min=2), help="Read at most so many chunks."),
        click.option(
            "--chunk",
            type=click.IntRange(16, 2048),
            default=512,
            show_default=True,
            help="Tokens of a chunk.",
        ),
    ):
        command = option(command)
    return command


def read_alone(entry: Entry) -> Path:
    """The file of a model that a text is read with, which goes through no adapters.

    Raises:
        InputError: the model would not be what its name says without them.
    """
    assert entry.path is not None
    if entry.adapters:
        raise InputError(
            f"{entry.name} goes through LoRA adapters, and a text is read without any.",
            f"Name its base if that is what you mean: {entry.path}",
        )
    return entry.path


def load_llama_cpp() -> None:
    """Before anything that brings numpy.

    A CUDA build was seen whose library holds a C++ runtime of its own: it crashed as soon as it
    read a model, unless it was loaded before whatever else needs one.
    """
    import ponder_quantize.logits  # noqa: F401


def running(gpu_layers: int | None, threads: int | None) -> Running:
    """How a model is run: by the options, else by the settings, on a build that works here.

    Raises:
        BuildBroken: llama.cpp does not work here.
    """
    from ponder.assembly import probe_verdict
    from ponder.hardware import prefill_threads
    from ponder_quantize.logits import Running

    own = read(paths.config_file()).engine
    return Running(
        probe_verdict().require().extra_buffers,
        own.gpu_layers if gpu_layers is None else gpu_layers,
        threads or own.threads or prefill_threads(),
    )


def text_of(path: Path | None) -> Source:
    """A file's text, stdin's for `-`, or the calibration set's; less a newline at its end.

    llama.cpp's tools leave that newline out as well.

    Raises:
        InputError: it cannot be read, or is no UTF-8.
    """
    if path is None:
        from ponder_quantize.calibration import NAME, text

        return Source(text(), NAME)
    name = "stdin" if str(path) == "-" else str(path)
    try:
        data = sys.stdin.buffer.read() if name == "stdin" else path.read_bytes()
        return Source(data.decode("utf-8").removesuffix("\n"), name)
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error.strerror}.", "Check the path.") from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"{name} is not UTF-8 text: byte {error.object[error.start]:#04x} at position "
            f"{error.start}.",
            "Convert it first, for example: iconv -f latin1 -t utf-8 FILE",
        ) from error


@contextmanager
def progress(silent: bool, word: str) -> Iterator[Tell]:
    """A bar with the time left on a terminal, a line for each tenth elsewhere."""
    from rich.console import Console

    console = Console(stderr=True)
    if silent:
        yield lambda _done, _of: None
        return
    if not console.is_terminal:
        yield _Lines(word)
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console, transient=True
    ) as bar:
        task = bar.add_task(word, total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)


class _Lines:
    """A line for each tenth, with the time left."""

    def __init__(self, word: str) -> None:
        self._word = word
        self._began = time.monotonic()
        self._told = 0

    def __call__(self, done: int, of: int) -> None:
        from ponder.library.telling import left

        tenth = 10 * done // of if of else 10
        if tenth <= self._told:
            return
        self._told = tenth
        line = f"{self._word}: {done} of {of}"
        if done < of:
            seconds = (time.monotonic() - self._began) / done * (of - done)
            line += f", {left(seconds)} left"
        click.echo(line, err=True)
