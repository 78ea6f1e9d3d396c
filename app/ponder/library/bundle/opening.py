"""A bundle that is read: opened, with all refused that can be before its content is touched.

Knows the manifest, the layout and the volumes, and compares; writes nothing. What is open has
the right names, sizes, headers and volumes, and the right signature if a key was given; only
the content of its files is still to be hashed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from ponder.errors import BadBundle, BadSignature
from ponder.library.bundle import form
from ponder.library.bundle.events import Doing, Moved, Tell, nothing
from ponder.library.bundle.layout import (
    BLOCK,
    END,
    Layout,
    Place,
    beginning,
    claimed_size,
    deviation,
    header,
    layout,
    padding,
)
from ponder.library.bundle.signing import PublicKey
from ponder.library.bundle.volumes import Volumes
from ponder.library.hashing import Pace

_CHUNK = 1 << 20
_AGAIN = "Copy it again from its source, and compare: `ponder bundle verify`."
_OTHER = "Do not use it. Ask whoever packed it for another."


@dataclass(frozen=True, slots=True)
class Problem:
    """A file whose content is not what it has to be."""

    path: str
    """Inside the archive."""
    expected: str
    """sha256."""
    found: str
    where: str
    """`, in NAME.002`: where to look for the damage; empty if there is one volume only."""

    @property
    def error(self) -> BadBundle:
        """It, as an error."""
        return BadBundle(
            f"{self.path} is damaged{self.where}: its sha256 is {self.found}, and has to be "
            f"{self.expected}.",
            "Copy the bundle again from its source, and say the same again.",
        )


class Bundle:
    """An open bundle; `open_bundle` makes it."""

    manifest: form.Manifest
    id: str
    """sha256 of the manifest, 64 hexadecimal digits: two bundles of one id hold the same."""
    layout: Layout
    signed_by: PublicKey | None
    """The key that the signature was checked with; None if none was given."""

    def __init__(self, volumes: Volumes, key: PublicKey | None) -> None:
        self.volumes = volumes
        self.name = str(volumes.path)
        raw = _manifest(volumes, self.name)
        self.raw = raw
        """The manifest's bytes."""
        self.id = hashlib.sha256(raw).hexdigest()
        self.manifest = form.decode(raw, self.name)
        self.entries = {entry.path: entry for entry in self.manifest.files}
        """By path inside the archive."""
        self.layout = layout(self.manifest, len(raw))
        self.signature = self._signature(key)
        """64 bytes; none if it is not signed."""
        self.signed_by = key
        _check_volumes(volumes, self.manifest, self.layout, self.name)
        self._check_headers()
        if volumes.total > self.layout.total:
            raise BadBundle(
                f"{self.name} goes on for {volumes.total - self.layout.total:,} bytes after its "
                "end.",
                _OTHER,
            )

    def __enter__(self) -> Bundle:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.volumes.__exit__(None, None, None)

    def chunks(self, place: Place) -> Iterator[memoryview]:
        """The content of a file, in pieces that are valid until the next one is asked for.

        Raises:
            BadBundle: it has become shorter.
            LibraryError: it cannot be read.
        """
        buffer = memoryview(bytearray(min(_CHUNK, max(place.size, 1))))
        at = place.data
        while at < place.end:
            view = buffer[: min(len(buffer), place.end - at)]
            if self.volumes.read_into(at, view) < len(view):
                raise _short(self.name, at, self.layout.total)
            at += len(view)
            yield view

    def problem(self, place: Place, found: str) -> Problem | None:
        """What is wrong with a file of that sha256; None if nothing is."""
        entry = self.entries[place.path]
        if entry.sha256 == found:
            return None
        where = self.volumes.where(place.data, place.end)
        return Problem(place.path, entry.sha256, found, where)

    def _signature(self, key: PublicKey | None) -> bytes:
        place = self.layout.signature
        if place is None:
            if key is not None:
                raise BadSignature(
                    f"{self.name} is not signed.",
                    "Leave out --key to trust its hashes alone, or ask for a signed one.",
                )
            return b""
        block = self.volumes.read(place.at, len(place.head) + place.size)
        if block[: len(place.head)] != place.head or len(block) < place.end - place.at:
            raise BadBundle(f"The signature of {self.name} is missing.", _AGAIN)
        signature = block[len(place.head) :]
        if key is not None:
            key.check(signature, self.raw, self.manifest.signer, self.name)
        return signature

    def _check_headers(self) -> None:
        """See that between the files is what has to be there, and nothing else."""
        places = self.layout.places
        for place, before in zip(places, [None, *places], strict=False):
            start = place.at if before is None else before.end
            found = self.volumes.read(start, place.data - start)
            pad = found[: place.at - start]
            if any(pad):
                assert before is not None
                raise self._stray(before)
            head = found[place.at - start :]
            if len(head) < len(place.head):
                raise _short(self.name, self.volumes.total, self.layout.total)
            if head != place.head:
                raise self._refused(head, place)
        last = places[-1]
        gap = padding(last.size)
        found = self.volumes.read(last.end, gap + len(END))
        if any(found[:gap]):
            raise self._stray(last)
        if len(found) < gap + len(END):
            raise _short(self.name, self.volumes.total, self.layout.total)
        if found[gap:] != END:
            raise self._refused(found[gap:], Place("its end", 0, b"", last.next))

    def _refused(self, found: bytes, expected: Place) -> BadBundle:
        why = deviation(found, expected, self.layout.files)
        return BadBundle(f"{self.name} is refused: {why}.", _AGAIN)

    def _stray(self, place: Place) -> BadBundle:
        return BadBundle(f"{self.name} is damaged: something follows {place.path}.", _AGAIN)


def open_bundle(path: Path, key: PublicKey | None = None) -> Bundle:
    """Open a bundle, to be closed by `with`.

    Args:
        path: the file, the name that the volumes share, or any of them.
        key: what it has to be signed with; None takes any, signed or not.

    Raises:
        InputError: there is no such file.
        BadBundle: it is damaged, not complete, too new, or holds what none may hold.
        BadSignature: a key was given, and it is not signed by that.
        LibraryError: it cannot be read.
    """
    volumes = Volumes(path)
    try:
        return Bundle(volumes, key)
    except BaseException:
        volumes.__exit__(None, None, None)
        raise


def verify(bundle: Bundle, tell: Tell = nothing) -> list[Problem]:
    """Hash everything; gives what is wrong.

    Raises:
        LibraryError: it cannot be read to its end.
    """
    progress = Progress("checking", bundle.manifest.size, tell)
    problems = []
    for place in bundle.layout.files:
        sha256 = hashlib.sha256()
        for chunk in bundle.chunks(place):
            sha256.update(chunk)
            progress.more(place.path, len(chunk))
        problem = bundle.problem(place, sha256.hexdigest())
        if problem is not None:
            problems.append(problem)
    progress.end()
    return problems


class Progress:
    """Tells how far it has got, a few times a second."""

    def __init__(self, doing: Doing, total: int, tell: Tell) -> None:
        self._doing = doing
        self._total = total
        self._tell = tell
        self._pace = Pace()
        self._done = 0
        self._file = ""

    def more(self, file: str, count: int) -> None:
        """So many bytes of a file more."""
        self._done += count
        self._file = file
        if self._pace.due():
            self._tell(Moved(self._doing, file, self._done, self._total))

    def end(self) -> None:
        """It is done."""
        self._tell(Moved(self._doing, self._file, self._done, self._total))


def _manifest(volumes: Volumes, name: str) -> bytes:
    """The manifest's bytes.

    Raises:
        BadBundle: there is none.
    """
    head = volumes.read(0, BLOCK)
    size = claimed_size(head)
    if size is None or head != header(form.MANIFEST, size):
        raise BadBundle(
            f"{name} is no ponder bundle, or its beginning is damaged.",
            "Check the path; of a bundle in volumes, name the first one.",
        )
    if not 0 < size <= form.LARGEST_MANIFEST:
        raise BadBundle(f"{name} is refused: its manifest claims {size:,} bytes.", _OTHER)
    data = volumes.read(BLOCK, size)
    _, sums = beginning(size)
    told = volumes.read(sums.at, sums.end - sums.at)
    if len(told) < sums.end - sums.at:
        raise BadBundle(f"{name} is cut short: not even its manifest is complete.", _AGAIN)
    if told != sums.head + form.checksum(data):
        raise BadBundle(f"The manifest of {name} is damaged.", _AGAIN)
    return data


def _check_volumes(volumes: Volumes, manifest: form.Manifest, where: Layout, name: str) -> None:
    """See that all volumes are there, whole, and of this bundle."""
    split = manifest.split
    if split is None or (volumes.total == where.total and len(volumes.paths) == 1):
        return
    count = -(-where.total // split.size)
    if len(split.prints) != count - 1:
        raise BadBundle(f"{name} is refused: its manifest tells wrong volumes.", _OTHER)
    base = name if len(volumes.paths) > 1 else name.removesuffix(".001")
    if len(volumes.paths) < count:
        first = len(volumes.paths) + 1
        gone = [f"{Path(base).name}.{n:03d}" for n in range(first, count + 1)]
        names = ", ".join(gone[:3]) + (f" to {gone[-1]}" if len(gone) > 3 else "")
        raise BadBundle(
            f"{base} is not complete: it has {count} volumes, and {names} cannot be found.",
            "Put all its volumes into one folder.",
        )
    if len(volumes.paths) > count:
        raise BadBundle(
            f"{volumes.paths[count]} does not belong to {base}, which has {count} volumes.",
            "Move it away; keep the volumes of each bundle in a folder of their own.",
        )
    for number, (path, size) in enumerate(zip(volumes.paths, volumes.sizes, strict=True)):
        right = min(split.size, where.total - number * split.size)
        if size != right:
            fault = "is cut short" if size < right else "is too long"
            raise BadBundle(f"{path} {fault}: {size:,} of {right:,} bytes.", _AGAIN)
    for number, expected in enumerate(split.prints, 1):
        begins = volumes.read(number * split.size, min(form.PRINT, volumes.sizes[number]))
        if hashlib.sha256(begins).hexdigest() != expected:
            raise BadBundle(
                f"{volumes.paths[number]} is of another bundle, in another place, or damaged.",
                "Find the right one, or copy it again from its source.",
            )


def _short(name: str, there: int, total: int) -> BadBundle:
    return BadBundle(f"{name} is cut short: it has {there:,} of {total:,} bytes.", _AGAIN)
