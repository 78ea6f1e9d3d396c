"""`ponder bundle create`: files on this disk -> a bundle, whole or not at all.

Knows in which order things are written, and that what is written is hashed once more on its
way. Needs no room but the bundle's own: files go from where they are into the archive.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ponder import __version__
from ponder.alone import alone
from ponder.catalogue import Catalogue
from ponder.errors import InputError, LibraryError, NoRoom
from ponder.library import telling
from ponder.library.bundle import contents, form
from ponder.library.bundle.contents import Content, Source
from ponder.library.bundle.events import Tell, nothing
from ponder.library.bundle.layout import END, Layout, layout, padding
from ponder.library.bundle.opening import Progress
from ponder.library.bundle.signing import SigningKey
from ponder.library.bundle.volumes import Writer, check_target, volumes_of
from ponder.library.watching import Noted

LEAST_VOLUME = 1 << 20
"""Bytes; the manifest has to fit into the first volume."""
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Created:
    """A bundle that was written."""

    paths: tuple[Path, ...]
    """The file, or its volumes."""
    manifest: form.Manifest
    id: str
    """sha256 of the manifest."""
    size: int
    """Bytes of the archive."""


@contextmanager
def _readable() -> Iterator[None]:
    """What cannot be read is told; what cannot be written the writer tells."""
    try:
        yield
    except OSError as error:
        raise LibraryError(
            f"{error.filename or 'A file'} cannot be read: {error.strerror or error}.",
            "See to its permissions and to the disk that it is on.",
        ) from error


@_readable()
def create(
    target: Path,
    names: Sequence[str],
    catalogue: Catalogue,
    tell: Tell = nothing,
    *,
    wheels: Path | None = None,
    platform: str = "",
    split: int | None = None,
    key: SigningKey | None = None,
) -> Created:
    """Pack a bundle.

    Args:
        target: the file, or what the volumes' names begin with.
        names: of models; without any, all that ponder keeps.
        catalogue: what names mean.
        tell: who is told of the progress.
        wheels: a folder of wheels to be packed too.
        platform: what they are for; empty takes it from their names.
        split: bytes that every volume stays below; None writes one file.
        key: what it is signed with; None signs nothing.

    Raises:
        InputError: a name, a folder or a size that cannot be used.
        ModelError: a model is not here.
        NoRoom: it does not fit.
        LibraryError: something cannot be read or written, or changed meanwhile.
    """
    check_target(target)
    volume = None if split is None else _volume(split)
    models = contents.models(names, catalogue, tell)
    found, platforms = contents.wheel_files(wheels) if wheels is not None else ([], "")
    if not models and not found:
        raise InputError(
            "There is nothing to pack: no model was fetched or imported here.",
            "Name a model of `ponder models`, or a folder of wheels: --with-wheels DIR.",
        )
    if found and not any(source.path.startswith("wheels/ponder-") for source in found):
        tell(Noted("ponder's own wheel is not among the wheels."))
    others = [*contents.catalogue_files(tell), *contents.template_files(models), *found]
    sources, locked = _hashed(others, models, tell)
    manifest = form.Manifest(
        format="ponder-bundle",
        version=1,
        made_by=f"ponder {__version__}",
        files=tuple(form.Entry(one.path, one.size, one.sha256) for one in sources),
        models=locked,
        platform=platform or platforms,
        signer=key.fingerprint if key is not None else "",
    )
    raw, where = _laid_out(manifest, sources, volume)
    # What this ponder would refuse to read it does not write.
    manifest = form.decode(raw, str(target))
    _room(target, where.total)
    # What fits into one volume is one file: there is no .001 alone.
    writer = Writer(target, volume if manifest.split is not None else None)
    with _alone(target, writer), writer:
        writer.write(where.manifest.head + raw + bytes(padding(len(raw))))
        sums = form.checksum(raw)
        writer.write(where.checksum.head + sums + bytes(padding(len(sums))))
        if where.signature is not None:
            assert key is not None
            signature = key.sign(raw)
            writer.write(where.signature.head + signature + bytes(padding(len(signature))))
        progress = Progress("packing", manifest.size, tell)
        for place, source in zip(where.files, sources, strict=True):
            writer.write(place.head)
            _copy(source, writer, progress)
            writer.write(bytes(padding(source.size)))
        writer.write(END)
        progress.end()
        check_target(target)
        written = writer.commit()
    return Created(tuple(written), manifest, hashlib.sha256(raw).hexdigest(), where.total)


def _volume(split: int) -> int:
    """Bytes of a volume that stays below a size: FAT32 takes no file of 4 GiB."""
    if split < LEAST_VOLUME:
        raise InputError(f"Volumes of {split:,} bytes are too small.", "Say at least --split 1m.")
    return (split - 1) // 512 * 512


def _hashed(
    others: list[Source], models: list[Content], tell: Tell
) -> tuple[list[Source], tuple[form.Bundled, ...]]:
    """All files in the order of the archive with their hashes, and what is said of the models."""
    unknown = [*others, *(source for model in models for source in model.sources)]
    progress = Progress("hashing", sum(one.size for one in unknown if not one.sha256), tell)
    sources = [_with_hash(source, progress) for source in others]
    bundled: list[form.Bundled] = []
    for model in models:
        own = [_with_hash(source, progress) for source in model.sources]
        for part, source in zip(model.lock.parts, own, strict=True):
            if part.sha256 not in ("", source.sha256):
                raise LibraryError(
                    f"{source.file} is not what it was when it came here.",
                    f"`ponder verify {model.lock.name}` says more, and what to do.",
                )
        parts = tuple(
            msgspec.structs.replace(part, sha256=source.sha256)
            for part, source in zip(model.lock.parts, own, strict=True)
        )
        lock = msgspec.structs.replace(model.lock, parts=parts)
        data = msgspec.json.format(msgspec.json.encode(lock), indent=1) + b"\n"
        told = form.Bundled(lock.name, tuple(source.path for source in own))
        sources += [_with_hash(Source(told.lock, data=data, size=len(data)), progress), *own]
        bundled.append(told)
    if any(not source.sha256 for source in unknown):
        progress.end()
    return sources, tuple(bundled)


def _with_hash(source: Source, progress: Progress) -> Source:
    if source.sha256:
        return source
    sha256 = hashlib.sha256()
    for chunk in _chunks(source):
        sha256.update(chunk)
        progress.more(source.path, len(chunk))
    return Source(source.path, source.file, source.data, source.size, sha256.hexdigest())


def _copy(source: Source, writer: Writer, progress: Progress) -> None:
    sha256 = hashlib.sha256()
    for chunk in _chunks(source):
        sha256.update(chunk)
        writer.write(chunk)
        progress.more(source.path, len(chunk))
    if sha256.hexdigest() != source.sha256:
        raise _changed(source)


def _chunks(source: Source) -> Iterator[memoryview]:
    """A file's content, in pieces that are valid until the next one is asked for.

    Raises:
        LibraryError: it has not the size that it had.
    """
    if source.file is None:
        yield memoryview(source.data)
        return
    buffer = memoryview(bytearray(_CHUNK))
    left = source.size
    with source.file.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            left -= count
            if left < 0:
                break
            yield buffer[:count]
    if left:
        raise _changed(source)


def _laid_out(
    manifest: form.Manifest, sources: list[Source], volume: int | None
) -> tuple[bytes, Layout]:
    """The manifest's bytes, with the prints of the volumes in it, and where everything goes."""
    raw = form.encode(manifest)
    where = layout(manifest, len(raw))
    if volume is None or where.total <= volume:
        return raw, where
    starts: list[int] = []
    while True:
        # The prints make the manifest longer, and that may make one volume more.
        blank = form.Split(volume, ("0" * 64,) * len(starts))
        raw = form.encode(msgspec.structs.replace(manifest, split=blank))
        where = layout(manifest, len(raw))
        found = list(volumes_of(where.total, volume))
        if len(found) == len(starts):
            break
        starts = found
    first = where.files[0]
    if first.at > volume:
        raise InputError(
            f"Volumes of {volume:,} bytes are too small for a manifest of {len(raw):,}.",
            "Say more with --split.",
        )
    prints = tuple(_print(start, min(form.PRINT, volume), where, sources) for start in starts)
    raw = form.encode(msgspec.structs.replace(manifest, split=form.Split(volume, prints)))
    return raw, where


def _print(start: int, size: int, where: Layout, sources: list[Source]) -> str:
    """sha256 of some bytes of the archive, before it is written."""
    data = bytearray()
    end = min(start + size, where.total)
    for place, source in zip(where.files, sources, strict=True):
        if place.next <= start or place.at >= end:
            continue
        for at, length, content in (
            (place.at, len(place.head), place.head),
            (place.data, place.size, None),
            (place.end, padding(place.size), bytes(padding(place.size))),
        ):
            low, high = max(at, start), min(at + length, end)
            if low < high:
                part = content[low - at : high - at] if content is not None else b""
                data += part or _part(source, low - at, high - low)
    return hashlib.sha256(bytes(data).ljust(end - start, b"\0")).hexdigest()


def _part(source: Source, at: int, size: int) -> bytes:
    if source.file is None:
        return source.data[at : at + size]
    with source.file.open("rb") as file:
        file.seek(at)
        return file.read(size)


@contextmanager
def _alone(target: Path, writer: Writer) -> Iterator[None]:
    """Nobody else writes that bundle."""
    with ExitStack() as stack:
        try:
            held = target.with_name(f".{target.name}.creating.lock")
            stack.enter_context(alone(held, f"writing {target}"))
        except OSError as error:
            raise writer.unwritable(error) from error
        yield


def _room(target: Path, size: int) -> None:
    free = shutil.disk_usage(target.parent).free
    if size > free:
        raise NoRoom(
            f"The bundle has {telling.size(size)}, and {target.parent} has room for "
            f"{telling.size(free)}.",
            "Name a place on another disk, or fewer models.",
        )


def _changed(source: Source) -> LibraryError:
    return LibraryError(
        f"{source.file} changed while it was packed, or its disk does not give back what was "
        "written.",
        "Nothing was left behind. `ponder verify` tells whether a model is what it was.",
    )
