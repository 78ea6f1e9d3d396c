"""One file of the hub -> the Hugging Face cache, whole or not at all.

huggingface_hub's own downloads begin anew after every interruption: each process has a file of
its own, and throws it away. 40 GB want better. So its client and its locks are used, but the
bytes go to one file of a name that is known beforehand (`<etag>.incomplete`, as it used to be),
each to its own place: what is there is gone on from by whoever comes next, and two writers on a
disk whose locks do not hold write the same bytes to the same places. A file gets the name that
others look for only when its hash is right.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from ponder.errors import HubUnreachable, LibraryError, NoRoom, WrongBytes
from ponder.library import hfcache, xet
from ponder.library.alone import alone
from ponder.library.hashing import Pace, digests
from ponder.library.hub import Hub, Remote
from ponder.library.refusals import Refusal
from ponder.library.watching import Checked, Noted, Receiving, Tell, Wrong

if TYPE_CHECKING:
    import httpx2

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True, slots=True)
class Order:
    """A file that is to be in the cache, and what it has to be."""

    repository: str
    remote: Remote
    sha256: str
    """Empty where the hub names another hash."""
    cache: Path

    @property
    def partial(self) -> Path:
        """Where it grows."""
        return hfcache.incomplete(self.cache, self.repository, self.remote.etag)

    @property
    def blob(self) -> Path:
        """Where its content is when it is whole."""
        return hfcache.blob(self.cache, self.repository, self.remote.etag)

    @property
    def place(self) -> Path:
        """The name that others look for."""
        remote = self.remote
        return hfcache.snapshot(self.cache, self.repository, remote.commit, remote.file)

    @property
    def lock(self) -> Path:
        """What is locked while it is fetched."""
        return hfcache.lock_file(self.cache, self.repository, self.remote.etag)


def have(order: Order) -> int:
    """Bytes of a file that are here already, whole or in part; at most its size."""
    for path in (order.place, order.blob, order.partial):
        with suppress(OSError):
            size = path.stat().st_size
            return size if size <= order.remote.size else 0
    return 0


def fetch(order: Order, hub: Hub, tell: Tell) -> tuple[str, bool]:
    """See to it that a file is at its place in the cache, and what it has to be.

    Returns:
        Its sha256, and whether it had to be fetched.

    Raises:
        HubUnreachable: it did not come to an end; what came is kept.
        HubRefused: the hub does not give it any more.
        WrongBytes: it came twice, and was wrong twice; or it has not the size it is said to.
        NoRoom: the disk is full; what came is kept.
        OSError: the cache cannot be written.
        Stopped: `tell` or the hub's `sleep` say so; what came is kept.
    """
    for path in (order.blob, order.place):
        path.parent.mkdir(parents=True, exist_ok=True)
    # Neither another ponder nor huggingface_hub itself.
    with alone(order.lock, order.remote.file, tell, hub.sleep):
        sha256 = _already(order, tell)
        fetched = not sha256
        if fetched:
            sha256 = _come(order, hub, tell)
            order.partial.replace(order.blob)
            if os.path.lexists(order.place) and not _same(order.place, order.blob):
                # A damaged copy (there are no links on Windows), or a link that leads nowhere.
                order.place.unlink()
    _link(order, hub)
    return sha256, fetched


def _already(order: Order, tell: Tell) -> str:
    """The sha256 of a file that is here; empty if none is, or it is not what it has to be."""
    seen: list[Path] = []
    for path in (order.place, order.blob):
        if path.is_file() and not any(_same(path, other) for other in seen):
            sha256, wrong = _judged(order, path, tell)
            if not wrong:
                return sha256
            tell(wrong)
            seen.append(path)
    return ""


def _judged(order: Order, path: Path, tell: Tell) -> tuple[str, Wrong | None]:
    """A file's sha256, and what is wrong with it."""
    etag, name = order.remote.etag, order.remote.file
    by_git = not order.sha256 and len(etag) == 40
    sha256, sha1 = digests(path, name, tell, git=by_git)
    expected, found = (etag, sha1) if by_git else (order.sha256 or sha256, sha256)
    if found != expected:
        return sha256, Wrong(name, expected, found)
    if not by_git and not order.sha256:
        tell(Noted(f"{name}: the hub names no hash of it; it is written down as it came."))
    tell(Checked(name, sha256))
    return sha256, None


def _come(order: Order, hub: Hub, tell: Tell) -> str:
    """Fetch a file, a second time if it is wrong; gives its sha256."""
    for again in (True, False):
        _receive(order, hub, tell, by_xet=again and xet.usable(order.remote))
        sha256, wrong = _judged(order, order.partial, tell)
        if wrong is None:
            return sha256
        order.partial.unlink()
        if again:
            tell(wrong)
    assert wrong is not None
    raise WrongBytes(
        f"{order.remote.file} came twice and was wrong twice: its hash is {wrong.found}, "
        f"and has to be {wrong.expected}.",
        f"{hub.host}, or something on the way from it, gives out other bytes. Try another "
        "mirror (HF_ENDPOINT).",
    )


def _receive(order: Order, hub: Hub, tell: Tell, by_xet: bool) -> None:
    """Fetch what is missing of a file."""
    retries, pace = hub.retries(), Pace()
    name, size = order.remote.file, order.remote.size
    while True:
        with _Sink(order) as sink:
            tell(Receiving(name, sink.at, size))
            if sink.at == size:
                sink.settle()
                return
            try:
                source = (
                    xet.chunks(order.remote, hub.headers(), sink.at)
                    if by_xet
                    else _plain(order, hub, sink.at, tell)
                )
                for at, chunk in source:
                    sink.put(at, chunk)
                    retries.progress()
                    if pace.due():
                        tell(Receiving(name, sink.at, size))
                if sink.at == size:
                    continue
                if by_xet:
                    raise EOFError("it ended early")
                told = Refusal(_cut(hub, name, sink.at, size), passing=True)
            except LibraryError:
                raise
            except Exception as error:
                if by_xet:
                    tell(Noted(f"Xet does not answer ({error}): on by plain HTTP."))
                    by_xet = False
                    continue
                told = hub.explained(error, order.repository, order.remote.commit, name)
                if not told.passing:
                    raise told.error from error
        retries.pause(told)


def _plain(order: Order, hub: Hub, start: int, tell: Tell) -> Iterator[tuple[int, bytes]]:
    """Bytes of a file by HTTP, each piece with its place."""
    url = hub.url(order.repository, order.remote.commit, order.remote.file)
    with hub.stream(url, start) as response:
        begins, total = _range(response)
        if begins not in (0, start) or (total is not None and total != order.remote.size):
            raise WrongBytes(
                f"{hub.host} said that {order.remote.file} has {order.remote.size:,} bytes, and "
                + (f"gives {total:,}." if total is not None else "gives others than asked for."),
                "That is the mirror's fault: try another (HF_ENDPOINT).",
            )
        if begins < start:
            tell(Noted(f"{hub.host} cannot go on in the middle: from the beginning again."))
        for chunk in response.iter_bytes():
            yield begins, chunk
            begins += len(chunk)


def _range(response: httpx2.Response) -> tuple[int, int | None]:
    """Where the bytes of an answer begin, and how many the whole file has, if it says so."""
    if response.headers.get("Content-Encoding", "identity") != "identity":
        return 0, None
    if response.status_code != 206:
        length = response.headers.get("Content-Length", "")
        return 0, int(length) if length.isdigit() else None
    # `bytes 100-199/200`: RFC 9110, 14.4.
    span, _, total = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
    begins = span.partition("-")[0].strip()
    return int(begins) if begins.isdigit() else -1, int(total) if total.isdigit() else None


class _Sink:
    """The file that grows. What cannot be written is told as what it is: no affair of the hub."""

    def __init__(self, order: Order) -> None:
        self._path = order.partial
        self._size = order.remote.size
        self._name = order.remote.file
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
        self._file = os.fdopen(descriptor, "r+b", buffering=0)
        self.at = os.fstat(descriptor).st_size
        """How many bytes are there."""
        if self.at > self._size:
            self._file.truncate(0)
            self.at = 0

    def __enter__(self) -> _Sink:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def put(self, at: int, chunk: bytes) -> None:
        """Write a piece to its place."""
        if at + len(chunk) > self._size:
            raise WrongBytes(
                f"More bytes come for {self._name} than the {self._size:,} that it has.",
                "That is the mirror's fault: try another (HF_ENDPOINT).",
            )
        try:
            self._file.seek(at)
            rest = memoryview(chunk)
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            raise unwritable(error, self._path) from error
        self.at = at + len(chunk)

    def settle(self) -> None:
        """See to it that it is on the disk, not only on its way there."""
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise unwritable(error, self._path) from error


def unwritable(error: OSError, path: Path) -> LibraryError:
    """What it means that something cannot be written."""
    where = error.filename or path
    if error.errno in _NO_ROOM:
        return NoRoom(
            f"There is no room left for {where}.",
            "Make some, and say the same again: what has come is kept. HF_HUB_CACHE names "
            "another disk.",
        )
    return LibraryError(
        f"{where} cannot be written: {error.strerror or error}.",
        "See to its permissions; or HF_HUB_CACHE names another place for what is fetched, "
        "PONDER_HOME for what ponder keeps.",
    )


def _cut(hub: Hub, name: str, at: int, size: int) -> LibraryError:
    return HubUnreachable(
        f"{hub.host} ended {name} after {at:,} of {size:,} bytes.",
        "What came is kept: the same command goes on from here.",
    )


def _link(order: Order, hub: Hub) -> None:
    """Give a file the name that others look for, as huggingface_hub does it here."""
    if order.place.exists():
        return
    from huggingface_hub import hf_hub_download

    try:
        hf_hub_download(
            order.repository,
            order.remote.file,
            revision=order.remote.commit,
            cache_dir=order.cache,
            endpoint=hub.endpoint,
            library_name="ponder",
        )
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
        remote = order.remote
        raise hub.explained(cause, order.repository, remote.commit, remote.file).error from error
    moved = not order.blob.exists() and _size(order.place) == order.remote.size
    if not moved and not _same(order.place, order.blob):
        raise WrongBytes(
            f"{hub.host} changed its mind about {order.remote.file} in the middle.",
            "Say the same again.",
        )


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1
