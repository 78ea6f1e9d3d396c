"""A checkpoint of the hub, shard by shard, in a folder of ponder's own.

What is wanted is what can be made of a checkpoint, not the checkpoint: its shards are fetched one
after another, each is checked and handed on, and goes when nobody needs it any more. Two of them
are on the disk at most, unless whoever reads them needs a third to go on. Their headers are
fetched before, so that all tensors are known before the first weight has come. Knows files of
the hub and nothing of what is in them; the caches that other tools share are not touched.
"""

from __future__ import annotations

import shutil
import threading
from collections import deque
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import TracebackType

import msgspec

from ponder import paths
from ponder.alone import alone
from ponder.errors import InputError, WrongBytes
from ponder.library.fetching import Order, fetch, unwritable
from ponder.library.hub import Hub, Listing
from ponder.library.watching import Event, Planned, Tell

_SMALL = 64 << 20
"""Bytes; what is larger, and no shard, has nothing to do with tokens, templates or shapes."""
_BESIDE = (".json", ".jinja", ".txt", "README.md")
"""How files end that say how a checkpoint is to be read."""
_LONGEST_HEADER = 100 << 20
"""Bytes: what the safetensors library accepts at most."""
_USUAL_HEADER = 256 << 10
"""Bytes that one question brings: headers of shards are shorter as a rule."""
_ROOM = 2
"""Shards on the disk at the same time."""


@dataclass(frozen=True, slots=True)
class _Staged(Order):
    """A file that is to be in a staging folder, not in a cache."""

    @property
    def place(self) -> Path:
        return self.cache / self.remote.file

    @property
    def blob(self) -> Path:
        return self.place

    @property
    def partial(self) -> Path:
        return self.place.with_name(f".{self.place.name}.{self.remote.etag[:16]}.incomplete")

    @property
    def lock(self) -> Path:
        return self.cache.parent / "files.lock"


class _Pin(msgspec.Struct, frozen=True):
    """Which commit a staging folder holds files of."""

    asked: str
    revision: str


class _StoppedError(Exception):
    """Nobody wants the shards any more."""


class Staging:
    """The files of one checkpoint at one commit, while something is made of them.

    Args:
        repository: owner/name.
        revision: branch, tag or commit; the commit that it is now is kept to until `discard`.
        hub: where it is.
        tell: who is told; from the thread that fetches shards too.
        update: take the latest commit, whatever was begun with.
    """

    def __init__(
        self, repository: str, revision: str, hub: Hub, tell: Tell, update: bool = False
    ) -> None:
        self.repository = repository
        self._asked = revision
        self._hub = hub
        self._tell = tell
        self._update = update
        self._root = paths.cache_dir() / "checkpoints" / repository.replace("/", "--")
        self.commit = ""
        self.shards: tuple[str, ...] = ()
        """Their names, in order."""
        self.sizes: dict[str, int] = {}
        """Bytes of each."""
        self._listing = Listing("", {})
        self._orders: dict[str, Order] = {}

    @property
    def folder(self) -> Path:
        """Where the files are; it is called what the repository is called."""
        return self._root / self.repository.partition("/")[2]

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else stages this checkpoint.

        Raises:
            Busy: somebody does.
        """
        path = self._root.parent / f"{self._root.name}.lock"
        with alone(path, f"making something of {self.repository}"):
            yield

    def prepare(self) -> None:
        """Have everything here but the shards: what says how to read them.

        Raises:
            InputError: there is no safetensors checkpoint in the repository.
            LibraryError: the hub refuses, or cannot be reached, or contradicts itself.
        """
        try:
            listing = self._resolved()
            beside = [
                file
                for file, (size, _) in listing.files.items()
                if "/" not in file and file.endswith(_BESIDE) and size <= _SMALL
            ]
            self.shards = self._shards_of(listing)
            self.sizes = {shard: listing.files[shard][0] for shard in self.shards}
            for file in beside:
                fetch(self._order(file, listing), self._hub, lambda _event: None)
            self._listing = listing
        except OSError as error:
            raise unwritable(error, self._root) from error

    def announce(self, name: str, pending: Collection[str]) -> None:
        """Tell what is going to be fetched: so many of the shards."""
        size = sum(self.sizes[shard] for shard in pending)
        here = sum(self._here(self._order_of(shard)) for shard in pending)
        self._tell(Planned(name, self.repository, self.commit, len(pending), size, here))

    def need(self, pending: Collection[str], keep: bool = False) -> int:
        """Bytes that the disk needs room for: the two largest of the shards, or all of them."""
        sizes = sorted((self.sizes[shard] for shard in pending), reverse=True)
        sizes = sizes if keep else sizes[:_ROOM]
        here = sum(self._here(self._order_of(shard)) for shard in pending)
        return max(0, sum(sizes) - here)

    def _resolved(self) -> Listing:
        """What there is at the commit that was begun with, or at the one it is now."""
        path = self._root / "pin.json"
        pin = None
        if not self._update:
            with suppress(OSError, msgspec.DecodeError):
                pin = msgspec.json.decode(path.read_bytes(), type=_Pin)
        known = pin.revision if pin is not None and pin.asked == self._asked else ""
        listing = self._hub.listing(self.repository, known or self._asked)
        if listing.commit != known:
            # Shards of another commit are no use.
            shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.encode(_Pin(self._asked, listing.commit)))
        self.commit = listing.commit
        return listing

    def _shards_of(self, listing: Listing) -> tuple[str, ...]:
        weights = [file for file in listing.files if file.endswith(".safetensors")]
        # Some repositories hold the same weights a second time in their authors' own form.
        shards = [file for file in weights if PurePosixPath(file).name.startswith("model")]
        found = tuple(sorted(file for file in shards if "/" not in file))
        if not found:
            pickled = any(file.endswith((".bin", ".pt", ".pth")) for file in listing.files)
            raise InputError(
                f"{self.repository} has no checkpoint in safetensors"
                + (", only in pickles, which are programs." if pickled else "."),
                "Look for a repository with model.safetensors in it.",
            )
        return found

    def _order_of(self, shard: str) -> Order:
        """What the hub says of a shard, asked for when it is needed first: R1 has 163."""
        if shard not in self._orders:
            self._orders[shard] = self._order(shard, self._listing)
        return self._orders[shard]

    def _order(self, file: str, listing: Listing) -> Order:
        remote = self._hub.remote(self.repository, listing.commit, file)
        size, sha256 = listing.files[file]
        if remote.size != size or (sha256 and len(remote.etag) == 64 and remote.etag != sha256):
            raise WrongBytes(
                f"{self._hub.host} contradicts itself about {file}.",
                "Try another mirror (HF_ENDPOINT), or none.",
            )
        return _Staged(self.repository, remote, sha256, self.folder)

    @staticmethod
    def _here(order: Order) -> int:
        for path in (order.place, order.partial):
            with suppress(OSError):
                return min(path.stat().st_size, order.remote.size)
        return 0

    def header(self, shard: str) -> bytes:
        """The first bytes of a shard, up to its first weight; the shard need not be here.

        Raises:
            LibraryError: the hub does not give them, or they are not what begins a shard.
        """
        kept = self._root / f"{shard}.{self._order_of(shard).remote.etag[:16]}.header"
        with suppress(OSError):
            return kept.read_bytes()
        data = self._first(shard, min(_USUAL_HEADER, self.sizes[shard]))
        length = int.from_bytes(data[:8], "little")
        if not 2 <= length <= min(_LONGEST_HEADER, self.sizes[shard] - 8):
            raise WrongBytes(
                f"{shard} of {self.repository} does not begin like a safetensors file.",
                "It is damaged, or none: its owners would have to mend it.",
            )
        if len(data) < 8 + length:
            data = self._first(shard, 8 + length)
        data = data[: 8 + length]
        part = kept.with_suffix(".part")
        try:
            part.write_bytes(data)
            part.replace(kept)
        except OSError as error:
            raise unwritable(error, kept) from error
        return data

    def _first(self, shard: str, count: int) -> bytes:
        order = self._order_of(shard)
        url = self._hub.url(self.repository, self.commit, shard)
        retries = self._hub.retries()
        while True:
            data = bytearray()
            try:
                with self._hub.stream(url, 0, count) as response:
                    for chunk in response.iter_bytes():
                        data += chunk
                        if len(data) >= count:
                            break
                if len(data) < count:
                    raise EOFError("it ended early")
                return bytes(data[:count])
            except EOFError as error:
                raise WrongBytes(
                    f"{self._hub.host} has fewer bytes of {shard} than it said.",
                    "That is the mirror's fault: try another (HF_ENDPOINT).",
                ) from error
            except Exception as error:
                told = self._hub.explained(error, self.repository, self.commit, order.remote.file)
                if not told.passing:
                    raise told.error from error
                retries.pause(told)

    def arrivals(self, pending: Collection[str], keep: bool = False) -> Arrivals:
        """Fetch some of the shards, in order.

        Args:
            pending: those that are needed.
            keep: whether they stay when they have been used.
        """
        orders = [self._order_of(shard) for shard in self.shards if shard in pending]
        return Arrivals(orders, self._hub, self._tell, keep)

    def discard(self) -> None:
        """Remove the folder, with everything in it."""
        shutil.rmtree(self._root, ignore_errors=True)


class Arrivals:
    """Shards as they come. Fetched on a thread of its own; a context, an iterator of names.

    Two are on the disk at most, until whoever reads them is starved.
    """

    def __init__(
        self,
        orders: list[Order],
        hub: Hub,
        tell: Tell,
        keep: bool,
    ) -> None:
        self._orders = orders
        self._hub = hub
        self._tell = tell
        self._keep = keep
        self._changed = threading.Condition()
        self._come: deque[str] = deque()
        self._held: set[str] = set()
        """Whole, and not released."""
        self._fetched = 0
        self._starved = False
        """Whether somebody cannot go on without one more."""
        self._stopped = False
        self._over = False
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="ponder-shards", daemon=True)

    def __enter__(self) -> Arrivals:
        self._thread.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        # A connection that says nothing is not waited for: what has come is on the disk.
        self._thread.join(1.0)

    def __iter__(self) -> Arrivals:
        return self

    def __next__(self) -> str:
        with self._changed:
            self._changed.wait_for(lambda: self._come or self._over)
            if self._come:
                return self._come.popleft()
            if self._error is not None:
                raise self._error
            raise StopIteration

    def starved(self, taken: int) -> None:
        """Nothing more can be done with the shards that were taken: one more may come.

        Args:
            taken: how many that were, so that one that has just come is used first.
        """
        with self._changed:
            self._starved = taken == self._fetched
            self._changed.notify_all()

    def release(self, shard: str) -> None:
        """A shard is not needed any more."""
        with self._changed:
            self._held.discard(shard)
            if not self._keep:
                for order in self._orders:
                    if order.remote.file == shard:
                        order.place.unlink(missing_ok=True)
            self._changed.notify_all()

    def _run(self) -> None:
        try:
            for order in self._orders:
                self._wait_for_room()
                fetch(order, self._hub, self._heard)
                with self._changed:
                    self._fetched += 1
                    self._starved = False
                    self._held.add(order.remote.file)
                    self._come.append(order.remote.file)
                    self._changed.notify_all()
        except _StoppedError:
            pass
        except OSError as error:
            self._error = unwritable(error, self._orders[0].cache)
        except Exception as error:  # noqa: BLE001 - handed on to the thread that reads
            self._error = error
        finally:
            with self._changed:
                self._over = True
                self._changed.notify_all()

    def _wait_for_room(self) -> None:
        with self._changed:
            self._changed.wait_for(
                lambda: self._stopped or self._keep or self._starved or len(self._held) < _ROOM
            )
            if self._stopped:
                raise _StoppedError

    def _heard(self, event: Event) -> None:
        if self._stopped:
            raise _StoppedError
        self._tell(event)
