"""Pulls of one small model, and what its repository is called."""

from __future__ import annotations

import hashlib
from pathlib import Path

from library.conftest import content
from ponder.catalogue import Catalogue, catalogue
from ponder.library.lock import Lock
from ponder.library.pulling import pull
from ponder.library.watching import Event

SHIPPED = catalogue()
ANY = "someone/small-GGUF"
FILE = "small-Q4_K_M.gguf"
DATA = content(600_000)


class Pulls:
    """Pulls, with what was told and how long somebody would have waited."""

    def __init__(self) -> None:
        self.told: list[Event] = []
        self.slept: list[float] = []

    def __call__(self, said: str, known: Catalogue = SHIPPED, **options: object) -> Lock:
        return pull(said, known, self.told.append, sleep=self.slept.append, **options)  # type: ignore[arg-type]

    def of(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.told if isinstance(event, kind)]


def pinned(data: bytes = DATA, sha256: str = "") -> Catalogue:
    """A catalogue with one model, `small`, that is pinned."""
    sha256 = sha256 or hashlib.sha256(data).hexdigest()
    return Catalogue(f"""
        [dialects.plain]
        [models.small]
        title = "Small"
        dialect = "plain"
        parameters = 0.001
        context = 2048
        licences = ["MIT"]
        sampling = {{ temperature = 0.6, top_p = 0.95 }}
        ggufs.Q4_K_M = {{ repository = "{ANY}", file = "{FILE}", sha256 = "{sha256}" }}
    """)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
