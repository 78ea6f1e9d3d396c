"""A checkpoint of the hub -> a GGUF among this machine's models, quantized while it comes.

The one place where the library hands the quantizer its shards. Knows in which order things are
done; how each is done is theirs. On the disk are the output and two shards at most, and after
any interruption the same call goes on.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ponder.catalogue import Catalogue
from ponder.errors import NoRoom
from ponder.library import quantized, watching
from ponder.library.hub import Hub
from ponder.library.lock import Lock
from ponder.library.quantized import Wanted
from ponder.library.staging import Staging
from ponder.library.telling import size
from ponder_quantize import events, pipeline
from ponder_quantize.checkpoint import checkpoint_of
from ponder_quantize.plan import Importance, Plan, plan
from ponder_quantize.recipes import recipe
from ponder_quantize.shards import ShardHeader

Event = watching.Event | events.Event
Tell = Callable[[Event], None]
"""Takes what happened. Called from two threads: shards come while others are quantized. What it
raises ends the work, which can be gone on with."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be made, and how."""

    said: str
    """NAME:QUANT, owner/repo:QUANT; see `ponder.library.quantized.wanted`."""
    out: Path | None = None
    """The file; None is a model of that name here."""
    importance: Importance | None = None
    pre: str | None = None
    """The pre-tokenizer, where it would not be recognized."""
    threads: int | None = None
    keep_source: bool = False
    """Whether the shards stay in the staging folder."""
    force: bool = False
    """Whether an output that is there may be replaced."""
    update: bool = False
    """Take the latest commit, whatever was begun with."""
    allow_nonfinite: bool = False


@dataclass(frozen=True, slots=True)
class Opened:
    """A checkpoint whose headers are here, and what is going to be made of it."""

    wish: Wish
    want: Wanted
    staging: Staging
    planned: Plan
    out: Path
    tell: Tell

    @property
    def pending(self) -> tuple[str, ...]:
        """The shards that are still needed."""
        return pipeline.still_needed(self.planned, self.out)

    def carry_out(self) -> Lock | None:
        """Fetch and quantize.

        Returns:
            What was written down of it; None where the output is a file elsewhere.

        Raises:
            LibraryError: a shard did not come, or there is no room; what is done is kept.
            BadCheckpoint: the weights are damaged, or hold what cannot be quantized.
        """
        wish, pending = self.wish, self.pending
        lock: Lock | None = None

        def keep(whole: Path) -> None:
            nonlocal lock
            lock = quantized.keep(self.want, whole, self.staging.commit, self.tell)

        self._see_room(pending)
        self.staging.announce(self.out.name, pending)
        with self.staging.arrivals(pending, wish.keep_source) as arriving:
            pipeline.quantize(
                self.planned,
                self.out,
                threads=wish.threads,
                tell=self.tell,
                force=wish.force,
                allow_nonfinite=wish.allow_nonfinite,
                arriving=arriving,
                release=arriving.release,
                starved=arriving.starved,
                sealing=keep if wish.out is None else None,
            )
        if not wish.keep_source:
            self.staging.discard()
        return lock

    def _see_room(self, pending: tuple[str, ...]) -> None:
        """Output and shards on one disk: each alone would find room."""
        staged = self.staging.need(pending, self.wish.keep_source)
        folder, target = self.staging.folder, self.out.parent
        output = pipeline.need_of(self.planned, self.out)
        if folder.stat().st_dev == target.stat().st_dev:
            staged += output
        free = shutil.disk_usage(folder).free
        if staged > free:
            raise NoRoom(
                f"{size(staged)} are needed on the disk of {folder}: for the output, and for "
                f"{'all' if self.wish.keep_source else 'two'} shards. {size(free)} are free.",
                "Make room, choose a smaller quant, or let -o name a file on another disk.",
            )


@contextmanager
def opened(
    wish: Wish, catalogue: Catalogue, tell: Tell, sleep: Callable[[float], None] = time.sleep
) -> Iterator[Opened]:
    """See what there is, and plan; nothing but headers and words has been fetched then.

    Args:
        wish: what is to be made.
        catalogue: what names mean.
        tell: who is told, until the end of `Opened.carry_out`.
        sleep: what waits between tries.

    Raises:
        UnknownName, InputError: the words name nothing that can be made.
        Busy: another ponder is at the same checkpoint.
        LibraryError: the hub refuses, or cannot be reached.
        BadCheckpoint, UnsupportedModel: it cannot be converted.
    """
    want = quantized.wanted(wish.said, catalogue)
    how = recipe(want.quant)
    if wish.out is None:
        out = quantized.place(want, wish.force)
        out.parent.mkdir(parents=True, exist_ok=True)
    else:
        out = wish.out
        pipeline.see_target(out, wish.force)
    hub = Hub(tell, sleep)
    staging = Staging(want.repository, want.revision, hub, tell, wish.update)
    with staging.alone():
        staging.prepare()
        headers = []
        for shard in staging.shards:
            headers.append(ShardHeader.parse(shard, staging.header(shard)))
            tell(watching.Heading(len(headers), len(staging.shards)))
        source = checkpoint_of(
            staging.folder, headers, lambda file: staging.folder / file, pre=wish.pre
        )
        identity = f"{want.repository}@{staging.commit}"
        yield Opened(wish, want, staging, plan(source, how, identity, wish.importance), out, tell)
