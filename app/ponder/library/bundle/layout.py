"""Where in the archive each byte belongs, and what the bytes between the files have to be.

Knows tar's headers (POSIX.1-2001, ustar and pax; pax only for names and sizes that ustar has no
room for). Python's tarfile writes them differently from version to version, and reads much that
no bundle has: links, devices, sparse files, several archives in one, headers that are damaged.
Here the manifest says what has to stand where, and what stands there is that or refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ponder.library.bundle.form import (
    CHECKSUM,
    MANIFEST,
    SIGNATURE,
    SIGNATURE_SIZE,
    Manifest,
    checksum,
    unsafe,
)

BLOCK = 512
END = bytes(2 * BLOCK)
"""What a tar file ends with."""
_MOST_OCTAL = 0o77777777777
"""The largest size that a header of ustar has room for, 8 GiB - 1."""
_CHECKSUM = slice(148, 156)
_KINDS = {
    b"1": "a link", b"2": "a link", b"3": "a device", b"4": "a device", b"5": "a folder",
    b"6": "a pipe", b"S": "a sparse file", b"L": "a GNU header", b"K": "a GNU header",
    b"g": "a global header", b"x": "an extended header",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Place:
    """Where a file is in the archive."""

    path: str
    size: int
    head: bytes
    at: int
    """Bytes from the beginning of the archive to the header."""

    @property
    def data(self) -> int:
        """Where its content begins."""
        return self.at + len(self.head)

    @property
    def end(self) -> int:
        """Where its content ends; zeros follow to the end of the block."""
        return self.data + self.size

    @property
    def next(self) -> int:
        """Where what follows begins."""
        return self.end + padding(self.size)


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything is."""

    manifest: Place
    checksum: Place
    """Of the manifest: a copy may be damaged there too."""
    signature: Place | None
    files: tuple[Place, ...]
    total: int
    """Bytes of the whole archive."""

    @property
    def places(self) -> list[Place]:
        """All members in their order."""
        signature = [] if self.signature is None else [self.signature]
        return [self.manifest, self.checksum, *signature, *self.files]


def layout(manifest: Manifest, size: int) -> Layout:
    """The layout of an archive whose manifest has so many bytes."""
    first, sums = beginning(size)
    at = sums.next
    signature = None
    if manifest.signer:
        signature = Place(SIGNATURE, SIGNATURE_SIZE, header(SIGNATURE, SIGNATURE_SIZE), at)
        at = signature.next
    files = []
    for entry in manifest.files:
        place = Place(entry.path, entry.size, header(entry.path, entry.size), at)
        files.append(place)
        at = place.next
    return Layout(first, sums, signature, tuple(files), at + len(END))


def beginning(size: int) -> tuple[Place, Place]:
    """Where a manifest of so many bytes is, and its checksum."""
    first = Place(MANIFEST, size, header(MANIFEST, size), 0)
    length = len(checksum(b""))
    return first, Place(CHECKSUM, length, header(CHECKSUM, length), first.next)


def padding(size: int) -> int:
    """Zeros after so many bytes of content."""
    return -size % BLOCK


def header(path: str, size: int) -> bytes:
    """The header of a plain file."""
    records = b""
    name = path.encode()
    if len(name) > 100 or not path.isascii():
        records += _record(b"path", name)
        name = path.encode("ascii", "replace").replace(b"?", b"_")[:100]
    if size > _MOST_OCTAL:
        records += _record(b"size", b"%d" % size)
        size = 0
    extended = b""
    if records:
        extended = _ustar(b"PaxHeaders/ponder", len(records), b"x")
        extended += records + bytes(padding(len(records)))
    return extended + _ustar(name, size, b"0")


def _record(key: bytes, value: bytes) -> bytes:
    """`LENGTH key=value\\n`, where the length counts its own digits."""
    body = b" %s=%s\n" % (key, value)
    length = len(body)
    while length != len(body) + len(b"%d" % length):
        length = len(body) + len(b"%d" % length)
    return b"%d%s" % (length, body)


def _ustar(name: bytes, size: int, kind: bytes) -> bytes:
    block = b"".join(
        (
            name.ljust(100, b"\0"),
            b"0000644\0",
            b"0000000\0" * 2,  # owner and group
            b"%011o\0" % size,
            b"00000000000\0",  # 1970: when it was packed is nobody's business
            b" " * 8,
            kind,
            bytes(100),
            b"ustar\00000",
            bytes(64),
            b"0000000\0" * 2,
            bytes(155 + 12),
        )
    )
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def claimed_size(block: bytes) -> int | None:
    """The size that a header of ustar gives; None if it is none."""
    digits = block[124:136].rstrip(b" \0")
    if len(block) != BLOCK or not digits.isdigit() or any(c > 0x37 for c in digits):
        return None
    return int(digits, 8)


def deviation(found: bytes, expected: Place, files: Sequence[Place]) -> str:
    """What is wrong with a header, in words.

    Args:
        found: what stands where it should be.
        expected: what should be there.
        files: all files of the archive, in their order.
    """
    block = found[:BLOCK]
    if not any(block):
        return f"{expected.path} is missing"
    total = sum(block[:148]) + 8 * 0x20 + sum(block[156:])
    if block[_CHECKSUM].rstrip(b" \0") != b"%06o" % total:
        return f"the header of {expected.path} is damaged"
    name = _name(block)
    kind = block[156:157]
    if kind not in b"0\0" and not (kind == b"x" and expected.head[156:157] == b"x"):
        what = _KINDS.get(kind, f"of the kind {kind!r}")
        return f"{name!r} is {what}, and only plain files belong into a bundle"
    if kind != b"x":
        if reason := unsafe(name):
            return reason
        known = [place for place in files if place.path == name]
        if not known:
            return f"{name!r} is not in its manifest"
        if known[0].at < expected.at:
            return f"{name} comes twice"
        if known[0].at > expected.at:
            return f"{name} comes where {expected.path} should be"
        if claimed_size(block) != expected.size:
            return f"{name} has another size than its manifest says"
    return f"the header of {expected.path} was not written by ponder"


def _name(block: bytes) -> str:
    name = block[:100].split(b"\0", 1)[0]
    prefix = block[345:500].split(b"\0", 1)[0]
    return (prefix + b"/" + name if prefix else name).decode("utf-8", "replace")
