"""What a model that is loaded takes of this machine: room that the next one will have.

Measured around loading it, because nobody tells: whether weights stay in their file's pages or
are repacked beside them, and on which GPU, is llama.cpp's affair. Knows machines; loads nothing.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from ponder.library.fit import Machine

T = TypeVar("T")


class Footprint:
    """Of the model that was loaded last."""

    def __init__(self) -> None:
        self._around: tuple[Machine, Machine] | None = None

    def of(self, load: Callable[[], T]) -> T:
        """Load something, and see what that takes. Looks at drivers: for another thread."""
        from ponder.library import fit

        self._around = None
        before = fit.this_machine()
        loaded = load()
        self._around = before, fit.this_machine()
        return loaded

    def machine(self) -> Machine:
        """What a model could be put on that takes the place of the one that is there. For
        another thread as well.

        Raises:
            PonderError: llama.cpp does not work here.
        """
        from ponder.assembly import usable_machine
        from ponder.library import fit

        machine, _ = usable_machine()
        return fit.given_back(machine, *self._around) if self._around is not None else machine


def keep_what_is_there() -> None:
    """Spare the garbage collector what stays anyway.

    To look through all of it was measured to hold up a stream for 50 ms every few seconds.
    """
    gc.unfreeze()  # the model that was there before has gone
    gc.collect()
    gc.freeze()
