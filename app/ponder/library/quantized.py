"""GGUFs that ponder makes itself of a checkpoint of the hub: what they are called, where they
came from, what they hash to.

Knows names, locks and the catalogue. Which quants there are, and how one is made, is the
quantizer's business.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from ponder import paths
from ponder.catalogue import Catalogue
from ponder.errors import InputError, UnknownName
from ponder.library import lock as locks
from ponder.library.choosing import MAIN, REPOSITORY
from ponder.library.hashing import digests
from ponder.library.lock import Lock, Part
from ponder.library.watching import Checked, Tell

USUAL = "Q4_K_M"
"""The quant that is meant where none is named."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A GGUF that somebody wants to have made."""

    said: str
    """NAME or owner/repo, as the file will be called after."""
    repository: str
    """owner/name of the checkpoint."""
    revision: str
    """Branch, tag or commit."""
    quant: str
    """In capitals."""

    @property
    def name(self) -> str:
        """What it will be called here."""
        own = re.sub(r"[^\w.+-]", "_", self.said.rpartition("/")[2]).lstrip(".+-")
        return f"{own or 'model'}-{self.quant}"


def wanted(said: str, catalogue: Catalogue) -> Wanted:
    """What is meant by NAME, NAME:QUANT, owner/repo or owner/repo@REVISION:QUANT.

    Raises:
        UnknownName: no model has that name; the nearest are told.
        InputError: its checkpoint is not known, or it ships with ponder.
    """
    name, _, quant = said.partition(":")
    model = catalogue.models.get(name)
    if model is not None:
        if not model.repository:
            raise InputError(
                f"Where the checkpoint of {name} is, the catalogue does not say.",
                "Name its repository: ponder quantize owner/repo:QUANT, or a folder that it is in.",
            )
        return Wanted(name, model.repository, MAIN, (quant or USUAL).upper())
    found = REPOSITORY.match(said)
    if found is None:
        hint = (
            "A folder with a checkpoint in it, a GGUF, or owner/repo:QUANT of the hub works too. "
            f"{catalogue.trouble}"
        )
        raise UnknownName("model", name, catalogue.models, hint.strip())
    told = found.groupdict(default="")
    quant = (told["word"] or USUAL).upper()
    return Wanted(told["repository"], told["repository"], told["revision"] or MAIN, quant)


def place(want: Wanted, force: bool = False) -> Path:
    """Where it will be.

    Args:
        want: what is to be made.
        force: whether one that was made before may go.

    Raises:
        InputError: another model has its name.
    """
    lock = locks.read(want.name)
    path = paths.models_dir() / f"{want.name}.gguf"
    ours = lock is not None and lock.how == "quantized" and lock.repository == want.repository
    if not ours and (lock is not None or os.path.lexists(path)):
        raise InputError(
            f"{want.name} is another model here already.", "`ponder rm` it, or say -o FILE."
        )
    if path.exists() and not force:
        raise InputError(f"{want.name} is here already: {path}.", "--force makes it anew.")
    return path


def keep(want: Wanted, path: Path, commit: str, tell: Tell) -> Lock:
    """Write down what was made: it has a name, and can be verified, as soon as it is in its place.

    Args:
        want: what was wanted.
        path: the whole file, which gets its name after this.
        commit: of the checkpoint.
        tell: who is told while it is hashed.

    Raises:
        OSError: it cannot be read, or the lock cannot be written.
    """
    file = f"{want.name}.gguf"
    sha256, _ = digests(path, file, tell)
    stat = path.stat()
    part = Part(file, stat.st_size, sha256, fetched=True, checked=stat.st_mtime_ns)
    lock = Lock(
        want.name,
        "import",
        (part,),
        repository=want.repository,
        asked=want.revision,
        revision=commit,
        source=f"{want.repository}@{commit}",
        how="quantized",
    )
    locks.write(lock)
    tell(Checked(file, sha256))
    return lock
