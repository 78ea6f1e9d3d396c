"""`ponder pull`: a name -> files in the Hugging Face cache, as they have to be, and a lock.

What has to be is, in this order: what the catalogue pins, what a lock wrote down, what the hub
says the first time. A hub that says something else later is refused. A lock is written before
the first byte, so that a pull that was interrupted goes on with the same commit even if the
branch has moved on.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path, PurePosixPath

import msgspec

from ponder import paths
from ponder.catalogue import Catalogue
from ponder.errors import InputError, NoRoom, WrongBytes
from ponder.library import choosing, elsewhere, hfcache, telling
from ponder.library import lock as locks
from ponder.library.alone import alone
from ponder.library.choosing import Wanted
from ponder.library.elsewhere import Found
from ponder.library.fetching import Order, fetch, have, unwritable
from ponder.library.hashing import digests
from ponder.library.hub import Hub, Listing
from ponder.library.lock import Lock, Part
from ponder.library.watching import Checked, Noted, Planned, Tell, nothing

_SHA256 = 64
"""Hexadecimal digits."""


def pull(
    said: str,
    catalogue: Catalogue,
    tell: Tell = nothing,
    *,
    name: str = "",
    update: bool = False,
    sleep: Callable[[float], None] = time.sleep,
) -> Lock:
    """Have a model here, checked.

    Args:
        said: NAME, NAME:QUANT, owner/repo:QUANT, owner/repo:FILE, owner/repo@REVISION:QUANT.
        catalogue: what names mean, and what is pinned.
        tell: who is told of what happens; what it raises ends the pull, as `sleep` may.
        name: what to call it here, if not like its file.
        update: ask for the latest, whatever is locked.
        sleep: what waits between tries.

    Raises:
        InputError: the words name nothing that can be pulled.
        LibraryError: it did not come, or came wrong; what is right of it is kept.
    """
    want = choosing.wanted(said, catalogue)
    try:
        return _pull(want, tell, name, update, sleep)
    except OSError as error:
        raise unwritable(error, hfcache.cache_dir()) from error


def elsewhere_already(said: str, catalogue: Catalogue) -> Found | None:
    """Another program's file that is just what is pinned; None if there is none."""
    want = choosing.wanted(said, catalogue)
    pin = want.pins.get(want.word, "")
    if not pin or any(want.is_locked_as(lock) for lock in locks.read_all().values()):
        return None
    others = (other for other in elsewhere.found() if other.store != "Hugging Face cache")
    return next((other for other in others if other.sha256 == pin), None)


def _pull(
    want: Wanted, tell: Tell, name: str, update: bool, sleep: Callable[[float], None]
) -> Lock:
    known = _locked(want, name) if not update else None
    if known is not None and settled(known):
        return known
    adopted = _adopted(want, tell) if known is None and not name else None
    if adopted is not None:
        return adopted
    hub = Hub(tell, sleep)
    if known is None:
        fresh = _resolved(want, hub, name)
        name = fresh.name
    else:
        fresh, name = known, known.name
    with alone(paths.cache_dir() / "pulls" / f"{name}.lock", name, tell, sleep):
        # Whoever held the lock before may have done it all.
        known = _locked(want, name) if not update else None
        if known is not None and settled(known):
            return known
        return _filled(known or fresh, hub, tell)


def _locked(want: Wanted, name: str) -> Lock | None:
    """What is locked of that already, if it agrees with what is pinned."""
    for lock in locks.read_all().values():
        if want.is_locked_as(lock) and name in ("", lock.name):
            agrees = all(want.pins.get(p.file, p.sha256) == p.sha256 for p in lock.parts)
            return lock if agrees else None
    return None


def settled(lock: Lock) -> bool:
    """Whether all of it is here, and has not changed since it was checked."""
    try:
        return all(
            part.checked and _stamp(lock.place(part)) == (part.size, part.checked)
            for part in lock.parts
        )
    except OSError:
        return False


def _adopted(want: Wanted, tell: Tell) -> Lock | None:
    """A file that somebody put into the models folder by hand, if it is just what is pinned."""
    file = PurePosixPath(want.word).name
    path, pin = paths.models_dir() / file, want.pins.get(want.word, "")
    if not pin or not path.is_file() or locks.read(path.stem) is not None:
        return None
    tell(Noted(f"{path} is looked at first: it may be the file."))
    sha256, _ = digests(path, file, tell)
    if sha256 != pin:
        tell(Noted(f"{path} is another file, and stays as it is."))
        return None
    tell(Checked(file, sha256))
    size, checked = _stamp(path)
    part = Part(file=file, size=size, sha256=sha256, checked=checked)
    lock = Lock(name=path.stem, kind="import", parts=(part,), source=str(path), how="copy")
    locks.write(lock)
    return lock


def _resolved(want: Wanted, hub: Hub, name: str) -> Lock:
    """What the hub says that it is now, checked against what is pinned."""
    listing = hub.listing(want.repository, want.revision)
    group = choosing.pick(want, listing)
    name = name or choosing.lock_name(group, want.repository, locks.read_all())
    other = locks.read(name)
    if other is not None and (other.kind != "hub" or other.repository != want.repository):
        raise InputError(
            f"{name} is another model here already, of {other.repository or other.source}.",
            "Say --name for another name, or `ponder rm` first.",
        )
    parts = tuple(_part(want, listing, file, hub) for file in group.files)
    return Lock(
        name=name,
        kind="hub",
        parts=parts,
        repository=want.repository,
        asked=want.revision,
        revision=listing.commit,
        endpoint=hub.endpoint,
        cache=str(hfcache.cache_dir().absolute()),
    )


def _part(want: Wanted, listing: Listing, file: str, hub: Hub) -> Part:
    size, sha256 = listing.files[file]
    path = PurePosixPath(file)
    if path.is_absolute() or ".." in path.parts or "\\" in file:
        raise WrongBytes(f"{hub.host} names a file {file!r}.", "No honest hub does that.")
    _agree(hub, file, want.pins.get(file, ""), sha256, "the catalogue pins")
    return Part(file=file, size=size, sha256=want.pins.get(file) or sha256)


def _filled(lock: Lock, hub: Hub, tell: Tell) -> Lock:
    """Fetch what is missing of a lock, and write down how it went."""
    if not lock.here:
        # What is still to come goes where the cache is now.
        lock = msgspec.structs.replace(lock, cache=str(hfcache.cache_dir().absolute()))
    orders = [_order(lock, part, hub) for part in lock.parts]
    others = [known for known in locks.read_all().values() if known.kind == "hub"]
    ours = {known.place(part) for known in others for part in known.parts if part.fetched}
    lock = msgspec.structs.replace(
        lock,
        parts=tuple(
            msgspec.structs.replace(
                part,
                etag=order.remote.etag,
                sha256=order.sha256,
                # Before it is true: a pull may be killed right after the file has come.
                fetched=part.fetched
                or order.place in ours
                or not (order.place.exists() or order.blob.exists()),
            )
            for part, order in zip(lock.parts, orders, strict=True)
        ),
    )
    here = sum(have(order) for order in orders)
    tell(Planned(lock.name, lock.repository, lock.revision, len(orders), lock.size, here))
    _room(Path(lock.cache), lock.size - here)
    locks.write(lock)
    for order in orders:
        part = next(part for part in lock.parts if part.file == order.remote.file)
        sha256, fetched = fetch(order, hub, tell)
        part = msgspec.structs.replace(
            part,
            sha256=sha256,
            fetched=fetched or part.fetched,
            checked=_stamp(lock.place(part))[1],
        )
        lock = lock.with_part(part)
        locks.write(lock)
    _remember(lock)
    return lock


def _order(lock: Lock, part: Part, hub: Hub) -> Order:
    """What is to be asked for, after the hub was asked whether it still says the same.

    Raises:
        WrongBytes: it does not.
    """
    remote = hub.remote(lock.repository, lock.revision, part.file)
    says = remote.etag if len(remote.etag) == _SHA256 else ""
    _agree(hub, part.file, part.sha256, says, "it has to be")
    if remote.size != part.size or remote.commit != lock.revision:
        raise WrongBytes(
            f"{hub.host} contradicts itself, or what was said before, about {part.file}: "
            f"{remote.size:,} bytes at {remote.commit[:12]}, and {part.size:,} at "
            f"{lock.revision[:12]}.",
            "Try another mirror (HF_ENDPOINT), or none. If it was another one before that was "
            "wrong: `ponder pull --update` forgets what that said.",
        )
    return Order(lock.repository, remote, part.sha256 or says, Path(lock.cache))


def _agree(hub: Hub, file: str, expected: str, said: str, why: str) -> None:
    if expected and said and expected != said:
        raise WrongBytes(
            f"{hub.host} has another {file}: its sha256 is {said}, and {why} {expected}.",
            "Do not use what it gives. Try another mirror (HF_ENDPOINT), or none. If the file "
            "was meant to change: ponder pull --update (a pin of the catalogue stays).",
        )


def free_space(cache: Path) -> int:
    """Bytes that are free where a cache is, or would be."""
    place = cache
    while not place.exists() and place != place.parent:
        place = place.parent
    return shutil.disk_usage(place).free


def _room(cache: Path, missing: int) -> None:
    """See that it will fit.

    Raises:
        NoRoom: it will not.
    """
    free = free_space(cache)
    if missing > free:
        raise NoRoom(
            f"{telling.size(missing)} are to come, and {cache} has room for {telling.size(free)}.",
            "Make room (`ponder rm`, `hf cache rm`), choose a smaller quant, or let "
            "HF_HUB_CACHE name another disk.",
        )


def _remember(lock: Lock) -> None:
    """Tell others which commit the branch was at, if nobody did: they need it to find the file
    without a network. What they wrote themselves stays."""
    if lock.asked == lock.revision:
        return
    ref = hfcache.ref(Path(lock.cache), lock.repository, lock.asked)
    with suppress(OSError):
        ref.parent.mkdir(parents=True, exist_ok=True)
        with ref.open("x") as file:
            file.write(lock.revision)


def _stamp(path: Path) -> tuple[int, int]:
    """A file's size in bytes and when it was last changed, in ns."""
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns
