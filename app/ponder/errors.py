"""Everything that can go wrong, as one tree.

* PonderError
  x InputError            the user's words, numbers or files cannot be used as they are
    + BudgetError         a budget below zero, a floor above its cap
    + PromptTooLong       the prompt leaves no room in the context
    + UnknownName         no model, setting or command of that name; lists the right ones
    + SettingsError       config.toml or models.toml cannot be read
  x ModelError            a model file that cannot be used
    + NotAModel           missing, not a GGUF, or damaged
    + UnsupportedModel    a model that llama.cpp, or ponder, cannot run or convert
    + BadCheckpoint       shards that are missing, damaged, or not what they say they are
    + BadImatrix          an importance matrix that is missing, damaged, or another model's
  x EngineError           the engine failed while it ran
    + ContextFull         no room left for a sequence; raised before anything is decoded
    + BuildBroken         this build of llama.cpp does not work on this machine
  x HistoryError          the history cannot be read or written
  x OfflineError          something wanted the network, and it is switched off
  x LibraryError          weights cannot be fetched, checked, kept or given away
    + HubRefused          the hub has not got it, or does not give it to us
    + HubUnreachable      no answer, or no end of it; what has come is kept
    + WrongBytes          a file, or what a hub says of it, is not what it has to be
    + NoRoom              it does not fit on the disk
    + BadBundle           a bundle is damaged, not complete, or holds what none may hold
    + BadSignature        not signed, or not by the key that was given
    + Busy                another ponder is at the same thing
    + Stopped             somebody wanted it to end; what has come is kept

Each has a message that says what happened and a hint that says what to do about it.
This module knows nothing of terminals: whoever catches an error decides how to show it.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class PonderError(Exception):
    """Base of all: `message` says what happened, `hint` what to do (may be empty)."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class InputError(PonderError):
    """The user's words, numbers or files cannot be used as they are."""


class BudgetError(InputError):
    """A budget that means nothing: below zero, or a floor above its cap."""


class PromptTooLong(InputError):
    """The prompt leaves no room for thought and answer in the context."""


class UnknownName(InputError):
    """No such name; the hint lists the right ones, nearest first."""

    def __init__(self, kind: str, name: str, known: Iterable[str], hint: str = "") -> None:
        names = sorted(known)
        near = get_close_matches(name, names, n=3, cutoff=0.5)
        listed = near + [n for n in names if n not in near]
        self.known = tuple(names)
        lead = f"Did you mean {near[0]}? " if near else ""
        told = f"{lead}Known: {', '.join(listed)}." if listed else "None is known here."
        super().__init__(f"There is no {kind} called {name!r}.", f"{told} {hint}".strip())


class SettingsError(InputError):
    """config.toml or models.toml cannot be read, or says something impossible."""


class ModelError(PonderError):
    """A model file that cannot be used."""


class NotAModel(ModelError):
    """Missing, not a GGUF, or damaged."""


class UnsupportedModel(ModelError):
    """A model that this llama.cpp, or ponder, cannot run or convert."""


class BadCheckpoint(ModelError):
    """Shards that are missing, damaged, contradict each other, or hold NaN or infinity."""


class BadImatrix(ModelError):
    """An importance matrix that is missing, damaged, or another model's."""


class EngineError(PonderError):
    """The engine failed while it ran."""


class ContextFull(EngineError):
    """No room left in the context; raised before anything is decoded."""


class BuildBroken(EngineError):
    """This build of llama.cpp does not work on this machine."""


class HistoryError(PonderError):
    """The history cannot be read or written: damaged, locked, too new, or the disk is full."""


class LibraryError(PonderError):
    """Weights cannot be fetched, checked, kept or given away."""


class HubRefused(LibraryError):
    """The hub has not got it, or does not give it to us: unknown, gated, private."""


class HubUnreachable(LibraryError):
    """No answer from the hub, or no end of it. What has come is kept, and gone on from."""


class WrongBytes(LibraryError):
    """A file, or what a hub says of it, is not what a pin or a lock says that it has to be."""


class NoRoom(LibraryError):
    """It does not fit on the disk."""


class BadBundle(LibraryError):
    """A bundle is damaged, not complete, too new, or holds what no bundle may hold."""


class BadSignature(LibraryError):
    """A bundle is not signed, or not by the key that was given."""


class Busy(LibraryError):
    """Another ponder is at the same thing."""


class Stopped(LibraryError):
    """Somebody wanted the work to end. What has come is kept, and gone on from."""


class OfflineError(PonderError):
    """Something wanted the network, and it is switched off."""
