"""The manifest: its form, and what may stand in it.

Knows names, sizes and hashes, and which of them no honest bundle has; opens no file. A manifest
is untrusted until it has been through `decode`, whoever signed it.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import Annotated, Literal

import msgspec

from ponder.errors import BadBundle

MANIFEST = "ponder-bundle.json"
CHECKSUM = "ponder-bundle.sha256"
SIGNATURE = "ponder-bundle.sig"
SIGNATURE_SIZE = 64
"""Bytes of an Ed25519 signature (RFC 8032)."""
FORMAT = "ponder-bundle"
VERSION = 1
LARGEST_MANIFEST = 1 << 22
"""Bytes; 10,000 files are 2 MB of it."""
LARGEST_TEXT = 1 << 20
"""Bytes of a lock or a catalogue, which are read into memory."""
MOST_FILES = 10_000
"""R1 in bf16 has 163 parts, ponder with all that it needs is some 50 wheels."""
MOST_VOLUMES = 999
"""As many as three digits number."""
PRINT = 1 << 16
"""Bytes at the beginning of a volume that tell it from others."""
OURS, USERS = "catalogue/models.toml", "catalogue/user.toml"
LOCK_SUFFIX = ".lock.json"
"""As the library calls its locks."""

_LARGEST_FILE = 1 << 50
"""Bytes: more than any disk has, and sums of it stay exact everywhere."""
_AGAIN = "Do not use it. Ask whoever packed it for another."
_SHA256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]
_NAME = r"[\w][\w.@+ -]*"
_PLACES = tuple(
    re.compile(pattern)
    for pattern in (
        f"{re.escape(OURS)}|{re.escape(USERS)}",
        rf"templates/{_NAME}\.jinja",
        r"wheels/[\w.+!-]+\.whl",
        r"models/.+",
    )
)
_DEVICES = re.compile(r"^(con|prn|aux|nul|com\d|lpt\d)(\..*)?$", re.IGNORECASE)
"""Names that Windows keeps for itself, whatever their ending."""


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of a bundle."""

    path: Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]
    """Inside the archive, with slashes."""
    size: Annotated[int, msgspec.Meta(ge=0, le=_LARGEST_FILE)]
    """Bytes."""
    sha256: _SHA256
    """64 hexadecimal digits."""


class Bundled(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One model of a bundle."""

    name: Annotated[str, msgspec.Meta(pattern=f"^{_NAME}$", max_length=200)]
    """What its lock calls it."""
    files: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    """Paths inside the archive, in the order of the lock."""

    @property
    def lock(self) -> str:
        """Path of its lock inside the archive."""
        return f"models/{self.name}{LOCK_SUFFIX}"


class Split(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a bundle was cut into volumes."""

    size: Annotated[int, msgspec.Meta(ge=PRINT, le=_LARGEST_FILE)]
    """Bytes of every volume but the last."""
    prints: Annotated[tuple[_SHA256, ...], msgspec.Meta(max_length=MOST_VOLUMES)]
    """sha256 of the first 64 KiB of each volume but the first, which the manifest is in."""


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a bundle holds."""

    format: Literal["ponder-bundle"]
    version: Literal[1]
    """Of this form."""
    made_by: Annotated[str, msgspec.Meta(max_length=100)]
    """The program that packed it."""
    files: tuple[Entry, ...]
    """Everything but the manifest and its signature, in the order of the archive."""
    models: tuple[Bundled, ...] = ()
    platform: Annotated[str, msgspec.Meta(max_length=200)] = ""
    """What the wheels are for; empty if there are none."""
    signer: Annotated[str, msgspec.Meta(pattern=r"^(SHA256:[0-9a-f]{64})?$")] = ""
    """Fingerprint of the key that it is signed with; empty if it is not signed."""
    split: Split | None = None
    """None if it was written as one file."""

    @property
    def size(self) -> int:
        """Bytes, of all files."""
        return sum(entry.size for entry in self.files)


class _Head(msgspec.Struct, frozen=True):
    """What every version of the manifest says."""

    format: str
    version: int


def encode(manifest: Manifest) -> bytes:
    """A manifest as it stands in the archive."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"


def checksum(data: bytes) -> bytes:
    """What stands after a manifest, in sha256sum's form."""
    return f"{hashlib.sha256(data).hexdigest()}  {MANIFEST}\n".encode()


def decode(data: bytes, archive: str) -> Manifest:
    """The manifest of an archive.

    Raises:
        BadBundle: it is none, of a newer ponder, or asks for what no bundle may have.
    """
    try:
        head = msgspec.json.decode(data, type=_Head)
        if head.format == FORMAT and head.version > VERSION:
            raise BadBundle(
                f"{archive} was packed by a newer ponder: it is a bundle of version "
                f"{head.version}, and this ponder reads version {VERSION}.",
                "Install that ponder first; `tar xf` takes the wheels out of it, if it has any.",
            )
        manifest = msgspec.json.decode(data, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadBundle(
            f"The manifest of {archive} cannot be read: {error}.", "Copy it again from its source."
        ) from error
    reason = _objection(manifest)
    if reason:
        raise BadBundle(f"{archive} is refused: {reason}.", _AGAIN)
    return manifest


def unsafe(path: str) -> str:
    """Why a path may not be in a bundle; empty if it may."""
    shown = repr(path[:200])
    if any(ord(c) < 0x20 or ord(c) == 0x7F for c in path) or not path.isprintable():
        return f"the name {shown} has characters that cannot be shown"
    if "\\" in path:
        return f"the name {shown} has a backslash in it"
    if ":" in path:
        return f"the name {shown} has a drive letter or a colon in it"
    if path.startswith("/"):
        return f"the name {shown} is absolute"
    parts = path.split("/")
    if ".." in parts:
        return f"the name {shown} leads out of its folder"
    if "" in parts or any(part.startswith(".") for part in parts):
        return f"the name {shown} has an empty or hidden part"
    if any(part[-1] in ". " or _DEVICES.match(part) for part in parts):
        return f"the name {shown} means something else on Windows"
    if any(len(part.encode()) > 255 for part in parts):
        return f"the name {shown} is too long"
    return ""


def _objection(manifest: Manifest) -> str:
    """Why a manifest is refused; empty if it is not."""
    if len(manifest.files) > MOST_FILES:
        return f"it claims {len(manifest.files):,} files, and {MOST_FILES:,} is the most"
    paths: dict[str, Entry] = {}
    taken: set[str] = set()
    for entry in manifest.files:
        if reason := unsafe(entry.path):
            return reason
        if not any(place.fullmatch(entry.path) for place in _PLACES):
            return f"{entry.path!r} is nothing that belongs into a bundle"
        if not _small_enough(entry):
            return f"{entry.path} claims {entry.size:,} bytes"
        # Two names of one file: on a disk that takes no notice of case, or of accents' forms.
        key = folded(entry.path)
        if key in taken:
            return f"{entry.path} is in it twice"
        taken.add(key)
        paths[entry.path] = entry
    for key in taken:
        above = key.rpartition("/")[0]
        while above:
            if above in taken:
                return f"{above} is a file and a folder"
            above = above.rpartition("/")[0]
    return _models_objection(manifest, list(paths))


def _models_objection(manifest: Manifest, paths: list[str]) -> str:
    order = {path: at for at, path in enumerate(paths)}
    owned: list[str] = []
    for model in manifest.models:
        for path in model.files:
            if not _is_file_of(path, model.name):
                return f"{path!r} is no file of the model {model.name}"
            if path not in order:
                return f"{path} of {model.name} is missing"
            if order[path] < order.get(model.lock, len(paths)):
                return f"the lock of {model.name} is missing, or comes after its files"
        owned += [model.lock, *model.files]
    if len(set(owned)) < len(owned):
        return "two models have one name, or one file"
    stray = sorted({path for path in paths if path.startswith("models/")} - set(owned))
    if stray:
        return f"{stray[0]} belongs to no model"
    if len({folded(model.name) for model in manifest.models}) < len(manifest.models):
        return "two models have one name"
    return ""


def _is_file_of(path: str, name: str) -> bool:
    """Whether a model of that name may have that file: never a lock, never another's."""
    base = f"models/{name}"
    if path.startswith(f"{base}/"):
        return True
    rest = path.removeprefix(base) if path.startswith(base) else ""
    return bool(re.fullmatch(r"(-\d{5}-of-\d{5})?\.gguf", rest))


def _small_enough(entry: Entry) -> bool:
    text = entry.path.endswith(LOCK_SUFFIX) or entry.path.startswith(("catalogue/", "templates/"))
    return not text or entry.size <= LARGEST_TEXT


def folded(path: str) -> str:
    """A path as a disk sees it that takes no notice of case."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())
