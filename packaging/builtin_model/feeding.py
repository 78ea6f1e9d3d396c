"""Rows of tokens for a trainer that must not wait: made by processes beside it.

Knows processes, files and how often a row was used. Refuses to know examples and the network:
a source, an encoder's close and a tokenizer's file are handed in. Each worker draws its own
examples, encodes and packs them, and leaves shards of whole batches in a folder, in memory
where there is one (/dev/shm): `{length}-{number}-{worker}.npy`, under that name only when
complete. Where the trainer is faster than the workers, shards are used again, a bounded number
of times; beyond that it waits. Both are counted.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import signal
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from builtin_model import tokenizer as vocabulary
from builtin_model.encoding import Encoder, Marked
from builtin_model.packing import Packer

if TYPE_CHECKING:
    from builtin_model.examples import Example, Protocol

    Source = Callable[[int, Protocol], Iterator[Example]]

_DRAWN = 256
"""Examples that are encoded at once."""
_MEMORY = Path("/dev/shm")
_ROOM = 4 << 30
"""Bytes that must be free in memory for shards to be kept there."""
_PAUSE = 0.05
"""Seconds between two looks for a shard, or for room."""


class WorkerDied(RuntimeError):
    """All processes that make rows ended before they were told to."""


@dataclass(frozen=True, slots=True)
class Rows:
    """One kind of row."""

    length: int
    """Tokens that a row predicts; it holds one more."""
    batch: int
    """Rows in a batch."""
    share: float
    """Of all shards that are made, how many are of this kind; shares add up to 1."""
    ahead: int
    """Shards that may lie unread; what is wanted late is made early and needs many."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What workers make rows of."""

    source: Source
    """Examples of a seed, without end; importable by its name: workers are fresh processes."""
    protocol: Protocol
    tokenizer: Path
    seed: int
    rows: tuple[Rows, ...]
    batches: int = 8
    """Batches in a shard."""


@dataclass(slots=True)
class Use:
    """What was read of one kind of row."""

    shards: int = 0
    again: int = 0
    """Shards that were used once more, each time counted."""
    most: int = 0
    """How often the most used shard was used."""
    waited: float = 0.0
    """Seconds without anything to read."""


def default_folder() -> Path:
    """Where shards are kept: in memory if there is room, else where temporary files are."""
    roomy = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _ROOM
    return _MEMORY if roomy else Path(tempfile.gettempdir())


class Feed:
    """Batches from worker processes; a context manager, which ends them and removes all shards."""

    def __init__(
        self,
        recipe: Recipe,
        workers: int,
        uses: int = 4,
        kept: int = 256,
        parent: Path | None = None,
    ) -> None:
        """`uses` is how often a shard is used at most, `kept` how many are held for that."""
        self._recipe = recipe
        self._uses = uses
        self._folder = Path(tempfile.mkdtemp(prefix="ponder-rows-", dir=parent or default_folder()))
        self._kept = {rows.length: deque[tuple[int, Marked]](maxlen=kept) for rows in recipe.rows}
        self._dice = np.random.default_rng(recipe.seed)
        self.used: Mapping[int, Use] = {rows.length: Use() for rows in recipe.rows}
        context = multiprocessing.get_context("spawn")
        self._stop = context.Event()
        self._workers: list[BaseProcess] = [
            context.Process(
                target=work, args=(recipe, number, self._folder, self._stop), daemon=True
            )
            for number in range(workers)
        ]

    def __enter__(self) -> Self:
        # Each worker is one thread; libraries read this when they are loaded.
        threads = {"TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": "1"}
        before = {name: os.environ.get(name) for name in threads}
        os.environ.update(threads)
        for worker in self._workers:
            worker.start()
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for worker in self._workers:
            worker.join(timeout=2)
            if worker.is_alive():
                worker.terminate()
                worker.join()
        shutil.rmtree(self._folder, ignore_errors=True)

    def died(self) -> int:
        """Count the workers that failed; the others go on."""
        return sum(worker.exitcode is not None for worker in self._workers)

    def batches(self, length: int) -> Iterator[Marked]:
        """Yield batches without end: arrays of `batch` rows of `length` + 1 tokens.

        Raises:
            WorkerDied: nothing is left to read, and nobody makes more; why stands on stderr.

        """
        (batch,) = (rows.batch for rows in self._recipe.rows if rows.length == length)
        while True:
            shard = self._next(length)
            for start in range(0, len(shard), batch):
                yield shard[start : start + batch]

    def _next(self, length: int) -> Marked:
        use, kept = self.used[length], self._kept[length]
        since = time.perf_counter()
        while True:
            if (fresh := self._fresh(length)) is not None:
                use.waited += time.perf_counter() - since
                use.shards += 1
                use.most = max(use.most, 1)
                if self._uses > 1:
                    kept.append((1, fresh))
                return fresh
            if kept:
                times, shard = kept.popleft()
                use.waited += time.perf_counter() - since
                use.again += 1
                use.most = max(use.most, times + 1)
                if times + 1 < self._uses:
                    kept.append((times + 1, shard))
                # Other neighbours in the batch this time.
                return shard[self._dice.permutation(len(shard))]
            if self.died() == len(self._workers):
                raise WorkerDied("no process that makes rows is left; stderr says why")
            time.sleep(_PAUSE)

    def _fresh(self, length: int) -> Marked | None:
        there = sorted(self._folder.glob(f"{length}-*.npy"))
        if not there:
            return None
        shard: Marked = np.load(there[0])
        there[0].unlink()
        return shard


def work(recipe: Recipe, number: int, folder: Path, stop: Event) -> None:
    """Make shards until told to stop: the whole life of a worker."""
    # Ctrl-C is for the trainer, which then tells its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The process that feeds the GPU comes first.
    os.nice(5)
    parent = multiprocessing.parent_process()

    def ended() -> bool:
        return stop.is_set() or (parent is not None and not parent.is_alive())

    try:
        _make(recipe, number, folder, ended)
    except FileNotFoundError:
        # Another worker was the first to tidy up.
        if not ended():
            raise
    finally:
        if not stop.is_set() and ended():
            # Killed, it could not tidy up.
            shutil.rmtree(folder, ignore_errors=True)


def _make(recipe: Recipe, number: int, folder: Path, ended: Callable[[], bool]) -> None:
    tokenizer = vocabulary.load(recipe.tokenizer)
    encoder = Encoder.of(tokenizer, recipe.protocol.close)
    (fill,) = tokenizer.encode(recipe.protocol.end, add_special_tokens=False).ids
    # Seeds of workers, and of runs with other seeds, must not meet.
    dice = random.Random(f"{recipe.seed}/{number}")
    examples = recipe.source(dice.getrandbits(48), recipe.protocol)
    kinds = sorted(recipe.rows, key=lambda rows: rows.length)
    packers = {rows.length: Packer(rows.length + 1, fill, dice) for rows in kinds}
    ready: dict[int, list[Marked]] = {rows.length: [] for rows in kinds}
    made = {rows.length: 0 for rows in kinds}
    shards = 0
    while not ended():
        wanted = [rows for rows in kinds if _unread(folder, rows.length) < rows.ahead]
        if not wanted:
            time.sleep(_PAUSE)
            continue
        # The kind that one more shard brings least beyond its share.
        rows = min(wanted, key=lambda rows: (made[rows.length] + 1) / rows.share)
        waiting = ready[rows.length]
        size = rows.batch * recipe.batches
        while len(waiting) < size and not ended():
            for sequence in encoder.encode(list(islice(examples, _DRAWN))):
                # One that is too long for this row is kept for the shortest that holds it.
                room = max(len(sequence), rows.length + 1)
                home = next((kind.length for kind in kinds if kind.length + 1 >= room), None)
                if home is not None:
                    packers[home].add([sequence])
            waiting += packers[rows.length].rows()
        if len(waiting) >= size:
            _write(folder / f"{rows.length}-{shards:06}-{number:03}.npy", waiting[:size])
            del waiting[:size]
            made[rows.length] += 1
            shards += 1


def _unread(folder: Path, length: int) -> int:
    return sum(1 for _ in folder.glob(f"{length}-*.npy"))


def _write(file: Path, rows: list[Marked]) -> None:
    part = file.with_suffix(".part")
    with part.open("wb") as stream:
        np.save(stream, np.stack(rows))
    part.replace(file)
